"""Every single change there is, made with the real operations in a real store, decided on, and undone."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from concord.kernel.errors import ConcordError
from concord.kernel.ids import GroupId, PolicyId
from concord.kernel.principal import Author
from concord.kernel.units import Unit
from concord.policy.checks import Check
from concord.policy.checks.deciding import Answers, Deciding
from concord.policy.compiling import compile_sources
from concord.policy.explaining import Repair, RepairKind
from concord.policy.model import BoundaryKind, Effect, GrantId, Policy, Subject, SubjectKind
from concord.policy.operations.documents import said
from concord.policy.operations.grants import GrantKey, create_grant, delete_grant
from concord.policy.operations.inline_policies import delete_inline_policy
from concord.policy.operations.policies import delete_policy, set_statements
from concord.policy.operations.roles import delete_role
from concord.policy.programs import Entry
from fakes import ORGANIZATION

from .small_worlds import Small

# From the narrowest to the widest.
BREADTHS = (
    BoundaryKind.OWNER_ACCOUNT,
    BoundaryKind.PROJECTS,
    BoundaryKind.GROUP_SUBTREE,
    BoundaryKind.OWN_DIVISIONS,
    BoundaryKind.ORGANIZATION,
)
Change = Callable[[Unit[Any]], Any]


class _Undone(Exception):
    """Ends a unit so that nothing of it stays."""


async def allowed_after(small: Small, check: Check, change: Change) -> bool:
    """Return what a check would say after a change, from sources read and compiled anew."""
    world = small.world
    found: list[Any] = []

    def body(unit: Unit[Any]) -> None:
        try:
            change(unit)
        except ConcordError:
            # What cannot be done is no change.
            raise _Undone from None
        standing = unit.store.standing(ORGANIZATION, small.user)
        found.append(unit.store.sources_of(ORGANIZATION, standing.subjects))
        raise _Undone

    with suppress(_Undone):
        await world.units.system(ORGANIZATION, body, Author())
    if not found:
        return False
    program = compile_sources(found[0])
    entry = await world.programs.find(ORGANIZATION, small.user)
    assert entry is not None
    entry = replace(
        entry,
        program=program,
        looks_at_context=program.looks_at_context,
        looks_at_operations=program.looks_at_operations,
        looks_at_names=program.looks_at_names,
    )
    return decided(small, check, entry)


def decided(small: Small, check: Check, entry: Entry) -> bool:
    """Decide as a check does, with this entry."""
    world = small.world
    passport = world.passport(small.user)
    projects = frozenset(small.projects)
    deciding = Deciding(
        world.programs, ORGANIZATION, passport, {small.user: entry}, projects, world.clock.now(), Answers()
    )
    return deciding.decide(check).allowed


def apply(small: Small, repair: Repair) -> Change:
    """Return the change that a repair stands for, as an operation."""
    match repair.kind:
        case RepairKind.CREATE_GRANT:
            assert repair.subject is not None
            key = GrantKey(repair.subject, repair.role_id, repair.boundary)
            return lambda unit: create_grant(unit, key)
        case RepairKind.ADD_MEMBER:
            group = GroupId(repair.group_id)
            return lambda unit: unit.store.put_membership(ORGANIZATION, group, small.user)
        case RepairKind.DELETE_GRANT:
            return lambda unit: delete_grant(unit, GrantId(repair.grant_id))
        case RepairKind.REMOVE_POLICY:
            return lambda unit: remove_policy(unit, repair.policy_id)
        case RepairKind.DELETE_ROLE:
            return lambda unit: delete_role(unit, repair.role_id)
        case RepairKind.REMOVE_STATEMENT if repair.policy_id:
            return lambda unit: remove_statement(unit, repair.policy_id, repair.statement_id)
    return lambda unit: unwrite(unit, repair.role_id, repair.statement_id)


def remove_policy(unit: Unit[Any], policy_id: str) -> None:
    policy = unit.store.find_policy(ORGANIZATION, PolicyId(policy_id))
    if policy.inline:
        delete_inline_policy(unit, policy.subject)
    else:
        delete_policy(unit, policy.id)


def remove_statement(unit: Unit[Any], policy_id: str, statement_id: str) -> None:
    policy: Policy = unit.store.find_policy(ORGANIZATION, PolicyId(policy_id))
    left = [each for each in policy.statements or () if each.id != statement_id]
    if not policy.inline:
        set_statements(unit, policy.id, left)
        return
    saying = said(unit.store, ORGANIZATION, policy.language, "", left)
    unit.store.replace_statements(replace(policy, version=policy.version + 1, document="").saying(saying))


def unwrite(unit: Unit[Any], role_id: str, statement_id: str) -> None:
    """Leave a statement out of a role's document. The store says what a document without it would."""
    role = unit.store.find_role(ORGANIZATION, role_id)
    left = tuple(each for each in role.statements if each.id != statement_id)
    unit.store.save_role(replace(role, version=role.version + 1, statements=left))


async def every_repair(small: Small, check: Check, supplied: Sequence[str] = ()) -> set[tuple[str, ...]]:
    """Return each change that would allow, found by making them all; of the supplied roles only with these."""
    found: set[tuple[str, ...]] = set()
    world, user = small.world, Subject.of(small.user)

    async def tried(name: tuple[str, ...], change: Change) -> bool:
        if await allowed_after(small, check, change):
            found.add(name)
            return True
        return False

    standing = await world.ask(lambda store: store.standing(ORGANIZATION, small.user))
    sources = await world.ask(lambda store: store.sources_of(ORGANIZATION, standing.subjects))
    holders = [user, *(Subject(SubjectKind.GROUP, each) for each in sorted(standing.group_ids))]
    for role in (*small.roles, *supplied):
        for holder in holders:
            works: list[int] = []
            for boundary in small.boundaries():
                key = GrantKey(holder, role, boundary)
                if await allowed_after(small, check, lambda unit, key=key: create_grant(unit, key)):
                    works.append(BREADTHS.index(boundary.kind))
            if works:
                found.add((RepairKind.CREATE_GRANT.value, role, holder.id, BREADTHS[min(works)].value))
                if holder == user:
                    # What is given to a group helps as well, and gives more than that.
                    break
    for group in small.groups:
        if group not in standing.group_ids:
            repair = Repair(RepairKind.ADD_MEMBER, (0, 0), group_id=group)
            await tried((repair.kind.value, group), apply(small, repair))
    for policy in sources.policies:
        await tried(
            (RepairKind.REMOVE_POLICY.value, policy.id), lambda unit, policy=policy: remove_policy(unit, policy.id)
        )
        for statement in policy.statements or ():
            if statement.effect is Effect.DENY:
                await tried(
                    (RepairKind.REMOVE_STATEMENT.value, policy.id, statement.id),
                    lambda unit, p=policy.id, s=statement.id: remove_statement(unit, p, s),
                )
    for grant in sources.grants:
        await tried((RepairKind.DELETE_GRANT.value, grant.id), lambda unit, grant=grant: delete_grant(unit, grant.id))
    for role in small.roles:
        await tried((RepairKind.DELETE_ROLE.value, role), lambda unit, role=role: delete_role(unit, role))
        made = await world.ask(lambda store, role=role: store.find_role(ORGANIZATION, role))
        for statement in made.statements:
            if statement.effect is Effect.DENY:
                await tried(
                    (RepairKind.REMOVE_STATEMENT.value, role, statement.id),
                    lambda unit, r=role, s=statement.id: unwrite(unit, r, s),
                )
    return found


def name_of(repair: Repair) -> tuple[str, ...]:
    """Return by what a repair is told from others."""
    match repair.kind:
        case RepairKind.CREATE_GRANT:
            assert repair.subject is not None
            assert repair.boundary is not None
            return repair.kind.value, repair.role_id, repair.subject.id, repair.boundary.kind.value
        case RepairKind.ADD_MEMBER:
            return repair.kind.value, repair.group_id
        case RepairKind.DELETE_GRANT:
            return repair.kind.value, repair.grant_id
        case RepairKind.REMOVE_POLICY:
            return repair.kind.value, repair.policy_id
        case RepairKind.DELETE_ROLE:
            return repair.kind.value, repair.role_id
    return repair.kind.value, repair.policy_id or repair.role_id, repair.statement_id
