"""The keys that sign passports, and their names."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from concord.credentials.model.sessions import PASSPORT_LIFETIME
from concord.credentials.v1 import authentication_service_pb2
from concord.kernel.clock import Clock
from concord.kernel.keyring import Keyring, RingKey
from concord.kernel.principal import Passport
from concord.kernel.rpc.authentication import PassportSigner

PASSPORTS: Final = "passports"
ALGORITHM: Final = "Ed25519"
# A new key is published at once and signs only then: whoever fetched the keys a moment before has fetched again.
PUBLISHED_FIRST: Final = timedelta(seconds=10)
# What the key before has signed is over by then, whatever the clocks of the processes say.
KEPT_AFTER: Final = PUBLISHED_FIRST + PASSPORT_LIFETIME + timedelta(minutes=1)
_LOOK_AGAIN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    kid: str
    made: datetime | None
    public: Ed25519PublicKey
    signer: PassportSigner


class PassportOffice:
    """Signs passports and publishes what verifies them. Takes up a key that was made beside it."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock
        self._known: Mapping[str, _Key] = {}
        self._keys: tuple[_Key, ...] = ()
        self._looked: datetime | None = None
        self._signing = self._look(clock.now())

    @property
    def kid(self) -> str:
        """The name of the key that signs now."""
        return self._current().kid

    def sign(self, passport: Passport) -> str:
        """Return the signed text of a passport."""
        return self._current().signer.sign(passport)

    def keys(self) -> list[authentication_service_pb2.PassportKey]:
        """Return the public keys, the one in use first: those about to sign, and those whose passports may live."""
        self._look(self._clock.now())
        ordered = [self._signing, *(each for each in self._keys if each is not self._signing)]
        return [
            authentication_service_pb2.PassportKey(
                kid=each.kid, algorithm=ALGORITHM, public_key=each.public.public_bytes(Encoding.Raw, PublicFormat.Raw)
            )
            for each in ordered
        ]

    def retire(self) -> None:
        """Forget the keys that have signed nothing which may still live."""
        now = self._clock.now()
        self._look(now)
        for key, successor in pairwise(self._keys):
            if successor.made is not None and now >= successor.made + KEPT_AFTER:
                self._keyring.retire(PASSPORTS, key.id)

    def _current(self) -> _Key:
        now = self._clock.now()
        if self._looked is None or not timedelta() <= now - self._looked < _LOOK_AGAIN:
            self._look(now)
        return self._signing

    def _look(self, now: datetime) -> _Key:
        found = self._keyring.passport_keys()
        self._known = {each.id: self._known.get(each.id) or _key(each) for each in found}
        self._keys = tuple(self._known[each.id] for each in found)
        signing = self._keys[0]
        for key in self._keys[1:]:
            if key.made is None or now >= key.made + PUBLISHED_FIRST:
                signing = key
        self._signing, self._looked = signing, now
        return signing


def _key(key: RingKey) -> _Key:
    private = Ed25519PrivateKey.from_private_bytes(key.value)
    public = private.public_key()
    kid = thumbprint(public)
    return _Key(key.id, kid, key.made, public, PassportSigner(kid, private))


def thumbprint(key: Ed25519PublicKey) -> str:
    """Return the name of a key by RFC 7638: the same wherever it is worked out, and bound to the key."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    members = {"crv": ALGORITHM, "kty": "OKP", "x": _text(raw)}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    return _text(hashlib.sha256(canonical).digest())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
