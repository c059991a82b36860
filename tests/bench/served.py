"""Our suite as its users meet it: a process of its own, asked over the network."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc.aio

from bench import http_load
from bench.table import Figure, compared
from concord.identity.v1 import user_service_pb2, user_service_pb2_grpc
from processes import SERVICES_ROOT, Process, RunningSuite, running, serve_whole

TESTS = Path(__file__).resolve().parents[1]
ROUNDS = 5
SECONDS = 1.5
CONNECTIONS = 32


@contextlib.contextmanager
def bare(kind: str) -> Iterator[int]:
    """Run a bare server and say its port."""
    env = {**os.environ, "PYTHONPATH": f"{SERVICES_ROOT}{os.pathsep}{TESTS}"}
    process = subprocess.Popen([sys.executable, "-m", "bench.bare", kind], stdout=subprocess.PIPE, env=env)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        time.sleep(0.3)
        yield port
    finally:
        process.kill()
        process.wait()


async def rest(suite: RunningSuite, user_id: str, bare_port: int) -> Figure:
    """Scaleway GetUser with a cached passport, against a constant answer of the same HTTP server."""
    url = urlsplit(suite.http)
    headers = {"host": url.netloc, "user-agent": "bench", "x-auth-token": suite.bootstrap["scaleway"]["secret_key"]}
    ours = http_load.get(f"/iam/v1alpha1/users/{user_id}", headers)
    theirs = http_load.get("/", {"host": "bare"})
    rounds = []
    for _ in range(ROUNDS):
        a = await http_load.rate("127.0.0.1", url.port or 0, ours, connections=CONNECTIONS, seconds=SECONDS)
        b = await http_load.rate("127.0.0.1", bare_port, theirs, connections=CONNECTIONS, seconds=SECONDS)
        rounds.append((a, b))
    return compared("rest_get_user_vs_bare", "calls/s", rounds, "≥ 0.2")


async def _grpc_rate(
    stub: user_service_pb2_grpc.UserServiceStub, user_id: str, metadata: tuple[tuple[str, str], ...]
) -> float:
    request = user_service_pb2.GetUserRequest(id=user_id)
    end = time.perf_counter() + SECONDS
    count = 0

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() < end:
            await stub.GetUser(request, metadata=metadata)
            count += 1

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
    return count / (time.perf_counter() - start)


async def rpc(suite: RunningSuite, user_id: str, bare_port: int) -> Figure:
    """Native GetUser with an API key, against an empty handler of the same gRPC server."""
    metadata = (("authorization", f"Bearer {suite.bootstrap['native']['api_key']}"),)
    async with (
        grpc.aio.insecure_channel(suite.grpc("identity")) as our_channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{bare_port}") as bare_channel,
    ):
        ours = user_service_pb2_grpc.UserServiceStub(our_channel)
        theirs = user_service_pb2_grpc.UserServiceStub(bare_channel)
        rounds = []
        for _ in range(ROUNDS):
            rounds.append((await _grpc_rate(ours, user_id, metadata), await _grpc_rate(theirs, user_id, metadata)))
    return compared("grpc_get_user_vs_bare", "calls/s", rounds, "≥ 0.5")


def idle(process: Process) -> Figure:
    """Memory ten seconds after the suite said it was ready."""
    time.sleep(10)
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    kilobytes = int(status.partition("VmRSS:")[2].split()[0])
    return Figure("idle_rss_mb", round(kilobytes / 1024, 1), "MB", wanted="≤ 250")


def figures() -> list[Figure]:
    """Start twice (the first start makes the organization and the bytecode), then measure."""
    with tempfile.TemporaryDirectory() as directory:
        data_dir = Path(directory, "data")
        with running(serve_whole, data_dir):
            pass
        begun = time.perf_counter()
        process = Process("serve", "--data-dir", str(data_dir), "--port", "0", log=Path(directory, "log"))
        process.wait_ready()
        start = Figure("start_to_ready_s", round(time.perf_counter() - begun, 2), "s", wanted="≤ 2")
        memory = idle(process)
        process.stop()
        with running(serve_whole, data_dir) as suite, bare("http") as http_port, bare("grpc") as grpc_port:
            user_id = owner_id(suite)
            compared_figures = asyncio.run(_compare(suite, user_id, http_port, grpc_port))
    return [*compared_figures, start, memory]


async def _compare(suite: RunningSuite, user_id: str, http_port: int, grpc_port: int) -> list[Figure]:
    return [await rest(suite, user_id, http_port), await rpc(suite, user_id, grpc_port)]


def owner_id(suite: RunningSuite) -> str:
    """Return the owner's id, as the shim shows it."""
    import httpx

    headers = {"x-auth-token": suite.bootstrap["scaleway"]["secret_key"]}
    users = httpx.get(f"{suite.http}/iam/v1alpha1/users", headers=headers).json()["users"]
    found: str = users[0]["id"]
    return found
