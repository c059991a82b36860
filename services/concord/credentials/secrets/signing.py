"""Signs tokens that others verify: access tokens (RFC 9068) and id tokens. Draws the keys for it."""

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from joserfc import jwt
from joserfc.jwk import OKPKey, RSAKey

from concord.credentials.model.clients import SigningAlgorithm
from concord.kernel.config import BadSetting
from concord.kernel.errors import Unavailable
from concord.kernel.keyring import Keyring
from concord.kernel.secret import Secret

RSA_BITS: Final = 2048
ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - the name of a type, no secret
_HASHES: Final = {SigningAlgorithm.RS256: "sha256", SigningAlgorithm.ED25519: "sha512"}
# A deployment has two keys in use and meets two more when it rotates.
_HELD: Final = 8

Key = RSAKey | OKPKey


class SigningKeyStore(Protocol):
    """The part of the store that signing needs."""

    def find_signing_key(self, algorithm: SigningAlgorithm) -> tuple[str, bytes] | None:
        """Return the name and the sealed private half of the key that signs with an algorithm."""


@dataclass(frozen=True, slots=True)
class DrawnSigningKey:
    """A fresh key, its private half sealed."""

    kid: str
    algorithm: SigningAlgorithm
    public_jwk: dict[str, Any]
    sealed_private: bytes


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token for others says."""

    issuer: str
    subject: str
    audience: str
    issue_time: datetime
    expire_time: datetime
    others: Mapping[str, Any]


class Signer:
    """Signs with the deployment's keys. Opened keys are kept by name, so that each is unsealed once."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._opened: OrderedDict[str, Key] = OrderedDict()

    def draw(self, algorithm: SigningAlgorithm) -> DrawnSigningKey:
        """Draw a key. An RSA key takes its time: not for the event loop."""
        key: Key
        if algorithm is SigningAlgorithm.RS256:
            key = RSAKey.generate_key(RSA_BITS)
        else:
            key = OKPKey.generate_key("Ed25519")
        kid = key.thumbprint()
        public = {**key.as_dict(private=False), "kid": kid, "alg": algorithm.value, "use": "sig"}
        return DrawnSigningKey(
            kid, algorithm, public, self._keyring.seal(key.as_pem(private=True), signing_key_context(kid))
        )

    def sign(self, store: SigningKeyStore, algorithm: SigningAlgorithm, claims: Claims, kind: str = "JWT") -> Secret:
        """Return a signed token."""
        found = store.find_signing_key(algorithm)
        if found is None:
            raise Unavailable("there is no signing key yet")
        if not claims.issuer or not claims.audience:
            # A token that anybody could take for their own is worse than none.
            raise ValueError("a token for others names its issuer and its audience")
        kid, sealed = found
        said = {
            "iss": claims.issuer,
            "sub": claims.subject,
            "aud": claims.audience,
            "iat": int(claims.issue_time.timestamp()),
            "exp": int(claims.expire_time.timestamp()),
            **{name: value for name, value in claims.others.items() if value not in ("", None)},
        }
        header = {"alg": algorithm.value, "typ": kind, "kid": kid}
        return Secret(jwt.encode(header, said, self._open(kid, algorithm, sealed), [algorithm.value]))

    def _open(self, kid: str, algorithm: SigningAlgorithm, sealed: bytes) -> Key:
        key = self._opened.get(kid)
        if key is None:
            pem = self._keyring.open(sealed, signing_key_context(kid))
            key = RSAKey.import_key(pem) if algorithm is SigningAlgorithm.RS256 else OKPKey.import_key(pem)
            self._opened[kid] = key
            while len(self._opened) > _HELD:
                self._opened.popitem(last=False)
        return key


def half_hash(text: Secret, algorithm: SigningAlgorithm) -> str:
    """Return the left half of a token's hash, by which an id token names it (`at_hash`)."""
    digest = hashlib.new(_HASHES[algorithm], text.reveal().encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def check_issuer(text: str, name: str) -> str:
    """Return the issuer's address, or raise BadSetting: without one no token would say whom to believe."""
    scheme, separator, rest = text.partition("://")
    fits = text.isascii() and text.isprintable() and " " not in text and len(text) <= 512
    if scheme not in ("http", "https") or not separator or not rest or not fits or "?" in text or "#" in text:
        raise BadSetting(f"{name} must be an http or https address without query and fragment")
    return text.rstrip("/")


def signing_key_context(kid: str) -> bytes:
    """Return what the private half of a key is bound to."""
    return f"signing_key\x1f{kid}".encode()
