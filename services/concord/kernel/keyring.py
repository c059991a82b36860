"""The deployment's own keys: for hashing, sealing, page tokens and the roles of its processes.

They live in files of mode 600 in a directory of mode 700, made at first use, or come
from `CONCORD_KEY_<NAME>` variables. There is no built-in key and no default.
"""

import base64
import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"
_ID_BYTES: Final = 4
_SEALING: Final = "sealing"
_PASSPORTS: Final = "passports"
# Where deployments keep the key that they began with.
_FIRST_PASSPORTS: Final = "role-passports"


class KeyFault(Exception):
    """A key is missing or unusable; the message names it and holds nothing of it."""


class SealBroken(Exception):
    """Sealed bytes were altered, belong to another context, or their key is gone."""


@dataclass(frozen=True, slots=True)
class RingKey:
    """One key of a kind of which several are good at a time."""

    id: str
    made: datetime | None
    """None for one that comes from the environment."""
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """A key as a list of them shows it."""

    kind: str
    id: str
    made: datetime | None
    newest: bool


class Keyring:
    """Named keys of one deployment. Safe for threads and for several processes on one directory."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self._directory = directory
        self._environment = dict(environment or {})
        self._keys: dict[str, bytes] = {}
        self._publics: dict[str, Ed25519PublicKey] = {}
        self._lock = Lock()

    def hashing_key(self) -> bytes:
        """The key under which high-entropy secrets are hashed."""
        return self.key("hashing")

    def page_key(self) -> bytes:
        """The key that signs page tokens."""
        return self.key("pages")

    def key(self, name: str) -> bytes:
        """Return the 32 bytes of a named key, made at its first use."""
        with self._lock:
            found = self._keys.get(name)
            if found is None:
                found = self._keys[name] = self._from_environment(name) or self._load(name, create=True)
            return found

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt under the newest sealing key. Opening needs the same context."""
        key_id, key = self._newest_sealing_key()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        head = _VERSION + bytes.fromhex(key_id)
        return head + nonce + AESGCM(key).encrypt(nonce, plain, head + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed in this context, by whichever sealing key, or raise SealBroken."""
        start = len(_VERSION) + _ID_BYTES
        head, nonce, body = sealed[:start], sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        key = self._sealing_keys().get(head[len(_VERSION) :].hex()) if head[:1] == _VERSION else None
        if key is None or len(nonce) != _NONCE_BYTES:
            raise SealBroken("no key opens this")
        try:
            return AESGCM(key).decrypt(nonce, body, head + context)
        except InvalidTag:
            raise SealBroken("altered, or sealed for something else") from None

    def rotate_sealing_key(self) -> str:
        """Make a new key that seals from now on, and return its id; the old ones still open."""
        if "CONCORD_KEYS_SEALING" in self._environment:
            raise KeyFault("sealing keys come from CONCORD_KEYS_SEALING: put the new one first there")
        with self._lock, self._locked_directory():
            return self._make(_SEALING)

    def sealing_keys(self) -> tuple[RingKey, ...]:
        """Return the sealing keys, the oldest first: all of them open, the last one seals."""
        keys = self._sealing_keys()
        return tuple(RingKey(key_id, self._made(_SEALING, key_id), key) for key_id, key in keys.items())

    def newest_seal(self) -> bytes:
        """Return what everything begins with that is sealed from now on."""
        return _VERSION + bytes.fromhex(self._newest_sealing_key()[0])

    def passport_keys(self) -> tuple[RingKey, ...]:
        """Return the keys that passports are signed with, the oldest first."""
        given = self._from_environment(_FIRST_PASSPORTS)
        if given is not None:
            return (RingKey("environment", None, given),)
        found = []
        path = self._directory / f"{_FIRST_PASSPORTS}.key"
        names = self._names(_PASSPORTS)
        # The first key goes like any other when it is retired, and is made only where there is no other.
        if path.exists() or not names:
            first = self.key(_FIRST_PASSPORTS)
            found.append(RingKey("first", _made(path), first))
        for name in names:
            key_id = name.rpartition("-")[2]
            with contextlib.suppress(KeyFault):
                found.append(RingKey(key_id, self._made(_PASSPORTS, key_id), self._load(name, create=False)))
        return tuple(found)

    def rotate_passport_key(self) -> str:
        """Make a new key for passports and return its id. It signs when everybody could have heard of it."""
        if self._from_environment(_FIRST_PASSPORTS) is not None:
            raise KeyFault(f"the key of passports comes from {_variable(_FIRST_PASSPORTS)}: replace it there")
        with self._locked_directory():
            return self._make(_PASSPORTS)

    def retire(self, kind: str, key_id: str) -> None:
        """Forget a key that nothing needs any more. The newest of its kind stays; an unknown one is ignored."""
        with self._lock, self._locked_directory():
            names = self._names(kind)
            path = self._directory / f"{_FIRST_PASSPORTS}.key"
            if kind == _PASSPORTS and key_id == "first" and names:
                path.unlink(missing_ok=True)
                return
            for name in names[:-1]:
                if name.rpartition("-")[2] == key_id:
                    (self._directory / f"{name}.key").unlink(missing_ok=True)
                    self._keys.pop(name, None)

    def listed(self) -> tuple[Listed, ...]:
        """Return all keys of the directory as a list of them shows them; nothing of a key itself is told."""
        found = []
        for path in sorted(self._directory.glob("*.key")):
            kind, _, rest = path.stem.partition("-")
            several = kind in (_SEALING, _PASSPORTS)
            newest = not several or path.stem == self._names(kind)[-1]
            if path.stem == _FIRST_PASSPORTS:
                newest = not self._names(_PASSPORTS)
            kind, key_id = (kind, rest.rpartition("-")[2]) if several else (path.stem, "")
            found.append(Listed(kind, key_id, _made(path), newest))
        return tuple(found)

    def role_key(self, role: str) -> Ed25519PrivateKey:
        """The key with which processes of a role prove what they are."""
        return Ed25519PrivateKey.from_private_bytes(self.key(f"role-{role}"))

    def role_public_key(self, role: str) -> Ed25519PublicKey:
        """What verifies a role's proofs: `CONCORD_PUBLIC_KEY_ROLE_<ROLE>`, or the directory's key."""
        found = self._publics.get(role)
        if found is None:
            text = self._environment.get(f"CONCORD_PUBLIC_KEY_ROLE_{role.upper()}")
            if text is None:
                found = self.role_key(role).public_key()
            else:
                found = Ed25519PublicKey.from_public_bytes(_decode(text, f"CONCORD_PUBLIC_KEY_ROLE_{role.upper()}"))
            self._publics[role] = found
        return found

    def _from_environment(self, name: str) -> bytes | None:
        variable = _variable(name)
        text = self._environment.get(variable)
        return None if text is None else _decode(text, variable)

    def _load(self, name: str, *, create: bool) -> bytes:
        path = self._directory / f"{name}.key"
        try:
            return _decode(path.read_text(), str(path.name))
        except FileNotFoundError:
            if not create:
                raise KeyFault(f"key `{name}` is missing") from None
        with self._locked_directory():
            # Another process may have made it while this one waited.
            if not path.exists():
                self._write(path, secrets.token_bytes(_KEY_BYTES))
            return self._load(name, create=False)

    def _newest_sealing_key(self) -> tuple[str, bytes]:
        # Insertion order is age, so the newest comes last; the environment lists its newest first.
        return list(self._sealing_keys().items())[-1]

    def _sealing_keys(self) -> dict[str, bytes]:
        text = self._environment.get("CONCORD_KEYS_SEALING")
        with self._lock:
            if text is not None:
                return _sealing_from_text(text)
            names = self._sealing_names()
            if not names:
                with self._locked_directory():
                    if not self._sealing_names():
                        self._make(_SEALING)
                names = self._sealing_names()
            found = {}
            for name in names:
                if name not in self._keys:
                    self._keys[name] = self._load(name, create=False)
                found[name.rpartition("-")[2]] = self._keys[name]
            return found

    def _sealing_names(self) -> list[str]:
        return self._names(_SEALING)

    def _names(self, kind: str) -> list[str]:
        return sorted(path.stem for path in self._directory.glob(f"{kind}-*-*.key"))

    def _made(self, kind: str, key_id: str) -> datetime | None:
        return next((_made(path) for path in self._directory.glob(f"{kind}-*-{key_id}.key")), None)

    def _make(self, kind: str) -> str:
        key_id = secrets.token_hex(_ID_BYTES)
        names = self._names(kind)
        # Behind the last one, also when earlier ones are retired.
        number = int(names[-1].split("-")[1]) + 1 if names else 1
        self._write(self._directory / f"{kind}-{number:06d}-{key_id}.key", secrets.token_bytes(_KEY_BYTES))
        return key_id

    def _write(self, path: Path, key: bytes) -> None:
        # Written aside and renamed: a crash leaves no half a key, which would lock out everything.
        aside = path.with_suffix(".new")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
        _sync_directory(self._directory)

    @contextmanager
    def _locked_directory(self) -> Iterator[None]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        descriptor = os.open(self._directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _variable(name: str) -> str:
    return f"CONCORD_KEY_{name.upper().replace('-', '_')}"


def _made(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _decode(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise KeyFault(f"{name} must be {_KEY_BYTES} bytes in base64")
    return key


def _sealing_from_text(text: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in reversed(text.split(",")):
        key_id, _, value = item.strip().partition(":")
        if len(key_id) != 2 * _ID_BYTES or set(key_id) - set("0123456789abcdef"):
            raise KeyFault(f"CONCORD_KEYS_SEALING must be made of <{2 * _ID_BYTES} hex digits>:<base64>, newest first")
        found[key_id] = _decode(value, "CONCORD_KEYS_SEALING")
    return found
