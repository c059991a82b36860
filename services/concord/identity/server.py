"""Builds the identity service: database, store, consumers, servicers."""

from pathlib import Path

from concord.identity import wire
from concord.identity.consume import apply_credentials, apply_policy
from concord.identity.handlers import (
    ApplicationServicer,
    ConnectionServicer,
    OrganizationServicer,
    ProjectServicer,
    UserServicer,
)
from concord.identity.sql import SqlIdentityStore, metadata
from concord.identity.store import IdentityStore
from concord.identity.v1.application_service_pb2_grpc import add_ApplicationServiceServicer_to_server
from concord.identity.v1.connection_service_pb2_grpc import add_ConnectionServiceServicer_to_server
from concord.identity.v1.organization_service_pb2_grpc import add_OrganizationServiceServicer_to_server
from concord.identity.v1.project_service_pb2_grpc import add_ProjectServiceServicer_to_server
from concord.identity.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from concord.kernel.database import Connection
from concord.kernel.service import Platform, Service

NAME = "identity"
MIGRATIONS = Path(__file__).parent / "migrations"


def _store(connection: Connection) -> IdentityStore:
    return SqlIdentityStore(connection)


async def build(platform: Platform) -> Service:
    """Return the service, ready to be mounted."""
    units = await platform.open_units(NAME, metadata, MIGRATIONS, _store, wire.snapshot)
    return Service(
        name=NAME,
        servicers=(
            (add_OrganizationServiceServicer_to_server, OrganizationServicer(units)),
            (add_ProjectServiceServicer_to_server, ProjectServicer(units)),
            (add_UserServiceServicer_to_server, UserServicer(units)),
            (add_ApplicationServiceServicer_to_server, ApplicationServicer(units)),
            (add_ConnectionServiceServicer_to_server, ConnectionServicer(units)),
        ),
        units=units,
        consumers=(
            platform.consumer(NAME, "credentials", units, apply_credentials),
            platform.consumer(NAME, "policy", units, apply_policy),
        ),
    )
