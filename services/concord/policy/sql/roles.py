"""Roles that people make, in SQL."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, and_, bindparam, delete, func, insert, select, update

from concord.kernel.database import UniqueViolation
from concord.kernel.errors import AlreadyExists, NotFound
from concord.kernel.ids import OrganizationId, RoleId
from concord.policy.model import Role
from concord.policy.sql.replicas import Stamping
from concord.policy.sql.rows import role_row, row_role
from concord.policy.sql.tables import role, role_inclusion

# Both engines bound the parameters of a statement; longer lists are asked for in parts.
_CHUNK = 400

_HERE = role.c.organization_id == bindparam("key_organization")
_THIS = and_(_HERE, role.c.id == bindparam("key_id"))
_MANY: BindParameter[Any] = bindparam("ids", expanding=True)
_INCLUSIONS = role_inclusion.c.organization_id == bindparam("key_organization")

_FIND = select(role).where(_THIS)
_FIND_HANDLE = select(role).where(_HERE, role.c.handle == bindparam("handle"))
_FIND_MANY = select(role).where(_HERE, role.c.id.in_(_MANY))
_HEADS = (
    select(*(column for column in role.c if column.name not in ("document", "statements")))
    .where(_HERE)
    .order_by(role.c.id)
)
_INSERT = insert(role)
_UPDATE = (
    update(role)
    .where(_THIS)
    .values({c.name: bindparam(c.name) for c in role.c if c.name not in ("organization_id", "id")})
)
_DELETE = delete(role).where(_THIS)
_COUNT = select(func.count()).select_from(role).where(_HERE)
_INSERT_INCLUSION = insert(role_inclusion)
_DELETE_INCLUSIONS = delete(role_inclusion).where(_INCLUSIONS, role_inclusion.c.role_id == bindparam("key_id"))
_INCLUDING = (
    select(role_inclusion.c.role_id)
    .where(_INCLUSIONS, role_inclusion.c.included_role_id == bindparam("key_id"))
    .order_by(role_inclusion.c.role_id)
)


def _parts() -> Any:
    asked = select(role.c.id.label("id")).where(_HERE, role.c.id.in_(_MANY))
    within = asked.cte("within", recursive=True)
    included = select(role_inclusion.c.included_role_id).where(_INCLUSIONS, role_inclusion.c.role_id == within.c.id)
    # UNION, not UNION ALL: what was seen is not walked again, so a circle ends.
    return select(within.union(included).c.id)


_WITHIN = select(role).where(_HERE, role.c.id.in_(_parts()))
_VERSIONS_WITHIN = _WITHIN.with_only_columns(role.c.id, role.c.version, maintain_column_froms=True)


class SqlRoles(Stamping):
    """The part of the SQL store that keeps roles."""

    def add_role(self, role: Role) -> None:
        try:
            self._connection.execute_unique(_INSERT, role_row(role))
        except UniqueViolation as taken:
            if taken.concerns("handle", "role_handle"):
                raise AlreadyExists("role", role.handle, "role.handle") from None
            raise AlreadyExists("role", role.id, "id") from None
        self._include(role)

    def save_role(self, role: Role) -> None:
        row = role_row(role)
        key = _key(row.pop("organization_id"), row.pop("id"))
        if self._connection.execute(_UPDATE, {**key, **row}).rowcount == 0:
            raise NotFound("role", role.id)
        self._connection.execute(_DELETE_INCLUSIONS, key)
        self._include(role)
        self._touch_organization(OrganizationId(key["key_organization"]))

    def delete_role(self, organization_id: OrganizationId, role_id: RoleId) -> bool:
        self._touch_organization(organization_id)
        return self._connection.execute(_DELETE, _key(organization_id, role_id)).rowcount > 0

    def find_role(self, organization_id: OrganizationId, role_id: RoleId) -> Role | None:
        row = self._connection.execute(_FIND, _key(organization_id, role_id)).first()
        return None if row is None else row_role(row)

    def find_role_by_handle(self, organization_id: OrganizationId, handle: str) -> Role | None:
        key = {"key_organization": organization_id, "handle": handle}
        row = self._connection.execute(_FIND_HANDLE, key).first()
        return None if row is None else row_role(row)

    def find_roles(self, organization_id: OrganizationId, ids: Iterable[RoleId]) -> Mapping[RoleId, Role]:
        return self._by_id(_FIND_MANY, organization_id, ids)

    def role_heads(self, organization_id: OrganizationId) -> Sequence[Role]:
        return [row_role(row) for row in self._connection.execute(_HEADS, {"key_organization": organization_id})]

    def roles_within(self, organization_id: OrganizationId, ids: Iterable[RoleId]) -> Mapping[RoleId, Role]:
        return self._by_id(_WITHIN, organization_id, ids)

    def including(self, organization_id: OrganizationId, role_id: RoleId) -> Sequence[RoleId]:
        rows = self._connection.execute(_INCLUDING, _key(organization_id, role_id))
        return [RoleId(row.role_id) for row in rows]

    def count_roles(self, organization_id: OrganizationId) -> int:
        return int(self._connection.execute(_COUNT, {"key_organization": organization_id}).scalar_one())

    def _role_versions(self, organization_id: OrganizationId, ids: Iterable[RoleId]) -> tuple[tuple[RoleId, int], ...]:
        found = {RoleId(row.id): int(row.version) for row in self._rows(_VERSIONS_WITHIN, organization_id, ids)}
        return tuple(sorted(found.items()))

    def _by_id(self, query: Any, organization_id: OrganizationId, ids: Iterable[RoleId]) -> dict[RoleId, Role]:
        rows = {row.id: row for row in self._rows(query, organization_id, ids)}
        return {RoleId(each): row_role(rows[each]) for each in sorted(rows)}

    def _rows(self, query: Any, organization_id: OrganizationId, ids: Iterable[RoleId]) -> Iterable[Any]:
        wanted = sorted(set(ids))
        for start in range(0, len(wanted), _CHUNK):
            part = {"key_organization": organization_id, "ids": wanted[start : start + _CHUNK]}
            yield from self._connection.execute(query, part)

    def _include(self, role: Role) -> None:
        rows = [
            {"organization_id": role.organization_id, "role_id": role.id, "included_role_id": each}
            for each in dict.fromkeys(role.included_role_ids)
        ]
        if rows:
            self._connection.execute(_INSERT_INCLUSION, rows)


def _key(organization_id: OrganizationId, role_id: RoleId) -> dict[str, Any]:
    return {"key_organization": organization_id, "key_id": role_id}
