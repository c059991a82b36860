"""Keeps the signing keys turning as time goes by, aside from the calls that use them."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from concord.credentials.model.clients import SigningAlgorithm
from concord.credentials.model.organizations import NOWHERE
from concord.credentials.operations.signing_keys import Drawn, is_due, keys_wanted, turn_keys
from concord.credentials.secrets.signing import DrawnSigningKey, Signer
from concord.credentials.store import CredentialStore
from concord.kernel.clock import Clock
from concord.kernel.principal import Author
from concord.kernel.units import Units

_PAUSE_SECONDS: Final = 600.0
_LOG = logging.getLogger(__name__)


class KeyTurner:
    """Makes the first keys when they are first needed, and new ones when their time has come."""

    def __init__(self, units: Units[CredentialStore], clock: Clock, signer: Signer) -> None:
        self._units = units
        self._clock = clock
        self._signer = signer
        self._made = False
        self._lock = asyncio.Lock()

    async def ready(self) -> None:
        """Wait until there are keys that sign."""
        if not self._made:
            await self.turn()

    async def turn(self) -> None:
        """Bring the keys to where they should be now."""
        async with self._lock:
            keys = await self._units.read(lambda store: store.signing_keys())
            if is_due(keys, self._clock.now()):
                wanted = keys_wanted(keys)
                # One that is due to sign needs a successor, which is published along with it.
                drawn = await self.draw({each: max(wanted.get(each, 0), 1) for each in SigningAlgorithm})
                await self._units.system(NOWHERE, lambda unit: turn_keys(unit, drawn), Author())
            self._made = True

    async def draw(self, wanted: Mapping[SigningAlgorithm, int]) -> Drawn:
        """Draw keys off the event loop."""
        return await asyncio.to_thread(self._draw, wanted)

    async def run(self) -> None:
        """Turn the keys for as long as the process serves."""
        while True:
            try:
                await self.turn()
            except Exception as error:
                _LOG.warning("signing keys were not turned: %s", type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)

    def _draw(self, wanted: Mapping[SigningAlgorithm, int]) -> dict[SigningAlgorithm, list[DrawnSigningKey]]:
        return {algorithm: [self._signer.draw(algorithm) for _ in range(count)] for algorithm, count in wanted.items()}
