"""The verbs of groups."""

from collections.abc import Collection, Sequence

from concord.groups.model import (
    MAX_DEPTH,
    Group,
    GroupDraft,
    GroupFilter,
    GroupPatch,
    GroupRelation,
    LocalizedText,
    Membership,
    MembershipId,
    UniqueWithin,
    normal_handle,
)
from concord.groups.store import Store
from concord.kernel import ids
from concord.kernel.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    Precondition,
    Reason,
    Violation,
)
from concord.kernel.ids import GroupId, OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalRef
from concord.kernel.quotas import DEFAULT_LIMITS, require_room
from concord.kernel.units import Change, Unit

QUOTA = "groups"


def get_group(store: Store, organization_id: OrganizationId, locator: str) -> Group:
    """Return the group with this id or handle."""
    folded = locator.lower()
    if ids.is_canonical(folded):
        group = store.find_group(organization_id, GroupId(folded))
    else:
        group = None if "\x00" in locator else store.find_group_by_handle(organization_id, normal_handle(locator))
    if group is None:
        raise NotFound("group", locator)
    return group


def list_groups(store: Store, organization_id: OrganizationId, criteria: GroupFilter, page: PageRequest) -> Page[Group]:
    """Return a page of groups."""
    return store.list_groups(organization_id, criteria, page)


def create_group(unit: Unit[Store], draft: GroupDraft, unique_within: UniqueWithin) -> Group:
    """Make a group without members."""
    limit = unit.store.find_limit(unit.organization_id, QUOTA, DEFAULT_LIMITS[QUOTA])
    require_room(QUOTA, limit, lambda: unit.store.count_made_groups(unit.organization_id))
    group = _born(unit, ids.new(GroupId), draft)
    _require_divisions(group)
    if group.parent_group_id is not None:
        _require_parent(unit, group.parent_group_id, height=1)
    _require_unique(unit, group, unique_within)
    return keep_new_group(unit, group)


def keep_new_group(unit: Unit[Store], group: Group) -> Group:
    """Store and announce a group that has been checked."""
    unit.store.insert_group(group)
    unit.record(
        Change(
            type="group.created",
            resource_type="group",
            resource_id=group.id,
            resource_name=group.name.text,
            after=group,
        )
    )
    return group


def update_group(
    unit: Unit[Store], locator: str, patch: GroupPatch, unique_within: UniqueWithin, etag: str = ""
) -> Group:
    """Change the fields that the patch names."""
    before = get_group(unit.store, unit.organization_id, locator)
    _require_etag(before, etag)
    if not before.editable:
        raise Precondition(Reason.RESOURCE_MANAGED, f"group `{before.id}` cannot be changed", "group", before.id)
    after = before.changed(patch.changes_to(before), unit.now)
    if after is before:
        return before
    if after.division_ids != before.division_ids:
        _require_divisions(after)
    moved = after.parent_group_id != before.parent_group_id
    if moved and after.parent_group_id is not None:
        _require_no_cycle(unit, after)
    if moved or after.name.text != before.name.text:
        _require_unique(unit, after, unique_within)
    _require_members_fit(unit, before, after)
    unit.store.update_group(after)
    unit.record(
        Change(
            type="group.updated",
            resource_type="group",
            resource_id=after.id,
            resource_name=after.name.text,
            before=before,
            after=after,
            security_relevant=True,
        )
    )
    return after


def delete_group(unit: Unit[Store], locator: str, refuse_if: Collection[GroupRelation] = (), etag: str = "") -> Group:
    """End a group, the groups below it and their memberships; return it as it was."""
    group = get_group(unit.store, unit.organization_id, locator)
    _require_etag(group, etag)
    tree = unit.store.subtree(unit.organization_id, group.id)
    for each in tree:
        if not each.deletable:
            raise Precondition(Reason.RESOURCE_MANAGED, f"group `{each.id}` cannot be deleted", "group", each.id)
    memberships = unit.store.memberships_in(unit.organization_id, [each.container for each in tree])
    if GroupRelation.SUB_GROUPS in refuse_if and len(tree) > 1:
        raise _in_use(group, "sub-groups")
    if GroupRelation.MEMBERS in refuse_if and memberships:
        raise _in_use(group, "members")
    end_memberships(unit, memberships)
    unit.store.delete_groups(unit.organization_id, [each.id for each in tree])
    for each in reversed(tree):
        unit.record(_deleted(each))
    return group


def end_memberships(unit: Unit[Store], memberships: Sequence[Membership]) -> None:
    """Remove and announce memberships that have been looked at."""
    unit.store.delete_memberships(unit.organization_id, [MembershipId(each.id) for each in memberships])
    for each in memberships:
        unit.record(membership_change("membership.deleted", before=each))


def membership_change(type_: str, *, before: Membership | None = None, after: Membership | None = None) -> Change:
    """Return the announcement of a membership's change. Joining may take rights away too: a deny, an ANDed role."""
    membership = after or before
    assert membership is not None
    return Change(
        type=type_,
        resource_type="membership",
        resource_id=membership.id,
        resource_name=f"{membership.container.kind} {membership.container.id}",
        before=before,
        after=after,
        security_relevant=True,
    )


def _born(unit: Unit[Store], group_id: GroupId, draft: GroupDraft) -> Group:
    name = draft.name if draft.name.text else LocalizedText(f"group-{group_id[:8]}", draft.name.translations)
    return Group(
        id=group_id,
        organization_id=unit.organization_id,
        create_time=unit.now,
        update_time=unit.now,
        handle=normal_handle(draft.handle),
        name=name,
        description=draft.description,
        tags=draft.tags,
        parent_group_id=draft.parent_group_id,
        member_kind=draft.member_kind,
        division_ids=draft.division_ids,
        exclusion_key=draft.exclusion_key,
        template_ids=draft.template_ids,
        attributes=draft.attributes,
    )


def _deleted(group: Group) -> Change:
    return Change(
        type="group.deleted",
        resource_type="group",
        resource_id=group.id,
        resource_name=group.name.text,
        before=group,
        security_relevant=True,
    )


def _in_use(group: Group, relation: str) -> Precondition:
    return Precondition(Reason.RESOURCE_IN_USE, f"group `{group.id}` has {relation}", "group", group.id)


def _require_etag(group: Group, etag: str) -> None:
    if etag and etag != group.etag:
        raise Conflict("group", group.id)


def _require_divisions(group: Group) -> None:
    # No organization has divisions yet, so every id is one that it does not have.
    for division_id in group.division_ids:
        raise NotFound("division", division_id)


def _require_parent(unit: Unit[Store], parent_id: GroupId, height: int) -> None:
    if unit.store.find_group(unit.organization_id, parent_id) is None:
        raise NotFound("group", parent_id)
    levels = len(unit.store.ancestors(unit.organization_id, parent_id)) + 1 + height
    if levels > MAX_DEPTH:
        raise Invalid(
            Violation("group.parent_group_id", f"the tree would have more than {MAX_DEPTH} levels", rule="depth")
        )


def _require_no_cycle(unit: Unit[Store], moved: Group) -> None:
    parent_id = moved.parent_group_id
    assert parent_id is not None
    tree = unit.store.subtree(unit.organization_id, moved.id)
    if parent_id in {each.id for each in tree}:
        raise Invalid(Violation("group.parent_group_id", "must not be the group itself or below it", rule="cycle"))
    _require_parent(unit, parent_id, height=_height(tree))


def _height(tree: Sequence[Group]) -> int:
    # The tree comes level by level, so every parent is measured before its children.
    depth = {tree[0].id: 1}
    for each in tree[1:]:
        if each.parent_group_id is not None:
            depth[each.id] = depth[each.parent_group_id] + 1
    return max(depth.values())


def _require_unique(unit: Unit[Store], group: Group, unique_within: UniqueWithin) -> None:
    if unique_within is UniqueWithin.NOWHERE:
        return
    for other in unit.store.find_groups_named(unit.organization_id, group.name.text):
        same_place = unique_within is UniqueWithin.ORGANIZATION or other.parent_group_id == group.parent_group_id
        if other.id != group.id and same_place:
            raise AlreadyExists("group", group.name.text, "group.name")


def _require_members_fit(unit: Unit[Store], before: Group, after: Group) -> None:
    kind_changed = after.member_kind is not before.member_kind
    key_changed = after.exclusion_key != before.exclusion_key and after.exclusion_key
    if not (kind_changed or key_changed):
        return
    present = [each.principal for each in unit.store.memberships_in(unit.organization_id, [after.container])]
    if kind_changed:
        for principal in unit.store.find_principals(unit.organization_id, present).values():
            if not after.admits(principal):
                raise not_admitted(after, principal.ref.id)
    if key_changed:
        require_no_exclusion(unit, after, present)


def require_no_exclusion(unit: Unit[Store], group: Group, principals: Collection[PrincipalRef]) -> None:
    """Refuse when another group with the same exclusion key holds one of the principals."""
    if not group.exclusion_key or not principals:
        return
    for other in unit.store.find_exclusions(unit.organization_id, group.exclusion_key, principals, besides=group.id):
        raise Precondition(
            Reason.INVALID_STATE,
            f"`{other.principal.id}` is a member of group `{other.container.id}`, which excludes this one",
            "group",
            group.id,
        )


def not_admitted(group: Group, principal_id: str) -> Precondition:
    """Return the refusal of a principal that the member kind keeps out."""
    return Precondition(
        Reason.INVALID_STATE,
        f"group `{group.id}` is for members of kind {group.member_kind}, `{principal_id}` is not",
        "group",
        group.id,
    )
