"""An audit database on either engine."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from concord.audit.model import AuditEvent
from concord.audit.server import MIGRATIONS
from concord.audit.sql import SqlStore
from concord.audit.sql.tables import metadata
from concord.kernel.database import Database
from databases import database_engines

__all__ = ["database_engines"]


@dataclass
class Book:
    """The record, with one call for each thing to do."""

    database: Database

    async def keep(self, *events: AuditEvent) -> list[AuditEvent]:
        """Append events in one unit of work."""
        keys = tuple(sorted({event.organization_id for event in events}))
        written = await self.database.write(
            keys, lambda connection: [SqlStore(connection).append(event) for event in events]
        )
        return written.value

    async def ask(self, question: Callable[[SqlStore], Any]) -> Any:
        """Read from the store."""
        return await self.database.read(lambda connection: question(SqlStore(connection)))


@pytest.fixture
async def book(database_engines: Callable[..., Awaitable[Database]]) -> Book:
    """A database on the engine of this run."""
    return Book(await database_engines(metadata, MIGRATIONS))
