"""Builds the credentials service: database, store, keys, consumers, servicers."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from concord.credentials import wire
from concord.credentials.consume import apply_identity, apply_policy
from concord.credentials.handlers import (
    ApiKeyHandlers,
    AuthenticationHandlers,
    OAuthClientHandlers,
    PasswordHandlers,
    SessionHandlers,
    StatusHandlers,
)
from concord.credentials.hashing import HashingSettings, PasswordHasher
from concord.credentials.operations.sessions import KEPT
from concord.credentials.passports import PassportOffice
from concord.credentials.sql import METADATA, SqlCredentialStore
from concord.credentials.store import CredentialStore
from concord.credentials.usage import Usage
from concord.credentials.v1.api_key_service_pb2_grpc import add_ApiKeyServiceServicer_to_server
from concord.credentials.v1.authentication_service_pb2_grpc import add_AuthenticationServiceServicer_to_server
from concord.credentials.v1.oauth_client_service_pb2_grpc import add_OAuthClientServiceServicer_to_server
from concord.credentials.v1.password_service_pb2_grpc import add_PasswordServiceServicer_to_server
from concord.credentials.v1.session_service_pb2_grpc import add_SessionServiceServicer_to_server
from concord.credentials.v1.status_service_pb2_grpc import add_StatusServiceServicer_to_server
from concord.credentials.vault import Vault
from concord.kernel.ids import OrganizationId
from concord.kernel.principal import Author
from concord.kernel.service import Platform, Service
from concord.kernel.units import Units

SERVICE: Final = "credentials"
MIGRATIONS: Final = Path(__file__).parent / "migrations"

_LOG: Final = logging.getLogger(__name__)
_TRIM_SECONDS: Final = 3600.0
# Trimming spans organizations and belongs to none.
_NONE: Final = OrganizationId("")


async def build(platform: Platform) -> Service:
    """Build the service for the process that hosts it."""
    clock = platform.clock
    units: Units[CredentialStore] = await platform.open_units(
        SERVICE, METADATA, MIGRATIONS, SqlCredentialStore, wire.snapshot
    )
    vault = Vault(platform.keyring)
    office = PassportOffice(platform.keyring)
    usage = Usage(units, clock)
    hasher = PasswordHasher(HashingSettings.read(os.environ))
    return Service(
        name=SERVICE,
        servicers=[
            (
                add_AuthenticationServiceServicer_to_server,
                AuthenticationHandlers(units, clock, vault, office, usage),
            ),
            (add_ApiKeyServiceServicer_to_server, ApiKeyHandlers(units, clock, vault)),
            (add_SessionServiceServicer_to_server, SessionHandlers(units, clock, vault, usage)),
            (add_PasswordServiceServicer_to_server, PasswordHandlers(units, hasher)),
            (add_StatusServiceServicer_to_server, StatusHandlers(units)),
            (add_OAuthClientServiceServicer_to_server, OAuthClientHandlers(units, vault)),
        ],
        units=units,
        consumers=[
            platform.consumer(SERVICE, "identity", units, apply_identity),
            platform.consumer(SERVICE, "policy", units, apply_policy),
        ],
        background=[usage.run, _trimmer(units), _closer(hasher)],
    )


def _trimmer(units: Units[CredentialStore]) -> Callable[[], Awaitable[None]]:
    """Return what forgets sessions that were over long ago, once an hour."""

    async def trim() -> None:
        while True:
            try:
                await units.system(_NONE, lambda unit: unit.store.trim_sessions(unit.now - KEPT), Author())
            except Exception as error:
                _LOG.warning("old sessions were not trimmed: %s", type(error).__name__)
            await asyncio.sleep(_TRIM_SECONDS)

    return trim


def _closer(hasher: PasswordHasher) -> Callable[[], Awaitable[None]]:
    """Return what lets the hashing threads go when the process stops serving."""

    async def close_at_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            hasher.close()

    return close_at_end
