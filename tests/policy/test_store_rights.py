"""The store's promises about frozen rights, on both engines."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.policy.model import (
    EVERYONE,
    Effect,
    FrozenSession,
    LocalizedText,
    RightsSnapshot,
    RightsSnapshotId,
    Sources,
)
from concord.policy.sql import SqlPolicyStore
from fakes import ORGANIZATION, OTHER_ORGANIZATION

from .conftest import OWNER, Stored, in_group, new_application, new_user
from .test_store import a_policy, a_statement, born
from .test_store_roles import a_grant, a_role, kept, within

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = START + HOUR
NEVER = START + timedelta(days=365)


def a_session(snapshot: RightsSnapshot | str, principal: PrincipalRef = OWNER, **more: Any) -> FrozenSession:
    facts: dict[str, Any] = {
        "id": SessionId(str(uuid.uuid4())),
        "organization_id": ORGANIZATION,
        "api_key_id": None,
        "expire_time": LATER,
        "snapshot_id": RightsSnapshotId(snapshot if isinstance(snapshot, str) else snapshot.id),
        **more,
    }
    return FrozenSession(principal=principal, **facts)


async def keep(
    both: Stored, sources: Sources, at: datetime = START, organization_id: OrganizationId = ORGANIZATION
) -> RightsSnapshot:
    snapshot = await both.do(lambda store: store.keep_rights(organization_id, sources, at))
    assert isinstance(snapshot, RightsSnapshot)
    return snapshot


async def find(both: Stored, snapshot: RightsSnapshot, organization_id: OrganizationId = ORGANIZATION) -> Any:
    return await both.do(lambda store: store.find_rights(organization_id, snapshot.id))


async def sweep(both: Stored, before: datetime = NEVER) -> int:
    return int(await both.do(lambda store: store.sweep_rights(before)))


def named(name: str) -> Sources:
    return Sources((a_policy(a_statement(), name=name),))


async def test_what_is_kept_comes_back_whole(both: Stored) -> None:
    await born(both)
    group = str(uuid.uuid4())
    included = a_role(permissions=("a.b.*",))
    role = a_role(
        included,
        permissions=("x.y.z",),
        statements=(a_statement(effect=Effect.DENY, condition='request.ip == "192.0.2.1"'),),
        document=' {"a" : "é\\u0000 ☃"}\n',
        name=LocalizedText("n", {"fr": "m"}),
        handle="h",
    )
    policy = a_policy(
        a_statement(parameters={"a": "b"}, source_network="192.0.2.0/24", role_names=("IAMReadOnly",)),
        a_statement(boundary=within("11111111-1111-4111-8111-111111111111")),  # type: ignore[arg-type]
        subject=in_group(group),
        document='{ "é" : 1 }',
    )
    silent = a_policy(subject=EVERYONE, name="")
    grant = a_grant(in_group(group), role, within("11111111-1111-4111-8111-111111111111"))  # type: ignore[arg-type]
    await kept(both, included, role, policy, silent, grant)
    sources = await both.do(lambda store: store.sources_of(ORGANIZATION, [in_group(group), EVERYONE]))

    snapshot = await keep(both, sources)

    assert len(sources.policies) == 2
    assert set(sources.roles) == {role.id, included.id}
    assert await find(both, snapshot) == snapshot == replace(snapshot, sources=sources)


async def test_nothing_can_be_kept_too(both: Stored) -> None:
    snapshot = await keep(both, Sources())

    assert (await find(both, snapshot)).sources == Sources()


async def test_the_same_content_is_kept_once_and_its_time_only_moves_forward(both: Stored) -> None:
    sources, other = named("a"), named("b")

    first = await keep(both, sources, LATER)
    again = await keep(both, sources, START)
    found = await find(both, first)
    later = await keep(both, sources, NEVER)

    assert first.id == again.id == later.id != (await keep(both, other)).id
    assert first.content_hash == again.content_hash
    assert [each.capture_time for each in (first, again, found, later)] == [LATER, LATER, LATER, NEVER]


async def test_another_organization_has_its_own_and_sees_no_other(both: Stored) -> None:
    sources = named("a")
    mine = await keep(both, sources)

    assert await find(both, mine, OTHER_ORGANIZATION) is None
    theirs = await keep(both, sources, organization_id=OTHER_ORGANIZATION)

    assert theirs.id != mine.id
    assert (await find(both, theirs, OTHER_ORGANIZATION)).organization_id == OTHER_ORGANIZATION
    assert await find(both, theirs) is None


async def test_a_snapshot_stays_while_a_session_names_it_and_for_what_was_just_captured(both: Stored) -> None:
    named_one, unnamed, fresh = await keep(both, named("a")), await keep(both, named("b")), await keep(both, named("c"))
    fresh = await keep(both, fresh.sources, LATER)
    await both.do(lambda store: store.put_frozen_session(a_session(named_one, expire_time=NEVER)))

    assert await sweep(both, LATER) == 1
    assert [await find(both, each) is not None for each in (named_one, unnamed, fresh)] == [True, False, True]

    assert await sweep(both, NEVER) == 1
    assert await find(both, named_one) is not None


async def test_sessions_end_by_id_by_principal_by_key_and_by_time(both: Stored) -> None:
    user, key = new_user(), ApiKeyId(str(uuid.uuid4()))
    # The same id as another kind of principal is somebody else.
    twin = PrincipalRef(PrincipalKind.APPLICATION, user.id)
    sessions = {
        "id": a_session("", new_application(), expire_time=NEVER),
        "principal": a_session("", user, expire_time=NEVER),
        "twin": a_session("", twin, expire_time=NEVER),
        "key": a_session("", new_application(), api_key_id=key, expire_time=NEVER),
        "time": a_session("", new_application()),
    }
    snapshots = {name: await keep(both, named(name)) for name in sessions}
    for name, each in sessions.items():
        session = replace(each, snapshot_id=snapshots[name].id)
        await both.do(lambda store, session=session: store.put_frozen_session(session))

    async def left() -> set[str]:
        await sweep(both, LATER + timedelta(seconds=1))
        return {name for name, each in snapshots.items() if await find(both, each) is not None}

    assert await left() == {"id", "principal", "twin", "key"}
    await both.do(lambda store: store.end_frozen_session(OTHER_ORGANIZATION, sessions["id"].id))
    await both.do(lambda store: store.end_frozen_sessions_of(OTHER_ORGANIZATION, user))
    await both.do(lambda store: store.end_frozen_sessions_of_key(OTHER_ORGANIZATION, key))
    assert await left() == {"id", "principal", "twin", "key"}
    await both.do(lambda store: store.end_frozen_session(ORGANIZATION, sessions["id"].id))
    assert await left() == {"principal", "twin", "key"}
    await both.do(lambda store: store.end_frozen_sessions_of(ORGANIZATION, user))
    assert await left() == {"twin", "key"}
    await both.do(lambda store: store.end_frozen_sessions_of_key(ORGANIZATION, key))
    assert await left() == {"twin"}


async def test_a_session_told_of_again_is_the_same_one(both: Stored) -> None:
    snapshot = await keep(both, named("a"))
    session = a_session(snapshot)
    for each in (session, session, replace(session, expire_time=NEVER)):
        await both.do(lambda store, each=each: store.put_frozen_session(each))

    assert await sweep(both, NEVER) == 0
    await both.do(lambda store: store.end_frozen_session(ORGANIZATION, session.id))
    assert await sweep(both, NEVER) == 1


async def test_forgetting_an_organization_forgets_its_own_only(both: Stored) -> None:
    await born(both)
    mine = await keep(both, named("a"))
    theirs = await keep(both, named("a"), organization_id=OTHER_ORGANIZATION)
    await both.do(lambda store: store.put_frozen_session(a_session(mine, expire_time=NEVER)))

    await both.do(lambda store: store.forget_organization(ORGANIZATION))

    assert await find(both, mine) is None
    assert (await find(both, theirs, OTHER_ORGANIZATION)).id == theirs.id
    again = await keep(both, mine.sources)
    assert again.id == mine.id
    # The session went too: nothing names what was kept anew.
    assert await sweep(both, LATER) == 2


async def test_capturing_and_sweeping_at_once_never_loses_what_was_just_captured(both: Stored) -> None:
    sources = named("a")

    async def swept(before: datetime) -> None:
        await both.database.write(None, lambda connection: SqlPolicyStore(connection).sweep_rights(before))

    for day in range(15):
        old = START + timedelta(days=day)
        await keep(both, sources, old)

        snapshot, _ = await asyncio.gather(keep(both, sources, old + 2 * HOUR), swept(old + HOUR))

        assert (await find(both, snapshot)).capture_time == old + 2 * HOUR
