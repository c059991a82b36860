"""Draws ids and secrets in the look a caller asks for. The caller never chooses their value."""

import math
import re
import secrets
import string
import uuid
from dataclasses import dataclass
from typing import Final

from concord.credentials.model.checks import refuse
from concord.kernel.errors import Violation
from concord.kernel.secret import Secret

# Every access token begins so, and no key's secret may: one look tells which table to ask.
TOKEN_PREFIX: Final = "cct_"  # noqa: S105 - the public start of a token, no secret

MIN_SECRET_BITS: Final = 95.0
MIN_ACCESS_ID_BITS: Final = 64.0
# A random UUID holds 122 bits; what holds as many is not guessed, so it may prove a key on its own.
IDENTIFYING_BITS: Final = 122.0

_UPPER: Final = string.ascii_uppercase + string.digits
_ALNUM: Final = string.ascii_letters + string.digits
# No `:`, which ends the id in basic authorization, and no `.`, which parts a JWT.
_DRAWABLE: Final = frozenset(_ALNUM + "-_~+/=")
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{0,16}")


@dataclass(frozen=True, slots=True)
class KeyFormat:
    """How the id and secret of a new key look; empty and 0 stand for the default."""

    access_id_prefix: str = ""
    access_id_alphabet: str = ""
    access_id_length: int = 0
    secret_prefix: str = ""
    secret_alphabet: str = ""
    secret_length: int = 0
    secret_is_uuid: bool = False


@dataclass(frozen=True, slots=True)
class DrawnKey:
    """A fresh id and secret."""

    access_id: str
    secret: Secret
    identifies: bool


def draw_key(wanted: KeyFormat, field: str = "key_format") -> DrawnKey:
    """Draw an id and a secret, or raise Invalid naming what is wrong with the format."""
    access_alphabet, access_length = wanted.access_id_alphabet or _UPPER, wanted.access_id_length or 20
    found = _check(f"{field}.access_id", wanted.access_id_prefix, access_alphabet, access_length, 128)
    if not found and _bits(access_alphabet, access_length) < MIN_ACCESS_ID_BITS:
        found.append(Violation(f"{field}.access_id_length", "must give at least 64 random bits", rule="range"))
    secret_alphabet, secret_length = wanted.secret_alphabet or _ALNUM, wanted.secret_length or 43
    found += _check_secret(field, wanted, secret_alphabet, secret_length)
    refuse(found)

    access_id = wanted.access_id_prefix + _draw(access_alphabet, access_length)
    if wanted.secret_is_uuid:
        return DrawnKey(access_id, Secret(wanted.secret_prefix + str(uuid.uuid4())), identifies=True)
    text = TOKEN_PREFIX
    while text.startswith(TOKEN_PREFIX):
        text = wanted.secret_prefix + _draw(secret_alphabet, secret_length)
    return DrawnKey(access_id, Secret(text), _bits(secret_alphabet, secret_length) >= IDENTIFYING_BITS)


def draw_token() -> Secret:
    """Draw the text of an access token: 256 random bits."""
    return Secret(TOKEN_PREFIX + secrets.token_urlsafe(32))


def draw_refresh_token() -> Secret:
    """Draw the text of a refresh token: 256 random bits."""
    return Secret("ccr_" + secrets.token_urlsafe(32))


def draw_code() -> Secret:
    """Draw the text of an authorization code: 256 random bits."""
    return Secret(secrets.token_urlsafe(32))


def draw_client_id() -> str:
    """Draw a client id for a client that was given none."""
    return _draw(_ALNUM, 24)


def draw_client_secret() -> Secret:
    """Draw the secret of an OAuth client: 256 random bits."""
    return Secret(_draw(_ALNUM, 43))


def _check_secret(field: str, wanted: KeyFormat, alphabet: str, length: int) -> list[Violation]:
    found = _check(f"{field}.secret", wanted.secret_prefix, alphabet, length, 256)
    if wanted.secret_prefix.startswith(TOKEN_PREFIX):
        found.append(Violation(f"{field}.secret_prefix", f"must not begin with `{TOKEN_PREFIX}`", rule="reserved"))
    if wanted.secret_is_uuid and (wanted.secret_alphabet or wanted.secret_length):
        found.append(Violation(f"{field}.secret_is_uuid", "leaves no choice of alphabet and length", rule="conflict"))
    if not found and not wanted.secret_is_uuid and _bits(alphabet, length) < MIN_SECRET_BITS:
        found.append(Violation(f"{field}.secret_length", "must give at least 95 random bits", rule="range"))
    return found


def _check(field: str, prefix: str, alphabet: str, length: int, longest: int) -> list[Violation]:
    found = []
    if not _PREFIX.fullmatch(prefix):
        found.append(Violation(f"{field}_prefix", "must be at most 16 letters, digits, `-` and `_`", rule="pattern"))
    if not 10 <= len(alphabet) <= 64 or len(set(alphabet)) != len(alphabet) or not _DRAWABLE.issuperset(alphabet):
        text = "must be 10 to 64 different letters, digits and `-_~+/=`"
        found.append(Violation(f"{field}_alphabet", text, rule="pattern"))
    if not 1 <= length <= longest:
        found.append(Violation(f"{field}_length", f"must lie between 1 and {longest}", rule="range"))
    return found


def _bits(alphabet: str, length: int) -> float:
    return length * math.log2(len(alphabet))


def _draw(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
