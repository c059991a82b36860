"""Lets go of frozen rights that no session names any more."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from concord.kernel.clock import Clock
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import Author
from concord.kernel.units import Units
from concord.policy.operations.rights import sweep_rights
from concord.policy.store import PolicyStore

SWEEP_SECONDS: Final = 300.0
# It spans organizations and belongs to none.
_NONE: Final = OrganizationId("")

_LOG: Final = logging.getLogger(__name__)


class RightsSweeper:
    """Sweeps now and then. Nothing is lost when it is cut short or never comes to it: the next one finds the same."""

    def __init__(self, units: Units[PolicyStore], clock: Clock, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._units = units
        self._clock = clock
        self._catch_up = catch_up

    async def sweep(self) -> int:
        """Sweep once; return how many snapshots went. Raises Unavailable while not all sessions are known."""
        now = self._clock.now()
        # After the instant: a session that was opened before it must be known before its rights are judged.
        await self._catch_up()
        return await self._units.system(_NONE, lambda unit: sweep_rights(unit, now), Author())

    async def run(self) -> None:
        """Sweep for as long as the process serves."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except Exception as error:
                _LOG.warning("frozen rights were not swept: %s", type(error).__name__)
