"""Lets coroutines wait for commits without missing one between looking and waiting."""

import asyncio


class Wakes:
    """A counter of possible commits, and those who wait for it to move. Belongs to one event loop."""

    def __init__(self) -> None:
        self.generation = 0
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def notify(self) -> None:
        """Move the counter and wake everybody."""
        self.generation += 1
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, generation: int, seconds: float) -> int:
        """Return once the counter is beyond `generation`, or after so many seconds."""
        if self.generation != generation:
            return self.generation
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.add(future)
        handle = loop.call_later(seconds, _finish, future)
        try:
            await future
        finally:
            handle.cancel()
            self._waiting.discard(future)
        return self.generation


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
