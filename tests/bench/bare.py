"""Bare servers of the same kinds as ours, each started as a process of its own: `python -m bench.bare http|grpc`."""

import asyncio
import socket
import sys
from typing import Any

import uvloop

BODY = b'{"id":"00000000-0000-0000-0000-000000000000","email":"someone@somewhere.example","username":"someone"}'


async def http(port: int) -> None:
    """Serve one constant answer on granian, as the gateway does."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    async def app(scope: Any, protocol: Any) -> None:
        if scope.proto == "http":
            protocol.response_bytes(200, [("content-type", "application/json")], BODY)

    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.RSGI, log_enabled=False)
    print(port, flush=True)
    await server.serve()


async def grpc(port: int) -> None:
    """Serve rpcs on grpc.aio whose handlers do nothing."""
    import grpc as grpc_module

    from concord.identity.v1.user_pb2 import User
    from concord.identity.v1.user_service_pb2_grpc import UserServiceServicer, add_UserServiceServicer_to_server
    from concord.policy.v1.decision_pb2 import Decision
    from concord.policy.v1.decision_service_pb2_grpc import (
        DecisionServiceServicer,
        add_DecisionServiceServicer_to_server,
    )

    class Empty(UserServiceServicer):
        async def GetUser(self, request: Any, context: Any) -> User:  # type: ignore[override]
            return User()

    class Undecided(DecisionServiceServicer):
        async def Check(self, request: Any, context: Any) -> Decision:  # type: ignore[override]
            return Decision()

    server = grpc_module.aio.server()
    add_UserServiceServicer_to_server(Empty(), server)
    add_DecisionServiceServicer_to_server(Undecided(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    serve = {"http": http, "grpc": grpc}[sys.argv[1]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(free_port()))
