"""Serves passports."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from concord.credentials.background.usage import Usage
from concord.credentials.model.sessions import MAX_AGENT
from concord.credentials.operations.authentication import (
    Credential,
    KeyCredential,
    Proof,
    examine,
    examine_former,
    make_passport,
)
from concord.credentials.secrets.passports import PassportOffice
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.credentials.v1 import authentication_service_pb2
from concord.credentials.v1.authentication_service_pb2_grpc import AuthenticationServiceServicer
from concord.credentials.wire.sessions import credential_from_wire
from concord.kernel.addresses import canonical_address
from concord.kernel.clock import Clock
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.passports import hash_of
from concord.kernel.rpc.wire import instant_to_wire, passport_to_wire
from concord.kernel.units import Units

# The same few programs show the same few credentials at every call. What was answered holds while nothing is
# committed, and only where every commit is seen before it is answered: where this process alone writes.
_REMEMBERED: Final = timedelta(seconds=30)
_MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Answer:
    answer: authentication_service_pb2.AuthenticateResponse
    proof: Proof
    commits: int
    made: datetime
    good_until: datetime


class AuthenticationHandlers(AuthenticationServiceServicer):
    """Examines credentials: the call that everything else waits for, so it reads once and writes nothing."""

    def __init__(
        self, units: Units[CredentialStore], clock: Clock, vault: Vault, office: PassportOffice, usage: Usage
    ) -> None:
        self._units = units
        self._clock = clock
        self._vault = vault
        self._office = office
        self._usage = usage
        self._recent: dict[bytes, _Answer] = {}

    async def Authenticate(
        self, request: authentication_service_pb2.AuthenticateRequest, context: Any
    ) -> authentication_service_pb2.AuthenticateResponse:
        # Taken before anything is read: whatever is committed from now on makes what is kept here void.
        commits = self._units.database.commits
        now = self._clock.now()
        address, agent = _place(request)
        key = _remembered_as(request, address, agent)
        known = self._recent.get(key)
        if known is not None and known.commits == commits and known.made <= now < known.good_until:
            self._usage.note(known.proof, now)
            return known.answer
        credential = credential_from_wire(request)
        proof = await self._examine(credential, now)
        passport = make_passport(proof, now, address, agent)
        self._usage.note(proof, now)
        answer = authentication_service_pb2.AuthenticateResponse(
            passport=self._office.sign(passport),
            content=passport_to_wire(passport),
            expire_time=instant_to_wire(passport.expire_time),
        )
        if commits is not None:
            self._remember(key, _Answer(answer, proof, commits, now, min(now + _REMEMBERED, passport.expire_time)))
        return answer

    def _remember(self, key: bytes, answer: _Answer) -> None:
        if len(self._recent) >= _MOST_REMEMBERED:
            self._recent.pop(next(iter(self._recent)))
        self._recent[key] = answer

    async def _examine(self, credential: Credential, now: datetime) -> Proof:
        try:
            return await self._units.look(lambda store: examine(store, self._vault, credential, now))
        except Unauthenticated as error:
            if error.reason is not Reason.CREDENTIAL_INVALID or not isinstance(credential, KeyCredential):
                raise
            key = credential
        # Few show a pair that was rotated, so only they, and who shows nothing good, cost a second read.
        return await self._units.look(lambda store: examine_former(store, self._vault, key, now))

    async def ListPassportKeys(
        self, request: authentication_service_pb2.ListPassportKeysRequest, context: Any
    ) -> authentication_service_pb2.ListPassportKeysResponse:
        return authentication_service_pb2.ListPassportKeysResponse(keys=self._office.keys())


def _remembered_as(request: authentication_service_pb2.AuthenticateRequest, address: str, agent: str) -> bytes:
    """Return the key of what is kept for a credential: all that the answer depends on, and no secret."""
    match kind := request.WhichOneof("credential"):
        case "api_key":
            shown = (request.api_key.access_id, request.api_key.secret)
        case "client":
            shown = (request.client.client_id, request.client.client_secret)
        case "access_token":
            shown = (request.access_token, "")
        case _:
            shown = (request.bearer_token, "")
    return hash_of(kind or "", *shown, address, agent)


def _place(request: authentication_service_pb2.AuthenticateRequest) -> tuple[str, str]:
    """Return where the credential was shown: the transport's word, or that of a process of ours."""
    call = Call.current()
    if call.passport is not None and call.passport.is_service and request.caller_address:
        agent = request.caller_agent[:MAX_AGENT]
        return canonical_address(request.caller_address), agent if agent.isprintable() else ""
    return call.address, call.agent
