"""An audit database on either engine."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from concord.audit.model import Entry
from concord.audit.server import MIGRATIONS
from concord.audit.sql import SqlStore
from concord.audit.sql.tables import metadata
from concord.kernel.database import Connection, Database
from databases import database_engines

__all__ = ["database_engines"]


@dataclass
class Book:
    """The record, with one call for each thing to do."""

    database: Database

    async def keep(self, *entries: Entry) -> None:
        """Append changes in one unit of work."""

        def body(connection: Connection) -> None:
            store = SqlStore(connection)
            for entry in entries:
                store.append(entry)

        await self.database.write(tuple(sorted({entry.organization_id for entry in entries})), body)

    async def ask(self, question: Callable[[SqlStore], Any]) -> Any:
        """Read from the store."""
        return await self.database.read(lambda connection: question(SqlStore(connection)))


@pytest.fixture
async def book(database_engines: Callable[..., Awaitable[Database]]) -> Book:
    """A database on the engine of this run."""
    return Book(await database_engines(metadata, MIGRATIONS))
