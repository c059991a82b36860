"""The key that signs passports, and its name."""

import base64
import hashlib
import json
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from concord.credentials.v1 import authentication_service_pb2
from concord.kernel.keyring import Keyring
from concord.kernel.principal import Passport
from concord.kernel.rpc.authentication import PassportSigner

PASSPORTS: Final = "passports"
ALGORITHM: Final = "Ed25519"


class PassportOffice:
    """Signs passports and publishes what verifies them."""

    def __init__(self, keyring: Keyring) -> None:
        private_key = keyring.role_key(PASSPORTS)
        self._public_key = private_key.public_key()
        self.kid = thumbprint(self._public_key)
        self._signer = PassportSigner(self.kid, private_key)

    def sign(self, passport: Passport) -> str:
        """Return the signed text of a passport."""
        return self._signer.sign(passport)

    def keys(self) -> list[authentication_service_pb2.PassportKey]:
        """Return the public keys, the one in use first."""
        raw = self._public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return [authentication_service_pb2.PassportKey(kid=self.kid, algorithm=ALGORITHM, public_key=raw)]


def thumbprint(key: Ed25519PublicKey) -> str:
    """Return the name of a key by RFC 7638: the same wherever it is worked out, and bound to the key."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    members = {"crv": ALGORITHM, "kty": "OKP", "x": _text(raw)}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    return _text(hashlib.sha256(canonical).digest())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
