"""Fourth step: who calls, from where, and which vendor operation they say they carry out."""

import base64
import binascii
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Protocol

from concord.kernel.addresses import canonical_address, peer_address
from concord.kernel.errors import Invalid, Reason, Unauthenticated, Violation
from concord.kernel.principal import Passport
from concord.kernel.rpc import metadata
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.chain import IN_PROCESS_PEER, Context, Proceed
from concord.kernel.rpc.options import FOREIGN_PUBLIC_SERVICES, MethodRules
from concord.kernel.rpc.passports import (
    GATEWAY_ROLE,
    PASSPORT_TYPE,
    SERVICE_TYPE,
    FetchedPassportKeys,
    FixedKeys,
    PassportKeys,
    PassportSigner,
    PassportVerifier,
    ServiceKeys,
    ServiceTokens,
    Verified,
    hash_of,
    mint_service_token,
    token_type,
)
from concord.kernel.secret import Secret

__all__ = [
    "Authentication",
    "Authenticator",
    "Credential",
    "FetchedPassportKeys",
    "FixedKeys",
    "PassportKeys",
    "PassportSigner",
    "PassportVerifier",
    "ServiceKeys",
    "ServiceTokens",
    "mint_service_token",
]

_MAXIMUM_CREDENTIAL: Final = 8192
_MAXIMUM_OPERATION: Final = 200
_CALL_ID_LENGTH: Final = 32
# In a signed token.
_DOTS: Final = 2

# The same few callers come again and again; taking an address apart costs more than remembering it.
_peer_address: Final = lru_cache(maxsize=4096)(peer_address)
_canonical: Final = lru_cache(maxsize=4096)(canonical_address)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller shows that is no passport: an access token, or an API key's secret, perhaps with its access id."""

    secret: Secret
    access_id: str = ""


class Authenticator(Protocol):
    """Turns a caller's credential into a passport; credentials does, wherever it runs."""

    async def authenticate(self, credential: Credential, address: str, agent: str) -> str:
        """Return a signed passport, or raise Unauthenticated."""


class Authentication:
    """Finds the caller's identity. Whether it may do anything is not asked here."""

    def __init__(self, verifier: PassportVerifier, authenticator: Authenticator | None = None) -> None:
        self._verifier = verifier
        # Set later where credentials is mounted on the same chain.
        self.authenticator = authenticator

    def bind(self, rules: MethodRules, proceed: Proceed) -> Proceed:
        if rules.service in FOREIGN_PUBLIC_SERVICES:
            return proceed
        recall = self._verifier.recall
        public = rules.is_public
        # The token of the process in front of this one, which is the same for every call for minutes, and its hash.
        shown, hashed = "", b""

        async def authenticated(call: Call, request: Any, context: Context) -> Any:
            headers = call.headers
            if call.repeated:
                _refuse_repeated(call)
            peer: str = context.peer()
            token = headers.get(metadata.SERVICE)
            hop = None
            if token is not None:
                nonlocal shown, hashed
                key = hashed if token is shown else hash_of(token)
                hop = _role(recall(key) or await self._forwarder(token))
                # Only once it was found to be a process's own: no caller's secret is kept here.
                shown, hashed = token, key
            _locate(call, peer, hop)
            header = headers.get(metadata.AUTHORIZATION)
            if header:
                # What is no signed token is remembered together with the place where it was shown.
                key = hash_of(header) if header.count(".") == _DOTS else hash_of(header, call.address, call.agent)
                verified = recall(key) or await self._verify(header, call, key)
                passport = call.passport = verified.passport
                if passport.is_service:
                    hop = passport.principal.id
                    _locate(call, peer, hop)
                else:
                    call.passport = _placed(call, passport, trusted=hop is not None or peer == IN_PROCESS_PEER)
            elif not public:
                raise Unauthenticated(Reason.CREDENTIAL_MISSING, "the call carries no credential")
            if hop is not None:
                call.forwarder = hop
                _adopt_call_id(call)
            call.operation = _operation(headers.get(metadata.OPERATION, ""))
            return await proceed(call, request, context)

        return authenticated

    async def _forwarder(self, token: str) -> Verified:
        return Verified(await self._verifier.verify(token))

    async def _verify(self, header: str, call: Call, key: bytes) -> Verified:
        credential = _parse(header)
        token = credential.secret.reveal()
        if not credential.access_id and token_type(token) in (PASSPORT_TYPE, SERVICE_TYPE):
            verified = Verified(await self._verifier.verify(token))
            self._verifier.remember(key, verified)
            return verified
        # The answer depends on where the credential is shown, so what is remembered does too, whatever its look.
        key = hash_of(header, call.address, call.agent)
        known = self._verifier.recall(key)
        if known is not None:
            return known
        if self.authenticator is None:
            raise Unauthenticated(Reason.CREDENTIAL_INVALID)
        passport = await self.authenticator.authenticate(credential, call.address, call.agent)
        verified = Verified(await self._verifier.verify(passport))
        self._verifier.remember(key, verified)
        return verified


def _role(verified: Verified) -> str:
    """Return the role of the process of ours that forwards a call."""
    if not verified.passport.is_service:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID, f"`{metadata.SERVICE}` takes a service token")
    return verified.passport.principal.id


def _parse(header: str) -> Credential:
    if len(header) > _MAXIMUM_CREDENTIAL:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID)
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value and " " not in value:
        return Credential(Secret(value))
    if scheme.lower() == "basic" and value:
        try:
            text = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            raise Unauthenticated(Reason.CREDENTIAL_INVALID) from None
        access_id, colon, secret = text.partition(":")
        if colon and access_id and secret:
            return Credential(Secret(secret), access_id)
    raise Unauthenticated(Reason.CREDENTIAL_INVALID)


def _refuse_repeated(call: Call) -> None:
    # Two proxies may each pick another one of the two, so neither is believed.
    if call.repeated & {metadata.AUTHORIZATION, metadata.SERVICE}:
        raise Unauthenticated(Reason.CREDENTIAL_INVALID, "more than one credential was shown")
    raise Invalid(*(Violation(name, "must be given once", rule="repeated") for name in sorted(call.repeated)))


def _locate(call: Call, peer: str, hop: str | None) -> None:
    """Note where the call came from: the transport's word, or a gateway's."""
    headers = call.headers
    if hop == GATEWAY_ROLE and (address := headers.get(metadata.CALLER_ADDRESS)):
        call.address = _canonical(address)
        call.agent = _agent(headers.get(metadata.CALLER_AGENT, ""))
    elif hop is None and peer != IN_PROCESS_PEER:
        call.address = _peer_address(peer)
        call.agent = _agent(headers.get(metadata.USER_AGENT, ""))


def _placed(call: Call, passport: Passport, *, trusted: bool) -> Passport:
    """Return the passport with the place that the call came from; conditions are decided on it.

    A process of ours that passes its caller's passport on says nothing about the place: the passport knows.
    """
    if trusted and not call.address:
        call.address, call.agent = passport.caller_address, passport.caller_agent
        return passport
    if passport.caller_address == call.address and passport.caller_agent == call.agent:
        return passport
    return replace(passport, caller_address=call.address, caller_agent=call.agent)


def _agent(text: str) -> str:
    return text[: metadata.MAXIMUM_AGENT] if text.isprintable() else ""


def _adopt_call_id(call: Call) -> None:
    call_id = call.headers.get(metadata.CALL_ID, "")
    if len(call_id) == _CALL_ID_LENGTH and call_id.isalnum() and call_id.isascii():
        call.call_id = call_id


def _operation(text: str) -> str:
    if len(text) > _MAXIMUM_OPERATION or not text.isprintable():
        limit = f"must be printable and at most {_MAXIMUM_OPERATION} characters long"
        raise Invalid(Violation(metadata.OPERATION, limit, rule="length"))
    return text
