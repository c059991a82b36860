"""Long work in turns: whatever else the process has to do waits for a few milliseconds at most."""

from collections.abc import Generator
from time import monotonic
from typing import TypeVar, cast

from concord.kernel.ids import OrganizationId
from concord.policy.turns import TURN_SECONDS, Lanes

T = TypeVar("T")


class Turns:
    """Keeps the time of one long piece of work for an organization."""

    def __init__(self, lanes: Lanes, organization_id: OrganizationId) -> None:
        self._lanes = lanes
        self._organization_id = organization_id
        self._began = monotonic()

    async def pause(self) -> None:
        """Let others go first if it is time to."""
        if monotonic() - self._began > TURN_SECONDS:
            await self._lanes.rest(self._organization_id, self._began)
            self._began = monotonic()

    async def run(self, steps: Generator[None, None, T]) -> T:
        """Take all steps and return what comes of them."""
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return cast(T, done.value)
            await self.pause()
