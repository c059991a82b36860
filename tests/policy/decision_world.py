"""The decision service of a world behind its stub: in process, or over a socket as others reach it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from concord.common.v1.boundary_pb2 import Boundary
from concord.common.v1.principal_pb2 import PrincipalRef as WirePrincipal
from concord.kernel.errors import ConcordError
from concord.kernel.principal import PrincipalRef
from concord.kernel.rpc.authentication import FixedKeys, PassportSigner, PassportVerifier
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.server import Listener, build_grpc_server
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.rpc.steps import Steps
from concord.kernel.rpc.wire import principal_to_wire
from concord.policy.handlers import DecisionHandlers
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1.decision_service_pb2_grpc import DecisionServiceStub, add_DecisionServiceServicer_to_server

from .conftest import World


class _OneKey:
    """The public half of the only key that signs passports here."""

    def __init__(self, key: Any) -> None:
        self._key = key

    async def find(self, kid: str) -> Any:
        return self._key


@dataclass
class Asking:
    """What puts questions to the decision service of a world."""

    world: World
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    stub: Any = None

    def __post_init__(self) -> None:
        world = self.world
        self.handlers = DecisionHandlers(world.units, world.checks, world.lists, world.explanations, world.authorizer)
        verifier = PassportVerifier(_OneKey(self.key.public_key()), FixedKeys({}), world.clock, capacity=1000)
        self.steps = Steps(verifier, None, world.authorizer)
        server = InProcessServer(self.steps.chain())
        add_DecisionServiceServicer_to_server(self.handlers, server)
        self.stub = DecisionServiceStub(InProcessChannel(server))

    def by(self, principal: PrincipalRef, **passport: Any) -> dict[str, Any]:
        """Return what a call of this principal carries."""
        token = PassportSigner("k", self.key).sign(self.world.passport(principal, **passport))
        return {"metadata": (("authorization", f"Bearer {token}"),)}

    @asynccontextmanager
    async def over_a_socket(self) -> AsyncIterator[Any]:
        """Serve over gRPC; yield the address."""
        mounted: Any = (add_DecisionServiceServicer_to_server, self.handlers)
        server = build_grpc_server(Listener("127.0.0.1:0"), [mounted], self.steps.chain(), self.steps.limits)
        address = await server.start()
        try:
            yield address
        finally:
            await server.stop(0.2)


def about(subject: PrincipalRef | None = None, permission: str = "a.b.c", **more: Any) -> d.Check:
    """A check."""
    whom: WirePrincipal | None = None if subject is None else principal_to_wire(subject)
    return d.Check(subject=whom, permission=permission, **more)


def within(*project_ids: str) -> Boundary:
    """The boundary of these projects."""
    return Boundary(project_ids=project_ids)


async def failure_of(call: Any) -> ConcordError:
    """Return why a call fails, as the service said it."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return from_rpc_error(failure.value)


def fields_of(error: ConcordError) -> list[str]:
    """Return the fields that an error names."""
    return [violation.field for violation in getattr(error, "violations", ())]
