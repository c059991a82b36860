"""Durable creations through the in-process stub, against one plain insert a unit through the same writer."""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import sqlalchemy as sa

from bench.table import Figure, compared
from concord.identity.v1 import application_pb2, application_service_pb2, application_service_pb2_grpc
from concord.kernel.clock import SystemClock
from concord.kernel.config import Address, Settings
from concord.kernel.database.contract import Connection
from concord.policy.v1 import quota_service_pb2, quota_service_pb2_grpc
from concord.suite.process import Process

ROUNDS = 5
SECONDS = 1.5
CALLERS = 32

PLAIN = sa.Table(
    "bench_plain",
    sa.MetaData(),
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("description", sa.String, nullable=False),
)
INSERT = sa.insert(PLAIN)


async def rate(once: Callable[[], Awaitable[object]]) -> float:
    """Return how many a second 32 callers get done."""
    end = time.perf_counter() + SECONDS
    count = 0

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() < end:
            await once()
            count += 1

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return count / (time.perf_counter() - start)


async def measure(data_dir: Path) -> Figure:
    """Interleave rounds of both in one process."""
    settings = Settings(
        data_dir=data_dir, http=Address("127.0.0.1", 0), grpc=Address("127.0.0.1", 0), log_level="error"
    )
    async with Process(settings, SystemClock()) as process:
        bootstrap = await process.bootstrap()
        metadata = (("authorization", f"Bearer {bootstrap['native']['access_token']}"),)
        organization = bootstrap["organization"]["id"]
        quotas = quota_service_pb2_grpc.QuotaServiceStub(process.channel("policy"))
        await quotas.SetQuota(
            quota_service_pb2.SetQuotaRequest(organization_id=organization, name="applications", unlimited=True),
            metadata=(("authorization", f"Bearer {process.system_token(organization)}"),),
        )
        stub = application_service_pb2_grpc.ApplicationServiceStub(process.channel("identity"))
        request = application_service_pb2.CreateApplicationRequest(
            application=application_pb2.Application(name="robot", description="one of many")
        )
        database = process.service("identity").units.database

        def prepare(connection: Connection) -> None:
            connection.execute(sa.schema.CreateTable(PLAIN))

        await database.write(None, prepare)

        async def create() -> object:
            return await stub.CreateApplication(request, metadata=metadata)

        async def insert() -> object:
            values = {"id": str(uuid.uuid4()), "name": "robot", "description": "one of many"}

            def unit(connection: Connection) -> None:
                connection.execute(INSERT, values)

            return await database.write(organization, unit)

        rounds = []
        for _ in range(ROUNDS):
            rounds.append((await rate(create), await rate(insert)))
    return compared("durable_create_vs_insert", "writes/s", rounds, "≥ 0.2")


def figures() -> list[Figure]:
    """Measure in a directory of its own."""
    import uvloop

    with tempfile.TemporaryDirectory() as directory, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return [runner.run(measure(Path(directory, "data")))]
