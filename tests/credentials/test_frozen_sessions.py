"""Sessions whose rights are frozen: who is asked to freeze them, when, and who inherits them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from concord.credentials.v1 import (
    session_pb2,
    session_service_pb2,
    trust_policy_pb2,
    trust_policy_service_pb2,
)
from concord.kernel.errors import NotFound, Reason
from concord.kernel.principal import PrincipalRef
from concord.kernel.rpc.wire import principal_from_wire
from concord.policy.v1 import rights_snapshot_pb2, rights_snapshot_service_pb2
from concord.policy.v1.rights_snapshot_service_pb2_grpc import (
    RightsSnapshotServiceServicer,
    add_RightsSnapshotServiceServicer_to_server,
)
from credentials.making import APPLICATION, USER, World, fresh_id, user_message
from credentials.oauth_making import OAuth
from credentials.people import PASSWORD, Person, bearer, login
from credentials.trust_making import BOB
from fakes import ORGANIZATION


class Freezer(RightsSnapshotServiceServicer):
    """Keeps in mind whose rights it was asked to freeze."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, PrincipalRef | None]] = []
        self.rehearsed = 0
        self.unknown = False

    async def CaptureRights(
        self, request: rights_snapshot_service_pb2.CaptureRightsRequest, context: Any
    ) -> rights_snapshot_pb2.RightsSnapshot:
        if request.validate_only:
            self.rehearsed += 1
            return rights_snapshot_pb2.RightsSnapshot(id="rehearsed")
        self.asked.append((request.organization_id, principal_from_wire(request.subject)))
        if self.unknown:
            raise NotFound("user", request.subject.id)
        return rights_snapshot_pb2.RightsSnapshot(id=f"snapshot-{len(self.asked)}")


@pytest.fixture
def freezer(world: World) -> Freezer:
    freezer = Freezer()
    add_RightsSnapshotServiceServicer_to_server(freezer, world.others)
    return freezer


async def snapshot_of(world: World, token: str) -> str:
    """Return by which snapshot a call with this token is decided."""
    before = len(world.decisions.asked)
    found = await world.sessions.ListSessions(
        session_service_pb2.ListSessionsRequest(), metadata=(("authorization", f"Bearer {token}"),)
    )
    assert found.sessions
    (question,) = world.decisions.asked[before:]
    return question.passport.rights_snapshot_id


async def created(world: World) -> session_pb2.Session:
    """Return the session that was told of last."""
    session = session_pb2.Session()
    told = [each for each in await world.events() if each.type == "session.created"]
    assert told[-1].after.Unpack(session)
    return session


async def by_key(world: World, **fields: Any) -> Any:
    return await world.create_session((await world.create_key(USER)).secret, **fields)


async def by_password(world: World, **fields: Any) -> Any:
    ann = Person(world)
    await ann.set_password()
    return await ann.log_in(**fields)


async def by_code(world: World, **fields: Any) -> Any:
    ann = Person(world)
    request = session_service_pb2.CreateSessionRequest(**fields)
    request.mailed_code.mailed_code = await ann.start_login()
    request.mailed_code.login.CopyFrom(login())
    return await world.sessions.CreateSession(request)


async def by_trust(world: World, **fields: Any) -> Any:
    """Bob acts as Ann."""
    await world.hear("user.created", BOB.id, user_message(BOB, "bob"))
    names = ["srn:soracom:OP0000004711::User:bob"]
    document = json.dumps({"statements": [{"effect": "allow", "principal": {"soracom": names}}]})
    policy = trust_policy_pb2.TrustPolicy(user_id=USER.id, document=document, language="call_trust")
    await world.trust.SetTrustPolicy(
        trust_policy_service_pb2.SetTrustPolicyRequest(trust_policy=policy), metadata=world.system
    )
    metadata = (("authorization", f"Bearer {(await world.create_key(BOB)).secret}"),)
    request = trust_policy_service_pb2.AssumeUserRequest(user_id=USER.id, **fields)
    return await world.trust.AssumeUser(request, metadata=metadata)


WAYS = {"key": by_key, "password": by_password, "code": by_code, "trust": by_trust}


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_keeps_what_was_frozen_for_its_principal(world: World, freezer: Freezer, way: str) -> None:
    opened = await WAYS[way](world, freeze_rights=True)

    assert freezer.asked == [(ORGANIZATION, USER)]
    assert opened.session.rights_snapshot_id == "snapshot-1"
    assert await snapshot_of(world, opened.access_token.token) == "snapshot-1"
    told = await created(world)
    assert (told.id, told.rights_snapshot_id) == (opened.session.id, "snapshot-1")


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_frozen_unasked(world: World, freezer: Freezer, way: str) -> None:
    opened = await WAYS[way](world)

    assert (freezer.asked, freezer.rehearsed) == ([], 0)
    assert opened.session.rights_snapshot_id == ""
    assert await snapshot_of(world, opened.access_token.token) == ""


@pytest.mark.parametrize("way", WAYS)
async def test_a_rehearsal_keeps_nothing(world: World, freezer: Freezer, way: str) -> None:
    tried = await WAYS[way](world, freeze_rights=True, validate_only=True)

    assert (freezer.asked, freezer.rehearsed) == ([], 1)
    assert not tried.HasField("access_token")


async def test_each_login_freezes_anew(world: World, freezer: Freezer) -> None:
    key = await world.create_key(APPLICATION)

    first = await world.create_session(key.secret, freeze_rights=True)
    second = await world.create_session(key.secret, freeze_rights=True)

    assert [each.session.rights_snapshot_id for each in (first, second)] == ["snapshot-1", "snapshot-2"]
    assert freezer.asked == [(ORGANIZATION, APPLICATION)] * 2


async def test_a_repeated_request_has_the_session_of_the_first_one(world: World, freezer: Freezer) -> None:
    key, request_id = await world.create_key(APPLICATION), fresh_id()

    answers = [await world.create_session(key.secret, freeze_rights=True, request_id=request_id) for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0].session.rights_snapshot_id == "snapshot-1"


async def test_whoever_proves_nothing_has_nothing_frozen(world: World, freezer: Freezer) -> None:
    ann = Person(world)
    await ann.set_password()

    wrong = await world.refusal(ann.log_in("wrong-Horse-99", freeze_rights=True))
    nobody = await world.refusal(world.create_session("cnc_wrong", freeze_rights=True))

    assert {wrong.reason, nobody.reason} == {Reason.CREDENTIAL_INVALID}
    assert freezer.asked == []


async def test_what_comes_of_a_frozen_session_is_frozen_alike(world: World, freezer: Freezer) -> None:
    oauth = OAuth(world)
    metadata = bearer(await by_key(world, freeze_rights=True))
    party = await oauth.client()

    renewed = await world.sessions.RenewSession(session_service_pb2.RenewSessionRequest(), metadata=metadata)
    got = await oauth.tokens(party, metadata)
    again = await oauth.refresh(party, got.refresh_token.token)

    assert renewed.session.rights_snapshot_id == got.session.rights_snapshot_id == "snapshot-1"
    for answer in (renewed, got, again):
        assert await snapshot_of(world, answer.access_token.token) == "snapshot-1"
    assert len(freezer.asked) == 1


async def test_frozen_rights_live_for_48_hours_however_they_are_passed_on(world: World, freezer: Freezer) -> None:
    oauth = OAuth(world)
    key, party = await world.create_key(USER), await oauth.client()
    two_days = 48 * 3600

    refusal = await world.refusal(
        world.create_session(key.secret, freeze_rights=True, ttl=Duration(seconds=two_days + 1))
    )
    rehearsed = await world.refusal(
        world.create_session(key.secret, freeze_rights=True, ttl=Duration(seconds=two_days + 1), validate_only=True)
    )
    opened = await world.create_session(key.secret, freeze_rights=True, ttl=Duration(seconds=two_days))
    live = await world.create_session(key.secret, ttl=Duration(seconds=two_days + 1))
    got = await oauth.tokens(party, bearer(opened), scope="openid identity.users.list offline_access")
    world.clock.advance(timedelta(hours=47))
    request = session_service_pb2.RenewSessionRequest(ttl=Duration(seconds=two_days))
    renewed = await world.sessions.RenewSession(request, metadata=bearer(opened))
    again = await oauth.refresh(party, got.refresh_token.token)

    assert [[field.field for field in each.violations] for each in (refusal, rehearsed)] == [["ttl"]] * 2
    assert live.session.rights_snapshot_id == ""
    last = opened.session.expire_time
    assert [each.session.expire_time for each in (renewed, got)] == [last, last]
    assert again.access_token.expire_time.seconds <= last.seconds


async def test_where_nobody_freezes_no_session_with_live_rights_is_opened_instead(world: World) -> None:
    ann = Person(world)
    await ann.set_password()
    key = await world.create_key(USER)

    refusals = [
        await world.refusal(ann.log_in(freeze_rights=True)),
        await world.refusal(world.create_session(key.secret, freeze_rights=True)),
    ]

    assert [each.reason for each in refusals] == [Reason.UNAVAILABLE] * 2
    assert not [each for each in await world.events() if each.type == "session.created"]
    # What was shown was right, so it counts as no failure.
    assert await ann.failures() == 0
    assert (await ann.log_in(PASSWORD)).access_token.token


async def test_a_principal_that_is_gone_by_then_is_told_so(world: World, freezer: Freezer) -> None:
    freezer.unknown = True
    key = await world.create_key(USER)

    refusal = await world.refusal(world.create_session(key.secret, freeze_rights=True))

    assert refusal.reason is Reason.PRINCIPAL_DELETED
