"""The decision service over gRPC: single checks beside a bare handler of the same server, and batches of a thousand."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import grpc.aio

from bench.served import CONNECTIONS, ROUNDS, SECONDS, bare
from bench.table import Figure, compared
from concord.common.v1 import boundary_pb2, principal_pb2
from concord.identity.v1 import application_pb2, application_service_pb2, application_service_pb2_grpc
from concord.policy.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    policy_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
    statement_pb2,
    subject_pb2,
)
from processes import RunningSuite, running, serve_whole

Metadata = tuple[tuple[str, str], ...]

QUESTIONS = 1000
SUBJECTS = 5
FEW = 20
BATCHES_IN_FLIGHT = 2
_BATCH = "/concord.policy.v1.DecisionService/BatchCheck"


@dataclass(frozen=True)
class Batch:
    """A batch as it goes over the wire, and how many of its questions are to be allowed."""

    request: bytes
    allowed: int


async def rate(once: Callable[[], Awaitable[object]], callers: int) -> float:
    """Return how many a second some callers get done."""
    end = time.perf_counter() + SECONDS
    count = 0

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() < end:
            await once()
            count += 1

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return count / (time.perf_counter() - start)


async def unary(suite: RunningSuite, metadata: Metadata, bare_port: int) -> Figure:
    """Check about oneself with an API key, against an empty handler of the same gRPC server."""
    resource = decision_pb2.CheckedResource(type="instances.servers", id="one")
    check = decision_pb2.Check(permission="instances.servers.read", resource=resource)
    request = decision_service_pb2.CheckRequest(check=check)
    async with (
        grpc.aio.insecure_channel(suite.grpc("policy")) as our_channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{bare_port}") as bare_channel,
    ):
        ours: Any = decision_service_pb2_grpc.DecisionServiceStub(our_channel)
        theirs: Any = decision_service_pb2_grpc.DecisionServiceStub(bare_channel)
        rounds = []
        for _ in range(ROUNDS):
            a = await rate(lambda: ours.Check(request, metadata=metadata), CONNECTIONS)
            b = await rate(lambda: theirs.Check(request, metadata=metadata), CONNECTIONS)
            rounds.append((a, b))
    return compared("check_unary_vs_bare", "calls/s", rounds, "≥ 0.65")


async def batches(suite: RunningSuite, metadata: Metadata, batch: Batch, name: str, wanted: str) -> list[Figure]:
    """Decisions a second in batches of a thousand, and what one of them costs the server."""
    (process,) = (each.process.pid for each in suite.processes.values())
    async with grpc.aio.insecure_channel(suite.grpc("policy")) as channel:
        # Bytes in, bytes out: what the caller does with its answers is not measured here.
        ask: Any = channel.unary_unary(_BATCH, request_serializer=bytes, response_deserializer=bytes)
        answer = decision_service_pb2.BatchCheckResponse.FromString(await ask(batch.request, metadata=metadata))
        assert sum(each.allowed for each in answer.decisions) == batch.allowed
        rounds, costs = [], []
        for _ in range(ROUNDS):
            before = _cpu_seconds(process)
            began = time.perf_counter()
            rounds.append(await rate(lambda: ask(batch.request, metadata=metadata), BATCHES_IN_FLIGHT) * QUESTIONS)
            decided = rounds[-1] * (time.perf_counter() - began)
            costs.append((_cpu_seconds(process) - before) / decided * 1e6)
    return [
        Figure(f"{name}_per_s", round(median(rounds)), "checks/s", wanted=wanted),
        Figure(f"{name}_cpu_us", round(median(costs), 2), "µs/check", wanted="≤ 10" if wanted else ""),
    ]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def prepare(suite: RunningSuite, metadata: Metadata) -> dict[str, Batch]:
    """Make subjects with policies, and the batches that ask about them."""
    applications: Any = application_service_pb2_grpc.ApplicationServiceStub
    policies: Any = policy_service_pb2_grpc.PolicyServiceStub
    refs: list[principal_pb2.PrincipalRef] = []
    async with (
        grpc.aio.insecure_channel(suite.grpc("identity")) as identity,
        grpc.aio.insecure_channel(suite.grpc("policy")) as policy,
    ):
        for number in range(SUBJECTS + 1):
            application = application_pb2.Application(name=f"asked about {number}")
            request = application_service_pb2.CreateApplicationRequest(application=application)
            made = await applications(identity).CreateApplication(request, metadata=metadata)
            ref = principal_pb2.PrincipalRef(kind=principal_pb2.PRINCIPAL_KIND_APPLICATION, id=made.id)
            condition = 'resource.id.startsWith("thing")' if number == SUBJECTS else ""
            await policies(policy).CreatePolicy(_policy(ref, condition), metadata=metadata)
            refs.append(ref)
    own = [_check(n, n) for n in range(QUESTIONS)]
    few = [_check(n % FEW, n) for n in range(QUESTIONS)]
    mixed = [_check(n, n) for n in range(QUESTIONS)]
    for n, check in enumerate(mixed):
        check.subject.CopyFrom(refs[n % SUBJECTS])
    return {
        "batch_1000": _batch(own, refs[0]),
        "batch_1000_few_permissions": _batch(few, refs[0]),
        "batch_1000_many_subjects": _batch(mixed, None),
        "batch_1000_conditions": _batch(own, refs[SUBJECTS]),
    }


def _batch(checks: Sequence[decision_pb2.Check], subject: principal_pb2.PrincipalRef | None) -> Batch:
    defaults = None if subject is None else decision_pb2.Check(subject=subject)
    request = decision_service_pb2.BatchCheckRequest(checks=checks, defaults=defaults)
    # Every second permission is granted.
    allowed = sum(int(each.permission.rpartition("_")[2]) % 2 == 0 for each in checks)
    return Batch(request.SerializeToString(), allowed)


def _check(permission: int, thing: int) -> decision_pb2.Check:
    return decision_pb2.Check(
        permission=f"shop.orders.verb_{permission}",
        resource=decision_pb2.CheckedResource(type="shop.orders", id=f"thing-{thing}"),
    )


def _policy(ref: principal_pb2.PrincipalRef, condition: str) -> policy_service_pb2.CreatePolicyRequest:
    everywhere = boundary_pb2.Boundary(kind=boundary_pb2.BOUNDARY_KIND_ORGANIZATION)
    statements = [
        statement_pb2.Statement(permissions=[f"shop.orders.verb_{n}"], condition=condition, boundary=everywhere)
        for n in range(0, QUESTIONS, 2)
    ]
    return policy_service_pb2.CreatePolicyRequest(
        policy=policy_pb2.Policy(
            name="measured",
            language="statements",
            subject=subject_pb2.PolicySubject(principal=ref),
            statements=statements,
        )
    )


async def _measure(suite: RunningSuite, bare_port: int) -> list[Figure]:
    metadata = (("authorization", f"Bearer {suite.bootstrap['native']['api_key']}"),)
    found = [await unary(suite, metadata, bare_port)]
    for name, batch in (await prepare(suite, metadata)).items():
        found.extend(await batches(suite, metadata, batch, name, "≥ 100,000" if name == "batch_1000" else ""))
    return found


def figures() -> list[Figure]:
    """Measure a suite of its own, beside a bare server."""
    import uvloop

    with (
        tempfile.TemporaryDirectory() as directory,
        running(serve_whole, Path(directory, "data")) as suite,
        bare("grpc") as bare_port,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_measure(suite, bare_port))
