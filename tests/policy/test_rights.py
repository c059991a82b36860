"""Rights that are frozen at a login: what stays as it was, what does not, and how long it is kept."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from concord.credentials.v1.session_pb2 import Session
from concord.groups.v1.group_pb2 import Group
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.user_pb2 import USER_KIND_OWNER, User, UserState
from concord.kernel.errors import NotFound, Reason, Unauthenticated, Unavailable
from concord.kernel.principal import Author, PrincipalKind, PrincipalRef, TargetClass
from concord.kernel.rpc.authentication import FixedKeys, PassportSigner, PassportVerifier, mint_service_token
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.steps import Steps
from concord.kernel.rpc.wire import instant_to_wire, principal_to_wire
from concord.policy import wire
from concord.policy.handlers.rights import RightsSnapshotHandlers
from concord.policy.model import EVERYONE, NOBODY, Effect, RightsSnapshotId
from concord.policy.operations.grants import delete_grant
from concord.policy.operations.inline_policies import set_inline_policy
from concord.policy.operations.policies import Patch, delete_policy, set_statements, update_policy
from concord.policy.operations.rights import PATIENCE, capture_rights
from concord.policy.operations.roles import RolePatch, update_role
from concord.policy.rights_sweeping import RightsSweeper
from concord.policy.server import MIGRATIONS
from concord.policy.sql import METADATA, SqlPolicyStore
from concord.policy.sql.tables import frozen_session, rights_snapshot
from concord.policy.v1 import decision_service_pb2 as ds
from concord.policy.v1 import explanation_pb2 as e
from concord.policy.v1.rights_snapshot_service_pb2 import CaptureRightsRequest
from concord.policy.v1.rights_snapshot_service_pb2_grpc import (
    RightsSnapshotServiceStub,
    add_RightsSnapshotServiceServicer_to_server,
)
from fakes import ORGANIZATION, OTHER_ORGANIZATION, open_units

from .conftest import (
    OWNER,
    World,
    allow,
    deleted,
    epoch_event,
    event,
    in_group,
    key_event,
    made,
    new_user,
    session_event,
)
from .decision_world import Asking, about, failure_of, fields_of
from .test_handlers import OneKey

GET, LIST = "identity.users.get", "identity.users.list"
LIST_OWN = "policy.own_subject_permissions.list"
HOUR = timedelta(hours=1)


async def capture(world: World, principal: PrincipalRef) -> str:
    """Freeze the rights of a principal, as a login does."""
    return str((await world.do(lambda unit: capture_rights(unit, principal))).id)


async def may(world: World, principal: PrincipalRef, snapshot: str, *permissions: str, **passport: Any) -> list[bool]:
    """What a session with these frozen rights may do; with an empty snapshot, one with live rights."""
    frozen = {"rights_snapshot_id": snapshot, **passport}
    return [await world.allows(principal, each, passport=frozen) for each in permissions]


async def counts(world: World) -> tuple[int, int]:
    """How many snapshots there are, and how many sessions that name one."""
    queries = [select(func.count()).select_from(table) for table in (rights_snapshot, frozen_session)]
    first, second = await world.units.database.read(
        lambda connection: tuple(connection.execute(query).scalar() or 0 for query in queries)
    )
    return first, second


def opened(world: World, principal: PrincipalRef, snapshot: str, **more: Any) -> Any:
    """What credentials tell of a session that names a snapshot."""
    facts = {"id": str(uuid.uuid4()), "lasts": HOUR, "type": "session.created", **more}
    lasts, type_ = facts.pop("lasts"), facts.pop("type")
    session = Session(
        principal=principal_to_wire(principal),
        rights_snapshot_id=snapshot,
        expire_time=instant_to_wire(world.clock.now() + lasts),
        **facts,
    )
    return event(type_, session)


async def sweep(world: World) -> int:
    return await RightsSweeper(world.units, world.clock, world.catch_up).sweep()


# what is frozen ---------------------------------------------------------------------------------------------------


async def _detach(world: World, held: Any) -> None:
    await world.do(lambda unit: update_policy(unit, held.policy.id, Patch(subject=NOBODY)))


async def _replace(world: World, held: Any) -> None:
    await world.do(lambda unit: set_statements(unit, held.policy.id, [allow("groups.groups.get")]))


async def _delete(world: World, held: Any) -> None:
    await world.do(lambda unit: delete_policy(unit, held.policy.id))


async def _leave(world: World, held: Any) -> None:
    await world.leave(held.group, held.user)


async def _drop_group(world: World, held: Any) -> None:
    await world.apply("groups", deleted("group", held.group, Group))


async def _deny_everyone(world: World, held: Any) -> None:
    await world.policy(EVERYONE, replace(allow(GET), effect=Effect.DENY))


async def _inline_deny(world: World, held: Any) -> None:
    deny = replace(allow(GET), effect=Effect.DENY)
    await world.do(lambda unit: set_inline_policy(unit, EVERYONE, language="statements", statements=[deny]))


async def _gain(world: World, held: Any) -> None:
    await world.policy(held.user, allow("identity.users.delete"))


class Held:
    """A user with a right through the policy of a group, and one by a granted role."""

    user: PrincipalRef
    group: str
    policy: Any
    role: Any
    grant: Any


@pytest.fixture
async def held(world: World) -> Held:
    held = Held()
    held.user = await world.user()
    held.group = await world.group(held.user)
    held.policy = await world.policy(in_group(held.group), allow(GET))
    held.role = await world.role(LIST)
    held.grant = await world.grant(held.user, held.role)
    return held


async def _change_role(world: World, held: Any) -> None:
    patch = RolePatch({"permissions": ("groups.groups.get",)})
    await world.do(lambda unit: update_role(unit, held.role.id, patch))


async def _ungrant(world: World, held: Any) -> None:
    await world.do(lambda unit: delete_grant(unit, held.grant.id))


CHANGES: dict[str, Callable[[World, Any], Any]] = {
    "a policy is detached": _detach,
    "a policy says something else": _replace,
    "a policy is deleted": _delete,
    "the user leaves the group": _leave,
    "the group is deleted": _drop_group,
    "everyone is denied": _deny_everyone,
    "everyone is denied inline": _inline_deny,
    "the user gains a right": _gain,
    "a role says something else": _change_role,
    "a grant is deleted": _ungrant,
}
ASKED = (GET, LIST, "identity.users.delete")
BEFORE = [True, True, False]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("asked_before", [True, False])
async def test_a_change_reaches_the_next_login_and_not_this_one(
    world: World, held: Held, change: str, asked_before: bool
) -> None:
    old = await capture(world, held.user)
    if asked_before:
        # So that what is kept in memory is there to go wrong.
        assert await may(world, held.user, old, *ASKED) == await may(world, held.user, "", *ASKED) == BEFORE

    await CHANGES[change](world, held)
    new = await capture(world, held.user)

    assert await may(world, held.user, old, *ASKED) == BEFORE
    assert await may(world, held.user, new, *ASKED) == await may(world, held.user, "", *ASKED) != BEFORE
    assert old != new


async def test_a_change_by_another_process_does_not_reach_this_login_either(
    world: World, held: Held, tmp_path: Path
) -> None:
    async with open_units(
        tmp_path, METADATA, SqlPolicyStore, wire.snapshot, service="policy", clock=world.clock, migrations=MIGRATIONS
    ) as elsewhere:
        there = replace(world, units=elsewhere)
        # Frozen here, never heard of there.
        old = await capture(world, held.user)
        assert await may(there, held.user, old, *ASKED) == BEFORE
        await _replace(there, held)
        await _ungrant(there, held)
        new = await capture(there, held.user)

        assert await may(world, held.user, old, *ASKED) == await may(there, held.user, old, *ASKED) == BEFORE
        assert await may(world, held.user, new, *ASKED) == await may(there, held.user, new, *ASKED) == [False] * 3


async def test_those_with_the_same_sources_share_one_snapshot_and_one_program(world: World) -> None:
    first, second, third = await world.user(), await world.user(), await world.user()
    group = await world.group(first, second)
    await world.policy(in_group(group), allow(GET))
    await world.policy(third, allow(GET))

    one, two, other = await capture(world, first), await capture(world, second), await capture(world, third)
    again = await capture(world, first)
    entries = [
        await world.programs.find(ORGANIZATION, user, snapshot) for user, snapshot in ((first, one), (second, two))
    ]

    assert one == two == again != other
    assert (await counts(world))[0] == 2
    assert entries[0] is not None
    assert entries[1] is not None
    assert entries[0].program is entries[1].program


async def test_a_snapshot_returns_when_what_it_holds_is_so_again(world: World) -> None:
    user = await world.user()
    before = await capture(world, user)
    policy = await world.policy(user, allow(GET))

    between = await capture(world, user)
    await world.do(lambda unit: delete_policy(unit, policy.id))

    assert await capture(world, user) == before != between


# what is not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["suspension", "deletion", "session", "epoch", "organization"])
async def test_whoever_ended_has_no_rights_however_frozen(world: World, held: Held, ending: str) -> None:
    snapshot, session = await capture(world, held.user), str(uuid.uuid4())
    assert await may(world, held.user, snapshot, GET, session_id=session) == [True]

    match ending:
        case "suspension":
            await world.suspend(held.user)
        case "deletion":
            await world.apply("identity", deleted("user", held.user.id, User))
        case "session":
            await world.apply("credentials", session_event(session, held.user))
        case "epoch":
            await world.apply("credentials", epoch_event(held.user, world.clock.now()))
        case "organization":
            gone = Organization(id=ORGANIZATION, owner_user_id=OWNER.id)
            await world.apply("identity", event("organization.deleted", gone, gone=True))

    with pytest.raises(Unauthenticated):
        await may(world, held.user, snapshot, GET, session_id=session)


async def test_conditions_and_the_ceiling_are_those_of_the_call(world: World) -> None:
    user = await world.user()
    await world.policy(user, allow(GET, condition='inIpRange(request.ip, "192.0.2.0/24")'), allow(LIST))
    snapshot = await capture(world, user)

    inside = await may(world, user, snapshot, GET, LIST, caller_address="192.0.2.7")
    outside = await may(world, user, snapshot, GET, LIST, caller_address="198.51.100.7")
    lowered = await may(world, user, snapshot, GET, LIST, caller_address="192.0.2.7", ceiling=(GET,))

    assert (inside, outside, lowered) == ([True, True], [False, True], [True, False])


async def test_the_owner_is_the_owner_and_whoever_is_it_no_longer_has_what_was_frozen(world: World) -> None:
    await world.policy(OWNER, allow(GET))
    snapshot = await capture(world, OWNER)
    assert await may(world, OWNER, snapshot, GET, LIST) == [True, True]

    # A deny of somebody else's does not lock the owner out, be it frozen or not.
    await world.policy(EVERYONE, replace(allow("*"), effect=Effect.DENY))
    later = await capture(world, OWNER)
    assert await may(world, OWNER, later, GET, LIST) == [True, True]

    member = User(id=OWNER.id, username="owner", state=UserState.USER_STATE_ACTIVE)
    await world.apply("identity", event("user.updated", member))
    assert await may(world, OWNER, snapshot, GET, LIST) == [True, False]

    await world.apply("identity", event("user.updated", User(id=OWNER.id, kind=USER_KIND_OWNER, username="owner")))
    assert await may(world, OWNER, snapshot, GET, LIST) == [True, True]


@pytest.mark.parametrize("principal", ["owner", "member"])
async def test_a_snapshot_that_is_unknown_or_of_another_organization_is_no_right_at_all(
    world: World, held: Held, principal: str
) -> None:
    whoever = OWNER if principal == "owner" else held.user
    foreign = (
        await world.units.system(
            OTHER_ORGANIZATION,
            lambda unit: unit.store.keep_rights(
                OTHER_ORGANIZATION, unit.store.sources_of(ORGANIZATION, [in_group(held.group)]), unit.now
            ),
            Author(),
        )
    ).id

    for unknown in (foreign, str(uuid.uuid4()), "x", "' or 1=1 --", "\u00e9" * 300):
        assert await may(world, whoever, unknown, GET) == [False]
        own = world.question(
            whoever, "policy.decisions.check", classes=(TargetClass.OWN,), passport={"rights_snapshot_id": unknown}
        )
        assert not (await world.authorizer.authorize(own)).allowed
    assert await may(world, whoever, "", GET) == [True]


# what is kept in memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen_first", [True, False])
async def test_kb01_a_frozen_session_and_a_live_one_never_share_an_answer(world: World, frozen_first: bool) -> None:
    user = await world.user()
    await world.policy(user, allow(LIST_OWN))
    policy = await world.policy(user, allow(GET))
    old = await capture(world, user)
    await world.do(lambda unit: set_statements(unit, policy.id, [allow(LIST)]))
    new = await capture(world, user)
    sessions = [old, "", new] if frozen_first else ["", new, old]
    asking = Asking(world)

    answers: dict[str, list[Any]] = {}
    checked: dict[str, set[bool]] = {}
    listed: dict[str, set[frozenset[str]]] = {}
    for snapshot in (*sessions, *sessions, *reversed(sessions)):
        answers.setdefault(snapshot, []).append(await may(world, user, snapshot, GET, LIST))
        passport = asking.by(user, rights_snapshot_id=snapshot)
        for check in (about(None, GET), about(user, GET)):
            checked.setdefault(snapshot, set()).add(
                (await asking.stub.Check(ds.CheckRequest(check=check), **passport)).allowed
            )
        batch = ds.BatchCheckRequest(checks=[about(None, GET), about(user, LIST)])
        both = [each.allowed for each in (await asking.stub.BatchCheck(batch, **passport)).decisions]
        assert both == answers[snapshot][-1]
        wanted = ds.ListPermissionsRequest(resource_types=["identity.users"])
        page = await asking.stub.ListPermissions(wanted, **passport)
        listed.setdefault(snapshot, set()).add(frozenset(each.permission for each in page.permissions))

    assert all(each == [True, False] for each in answers[old])
    assert all(each == [False, True] for snapshot in ("", new) for each in answers[snapshot])
    assert checked == {old: {True}, "": {False}, new: {False}}
    assert all(len(each) == 1 for each in listed.values())
    assert GET in next(iter(listed[old]))
    assert GET not in next(iter(listed[""]))


async def test_others_are_seen_as_they_are_now(world: World) -> None:
    user, other = await world.user(), await world.user()
    await world.policy(user, allow("policy.decisions.check"))
    policy = await world.policy(other, allow(GET))
    snapshot = await capture(world, user)
    asking = Asking(world)
    passport = asking.by(user, rights_snapshot_id=snapshot)
    check = ds.CheckRequest(check=about(other, GET))
    assert (await asking.stub.Check(check, **passport)).allowed

    await world.do(lambda unit: delete_policy(unit, policy.id))

    assert not (await asking.stub.Check(check, **passport)).allowed


async def test_a_page_of_permissions_does_not_go_on_with_other_rights(world: World, held: Held) -> None:
    await world.policy(held.user, allow(LIST_OWN))
    snapshot = await capture(world, held.user)
    asking = Asking(world)
    request = ds.ListPermissionsRequest(page_size=1)
    first = await asking.stub.ListPermissions(request, **asking.by(held.user, rights_snapshot_id=snapshot))
    request.page_token = first.next_page_token

    refusal = await failure_of(asking.stub.ListPermissions(request, **asking.by(held.user)))

    assert refusal.reason is Reason.INVALID_PAGE_TOKEN


async def test_an_explanation_tells_of_what_was_frozen(world: World) -> None:
    user = await world.user()
    policy = await world.policy(user, allow(GET), allow("policy.own_decisions.explain"))
    snapshot = await capture(world, user)
    await world.do(lambda unit: delete_policy(unit, policy.id))
    asking = Asking(world)
    passport = asking.by(user, rights_snapshot_id=snapshot)

    allowed = await asking.stub.Explain(ds.ExplainRequest(check=about(None, GET)), **passport)
    refused = await asking.stub.Explain(ds.ExplainRequest(check=about(None, LIST)), **passport)

    assert allowed.reason == e.EXPLANATION_REASON_ALLOWED
    assert [source.id for each in allowed.sets for source in each.sources if source.id == policy.id]
    # What would change the answer is another login, which nobody can be offered here.
    assert refused.reason == e.EXPLANATION_REASON_RIGHTS_FROZEN
    assert not refused.repairs


# capturing --------------------------------------------------------------------------------------------------------


async def test_capturing_amid_changes_never_mixes_two_states(world: World) -> None:
    user = await world.user()
    policies = [await world.policy(user, allow("shop.orders0.get")) for _ in range(3)]

    def say(number: int) -> Any:
        def operation(unit: Any) -> None:
            for each in policies:
                set_statements(unit, each.id, [allow(f"shop.orders{number}.get")])

        return operation

    async def changes() -> None:
        for number in range(1, 20):
            await world.do(say(number))

    async def captures() -> list[str]:
        return [await capture(world, user) for _ in range(20)]

    _, *found = await asyncio.gather(changes(), captures(), captures())
    ids = {each for part in found for each in part}
    snapshots = [
        await world.ask(lambda store, each=each: store.find_rights(ORGANIZATION, RightsSnapshotId(each)))  # type: ignore[misc]
        for each in ids
    ]

    assert len(ids) > 1
    for snapshot in snapshots:
        said = {statement.permissions for each in snapshot.sources.policies for statement in each.statements}
        assert len(said) == 1


@pytest.fixture
def calling(world: World) -> Any:
    """Return what captures over the chain, as the service of sessions or as a principal."""
    role_key, passport_key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    roles = FixedKeys({"credentials": role_key.public_key()})
    verifier = PassportVerifier(OneKey(passport_key.public_key()), roles, world.clock, capacity=100)
    server = InProcessServer(Steps(verifier, None, world.authorizer).chain())
    add_RightsSnapshotServiceServicer_to_server(RightsSnapshotHandlers(world.units), server)
    stub: Any = RightsSnapshotServiceStub(InProcessChannel(server))

    def call(
        subject: PrincipalRef | None,
        organization_id: str = ORGANIZATION,
        by: PrincipalRef | None = None,
        **more: Any,
    ) -> Any:
        if by is None:
            token = mint_service_token("credentials", role_key, None, clock=world.clock)
        else:
            token = PassportSigner("k", passport_key).sign(world.passport(by))
        whose = None if subject is None else principal_to_wire(subject)
        request = CaptureRightsRequest(organization_id=organization_id, subject=whose, **more)
        return stub.CaptureRights(request, metadata=(("authorization", f"Bearer {token}"),))

    return call


async def test_the_service_of_sessions_captures_and_nobody_else_does(world: World, held: Held, calling: Any) -> None:
    snapshot = await calling(held.user)
    refused = [await failure_of(calling(held.user, by=each)) for each in (OWNER, held.user)]

    assert await may(world, held.user, snapshot.id, *ASKED) == BEFORE
    assert snapshot.organization_id == ORGANIZATION
    assert len(snapshot.content_hash) == 64
    assert {each.reason for each in refused} == {Reason.SERVICE_ONLY}
    assert (await counts(world))[0] == 1


async def test_a_rehearsed_capture_keeps_nothing(world: World, held: Held, calling: Any) -> None:
    rehearsed = await calling(held.user, validate_only=True)

    assert (await counts(world))[0] == 0
    assert await may(world, held.user, rehearsed.id, GET) == [False]
    assert (await calling(held.user)).id == rehearsed.id


async def test_a_principal_made_a_moment_ago_is_waited_for(world: World, calling: Any) -> None:
    user = new_user()
    world.arriving.append(lambda: world.user(user))

    assert (await calling(user)).id


async def test_a_capture_of_nobody_is_refused_and_keeps_nothing(world: World, held: Held, calling: Any) -> None:
    service = PrincipalRef(PrincipalKind.SERVICE, "gateway")
    unknown = [await failure_of(calling(held.user, OTHER_ORGANIZATION)), await failure_of(calling(new_user()))]
    wrong = [
        await failure_of(calling(held.user, "nonsense")),
        await failure_of(calling(None)),
        await failure_of(calling(service)),
    ]

    assert {each.reason for each in unknown} == {Reason.RESOURCE_NOT_FOUND}
    assert [fields_of(each) for each in wrong] == [["organization_id"], ["subject"], ["subject"]]
    assert await counts(world) == (0, 0)


async def test_whoever_is_unknown_has_nothing_to_freeze(world: World) -> None:
    with pytest.raises(NotFound):
        await capture(world, new_user())
    assert await counts(world) == (0, 0)


# how long ---------------------------------------------------------------------------------------------------------


async def test_a_snapshot_goes_with_the_last_session_that_names_it(world: World, held: Held) -> None:
    second = await world.user()
    await world.join(held.group, second)
    await world.do(lambda unit: delete_grant(unit, held.grant.id))
    snapshot = await capture(world, held.user)
    assert await capture(world, second) == snapshot
    mine, others = opened(world, held.user, snapshot), opened(world, second, snapshot)
    await world.apply("credentials", mine, others)
    world.clock.advance(PATIENCE * 2)

    assert await sweep(world) == 0
    await world.apply("credentials", session_event(mine.resource_id, held.user))
    assert await sweep(world) == 0
    assert await may(world, second, snapshot, GET) == [True]
    await world.apply("credentials", session_event(others.resource_id, second))
    assert await sweep(world) == 1

    assert await counts(world) == (0, 0)


@pytest.mark.parametrize("ending", ["epoch", "key", "expiry"])
async def test_whatever_ends_a_session_lets_its_snapshot_go(world: World, held: Held, ending: str) -> None:
    key = str(uuid.uuid4())
    snapshot = await capture(world, held.user)
    await world.apply("credentials", opened(world, held.user, snapshot, api_key_id=key))
    world.clock.advance(PATIENCE * 2)
    assert await sweep(world) == 0

    match ending:
        case "epoch":
            await world.apply("credentials", epoch_event(held.user, world.clock.now()))
        case "key":
            await world.apply("credentials", key_event("api_key.deleted", key, held.user))
        case "expiry":
            world.clock.advance(HOUR)

    assert await sweep(world) == 1
    assert await counts(world) == (0, 0)


async def test_a_renewed_session_and_one_that_hangs_on_another_keep_the_snapshot(world: World, held: Held) -> None:
    snapshot = await capture(world, held.user)
    login = opened(world, held.user, snapshot)
    await world.apply("credentials", login)
    world.clock.advance(HOUR - timedelta(minutes=1))
    longer = opened(world, held.user, snapshot, id=login.resource_id, type="session.renewed", lasts=5 * HOUR)
    await world.apply("credentials", longer)
    world.clock.advance(4 * HOUR)
    assert await sweep(world) == 0

    # Opened through the first one, without another capture, and living on without it.
    child = opened(world, held.user, snapshot)
    await world.apply("credentials", child, session_event(login.resource_id, held.user))
    assert await sweep(world) == 0

    await world.apply("credentials", session_event(child.resource_id, held.user))
    assert await sweep(world) == 1


async def test_what_no_session_ever_named_goes_once_no_login_can_still_name_it(world: World, held: Held) -> None:
    snapshot = await capture(world, held.user)
    world.clock.advance(PATIENCE - timedelta(minutes=1))
    assert await sweep(world) == 0
    # Somebody else is at the door with the same rights.
    assert await capture(world, held.user) == snapshot
    world.clock.advance(PATIENCE - timedelta(minutes=1))
    assert await sweep(world) == 0

    world.clock.advance(timedelta(minutes=2))

    assert await sweep(world) == 1


async def test_a_session_that_is_heard_of_late_is_waited_for(world: World, held: Held) -> None:
    snapshot = await capture(world, held.user)
    session = opened(world, held.user, snapshot, lasts=24 * HOUR)
    world.clock.advance(HOUR)
    world.arriving.append(lambda: world.apply("credentials", session))

    assert await sweep(world) == 0
    assert await may(world, held.user, snapshot, GET) == [True]


async def test_while_sessions_are_unknown_nothing_is_swept(world: World, held: Held) -> None:
    await capture(world, held.user)
    world.clock.advance(HOUR)

    async def lost() -> None:
        raise Unavailable("changes have not all arrived yet")

    with pytest.raises(Unavailable):
        await RightsSweeper(world.units, world.clock, lost).sweep()

    assert await counts(world) == (1, 0)


async def test_sessions_with_live_rights_keep_nothing(world: World, held: Held) -> None:
    await world.apply("credentials", opened(world, held.user, ""), made("session", Session(id=str(uuid.uuid4()))))

    assert await counts(world) == (0, 0)


async def test_an_organization_that_is_deleted_leaves_nothing_behind(world: World, held: Held) -> None:
    snapshot = await capture(world, held.user)
    await world.apply("credentials", opened(world, held.user, snapshot))
    assert await counts(world) == (1, 1)

    await world.apply("identity", event("organization.deleted", Organization(id=ORGANIZATION), gone=True))

    assert await counts(world) == (0, 0)
