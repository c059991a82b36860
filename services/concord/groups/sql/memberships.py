"""Memberships in SQL."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, tuple_

from concord.groups.model import Container, ContainerKind, MemberFilter, Membership, MembershipId
from concord.groups.sql.common import ORGANIZATION, Part, chunks, expanding
from concord.groups.sql.tables import membership, memberships_listing, principal_group
from concord.kernel.database import Row, UniqueViolation
from concord.kernel.errors import AlreadyExists
from concord.kernel.ids import GroupId, OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef

_g, _m = principal_group.c, membership.c
_member_in_org = _m.organization_id == ORGANIZATION
_containers = tuple_(_m.container_kind, _m.container_id)
_sides = tuple_(_m.principal_kind, _m.principal_id)

_FIND_MEMBERSHIPS = select(membership).where(
    _member_in_org,
    _m.container_kind == bindparam("kind"),
    _m.container_id == bindparam("id"),
    _sides.in_(expanding("principals")),
)
_MEMBERSHIPS_IN = (
    select(membership)
    .where(_member_in_org, _containers.in_(expanding("containers")))
    .order_by(_m.container_id, _m.principal_id, _m.id)
)
_MEMBERSHIPS_OF = (
    select(membership)
    .where(_member_in_org, _m.principal_kind == bindparam("kind"), _m.principal_id == bindparam("id"))
    .order_by(_m.container_id, _m.id)
)
_DELETE_MEMBERSHIPS = delete(membership).where(_member_in_org, _m.id.in_(expanding("ids")))
_COUNT_MEMBERS = (
    select(func.count())
    .select_from(membership)
    .where(_member_in_org, _m.container_kind == bindparam("kind"), _m.container_id == bindparam("id"))
)
_EXCLUSIONS = (
    select(membership)
    .join(
        principal_group,
        (_g.organization_id == _m.organization_id) & (_g.id == _m.container_id) & (_m.container_kind == "group"),
    )
    .where(
        _member_in_org,
        _g.exclusion_key == bindparam("key"),
        _g.id != bindparam("besides"),
        _sides.in_(expanding("principals")),
    )
    .order_by(_m.principal_id, _m.container_id)
)
_INSERT_MEMBERSHIP = insert(membership)


class SqlMemberships(Part):
    """Keeps the promises of MembershipStore."""

    def find_memberships(
        self, organization_id: OrganizationId, container: Container, principals: Collection[PrincipalRef]
    ) -> Mapping[PrincipalRef, Membership]:
        found = {}
        for chunk in chunks(principals):
            parameters = {
                "organization": organization_id,
                "kind": container.kind.value,
                "id": container.id,
                "principals": [(each.kind.value, each.id) for each in chunk],
            }
            for row in self._connection.execute(_FIND_MEMBERSHIPS, parameters):
                each = _membership(row)
                found[each.principal] = each
        return found

    def memberships_in(
        self, organization_id: OrganizationId, containers: Collection[Container]
    ) -> Sequence[Membership]:
        return [
            _membership(row)
            for chunk in chunks(sorted(containers, key=lambda each: each.id))
            for row in self._connection.execute(
                _MEMBERSHIPS_IN,
                {"organization": organization_id, "containers": [(each.kind.value, each.id) for each in chunk]},
            )
        ]

    def memberships_of(self, organization_id: OrganizationId, principal: PrincipalRef) -> Sequence[Membership]:
        parameters = {"organization": organization_id, "kind": principal.kind.value, "id": principal.id}
        return [_membership(row) for row in self._connection.execute(_MEMBERSHIPS_OF, parameters)]

    def insert_memberships(self, memberships: Sequence[Membership]) -> None:
        if not memberships:
            return
        try:
            self._connection.execute(_INSERT_MEMBERSHIP, [_membership_values(each) for each in memberships])
        except UniqueViolation:
            raise AlreadyExists("membership", memberships[0].principal.id) from None

    def delete_memberships(self, organization_id: OrganizationId, ids: Collection[MembershipId]) -> None:
        for chunk in chunks(ids):
            self._connection.execute(_DELETE_MEMBERSHIPS, {"organization": organization_id, "ids": chunk})

    def count_members(self, organization_id: OrganizationId, container: Container) -> int:
        parameters = {"organization": organization_id, "kind": container.kind.value, "id": container.id}
        count: int = self._connection.execute(_COUNT_MEMBERS, parameters).scalar_one()
        return count

    def find_exclusions(
        self,
        organization_id: OrganizationId,
        exclusion_key: str,
        principals: Collection[PrincipalRef],
        besides: GroupId,
    ) -> Sequence[Membership]:
        return [
            _membership(row)
            for chunk in chunks(principals)
            for row in self._connection.execute(
                _EXCLUSIONS,
                {
                    "organization": organization_id,
                    "key": exclusion_key,
                    "besides": besides,
                    "principals": [(each.kind.value, each.id) for each in chunk],
                },
            )
        ]

    def list_memberships(
        self, organization_id: OrganizationId, criteria: MemberFilter, page: PageRequest
    ) -> Page[Membership]:
        filters = {
            "organization": organization_id,
            "containers": [(each.kind.value, each.id) for each in dict.fromkeys(criteria.containers)] or None,
            "principals": [(each.kind.value, each.id) for each in dict.fromkeys(criteria.principals)] or None,
            "kinds": [each.value for each in criteria.kinds] or None,
            "container_kind": criteria.container_kind.value if criteria.container_kind else None,
            "is_owner": criteria.is_owner,
        }
        return memberships_listing.page(self._connection, page, filters, _membership)


def _membership(row: Row) -> Membership:
    return Membership(
        id=MembershipId(row.id),
        organization_id=OrganizationId(row.organization_id),
        container=Container(ContainerKind(row.container_kind), row.container_id),
        principal=PrincipalRef(PrincipalKind(row.principal_kind), row.principal_id),
        create_time=row.create_time,
        update_time=row.update_time,
        version=row.version,
        is_owner=row.is_owner,
        catalogue=row.catalogue,
    )


def _membership_values(each: Membership) -> dict[str, Any]:
    return {
        "organization_id": each.organization_id,
        "id": each.id,
        "version": each.version,
        "create_time": each.create_time,
        "update_time": each.update_time,
        "catalogue": each.catalogue,
        "container_kind": each.container.kind.value,
        "container_id": each.container.id,
        "principal_kind": each.principal.kind.value,
        "principal_id": each.principal.id,
        "is_owner": each.is_owner,
    }
