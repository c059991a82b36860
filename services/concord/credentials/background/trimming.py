"""Forgets what is over: sessions, tokens and codes once an hour, passport keys once a minute."""

import asyncio
import logging
from typing import Final

from concord.credentials.model.organizations import NOWHERE
from concord.credentials.operations.sessions import KEPT
from concord.credentials.secrets.passports import PassportOffice
from concord.credentials.store import CredentialStore
from concord.kernel.principal import Author
from concord.kernel.units import Unit, Units

_TRIM_SECONDS: Final = 3600.0
_RETIRE_SECONDS: Final = 60.0
_LOG: Final = logging.getLogger(__name__)


class Trimmer:
    """Forgets sessions that were over long ago, and what hung on them."""

    def __init__(self, units: Units[CredentialStore]) -> None:
        self._units = units

    async def run(self) -> None:
        """Trim for as long as the process serves."""
        while True:
            try:
                # One unit each: none holds the others up for long.
                for trim in (_trim_sessions, _trim_assumptions, _trim_grants):
                    await self._units.system(NOWHERE, trim, Author())
            except Exception as error:
                _LOG.warning("old sessions were not trimmed: %s", type(error).__name__)
            await asyncio.sleep(_TRIM_SECONDS)


class PassportRetirer:
    """Forgets the keys whose passports have all ended."""

    def __init__(self, office: PassportOffice) -> None:
        self._office = office

    async def run(self) -> None:
        """Retire keys for as long as the process serves."""
        while True:
            try:
                self._office.retire()
            except OSError as error:
                _LOG.warning("old passport keys were not retired: %s", type(error).__name__)
            await asyncio.sleep(_RETIRE_SECONDS)


def _trim_sessions(unit: Unit[CredentialStore]) -> None:
    unit.store.trim_sessions(unit.now - KEPT)


def _trim_assumptions(unit: Unit[CredentialStore]) -> None:
    unit.store.trim_assumptions()


def _trim_grants(unit: Unit[CredentialStore]) -> None:
    unit.store.trim_grants(unit.now)
