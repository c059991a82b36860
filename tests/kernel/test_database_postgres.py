"""What only PostgreSQL can go wrong with."""

import asyncio
import logging
import threading
import uuid

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, insert, select, text, update

from concord.kernel.database import DatabaseFault, DatabaseSettings, OutboxRow, UniqueViolation, open_database
from concord.kernel.database.facade import fault
from concord.kernel.errors import Unavailable
from concord.kernel.secret import Secret
from databases import engine_settings, postgres_url
from fakes import START

METADATA = MetaData()
COUNTER = Table("counter", METADATA, Column("id", Integer, primary_key=True), Column("n", Integer, nullable=False))
READ = select(COUNTER.c.n).where(COUNTER.c.id == bindparam("of"))
SET = update(COUNTER).where(COUNTER.c.id == bindparam("of")).values(n=bindparam("to"))
PASSWORD = "hunter2-correct-horse"


@pytest.fixture
async def database(tmp_path):
    name = f"postgres_{uuid.uuid4().hex[:12]}"
    opened = await open_database(engine_settings("postgresql", tmp_path), name, METADATA, None)
    await opened.write(None, lambda c: c.execute(insert(COUNTER), [{"id": at, "n": 0} for at in range(4)]) and None)
    yield opened
    await opened.close()


async def test_a_violation_that_a_unit_swallows_is_not_answered_as_committed(database):
    def swallow(connection):
        connection.execute(SET, {"of": 0, "to": 5})
        try:
            connection.execute(insert(COUNTER), {"id": 1, "n": 1})
        except UniqueViolation:
            return "fine"

    with pytest.raises(DatabaseFault):
        await database.write("o", swallow)

    assert await database.read(lambda c: c.execute(READ, {"of": 0}).scalar_one()) == 0


async def test_a_deadlock_is_tried_again_until_both_have_happened(database):
    together = threading.Barrier(2)
    tries = []

    def cross(first, second):
        def body(connection):
            tries.append(first)
            connection.execute(SET, {"of": first, "to": 1})
            if len(tries) <= 2:
                together.wait(10)
            connection.execute(SET, {"of": second, "to": 1})

        return body

    await asyncio.gather(database.write("a", cross(0, 1)), database.write("b", cross(1, 0)))

    assert len(tries) == 3


async def test_a_hot_organization_does_not_hold_the_others(database):
    gate = threading.Event()
    hot = [asyncio.create_task(database.write("hot", lambda connection: gate.wait(10))) for _ in range(40)]
    await asyncio.sleep(0)

    written = await asyncio.wait_for(database.write("other", lambda connection: "done"), 5)
    gate.set()
    await asyncio.gather(*hot)

    assert written.value == "done"


async def test_a_lost_connection_is_replaced(database):
    def die(connection):
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises((Unavailable, DatabaseFault)):
        await database.write("o", die)

    assert (await database.write("o", lambda c: c.execute(READ, {"of": 0}).scalar_one())).value == 0


async def test_rolled_back_events_leave_no_number_that_is_read(database):
    event = OutboxRow("o'; DROP TABLE counter; --", START, b"\x00'\\\xff")

    def fail(connection):
        connection.publish(event)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write("o", fail)
    written = await database.write("o", lambda connection: connection.publish(event))

    rows = await database.read(
        lambda c: c.execute(text("SELECT revision, organization_id, payload FROM outbox_event")).all()
    )
    assert [tuple(row) for row in rows] == [(written.revision, event.organization_id, event.payload)]


async def test_processes_that_start_together_make_the_schema_once(tmp_path):
    name = f"together_{uuid.uuid4().hex[:12]}"

    opened = await asyncio.gather(
        *(open_database(engine_settings("postgresql", tmp_path), name, METADATA, None) for _ in range(4))
    )

    for database in opened:
        await database.close()


def all_text(error):
    """Everything an error would put into a log, its causes and contexts included."""
    seen = []
    while error is not None:
        seen.append(f"{error!r} {error} {error.args}")
        error = error.__cause__ or error.__context__
    return " ".join(seen)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{PASSWORD}@127.0.0.1:1/db",
        f"postgresql+psycopg://user:{PASSWORD}@127.0.0.1:1/db",
        f"postgres://user:{PASSWORD}@127.0.0.1:{PASSWORD}/db",
        f"postgresql://user:{PASSWORD}@[bad/db",
        f"postgresql://user@127.0.0.1:1/db?password={PASSWORD}&nonsense={PASSWORD}",
        f"postgresql://%zz:{PASSWORD}@127.0.0.1/db",
        f"mysql://user:{PASSWORD}@127.0.0.1/db",
        PASSWORD,
    ],
)
async def test_kb15_no_error_or_log_of_a_bad_address_holds_its_password(tmp_path, caplog, capfd, url):
    caplog.set_level(logging.DEBUG)
    settings = DatabaseSettings(Secret(url), tmp_path)

    with pytest.raises((Unavailable, ValueError)) as caught:
        await open_database(settings, "service", METADATA, None)

    output = capfd.readouterr()
    assert PASSWORD not in all_text(caught.value) + caplog.text + output.out + output.err + repr(settings)


async def test_kb15_a_good_address_shows_its_password_nowhere(tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    url = postgres_url()
    separator = "&" if "?" in url else "?"
    settings = DatabaseSettings(Secret(f"{url}{separator}password={PASSWORD}"), tmp_path)
    name = f"kb15_{uuid.uuid4().hex[:12]}"

    database = await open_database(settings, name, METADATA, None)
    with pytest.raises(DatabaseFault) as caught:
        await database.write("o", lambda c: c.execute(text("SELECT nonsense")) and None)
    await database.close()

    output = capfd.readouterr()
    assert PASSWORD not in all_text(caught.value) + caplog.text + output.out + output.err + repr(database)


def test_kb15_a_fault_tells_the_kind_and_code_of_an_error_only():
    assert str(fault(psycopg.errors.UniqueViolation(PASSWORD))) == "UniqueViolation 23505"
