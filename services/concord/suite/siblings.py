"""How the roles of this process reach the services: in process where hosted here, else over the network."""

from collections.abc import Callable, Mapping

import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concord.credentials.v1.authentication_service_pb2 import (
    ApiKeyCredential,
    AuthenticateRequest,
    ListPassportKeysRequest,
)
from concord.credentials.v1.authentication_service_pb2_grpc import AuthenticationServiceStub
from concord.kernel.config import Settings
from concord.kernel.errors import Unauthenticated
from concord.kernel.keyring import Keyring
from concord.kernel.rpc.authentication import Credential
from concord.kernel.rpc.channels import ChannelTls, open_channel, wait_until_ready
from concord.kernel.rpc.status import from_rpc_error

CALL_SECONDS = 5.0
# The roles that may show a service token.
KNOWN_ROLES = frozenset({"identity", "credentials", "groups", "policy", "audit", "gateway", "system"})


class Siblings:
    """Channels by service name. Remote ones are opened once and shared."""

    def __init__(self, settings: Settings, hosted: Mapping[str, grpc.aio.Channel]) -> None:
        self._settings = settings
        self._hosted = hosted
        self._remote: dict[str, grpc.aio.Channel] = {}

    def channel(self, service: str) -> grpc.aio.Channel:
        """Return the way to a service."""
        hosted = self._hosted.get(service)
        if hosted is not None:
            return hosted
        if service not in self._remote:
            self._remote[service] = open_channel(str(self._settings.sibling(service)), self._tls())
        return self._remote[service]

    async def wait_until_ready(self, service: str, seconds: float) -> None:
        """Wait for a remote service to answer; raise Unavailable with its name when it does not."""
        if service not in self._hosted:
            await wait_until_ready(self.channel(service), seconds, service)

    async def close(self) -> None:
        """Close the remote channels."""
        for channel in self._remote.values():
            await channel.close()

    def _tls(self) -> ChannelTls | None:
        authority = self._settings.sibling_authority
        if authority is None:
            return None
        own = self._settings.tls
        # Where siblings ask for certificates, the listener's own is shown to them.
        return ChannelTls(authority, own.certificate, own.key) if own else ChannelTls(authority)


class KeyringServiceKeys:
    """The public keys of the suite's own roles; no other name has one."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def find(self, role: str) -> Ed25519PublicKey | None:
        """Return a role's public key, or None for a name that is no role."""
        return self._keyring.role_public_key(role) if role in KNOWN_ROLES else None


class CredentialsAuthenticator:
    """Asks the credentials service to turn a native caller's credential into a passport."""

    def __init__(self, channel: grpc.aio.Channel, token: Callable[[], str]) -> None:
        self._stub = AuthenticationServiceStub(channel)
        self._token = token

    async def authenticate(self, credential: Credential, address: str, agent: str) -> str:
        """Return a signed passport, or raise Unauthenticated."""
        if credential.access_id:
            key = ApiKeyCredential(access_id=credential.access_id, secret=credential.secret.reveal())
            request = AuthenticateRequest(api_key=key, caller_address=address, caller_agent=agent)
        else:
            token = credential.secret.reveal()
            request = AuthenticateRequest(bearer_token=token, caller_address=address, caller_agent=agent)
        try:
            answer = await self._stub.Authenticate(
                request, metadata=(("authorization", f"Bearer {self._token()}"),), timeout=CALL_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error)
            if isinstance(failure, Unauthenticated):
                raise failure from None
            raise failure from error
        passport: str = answer.passport
        return passport

    async def passport_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """Fetch the keys that verify passports, by key id."""
        try:
            answer = await self._stub.ListPassportKeys(ListPassportKeysRequest(), timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error
        return {key.kid: Ed25519PublicKey.from_public_bytes(key.public_key) for key in answer.keys}
