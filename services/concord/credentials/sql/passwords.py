"""Passwords in SQL, and the statuses that lists show."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, func, select, update

from concord.credentials.model.api_keys import ApiKeyState
from concord.credentials.model.holders import CredentialStatus, LifeState
from concord.credentials.model.logins import MfaState
from concord.credentials.model.passwords import Password
from concord.credentials.sql.login_tables import attempt_budget, mfa_device
from concord.credentials.sql.rows import SqlPart, ref_from, ref_text
from concord.credentials.sql.tables import api_key, password, principal
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef

_PASSWORD = password.c
_MINE: Final = (_PASSWORD.organization_id == bindparam("org")) & (_PASSWORD.user_id == bindparam("user"))
# Attempts are counted for the user, whatever was tried; a password shows them.
_SHOWN: Final = (
    select(
        *(column for column in _PASSWORD if column.name not in ("encoded", "previous")),
        func.coalesce(attempt_budget.c.failures, 0).label("failed_attempts"),
        attempt_budget.c.last_attempt_time,
        attempt_budget.c.lock_time,
    )
    .select_from(password)
    .outerjoin(
        attempt_budget,
        and_(
            attempt_budget.c.organization_id == _PASSWORD.organization_id,
            attempt_budget.c.holder == _PASSWORD.user_id,
        ),
    )
)
_FIND: Final = _SHOWN.where(_MINE)
_PREVIOUS: Final = select(_PASSWORD.previous).where(_MINE)
_REHASH: Final = (
    update(password).where(_MINE, _PASSWORD.encoded == bindparam("stale")).values(encoded=bindparam("fresh"))
)
_ENCODED: Final = select(_PASSWORD.encoded).where(_MINE)
_REMOVE: Final = delete(password).where(_MINE)
_PUT: Final = upserts(password)

_LIVING: Final = select(principal.c.principal).where(
    principal.c.organization_id == bindparam("org"),
    principal.c.principal.in_(bindparam("whose", expanding=True)),
    principal.c.state != LifeState.DELETED.value,
)
_KEY_COUNTS: Final = (
    select(api_key.c.bearer, func.count().label("total"))
    .where(
        api_key.c.organization_id == bindparam("org"),
        api_key.c.bearer.in_(bindparam("whose", expanding=True)),
        api_key.c.state != ApiKeyState.DELETED.value,
    )
    .group_by(api_key.c.bearer)
)
_OF_USERS: Final = _SHOWN.where(
    _PASSWORD.organization_id == bindparam("org"), _PASSWORD.user_id.in_(bindparam("users", expanding=True))
)
_DEVICES: Final = select(mfa_device.c.user_id, mfa_device.c.state).where(
    mfa_device.c.organization_id == bindparam("org"), mfa_device.c.user_id.in_(bindparam("users", expanding=True))
)


class SqlPasswords(SqlPart):
    """The `Passwords` part of the store."""

    def find_password(self, organization_id: OrganizationId, user_id: UserId) -> Password | None:
        row = self._connection.execute(_FIND, {"org": organization_id, "user": user_id}).first()
        return None if row is None else _password(row)

    def find_encoded(self, organization_id: OrganizationId, user_id: UserId) -> str | None:
        encoded: str | None = self._connection.execute(_ENCODED, {"org": organization_id, "user": user_id}).scalar()
        return encoded

    def put_password(self, password: Password, encoded: str) -> None:
        row = {
            "organization_id": password.organization_id,
            "user_id": password.user_id,
            "version": password.version,
            "encoded": encoded,
            "previous": self.find_encoded(password.organization_id, password.user_id),
            "temporary": password.temporary,
            "expire_time": password.expire_time,
            "create_time": password.create_time,
            "update_time": password.update_time,
        }
        self._connection.execute(_PUT[self._connection.dialect], row)

    def find_previous(self, organization_id: OrganizationId, user_id: UserId) -> str | None:
        previous: str | None = self._connection.execute(_PREVIOUS, {"org": organization_id, "user": user_id}).scalar()
        return previous

    def rehash_password(self, organization_id: OrganizationId, user_id: UserId, stale: str, fresh: str) -> None:
        values = {"org": organization_id, "user": user_id, "stale": stale, "fresh": fresh}
        self._connection.execute(_REHASH, values)

    def remove_password(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        return self._connection.execute(_REMOVE, {"org": organization_id, "user": user_id}).rowcount > 0

    def statuses(
        self, organization_id: OrganizationId, principals: Collection[PrincipalRef]
    ) -> Mapping[PrincipalRef, CredentialStatus]:
        whose = {"org": organization_id, "whose": [ref_text(each) for each in principals]}
        living = {ref_from(text) for text in self._connection.execute(_LIVING, whose).scalars()}
        counts = {ref_from(row.bearer): row.total for row in self._connection.execute(_KEY_COUNTS, whose)}
        users = [each.id for each in living if each.kind is PrincipalKind.USER]
        rows = self._connection.execute(_OF_USERS, {"org": organization_id, "users": users})
        passwords = {PrincipalRef(PrincipalKind.USER, row.user_id): _password(row) for row in rows}
        devices = {
            PrincipalRef(PrincipalKind.USER, row.user_id): MfaState(row.state)
            for row in self._connection.execute(_DEVICES, {"org": organization_id, "users": users})
        }
        return {
            each: _status(each, counts.get(each, 0), passwords.get(each), devices.get(each, MfaState.INACTIVE))
            for each in living
        }


def _status(principal: PrincipalRef, keys: int, password: Password | None, mfa: MfaState) -> CredentialStatus:
    if password is None:
        return CredentialStatus(principal, api_key_count=keys, mfa=mfa)
    return CredentialStatus(principal, True, password.temporary, keys, password.failed_attempts, mfa)


def _password(row: Any) -> Password:
    return Password(
        user_id=row.user_id,
        organization_id=row.organization_id,
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
        temporary=row.temporary,
        expire_time=row.expire_time,
        failed_attempts=row.failed_attempts,
        last_attempt_time=row.last_attempt_time,
        lock_time=row.lock_time,
    )
