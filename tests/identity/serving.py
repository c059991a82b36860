"""A real in-process server of identity, with every step of the chain and a decision point that says yes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from grpc.aio import AioRpcError

from concord.identity import wire
from concord.identity.handlers import (
    ApplicationServicer,
    ConnectionServicer,
    OrganizationServicer,
    ProjectServicer,
    UserServicer,
)
from concord.identity.server import MIGRATIONS
from concord.identity.sql import SqlIdentityStore, metadata
from concord.identity.v1.application_service_pb2_grpc import (
    ApplicationServiceStub,
    add_ApplicationServiceServicer_to_server,
)
from concord.identity.v1.connection_service_pb2_grpc import (
    ConnectionServiceStub,
    add_ConnectionServiceServicer_to_server,
)
from concord.identity.v1.organization_service_pb2_grpc import (
    OrganizationServiceStub,
    add_OrganizationServiceServicer_to_server,
)
from concord.identity.v1.project_service_pb2_grpc import ProjectServiceStub, add_ProjectServiceServicer_to_server
from concord.identity.v1.user_service_pb2_grpc import UserServiceStub, add_UserServiceServicer_to_server
from concord.kernel.clock import SettableClock
from concord.kernel.errors import ConcordError
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import (
    Passport,
    PrincipalKind,
    PrincipalRef,
    Question,
    Reach,
    TargetClass,
    Verdict,
)
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.passports import FixedKeys, PassportSigner, PassportVerifier, mint_service_token
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.rpc.steps import Steps
from concord.kernel.units import Units
from fakes import CALLER, ORGANIZATION, START, open_units

Credentials = Mapping[str, Any]


@dataclass
class DecisionPoint:
    """Allows everything within a reach that tests may narrow, and remembers what it was asked."""

    reach: Reach = field(default_factory=lambda: Reach(classes=frozenset({TargetClass.ANY, TargetClass.OWN})))
    allowed: bool = True
    asked: list[Question] = field(default_factory=list)

    async def authorize(self, question: Question) -> Verdict:
        self.asked.append(question)
        return Verdict(self.allowed, self.reach)


class Signers:
    """Makes credentials that the server believes."""

    def __init__(self, clock: SettableClock) -> None:
        self.clock = clock
        self._passports, self._system = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        self.verifier = PassportVerifier(self, FixedKeys({"system": self._system.public_key()}), clock)

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key that passports are signed with."""
        return self._passports.public_key() if kid == "test" else None

    def principal(self, principal: PrincipalRef, organization_id: OrganizationId) -> Credentials:
        """Keyword arguments of a call by somebody: `await stub.Rpc(request, **credentials)`."""
        now = self.clock.now()
        passport = Passport(principal, organization_id, now, now + timedelta(minutes=5))
        return _bearer(PassportSigner("test", self._passports).sign(passport))

    def system(self, organization_id: OrganizationId | None = None) -> Credentials:
        """Keyword arguments of a call by the deployment's administrator."""
        return _bearer(mint_service_token("system", self._system, organization_id, clock=self.clock))


class Suite:
    """Stubs of a served identity."""

    def __init__(self, channel: Any, units: Units[Any], signers: Signers, decisions: DecisionPoint) -> None:
        self.units = units
        self.signers = signers
        self.clock = signers.clock
        self.decisions = decisions
        self.organizations: Any = OrganizationServiceStub(channel)
        self.projects: Any = ProjectServiceStub(channel)
        self.users: Any = UserServiceStub(channel)
        self.applications: Any = ApplicationServiceStub(channel)
        self.connections: Any = ConnectionServiceStub(channel)

    @property
    def caller(self) -> Credentials:
        """Somebody in the usual organization."""
        return self.signers.principal(CALLER, ORGANIZATION)

    def user(self, user_id: str, organization_id: OrganizationId = ORGANIZATION) -> Credentials:
        """A user by id."""
        return self.signers.principal(PrincipalRef(PrincipalKind.USER, user_id), organization_id)


def _bearer(token: str) -> Credentials:
    return {"metadata": (("authorization", f"Bearer {token}"),)}


async def refusal(call: Any) -> ConcordError:
    """Return what a call fails with."""
    try:
        answer = await call
    except AioRpcError as error:
        return from_rpc_error(error)
    raise AssertionError(f"the call answered {answer!r}")


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[Suite]:
    """Serve identity from a directory."""
    clock = SettableClock(START)
    signers, decisions = Signers(clock), DecisionPoint()
    server: Any = InProcessServer(Steps(signers.verifier, authorizer=decisions).chain())
    async with open_units(
        directory, metadata, SqlIdentityStore, wire.snapshot, service="identity", clock=clock, migrations=MIGRATIONS
    ) as units:
        add_OrganizationServiceServicer_to_server(OrganizationServicer(units), server)
        add_ProjectServiceServicer_to_server(ProjectServicer(units), server)
        add_UserServiceServicer_to_server(UserServicer(units), server)
        add_ApplicationServiceServicer_to_server(ApplicationServicer(units), server)
        add_ConnectionServiceServicer_to_server(ConnectionServicer(units), server)
        yield Suite(InProcessChannel(server), units, signers, decisions)
        await server.stop()
