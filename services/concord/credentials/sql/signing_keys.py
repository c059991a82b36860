"""Signing keys in SQL."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy import insert as insert_into

from concord.credentials.model.clients import SigningAlgorithm
from concord.credentials.model.tokens import SigningKey, SigningKeyState
from concord.credentials.sql.rows import SqlPart
from concord.credentials.sql.token_tables import signing_key
from concord.kernel.database.columns import Instant

_KEY = signing_key.c
_SHOWN: Final = [column for column in _KEY if column.name != "sealed_private"]
_ALL: Final = select(*_SHOWN).order_by(_KEY.create_time, _KEY.kid)
_SIGNING: Final = select(_KEY.kid, _KEY.sealed_private).where(
    _KEY.algorithm == bindparam("by"), _KEY.state == SigningKeyState.ACTIVE.value
)
_ADD: Final = insert_into(signing_key)
_THIS: Final = _KEY.kid == bindparam("which")
_REPLACE: Final = (
    update(signing_key)
    .where(_THIS)
    .values(
        state=bindparam("to"),
        activate_time=bindparam("activated", type_=Instant),
        retire_time=bindparam("retired", type_=Instant),
    )
)
_REMOVE: Final = delete(signing_key).where(_THIS)


class SqlSigningKeys(SqlPart):
    """The `SigningKeys` part of the store."""

    def signing_keys(self) -> Sequence[SigningKey]:
        return [_key(row) for row in self._connection.execute(_ALL)]

    def find_signing_key(self, algorithm: SigningAlgorithm) -> tuple[str, bytes] | None:
        row = self._connection.execute(_SIGNING, {"by": algorithm.value}).first()
        return None if row is None else (row.kid, row.sealed_private)

    def add_signing_key(self, key: SigningKey, sealed_private: bytes) -> None:
        row = {
            "kid": key.kid,
            "algorithm": key.algorithm.value,
            "public_jwk": key.public_jwk,
            "sealed_private": sealed_private,
            "state": key.state.value,
            "create_time": key.create_time,
            "activate_time": key.activate_time,
            "retire_time": key.retire_time,
        }
        self._connection.execute(_ADD, row)

    def replace_signing_key(self, key: SigningKey) -> None:
        values = {
            "which": key.kid,
            "to": key.state.value,
            "activated": key.activate_time,
            "retired": key.retire_time,
        }
        self._connection.execute(_REPLACE, values)

    def remove_signing_key(self, kid: str) -> None:
        self._connection.execute(_REMOVE, {"which": kid})


def _key(row: Any) -> SigningKey:
    return SigningKey(
        kid=row.kid,
        algorithm=SigningAlgorithm(row.algorithm),
        public_jwk=row.public_jwk,
        state=SigningKeyState(row.state),
        create_time=row.create_time,
        activate_time=row.activate_time,
        retire_time=row.retire_time,
    )
