"""A small world to call: a contract with every kind of rpc, a servicer that does as told, both transports."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.api import field_behavior_pb2  # noqa: F401  # the pool must know what the contract imports
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    field_mask_pb2,  # noqa: F401  # as above
    message_factory,
    timestamp_pb2,  # noqa: F401  # as above
)
from grpc_tools import protoc

from concord.common.v1 import options_pb2, principal_pb2  # noqa: F401  # as above
from concord.kernel.clock import SettableClock, SystemClock
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import Passport, PrincipalKind, PrincipalRef, Question, Reach, Verdict
from concord.kernel.rpc.authentication import (
    Credential,
    FixedKeys,
    PassportSigner,
    PassportVerifier,
    mint_service_token,
)
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.limits import Ceilings
from concord.kernel.rpc.server import Listener, build_grpc_server
from concord.kernel.rpc.steps import Steps

ORGANIZATION = OrganizationId("11111111-1111-4111-8111-111111111111")
USER_ID = "22222222-2222-4222-8222-222222222222"
OWNER_ID = "33333333-3333-4333-8333-333333333333"
THING_ID = "44444444-4444-4444-8444-444444444444"

PROTO = """
syntax = "proto3";
package concord.testing.v1;
import "concord/common/v1/options.proto";
import "concord/common/v1/principal.proto";
import "google/api/field_behavior.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";

service ThingService {
  rpc GetThing(GetThingRequest) returns (Thing) {
    option (concord.common.v1.required_permission) = "testing.things.get";
  }
  rpc UpdateThing(UpdateThingRequest) returns (Thing) {
    option (concord.common.v1.required_permission) = "testing.things.update";
    option (concord.common.v1.target) = { classes: [TARGET_CLASS_OWN, TARGET_CLASS_OWNER], field: "thing.bearer" };
    option (concord.common.v1.pinned_fields) = "thing.kind";
    option (concord.common.v1.pinned_fields) = "thing.tags";
    option (concord.common.v1.pinned_fields) = "thing.kinds";
    option (concord.common.v1.pinned_fields) = "thing.hidden";
    option (concord.common.v1.pinned_fields) = "thing.note";
  }
  rpc ListThings(ListThingsRequest) returns (Thing) {
    option (concord.common.v1.required_permission) = "testing.things.list";
    option (concord.common.v1.target) = { classes: [TARGET_CLASS_OWN, TARGET_CLASS_OWNER], field: "user_id" };
  }
  rpc Ping(GetThingRequest) returns (Thing) { option (concord.common.v1.access) = ACCESS_PUBLIC; }
  rpc Inside(GetThingRequest) returns (Thing) { option (concord.common.v1.access) = ACCESS_SERVICE; }
  rpc Deploy(GetThingRequest) returns (Thing) { option (concord.common.v1.access) = ACCESS_DEPLOYMENT; }
  rpc Count(GetThingRequest) returns (stream Thing) {
    option (concord.common.v1.required_permission) = "testing.things.count";
  }
  rpc Gather(stream GetThingRequest) returns (Thing) {
    option (concord.common.v1.required_permission) = "testing.things.gather";
  }
  rpc Chat(stream GetThingRequest) returns (stream Thing) {
    option (concord.common.v1.required_permission) = "testing.things.chat";
  }
}
enum Kind { KIND_UNSPECIFIED = 0; KIND_SMALL = 1; KIND_LARGE = 2; }
message Thing {
  string id = 1 [(google.api.field_behavior) = OUTPUT_ONLY];
  string name = 2 [(google.api.field_behavior) = REQUIRED];
  Kind kind = 3;
  repeated string tags = 4;
  repeated Kind kinds = 5;
  concord.common.v1.PrincipalRef bearer = 6;
  google.protobuf.Timestamp create_time = 7 [(google.api.field_behavior) = OUTPUT_ONLY];
  string code = 8 [(google.api.field_behavior) = IMMUTABLE];
  map<string, string> attributes = 9;
  bool hidden = 10;
  optional string note = 11;
}
message GetThingRequest { string id = 1; string text = 2; }
message UpdateThingRequest {
  Thing thing = 1 [(google.api.field_behavior) = REQUIRED];
  google.protobuf.FieldMask update_mask = 2;
  string request_id = 3;
}
message ListThingsRequest { string user_id = 1; int32 page_size = 2; int32 skip = 3; repeated string ids = 4; }
"""


def _load() -> None:
    includes = [
        str(Path(__file__).parents[2] / "protos"),
        str(files("grpc_tools") / "_proto"),
        str(Path(next(iter(__import__("google.api").api.__path__))).parents[1]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "testing.proto").write_text(PROTO)
        out = Path(folder, "out.binpb")
        flags = [f"-I{folder}", *(f"-I{include}" for include in includes)]
        assert protoc.main(["protoc", *flags, f"--descriptor_set_out={out}", "testing.proto"]) == 0
        found = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    for file in found.file:
        descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


_load()
_POOL = descriptor_pool.Default()
SERVICE = "concord.testing.v1.ThingService"


def message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"concord.testing.v1.{name}"))


Thing, GetThingRequest, UpdateThingRequest, ListThingsRequest = (
    message(name) for name in ("Thing", "GetThingRequest", "UpdateThingRequest", "ListThingsRequest")
)

Handle = Callable[[Any, Any], Awaitable[Any]]


async def answer_with_text(request: Any, context: Any) -> Any:
    return Thing(name="answer", id=getattr(request, "id", ""))


async def count_to_three(request: Any, context: Any) -> AsyncIterator[Any]:
    for number in range(3):
        yield Thing(name=str(number))


async def echo(requests: Any, context: Any) -> AsyncIterator[Any]:
    async for request in requests:
        yield Thing(name=request.text)


async def join(requests: Any, context: Any) -> Any:
    return Thing(name=",".join([request.text async for request in requests]))


class Servicer:
    """Answers with whatever a test puts into `handle`, `count`, `chat` and `gather`."""

    def __init__(self) -> None:
        self.handle: Handle = answer_with_text
        self.count: Any = count_to_three
        self.chat: Any = echo
        self.gather: Any = join

    async def unary(self, request: Any, context: Any) -> Any:
        return await self.handle(request, context)

    async def unary_stream(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for item in self.count(request, context):
            yield item

    async def stream_stream(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        async for item in self.chat(requests, context):
            yield item

    async def stream_unary(self, requests: Any, context: Any) -> Any:
        return await self.gather(requests, context)


def add_servicer(servicer: Servicer, server: Any) -> None:
    makers = {
        (False, False): (grpc.unary_unary_rpc_method_handler, servicer.unary),
        (False, True): (grpc.unary_stream_rpc_method_handler, servicer.unary_stream),
        (True, False): (grpc.stream_unary_rpc_method_handler, servicer.stream_unary),
        (True, True): (grpc.stream_stream_rpc_method_handler, servicer.stream_stream),
    }
    handlers = {}
    for method in _POOL.FindServiceByName(SERVICE).methods:
        make, function = makers[method.client_streaming, method.server_streaming]
        request_type = message_factory.GetMessageClass(method.input_type)
        handlers[method.name] = make(function, request_type.FromString, Thing.SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)


class Stub:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        kinds = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }
        for method in _POOL.FindServiceByName(SERVICE).methods:
            request_type = message_factory.GetMessageClass(method.input_type)
            callable_ = kinds[method.client_streaming, method.server_streaming](
                f"/{SERVICE}/{method.name}",
                request_serializer=request_type.SerializeToString,
                response_deserializer=Thing.FromString,
                _registered_method=True,
            )
            setattr(self, method.name, callable_)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Decider:
    """A decision point that says what it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.verdict = Verdict(allowed=True, reach=Reach())
        self.error: Exception | None = None

    async def authorize(self, question: Question) -> Verdict:
        self.questions.append(question)
        if self.error is not None:
            raise self.error
        return self.verdict


class Admitter:
    """Credentials, as far as the chain knows it."""

    def __init__(self, passport: Callable[[str, str], str]) -> None:
        self.shown: list[tuple[str, str, str, str]] = []
        self.error: Exception | None = None
        self._passport = passport

    async def authenticate(self, credential: Credential, address: str, agent: str) -> str:
        self.shown.append((credential.access_id, credential.secret.reveal(), address, agent))
        if self.error is not None:
            raise self.error
        return self._passport(address, agent)


class OnePassportKey:
    def __init__(self, kid: str, key: Any) -> None:
        self._kid, self._key = kid, key
        self.asked: list[str] = []

    async def find(self, kid: str) -> Any:
        self.asked.append(kid)
        return self._key if kid == self._kid else None


@dataclass
class World:
    channel: grpc.aio.Channel
    stub: Any
    servicer: Servicer
    steps: Steps
    clock: SettableClock
    decider: Decider
    admitter: Admitter
    passport_key: Ed25519PrivateKey
    role_keys: Mapping[str, Ed25519PrivateKey]
    keys: OnePassportKey
    stop: Callable[[float], Awaitable[None]]
    address: str = ""

    def passport(self, **changes: Any) -> Passport:
        now = self.clock.now()
        passport = Passport(
            principal=PrincipalRef(PrincipalKind.USER, USER_ID),
            organization_id=ORGANIZATION,
            issue_time=now,
            expire_time=now + timedelta(minutes=5),
            methods=("api_key",),
        )
        return replace(passport, **changes)

    def token(self, **changes: Any) -> str:
        return PassportSigner("k1", self.passport_key).sign(self.passport(**changes))

    def service_token(self, role: str) -> str:
        return mint_service_token(role, self.role_keys[role], clock=self.clock)

    def as_user(self, *more: tuple[str, Any], **changes: Any) -> tuple[tuple[str, Any], ...]:
        return (("authorization", f"Bearer {self.token(**changes)}"), *more)

    def as_role(self, role: str, *more: tuple[str, Any]) -> tuple[tuple[str, Any], ...]:
        return (("authorization", f"Bearer {self.service_token(role)}"), *more)


TRANSPORTS = ("grpc", "inprocess")


@asynccontextmanager
async def open_world(transport: str, ceilings: Ceilings | None = None) -> AsyncIterator[World]:
    clock = SettableClock(SystemClock().now())
    passport_key = Ed25519PrivateKey.generate()
    role_keys = {role: Ed25519PrivateKey.generate() for role in ("gateway", "identity", "system")}
    keys = OnePassportKey("k1", passport_key.public_key())
    service_keys = FixedKeys({role: key.public_key() for role, key in role_keys.items()})
    verifier = PassportVerifier(keys, service_keys, clock, capacity=100)
    decider, servicer = Decider(), Servicer()

    def mint(address: str, agent: str) -> str:
        return world.token(caller_address=address, caller_agent=agent)

    admitter = Admitter(mint)
    steps = Steps(verifier, admitter, decider, ceilings=ceilings or Ceilings())
    chain = steps.chain()
    address = ""
    channel: grpc.aio.Channel
    if transport == "grpc":
        server = build_grpc_server(Listener("127.0.0.1:0"), [(add_servicer, servicer)], chain, steps.limits)
        address = await server.start()
        await server.ready()
        channel = grpc.aio.insecure_channel(address, options=[("grpc.max_send_message_length", -1)])
        stop = server.stop
    else:
        local = InProcessServer(chain)
        add_servicer(servicer, local)
        channel = InProcessChannel(local)

        async def stop(grace: float) -> None:
            await local.stop(grace)

    world = World(
        channel, Stub(channel), servicer, steps, clock, decider, admitter, passport_key, role_keys, keys, stop, address
    )
    try:
        yield world
    finally:
        await channel.close()
        await stop(0)
