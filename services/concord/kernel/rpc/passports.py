"""The two signed proofs of identity inside the suite: passports and service tokens. Their format lives here only.

Both are JWTs signed with Ed25519. A passport is signed by the credentials service and names its
key by `kid`; a service token is signed by the process itself and its issuer names the key. What
kind a token is stands in its type, and neither is ever taken for the other.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from concord.kernel.clock import Clock, SystemClock
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.principal import Passport, PrincipalKind, PrincipalRef

PASSPORT_TYPE: Final = "passport+jwt"
SERVICE_TYPE: Final = "service+jwt"
SYSTEM_ROLE: Final = "system"
GATEWAY_ROLE: Final = "gateway"
MAXIMUM_LIFETIME: Final = timedelta(minutes=5)

_ALGORITHM: Final = "Ed25519"
_ISSUER: Final = "concord"
_AUDIENCE: Final = "concord"
_SKEW: Final = timedelta(seconds=30)
_KEYS_AGE: Final = timedelta(minutes=10)
_MAXIMUM_TOKEN: Final = 8192
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class PassportKeys(Protocol):
    """The public keys that passports are signed with."""

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        """Return the key of that id; None when credentials does not publish it (any more)."""


class ServiceKeys(Protocol):
    """The public keys of the suite's processes."""

    def find(self, role: str) -> Ed25519PublicKey | None:
        """Return the key of that role; None for an unknown role."""


class FixedKeys:
    """Service keys that are known from the start."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._keys = dict(keys)

    def find(self, role: str) -> Ed25519PublicKey | None:
        return self._keys.get(role)


class FetchedPassportKeys:
    """Published passport keys, fetched again when an unknown one turns up, but not more often than the pause.

    The pause is what keeps tokens with invented key ids from becoming calls to credentials.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Mapping[str, Ed25519PublicKey]]],
        clock: Clock,
        pause: timedelta = timedelta(seconds=2),
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._pause = pause
        self._keys: Mapping[str, Ed25519PublicKey] = {}
        self._fetched: datetime | None = None
        self._fetching = asyncio.Lock()

    async def find(self, kid: str) -> Ed25519PublicKey | None:
        key = self._keys.get(kid)
        if (key is not None and not self._is_old()) or not self._is_due():
            return key
        async with self._fetching:
            # Whoever waited for another's fetch has its result now.
            if (kid not in self._keys or self._is_old()) and self._is_due():
                try:
                    self._keys = await self._fetch()
                except Exception:
                    # A key that was good ten minutes ago is better than none while credentials is away.
                    if key is None:
                        raise
                    return key
                # Set only after success: a fetch that failed must not close the door for the pause.
                self._fetched = self._clock.now()
        return self._keys.get(kid)

    def _is_old(self) -> bool:
        # A key that was retired must not be believed for ever by those who have seen it.
        return self._fetched is None or not timedelta() <= self._clock.now() - self._fetched < _KEYS_AGE

    def _is_due(self) -> bool:
        return self._fetched is None or self._clock.now() - self._fetched >= self._pause


class PassportSigner:
    """Signs passports. Only the credentials service has the key."""

    def __init__(self, kid: str, private_key: Ed25519PrivateKey) -> None:
        if not _KEY_ID.fullmatch(kid):
            raise ValueError(f"`{kid}` is no key id")
        self._kid = kid
        self._key = _private(private_key)

    def sign(self, passport: Passport) -> str:
        """Return the signed text of a passport."""
        if passport.expire_time - passport.issue_time > MAXIMUM_LIFETIME:
            raise ValueError("a passport lives five minutes at most")
        if passport.is_service:
            raise ValueError("services sign for themselves")
        claims: dict[str, Any] = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": passport.principal.id,
            "kind": passport.principal.kind.value,
            "org": passport.organization_id,
            "iat": passport.issue_time.timestamp(),
            "exp": passport.expire_time.timestamp(),
            "sid": passport.session_id,
            "key": passport.api_key_id,
            "amr": list(passport.methods),
            "mfa": passport.mfa,
            "address": passport.caller_address,
            "agent": passport.caller_agent,
            "ceiling": list(passport.ceiling),
            "snapshot": passport.rights_snapshot_id,
        }
        header = {"alg": _ALGORITHM, "typ": PASSPORT_TYPE, "kid": self._kid}
        return jwt.encode(header, {name: claim for name, claim in claims.items() if claim}, self._key, [_ALGORITHM])


def mint_service_token(
    role: str,
    private_key: Ed25519PrivateKey,
    organization_id: OrganizationId | None = None,
    *,
    clock: Clock | None = None,
) -> str:
    """Return a token that proves to the other processes that this one has the role. Lives five minutes.

    Only the system principal may name an organization to act in.
    """
    if organization_id is not None and role != SYSTEM_ROLE:
        raise ValueError("only the system principal acts in an organization")
    now = (clock or SystemClock()).now()
    claims: dict[str, Any] = {
        "iss": role,
        "aud": _AUDIENCE,
        "sub": role,
        "iat": now.timestamp(),
        "exp": (now + MAXIMUM_LIFETIME).timestamp(),
    }
    if organization_id is not None:
        claims["org"] = organization_id
    return jwt.encode({"alg": _ALGORITHM, "typ": SERVICE_TYPE}, claims, _private(private_key), [_ALGORITHM])


class ServiceTokens:
    """The token of this process, minted anew when half of its life is over. Call it to get one."""

    def __init__(
        self,
        role: str,
        private_key: Ed25519PrivateKey,
        clock: Clock,
        organization_id: OrganizationId | None = None,
    ) -> None:
        self._role = role
        self._private_key = private_key
        self._clock = clock
        self._organization_id = organization_id
        self._token = ""
        self._minted = datetime.min.replace(tzinfo=UTC)

    def __call__(self) -> str:
        now = self._clock.now()
        # A clock that was set back must not leave us with a token of the future.
        if not self._token or not timedelta() <= now - self._minted < MAXIMUM_LIFETIME / 2:
            self._token = mint_service_token(self._role, self._private_key, self._organization_id, clock=self._clock)
            self._minted = now
        return self._token


def token_type(token: str) -> str:
    """Return the type that a JWT says it has, unverified; "" for anything that is no JWT."""
    head, first, rest = token.partition(".")
    if not first or rest.count(".") != 1 or len(token) > _MAXIMUM_TOKEN:
        return ""
    header = _object(head)
    kind = header.get("typ")
    return kind.lower() if isinstance(kind, str) else ""


@dataclass(frozen=True, slots=True)
class Verified:
    """A credential that was found good: whose it is. The credential itself is not kept."""

    passport: Passport


class PassportVerifier:
    """Tells whose passport or service token this is, and remembers the answer by the token's hash."""

    def __init__(
        self, passport_keys: PassportKeys, service_keys: ServiceKeys, clock: Clock, capacity: int = 10_000
    ) -> None:
        self._passport_keys = passport_keys
        self._service_keys = service_keys
        self._clock = clock
        self._capacity = capacity
        self._recent: dict[bytes, Verified] = {}

    def recall(self, key: bytes) -> Verified | None:
        """Return what was remembered under a key, if its time is not over."""
        verified = self._recent.get(key)
        if verified is None:
            return None
        if verified.passport.expire_time <= self._clock.now():
            del self._recent[key]
            return None
        return verified

    def remember(self, key: bytes, verified: Verified) -> None:
        """Keep an answer; the oldest one goes when there are too many."""
        if len(self._recent) >= self._capacity:
            self._recent.pop(next(iter(self._recent)))
        self._recent[key] = verified

    async def verify(self, token: str) -> Passport:
        """Return the passport of a token of either kind, or raise Unauthenticated."""
        key = hash_of(token)
        verified = self.recall(key)
        if verified is None:
            kind = token_type(token)
            if kind == PASSPORT_TYPE:
                passport = await self._read_passport(token)
            elif kind == SERVICE_TYPE:
                passport = self._read_service_token(token)
            else:
                raise _bad()
            verified = Verified(passport)
            self.remember(key, verified)
        return verified.passport

    async def _read_passport(self, token: str) -> Passport:
        kid = _object(token.partition(".")[0]).get("kid")
        if not isinstance(kid, str) or not _KEY_ID.fullmatch(kid):
            raise _bad()
        claims = self._claims(token, await self._passport_keys.find(kid), PASSPORT_TYPE)
        if claims.get("iss") != _ISSUER:
            raise _bad()
        kind = claims.get("kind")
        if kind not in ("user", "application", "device"):
            raise _bad()
        organization_id = _text(claims, "org")
        if not organization_id:
            raise _bad()
        return replace(
            self._base(claims, PrincipalRef(PrincipalKind(kind), _text(claims, "sub"))),
            organization_id=OrganizationId(organization_id),
            session_id=SessionId(_text(claims, "sid")) if claims.get("sid") else None,
            api_key_id=ApiKeyId(_text(claims, "key")) if claims.get("key") else None,
            methods=_texts(claims, "amr"),
            mfa=claims.get("mfa") is True,
            caller_address=_text(claims, "address"),
            caller_agent=_text(claims, "agent"),
            ceiling=_texts(claims, "ceiling"),
            rights_snapshot_id=_text(claims, "snapshot"),
        )

    def _read_service_token(self, token: str) -> Passport:
        # The issuer is read before it is proved, only to find the key that proves it.
        role = _object(token.split(".")[1]).get("iss")
        if not isinstance(role, str) or not role:
            raise _bad()
        claims = self._claims(token, self._service_keys.find(role), SERVICE_TYPE)
        organization_id = _text(claims, "org")
        if claims.get("iss") != role or claims.get("sub") != role or (organization_id and role != SYSTEM_ROLE):
            raise _bad()
        return replace(
            self._base(claims, PrincipalRef(PrincipalKind.SERVICE, role)),
            organization_id=OrganizationId(organization_id) if organization_id else None,
            methods=("service",),
        )

    def _claims(self, token: str, key: Ed25519PublicKey | None, kind: str) -> dict[str, Any]:
        if key is None:
            raise _bad()
        try:
            # The key is ours: whatever key or place of a key the token's header names is ignored.
            decoded = jwt.decode(token, _public(key), [_ALGORITHM])
        except (JoseError, ValueError):
            raise _bad() from None
        claims = decoded.claims
        if decoded.header.get("typ") != kind or not isinstance(claims, dict) or claims.get("aud") != _AUDIENCE:
            raise _bad()
        return claims

    def _base(self, claims: Mapping[str, Any], principal: PrincipalRef) -> Passport:
        if not principal.id:
            raise _bad()
        issued, expires = _instant(claims, "iat"), _instant(claims, "exp")
        now = self._clock.now()
        if issued > now + _SKEW or expires - issued > MAXIMUM_LIFETIME:
            raise _bad()
        if expires <= now:
            raise Unauthenticated(Reason.CREDENTIAL_EXPIRED, "the passport is no longer valid")
        return Passport(principal=principal, organization_id=None, issue_time=issued, expire_time=expires)


def hash_of(*texts: str) -> bytes:
    """Return the key under which something about these texts is remembered. No secret is kept in memory for it."""
    if len(texts) == 1:
        return hashlib.sha256(texts[0].encode()).digest()
    # Lengths in front, so that no two lists of texts run together into one.
    lengths = ",".join([str(len(text)) for text in texts])
    return hashlib.sha256(f"{lengths}:{''.join(texts)}".encode()).digest()


def _bad() -> Unauthenticated:
    return Unauthenticated(Reason.CREDENTIAL_INVALID)


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise _bad()
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _bad()
    return tuple(value)


def _instant(claims: Mapping[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad()
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        raise _bad() from None


def _private(key: Ed25519PrivateKey) -> OKPKey:
    return OKPKey.import_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _public(key: Ed25519PublicKey) -> OKPKey:
    return OKPKey.import_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
