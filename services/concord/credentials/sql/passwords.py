"""Passwords in SQL, and the statuses that lists show."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, select

from concord.credentials.model import ApiKeyState, CredentialStatus, LifeState, Password
from concord.credentials.sql.rows import SqlPart, ref_from, ref_text
from concord.credentials.sql.tables import api_key, password, principal
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef

_PASSWORD = password.c
_SHOWN: Final = [column for column in _PASSWORD if column.name not in ("encoded", "previous")]
_MINE: Final = (_PASSWORD.organization_id == bindparam("org")) & (_PASSWORD.user_id == bindparam("user"))
_FIND: Final = select(*_SHOWN).where(_MINE)
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
_OF_USERS: Final = select(*_SHOWN).where(
    _PASSWORD.organization_id == bindparam("org"), _PASSWORD.user_id.in_(bindparam("users", expanding=True))
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
            "failed_attempts": password.failed_attempts,
            "last_attempt_time": password.last_attempt_time,
            "lock_time": password.lock_time,
            "create_time": password.create_time,
            "update_time": password.update_time,
        }
        self._connection.execute(_PUT[self._connection.dialect], row)

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
        return {each: _status(each, counts.get(each, 0), passwords.get(each)) for each in living}


def _status(principal: PrincipalRef, keys: int, password: Password | None) -> CredentialStatus:
    if password is None:
        return CredentialStatus(principal, api_key_count=keys)
    return CredentialStatus(principal, True, password.temporary, keys, password.failed_attempts)


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
