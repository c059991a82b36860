"""Asking the decision point over its stub, published keys, spans."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import descriptor_pb2, descriptor_pool

from concord.common.v1 import options_pb2
from concord.common.v1.authorization_service_pb2_grpc import (
    AuthorizationServiceServicer,
    AuthorizationServiceStub,
    add_AuthorizationServiceServicer_to_server,
)
from concord.kernel.clock import SettableClock
from concord.kernel.errors import Reason, Unauthenticated, Unavailable
from concord.kernel.ids import UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef, Question, Reach, TargetClass, Verdict
from concord.kernel.rpc.authorization import StubAuthorizer
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.options import UnruledMethod, read_rules
from concord.kernel.rpc.passports import FetchedPassportKeys
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.rpc.wire import question_from_wire, question_to_wire, verdict_from_wire, verdict_to_wire
from concord.kernel.telemetry import Metrics
from kernel.rpc_fixtures import GetThingRequest, Stub, add_servicer, open_world


class Policy(AuthorizationServiceServicer):
    def __init__(self):
        self.error = None
        self.questions = []

    async def Authorize(self, request, context):
        self.questions.append(question_from_wire(request))
        if self.error is not None:
            raise self.error
        return verdict_to_wire(Verdict(allowed=True))


@pytest.fixture
async def world():
    async with open_world("inprocess") as opened:
        policy = Policy()
        server = InProcessServer(opened.steps.chain())
        add_AuthorizationServiceServicer_to_server(policy, server)
        opened.policy = policy
        stub = AuthorizationServiceStub(InProcessChannel(server))
        opened.token_role = "identity"
        opened.steps.authorization.authorizer = StubAuthorizer(stub, lambda: opened.service_token(opened.token_role))
        yield opened


async def refusal_of(awaitable):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return from_rpc_error(caught.value)


async def test_the_decision_point_is_asked_by_the_process_about_the_caller(world):
    await world.stub.GetThing(GetThingRequest(), metadata=world.as_user(("concord-operation", "a/B")))

    question = world.policy.questions[0]
    assert question.passport == world.passport(caller_address="", caller_agent="")
    assert question.operation == "a/B"


async def test_an_ended_identity_is_refused_with_its_reason(world):
    world.policy.error = Unauthenticated(Reason.PRINCIPAL_SUSPENDED)

    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert refusal.reason is Reason.PRINCIPAL_SUSPENDED


async def test_a_process_that_policy_does_not_know_blames_nobody_else(world):
    world.policy.error = Unauthenticated(Reason.CREDENTIAL_INVALID)

    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert isinstance(refusal, Unavailable)


async def test_without_a_decision_point_nothing_is_allowed(world):
    world.steps.authorization.authorizer = None

    refusal = await refusal_of(world.stub.GetThing(GetThingRequest(), metadata=world.as_user()))

    assert isinstance(refusal, Unavailable)


async def test_questions_and_verdicts_survive_the_wire(world):
    question = Question(
        passport=world.passport(mfa=True, ceiling=("a",), rights_snapshot_id="s"),
        rpc="a.v1.B/C",
        permission="a.b.c",
        classes=(TargetClass.ANY, TargetClass.OWNER),
        target=PrincipalRef(PrincipalKind.DEVICE, "d"),
        operation="x/Y",
        update_mask=("name",),
        pinned={"kind": "A"},
        resource_id="r",
        deployment=True,
        in_projects=True,
    )
    reach = Reach(False, frozenset({"p"}), frozenset({TargetClass.OWN, TargetClass.DEFAULT}), UserId("u"))
    verdict = Verdict(allowed=True, reach=reach, statement_ids=("s1",), refusal="no")

    assert question_from_wire(question_to_wire(question)) == question
    assert verdict_from_wire(verdict_to_wire(verdict)) == verdict


@pytest.mark.parametrize(
    ("reach", "within", "listed"),
    [
        (Reach(), True, (None, None)),
        (Reach(except_project_ids=frozenset({"q"})), True, (None, {"q"})),
        (Reach(except_project_ids=frozenset({"p"})), False, (None, {"p"})),
        (Reach(False, frozenset({"p", "q"})), True, ({"p", "q"}, None)),
        (Reach(False, frozenset({"q"})), False, ({"q"}, None)),
        (Reach(False), False, (frozenset(), None)),
    ],
)
async def test_a_reach_says_the_same_of_one_project_and_of_a_list_after_the_wire(reach, within, listed):
    verdict = verdict_from_wire(verdict_to_wire(Verdict(allowed=True, reach=reach)))

    assert verdict.reach == reach
    assert verdict.reach.holds_in("p") is within
    assert verdict.reach.within(None) == listed
    assert verdict.reach.within(frozenset({"p"})) == ({"p"} if within else frozenset(), None)


@pytest.mark.parametrize(("field", "is_fit"), [("id", True), ("", False)])
def test_an_rpc_about_things_in_projects_names_whom_it_is_about_if_anybody(field, is_fit):
    file = descriptor_pb2.FileDescriptorProto(name="places.proto", package="places.v1", syntax="proto3")
    file.message_type.add(name="Place").field.add(name="id", number=1, type=9, label=1)
    method = file.service.add(name="Places").method.add(
        name="Get", input_type=".places.v1.Place", output_type=".places.v1.Place"
    )
    method.options.Extensions[options_pb2.required_permission] = "places.places.get"
    method.options.Extensions[options_pb2.in_projects] = True
    method.options.Extensions[options_pb2.target].CopyFrom(
        options_pb2.Target(classes=[options_pb2.TARGET_CLASS_OWN], field=field)
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindServiceByName("places.v1.Places").methods_by_name["Get"]

    if is_fit:
        assert read_rules(found).in_projects
    else:
        with pytest.raises(UnruledMethod):
            read_rules(found)


async def test_invented_key_ids_do_not_become_calls_to_credentials():
    key = Ed25519PrivateKey.generate().public_key()
    clock, fetches = SettableClock(), []

    async def fetch():
        fetches.append(clock.now())
        return {"k1": key}

    keys = FetchedPassportKeys(fetch, clock, timedelta(seconds=2))
    for number in range(50):
        assert await keys.find(f"invented-{number}") is None
    assert await keys.find("k1") is key
    clock.advance(timedelta(seconds=2))
    await keys.find("new")

    assert len(fetches) == 2


async def test_a_call_is_written_as_a_span_below_its_callers():
    spans = []

    class Tracer:
        @contextmanager
        def start_as_current_span(self, name, context, kind, attributes):
            spans.append((name, str(context), attributes["rpc.method"]))
            yield

    async with open_world("inprocess") as world:
        server = InProcessServer(replace(world.steps, tracer=Tracer(), metrics=Metrics()).chain())
        add_servicer(world.servicer, server)
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        parent = ("traceparent", f"00-{trace}-00f067aa0ba902b7-01")
        await Stub(InProcessChannel(server)).GetThing(GetThingRequest(), metadata=world.as_user(parent))

    name, context, method = spans[0]
    assert (name, method) == ("concord.testing.v1.ThingService/GetThing", "GetThing")
    assert f"{int(trace, 16)}" in context or trace in context
