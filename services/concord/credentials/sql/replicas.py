"""Copies of other services' facts in SQL."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, select, update

from concord.credentials.model.api_keys import ApiKeyState
from concord.credentials.model.holders import LifeState
from concord.credentials.model.organizations import OrganizationRules
from concord.credentials.sql.logins import FORGOTTEN
from concord.credentials.sql.rows import SqlPart, ref_text
from concord.credentials.sql.tables import (
    access_token,
    api_key,
    assumption,
    federation,
    federation_certificate,
    oauth_client,
    organization,
    password,
    principal,
    project,
    quota,
    session,
    ssh_key,
    trust_policy,
)
from concord.credentials.sql.token_tables import FORGOTTEN as TOKENS_FORGOTTEN
from concord.kernel.database.columns import Instant
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import PrincipalRef

_ORGANIZATION: Final = select(*organization.c).where(organization.c.id == bindparam("org"))
_PUT_ORGANIZATION: Final = upserts(organization)
_PRINCIPAL: Final = select(principal.c.state).where(
    principal.c.organization_id == bindparam("org"), principal.c.principal == bindparam("whose")
)
# Who was deleted stays deleted, whatever is heard of them later.
_PUT_PRINCIPAL: Final = upserts(principal, unless=principal.c.state == LifeState.DELETED.value)
_PROJECT: Final = select(project.c.id).where(
    project.c.organization_id == bindparam("org"), project.c.id == bindparam("which")
)
_PUT_PROJECT: Final = upserts(project)
_REMOVE_PROJECT: Final = delete(project).where(
    project.c.organization_id == bindparam("org"), project.c.id == bindparam("which")
)
_LIMIT: Final = select(quota.c.value).where(
    quota.c.organization_id == bindparam("org"), quota.c.name == bindparam("of")
)
_PUT_LIMIT: Final = upserts(quota)
# The column takes no NULL.
_UNLIMITED: Final = -1

_FORGET: Final = [
    delete(table).where(table.c.organization_id == bindparam("org"))
    for table in (
        session,
        access_token,
        password,
        project,
        quota,
        assumption,
        federation,
        federation_certificate,
        ssh_key,
        trust_policy,
        *FORGOTTEN,
        *TOKENS_FORGOTTEN,
    )
]
_END_KEYS: Final = (
    update(api_key)
    .where(api_key.c.organization_id == bindparam("org"))
    .values(state=ApiKeyState.DELETED.value, sealed_secret=None)
)
_END_CLIENTS: Final = (
    update(oauth_client)
    .where(oauth_client.c.organization_id == bindparam("org"), oauth_client.c.end_time.is_(None))
    .values(end_time=bindparam("ended", type_=Instant))
)
_END_PRINCIPALS: Final = (
    update(principal).where(principal.c.organization_id == bindparam("org")).values(state=LifeState.DELETED.value)
)
_END_ORGANIZATION: Final = (
    update(organization).where(organization.c.id == bindparam("org")).values(state=LifeState.DELETED.value)
)


class SqlReplicas(SqlPart):
    """The `Replicas` part of the store."""

    def find_organization(self, organization_id: OrganizationId) -> OrganizationRules | None:
        row = self._connection.execute(_ORGANIZATION, {"org": organization_id}).first()
        if row is None:
            return None
        return OrganizationRules(
            row.id,
            LifeState(row.state),
            timedelta(seconds=row.max_session_seconds),
            timedelta(seconds=row.max_api_key_seconds),
            timedelta(seconds=row.temporary_password_seconds),
        )

    def put_organization(self, rules: OrganizationRules) -> None:
        row = {
            "id": rules.organization_id,
            "state": rules.state.value,
            "max_session_seconds": int(rules.max_session_ttl.total_seconds()),
            "max_api_key_seconds": int(rules.max_api_key_ttl.total_seconds()),
            "temporary_password_seconds": int(rules.temporary_password_ttl.total_seconds()),
        }
        self._connection.execute(_PUT_ORGANIZATION[self._connection.dialect], row)

    def end_organization(self, organization_id: OrganizationId, now: datetime) -> None:
        for statement in (_END_ORGANIZATION, _END_PRINCIPALS, _END_KEYS, *_FORGET):
            self._connection.execute(statement, {"org": organization_id})
        self._connection.execute(_END_CLIENTS, {"org": organization_id, "ended": now})

    def find_principal(self, organization_id: OrganizationId, principal: PrincipalRef) -> LifeState | None:
        found = self._connection.execute(_PRINCIPAL, {"org": organization_id, "whose": ref_text(principal)}).scalar()
        return None if found is None else LifeState(found)

    def put_principal(self, organization_id: OrganizationId, principal: PrincipalRef, state: LifeState) -> None:
        row = {"organization_id": organization_id, "principal": ref_text(principal), "state": state.value}
        self._connection.execute_later(_PUT_PRINCIPAL[self._connection.dialect], row)

    def has_project(self, organization_id: OrganizationId, project_id: str) -> bool:
        return self._connection.execute(_PROJECT, {"org": organization_id, "which": project_id}).first() is not None

    def put_project(self, organization_id: OrganizationId, project_id: str) -> None:
        row = {"organization_id": organization_id, "id": project_id}
        self._connection.execute(_PUT_PROJECT[self._connection.dialect], row)

    def remove_project(self, organization_id: OrganizationId, project_id: str) -> None:
        self._connection.execute(_REMOVE_PROJECT, {"org": organization_id, "which": project_id})

    def find_limit(self, organization_id: OrganizationId, name: str, default: int) -> int | None:
        limit: int | None = self._connection.execute(_LIMIT, {"org": organization_id, "of": name}).scalar()
        if limit is None:
            return default
        return None if limit == _UNLIMITED else limit

    def put_limit(self, organization_id: OrganizationId, name: str, limit: int | None) -> None:
        row = {"organization_id": organization_id, "name": name, "value": _UNLIMITED if limit is None else limit}
        self._connection.execute(_PUT_LIMIT[self._connection.dialect], row)
