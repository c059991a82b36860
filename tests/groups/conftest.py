"""A groups database on either engine, and operations run in units of work on it."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from concord.groups.model import Container, ContainerKind, Group, GroupDraft, LocalizedText, Principal, UniqueWithin
from concord.groups.operations import groups
from concord.groups.server import MIGRATIONS
from concord.groups.sql import SqlStore, metadata
from concord.kernel.clock import SettableClock
from concord.kernel.database import Database
from concord.kernel.ids import GroupId, OrganizationId
from concord.kernel.principal import Author, PrincipalKind, PrincipalRef, Reach
from concord.kernel.units import Change, Unit
from databases import database_engines
from fakes import CALLER, ORGANIZATION, START, open_sqlite

__all__ = ["database_engines"]


@dataclass
class World:
    """Operations on one organization, each in a unit of its own."""

    database: Database
    clock: SettableClock = field(default_factory=lambda: SettableClock(START))
    changes: Sequence[Change] = ()

    async def do(self, operation: Callable[[Unit[Any]], Any], organization_id: OrganizationId = ORGANIZATION) -> Any:
        """Run an operation; `changes` are what it announced."""
        now = self.clock.now()

        def body(connection: Any) -> tuple[Any, list[Change]]:
            unit = Unit(SqlStore(connection), organization_id, now, Author(principal=CALLER), Reach())
            value = operation(unit)
            return value, unit.changes

        written = await self.database.write(organization_id, body)
        value, self.changes = written.value
        self.clock.advance(timedelta(seconds=1))
        return value

    async def ask(self, question: Callable[[SqlStore], Any]) -> Any:
        """Read from the store."""
        return await self.database.read(lambda connection: question(SqlStore(connection)))

    async def group(self, name: str = "crew", *, within: UniqueWithin = UniqueWithin.NOWHERE, **more: Any) -> Group:
        """Make a group."""
        draft = GroupDraft(name=LocalizedText(name), **more)
        made: Group = await self.do(lambda unit: groups.create_group(unit, draft, within))
        return made

    async def principal(
        self, kind: PrincipalKind = PrincipalKind.USER, *, is_customer: bool = False, id_: str = ""
    ) -> PrincipalRef:
        """Let a principal be known."""
        ref = PrincipalRef(kind, id_ or str(uuid.uuid4()))
        await self.do(lambda unit: unit.store.put_principal(ORGANIZATION, Principal(ref, is_customer)))
        return ref


def in_group(group_id: str) -> Container:
    """Return a group as a container."""
    return Container(ContainerKind.GROUP, GroupId(group_id))


@pytest.fixture
async def world(tmp_path: Any) -> Any:
    """An embedded database."""
    database = await open_sqlite(tmp_path, metadata, MIGRATIONS, "groups")
    yield World(database)
    await database.close()


@pytest.fixture
async def both(database_engines: Callable[..., Awaitable[Database]]) -> World:
    """A database on the engine of this run."""
    return World(await database_engines(metadata, MIGRATIONS))
