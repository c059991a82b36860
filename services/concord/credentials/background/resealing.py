"""Follows a rotation of the sealing key: everything sealed gets a new seal, in small units, then the old key goes.

Nothing is noted about how far it got. What still bears another seal is what is left to do, so it
goes on wherever a kill left it.
"""

import asyncio
import logging
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from concord.credentials.model.organizations import NOWHERE
from concord.kernel.clock import Clock
from concord.kernel.keyring import Keyring
from concord.kernel.principal import Author
from concord.kernel.units import Unit, Units

SEALING: Final = "sealing"
# Answers kept for repetitions are sealed too, in every service. They are forgotten by then.
KEPT_AFTER: Final = timedelta(hours=25)
AT_ONCE: Final = 50
_PAUSE_SECONDS: Final = 5.0
_LOG: Final = logging.getLogger(__name__)


class Resealer:
    """Gives new seals in the background, and lets go of keys that nothing needs."""

    def __init__(self, units: Units[Any], keyring: Keyring, clock: Clock) -> None:
        self._units = units
        self._keyring = keyring
        self._clock = clock

    async def run(self) -> None:
        """Look for work as long as the process serves."""
        while True:
            try:
                await self.finish()
                self.retire()
            except Exception as error:
                _LOG.warning("seals were not renewed: %s", type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def finish(self) -> int:
        """Renew all seals that are not by the newest key; return how many there were."""
        total = 0
        while done := await self.step():
            total += done
        return total

    async def step(self) -> int:
        """Renew some seals in one unit; return how many."""
        head = self._keyring.newest_seal()
        if len(self._keyring.sealing_keys()) == 1:
            return 0
        if not await self._units.read(lambda store: store.sealed_otherwise(head, 1)):
            return 0

        def renew(unit: Unit[Any]) -> int:
            rows = unit.store.sealed_otherwise(head, AT_ONCE)
            for row in rows:
                plain = self._keyring.open(row.sealed, row.context)
                unit.store.replace_seal(row, self._keyring.seal(plain, row.context))
            return len(rows)

        # Rows of all organizations: each is replaced only while it is what was read.
        return await self._units.system(NOWHERE, renew, Author())

    def retire(self) -> None:
        """Forget the keys that were succeeded long enough ago. Called when no seal by them is left here."""
        now = self._clock.now()
        keys = self._keyring.sealing_keys()
        for key, successor in pairwise(keys):
            if successor.made is not None and now >= successor.made + KEPT_AFTER:
                self._keyring.retire(SEALING, key.id)
