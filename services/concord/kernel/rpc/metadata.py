"""The metadata that is part of the contract: its names, and what our own processes put there."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from concord.kernel.feed.revision import REVISION

AUTHORIZATION: Final = "authorization"
OPERATION: Final = "concord-operation"
CALLER_ADDRESS: Final = "concord-caller-address"
CALLER_AGENT: Final = "concord-caller-agent"
SERVICE: Final = "concord-service"
CALL_ID: Final = "concord-call-id"
USER_AGENT: Final = "user-agent"
TRACE_PARENT: Final = "traceparent"

READ: Final = frozenset(
    {AUTHORIZATION, OPERATION, REVISION, CALLER_ADDRESS, CALLER_AGENT, SERVICE, CALL_ID, USER_AGENT, TRACE_PARENT}
)

MAXIMUM_AGENT: Final = 255

Pairs = tuple[tuple[str, str], ...]

_KEY: Final = re.compile(r"[a-z0-9_.-]+")


class Pair(NamedTuple):
    """One item of metadata, in the shape that gRPC hands to servers."""

    key: str
    value: str | bytes


class Checked(tuple[Pair, ...]):
    """Metadata that needs no further look. Made by `checked` only."""

    __slots__ = ()


def checked(metadata: Iterable[tuple[str, str | bytes]]) -> Checked:
    """Return metadata as a server will see it; refuse what would not pass a wire.

    Who sends the same metadata with many calls may keep what this returns: it is not looked at again.
    """
    if type(metadata) is Checked:
        return metadata
    return Checked([Pair(_checked_key(key), _checked_value(key, value)) for key, value in metadata])


@lru_cache(maxsize=256)
def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"metadata key `{key}` is not allowed")
    return key


def _checked_value(key: str, value: str | bytes) -> str | bytes:
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise ValueError(f"metadata `{key}` takes bytes")
    elif not isinstance(value, str) or not (value.isascii() and value.isprintable()):
        raise ValueError(f"metadata `{key}` takes printable ASCII text")
    return value


def as_service(token: str, call_id: str = "") -> Pairs:
    """Return the metadata of a call that one of the suite's processes makes for itself."""
    pairs = ((AUTHORIZATION, f"Bearer {token}"),)
    return (*pairs, (CALL_ID, call_id)) if call_id else pairs
