"""Notes when credentials are used, aside from the calls that use them.

An authentication only leaves a mark in memory; what was marked is written together, and a
credential at most once a minute. A crash loses the last marks, which nothing decides by.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from concord.credentials.operations.authentication import Proof
from concord.credentials.store import CredentialStore
from concord.kernel.clock import Clock
from concord.kernel.ids import ApiKeyId, OrganizationId
from concord.kernel.principal import Author
from concord.kernel.units import Unit, Units

ONCE_EACH: Final = timedelta(minutes=1)
_PAUSE_SECONDS: Final = 2.0
_LOG = logging.getLogger(__name__)

Use = tuple[OrganizationId, ApiKeyId | int]
"""A key by its id, or a client's secret by its number."""


class Usage:
    """Collects uses and writes them now and then."""

    def __init__(self, units: Units[CredentialStore], clock: Clock) -> None:
        self._units = units
        self._clock = clock
        self._noted: dict[Use, datetime] = {}
        self._pending: dict[Use, datetime] = {}
        self._marked = asyncio.Event()

    def note(self, proof: Proof, now: datetime) -> None:
        """Mark the long-lived credential behind a proof as used. Using a session uses no key."""
        if proof.session_id is not None:
            return
        use: Use
        if proof.secret_number:
            use = (proof.organization_id, proof.secret_number)
        elif proof.api_key_id is not None:
            use = (proof.organization_id, proof.api_key_id)
        else:
            return
        last = self._noted.get(use)
        if last is None or now - last >= ONCE_EACH:
            self._noted[use] = self._pending[use] = now
            self._marked.set()

    async def flush(self) -> None:
        """Write what is marked."""
        pending, self._pending = self._pending, {}
        self._marked.clear()
        horizon = self._clock.now() - ONCE_EACH
        self._noted = {use: at for use, at in self._noted.items() if at > horizon}
        by_organization: dict[OrganizationId, dict[Use, datetime]] = {}
        for use, at in pending.items():
            by_organization.setdefault(use[0], {})[use] = at
        for organization_id, uses in by_organization.items():
            await self._units.system(organization_id, _writer(uses), Author())

    async def run(self) -> None:
        """Write for as long as the process serves; the last marks are written when it ends."""
        try:
            while True:
                await self._marked.wait()
                await asyncio.sleep(_PAUSE_SECONDS)
                await self._try_flush()
        finally:
            await self._try_flush()

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except Exception as error:
            _LOG.warning("uses of credentials were not written: %s", type(error).__name__)


def _writer(uses: Mapping[Use, datetime]) -> Callable[[Unit[CredentialStore]], None]:
    keys = {(use[0], use[1]): at for use, at in uses.items() if isinstance(use[1], str)}
    secrets = {(use[0], use[1]): at for use, at in uses.items() if isinstance(use[1], int)}

    def write(unit: Unit[CredentialStore]) -> None:
        unit.store.note_key_use(keys)
        unit.store.note_secret_use(secrets)

    return write
