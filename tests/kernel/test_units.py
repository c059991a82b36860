"""The one way handlers write."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from concord.common.v1.change_pb2 import ChangeEvent
from concord.common.v1.principal_pb2 import PrincipalRef as PrincipalMessage
from concord.kernel.clock import SettableClock
from concord.kernel.database.tables import outbox_event, request_record
from concord.kernel.errors import AlreadyExists, Conflict, Denied, NotFound, Reason
from concord.kernel.feed.revision import encode_revisions, parse_revisions
from concord.kernel.principal import PrincipalKind, PrincipalRef, Reach, TargetClass
from concord.kernel.units import Change
from databases import OpenDatabase
from fakes import CALLER, ORGANIZATION, OTHER_ORGANIZATION, START, calling, open_units
from things import METADATA, Things, WriteThingRequest, adding, pack, snapshot

SOMEBODY = PrincipalRef(PrincipalKind.USER, "44444444-4444-4444-8444-444444444444")


@pytest.fixture
def clock():
    return SettableClock(START)


@pytest.fixture
async def units(tmp_path, clock, database_engines: OpenDatabase):
    database = await database_engines(METADATA)
    async with open_units(tmp_path, METADATA, Things, snapshot, clock=clock, database=database) as opened:
        yield opened


def request(name="one", **fields):
    return WriteThingRequest(name=name, **fields)


def request_id():
    return str(uuid.uuid4())


async def write(units, message, *, name=None, secret=False, **caller):
    with calling(**caller) as call:
        answer = await units.write(message, adding(name or message.name), pack, secret=secret)
        return answer.revision, dict(call.trailing)


async def names(units):
    return await units.read(lambda store: store.names())


async def events(units):
    rows = await units.database.read(
        lambda c: [
            tuple(row)
            for row in c.execute(
                select(outbox_event.c.revision, outbox_event.c.payload).order_by(outbox_event.c.revision)
            )
        ]
    )
    return [ChangeEvent.FromString(payload) for _, payload in rows]


async def count(units, table):
    return await units.database.read(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one())


async def test_a_write_answers_keeps_its_rows_and_tells_its_revision(units):
    answer, trailing = await write(units, request("four"))

    assert answer == 4
    assert await names(units) == ["four"]
    assert parse_revisions(trailing["concord-revision"]) == {"service": units.feed.head}
    assert units.feed.head > 0
    assert "concord-spreading" not in trailing


async def test_an_event_says_what_was_done_by_whom_and_when(units):
    await write(units, request("one"))

    (event,) = await events(units)
    after = PrincipalMessage()
    assert event.after.Unpack(after)
    assert after.id == "one"
    assert not event.HasField("before")
    assert (event.type, event.resource_type, event.resource_id) == ("thing.created", "thing", "one")
    assert event.organization_id == ORGANIZATION
    assert event.time.ToDatetime(START.tzinfo) == START
    assert (event.author.principal.id, event.author.rpc) == (CALLER.id, "concord.test.v1.TestService/Write")
    assert event.author.caller_address == "192.0.2.1"


async def test_a_failed_operation_keeps_nothing_and_its_abort_tells_the_revision(units):
    await write(units, request("one"))

    with calling() as call, pytest.raises(AlreadyExists):
        await units.write(request("one"), adding("one"), pack)

    assert len(await events(units)) == 1
    assert parse_revisions(dict(call.trailing)["concord-revision"]) == {"service": units.feed.head}


async def test_validate_only_answers_as_if_and_keeps_nothing(units):
    answer, trailing = await write(units, request("one", validate_only=True, request_id=request_id()))

    assert answer == 3
    assert "concord-revision" in trailing
    assert await names(units) == []
    assert await events(units) == []
    assert await count(units, request_record) == 0


async def test_a_repeated_request_gets_the_first_answer_and_does_nothing(units):
    message = request("one", request_id=request_id())
    first = await write(units, message)

    second = await write(units, message)

    assert second[0] == first[0]
    assert await names(units) == ["one"]
    assert len(await events(units)) == 1


async def test_repeated_requests_at_once_do_their_work_once(units):
    message = request("one", request_id=request_id())

    answers = await asyncio.gather(*(asyncio.create_task(write(units, message)) for _ in range(20)))

    assert {answer for answer, _ in answers} == {3}
    assert len(await events(units)) == 1


async def test_a_request_id_in_upper_case_is_the_same(units):
    named = request_id()
    await write(units, request("one", request_id=named))

    with pytest.raises(AlreadyExists):
        await write(units, request("two", request_id=named.upper()))


@pytest.mark.parametrize(
    "change",
    [{"name": "two"}, {"rpc": "concord.test.v1.TestService/Other"}, {"organization_id": OTHER_ORGANIZATION}],
)
async def test_a_request_id_with_another_request_is_refused(units, change):
    named = request_id()
    await write(units, request("one", request_id=named))

    caller = {key: value for key, value in change.items() if key != "name"}
    with pytest.raises(AlreadyExists) as caught:
        await write(units, request(change.get("name", "one"), request_id=named), **caller)

    assert caught.value.reason is Reason.REQUEST_ID_REUSED
    assert await names(units) == ["one"]


async def test_another_principal_may_use_the_same_request_id(units):
    named = request_id()
    await write(units, request("one", request_id=named))

    await write(units, request("two", request_id=named), principal=SOMEBODY)

    assert await names(units) == ["one", "two"]


async def test_a_failed_request_is_not_remembered(units):
    message = request("one", request_id=request_id())
    with calling(), pytest.raises(Conflict):
        await units.write(message, _fail(Conflict("thing", "one")), pack)

    assert (await write(units, message))[0] == 3


async def test_a_request_is_forgotten_after_a_day(units, clock):
    message = request("one", request_id=request_id())
    await write(units, message)

    clock.advance(timedelta(hours=24))
    with pytest.raises(AlreadyExists) as caught:
        await write(units, message)

    assert caught.value.reason is Reason.RESOURCE_ALREADY_EXISTS


async def test_expired_records_are_swept_in_passing(units, clock):
    for at in range(5):
        await write(units, request(f"n{at}", request_id=request_id()))
    clock.advance(timedelta(hours=25))

    await write(units, request("later", request_id=request_id()))

    assert await count(units, request_record) == 1


async def test_a_secret_answer_is_sealed_and_replayed_for_ten_minutes_only(units, clock):
    message = request("one", request_id=request_id())
    await write(units, message, secret=True)
    kept = await units.database.read(lambda c: c.execute(select(request_record.c.answer)).scalar_one())

    clock.advance(timedelta(minutes=9, seconds=59))
    assert (await write(units, message, secret=True))[0] == 3
    assert pack(3).SerializeToString() not in kept

    clock.advance(timedelta(seconds=1))
    with pytest.raises(AlreadyExists) as caught:
        await write(units, message, secret=True)
    assert caught.value.reason is Reason.REQUEST_ANSWER_EXPIRED


async def test_an_unknown_reference_is_tried_again_after_catching_up(units):
    caught_up = []

    async def catch_up(source):
        caught_up.append(source)

    units._catch_up = catch_up

    def operation(unit):
        if not caught_up:
            raise NotFound("user", "u")
        return adding("one")(unit)

    with calling():
        await units.write(request(), operation, pack, awaits=("identity",))

    assert caught_up == ["identity"]


async def test_a_reference_that_stays_unknown_is_not_found(units):
    async def catch_up(source):
        pass

    units._catch_up = catch_up

    with calling(), pytest.raises(NotFound):
        await units.write(request(), _fail(NotFound("user", "u")), pack, awaits=("identity",))


async def test_a_unit_refuses_targets_that_the_decision_does_not_admit(units):
    own = Reach(classes=frozenset({TargetClass.OWN}))

    def operation(unit):
        unit.require_target(CALLER)
        unit.require_target(SOMEBODY)

    with calling(reach=own), pytest.raises(Denied):
        await units.write(request(), operation, pack)


async def test_thirty_two_callers_write_at_once(units):
    await asyncio.gather(*(asyncio.create_task(write(units, request(f"n{at:02}"))) for at in range(32)))

    assert len(await names(units)) == 32
    assert len(await events(units)) == 32


async def test_applying_is_exactly_once_however_often_events_arrive(units):
    arrived = [
        ChangeEvent(revision=at, type="thing.created", resource_id=f"n{at}", organization_id="o") for at in (1, 2, 3)
    ]

    def apply(unit, event):
        unit.store.add(event.organization_id, event.resource_id)

    assert await units.apply("other", arrived[:2], apply) == 2
    assert await units.apply("other", arrived, apply) == 3
    assert await units.apply("other", arrived[:1], apply) == 3

    assert await names(units) == ["n1", "n2", "n3"]
    assert await units.cursor("other") == 3


async def test_two_processes_that_apply_one_page_do_it_once(units):
    arrived = [ChangeEvent(revision=at, resource_id=f"n{at}", organization_id=f"o{at}") for at in range(1, 9)]

    def apply(unit, event):
        unit.store.add(event.organization_id, event.resource_id)

    await asyncio.gather(*(units.apply("other", arrived[at:] if at % 2 else arrived, apply) for at in (0, 0, 0)))

    assert len(await names(units)) == 8


async def test_a_cascade_is_published_under_the_first_author_by_no_rpc(units):
    event = ChangeEvent(revision=1, organization_id=ORGANIZATION)
    event.author.principal.id, event.author.principal.kind = CALLER.id, 1
    event.author.rpc, event.author.call_id = "concord.other.v1.Other/Delete", "call"

    await units.apply("other", [event], lambda unit, _: unit.record(Change("thing.deleted", "thing", "x", before="x")))

    (cascade,) = await events(units)
    assert (cascade.author.principal.id, cascade.author.rpc, cascade.author.call_id) == (CALLER.id, "", "call")


def test_a_revision_token_is_merged_by_its_highest_numbers():
    from concord.kernel.feed.revision import add_trailing

    trailing = [("other", "x"), ("concord-revision", encode_revisions({"a": 5, "b": 1}))]

    add_trailing(trailing, "b", 7)
    add_trailing(trailing, "a", 2)

    assert trailing[0] == ("other", "x")
    assert parse_revisions(trailing[1][1]) == {"a": 5, "b": 7}
    assert len(trailing) == 2


def _fail(error):
    def operation(unit):
        adding("half done")(unit)
        raise error

    return operation
