"""Credentials as their users meet them: examining one, logging in by password, and what logins cost everybody else."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc.aio
from argon2 import PasswordHasher, Type

from bench.served import CONNECTIONS, ROUNDS, SECONDS, bare, owner_id
from bench.table import Figure, compared
from concord.credentials.secrets.hashing import HashingSettings
from concord.credentials.v1 import (
    authentication_service_pb2,
    authentication_service_pb2_grpc,
    password_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
)
from concord.identity.v1 import user_service_pb2, user_service_pb2_grpc
from concord.policy.v1 import decision_pb2, decision_service_pb2, decision_service_pb2_grpc
from processes import RunningSuite, running, serve_whole

Metadata = tuple[tuple[str, str], ...]

LOGINS_IN_FLIGHT = 8
# One caller that waits between its calls: it measures how long a call takes, not how many fit in.
CHECK_PAUSE = 0.002
CHECK_SECONDS = 3.0


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


async def authenticate(suite: RunningSuite, bare_port: int, user_id: str) -> Figure:
    """Turn an API key's pair into a passport, against an empty handler of the same gRPC server."""
    known = suite.bootstrap["scaleway"]
    pair = authentication_service_pb2.ApiKeyCredential(access_id=known["access_key"], secret=known["secret_key"])
    request = authentication_service_pb2.AuthenticateRequest(api_key=pair)
    nothing = user_service_pb2.GetUserRequest(id=user_id)
    async with (
        grpc.aio.insecure_channel(suite.grpc("credentials")) as our_channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{bare_port}") as bare_channel,
    ):
        ours: Any = authentication_service_pb2_grpc.AuthenticationServiceStub(our_channel)
        theirs: Any = user_service_pb2_grpc.UserServiceStub(bare_channel)
        rounds = []
        for _ in range(ROUNDS):
            a = await rate(lambda: ours.Authenticate(request), CONNECTIONS)
            b = await rate(lambda: theirs.GetUser(nothing), CONNECTIONS)
            rounds.append((a, b))
    return compared("authenticate_vs_bare", "calls/s", rounds, "≥ 0.6")


def _login(suite: RunningSuite) -> session_service_pb2.CreateSessionRequest:
    known = suite.bootstrap["intdash"]
    login = password_pb2.Login(organization=known["tenant_uuid"], name=known["username"])
    proof = password_pb2.PasswordCredential(login=login, password=known["password"])
    return session_service_pb2.CreateSessionRequest(password=proof)


def _raw_argon2id() -> float:
    """Return how many passwords a second the library alone verifies, with the parameters and threads of a login."""
    settings = HashingSettings()
    library = PasswordHasher(settings.iterations, settings.memory_kib, settings.lanes, type=Type.ID)
    encoded = library.hash("correct horse")
    end = time.perf_counter() + SECONDS

    def work(_: int) -> int:
        count = 0
        while time.perf_counter() < end:
            library.verify(encoded, "correct horse")
            count += 1
        return count

    start = time.perf_counter()
    with ThreadPoolExecutor(settings.threads) as pool:
        total = sum(pool.map(work, range(settings.threads)))
    return total / (time.perf_counter() - start)


async def logins(suite: RunningSuite) -> Figure:
    """Open sessions by password, against the bare verification of as many on the same cores."""
    request = _login(suite)
    async with grpc.aio.insecure_channel(suite.grpc("credentials")) as channel:
        stub: Any = session_service_pb2_grpc.SessionServiceStub(channel)
        await stub.CreateSession(request)
        rounds = []
        for _ in range(ROUNDS):
            ours = await rate(lambda: stub.CreateSession(request), LOGINS_IN_FLIGHT)
            rounds.append((ours, await asyncio.to_thread(_raw_argon2id)))
    return compared("login_vs_argon2id", "logins/s", rounds, "≥ 0.85")


async def checks_under_login(suite: RunningSuite) -> Figure:
    """The slowest hundredth of checks while logins saturate, against the same with nobody logging in."""
    check = decision_pb2.Check(permission="instances.servers.read")
    asked = decision_service_pb2.CheckRequest(check=check)
    metadata = (("authorization", f"Bearer {suite.bootstrap['native']['api_key']}"),)
    request = _login(suite)
    async with (
        grpc.aio.insecure_channel(suite.grpc("policy")) as policy,
        grpc.aio.insecure_channel(suite.grpc("credentials")) as credentials,
    ):
        decisions: Any = decision_service_pb2_grpc.DecisionServiceStub(policy)
        sessions: Any = session_service_pb2_grpc.SessionServiceStub(credentials)
        rounds = []
        for _ in range(ROUNDS):
            alone = await _p99(lambda: decisions.Check(asked, metadata=metadata))
            over = asyncio.Event()
            busy = [
                asyncio.create_task(_until(over, lambda: sessions.CreateSession(request)))
                for _ in range(LOGINS_IN_FLIGHT)
            ]
            beside = await _p99(lambda: decisions.Check(asked, metadata=metadata))
            over.set()
            await asyncio.gather(*busy)
            rounds.append((beside * 1000, alone * 1000))
    return compared("check_p99_under_login", "ms", rounds, "≤ 2")


async def _p99(once: Callable[[], Awaitable[object]]) -> float:
    times = []
    end = time.perf_counter() + CHECK_SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        await once()
        times.append(time.perf_counter() - start)
        await asyncio.sleep(CHECK_PAUSE)
    return sorted(times)[int(len(times) * 0.99)]


async def _until(over: asyncio.Event, once: Callable[[], Awaitable[object]]) -> None:
    while not over.is_set():
        await once()


def figures() -> list[Figure]:
    """Serve the whole suite and measure the three."""
    with tempfile.TemporaryDirectory() as directory:
        data_dir = Path(directory, "data")
        with running(serve_whole, data_dir) as suite, bare("grpc") as bare_port:
            return asyncio.run(_measure(suite, bare_port, owner_id(suite)))


async def _measure(suite: RunningSuite, bare_port: int, user_id: str) -> list[Figure]:
    return [
        await authenticate(suite, bare_port, user_id),
        await logins(suite),
        await checks_under_login(suite),
    ]
