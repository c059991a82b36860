"""A small HTTP/1.1 load generator: some connections, one request in flight on each, requests built once."""

import asyncio
import time


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, end: float, done: "asyncio.Future[int]") -> None:
        self._request = request
        self._end = end
        self._done = done
        self._count = 0
        self._buffer = b""
        self._need = -1
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._need < 0:
            head, gap, _ = self._buffer.partition(b"\r\n\r\n")
            if not gap:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._fail(RuntimeError(head.split(b"\r\n")[0].decode()))
                return
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            self._need = len(head) + 4 + int(length)
        if len(self._buffer) < self._need:
            return
        self._buffer, self._need = b"", -1
        self._count += 1
        assert self._transport is not None
        if time.perf_counter() < self._end:
            self._transport.write(self._request)
        else:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(self._count)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionError("closed by the server"))

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


async def rate(host: str, port: int, request: bytes, *, connections: int, seconds: float) -> float:
    """Return how many answers a second came back, all of them 200."""
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    counts: list[asyncio.Future[int]] = []
    for _ in range(connections):
        done: asyncio.Future[int] = loop.create_future()
        counts.append(done)
        await loop.create_connection(lambda done=done: _Connection(request, start + seconds, done), host, port)
    total = sum(await asyncio.gather(*counts))
    return total / (time.perf_counter() - start)


def get(path: str, headers: dict[str, str]) -> bytes:
    """Return the bytes of a GET."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()
