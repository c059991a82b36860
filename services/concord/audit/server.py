"""Builds the audit service: database, store, consumers, servicer."""

from pathlib import Path
from typing import Final

from concord.audit.consume import SOURCES, load_contracts, recorder
from concord.audit.handlers import AuditHandlers
from concord.audit.sql import SqlStore
from concord.audit.sql.tables import metadata
from concord.audit.store import Store
from concord.audit.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from concord.audit.wire import snapshot
from concord.kernel.service import Platform, Service
from concord.kernel.units import Units

SERVICE: Final = "audit"
MIGRATIONS: Final = Path(__file__).parent / "migrations"


async def build(platform: Platform) -> Service:
    """Build the service for the process that hosts it."""
    load_contracts()
    units: Units[Store] = await platform.open_units(SERVICE, metadata, MIGRATIONS, SqlStore, snapshot)
    consumers = [platform.consumer(SERVICE, source, units, recorder(source)) for source in SOURCES]
    return Service(
        name=SERVICE,
        servicers=[(add_AuditServiceServicer_to_server, AuditHandlers(units, consumers))],
        units=units,
        consumers=consumers,
    )
