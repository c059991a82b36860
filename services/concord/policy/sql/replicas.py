"""The replicas: what decisions must know of principals, projects, groups and ended credentials."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Table, and_, bindparam, delete, insert, select, update

from concord.kernel.database import Connection
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import GroupId, OrganizationId, ProjectId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.policy.model import (
    EndedCredential,
    EndedKind,
    KnownGroup,
    KnownOrganization,
    KnownPrincipal,
    OrganizationState,
    PrincipalState,
    Stamps,
    Standing,
)
from concord.policy.sql.tables import (
    ended_credential,
    frozen_session,
    known_group,
    known_membership,
    known_organization,
    known_principal,
    known_project,
    policy,
    quota,
    rights_snapshot,
    role,
    role_grant,
)

_ORGANIZATION: BindParameter[Any] = bindparam("key_organization")
# Both engines bound the parameters of a statement; longer lists are asked for in parts.
_CHUNK = 400


def _key(table: Table, *columns: str) -> Any:
    return and_(*(table.c[name] == bindparam(f"key_{name}") for name in columns))


class _Keyed:
    """The few statements that every small table needs, built once."""

    def __init__(self, table: Table, *key: str) -> None:
        self.key = key
        self.select = select(table).where(_key(table, *key))
        self.insert = insert(table)
        self.delete = delete(table).where(_key(table, *key))
        rest: dict[str, Any] = {c.name: bindparam(c.name) for c in table.c if c.name not in key}
        self.update = update(table).where(_key(table, *key)).values(rest) if rest else None

    def parameters(self, row: dict[str, Any]) -> dict[str, Any]:
        return {f"key_{name}": row[name] for name in self.key}

    def put(self, connection: Connection, row: dict[str, Any]) -> None:
        """Add or overwrite a row. Units of one organization never overlap, so looking first is safe."""
        key = self.parameters(row)
        if connection.execute(self.select, key).first() is None:
            connection.execute(self.insert, row)
        elif self.update is not None:
            rest = {name: value for name, value in row.items() if name not in self.key}
            connection.execute(self.update, {**key, **rest})

    def drop(self, connection: Connection, row: dict[str, Any]) -> bool:
        return connection.execute(self.delete, self.parameters(row)).rowcount > 0


_ORGANIZATIONS = _Keyed(known_organization, "id")
_PRINCIPALS = _Keyed(known_principal, "organization_id", "kind", "id")
_PUT_PRINCIPAL = upserts(known_principal, counted="stamp")
_PROJECTS = _Keyed(known_project, "organization_id", "id")
_GROUPS = _Keyed(known_group, "organization_id", "id")
_MEMBERSHIPS = _Keyed(known_membership, "organization_id", "kind", "principal_id", "group_id")
_ENDED = _Keyed(ended_credential, "organization_id", "kind", "id")

_TOUCH_ORGANIZATION = (
    update(known_organization)
    .where(known_organization.c.id == _ORGANIZATION)
    .values(stamp=known_organization.c.stamp + 1)
)
_TOUCH_PRINCIPAL = (
    update(known_principal)
    .where(_key(known_principal, "organization_id", "kind", "id"))
    .values(stamp=known_principal.c.stamp + 1)
)
_STANDING = (
    select(
        known_principal,
        known_organization.c.stamp.label("organization_stamp"),
        known_organization.c.owner_user_id,
        known_organization.c.state.label("organization_state"),
    )
    .join(known_organization, known_organization.c.id == known_principal.c.organization_id)
    .where(_key(known_principal, "organization_id", "kind", "id"))
)
_STAMPS = _STANDING.with_only_columns(
    known_principal.c.stamp, known_organization.c.stamp.label("organization_stamp"), maintain_column_froms=True
)
_ENDED_OF = select(ended_credential).where(_key(ended_credential, "organization_id", "principal_kind", "principal_id"))
_MEMBERSHIPS_OF_PRINCIPAL = delete(known_membership).where(
    _key(known_membership, "organization_id", "kind", "principal_id")
)
_MEMBERSHIPS_OF_GROUP = delete(known_membership).where(_key(known_membership, "organization_id", "group_id"))
_KNOWN_PROJECTS = select(known_project.c.id).where(
    known_project.c.organization_id == _ORGANIZATION, known_project.c.id.in_(bindparam("ids", expanding=True))
)
_LIST_GROUPS = (
    select(known_group)
    .where(known_group.c.organization_id == _ORGANIZATION)
    .order_by(known_group.c.id)
    .limit(bindparam("most"))
)
_PURGE_ENDED = delete(ended_credential).where(ended_credential.c.end_time < bindparam("before"))
_DROP_ALL = [
    delete(table).where(table.c.organization_id == _ORGANIZATION)
    for table in (
        policy,  # tags, statements and projects go with it
        role,  # what it includes goes with it
        role_grant,  # projects go with it
        quota,
        known_principal,
        known_project,
        known_group,
        known_membership,
        ended_credential,
        frozen_session,
        rights_snapshot,
    )
]


def _groups_above() -> Any:
    direct = select(known_membership.c.group_id.label("id")).where(
        _key(known_membership, "organization_id", "kind", "principal_id")
    )
    above = direct.cte("above", recursive=True)
    parents = select(known_group.c.parent_id).where(
        known_group.c.organization_id == bindparam("key_organization_id"),
        known_group.c.id == above.c.id,
        known_group.c.parent_id.is_not(None),
    )
    # UNION, not UNION ALL: what was seen is not walked again, so a loop ends.
    return select(above.union(parents).c.id)


_GROUPS_ABOVE = _groups_above()

_PRINCIPAL_TYPES = {f"identity.{kind.value}s": kind for kind in PrincipalKind if kind is not PrincipalKind.SERVICE}
_NAMES = {
    "identity.projects": select(known_project.c.name).where(_key(known_project, "organization_id", "id")),
    "groups.groups": select(known_group.c.name).where(_key(known_group, "organization_id", "id")),
    "policy.policies": select(policy.c.name).where(_key(policy, "organization_id", "id")),
    "policy.roles": select(role.c.name).where(_key(role, "organization_id", "id")),
}


class Stamping:
    """Moves the stamps; see the promise in the store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _touch_organization(self, organization_id: OrganizationId) -> None:
        self._connection.execute(_TOUCH_ORGANIZATION, {"key_organization": organization_id})

    def _touch_principal(self, organization_id: OrganizationId, ref: PrincipalRef) -> None:
        self._connection.execute(_TOUCH_PRINCIPAL, _principal_key(organization_id, ref))


class SqlReplicas(Stamping):
    """The replica part of the SQL store."""

    def stamps(self, organization_id: OrganizationId, ref: PrincipalRef) -> Stamps | None:
        row = self._connection.execute(_STAMPS, _principal_key(organization_id, ref)).first()
        return None if row is None else Stamps(row.organization_stamp, row.stamp)

    def standing(self, organization_id: OrganizationId, ref: PrincipalRef) -> Standing | None:
        row = self._connection.execute(_STANDING, _principal_key(organization_id, ref)).first()
        if row is None:
            return None
        key = {"key_organization_id": organization_id, "key_kind": ref.kind.value, "key_principal_id": ref.id}
        groups = self._connection.execute(_GROUPS_ABOVE, key).all()
        owned = {
            "key_organization_id": organization_id,
            "key_principal_kind": ref.kind.value,
            "key_principal_id": ref.id,
        }
        ended = self._connection.execute(_ENDED_OF, owned).all()
        owner = None if row.owner_user_id is None else UserId(row.owner_user_id)
        return Standing(
            Stamps(row.organization_stamp, row.stamp),
            _principal(row),
            KnownOrganization(organization_id, owner, OrganizationState(row.organization_state)),
            frozenset(GroupId(each.id) for each in groups),
            tuple(EndedCredential(EndedKind(each.kind), each.id, ref, each.end_time) for each in ended),
        )

    def put_organization(self, organization: KnownOrganization) -> None:
        there = self._connection.execute(_ORGANIZATIONS.select, {"key_id": organization.id}).first()
        row = {
            "id": organization.id,
            "owner_user_id": organization.owner_user_id,
            "state": organization.state.value,
            "stamp": 1 if there is None else there.stamp + 1,
        }
        _ORGANIZATIONS.put(self._connection, row)

    def find_organization(self, organization_id: OrganizationId) -> KnownOrganization | None:
        row = self._connection.execute(_ORGANIZATIONS.select, {"key_id": organization_id}).first()
        if row is None:
            return None
        owner = None if row.owner_user_id is None else UserId(row.owner_user_id)
        return KnownOrganization(OrganizationId(row.id), owner, OrganizationState(row.state))

    def forget_organization(self, organization_id: OrganizationId) -> None:
        for statement in _DROP_ALL:
            self._connection.execute(statement, {"key_organization": organization_id})
        self._touch_organization(organization_id)

    def put_principal(self, organization_id: OrganizationId, principal: KnownPrincipal) -> None:
        row = {
            "organization_id": organization_id,
            "kind": principal.ref.kind.value,
            "id": principal.ref.id,
            "name": principal.name,
            "state": principal.state.value,
            "is_owner": principal.is_owner,
            "stamp": 1,
        }
        self._connection.execute_later(_PUT_PRINCIPAL[self._connection.dialect], row)

    def find_principal(self, organization_id: OrganizationId, ref: PrincipalRef) -> KnownPrincipal | None:
        row = self._connection.execute(_PRINCIPALS.select, _principal_key(organization_id, ref)).first()
        return None if row is None else _principal(row)

    def delete_principal(self, organization_id: OrganizationId, ref: PrincipalRef) -> bool:
        memberships = {
            "key_organization_id": organization_id,
            "key_kind": ref.kind.value,
            "key_principal_id": ref.id,
        }
        self._connection.execute(_MEMBERSHIPS_OF_PRINCIPAL, memberships)
        row = {"organization_id": organization_id, "kind": ref.kind.value, "id": ref.id}
        return _PRINCIPALS.drop(self._connection, row)

    def put_project(self, organization_id: OrganizationId, project_id: ProjectId, name: str) -> None:
        _PROJECTS.put(self._connection, {"organization_id": organization_id, "id": project_id, "name": name})

    def delete_project(self, organization_id: OrganizationId, project_id: ProjectId) -> bool:
        return _PROJECTS.drop(self._connection, {"organization_id": organization_id, "id": project_id})

    def known_projects(self, organization_id: OrganizationId, ids: Iterable[ProjectId]) -> frozenset[ProjectId]:
        wanted = sorted(set(ids))
        found: set[ProjectId] = set()
        for start in range(0, len(wanted), _CHUNK):
            part = {"key_organization": organization_id, "ids": wanted[start : start + _CHUNK]}
            found.update(ProjectId(row.id) for row in self._connection.execute(_KNOWN_PROJECTS, part))
        return frozenset(found)

    def put_group(
        self, organization_id: OrganizationId, group_id: GroupId, parent_id: GroupId | None, name: str
    ) -> None:
        row = {"organization_id": organization_id, "id": group_id, "parent_id": parent_id, "name": name}
        there = self._connection.execute(_GROUPS.select, _GROUPS.parameters(row)).first()
        _GROUPS.put(self._connection, row)
        # A new group has neither members nor groups below, so nobody's rights hang on it yet.
        if there is not None and there.parent_id != parent_id:
            self._touch_organization(organization_id)

    def has_group(self, organization_id: OrganizationId, group_id: GroupId) -> bool:
        key = {"key_organization_id": organization_id, "key_id": group_id}
        return self._connection.execute(_GROUPS.select, key).first() is not None

    def list_groups(self, organization_id: OrganizationId, most: int) -> Sequence[KnownGroup]:
        rows = self._connection.execute(_LIST_GROUPS, {"key_organization": organization_id, "most": most})
        return [KnownGroup(row.id, row.parent_id, row.name) for row in rows]

    def delete_group(self, organization_id: OrganizationId, group_id: GroupId) -> bool:
        members = {"key_organization_id": organization_id, "key_group_id": group_id}
        self._connection.execute(_MEMBERSHIPS_OF_GROUP, members)
        self._touch_organization(organization_id)
        return _GROUPS.drop(self._connection, {"organization_id": organization_id, "id": group_id})

    def put_membership(self, organization_id: OrganizationId, group_id: GroupId, member: PrincipalRef) -> None:
        _MEMBERSHIPS.put(self._connection, _membership_row(organization_id, group_id, member))
        self._touch_principal(organization_id, member)

    def delete_membership(self, organization_id: OrganizationId, group_id: GroupId, member: PrincipalRef) -> None:
        _MEMBERSHIPS.drop(self._connection, _membership_row(organization_id, group_id, member))
        self._touch_principal(organization_id, member)

    def name_of(self, organization_id: OrganizationId, resource_type: str, resource_id: str) -> str:
        kind = _PRINCIPAL_TYPES.get(resource_type)
        if kind is not None:
            principal = self.find_principal(organization_id, PrincipalRef(kind, resource_id))
            return "" if principal is None else principal.name
        query = _NAMES.get(resource_type)
        if query is None:
            return ""
        key = {"key_organization_id": organization_id, "key_id": resource_id}
        return str(self._connection.execute(query, key).scalar() or "")

    def put_ended(self, organization_id: OrganizationId, ended: EndedCredential) -> None:
        row = {
            "organization_id": organization_id,
            "kind": ended.kind.value,
            "id": ended.id,
            "principal_kind": ended.principal.kind.value,
            "principal_id": ended.principal.id,
            "end_time": ended.end_time,
        }
        there = self._connection.execute(_ENDED.select, _ENDED.parameters(row)).first()
        if there is None or there.end_time < ended.end_time:
            _ENDED.put(self._connection, row)
        self._touch_principal(organization_id, ended.principal)

    def delete_ended(self, organization_id: OrganizationId, ended: EndedCredential) -> None:
        row = {"organization_id": organization_id, "kind": ended.kind.value, "id": ended.id}
        if _ENDED.drop(self._connection, row):
            self._touch_principal(organization_id, ended.principal)

    def purge_ended(self, before: datetime) -> int:
        return self._connection.execute(_PURGE_ENDED, {"before": before}).rowcount


def _principal_key(organization_id: OrganizationId, ref: PrincipalRef) -> dict[str, Any]:
    return {"key_organization_id": organization_id, "key_kind": ref.kind.value, "key_id": ref.id}


def _principal(row: Any) -> KnownPrincipal:
    ref = PrincipalRef(PrincipalKind(row.kind), row.id)
    return KnownPrincipal(ref, PrincipalState(row.state), row.is_owner, row.name)


def _membership_row(organization_id: OrganizationId, group_id: GroupId, member: PrincipalRef) -> dict[str, Any]:
    return {
        "organization_id": organization_id,
        "kind": member.kind.value,
        "principal_id": member.id,
        "group_id": group_id,
    }
