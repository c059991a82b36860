"""The feed from end to end: order, barrier, absence, crashes, poison."""

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import grpc
import grpc.aio
import pytest
from sqlalchemy import select, update

from concord.common.v1.change_feed_service_pb2 import WatchRequest
from concord.common.v1.change_feed_service_pb2_grpc import add_ChangeFeedServiceServicer_to_server
from concord.kernel.clock import SettableClock
from concord.kernel.database.tables import feed_consumer, outbox_event
from concord.kernel.errors import Invalid, NotFound, Precondition, Unavailable
from concord.kernel.feed import trimming
from concord.kernel.feed.consumer import Consumer
from concord.kernel.feed.producer import LEASE, PAGE, Feed
from concord.kernel.feed.revision import parse_revisions
from concord.kernel.feed.servicer import ChangeFeedServicer
from concord.kernel.feed.trimming import trim
from concord.kernel.rpc.chain import Chain
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.server import Listener, build_grpc_server
from databases import OpenDatabase
from fakes import START, FeedChannel, calling, open_units
from things import METADATA, Things, WriteThingRequest, adding, copy, pack, snapshot


@pytest.fixture
def clock():
    return SettableClock(START)


@pytest.fixture
async def producer(tmp_path, clock):
    async with open_units(
        tmp_path, METADATA, Things, snapshot, service="producer", clock=clock, barrier_seconds=0.2
    ) as units:
        yield units


@pytest.fixture
async def copies(tmp_path, clock):
    async with open_units(tmp_path, METADATA, Things, snapshot, service="copies", clock=clock) as units:
        yield units


@asynccontextmanager
async def following(units, channel, *, apply=copy, name="copies", source="producer"):
    consumer = Consumer(name=name, source=source, units=units, apply=apply, channel=channel)
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


async def write(units, name, **change):
    """Write a thing; tell whether the answer said that it is still spreading."""
    with calling() as call:
        await units.write(WriteThingRequest(name=name), adding(name, **change), pack)
    return "concord-spreading" in dict(call.trailing)


async def names(units):
    return await units.read(lambda store: store.names())


async def registered(producer, consumer="copies"):
    await until(lambda: any(each.consumer == consumer for each in producer.feed._watchers))


async def test_what_is_committed_arrives_in_order(producer, copies):
    await write(producer, "before")

    async with following(copies, FeedChannel(producer.feed)) as consumer:
        for at in range(5):
            await write(producer, f"n{at}")
        await consumer.catch_up()

        assert await names(copies) == ["before", "n0", "n1", "n2", "n3", "n4"]
        assert consumer.cursor == producer.feed.head


async def test_more_than_a_page_arrives_in_pages(producer, copies):
    await asyncio.gather(*(asyncio.create_task(write(producer, f"n{at:03}")) for at in range(PAGE + 50)))
    seen = []

    def apply(unit, event):
        seen.append(event.revision)

    async with following(copies, FeedChannel(producer.feed), apply=apply) as consumer:
        await consumer.catch_up()

    assert len(seen) == PAGE + 50
    assert seen == sorted(seen)


async def test_a_security_relevant_answer_waits_until_a_live_consumer_has_applied_it(producer, copies):
    async with following(copies, FeedChannel(producer.feed)):
        await registered(producer)

        for at in range(20):
            spreading = await write(producer, f"n{at:02}", security_relevant=True)

            assert not spreading
            assert f"n{at:02}" in await names(copies)


async def test_an_awaited_answer_waits_too_and_an_ordinary_one_does_not(producer, copies):
    gate = asyncio.Event()
    real = copies.apply

    async def slow(*args):
        await gate.wait()
        return await real(*args)

    copies.apply = slow
    async with following(copies, FeedChannel(producer.feed)):
        await registered(producer)

        assert not await write(producer, "ordinary")
        assert await write(producer, "awaited", awaited=True)
        gate.set()


async def test_ordinary_changes_gather_on_a_page_until_one_is_urgent(producer, copies, monkeypatch):
    monkeypatch.setattr("concord.kernel.feed.producer.GATHER_SECONDS", 3600)
    monkeypatch.setattr("concord.kernel.feed.producer.CROWD", 1)
    async with following(copies, FeedChannel(producer.feed)):
        await registered(producer)
        await write(producer, "first", awaited=True)
        for name in ("second", "third"):
            await write(producer, name)
        await asyncio.sleep(0.05)
        assert await names(copies) == ["first"]

        assert not await write(producer, "urgent", awaited=True)

        assert await names(copies) == ["first", "second", "third", "urgent"]


async def test_without_consumers_nothing_is_spreading(producer):
    assert not await write(producer, "one", security_relevant=True)


async def test_a_frozen_consumer_costs_one_barrier_its_limit_and_the_next_nothing(producer, copies):
    gate = asyncio.Event()
    gate.set()
    real = copies.apply

    async def freezing(*args):
        await gate.wait()
        return await real(*args)

    copies.apply = freezing
    loop = asyncio.get_running_loop()
    async with following(copies, FeedChannel(producer.feed)) as consumer:
        await registered(producer)
        assert not await write(producer, "healthy", security_relevant=True)

        gate.clear()
        start = loop.time()
        assert await write(producer, "first", security_relevant=True)
        first = loop.time() - start
        start = loop.time()
        assert await write(producer, "second", security_relevant=True)
        second = loop.time() - start
        gate.set()
        await consumer.catch_up()
        await until(lambda: not any(watcher.lagging for watcher in producer.feed._watchers))

        assert first >= 0.19
        assert second < 0.15
        assert not await write(producer, "thawed", security_relevant=True)


async def test_a_registered_consumer_that_is_absent_keeps_writes_spreading(producer, copies):
    channel = FeedChannel(producer.feed)
    async with following(copies, channel):
        await registered(producer)
    await until(lambda: not producer.feed._watchers)

    assert await write(producer, "one", security_relevant=True)

    async with following(copies, channel) as consumer:
        await consumer.catch_up()
        assert not await write(producer, "two", security_relevant=True)


async def test_a_registered_consumer_is_remembered_by_the_next_process(producer, copies, clock):
    async with following(copies, FeedChannel(producer.feed)):
        await registered(producer)
    restarted = Feed("producer", producer.database, clock)
    await restarted.start()

    assert not await restarted.barrier(1)


async def test_a_consumer_that_stayed_away_for_a_day_is_no_longer_waited_for(producer, copies, clock):
    async with following(copies, FeedChannel(producer.feed)):
        await registered(producer)
    await until(lambda: not producer.feed._watchers)

    clock.advance(timedelta(hours=25))

    assert not await write(producer, "one", security_relevant=True)


async def test_a_consumer_that_dies_while_waited_for_counts_as_not_applied(producer, copies):
    gate = asyncio.Event()

    async def never(*args):
        await gate.wait()

    copies.apply = never
    producer.feed._barrier_seconds = 5.0
    channel = FeedChannel(producer.feed)
    async with following(copies, channel):
        await registered(producer)
        writing = asyncio.create_task(write(producer, "one", security_relevant=True))
        await until(lambda: producer.feed._barriers)

        channel.cut()

        assert await asyncio.wait_for(writing, 2.0)


async def test_effects_are_exactly_once_although_the_consumer_crashes_in_the_middle(tmp_path, producer, copies, clock):
    channel = FeedChannel(producer.feed)
    real, calls = copies.apply, 0

    async def crashing(*args):
        nonlocal calls
        calls += 1
        if calls % 3 == 1:
            raise ConnectionError("before the commit")
        cursor = await real(*args)
        if calls % 3 == 2:
            # Committed, but nobody is told.
            raise ConnectionError("after the commit")
        return cursor

    copies.apply = crashing
    for run in range(3):
        async with following(copies, channel):
            for at in range(15):
                await write(producer, f"run {run} {at:02}")
    copies.apply = real
    async with following(copies, channel) as consumer:
        await consumer.catch_up()

    assert await names(copies) == await names(producer)


async def test_a_killed_consumer_goes_on_from_its_cursor(tmp_path, producer, clock):
    channel = FeedChannel(producer.feed)
    seen = []

    def apply(unit, event):
        copy(unit, event)
        seen.append(event.revision)

    for run in range(3):
        async with (
            open_units(tmp_path, METADATA, Things, snapshot, service="copies", clock=clock) as copies,
            following(copies, channel, apply=apply) as consumer,
        ):
            for at in range(10):
                await write(producer, f"{run} {at}")
            await consumer.catch_up()

    assert len(seen) == len(set(seen)) == 30


async def test_an_event_that_cannot_be_applied_is_tried_again_and_never_passed_over(producer, copies, caplog):
    caplog.set_level(logging.CRITICAL + 1)
    tries = []

    def apply(unit, event):
        if event.resource_id == "poison" and len(tries) < 4:
            tries.append(event.revision)
            raise ZeroDivisionError
        copy(unit, event)

    for name in ("a", "poison", "z"):
        await write(producer, name)
    async with following(copies, FeedChannel(producer.feed), apply=apply) as consumer:
        await until(lambda: len(tries) >= 2)
        assert "z" not in await names(copies)
        await consumer.catch_up()

    assert await names(copies) == ["a", "poison", "z"]


async def test_a_reference_on_its_way_is_found_after_catching_up(producer, copies):
    async with following(copies, FeedChannel(producer.feed)):
        await write(producer, "user")

        def operation(unit):
            if "user" not in unit.store.names():
                raise NotFound("user", "user")
            return 1

        with calling():
            answer = await copies.write(WriteThingRequest(), operation, pack, awaits=("producer",))

    assert answer.revision == 1


async def test_catching_up_with_a_source_that_is_away_is_unavailable(producer, copies):
    channel = FeedChannel(producer.feed)
    channel.cut()

    async with following(copies, channel) as consumer:
        with pytest.raises(Unavailable):
            await consumer.catch_up(0.1)
        with pytest.raises(Unavailable):
            await consumer.wait_until(7, 0.05)


async def test_a_read_waits_until_it_is_as_fresh_as_asked(producer, copies):
    with calling() as call:
        await producer.write(WriteThingRequest(name="one"), adding("one"), pack)
    vector = parse_revisions(dict(call.trailing)["concord-revision"])

    async with following(copies, FeedChannel(producer.feed)):
        await copies.wait_until_fresh(vector)

        assert await names(copies) == ["one"]


async def test_rows_that_another_process_wrote_arrive_as_well(tmp_path, database_engines: OpenDatabase, clock, copies):
    here = await database_engines(METADATA, name="shared_feed")
    there = await database_engines(METADATA, name="shared_feed")
    await here.write(None, lambda c: [c.execute(table.delete()) for table in METADATA.sorted_tables] and None)
    options = {"service": "producer", "clock": clock}
    async with (
        open_units(tmp_path, METADATA, Things, snapshot, database=here, **options) as hearing,
        open_units(tmp_path, METADATA, Things, snapshot, database=there, **options) as writing,
        following(copies, FeedChannel(hearing.feed)) as consumer,
    ):
        await registered(hearing)
        await asyncio.gather(*(asyncio.create_task(write(writing, f"n{at:02}")) for at in range(20)))
        await consumer.catch_up()

        assert len(await names(copies)) == 20
        # The consumer is connected to the other process only, so this one cannot vouch for it.
        assert await write(writing, "secret", security_relevant=True)


@pytest.fixture
async def stored(tmp_path, database_engines: OpenDatabase, clock):
    """A producer on each engine."""
    database = await database_engines(METADATA)
    async with open_units(
        tmp_path, METADATA, Things, snapshot, service="producer", clock=clock, database=database
    ) as units:
        yield units


async def revisions(units):
    return await units.database.read(
        lambda connection: list(connection.execute(select(outbox_event.c.revision).order_by("revision")).scalars())
    )


async def applied(units, revision):
    await until(lambda: any(each.applied >= revision for each in units.feed._watchers))


async def test_events_that_all_have_applied_are_let_go_after_a_week(stored, copies, clock):
    async with following(copies, FeedChannel(stored.feed)) as consumer:
        for name in "abc":
            await write(stored, name)
        clock.advance(timedelta(days=6))
        await write(stored, "d")
        await consumer.catch_up()
        await applied(stored, consumer.cursor)
        everything = await revisions(stored)

        clock.advance(timedelta(days=2))
        await write(stored, "e")
        await consumer.catch_up()
        await applied(stored, consumer.cursor)

        async with asyncio.timeout(5):
            while len(left := await revisions(stored)) > 2:
                await asyncio.sleep(0.01)
        assert left[0] == everything[3]
        assert not await write(stored, "f", security_relevant=True)
        assert await names(copies) == ["a", "b", "c", "d", "e", "f"]


async def test_events_wait_for_a_consumer_that_may_come_back(stored, copies, clock):
    channel = FeedChannel(stored.feed)
    async with following(copies, channel) as consumer:
        for name in "abc":
            await write(stored, name)
        await consumer.catch_up()
    await until(lambda: not stored.feed._watchers)
    await write(stored, "d")
    clock.advance(timedelta(days=8))
    now = clock.now()

    # Seen a moment ago, and has applied two.
    await stored.database.write(None, lambda c: c.execute(update(feed_consumer).values(seen_time=now)) and None)
    first = (await revisions(stored))[0]
    await stored.database.write(
        None, lambda c: c.execute(update(feed_consumer).values(applied_revision=first + 1)) and None
    )
    more = (await stored.database.write(None, lambda c: trim(c, now, now - LEASE))).value

    assert not more
    assert await revisions(stored) == [first + 2, first + 3]


async def test_the_newest_event_stays_and_tells_where_the_feed_stands(stored, copies, clock):
    async with following(copies, FeedChannel(stored.feed)) as consumer:
        await write(stored, "a")
        await write(stored, "b")
        await consumer.catch_up()
        await applied(stored, consumer.cursor)
    head = await stored.feed.read_head()
    now = clock.now() + timedelta(days=30)

    await stored.database.write(None, lambda c: c.execute(update(feed_consumer).values(seen_time=now)) and None)
    await stored.database.write(None, lambda c: c.execute(update(feed_consumer).values(applied_revision=head)) and None)
    await stored.database.write(None, lambda c: trim(c, now, now - LEASE))

    assert await revisions(stored) == [head]
    assert await Feed("producer", stored.database, clock).read_head() == head


async def test_a_watch_that_starts_before_what_is_gone_is_told_so(stored, copies, clock, caplog, monkeypatch):
    monkeypatch.setattr(trimming, "AT_ONCE", 2)
    async with following(copies, FeedChannel(stored.feed)) as consumer:
        for name in "abcd":
            await write(stored, name)
        await consumer.catch_up()
        await applied(stored, consumer.cursor)
    head, now = await stored.feed.read_head(), clock.now() + timedelta(days=8)
    await stored.database.write(
        None,
        lambda c: c.execute(update(feed_consumer).values(applied_revision=head, seen_time=now)) and None,
    )

    assert (await stored.database.write(None, lambda c: trim(c, now, now - LEASE))).value
    gone = (await revisions(stored))[0] - 1

    async def watch(start):
        first = WatchRequest(source="producer", consumer="late", from_revision=start)
        await asyncio.wait_for(stored.feed.watch(first, _nothing(), _ignore), 0.2)

    with pytest.raises(Precondition, match=f"changes up to {gone} are gone"):
        await watch(gone - 1)
    names_known = await stored.database.read(lambda c: list(c.execute(select(feed_consumer.c.name)).scalars()))
    assert "late" not in names_known
    with pytest.raises(TimeoutError):
        await watch(gone)


async def _nothing():
    await asyncio.Event().wait()
    yield


async def _ignore(message):
    pass


@pytest.mark.parametrize(
    ("first", "error"),
    [
        (WatchRequest(source="nobody", consumer="c"), NotFound),
        (WatchRequest(source="producer"), Invalid),
        (WatchRequest(source="producer", consumer="c" * 65), Invalid),
        (WatchRequest(source="producer", consumer="c", from_revision=-1), Invalid),
        (None, Invalid),
    ],
)
async def test_a_malformed_watch_is_refused(producer, first, error):
    async def requests():
        if first is not None:
            yield first

    with pytest.raises(error):
        await ChangeFeedServicer({"producer": producer.feed}).Watch(requests(), SimpleNamespace(write=None))


async def test_a_watch_ends_and_leaves_nothing_when_its_consumer_does(producer):
    sent = []

    class Context:
        async def write(self, message):
            sent.append(message)

    async def requests():
        yield WatchRequest(source="producer", consumer="brief")
        while not sent:
            await asyncio.sleep(0)

    await asyncio.wait_for(ChangeFeedServicer({"producer": producer.feed}).Watch(requests(), Context()), 5)

    assert sent[0].head_revision == 0
    assert not producer.feed._watchers


@asynccontextmanager
async def served(transport, feed):
    """Serve a feed behind an empty chain."""
    servicers = [(add_ChangeFeedServiceServicer_to_server, ChangeFeedServicer({feed.source: feed}))]
    if transport == "inprocess":
        local = InProcessServer(Chain([]))
        servicers[0][0](servicers[0][1], local)
        yield InProcessChannel(local)
        await local.stop()
        return
    server = build_grpc_server(Listener("127.0.0.1:0"), servicers, Chain([]))
    address = await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel
    await server.stop(0)


@pytest.mark.parametrize("transport", ["inprocess", "grpc"])
async def test_the_feed_and_its_barrier_work_over_every_transport(producer, copies, transport):
    producer.feed._barrier_seconds = 5.0
    async with served(transport, producer.feed) as channel:
        async with following(copies, channel) as consumer:
            await registered(producer)
            for at in range(10):
                assert not await write(producer, f"n{at}", security_relevant=True)
            await consumer.catch_up()

            assert await names(copies) == await names(producer)
            assert consumer.cursor == producer.feed.head

        # A consumer that ends takes its stream along, so the producer knows that it is away.
        await until(lambda: not producer.feed._watchers)
        assert await write(producer, "unseen", security_relevant=True)
