"""What only SQLite can go wrong with."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert, select, text

from concord.kernel.database import DatabaseFault
from concord.kernel.database.tables import outbox_event
from fakes import START, open_sqlite

SERVICES = Path(__file__).resolve().parents[2] / "services"
METADATA = MetaData()
BLOB = Table("blob", METADATA, Column("id", Integer, primary_key=True), Column("body", LargeBinary, nullable=False))


def add(number, size=1):
    def body(connection):
        connection.execute(insert(BLOB), {"id": number, "body": b"x" * size})
        return number

    return body


async def ids(database):
    return await database.read(lambda c: c.execute(select(BLOB.c.id).order_by(BLOB.c.id)).scalars().all())


async def queue_together(database, *units):
    """Make the units one batch: the writer is held until all are queued."""
    gate, started = threading.Event(), threading.Event()

    def hold(connection):
        started.set()
        gate.wait(10)

    holding = asyncio.create_task(database.write(None, hold, aside=True))
    await asyncio.to_thread(started.wait, 10)
    tasks = [asyncio.create_task(database.write(None, unit)) for unit in units]
    await asyncio.sleep(0)
    gate.set()
    await holding
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_full_disk_fails_the_unit_that_filled_it_and_no_other(tmp_path):
    database = await open_sqlite(tmp_path, METADATA)

    def shrink(connection):
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages + 20}"))

    await database.write(None, shrink)

    outcomes = await queue_together(database, add(1), add(2, size=10_000_000), add(3))

    assert [type(outcome).__name__ for outcome in outcomes] == ["Written", "DatabaseFault", "Written"]
    assert outcomes[1].code == "SQLITE_FULL"
    assert await ids(database) == [1, 3]
    await database.close()


async def test_a_batch_that_sqlite_rolls_back_is_run_again_one_by_one(tmp_path):
    database = await open_sqlite(tmp_path, METADATA)
    runs: list[int] = []

    def counted(number):
        def body(connection):
            runs.append(number)
            return add(number)(connection)

        return body

    def break_transaction(connection):
        connection.execute(text("ROLLBACK"))
        raise DatabaseFault("the engine gave up")

    outcomes = await queue_together(database, counted(1), break_transaction, counted(2))

    assert [outcome.value for outcome in (outcomes[0], outcomes[2])] == [1, 2]
    assert isinstance(outcomes[1], DatabaseFault)
    assert runs == [1, 1, 2]
    assert await ids(database) == [1, 2]
    await database.close()


async def test_a_unit_that_swallows_the_loss_of_its_transaction_is_not_answered_as_done(tmp_path):
    database = await open_sqlite(tmp_path, METADATA)

    def swallow(connection):
        add(1)(connection)
        connection.execute(text("ROLLBACK"))
        return "fine"

    with pytest.raises(DatabaseFault):
        await database.write(None, swallow)

    await database.write(None, add(2))
    assert await ids(database) == [2]
    await database.close()


async def test_the_file_is_durable_by_default_and_readable_by_its_owner_only(tmp_path):
    database = await open_sqlite(tmp_path, METADATA, ephemeral=False)

    mode = await database.write(None, lambda c: c.execute(text("PRAGMA synchronous")).scalar_one())
    journal = await database.read(lambda c: c.execute(text("PRAGMA journal_mode")).scalar_one())

    assert (mode.value, journal) == (2, "wal")
    await database.close()


WRITER = """
    import asyncio, sys
    from pathlib import Path
    from concord.kernel.database import DatabaseSettings, OutboxRow, open_database
    from concord.kernel.clock import SettableClock
    from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert

    metadata = MetaData()
    blob = Table("blob", metadata, Column("id", Integer, primary_key=True), Column("body", LargeBinary, nullable=False))

    async def main(directory, start, count):
        settings = DatabaseSettings(None, Path(directory), queue_limit=count)
        database = await open_database(settings, "service", metadata, None)

        async def write(number):
            def body(connection):
                connection.execute(insert(blob), {"id": number, "body": b"x"})
                connection.publish(OutboxRow("o", SettableClock().now(), b"x"))
            await database.write(None, body)
            print(number, flush=True)

        await asyncio.gather(*(write(start + at) for at in range(count)))
        await database.close()

    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def start_writer(directory, start, count):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(directory), str(start), str(count)],
        env={"PYTHONPATH": str(SERVICES)},
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_two_processes_write_one_file_and_lose_nothing(tmp_path):
    processes = [start_writer(tmp_path, start, 200) for start in (0, 1000)]
    for process in processes:
        await asyncio.to_thread(process.communicate)
        assert process.returncode == 0

    database = await open_sqlite(tmp_path, METADATA)
    assert await ids(database) == [*range(200), *range(1000, 1200)]
    count = await database.read(lambda c: len(c.execute(select(outbox_event.c.revision)).all()))
    assert count == 400
    await database.close()


async def test_what_was_answered_survives_a_kill(tmp_path):
    process = start_writer(tmp_path, 0, 20_000)
    answered = []
    for _ in range(300):
        line = await asyncio.to_thread(process.stdout.readline)
        answered.append(int(line))
    process.kill()
    rest, _ = await asyncio.to_thread(process.communicate)
    # The last line may have been cut.
    answered += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]

    database = await open_sqlite(tmp_path, METADATA)
    kept = set(await ids(database))
    events = await database.read(lambda c: len(c.execute(select(outbox_event.c.revision)).all()))

    assert set(answered) <= kept
    assert events == len(kept)
    await database.close()


async def test_a_number_is_never_given_twice(tmp_path):
    from concord.kernel.database import OutboxRow

    database = await open_sqlite(tmp_path, METADATA)
    event = OutboxRow("o", START, b"")
    first = await database.write(None, lambda c: c.publish(event))
    await database.write(None, lambda c: c.execute(outbox_event.delete()) and None)

    second = await database.write(None, lambda c: c.publish(event))

    assert second.revision > first.revision
    await database.close()


async def test_a_reading_connection_cannot_write(tmp_path):
    database = await open_sqlite(tmp_path, METADATA)

    with pytest.raises(DatabaseFault, match="READONLY"):
        await database.read(add(1))

    connection = sqlite3.connect(tmp_path / "service.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    await database.close()


async def test_a_foreign_writer_does_not_stop_the_loop(tmp_path):
    database = await open_sqlite(tmp_path, METADATA)
    foreign = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    beginning = time.perf_counter()
    waiting = asyncio.create_task(database.write(None, add(1)))
    longest = 0.0
    for _ in range(20):
        before = time.perf_counter()
        await asyncio.sleep(0.01)
        longest = max(longest, time.perf_counter() - before)
    assert not waiting.done()
    foreign.execute("COMMIT")
    await waiting
    foreign.close()

    assert longest < 0.5
    assert time.perf_counter() - beginning < 5
    assert await ids(database) == [1]
    await database.close()
