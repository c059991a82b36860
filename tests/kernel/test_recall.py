"""What a service keeps of its reads between two commits."""

import asyncio
import random

import pytest

from concord.kernel.clock import SettableClock
from concord.kernel.errors import NotFound, Unavailable
from databases import OpenDatabase
from fakes import START, calling, open_units
from things import METADATA, Things, WriteThingRequest, adding, pack, snapshot


@pytest.fixture(params=["alone", "with others"])
async def units(request, tmp_path, database_engines: OpenDatabase):
    database = await database_engines(METADATA, alone=request.param == "alone")
    async with open_units(
        tmp_path, METADATA, Things, snapshot, clock=SettableClock(START), database=database
    ) as opened:
        yield opened


@pytest.fixture
async def alone(tmp_path, database_engines: OpenDatabase):
    database = await database_engines(METADATA, alone=True)
    async with open_units(
        tmp_path, METADATA, Things, snapshot, clock=SettableClock(START), database=database
    ) as opened:
        yield opened


async def add(units, name):
    with calling():
        await units.write(WriteThingRequest(name=name), adding(name), pack)


async def silently(units, name):
    """Write as a consumer may: without publishing anything."""
    await units.database.write(None, lambda connection: Things(connection).add("organization", name))


async def recalled(units, key="names", looks=None):
    def look(store):
        if looks is not None:
            looks.append(key)
        return store.names()

    return await units.recall(key, look)


async def test_what_was_committed_is_seen_by_the_next_recall(units):
    assert await recalled(units) == []

    for number, write in enumerate((add, silently, add, silently)):
        await write(units, f"thing {number}")
        assert await recalled(units) == [f"thing {n}" for n in range(number + 1)]


async def test_nothing_is_looked_up_twice_between_two_commits_where_nobody_else_writes(alone):
    looks = []
    for _ in range(3):
        await recalled(alone, "one", looks)
        await recalled(alone, "other", looks)
    # Where others may write, every recall looks.
    kept = alone.database.dialect == "sqlite"
    assert looks == (["one", "other"] if kept else ["one", "other"] * 3)

    await silently(alone, "thing")
    await recalled(alone, "one", looks)
    assert looks.count("one") == (2 if kept else 4)


async def test_everything_is_looked_up_where_others_may_write(tmp_path, database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    looks = []
    async with open_units(tmp_path, METADATA, Things, snapshot, clock=SettableClock(START), database=database) as units:
        for _ in range(3):
            await recalled(units, "one", looks)
    assert len(looks) == 3


async def test_a_failed_look_is_not_kept(alone):
    def fails(store):
        raise NotFound("thing", "one")

    for _ in range(2):
        with pytest.raises(NotFound):
            await alone.recall("one", fails)
    assert await alone.recall("one", lambda store: store.names()) == []


async def test_a_failed_write_changes_nothing_that_is_recalled(units):
    await add(units, "one")
    assert await recalled(units) == ["one"]
    with pytest.raises(Exception, match="one"):
        await add(units, "one")
    assert await recalled(units) == ["one"]


async def test_a_write_that_its_caller_gave_up_is_seen_once_it_was_committed(units):
    given_up = asyncio.ensure_future(silently(units, "given up"))
    await recalled(units)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    # Whatever became of it is settled before a later write is answered.
    await add(units, "later")

    assert await recalled(units) == await units.look(lambda store: store.names())


async def test_many_at_once_never_recall_less_than_was_answered(units):
    generator = random.Random(7)
    answered: set[str] = set()
    wrong = []

    async def writer(number):
        for count in range(10):
            name = f"{number}-{count}"
            await (add if generator.random() < 0.5 else silently)(units, name)
            answered.add(name)

    async def reader():
        while len(answered) < 80:
            before = set(answered)
            seen = set(await recalled(units))
            if not before <= seen:
                wrong.append(before - seen)
            await asyncio.sleep(0)

    await asyncio.gather(*(writer(number) for number in range(8)), reader(), reader())
    assert not wrong


async def test_what_is_kept_is_bounded(alone, monkeypatch):
    monkeypatch.setattr("concord.kernel.units._MOST_KEPT", 3)
    for number in range(10):
        await recalled(alone, number)
        assert len(alone._kept) <= 3


async def test_nothing_is_recalled_from_a_closed_database(units):
    await recalled(units)
    await units.database.close()
    with pytest.raises(Unavailable):
        await recalled(units)
