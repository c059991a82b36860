"""A vendor's credential becomes a passport. The shim proves nothing itself: it asks, and remembers for a while."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from grpc.aio import AioRpcError

from concord.common.v1.principal_pb2 import PrincipalRef
from concord.credentials.v1.authentication_service_pb2 import AuthenticateRequest
from concord.gateway.upstream import Upstream
from concord.kernel.clock import Clock
from concord.kernel.rpc.metadata import (
    AUTHORIZATION,
    CALLER_ADDRESS,
    CALLER_AGENT,
    OPERATION,
    SERVICE,
    Checked,
    checked,
)
from concord.kernel.rpc.status import from_rpc_error
from concord.kernel.rpc.wire import instant_from_wire

CAPACITY = 20_000

Metadata = Checked


class _Held:
    """A passport, and the metadata of core calls made with it: the same texts call after call."""

    __slots__ = ("_metadata", "_token", "address", "agent", "expire_time", "passport", "principal")

    def __init__(self, passport: str, principal: PrincipalRef, expire_time: datetime, address: str, agent: str) -> None:
        self.passport = passport
        self.principal = principal
        self.expire_time = expire_time
        self.address = address
        self.agent = agent
        self._token = ""
        self._metadata: dict[str, Metadata] = {}

    def metadata(self, operation: str, service_token: str) -> Metadata:
        """Return the metadata of a call that carries out an operation in the caller's name."""
        if service_token != self._token:
            self._metadata.clear()
            self._token = service_token
        known = self._metadata.get(operation)
        if known is None:
            own = ((AUTHORIZATION, f"Bearer {self.passport}"), (OPERATION, operation))
            known = checked((*own, *_caller(service_token, self.address, self.agent)))
            self._metadata[operation] = known
        return known


class Admission:
    """A caller with its passport, and where that passport is remembered."""

    __slots__ = ("_authentication", "_credential", "_held", "_key", "remembered")

    def __init__(
        self,
        authentication: "Authentication",
        key: bytes,
        credential: Callable[[], AuthenticateRequest],
        held: _Held,
        remembered: bool,
    ) -> None:
        self._authentication = authentication
        self._key = key
        self._credential = credential
        self._held = held
        self.remembered = remembered

    @property
    def principal(self) -> PrincipalRef:
        """Who calls."""
        return self._held.principal

    def metadata(self, operation: str, service_token: str) -> Metadata:
        """Return the metadata of a core call made in the caller's name."""
        return self._held.metadata(operation, service_token)

    async def renew(self, within: float) -> None:
        """Forget the passport and get a new one: a remembered one may be of a time before the credential ended."""
        self._authentication.forget(self._key)
        fresh = await self._authentication.admit(self._key, self._credential, within)
        self._held, self.remembered = fresh._held, fresh.remembered


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

    def key(self, *texts: str) -> bytes:
        """Return the key for all that a passport depends on."""
        # Lengths in front, so that no two lists of texts run together into one.
        lengths = ",".join([str(len(text)) for text in texts])
        told = f"{lengths}:{''.join(texts)}".encode(errors="surrogatepass")
        return hashlib.blake2b(told, key=self._key, digest_size=32).digest()

    async def admit(self, key: bytes, credential: Callable[[], AuthenticateRequest], within: float) -> Admission:
        """Return the caller's passport, got within so many seconds; the core's refusal is raised as it is.

        The credential is only taken apart where it is not known.
        """
        held = self._held.get(key)
        if held is not None:
            if self._clock.now() < held.expire_time:
                self._held.move_to_end(key)
                return Admission(self, key, credential, held, True)
            self.forget(key)
        question = credential()
        try:
            answer = await self._upstream.authentication.Authenticate(
                question,
                metadata=_caller(self._service_token(), question.caller_address, question.caller_agent),
                timeout=within,
            )
        except AioRpcError as error:
            raise from_rpc_error(error) from None
        held = _Held(
            answer.passport,
            answer.content.principal,
            instant_from_wire(answer.expire_time),
            question.caller_address,
            question.caller_agent,
        )
        self._remember(key, held)
        return Admission(self, key, credential, held, False)

    def forget(self, key: bytes) -> None:
        """Drop a passport."""
        self._held.pop(key, None)

    def _remember(self, key: bytes, held: _Held) -> None:
        self._held[key] = held
        self._held.move_to_end(key)
        while len(self._held) > self._capacity:
            self._held.popitem(last=False)


def _caller(service_token: str, address: str, agent: str) -> tuple[tuple[str, str], ...]:
    """Return what a core call carries about who is really calling; believed because of the gateway's own token."""
    return ((SERVICE, service_token), (CALLER_ADDRESS, address), (CALLER_AGENT, agent))
