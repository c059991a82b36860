"""What the parts of the store share: one connection, one way to name parameters and to cut long lists."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import bindparam

from concord.kernel.database import Connection
from concord.kernel.ids import OrganizationId

T = TypeVar("T")

# Well below the number of parameters that either engine takes in one statement.
_CHUNK = 1000

ORGANIZATION: Any = bindparam("organization")


def expanding(name: str) -> Any:
    """Return the parameter for a list of values."""
    return bindparam(name, expanding=True)


class Part:
    """A part of the store over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _ids(self, statement: Any, organization_id: OrganizationId, ids: Collection[str]) -> frozenset[str]:
        return frozenset(
            row.id
            for chunk in chunks(ids)
            for row in self._connection.execute(statement, {"organization": organization_id, "ids": chunk})
        )


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Cut a list into pieces that fit into a statement."""
    everything = list(items)
    for start in range(0, len(everything), _CHUNK):
        yield everything[start : start + _CHUNK]
