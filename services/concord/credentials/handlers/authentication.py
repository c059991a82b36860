"""Serves passports."""

from typing import Any

from concord.credentials.operations.authentication import examine, make_passport
from concord.credentials.passports import PassportOffice
from concord.credentials.store import CredentialStore
from concord.credentials.usage import Usage
from concord.credentials.v1 import authentication_service_pb2
from concord.credentials.v1.authentication_service_pb2_grpc import AuthenticationServiceServicer
from concord.credentials.vault import Vault
from concord.credentials.wire.sessions import credential_from_wire
from concord.kernel.addresses import canonical_address
from concord.kernel.clock import Clock
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.wire import instant_to_wire, passport_to_wire
from concord.kernel.units import Units

_MAX_AGENT = 255


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

    async def Authenticate(
        self, request: authentication_service_pb2.AuthenticateRequest, context: Any
    ) -> authentication_service_pb2.AuthenticateResponse:
        credential = credential_from_wire(request)
        now = self._clock.now()
        proof = await self._units.look(lambda store: examine(store, self._vault, credential, now))
        address, agent = _place(request)
        passport = make_passport(proof, now, address, agent)
        self._usage.note(proof, now)
        return authentication_service_pb2.AuthenticateResponse(
            passport=self._office.sign(passport),
            content=passport_to_wire(passport),
            expire_time=instant_to_wire(passport.expire_time),
        )

    async def ListPassportKeys(
        self, request: authentication_service_pb2.ListPassportKeysRequest, context: Any
    ) -> authentication_service_pb2.ListPassportKeysResponse:
        return authentication_service_pb2.ListPassportKeysResponse(keys=self._office.keys())


def _place(request: authentication_service_pb2.AuthenticateRequest) -> tuple[str, str]:
    """Return where the credential was shown: the transport's word, or that of a process of ours."""
    call = Call.current()
    if call.passport is not None and call.passport.is_service and request.caller_address:
        agent = request.caller_agent[:_MAX_AGENT]
        return canonical_address(request.caller_address), agent if agent.isprintable() else ""
    return call.address, call.agent
