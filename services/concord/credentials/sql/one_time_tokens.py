"""Mailed secrets in SQL."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, select, update

from concord.credentials.model.logins import OneTimeToken, Purpose
from concord.credentials.sql.login_tables import one_time_token
from concord.credentials.sql.rows import SqlPart
from concord.kernel.database.columns import Instant
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.secret import SecretHash

_TOKEN = one_time_token.c
_SHOWN: Final = [column for column in _TOKEN if column.name != "secret_hash"]
_OF: Final = (_TOKEN.organization_id == bindparam("org")) & (_TOKEN.user_id == bindparam("user"))
_THIS: Final = _OF & (_TOKEN.purpose == bindparam("what"))
_FIND: Final = select(*_SHOWN).where(_THIS)
_BY_ID: Final = select(*_SHOWN).where(_TOKEN.id == bindparam("which"))
_PUT: Final = upserts(one_time_token)
_HASH: Final = select(_TOKEN.secret_hash).where(_THIS, _TOKEN.expire_time > bindparam("now", type_=Instant))
_USE: Final = (
    update(one_time_token)
    .where(_THIS, _TOKEN.expire_time > bindparam("now", type_=Instant), _TOKEN.secret_hash == bindparam("hash"))
    .values(secret_hash=None)
)
_VOID: Final = update(one_time_token).where(_OF).values(secret_hash=None)
_TRIM: Final = delete(one_time_token).where(_TOKEN.expire_time < bindparam("before", type_=Instant))


class SqlOneTimeTokens(SqlPart):
    """The `OneTimeTokens` part of the store."""

    def find_one_time_token(
        self, organization_id: OrganizationId, user_id: UserId, purpose: Purpose
    ) -> OneTimeToken | None:
        values = {"org": organization_id, "user": user_id, "what": purpose.value}
        return _token(self._connection.execute(_FIND, values).first())

    def find_token_by_id(self, id: str) -> OneTimeToken | None:
        return _token(self._connection.execute(_BY_ID, {"which": id}).first())

    def put_one_time_token(self, token: OneTimeToken, secret_hash: SecretHash) -> None:
        row = {
            "organization_id": token.organization_id,
            "user_id": token.user_id,
            "purpose": token.purpose.value,
            "id": token.id,
            "secret_hash": secret_hash.value,
            "expire_time": token.expire_time,
            "sent": token.sent,
            "window_time": token.window_time,
        }
        self._connection.execute(_PUT[self._connection.dialect], row)

    def find_one_time_hash(
        self, organization_id: OrganizationId, user_id: UserId, purpose: Purpose, now: datetime
    ) -> SecretHash | None:
        values = {"org": organization_id, "user": user_id, "what": purpose.value, "now": now}
        found: bytes | None = self._connection.execute(_HASH, values).scalar()
        return None if found is None else SecretHash(found)

    def use_one_time_token(
        self, organization_id: OrganizationId, user_id: UserId, purpose: Purpose, secret: SecretHash, now: datetime
    ) -> bool:
        values = {"org": organization_id, "user": user_id, "what": purpose.value, "hash": secret.value, "now": now}
        return self._connection.execute(_USE, values).rowcount == 1

    def void_one_time_tokens(self, organization_id: OrganizationId, user_id: UserId) -> None:
        self._connection.execute(_VOID, {"org": organization_id, "user": user_id})

    def trim_one_time_tokens(self, before: datetime) -> int:
        return self._connection.execute(_TRIM, {"before": before}).rowcount


def _token(row: Any) -> OneTimeToken | None:
    if row is None:
        return None
    return OneTimeToken(
        id=row.id,
        organization_id=row.organization_id,
        user_id=row.user_id,
        purpose=Purpose(row.purpose),
        expire_time=row.expire_time,
        sent=row.sent,
        window_time=row.window_time,
    )
