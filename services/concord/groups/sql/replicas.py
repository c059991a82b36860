"""Copies of other services' facts in SQL."""

from collections.abc import Collection, Mapping

from sqlalchemy import bindparam, delete, select, tuple_

from concord.groups.model import Principal
from concord.groups.sql.common import ORGANIZATION, Part, chunks, expanding
from concord.groups.sql.tables import OWN_TABLES, known_principal, known_project, quota_limit
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import PrincipalKind, PrincipalRef

_p = known_principal.c

_FIND_PRINCIPALS = select(known_principal).where(
    _p.organization_id == ORGANIZATION, tuple_(_p.kind, _p.id).in_(expanding("principals"))
)
_DELETE_PRINCIPAL = delete(known_principal).where(
    _p.organization_id == ORGANIZATION, _p.kind == bindparam("at_kind"), _p.id == bindparam("at_id")
)
_FIND_PROJECTS = select(known_project.c.id).where(
    known_project.c.organization_id == ORGANIZATION, known_project.c.id.in_(expanding("ids"))
)
_DELETE_PROJECT = delete(known_project).where(
    known_project.c.organization_id == ORGANIZATION, known_project.c.id == bindparam("at_id")
)
_FIND_LIMIT = select(quota_limit.c.value).where(
    quota_limit.c.organization_id == ORGANIZATION, quota_limit.c.name == bindparam("name")
)
_PUT_PRINCIPAL = upserts(known_principal)
_PUT_PROJECT = upserts(known_project)
_PUT_LIMIT = upserts(quota_limit)
_SWEEP = tuple(delete(table).where(table.c.organization_id == ORGANIZATION) for table in OWN_TABLES)


class SqlReplicas(Part):
    """Keeps the promises of ReplicaStore."""

    def find_principals(
        self, organization_id: OrganizationId, refs: Collection[PrincipalRef]
    ) -> Mapping[PrincipalRef, Principal]:
        found = {}
        for chunk in chunks(refs):
            wanted = [(each.kind.value, each.id) for each in chunk]
            for row in self._connection.execute(
                _FIND_PRINCIPALS, {"organization": organization_id, "principals": wanted}
            ):
                ref = PrincipalRef(PrincipalKind(row.kind), row.id)
                found[ref] = Principal(ref, row.is_customer)
        return found

    def put_principal(self, organization_id: OrganizationId, principal: Principal) -> None:
        self._connection.execute_later(
            _PUT_PRINCIPAL[self._connection.dialect],
            {
                "organization_id": organization_id,
                "kind": principal.ref.kind.value,
                "id": principal.ref.id,
                "is_customer": principal.is_customer,
            },
        )

    def delete_principal(self, organization_id: OrganizationId, ref: PrincipalRef) -> None:
        parameters = {"organization": organization_id, "at_kind": ref.kind.value, "at_id": ref.id}
        self._connection.execute(_DELETE_PRINCIPAL, parameters)

    def find_projects(self, organization_id: OrganizationId, ids: Collection[str]) -> frozenset[str]:
        return self._ids(_FIND_PROJECTS, organization_id, ids)

    def put_project(self, organization_id: OrganizationId, project_id: str) -> None:
        row = {"organization_id": organization_id, "id": project_id}
        self._connection.execute(_PUT_PROJECT[self._connection.dialect], row)

    def delete_project(self, organization_id: OrganizationId, project_id: str) -> None:
        self._connection.execute(_DELETE_PROJECT, {"organization": organization_id, "at_id": project_id})

    def find_limit(self, organization_id: OrganizationId, quota: str, default: int) -> int | None:
        row = self._connection.execute(_FIND_LIMIT, {"organization": organization_id, "name": quota}).one_or_none()
        if row is None:
            return default
        limit: int | None = row.value
        return limit

    def put_limit(self, organization_id: OrganizationId, quota: str, limit: int | None) -> None:
        row = {"organization_id": organization_id, "name": quota, "value": limit}
        self._connection.execute(_PUT_LIMIT[self._connection.dialect], row)

    def sweep(self, organization_id: OrganizationId) -> None:
        for statement in _SWEEP:
            self._connection.execute(statement, {"organization": organization_id})
