"""Fixtures of identity's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from concord.identity.server import MIGRATIONS
from concord.identity.sql import metadata
from databases import OpenDatabase, database_engines  # noqa: F401  (a fixture)
from fakes import open_sqlite
from identity.making import World


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world on the embedded database."""
    database = await open_sqlite(tmp_path, metadata, MIGRATIONS, "identity")
    yield World(database)
    await database.close()


@pytest_asyncio.fixture
async def worlds(database_engines: OpenDatabase) -> World:  # noqa: F811
    """A world on each engine in turn."""
    return World(await database_engines(metadata, MIGRATIONS))
