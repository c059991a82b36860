"""How a process ends. The listeners themselves are driven by real processes in `tests/e2e/test_lifecycle.py`."""

import asyncio
from pathlib import Path

from concord.kernel.clock import SystemClock
from concord.kernel.config import Address, Settings
from concord.suite.process import Process
from concord.suite.serve import _Hosting


class Listener:
    """Stops only once the other one has been told to stop too."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.other: Listener | None = None

    async def stop(self, grace: float) -> None:
        self.told.set()
        assert self.other is not None
        await self.other.told.wait()


async def test_both_listeners_are_told_to_stop_before_either_has_finished(tmp_path: Path) -> None:
    anywhere = Address("127.0.0.1", 0)
    settings = Settings(data_dir=tmp_path / "data", http=anywhere, grpc=anywhere)
    hosting = _Hosting(settings, Process(settings, SystemClock()))
    http, rpc = Listener(), Listener()
    http.other, rpc.other = rpc, http
    hosting._gateway, hosting._rpc = http, rpc  # type: ignore[assignment]  # all that stopping asks of them

    async with asyncio.timeout(10):
        await hosting.stop()

    assert http.told.is_set()
    assert rpc.told.is_set()
