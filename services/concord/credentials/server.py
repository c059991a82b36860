"""Builds the credentials service: database, store, keys, consumers, servicers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from concord.credentials import wire
from concord.credentials.background.grace import GraceWatch
from concord.credentials.background.key_turning import KeyTurner
from concord.credentials.background.letters import Letters
from concord.credentials.background.resealing import Resealer
from concord.credentials.background.trimming import PassportRetirer, Trimmer
from concord.credentials.background.usage import Usage
from concord.credentials.consume import apply_identity, apply_policy
from concord.credentials.handlers import (
    ApiKeyHandlers,
    AuthenticationHandlers,
    Door,
    FederationHandlers,
    Logins,
    MfaHandlers,
    OAuthClientHandlers,
    OAuthHandlers,
    PasswordHandlers,
    SessionHandlers,
    SshKeyHandlers,
    StatusHandlers,
    TrustPolicyHandlers,
)
from concord.credentials.handlers.minting import Minting
from concord.credentials.handlers.oauth_password import PasswordGrants
from concord.credentials.rights_freezing import PolicyRightsFreezer
from concord.credentials.secrets.hashing import HashingSettings, PasswordHasher
from concord.credentials.secrets.passports import PassportOffice
from concord.credentials.secrets.signing import Signer
from concord.credentials.secrets.vault import Vault
from concord.credentials.sql import METADATA, SqlCredentialStore
from concord.credentials.store import CredentialStore
from concord.credentials.trust_reading import PolicyTrustReader
from concord.credentials.v1.api_key_service_pb2_grpc import add_ApiKeyServiceServicer_to_server
from concord.credentials.v1.authentication_service_pb2_grpc import add_AuthenticationServiceServicer_to_server
from concord.credentials.v1.federation_service_pb2_grpc import add_FederationServiceServicer_to_server
from concord.credentials.v1.mfa_service_pb2_grpc import add_MfaServiceServicer_to_server
from concord.credentials.v1.oauth_client_service_pb2_grpc import add_OAuthClientServiceServicer_to_server
from concord.credentials.v1.oauth_service_pb2_grpc import add_OAuthServiceServicer_to_server
from concord.credentials.v1.password_service_pb2_grpc import add_PasswordServiceServicer_to_server
from concord.credentials.v1.session_service_pb2_grpc import add_SessionServiceServicer_to_server
from concord.credentials.v1.ssh_key_service_pb2_grpc import add_SshKeyServiceServicer_to_server
from concord.credentials.v1.status_service_pb2_grpc import add_StatusServiceServicer_to_server
from concord.credentials.v1.trust_policy_service_pb2_grpc import add_TrustPolicyServiceServicer_to_server
from concord.kernel.config import Settings
from concord.kernel.mail import MailSettings, open_mailer
from concord.kernel.service import Platform, Service
from concord.kernel.units import Units

SERVICE: Final = "credentials"
MIGRATIONS: Final = Path(__file__).parent / "migrations"


async def build(platform: Platform) -> Service:
    """Build the service for the process that hosts it."""
    clock, settings = platform.clock, platform.settings
    units: Units[CredentialStore] = await platform.open_units(
        SERVICE, METADATA, MIGRATIONS, SqlCredentialStore, wire.snapshot
    )
    vault = Vault(platform.keyring)
    office = PassportOffice(platform.keyring, clock)
    resealer = Resealer(units, platform.keyring, clock)
    usage = Usage(units, clock)
    signer = Signer(platform.keyring)
    turner = KeyTurner(units, clock, signer)
    minting = Minting(vault, signer, turner, _base(settings))
    reader = PolicyTrustReader(platform.channel("policy"), platform.service_token())
    hasher = PasswordHasher(HashingSettings.read(settings.environment))
    letters = Letters(units, vault, open_mailer(MailSettings.read(settings.environment, settings.data_dir)))
    door = Door(units, hasher, vault)
    freezer = PolicyRightsFreezer(platform.channel("policy"), platform.service_token())
    logins = Logins(door, vault, letters, freezer)
    grants = PasswordGrants(units, door, vault)
    return Service(
        name=SERVICE,
        servicers=[
            (
                add_AuthenticationServiceServicer_to_server,
                AuthenticationHandlers(units, clock, vault, office, usage),
            ),
            (add_ApiKeyServiceServicer_to_server, ApiKeyHandlers(units, clock, vault)),
            (add_OAuthServiceServicer_to_server, OAuthHandlers(units, clock, vault, minting, grants)),
            (add_SshKeyServiceServicer_to_server, SshKeyHandlers(units)),
            (add_TrustPolicyServiceServicer_to_server, TrustPolicyHandlers(units, clock, vault, reader, freezer)),
            (add_FederationServiceServicer_to_server, FederationHandlers(units, clock, _base(settings))),
            (
                add_SessionServiceServicer_to_server,
                SessionHandlers(units, clock, vault, usage, minting, logins, freezer),
            ),
            (add_PasswordServiceServicer_to_server, PasswordHandlers(units, hasher, vault, door, letters)),
            (add_MfaServiceServicer_to_server, MfaHandlers(units, vault, door, letters)),
            (add_StatusServiceServicer_to_server, StatusHandlers(units)),
            (add_OAuthClientServiceServicer_to_server, OAuthClientHandlers(units, vault)),
        ],
        units=units,
        consumers=[
            platform.consumer(SERVICE, "identity", units, apply_identity),
            platform.consumer(SERVICE, "policy", units, apply_policy),
        ],
        background=[
            usage.run,
            resealer.run,
            PassportRetirer(office).run,
            letters.run,
            GraceWatch(units, clock).run,
            turner.run,
            Trimmer(units).run,
            _closer(hasher),
        ],
    )


def _base(settings: Settings) -> str:
    """Return where this deployment is known to others: its issuer's address, or where the shim listens."""
    scheme = "http" if settings.tls is None else "https"
    return settings.issuer or f"{scheme}://{settings.http}"


def _closer(hasher: PasswordHasher) -> Callable[[], Awaitable[None]]:
    """Return what lets the hashing threads go when the process stops serving."""

    async def close_at_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            hasher.close()

    return close_at_end
