"""Schema histories: one line for each service, run only when behind, never by two at once."""

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text

from concord.kernel.database.migrate import BadHistory, head_revision
from concord.kernel.database.tables import kernel_tables
from databases import OpenDatabase, schema_differences
from fakes import open_sqlite

SERVICES = Path(__file__).resolve().parents[2] / "services"
FIRST = '''
"""The first form."""
import sqlalchemy as sa
from alembic import op
from concord.kernel.database.migrate import create_kernel_tables_1

revision = "0001"
down_revision = None

def upgrade():
    create_kernel_tables_1()
    op.create_table("thing", sa.Column("id", sa.Integer, primary_key=True))
'''
SECOND = '''
"""Things get an amount."""
import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"

def upgrade():
    op.add_column("thing", sa.Column("amount", sa.Integer, nullable=False, server_default="7"))
'''


def metadata(*more):
    made = MetaData()
    Table("thing", made, Column("id", Integer, primary_key=True), *more)
    kernel_tables(made)
    return made


@pytest.fixture
def history(tmp_path):
    folder = tmp_path / "things" / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "versions" / "0001_first.py").write_text(FIRST)
    return folder


async def test_a_history_makes_the_tables_that_the_metadata_describes(database_engines: OpenDatabase, history):
    assert await schema_differences(database_engines, metadata(), history) == []


async def test_a_table_that_no_migration_makes_is_a_difference(database_engines: OpenDatabase, history):
    forgotten = metadata(Column("amount", Integer))

    assert await schema_differences(database_engines, forgotten, history) != []


async def test_an_upgrade_keeps_the_rows(database_engines: OpenDatabase, history):
    tables = metadata()
    database = await database_engines(tables, history, name="things_upgraded")
    await database.write(None, lambda c: c.execute(insert(tables.tables["thing"]), {"id": 1}) and None)
    await database.close()
    (history / "versions" / "0002_amount.py").write_text(SECOND)

    database = await database_engines(tables, history, name="things_upgraded")

    row = await database.read(lambda c: tuple(c.execute(text("SELECT id, amount FROM thing")).one()))
    assert row == (1, 7)


async def test_a_migration_that_fails_half_way_leaves_nothing(database_engines: OpenDatabase, history):
    good = history / "versions" / "0001_first.py"
    good.write_text(FIRST + "    raise ZeroDivisionError\n")
    with pytest.raises(ZeroDivisionError):
        await database_engines(metadata(), history, name="things_half_way")
    good.write_text(FIRST)

    database = await database_engines(metadata(), history, name="things_half_way")

    assert await database.read(lambda c: c.execute(text("SELECT id FROM thing")).all()) == []


async def test_several_that_start_together_migrate_once(tmp_path, history):
    tables = metadata()

    opened = await asyncio.gather(*(open_sqlite(tmp_path, tables, history) for _ in range(4)))

    for database in opened:
        assert await database.read(lambda c: c.execute(select(tables.tables["thing"])).all()) == []
        await database.close()


async def test_histories_of_several_services_run_side_by_side_without_mixing(tmp_path):
    folders = []
    for at in range(6):
        folder = tmp_path / f"service{at}" / "migrations"
        (folder / "versions").mkdir(parents=True)
        (folder / "versions" / "0001.py").write_text(FIRST.replace('"thing"', f'"thing{at}"'))
        folders.append(folder)

    opened = await asyncio.gather(
        *(open_sqlite(tmp_path, MetaData(), folder, f"service{at}") for at, folder in enumerate(folders))
    )

    for at, database in enumerate(opened):
        found = await database.read(
            lambda c: c.execute(text("SELECT name FROM sqlite_master WHERE name LIKE 'thing%'")).scalars().all()
        )
        assert found == [f"thing{at}"]
        await database.close()


async def test_a_database_that_is_up_to_date_opens_without_the_migration_tool(tmp_path, history):
    await (await open_sqlite(tmp_path, metadata(), history)).close()
    script = """
        import asyncio, sys
        from pathlib import Path
        from sqlalchemy import MetaData
        from concord.kernel.database import DatabaseSettings, open_database

        async def main():
            settings = DatabaseSettings(None, Path(sys.argv[1]))
            database = await open_database(settings, "service", MetaData(), Path(sys.argv[2]))
            await database.close()

        asyncio.run(main())
        assert "alembic" not in sys.modules and "psycopg" not in sys.modules, "imported too much"
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), str(history)]

    done = await asyncio.to_thread(
        subprocess.run, command, env={"PYTHONPATH": str(SERVICES)}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_a_history_with_two_ends_or_none_is_refused(history):
    (history / "versions" / "0001_other.py").write_text(FIRST.replace("0001", "000x"))
    with pytest.raises(BadHistory):
        head_revision(history)
    for path in (history / "versions").iterdir():
        path.unlink()
    with pytest.raises(BadHistory):
        head_revision(history)
