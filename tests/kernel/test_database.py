"""What both engines promise."""

import asyncio
import threading
import time

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, func, insert, select, update

from concord.kernel.database import DatabaseFault, MoreThanALook, OutboxRow, UniqueViolation
from concord.kernel.database.columns import Id, Instant, Json, Text
from concord.kernel.database.tables import outbox_event
from concord.kernel.errors import RateLimited, Unavailable
from databases import OpenDatabase
from fakes import START

METADATA = MetaData()
THING = Table(
    "thing",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("amount", Integer, nullable=False, default=0),
    Column("time", Instant),
    Column("extra", Json),
)
ADD = insert(THING)
NAMES = select(THING.c.name).order_by(THING.c.name)
AMOUNT = select(THING.c.amount).where(THING.c.id == bindparam("of"))
SET_AMOUNT = update(THING).where(THING.c.id == bindparam("of")).values(amount=bindparam("to"))
REVISIONS = select(outbox_event.c.revision).order_by(outbox_event.c.revision)
AFTER = REVISIONS.where(outbox_event.c.revision > bindparam("n"))
EVENT = OutboxRow("organization", START, b"payload")


def add(name, *, event=False):
    def body(connection):
        connection.execute(ADD, {"id": name, "name": name})
        if event:
            connection.publish(EVENT)
        return name

    return body


def after(cursor):
    return lambda connection: connection.execute(AFTER, {"n": cursor}).scalars().all()


async def names(database):
    return await database.read(lambda connection: connection.execute(NAMES).scalars().all())


async def test_a_written_row_is_read_by_the_next_read(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    await database.write("o", add("one"))

    assert await names(database) == ["one"]


async def test_an_instant_and_a_json_value_come_back_as_they_were(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    extra = {"ä": [1, None, "\x00"], "b": {}}
    row = {"id": "x", "name": "x", "time": START.replace(microsecond=123457), "extra": extra}

    await database.write("o", lambda connection: connection.execute(ADD, row) and None)

    found = await database.read(lambda connection: tuple(connection.execute(select(THING.c.time, THING.c.extra)).one()))
    assert found == (row["time"], extra)


async def test_an_error_in_one_unit_undoes_it_and_touches_no_other(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def half_done(connection):
        add("half")(connection)
        raise ZeroDivisionError

    outcomes = await asyncio.gather(
        *(database.write(f"o{at}", half_done if at == 3 else add(f"n{at}")) for at in range(6)), return_exceptions=True
    )

    assert isinstance(outcomes[3], ZeroDivisionError)
    assert await names(database) == ["n0", "n1", "n2", "n4", "n5"]


async def test_a_taken_unique_value_is_told_with_its_column(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", add("one"))

    with pytest.raises(UniqueViolation) as caught:
        await database.write("o", lambda connection: connection.execute(ADD, {"id": "two", "name": "one"}) and None)

    assert caught.value.columns == ("name",)
    assert caught.value.concerns("name")
    assert not caught.value.concerns("id")


async def test_a_unit_goes_on_after_a_violation_it_asked_to_survive(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", add("one"))

    def body(connection):
        with pytest.raises(UniqueViolation):
            connection.execute_unique(ADD, {"id": "one", "name": "other"})
        connection.execute_unique(ADD, {"id": "two", "name": "two"})
        return add("three")(connection)

    await database.write("o", body)

    assert await names(database) == ["one", "three", "two"]


async def test_no_driver_error_leaves_the_database(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    with pytest.raises(DatabaseFault) as caught:
        await database.write("o", lambda connection: connection.execute(ADD, {"id": "secret-value"}) and None)

    assert "secret-value" not in f"{caught.value} {caught.value.__context__} {caught.value.__cause__}"


async def test_a_unit_that_is_only_tried_leaves_nothing(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    written = await database.write("o", add("one", event=True), rollback=True)

    assert (written.value, written.revision) == ("one", None)
    assert await names(database) == []
    assert await database.read(lambda connection: connection.execute(REVISIONS).all()) == []


async def test_reads_and_writes_cannot_return_a_cursor(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    with pytest.raises(TypeError):
        await database.read(lambda connection: connection.execute(NAMES))
    with pytest.raises(TypeError):
        await database.write("o", lambda connection: connection.execute(NAMES))


async def test_a_cursor_smuggled_out_of_a_read_is_closed_and_pins_nothing(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", lambda connection: [add(name)(connection) for name in ("a", "b")] and None)

    smuggled = await database.read(lambda connection: [connection.execute(NAMES)])
    await database.write("o", add("c"))

    assert smuggled[0].closed
    assert await names(database) == ["a", "b", "c"]


async def test_a_read_sees_one_snapshot(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", add("one"))

    with pytest.raises((DatabaseFault, UniqueViolation)):
        await database.read(add("from a read"))
    assert await names(database) == ["one"]


async def test_a_look_sees_what_was_committed_before_it_each_time(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    # The first run of a statement takes another way than those after it.
    for at in range(3):
        await database.write("o", add(f"{at}"))
        seen = await database.look(lambda connection: connection.execute(NAMES).scalars().all())
        assert seen == [f"{n}" for n in range(at + 1)]


async def test_a_look_is_one_statement(database_engines: OpenDatabase):
    database = await database_engines(METADATA)

    def twice(connection):
        connection.execute(NAMES)
        return connection.execute(NAMES).scalars().all()

    with pytest.raises(MoreThanALook):
        await database.look(twice)
    assert await database.look(lambda connection: "none at all") == "none at all"


async def test_a_look_changes_nothing(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", add("one"))

    for change in (
        add("from a look"),
        lambda connection: connection.execute_unique(ADD, {"id": "x", "name": "x"}),
        lambda connection: connection.execute_later(ADD, {"id": "x", "name": "x"}),
        lambda connection: connection.publish(EVENT),
    ):
        with pytest.raises(MoreThanALook):
            await database.look(change)
    assert await names(database) == ["one"]


async def test_a_look_cannot_return_a_cursor_nor_smuggle_one_out(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", add("one"))

    with pytest.raises(TypeError):
        await database.look(lambda connection: connection.execute(NAMES))
    smuggled = await database.look(lambda connection: [connection.execute(NAMES)])

    assert smuggled[0].closed


async def test_no_driver_error_leaves_a_look_and_the_next_one_works(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    wrong = select(Column("no_such_column", Text)).select_from(THING)

    with pytest.raises(DatabaseFault):
        await database.look(lambda connection: connection.execute(wrong).all())
    assert await database.look(lambda connection: connection.execute(NAMES).scalars().all()) == []


async def test_a_closed_database_takes_no_look(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.close()

    with pytest.raises(Unavailable):
        await database.look(lambda connection: connection.execute(NAMES).scalars().all())


async def test_units_of_one_organization_never_lose_an_update(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", add("counter"))

    def increase(connection):
        amount = connection.execute(AMOUNT, {"of": "counter"}).scalar_one()
        connection.execute(SET_AMOUNT, {"of": "counter", "to": amount + 1})

    await asyncio.gather(*(database.write("o", increase) for _ in range(60)))

    assert await database.read(lambda c: c.execute(AMOUNT, {"of": "counter"}).scalar_one()) == 60


async def test_two_processes_on_one_database_are_serial_for_one_organization(database_engines: OpenDatabase):
    first = await database_engines(METADATA, name="shared_counter")
    second = await database_engines(METADATA, name="shared_counter")
    await first.write(None, lambda c: c.execute(THING.delete()) and None)
    await first.write("o", add("counter"))

    def increase(connection):
        amount = connection.execute(AMOUNT, {"of": "counter"}).scalar_one()
        connection.execute(SET_AMOUNT, {"of": "counter", "to": amount + 1})

    await asyncio.gather(*(database.write("o", increase) for _ in range(40) for database in (first, second)))

    assert await second.read(lambda c: c.execute(AMOUNT, {"of": "counter"}).scalar_one()) == 80


async def test_a_unit_of_several_organizations_overlaps_with_none_of_them(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    await database.write("o", add("counter"))

    def increase(connection):
        amount = connection.execute(AMOUNT, {"of": "counter"}).scalar_one()
        connection.execute(SET_AMOUNT, {"of": "counter", "to": amount + 1})

    keys = ["o", ("n", "o"), ("o", "p")]
    await asyncio.gather(*(database.write(keys[at % 3], increase) for at in range(45)))

    assert await database.read(lambda c: c.execute(AMOUNT, {"of": "counter"}).scalar_one()) == 45


async def test_a_cancelled_unit_is_dropped_before_it_starts(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    gate = threading.Event()
    started = threading.Event()

    def wait(connection):
        started.set()
        gate.wait(10)

    waiting = asyncio.create_task(database.write("o", wait, aside=True))
    await asyncio.to_thread(started.wait, 10)
    given_up = asyncio.create_task(database.write("o", add("given up")))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    gate.set()
    await waiting
    await database.write("o", add("later"))

    assert await names(database) == ["later"]


async def test_a_unit_that_has_started_commits_although_its_caller_gave_up(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    gate = threading.Event()
    started = threading.Event()

    def slow(connection):
        started.set()
        gate.wait(10)
        return add("slow")(connection)

    waiting = asyncio.create_task(database.write("o", slow, aside=True))
    await asyncio.to_thread(started.wait, 10)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.set()
    await database.write("o", add("later"))

    assert await names(database) == ["later", "slow"]


async def test_too_long_a_queue_refuses_at_once(database_engines: OpenDatabase):
    database = await database_engines(METADATA, queue_limit=3)
    gate = threading.Event()
    waiting = [asyncio.create_task(database.write("o", lambda connection: gate.wait(10), aside=True)) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(RateLimited):
        await database.write("o", add("one too many"))

    gate.set()
    await asyncio.gather(*waiting)
    await database.write("o", add("room again"))


async def test_closing_drains_what_is_queued(database_engines: OpenDatabase):
    database = await database_engines(METADATA, name="drained")
    await database.write(None, lambda c: c.execute(THING.delete()) and None)
    writes = [asyncio.create_task(database.write("o", add(f"n{at}"))) for at in range(20)]
    await asyncio.sleep(0)

    await database.close()

    assert len(await asyncio.gather(*writes)) == 20
    with pytest.raises(Unavailable):
        await database.write("o", add("too late"))
    again = await database_engines(METADATA, name="drained")
    assert len(await names(again)) == 20


async def test_no_event_is_skipped_under_sixteen_writers(database_engines: OpenDatabase):
    database = await database_engines(METADATA, pool_size=8)
    seen: list[int] = []
    running = True

    def publish(delay):
        def body(connection):
            connection.execute(NAMES).all()
            if delay:
                time.sleep(0.004)
            connection.publish(EVENT)
            connection.publish(EVENT)

        return body

    async def follow():
        while True:
            last = not running
            rows = await database.read(after(seen[-1] if seen else 0))
            seen.extend(rows)
            if last and not rows:
                return
            await asyncio.sleep(0)

    async def write(writer):
        for at in range(12):
            await database.write(f"organization {writer}", publish((writer + at) % 7 == 0))

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(write(writer) for writer in range(16)))
    running = False
    await follower

    everything = await database.read(lambda c: c.execute(REVISIONS).scalars().all())
    assert len(everything) == 16 * 12 * 2
    assert seen == everything


async def test_a_commit_by_another_process_wakes_those_who_wait(database_engines: OpenDatabase):
    first = await database_engines(METADATA, name="woken")
    second = await database_engines(METADATA, name="woken")
    generation = first.generation
    waiting = asyncio.create_task(first.wait_for_commit(generation, 5.0))
    await asyncio.sleep(0)

    start = time.monotonic()
    await second.write("o", add(f"news {time.time_ns()}", event=True))
    after = await waiting

    assert after > generation
    assert time.monotonic() - start < 2.0


@pytest.mark.parametrize(
    ("one", "other"), [("Foo", "foo"), ("é", "e\u0301"), ("a", "a "), ("straße", "strasse"), ("I", "ı"), ("a", "ａ")]
)
async def test_kb09_ids_and_texts_that_merely_look_alike_are_distinct(database_engines: OpenDatabase, one, other):
    database = await database_engines(METADATA)

    await database.write("o", add(one))
    await database.write("o", add(other))

    found = await database.read(lambda c: c.execute(select(THING.c.id).where(THING.c.name == one)).scalars().all())
    assert found == [one]


async def test_kb09_text_is_sorted_by_its_bytes_on_every_engine(database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    for name in ("b", "a", "B", "ä", "_", "A b", "Ab"):
        await database.write("o", add(name))

    assert await names(database) == ["A b", "Ab", "B", "_", "a", "b", "ä"]
    count = select(func.count()).select_from(THING)
    assert await database.read(lambda c: c.execute(count).scalar_one()) == 7
