"""Who goes next: slow decisions of one organization wait for each other, and nobody else waits for all of them."""

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from concord.kernel.ids import OrganizationId

# How long one list of decisions may keep everything else waiting.
TURN_SECONDS: Final = 0.005
# What takes longer than this at a stretch leaves others as much time as it took.
SLOW_SECONDS: Final = 2 * TURN_SECONDS
# As long as a decision can take on a machine that is not overloaded.
_LONGEST_REST: Final = 0.25


@dataclass(slots=True)
class _Lane:
    """The slow decisions of one organization; until it is free others have their turn."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    free: float = 0.0
    users: int = 0


class Lanes:
    """One lane for each organization that has slow decisions.

    Nothing interrupts a decision, and conditions may make one slow. With turns alone, as many as somebody asks for at
    once would all be made before the turn of anybody else came.
    """

    def __init__(self) -> None:
        self._lanes: dict[OrganizationId, _Lane] = {}

    def note(self, organization_id: OrganizationId, began: float) -> bool:
        """Note work that began at this instant of the monotonic clock and has just ended; tell whether it was slow."""
        now = monotonic()
        if now - began <= SLOW_SECONDS:
            return False
        for other, lane in [*self._lanes.items()]:
            if not lane.users and lane.free <= now:
                del self._lanes[other]
        lane = self._lanes.setdefault(organization_id, _Lane())
        lane.free = now + min(now - began, _LONGEST_REST)
        return True

    async def wait(self, organization_id: OrganizationId) -> None:
        """Wait for the lane: whoever is about to make a decision that is known to be slow does so just after this."""
        lane = self._lanes.get(organization_id)
        if lane is None:
            return
        lane.users += 1
        try:
            async with lane.lock:
                await asyncio.sleep(max(0.0, lane.free - monotonic()))
        finally:
            lane.users -= 1

    async def rest(self, organization_id: OrganizationId, began: float) -> bool:
        """Let others go first in the middle of work that goes on; tell whether it was slow."""
        is_slow = self.note(organization_id, began)
        if is_slow:
            await self.wait(organization_id)
        else:
            await asyncio.sleep(0)
        return is_slow
