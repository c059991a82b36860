"""Locks users whose grace period has run out, and forgets what logins leave behind."""

import asyncio
import logging
from typing import Final

from concord.credentials.model.organizations import NOWHERE
from concord.credentials.operations.attempts import lock_overdue, trim
from concord.credentials.store import CredentialStore
from concord.kernel.clock import Clock
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import Author
from concord.kernel.units import Unit, Units

_PAUSE_SECONDS: Final = 60.0
_AT_ONCE: Final = 100
_LOG = logging.getLogger(__name__)


class GraceWatch:
    """Looks once a minute. A login looks for itself, so that nobody slips in between."""

    def __init__(self, units: Units[CredentialStore], clock: Clock) -> None:
        self._units = units
        self._clock = clock

    async def sweep(self) -> None:
        """Lock everybody who is overdue now."""
        while True:
            found = await self._units.read(lambda store: store.overdue(self._clock.now(), _AT_ONCE))
            for organization_id, user_id in {(each.organization_id, each.user_id) for each in found}:
                await self._lock(organization_id, user_id)
            if len(found) < _AT_ONCE:
                return

    async def run(self) -> None:
        """Look for as long as the process serves."""
        while True:
            try:
                await self.sweep()
                await self._units.system(NOWHERE, trim, Author())
            except Exception as error:
                _LOG.warning("grace periods were not looked at: %s", type(error).__name__)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _lock(self, organization_id: OrganizationId, user_id: UserId) -> None:
        def lock(unit: Unit[CredentialStore]) -> None:
            lock_overdue(unit, user_id)

        await self._units.system(organization_id, lock, Author())
