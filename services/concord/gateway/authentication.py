"""A vendor's credential becomes a passport. The shim proves nothing itself: it asks, and remembers for a while."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from grpc.aio import AioRpcError

from concord.credentials.v1.authentication_service_pb2 import AuthenticateRequest
from concord.gateway.upstream import Upstream
from concord.kernel.clock import Clock
from concord.kernel.rpc.status import from_rpc_error

CAPACITY = 20_000

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Held:
    passport: str
    expire_time: datetime


@dataclass(slots=True)
class Admission:
    """A caller with its passport, and where that passport is remembered."""

    passport: str
    remembered: bool
    _key: bytes
    _credential: AuthenticateRequest
    _authentication: "Authentication"

    async def renew(self, within: float) -> None:
        """Forget the passport and get a new one: a remembered one may be of a time before the credential ended."""
        self._authentication.forget(self._key)
        fresh = await self._authentication.admit(self._credential, within)
        self.passport, self.remembered = fresh.passport, fresh.remembered


class Authentication:
    """Exchanges credentials for passports.

    Passports are remembered under a keyed hash of all that they depend on: credential, caller's
    address and caller's agent. The key is this process's own, so that a dump of memory
    holds no secret that anything else could use. Refusals are not remembered.
    """

    def __init__(
        self, upstream: Upstream, service_token: Callable[[], str], clock: Clock, capacity: int = CAPACITY
    ) -> None:
        self._upstream = upstream
        self._service_token = service_token
        self._clock = clock
        self._capacity = capacity
        self._key = secrets.token_bytes(32)
        self._held: OrderedDict[bytes, _Held] = OrderedDict()

    async def admit(self, credential: AuthenticateRequest, within: float) -> Admission:
        """Return the caller's passport, got within so many seconds; the core's refusal is raised as it is."""
        key = hashlib.blake2b(credential.SerializeToString(deterministic=True), key=self._key, digest_size=32).digest()
        held = self._held.get(key)
        if held is not None:
            if self._clock.now() < held.expire_time:
                self._held.move_to_end(key)
                return Admission(held.passport, True, key, credential, self)
            self.forget(key)
        try:
            answer = await self._upstream.authentication.Authenticate(
                credential,
                metadata=caller_metadata(self._service_token(), credential.caller_address, credential.caller_agent),
                timeout=within,
            )
        except AioRpcError as error:
            raise from_rpc_error(error) from None
        self._remember(key, _Held(answer.passport, answer.expire_time.ToDatetime(tzinfo=UTC)))
        return Admission(answer.passport, False, key, credential, self)

    def forget(self, key: bytes) -> None:
        """Drop a passport."""
        self._held.pop(key, None)

    def _remember(self, key: bytes, held: _Held) -> None:
        self._held[key] = held
        self._held.move_to_end(key)
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)


def caller_metadata(service_token: str, address: str, agent: str) -> Metadata:
    """Return what a core call carries about who is really calling; believed because of the gateway's own token."""
    return (
        ("concord-service", service_token),
        ("concord-caller-address", address),
        ("concord-caller-agent", agent),
    )

