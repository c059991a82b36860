"""The verbs of memberships."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from concord.groups.model import Container, ContainerKind, Group, MemberFilter, Membership, MembershipId
from concord.groups.operations.groups import (
    end_memberships,
    membership_change,
    not_admitted,
    require_no_exclusion,
)
from concord.groups.store import Store
from concord.kernel import ids
from concord.kernel.errors import NotFound, Precondition, Reason
from concord.kernel.ids import GroupId, OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Unit


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write left: a membership for each principal asked for, and what it made, ended and left."""

    memberships: tuple[Membership, ...] = ()
    created: tuple[Membership, ...] = ()
    removed: tuple[Membership, ...] = ()
    remaining: int = 0


def get_membership(
    store: Store, organization_id: OrganizationId, container: Container, principal: PrincipalRef
) -> Membership:
    """Return one membership."""
    require_container(store, organization_id, container)
    found = store.find_memberships(organization_id, container, [principal])
    if principal not in found:
        raise NotFound("membership", principal.id)
    return found[principal]


def list_members(
    store: Store,
    organization_id: OrganizationId,
    criteria: MemberFilter,
    page: PageRequest,
    *,
    allow_missing: bool,
) -> Page[Membership]:
    """Return a page of the members of many containers."""
    if not allow_missing:
        _require_containers(store, organization_id, criteria.containers)
    return store.list_memberships(organization_id, criteria, page)


def list_memberships(
    store: Store, organization_id: OrganizationId, criteria: MemberFilter, page: PageRequest
) -> Page[Membership]:
    """Return a page of where principals belong."""
    return store.list_memberships(organization_id, criteria, page)


def add_members(
    unit: Unit[Store], container: Container, principals: Sequence[PrincipalRef], *, is_owner: bool = False
) -> Outcome:
    """Make principals members; those that are members already stay as they are."""
    group = require_container(unit.store, unit.organization_id, container)
    _require_changeable(group)
    wanted = _distinct(principals)
    present = dict(unit.store.find_memberships(unit.organization_id, container, wanted))
    created = _join(unit, container, group, [ref for ref in wanted if ref not in present], is_owner=is_owner)
    present.update((each.principal, each) for each in created)
    return Outcome(memberships=tuple(present[ref] for ref in wanted), created=created)


def remove_members(
    unit: Unit[Store],
    container: Container,
    principals: Sequence[PrincipalRef],
    *,
    everybody: bool = False,
    allow_missing: bool = False,
) -> Outcome:
    """End memberships."""
    group = require_container(unit.store, unit.organization_id, container)
    _require_changeable(group)
    if everybody:
        removed = tuple(unit.store.memberships_in(unit.organization_id, [container]))
    else:
        wanted = _distinct(principals)
        present = unit.store.find_memberships(unit.organization_id, container, wanted)
        if not allow_missing:
            for ref in wanted:
                if ref not in present:
                    raise NotFound("membership", ref.id)
        removed = tuple(present[ref] for ref in wanted if ref in present)
    end_memberships(unit, removed)
    _require_owner_left(unit, group, removed)
    return Outcome(removed=removed, remaining=unit.store.count_members(unit.organization_id, container))


def set_members(
    unit: Unit[Store],
    container: Container,
    principals: Sequence[PrincipalRef],
    replaced_kinds: Collection[PrincipalKind],
) -> Outcome:
    """Make the principals the only members of the replaced kinds; other kinds stay."""
    group = require_container(unit.store, unit.organization_id, container)
    _require_changeable(group)
    wanted = _distinct(principals)
    seen = {
        each.principal: each
        for each in unit.store.memberships_in(unit.organization_id, [container])
        if each.principal.kind in replaced_kinds
    }
    removed = tuple(each for ref, each in seen.items() if ref not in set(wanted))
    # Leaving comes first: a principal may not be told that it is kept out by one who is going.
    end_memberships(unit, removed)
    created = _join(unit, container, group, [ref for ref in wanted if ref not in seen])
    seen.update((each.principal, each) for each in created)
    _require_owner_left(unit, group, removed)
    return Outcome(
        memberships=tuple(seen[ref] for ref in wanted),
        created=created,
        removed=removed,
        remaining=unit.store.count_members(unit.organization_id, container),
    )


def require_container(store: Store, organization_id: OrganizationId, container: Container) -> Group | None:
    """Return the container's group, None for a project, or raise NotFound."""
    if container.kind is ContainerKind.GROUP:
        group = store.find_group(organization_id, GroupId(container.id))
        if group is None:
            raise NotFound("group", container.id)
        return group
    if not store.find_projects(organization_id, [container.id]):
        raise NotFound("project", container.id)
    return None


def _require_containers(store: Store, organization_id: OrganizationId, containers: Sequence[Container]) -> None:
    groups = [each.id for each in containers if each.kind is ContainerKind.GROUP]
    projects = [each.id for each in containers if each.kind is ContainerKind.PROJECT]
    known = {
        ContainerKind.GROUP: store.existing_groups(organization_id, groups),
        ContainerKind.PROJECT: store.find_projects(organization_id, projects),
    }
    for each in containers:
        if each.id not in known[each.kind]:
            raise NotFound(each.kind.value, each.id)


def _require_changeable(group: Group | None) -> None:
    if group is not None and not group.editable:
        raise Precondition(
            Reason.RESOURCE_MANAGED, f"the members of group `{group.id}` cannot be changed", "group", group.id
        )


def _distinct(principals: Sequence[PrincipalRef]) -> list[PrincipalRef]:
    return list(dict.fromkeys(principals))


def _join(
    unit: Unit[Store],
    container: Container,
    group: Group | None,
    newcomers: Sequence[PrincipalRef],
    *,
    is_owner: bool = False,
) -> tuple[Membership, ...]:
    if not newcomers:
        return ()
    known = unit.store.find_principals(unit.organization_id, newcomers)
    for ref in newcomers:
        if ref not in known:
            raise NotFound(ref.kind.value, ref.id)
        if group is not None and not group.admits(known[ref]):
            raise not_admitted(group, ref.id)
    if group is not None:
        require_no_exclusion(unit, group, newcomers)
    created = tuple(
        Membership(
            id=ids.new(MembershipId),
            organization_id=unit.organization_id,
            container=container,
            principal=ref,
            create_time=unit.now,
            update_time=unit.now,
            is_owner=is_owner,
        )
        for ref in newcomers
    )
    unit.store.insert_memberships(created)
    for each in created:
        unit.record(membership_change("membership.created", after=each))
    return created


def _require_owner_left(unit: Unit[Store], group: Group | None, removed: Sequence[Membership]) -> None:
    # Only people who could leave behind others without an owner are held back; an emptied tree needs none.
    if group is None or not any(each.is_owner for each in removed):
        return
    above = unit.store.ancestors(unit.organization_id, group.id)
    top = above[-1] if above else group
    tree = unit.store.subtree(unit.organization_id, top.id)
    left = unit.store.memberships_in(unit.organization_id, [each.container for each in tree])
    if left and not any(each.is_owner for each in left):
        raise Precondition(
            Reason.OWNER_PROTECTED, f"the last owner of group `{top.id}` cannot leave it", "group", group.id
        )
