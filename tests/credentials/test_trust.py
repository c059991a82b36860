"""Trust policies and acting as somebody: who may, in which circumstances, for how long, and what ends it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from concord.common.v1.passport_pb2 import Ceiling
from concord.credentials.v1 import (
    api_key_service_pb2,
    session_service_pb2,
)
from concord.identity.v1.organization_pb2 import ORGANIZATION_STATE_SUSPENDED
from concord.identity.v1.user_pb2 import USER_KIND_OWNER, USER_STATE_SUSPENDED
from concord.kernel.errors import Reason
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import instant_to_wire
from credentials.making import OWNER, USER, World, fresh_id, organization_message, principal_message, user_message
from credentials.trust_making import (
    BOB,
    EVE,
    THERE,
    assume,
    caller,
    delete_policy,
    document,
    elsewhere,
    get_policy,
    name_of,
    set_policy,
)
from fakes import ORGANIZATION, OTHER_ORGANIZATION, START


@pytest.fixture
async def people(world: World) -> World:
    """Bob beside Ann, and Eve in another organization."""
    await world.hear("user.created", BOB.id, user_message(BOB, "bob"))
    other = organization_message(id=OTHER_ORGANIZATION, owner_user_id=fresh_id(), number=4712, slug="other", alias="o")
    await elsewhere(world, "organization.created", OTHER_ORGANIZATION, other)
    await elsewhere(world, "user.created", EVE.id, user_message(EVE, "eve", organization_id=OTHER_ORGANIZATION))
    return world


async def test_a_policy_is_shown_as_it_came_and_names_are_bound_to_who_has_them(people: World) -> None:
    text = document(name_of("bob"), name_of("nobody"), name_of("eve", THERE), name_of(""))

    policy = await set_policy(people, USER, text)

    statement = policy.trusted[0]
    assert await get_policy(people, USER) == policy
    assert (policy.document, policy.language, policy.version) == (text, "call_trust", 1)
    bound = {(each.organization_id, each.principal.id) for each in statement.principals}
    assert bound == {(ORGANIZATION, BOB.id), (OTHER_ORGANIZATION, EVE.id), (ORGANIZATION, OWNER.id)}
    assert statement.unknown_names == 1
    assert (await people.events())[-1].type == "trust_policy.set"


async def test_a_trusted_user_acts_as_the_other_and_is_named(people: World) -> None:
    await set_policy(people, USER, document(name_of("bob")))
    key, metadata = await caller(people, BOB)

    opened = await assume(people, metadata, username="ann")

    assert opened.session.principal == principal_message(USER)
    assert opened.session.assumed_by == principal_message(BOB)
    assert opened.session.expire_time == instant_to_wire(START + timedelta(hours=1))
    proved = await people.authenticate(bearer_token=opened.access_token.token)
    assert proved.content.principal == principal_message(USER)
    assert list(proved.content.methods) == ["session", "assumed", "api_key"]
    # The first credential stays good.
    await people.authenticate(bearer_token=key.secret)
    created = (await people.events())[-1]
    assert created.type == "session.created"
    assert opened.access_token.token.encode() not in created.SerializeToString()


async def test_every_refusal_is_the_same_whether_there_is_such_a_user_or_not(people: World) -> None:
    await set_policy(people, USER, document(name_of("bob"), name_of("ann")))
    await set_policy(people, BOB, document(name_of("bob")))
    _, as_bob = await caller(people, BOB)
    _, as_ann = await caller(people, USER)
    _, as_root = await caller(people, OWNER)

    refusals = [
        await people.refusal(assume(people, as_root, username="ann")),
        await people.refusal(assume(people, as_bob, username="nobody")),
        await people.refusal(assume(people, as_bob, user_id=fresh_id())),
        await people.refusal(assume(people, as_bob, username="root")),
        await people.refusal(assume(people, as_bob, user_id=EVE.id, organization_id=OTHER_ORGANIZATION)),
        await people.refusal(assume(people, as_bob, user_id=USER.id, organization_id=fresh_id())),
        await people.refusal(assume(people, as_bob, username="ann", organization_number=4712)),
        await people.refusal(assume(people, as_bob, username="ann", organization_number=99)),
        await people.refusal(assume(people, as_bob, username="bob")),
        await people.refusal(assume(people, as_ann, username="ann")),
        await people.refusal(assume(people, as_bob, username="ann@acme.example")),
    ]

    assert {(each.reason, each.message) for each in refusals} == {(Reason.INVALID_STATE, refusals[0].message)}
    await assume(people, as_bob, username="ann")


async def test_the_owner_is_never_acted_as(people: World) -> None:
    refused = await people.refusal(set_policy(people, OWNER, document(name_of("bob"))))
    # A policy made before its user became the owner opens nothing either.
    await set_policy(people, USER, document(name_of("bob")))
    await people.hear("user.updated", USER.id, user_message(USER, "ann", kind=USER_KIND_OWNER))
    _, metadata = await caller(people, BOB)

    assert refused.reason is Reason.OWNER_PROTECTED
    assert (await people.refusal(assume(people, metadata, username="ann"))).reason is Reason.INVALID_STATE


async def test_a_user_of_another_organization_crosses_over_where_both_agree(people: World) -> None:
    await set_policy(people, USER, document(name_of("eve", THERE)))
    eve = await people.keys.CreateApiKey(
        api_key_service_pb2.CreateApiKeyRequest(api_key={"bearer": principal_message(EVE)}),
        metadata=(("authorization", f"Bearer {people.token('system', OTHER_ORGANIZATION)()}"),),
    )
    as_eve = (("authorization", f"Bearer {eve.secret}"),)

    opened = await assume(people, as_eve, username="ann", organization_number=4711)

    assert opened.session.organization_id == ORGANIZATION
    assert opened.session.assumed_by == principal_message(EVE)
    assert (await people.refusal(assume(people, as_eve, username="ann"))).reason is Reason.INVALID_STATE
    await elsewhere(
        people,
        "organization.suspended",
        OTHER_ORGANIZATION,
        organization_message(
            id=OTHER_ORGANIZATION, number=4712, slug="other", alias="o", state=ORGANIZATION_STATE_SUSPENDED
        ),
    )
    ended = await people.refusal(people.authenticate(bearer_token=opened.access_token.token))
    assert ended.reason is Reason.CREDENTIAL_REVOKED
    told = [each for each in await people.events() if each.type == "session.ended"]
    assert [each.organization_id for each in told] == [ORGANIZATION]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("currentDate >= date(2025, 01, 01)", True),
        ("currentDate >= date(2031, 01, 01)", False),
        ("samUserName == 'bob'", True),
        ("samUserName == 'ann'", False),
        ("ipAddress('10.0.0.0/8')", False),
        ("currentDate == 'never'", False),
    ],
)
async def test_the_condition_is_looked_at_when_somebody_switches(people: World, condition: str, holds: bool) -> None:
    await set_policy(people, USER, document(name_of("bob"), condition=condition))
    _, metadata = await caller(people, BOB)

    if holds:
        await assume(people, metadata, username="ann")
    else:
        assert (await people.refusal(assume(people, metadata, username="ann"))).reason is Reason.INVALID_STATE


async def test_kb36_a_name_that_somebody_else_gets_is_not_trusted(people: World) -> None:
    await set_policy(people, USER, document(name_of("bob")))
    await people.hear("user.deleted", BOB.id)
    again = PrincipalRef(PrincipalKind.USER, fresh_id())
    await people.hear("user.created", again.id, user_message(again, "bob"))
    _, metadata = await caller(people, again)

    refused = await people.refusal(assume(people, metadata, username="ann"))
    await set_policy(people, USER, document(name_of("bob")))

    assert refused.reason is Reason.INVALID_STATE
    await assume(people, metadata, username="ann")


async def test_from_a_switched_session_one_switches_on_where_the_one_it_acts_as_is_trusted(people: World) -> None:
    await set_policy(people, USER, document(name_of("bob")))
    carol = PrincipalRef(PrincipalKind.USER, fresh_id())
    await people.hear("user.created", carol.id, user_message(carol, "carol"))
    await set_policy(people, carol, document(name_of("ann")))
    await set_policy(people, BOB, document(name_of("carol")))
    _, as_bob = await caller(people, BOB)
    first = await assume(people, as_bob, username="ann")
    as_ann = (("authorization", f"Bearer {first.access_token.token}"),)

    second = await assume(people, as_ann, username="carol")
    as_carol = (("authorization", f"Bearer {second.access_token.token}"),)
    back = await people.refusal(assume(people, as_carol, username="bob"))
    await people.hear("user.suspended", BOB.id, user_message(BOB, "bob", state=USER_STATE_SUSPENDED))

    assert second.session.assumed_by == principal_message(USER)
    assert back.reason is Reason.INVALID_STATE
    for each in (first, second):
        refused = await people.refusal(people.authenticate(bearer_token=each.access_token.token))
        assert refused.reason is Reason.CREDENTIAL_REVOKED


@pytest.mark.parametrize(
    "ending",
    ["policy", "delete caller", "suspend caller", "delete user", "suspend user", "revoke caller", "revoke", "key"],
)
async def test_kb31_acting_as_somebody_ends_with_either_of_them(people: World, ending: str) -> None:
    await set_policy(people, USER, document(name_of("bob")))
    key, metadata = await caller(people, BOB)
    opened = await assume(people, metadata, username="ann")
    await people.authenticate(bearer_token=opened.access_token.token)

    match ending:
        case "policy":
            await delete_policy(people, USER)
        case "delete caller":
            await people.hear("user.deleted", BOB.id)
        case "suspend caller":
            await people.hear("user.suspended", BOB.id, user_message(BOB, "bob", state=USER_STATE_SUSPENDED))
        case "delete user":
            await people.hear("user.deleted", USER.id)
        case "suspend user":
            await people.hear("user.suspended", USER.id, user_message(USER, "ann", state=USER_STATE_SUSPENDED))
        case "revoke caller":
            request = session_service_pb2.RevokeAllSessionsRequest(principal=principal_message(BOB))
            await people.sessions.RevokeAllSessions(request, metadata=people.system)
        case "revoke":
            revoke = session_service_pb2.RevokeSessionRequest(id=opened.session.id)
            await people.sessions.RevokeSession(revoke, metadata=people.system)
        case _:
            delete = api_key_service_pb2.DeleteApiKeyRequest(id=key.api_key.id)
            await people.keys.DeleteApiKey(delete, metadata=people.system)

    refused = await people.refusal(people.authenticate(bearer_token=opened.access_token.token))
    assert refused.reason in (Reason.CREDENTIAL_REVOKED, Reason.PRINCIPAL_DELETED, Reason.PRINCIPAL_SUSPENDED)


async def test_a_policy_goes_with_its_user_and_is_not_there_for_the_next_of_that_name(people: World) -> None:
    await set_policy(people, USER, document(name_of("bob")))

    await people.hear("user.deleted", USER.id)

    assert (await people.refusal(get_policy(people, USER))).reason is Reason.RESOURCE_NOT_FOUND
    assert "trust_policy.deleted" in [each.type for each in await people.events()]


async def test_whoever_is_limited_stays_limited(people: World) -> None:
    await set_policy(people, USER, document(name_of("bob")))
    _, metadata = await caller(people, BOB, ceiling=Ceiling(scopes=["read"]))

    opened = await assume(people, metadata, username="ann")

    assert list(opened.session.ceiling.scopes) == ["read"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"username": "ann", "ttl": Duration(seconds=3601)}, "ttl"),
        ({"username": "ann", "ttl": Duration(seconds=0)}, "ttl"),
        ({"username": "ann", "ttl": Duration(seconds=-5)}, "ttl"),
        ({}, "user"),
        ({"user_id": "x"}, "user_id"),
        ({"username": "n" * 257}, "username"),
        ({"username": "ann", "organization_id": "x"}, "organization_id"),
        ({"username": "ann", "organization_number": -1}, "organization_number"),
    ],
)
async def test_a_bad_request_to_switch_is_told_which_field(people: World, fields: Any, field: str) -> None:
    await set_policy(people, USER, document(name_of("bob")))
    _, metadata = await caller(people, BOB)

    error: Any = await people.refusal(assume(people, metadata, **fields))

    assert error.reason is Reason.INVALID_FIELDS
    assert error.violations[0].field == field


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"statements": [{"effect": "deny", "principal": {"soracom": ["srn:soracom:OP0000004711::User:bob"]}}]}',
        '{"statements": [{"effect": "allow", "principal": {"soracom": ["srn:soracom:OP0000004711::User:*"]}}]}',
        '{"statements": [{"effect": "allow", "principal": {}}]}',
        document(name_of("bob"), condition="currentDate >="),
        "{" + " " * 70_000 + "}",
    ],
    ids=range(8),
)
async def test_a_document_that_is_not_understood_is_refused_and_changes_nothing(people: World, text: str) -> None:
    good = await set_policy(people, USER, document(name_of("bob")))

    error = await people.refusal(set_policy(people, USER, text))

    assert error.reason in (Reason.INVALID_DOCUMENT, Reason.INVALID_FIELDS)
    assert await get_policy(people, USER) == good


async def test_an_unknown_language_user_or_etag_is_refused(people: World) -> None:
    text = document(name_of("bob"))
    await set_policy(people, USER, text)

    language = await people.refusal(set_policy(people, USER, text, language="role_rules"))
    etag = await people.refusal(set_policy(people, USER, text, etag="7"))
    stranger = await people.refusal(set_policy(people, EVE, text))
    unset = await people.refusal(delete_policy(people, BOB))

    assert (language.reason, etag.reason) == (Reason.INVALID_FIELDS, Reason.ETAG_MISMATCH)
    assert stranger.reason in (Reason.RESOURCE_NOT_FOUND, Reason.UNAVAILABLE)
    assert unset.reason is Reason.RESOURCE_NOT_FOUND


async def test_a_switch_that_is_only_checked_opens_nothing(people: World) -> None:
    await set_policy(people, USER, document(name_of("bob")))
    _, metadata = await caller(people, BOB)

    tried = await assume(people, metadata, username="ann", validate_only=True)

    assert not tried.access_token.token
    listed = await people.sessions.ListSessions(session_service_pb2.ListSessionsRequest(), metadata=people.system)
    assert list(listed.sessions) == []


async def test_while_a_policy_is_taken_away_no_switch_slips_through(people: World) -> None:
    await set_policy(people, USER, document(name_of("bob")))
    _, metadata = await caller(people, BOB)

    answers = await asyncio.gather(
        *(assume(people, metadata, username="ann") for _ in range(25)),
        delete_policy(people, USER),
        *(assume(people, metadata, username="ann") for _ in range(25)),
        return_exceptions=True,
    )

    opened = [each for each in answers if hasattr(each, "access_token")]
    for each in opened:
        refused = await people.refusal(people.authenticate(bearer_token=each.access_token.token))
        assert refused.reason is Reason.CREDENTIAL_REVOKED
    assert len(opened) < 50
