"""Secrets that do not show themselves, and the keyed hash that stands for them in storage."""

import hashlib
import hmac
from dataclasses import dataclass


class Secret:
    """A text that must not reach logs, errors or events. Only `reveal()` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text. Call it only where the secret leaves the process on purpose."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class SecretHash:
    """The keyed hash of a high-entropy secret: good for lookup and comparison, useless to a thief."""

    value: bytes

    def matches(self, other: "SecretHash") -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.value, other.value)


class SecretHasher:
    """Hashes high-entropy secrets under one key of the deployment (keyed BLAKE2b, 256 bits).

    Never for passwords: those have little entropy and need argon2id.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("the hashing key must hold at least 32 bytes")
        self._key = key

    def hash(self, secret: Secret) -> SecretHash:
        """Return the hash under which this secret is stored and found."""
        return SecretHash(hashlib.blake2b(secret.reveal().encode(), key=self._key[:64], digest_size=32).digest())
