"""SSH public keys as values: read, judged and fingerprinted. What is no key never gets further than here."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId, SshKeyId

FIELD: Final = "ssh_key.public_key"
MAX_LINE: Final = 65_000
MAX_SSH_NAME: Final = 1000
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16_384
# A comment becomes a name, and names are printed: nothing in them moves a terminal's cursor.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# DSA is left out: no current server takes it.
_KINDS: Final = frozenset(
    {
        "ssh-rsa",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a line of text says: a key, and the comment behind it."""

    text: str
    algorithm: str
    bits: int
    fingerprint: str
    fingerprint_sha256: str
    comment: str


@dataclass(frozen=True, slots=True)
class SshKey:
    """A public key in a project."""

    id: SshKeyId
    organization_id: OrganizationId
    version: int
    name: str
    public_key: str
    algorithm: str
    bits: int
    fingerprint: str
    fingerprint_sha256: str
    project_id: str
    create_time: datetime
    update_time: datetime
    disabled: bool = False
    catalogue: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def is_managed(self) -> bool:
        """Whether the platform supplied it."""
        return bool(self.catalogue)


def read_public_key(line: str) -> PublicKey:
    """Read one line as OpenSSH writes it, or raise Invalid saying what is wrong. The line is never repeated."""
    if len(line) > MAX_LINE:
        raise _bad(f"must have at most {MAX_LINE} characters", "length")
    text = line.strip()
    if "\n" in text or "\r" in text or "\x00" in text:
        raise _bad("must be a single line", "pattern")
    algorithm, _, rest = text.partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    if algorithm not in _KINDS:
        raise _bad(f"must begin with one of {', '.join(sorted(_KINDS))}", "kind")
    try:
        # Without its comment, so that nothing but type and key is ever looked at.
        key = load_ssh_public_key(f"{algorithm} {encoded}".encode())
        blob = base64.b64decode(encoded, validate=True)
    # Of a curve's points only those written in full are read.
    except (ValueError, binascii.Error, UnsupportedAlgorithm, NotImplementedError):
        raise _bad("is no public key of the type that it names", "format") from None
    bits = _bits(key)
    hexadecimal = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    pairs = ":".join(hexadecimal[at : at + 2] for at in range(0, len(hexadecimal), 2))
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return PublicKey(
        text=f"{algorithm} {base64.b64encode(blob).decode()}",
        algorithm=algorithm,
        bits=bits,
        fingerprint=f"{bits} MD5:{pairs} ({algorithm})",
        fingerprint_sha256=f"SHA256:{digest}",
        comment=_CONTROL.sub("", comment).strip(),
    )


def _bits(key: object) -> int:
    match key:
        case RSAPublicKey():
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                raise _bad(f"must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits", "range")
            return key.key_size
        case EllipticCurvePublicKey():
            return key.curve.key_size
        case Ed25519PublicKey():
            return 256
    raise _bad("is of a kind that is not taken", "kind")


def _bad(text: str, rule: str) -> Invalid:
    return Invalid(Violation(FIELD, text, rule=rule))
