"""Builds the groups service: database, store, consumers, servicers."""

from pathlib import Path
from typing import Final

from concord.groups import wire
from concord.groups.consume import apply_identity, apply_policy
from concord.groups.handlers import GroupHandlers, MembershipHandlers
from concord.groups.sql import SqlStore, metadata
from concord.groups.store import Store
from concord.groups.v1.group_service_pb2_grpc import add_GroupServiceServicer_to_server
from concord.groups.v1.membership_service_pb2_grpc import add_MembershipServiceServicer_to_server
from concord.kernel.service import Platform, Service
from concord.kernel.units import Units

SERVICE: Final = "groups"
MIGRATIONS: Final = Path(__file__).parent / "migrations"


async def build(platform: Platform) -> Service:
    """Build the service for the process that hosts it."""
    units: Units[Store] = await platform.open_units(SERVICE, metadata, MIGRATIONS, SqlStore, wire.snapshot)
    return Service(
        name=SERVICE,
        servicers=[
            (add_GroupServiceServicer_to_server, GroupHandlers(units)),
            (add_MembershipServiceServicer_to_server, MembershipHandlers(units)),
        ],
        units=units,
        consumers=[
            platform.consumer(SERVICE, "identity", units, apply_identity),
            platform.consumer(SERVICE, "policy", units, apply_policy),
        ],
    )
