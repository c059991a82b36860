"""Groups in SQL."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from concord.groups.model import Group, GroupFilter, LocalizedText, MemberKind
from concord.groups.sql.common import ORGANIZATION, Part, chunks, expanding
from concord.groups.sql.tables import group_tag, groups_listing, principal_group
from concord.kernel.database import Row, UniqueViolation
from concord.kernel.errors import AlreadyExists
from concord.kernel.ids import GroupId, OrganizationId
from concord.kernel.paging import Page, PageRequest

_g = principal_group.c
_in_org = _g.organization_id == ORGANIZATION

_FIND_GROUP = select(principal_group).where(_in_org, _g.id == bindparam("id"))
_FIND_HANDLE = select(principal_group).where(_in_org, _g.handle == bindparam("handle"))
_FIND_NAMED = select(principal_group).where(_in_org, _g.name == bindparam("name"))
_BELOW = select(principal_group).where(_in_org, _g.parent_group_id.in_(expanding("ids"))).order_by(_g.id)
_EXISTING = select(_g.id).where(_in_org, _g.id.in_(expanding("ids")))
_COUNT_MADE = select(func.count()).select_from(principal_group).where(_in_org, _g.catalogue == "")
_UPDATE_GROUP = update(principal_group).where(_g.organization_id == bindparam("at_org"), _g.id == bindparam("at_id"))
_DELETE_GROUPS = delete(principal_group).where(_in_org, _g.id.in_(expanding("ids")))
_DELETE_TAGS = delete(group_tag).where(
    group_tag.c.organization_id == ORGANIZATION, group_tag.c.group_id.in_(expanding("ids"))
)
_INSERT_PRINCIPAL_GROUP = insert(principal_group)
_INSERT_GROUP_TAG = insert(group_tag)


class SqlGroups(Part):
    """Keeps the promises of GroupStore."""

    def find_group(self, organization_id: OrganizationId, group_id: GroupId) -> Group | None:
        return self._one_group(_FIND_GROUP, organization=organization_id, id=group_id)

    def find_group_by_handle(self, organization_id: OrganizationId, handle: str) -> Group | None:
        return self._one_group(_FIND_HANDLE, organization=organization_id, handle=handle)

    def find_groups_named(self, organization_id: OrganizationId, name: str) -> Sequence[Group]:
        rows = self._connection.execute(_FIND_NAMED, {"organization": organization_id, "name": name})
        return [_group(row) for row in rows]

    def insert_group(self, group: Group) -> None:
        try:
            self._connection.execute(_INSERT_PRINCIPAL_GROUP, _group_values(group))
        except UniqueViolation as taken:
            if taken.concerns("handle", "principal_group_handle"):
                raise AlreadyExists("group", group.handle, "group.handle") from None
            raise AlreadyExists("group", group.id, "group.id") from None
        self._insert_tags(group)

    def update_group(self, group: Group) -> None:
        where = {"at_org": group.organization_id, "at_id": group.id}
        self._connection.execute(_UPDATE_GROUP, {**_group_values(group), **where})
        self._connection.execute(_DELETE_TAGS, {"organization": group.organization_id, "ids": [group.id]})
        self._insert_tags(group)

    def delete_groups(self, organization_id: OrganizationId, group_ids: Collection[GroupId]) -> None:
        for ids in chunks(group_ids):
            self._connection.execute(_DELETE_TAGS, {"organization": organization_id, "ids": ids})
            self._connection.execute(_DELETE_GROUPS, {"organization": organization_id, "ids": ids})

    def subtree(self, organization_id: OrganizationId, group_id: GroupId) -> Sequence[Group]:
        top = self.find_group(organization_id, group_id)
        level = [] if top is None else [top]
        found: list[Group] = []
        while level:
            found += level
            level = [
                _group(row)
                for ids in chunks([each.id for each in level])
                for row in self._connection.execute(_BELOW, {"organization": organization_id, "ids": ids})
            ]
            level.sort(key=lambda each: each.id)
        return found

    def ancestors(self, organization_id: OrganizationId, group_id: GroupId) -> Sequence[Group]:
        group = self.find_group(organization_id, group_id)
        found: list[Group] = []
        while group is not None and group.parent_group_id is not None:
            group = self.find_group(organization_id, group.parent_group_id)
            if group is not None:
                found.append(group)
        return found

    def count_made_groups(self, organization_id: OrganizationId) -> int:
        count: int = self._connection.execute(_COUNT_MADE, {"organization": organization_id}).scalar_one()
        return count

    def existing_groups(self, organization_id: OrganizationId, ids: Collection[str]) -> frozenset[str]:
        return self._ids(_EXISTING, organization_id, ids)

    def list_groups(self, organization_id: OrganizationId, criteria: GroupFilter, page: PageRequest) -> Page[Group]:
        holds = [(each.kind.value, each.id) for each in dict.fromkeys(criteria.holds)]
        filters = {
            "organization": organization_id,
            "ids": criteria.ids or None,
            "parent": criteria.parent_group_id or None,
            "top_level": 1 if criteria.top_level else None,
            "text": _containing(criteria.text) if criteria.text else None,
            "name": criteria.name or None,
            "tag": criteria.tag or None,
            "member_kind": criteria.member_kind.value if criteria.member_kind else None,
            "catalogues": criteria.catalogues or None,
            "holds_any": holds if holds and not criteria.holds_all else None,
            "holds_all": holds if holds and criteria.holds_all else None,
            "holds_size": len(holds) if holds and criteria.holds_all else None,
        }
        return groups_listing.page(self._connection, page, filters, _group)

    def _one_group(self, statement: Any, **parameters: str) -> Group | None:
        row = self._connection.execute(statement, parameters).one_or_none()
        return None if row is None else _group(row)

    def _insert_tags(self, group: Group) -> None:
        if group.tags:
            self._connection.execute(
                _INSERT_GROUP_TAG,
                [{"organization_id": group.organization_id, "group_id": group.id, "tag": tag} for tag in group.tags],
            )


def _containing(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, "\\" + special)
    # ASCII only, as the engines fold.
    folded = "".join(chr(ord(each) + 32) if "A" <= each <= "Z" else each for each in text)
    return f"%{folded}%"


def _group(row: Row) -> Group:
    return Group(
        id=GroupId(row.id),
        organization_id=OrganizationId(row.organization_id),
        create_time=row.create_time,
        update_time=row.update_time,
        version=row.version,
        catalogue=row.catalogue,
        editable=row.editable,
        deletable=row.deletable,
        handle=row.handle or "",
        name=LocalizedText(row.name, row.name_translations),
        description=LocalizedText(row.description, row.description_translations),
        tags=tuple(row.tags),
        parent_group_id=None if row.parent_group_id is None else GroupId(row.parent_group_id),
        member_kind=MemberKind(row.member_kind),
        division_ids=tuple(row.division_ids),
        exclusion_key=row.exclusion_key,
        template_ids=tuple(row.template_ids),
        attributes=row.attributes,
    )


def _group_values(group: Group) -> dict[str, Any]:
    return {
        "organization_id": group.organization_id,
        "id": group.id,
        "version": group.version,
        "create_time": group.create_time,
        "update_time": group.update_time,
        "catalogue": group.catalogue,
        "editable": group.editable,
        "deletable": group.deletable,
        "handle": group.handle or None,
        "name": group.name.text,
        "name_translations": dict(group.name.translations),
        "description": group.description.text,
        "description_translations": dict(group.description.translations),
        "tags": list(group.tags),
        "parent_group_id": group.parent_group_id,
        "member_kind": group.member_kind.value,
        "division_ids": list(group.division_ids),
        "exclusion_key": group.exclusion_key,
        "template_ids": list(group.template_ids),
        "attributes": dict(group.attributes),
    }
