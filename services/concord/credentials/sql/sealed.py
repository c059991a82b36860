"""What is sealed in the tables of this service, by which key, and how it gets a new seal."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import Column, bindparam, func, select, update

from concord.credentials.secrets.signing import signing_key_context
from concord.credentials.secrets.vault import key_context, seed_context
from concord.credentials.sql.login_tables import mfa_device
from concord.credentials.sql.rows import SqlPart
from concord.credentials.sql.tables import api_key
from concord.credentials.sql.token_tables import signing_key
from concord.credentials.store.sealed import SealedRow
from concord.kernel.database.columns import Bytes

# A seal begins with a version byte and four bytes of its key's id.
_HEAD: Final = 5


class _Place:
    """A column of sealed values: how rows with another seal are found, and one is given a new one."""

    def __init__(self, sealed: Column[Any], context: Callable[[Any], bytes], *keys: Column[Any]) -> None:
        table: Any = sealed.table
        head = func.substr(sealed, 1, _HEAD, type_=Bytes)
        self.context = context
        self.keys = [key.name for key in keys]
        self.find = (
            select(*keys, sealed.label("sealed"))
            .where(sealed.is_not(None), head != bindparam("head", type_=Bytes))
            .limit(bindparam("most"))
        )
        # Only where it is still what was opened: the thing may have been given another secret meanwhile.
        self.replace = (
            update(table)
            .where(*(key == bindparam(f"key_{key.name}") for key in keys), sealed == bindparam("known", type_=Bytes))
            .values({sealed.name: bindparam("fresh", type_=Bytes)})
        )


_PLACES: Final = {
    "api_key": _Place(
        api_key.c.sealed_secret, lambda row: key_context(row.organization_id, row.id),
        api_key.c.organization_id, api_key.c.id,
    ),
    "mfa_device": _Place(
        mfa_device.c.sealed_seed, lambda row: seed_context(row.organization_id, row.id),
        mfa_device.c.organization_id, mfa_device.c.user_id, mfa_device.c.id,
    ),
    "signing_key": _Place(
        signing_key.c.sealed_private, lambda row: signing_key_context(row.kid), signing_key.c.kid,
    ),
}  # fmt: skip


class SqlSealed(SqlPart):
    """The `Sealed` part of the store."""

    def sealed_otherwise(self, head: bytes, most: int) -> Sequence[SealedRow]:
        found: list[SealedRow] = []
        for name, place in _PLACES.items():
            if len(found) < most:
                rows = self._connection.execute(place.find, {"head": head, "most": most - len(found)})
                found += [
                    SealedRow(name, tuple(getattr(row, key) for key in place.keys), row.sealed, place.context(row))
                    for row in rows
                ]
        return found

    def replace_seal(self, row: SealedRow, fresh: bytes) -> None:
        place = _PLACES[row.place]
        keys = {f"key_{name}": value for name, value in zip(place.keys, row.keys, strict=True)}
        self._connection.execute(place.replace, keys | {"known": row.sealed, "fresh": fresh})
