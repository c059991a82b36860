"""The stream of checks, in process and over a socket."""

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest

from concord.kernel.errors import Reason
from concord.kernel.ids import ApiKeyId
from concord.kernel.rpc.status import from_rpc_error
from concord.policy.handlers.decisions import STREAMS_OF_ONE_PRINCIPAL
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds
from concord.policy.v1.decision_service_pb2_grpc import DecisionServiceStub

from .conftest import OWNER, World, allow, in_group, key_event
from .decision_world import Asking, about, fields_of


@pytest.fixture
def asking(world: World) -> Asking:
    return Asking(world)


class Stream:
    """One stream, asked question by question."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def ask(self, check: d.Check, tag: str = "", **more: Any) -> ds.StreamCheckResponse:
        await self.call.write(ds.StreamCheckRequest(check=check, tag=tag, **more))
        answer = await self.call.read()
        if answer is grpc.aio.EOF:
            raise AssertionError(f"the stream has ended: {await self.call.details()}")
        assert isinstance(answer, ds.StreamCheckResponse)
        return answer

    async def end(self) -> Any:
        """Return why the stream ends, as the service said it."""
        try:
            while await self.call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as failure:
            return from_rpc_error(failure)
        raise AssertionError(f"it ended with {await self.call.code()}")

    async def refused(self, check: d.Check, **more: Any) -> Any:
        await self.call.write(ds.StreamCheckRequest(check=check, **more))
        return await self.end()


def opened(asking: Asking, principal: Any, **passport: Any) -> Stream:
    return Stream(asking.stub.StreamCheck(**asking.by(principal, **passport)))


async def test_questions_are_answered_in_their_order_each_with_its_tag(asking: Asking, world: World) -> None:
    user = await world.user()
    await world.policy(user, allow(*(f"a.b.c{n}" for n in range(0, 200, 3))))

    async def questions() -> AsyncIterator[ds.StreamCheckRequest]:
        for n in range(200):
            yield ds.StreamCheckRequest(check=about(user, f"a.b.c{n}"), tag=f"{n}")

    answers = [each async for each in asking.stub.StreamCheck(questions(), **asking.by(OWNER))]

    assert [(each.tag, each.decision.allowed) for each in answers] == [(f"{n}", n % 3 == 0) for n in range(200)]
    assert all(each.decision.revision for each in answers)


async def test_a_change_shows_in_the_next_question(asking: Asking, world: World) -> None:
    user = await world.user()
    stream = opened(asking, user)

    before = await stream.ask(about(), "1")
    await world.policy(user, allow("a.b.c"))
    after = await stream.ask(about(), "2")

    assert (before.decision.allowed, after.decision.allowed) == (False, True)


async def test_a_malformed_question_ends_the_stream_after_the_answers_before_it(asking: Asking) -> None:
    stream = opened(asking, OWNER)

    await stream.ask(about())
    why = await stream.refused(about(permission="x" * 257))

    assert fields_of(why) == ["check.permission"]


@pytest.mark.parametrize(
    ("more", "field"),
    [({"tag": "x" * 257}, "tag"), ({"at_least_as_fresh": "none"}, "at_least_as_fresh"), ({"tag": "\0"}, "tag")],
)
async def test_what_goes_with_a_question_is_looked_at_too(asking: Asking, more: dict[str, Any], field: str) -> None:
    why = await opened(asking, OWNER).refused(about(), **more)

    assert fields_of(why) == [field]


async def test_a_stream_without_a_question_is_malformed_and_an_empty_one_is_not(asking: Asking) -> None:
    nothing = opened(asking, OWNER)
    await nothing.call.write(ds.StreamCheckRequest())
    why = await nothing.end()
    empty = opened(asking, OWNER)
    await empty.call.done_writing()

    assert fields_of(why) == ["check"]
    assert await empty.call.read() is grpc.aio.EOF


async def test_a_revoked_credential_ends_the_stream_at_the_next_question(asking: Asking, world: World) -> None:
    user, key = await world.user(), ApiKeyId(str(uuid.uuid4()))
    stream = opened(asking, user, api_key_id=key)

    await stream.ask(about())
    await world.apply("credentials", key_event("api_key.deleted", key, user))
    why = await stream.refused(about())

    assert why.reason is Reason.CREDENTIAL_REVOKED


async def test_a_suspended_caller_ends_the_stream_at_the_next_question(asking: Asking, world: World) -> None:
    user = await world.user()
    stream = opened(asking, user)

    await stream.ask(about())
    await world.suspend(user)
    why = await stream.refused(about())

    assert why.reason is Reason.PRINCIPAL_SUSPENDED


async def test_a_lost_right_to_ask_about_others_ends_the_stream_at_the_next_such_question(
    asking: Asking, world: World
) -> None:
    user, group = await world.user(), await world.group()
    await world.join(group, user)
    await world.policy(in_group(group), allow("policy.decisions.check"))
    stream = opened(asking, user)

    await stream.ask(about(OWNER))
    await world.leave(group, user)
    await stream.ask(about())
    why = await stream.refused(about(OWNER))

    assert why.reason is Reason.PERMISSION_DENIED


async def test_a_stream_ends_when_what_opened_it_does(asking: Asking, world: World) -> None:
    asked, silent = opened(asking, OWNER), opened(asking, OWNER)
    brief = opened(asking, OWNER, expire_time=world.clock.now() + timedelta(milliseconds=300))

    await asked.ask(about())
    await silent.ask(about())
    waited = await brief.end()
    world.clock.advance(timedelta(minutes=6))
    why = await asked.refused(about())
    silent.call.cancel()

    assert (waited.reason, why.reason) == (Reason.CREDENTIAL_EXPIRED, Reason.CREDENTIAL_EXPIRED)


async def test_one_caller_holds_no_more_streams_than_it_may_and_others_go_on(asking: Asking, world: World) -> None:
    user, other = await world.user(), await world.user()
    streams = [opened(asking, user) for _ in range(STREAMS_OF_ONE_PRINCIPAL)]
    await asyncio.gather(*(each.ask(about()) for each in streams))

    why = await opened(asking, user).end()
    answer = await opened(asking, other).ask(about())
    for each in streams:
        await each.call.done_writing()
    await asyncio.gather(*(each.call.read() for each in streams))
    again = await opened(asking, user).ask(about(), "again")

    assert why.reason is Reason.RATE_LIMITED
    assert (answer.decision.allowed, again.tag) == (False, "again")


async def test_a_deadline_ends_a_stream_over_a_socket(asking: Asking) -> None:
    async with asking.over_a_socket() as address, grpc.aio.insecure_channel(address) as channel:
        stub: Any = DecisionServiceStub(channel)
        stream = Stream(stub.StreamCheck(timeout=0.5, **asking.by(OWNER)))
        answer = await stream.ask(about(), "first")
        why = await stream.end()

    assert answer.decision.allowed
    assert why.reason is Reason.DEADLINE_EXCEEDED
    await _settled(asking)
    assert not asking.handlers.open_streams


async def test_kb16_streams_that_were_abandoned_leave_nothing_behind(asking: Asking, world: World) -> None:
    users = [await world.user() for _ in range(8)]
    async with asking.over_a_socket() as address:
        await _abandon(asking, address, users, 80)
        gc.collect()
        tasks, things = len(asyncio.all_tasks()), len(gc.get_objects())
        await _abandon(asking, address, users, 400)
        gc.collect()

        assert not asking.handlers.open_streams
        assert len(asyncio.all_tasks()) <= tasks
        # A stream has hundreds of objects: one in ten of four hundred would show.
        assert len(gc.get_objects()) - things < 4000


async def _abandon(asking: Asking, address: str, users: Iterable[Any], count: int) -> None:
    """Open streams, ask on some of them, and walk away: some by cancelling, some by dropping the channel."""
    users = list(users)
    for start in range(0, count, 40):
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = DecisionServiceStub(channel)
            calls = [stub.StreamCheck(**asking.by(users[(start + n) % len(users)])) for n in range(40)]
            for n, call in enumerate(calls):
                if n % 4:
                    await call.write(ds.StreamCheckRequest(check=about(), tag=f"{n}"))
                if n % 4 == 1:
                    await call.read()
                if n % 4 == 2:
                    call.cancel()
        del calls
    await _settled(asking)


async def _settled(asking: Asking) -> None:
    async with asyncio.timeout(10):
        while asking.handlers.open_streams:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
