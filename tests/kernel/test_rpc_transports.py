"""One suite over both transports: a caller cannot tell the channel in process from the network."""

import asyncio
import gc
from contextvars import ContextVar

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from concord.kernel.errors import (
    AlreadyExists,
    ConcordError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Precondition,
    QuotaExceeded,
    RateLimited,
    Reason,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.limits import Ceilings
from concord.kernel.rpc.status import code_of, from_rpc_error, to_rpc_error
from kernel.rpc_fixtures import (
    THING_ID,
    TRANSPORTS,
    GetThingRequest,
    ListThingsRequest,
    Thing,
    open_world,
)


@pytest.fixture(params=TRANSPORTS)
async def world(request):
    async with open_world(request.param) as opened:
        yield opened


async def failure_of(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return caught.value


async def test_a_unary_call_is_answered(world):
    thing = await world.stub.GetThing(GetThingRequest(id=THING_ID), metadata=world.as_user())

    assert thing == Thing(name="answer", id=THING_ID)


async def test_all_four_kinds_of_rpc_work(world):
    requests = [GetThingRequest(text=text) for text in ("a", "b", "c")]

    counted = [thing.name async for thing in world.stub.Count(GetThingRequest(), metadata=world.as_user())]
    gathered = await world.stub.Gather(iter(requests), metadata=world.as_user())
    chatted = [thing.name async for thing in world.stub.Chat(iter(requests), metadata=world.as_user())]

    assert counted == ["0", "1", "2"]
    assert gathered.name == "a,b,c"
    assert chatted == ["a", "b", "c"]


async def test_a_conversation_goes_back_and_forth_by_reading_and_writing(world):
    call = world.stub.Chat(metadata=world.as_user())

    for text in ("one", "two"):
        await call.write(GetThingRequest(text=text))
        assert (await call.read()).name == text
    await call.done_writing()

    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_stream_with_more_messages_than_fit_the_queue_arrives_whole_and_in_order(world):
    async def many(request, context):
        for number in range(500):
            yield Thing(name=str(number))

    world.servicer.count = many

    names = [thing.name async for thing in world.stub.Count(GetThingRequest(), metadata=world.as_user())]

    assert names == [str(number) for number in range(500)]


FAILURES = [
    Invalid(Violation("thing.name", "is required", rule="required"), Violation("x[2]", "is odd", rule="odd")),
    Invalid(reason=Reason.INVALID_PAGE_TOKEN, message="the page token is of another list"),
    Unauthenticated(Reason.PRINCIPAL_SUSPENDED),
    Denied("testing.things.get"),
    Denied("testing.things.get", reason=Reason.OPERATION_MISMATCH, message="`a/B` covers less"),
    NotFound("thing", THING_ID),
    AlreadyExists("thing", "blue", "name"),
    AlreadyExists("request", "r", reason=Reason.REQUEST_ID_REUSED),
    Conflict("thing", THING_ID),
    Precondition(Reason.RESOURCE_IN_USE, "a group uses it", "thing", THING_ID),
    QuotaExceeded("users", 50, 50),
    RateLimited(1.5),
    Unavailable("the feed lags"),
    Unimplemented("not here"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: f"{type(failure).__name__}-{failure.reason}")
async def test_a_failure_arrives_as_it_was_raised(world, failure):
    async def fail(request, context):
        raise failure

    world.servicer.handle = fail

    error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))
    arrived = from_rpc_error(error)

    assert error.code() is code_of(failure)
    assert type(arrived) is type(failure)
    assert {**vars(arrived), "metadata": arrived.metadata} == vars(failure)
    assert rpc_status.from_call(error).message == failure.message


async def test_details_name_fields_resources_quotas_and_times(world):
    found = {}
    for failure in FAILURES:

        async def fail(request, context, failure=failure):
            raise failure

        world.servicer.handle = fail
        error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))
        for detail in rpc_status.from_call(error).details:
            found.setdefault(detail.type_url.rpartition(".")[2], []).append(detail.value)

    violation = error_details_pb2.BadRequest.FromString(found["BadRequest"][0]).field_violations[1]
    assert (violation.field, violation.description, violation.reason) == ("x[2]", "is odd", "ODD")
    assert error_details_pb2.ErrorInfo.FromString(found["ErrorInfo"][0]).domain == "concord"
    assert error_details_pb2.ResourceInfo.FromString(found["ResourceInfo"][0]).resource_name == THING_ID
    assert error_details_pb2.QuotaFailure.FromString(found["QuotaFailure"][0]).violations[0].subject == "users"
    assert error_details_pb2.RetryInfo.FromString(found["RetryInfo"][0]).retry_delay.ToMilliseconds() == 1500
    kind = error_details_pb2.PreconditionFailure.FromString(found["PreconditionFailure"][0]).violations[0].type
    assert kind == "RESOURCE_IN_USE"


async def test_a_defect_tells_the_caller_nothing_but_where_to_look(world, capsys):
    async def fail(request, context):
        raise RuntimeError("select secret_hash from users")

    world.servicer.handle = fail

    error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    arrived = from_rpc_error(error)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "select" not in error.details() + str(rpc_status.from_call(error))
    assert arrived.metadata["call_id"] in error.details()
    assert arrived.metadata["call_id"] in "".join(capsys.readouterr())


async def test_another_services_failure_is_passed_on_with_its_reason(world):
    async def fail(request, context):
        raise to_rpc_error(NotFound("user", "u"))

    world.servicer.handle = fail

    error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert from_rpc_error(error).resource_type == "user"


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL),
        (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE),
        (grpc.StatusCode.DATA_LOSS, grpc.StatusCode.INTERNAL),
    ],
)
async def test_the_text_of_a_broken_inner_call_never_leaks(world, inner, outer):
    async def fail(request, context):
        raise grpc.aio.AioRpcError(inner, grpc.aio.Metadata(), grpc.aio.Metadata(), details="ipv4:10.0.0.1 refused")

    world.servicer.handle = fail

    error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert error.code() is outer
    assert "10.0.0.1" not in error.details()


async def test_a_handlers_own_abort_stands(world):
    async def abort(request, context):
        await context.abort(grpc.StatusCode.DATA_LOSS, "gone", (("x-why", "disk"),))

    world.servicer.handle = abort

    error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "gone")
    assert dict(error.trailing_metadata())["x-why"] == "disk"
    rpc = {"rpc": "concord.testing.v1.ThingService/GetThing", "code": "DATA_LOSS"}
    assert world.steps.metrics.registry.get_sample_value("concord_rpc_calls_total", rpc) == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_the_revision_token_comes_with_good_and_bad_answers(world, fails):
    async def write(request, context):
        Call.current().trailing.append(("concord-revision", "dG9rZW4"))
        if fails:
            raise Conflict("thing", THING_ID)
        return Thing(name="x")

    world.servicer.handle = write

    call = world.stub.GetThing(GetThingRequest(), metadata=world.as_user())

    assert dict(await call.trailing_metadata())["concord-revision"] == "dG9rZW4"
    assert await call.code() is (grpc.StatusCode.ABORTED if fails else grpc.StatusCode.OK)


async def test_a_failure_in_the_middle_of_a_stream_comes_after_what_was_sent(world):
    async def fail(request, context):
        yield Thing(name="first")
        Call.current().trailing.append(("concord-revision", "r"))
        raise Unavailable("lost it")

    world.servicer.count = fail
    call = world.stub.Count(GetThingRequest(), metadata=world.as_user())

    assert (await call.read()).name == "first"
    error = await failure_of(call.read())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert dict(error.trailing_metadata())["concord-revision"] == "r"


async def test_a_deadline_ends_the_call_on_both_sides(world):
    stopped = asyncio.Event()

    async def wait(request, context):
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    world.servicer.handle = wait

    error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user(), timeout=0.05))

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert from_rpc_error(error).reason is Reason.DEADLINE_EXCEEDED
    await asyncio.wait_for(stopped.wait(), 5)


async def test_a_handler_sees_how_long_it_has(world):
    seen = []

    async def look(request, context):
        seen.append(Call.current().time_remaining())
        return Thing(name="x")

    world.servicer.handle = look

    await world.stub.GetThing(GetThingRequest(), metadata=world.as_user(), timeout=20)
    await world.stub.GetThing(GetThingRequest(), metadata=world.as_user())

    assert 15 < seen[0] <= 20
    assert seen[1] is None


async def test_a_handlers_own_timeout_is_a_defect_and_not_the_callers_deadline(world):
    async def fail(request, context):
        raise TimeoutError("some lock")

    world.servicer.handle = fail

    error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user(), timeout=20))

    assert error.code() is grpc.StatusCode.INTERNAL


async def test_cancelling_a_call_stops_the_handler(world):
    started, stopped = asyncio.Event(), asyncio.Event()

    async def wait(request, context):
        started.set()
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    world.servicer.handle = wait
    call = world.stub.GetThing(GetThingRequest(), metadata=world.as_user())
    await asyncio.wait_for(started.wait(), 5)

    assert call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert await call.code() is grpc.StatusCode.CANCELLED
    await asyncio.wait_for(stopped.wait(), 5)


async def test_a_caller_that_is_cancelled_while_it_waits_cancels_the_call(world):
    started, stopped = asyncio.Event(), asyncio.Event()

    async def wait(request, context):
        started.set()
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    world.servicer.handle = wait

    async def ask():
        return await world.stub.GetThing(GetThingRequest(), metadata=world.as_user())

    task = asyncio.create_task(ask())
    await asyncio.wait_for(started.wait(), 5)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(stopped.wait(), 5)


@pytest.mark.parametrize("way", ["cancel", "drop"])
async def test_a_conversation_that_the_caller_gives_up_leaves_no_task_behind(world, way):
    stopped = asyncio.Event()

    async def chat(requests, context):
        try:
            async for request in requests:
                yield Thing(name=request.text)
        finally:
            stopped.set()

    world.servicer.chat = chat
    call = world.stub.Chat(metadata=world.as_user())
    await call.write(GetThingRequest(text="hello"))
    await call.read()
    known = asyncio.all_tasks()

    if way == "cancel" or world.address:
        # gRPC's own call objects hold themselves until they end, so only `cancel()` gives them up.
        call.cancel()
    del call
    gc.collect()

    await asyncio.wait_for(stopped.wait(), 5)
    while any(not task.done() for task in known - {asyncio.current_task()}) and not world.address:
        await asyncio.sleep(0)


async def test_a_conversation_that_the_server_ends_refuses_further_writing(world):
    async def chat(requests, context):
        async for _ in requests:
            raise NotFound("source", "x")
        yield Thing(name="never")

    world.servicer.chat = chat
    call = world.stub.Chat(metadata=world.as_user())
    await call.write(GetThingRequest(text="hello"))

    error = await failure_of(call.read())

    assert error.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises((asyncio.InvalidStateError, grpc.aio.AioRpcError)):
        await call.write(GetThingRequest(text="again"))


async def test_context_variables_do_not_travel_with_a_call(world):
    leaked: ContextVar[str] = ContextVar("leaked", default="nothing")
    seen = []

    async def look(request, context):
        seen.append(leaked.get())
        return Thing(name="x")

    world.servicer.handle = look
    leaked.set("something")

    await world.stub.GetThing(GetThingRequest(), metadata=world.as_user())

    assert seen == ["nothing"]


async def test_messages_are_copies(world):
    kept = []

    async def keep(request, context):
        kept.append(Thing(name="before"))
        return kept[0]

    world.servicer.handle = keep

    answer = await world.stub.GetThing(GetThingRequest(), metadata=world.as_user())
    kept[0].name = "after"

    assert answer.name == "before"


async def test_an_answer_of_the_wrong_type_is_a_defect_and_not_garbage(world):
    async def wrong(request, context):
        return GetThingRequest(text="oops")

    world.servicer.handle = wrong

    error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert error.code() is grpc.StatusCode.INTERNAL


async def test_a_request_larger_than_a_server_takes_is_refused(world):
    request = GetThingRequest(text="x" * (5 * 1024 * 1024))

    error = await failure_of(world.stub.GetThing(request, metadata=world.as_user()))

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert from_rpc_error(error).reason is Reason.REQUEST_TOO_LARGE


async def test_an_unknown_rpc_is_unimplemented(world):
    call = world.channel.unary_unary(
        "/concord.testing.v1.ThingService/Nothing",
        request_serializer=GetThingRequest.SerializeToString,
        response_deserializer=Thing.FromString,
    )

    error = await failure_of(call(GetThingRequest()))

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_malformed_request_names_every_wrong_field(world):
    request = ListThingsRequest(page_size=1001, skip=-1, user_id="a\0b")

    error = await failure_of(world.stub.ListThings(request, metadata=world.as_user()))

    fields = {violation.field: violation.rule for violation in from_rpc_error(error).violations}
    assert fields == {"page_size": "range", "skip": "range", "user_id": "characters"}


async def test_every_message_of_a_stream_of_requests_is_checked(world):
    requests = iter([GetThingRequest(text="fine"), GetThingRequest(text="b\0d")])

    error = await failure_of(world.stub.Gather(requests, metadata=world.as_user()))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_initial_metadata_arrives(world):
    async def greet(request, context):
        await context.send_initial_metadata((("x-greeting", "hello"),))
        return Thing(name="x")

    world.servicer.handle = greet
    call = world.stub.GetThing(GetThingRequest(), metadata=world.as_user())

    assert dict(await call.initial_metadata())["x-greeting"] == "hello"
    await call


async def test_many_calls_at_once_get_their_own_answers(world):
    metadata = world.as_user()
    ids = [f"{number:08d}-4444-4444-8444-444444444444" for number in range(100)]

    answers = await asyncio.gather(*(world.stub.GetThing(GetThingRequest(id=i), metadata=metadata) for i in ids))

    assert [thing.id for thing in answers] == ids


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_one_principal_cannot_take_all_places(transport):
    release, running = asyncio.Event(), []

    async def wait(request, context):
        running.append(request)
        await release.wait()
        return Thing(name="x")

    async with open_world(transport, Ceilings(calls=10, calls_of_one_principal=2)) as world:
        world.servicer.handle = wait
        calls = [world.stub.GetThing(GetThingRequest(), metadata=world.as_user()) for _ in range(2)]
        while len(running) < 2:
            await asyncio.sleep(0.001)

        error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))
        release.set()
        await asyncio.gather(*calls)

        assert from_rpc_error(error).retry_seconds > 0
        assert await world.stub.GetThing(GetThingRequest(), metadata=world.as_user())


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_without_a_deadline_does_not_run_for_ever(transport):
    async def wait(request, context):
        await asyncio.sleep(30)

    async with open_world(transport, Ceilings(seconds=0.05)) as world:
        world.servicer.handle = wait

        error = await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_metrics_count_what_callers_saw(world):
    async def fail(request, context):
        raise ConcordError(Reason.UNAVAILABLE, "later")

    await world.stub.GetThing(GetThingRequest(), metadata=world.as_user())
    world.servicer.handle = fail
    await failure_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))
    await failure_of(world.stub.GetThing(GetThingRequest()))

    rpc = "concord.testing.v1.ThingService/GetThing"
    counted = {
        code: world.steps.metrics.registry.get_sample_value("concord_rpc_calls_total", {"rpc": rpc, "code": code})
        for code in ("OK", "UNAVAILABLE", "UNAUTHENTICATED")
    }
    assert counted == {"OK": 1, "UNAVAILABLE": 1, "UNAUTHENTICATED": 1}
