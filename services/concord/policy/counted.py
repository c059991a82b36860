"""A database that tells how often something may have changed through it."""

from collections.abc import Callable
from typing import TypeVar

from concord.kernel.database import Connection, Database, Key, Written

T = TypeVar("T")


class CountedDatabase:
    """Passes everything on, and counts writes that have ended.

    The database's own generation moves with published events only; what consumers apply publishes
    none, and changes decisions all the same.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writes = 0

    @property
    def moves(self) -> int:
        """Grows, before a write is answered, whenever something may have been committed."""
        return self._database.generation + self._writes

    @property
    def dialect(self) -> str:
        """See the contract."""
        return self._database.dialect

    @property
    def commits(self) -> int | None:
        """See the contract."""
        return self._database.commits

    @property
    def generation(self) -> int:
        """See the contract."""
        return self._database.generation

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """See the contract."""
        return await self._database.read(fn)

    async def look(self, fn: Callable[[Connection], T]) -> T:
        """See the contract."""
        return await self._database.look(fn)

    async def write(
        self, key: Key, fn: Callable[[Connection], T], *, rollback: bool = False, aside: bool = False
    ) -> Written[T]:
        """See the contract."""
        try:
            return await self._database.write(key, fn, rollback=rollback, aside=aside)
        finally:
            self._writes += 1

    async def wait_for_commit(self, generation: int, seconds: float) -> int:
        """See the contract."""
        return await self._database.wait_for_commit(generation, seconds)

    def notify(self) -> None:
        """See the contract."""
        self._database.notify()

    async def close(self) -> None:
        """See the contract."""
        await self._database.close()
