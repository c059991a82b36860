"""What all Scaleway resources share: forms of fields, times, paging, one-ofs, invented names."""

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from concord.gateway.shapes import (
    TIME_RULE,
    UUID_RULE,
    Text,
    list_rule,
    number_rule,
    parse_time,
    text_rule,
)
from concord.kernel.errors import Invalid, Violation

T = TypeVar("T")

CATALOGUE = "scaleway"
LANGUAGE = "role_rules"
# People's own things and those supplied with this dialect; other dialects' supplied things stay unseen.
CATALOGUES = ("", CATALOGUE)
DEFAULT_PAGE_SIZE = 20
# The core passes over no more rows than this.
MAX_SKIP = 100_000

_ANY_TEXT = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*"
_VISIBLE = r"[^\x00-\x1f\x7f-\x9f]*"

# An empty name is not refused: the server invents one.
Name = Annotated[
    str,
    text_rule(
        at_most=64,
        pattern=r"[a-zA-Z0-9()._\- ]*",
        help_message="must hold only letters, digits, spaces and the characters ( ) . _ -",
    ).meta(),
]
Description = Annotated[str, text_rule(at_most=200, pattern=_ANY_TEXT).meta()]
_TAG = text_rule(at_most=70, at_least=1, pattern=_VISIBLE, help_message="must not hold control characters")
_TEXT = text_rule(at_most=128, pattern=_ANY_TEXT)
Tags = Annotated[list[Annotated[str, _TAG.meta()]], list_rule(at_most=10, item=_TAG, unique=True).meta()]
Uuid = Annotated[str, UUID_RULE.meta()]
Uuids = Annotated[list[Uuid], list_rule(at_most=1000, item=UUID_RULE).meta()]
# In queries: three such lists make one filter of the core, and one line of a request.
IdFilter = Annotated[list[Uuid], list_rule(at_most=300, item=UUID_RULE).meta()]
Texts = Annotated[list[Annotated[str, _TEXT.meta()]], list_rule(at_most=100, item=_TEXT).meta()]
Needle = Annotated[str, _TEXT.meta()]
Time = Annotated[str, TIME_RULE.meta()]
# Answers: what is written there was made here, so these only inform the document.
Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, msgspec.Meta(extra_json_schema={"format": "uint32"})]
BigCount = Annotated[int, msgspec.Meta(extra_json_schema={"format": "uint64"})]

UUID_PATH = Text(UUID_RULE)


class Paged(msgspec.Struct, kw_only=True, frozen=True):
    """The numbered pages that every list has."""

    page: Annotated[int, number_rule(at_least=1, at_most=2**31 - 1).meta()] | None = None
    page_size: Annotated[int, number_rule(at_least=1, at_most=100).meta()] | None = None


def instant(stamp: Timestamp) -> str:
    """Write one of the server's own instants: always six fraction digits."""
    return _instant(stamp.seconds, stamp.nanos)


def echoed_instant(stamp: Timestamp) -> str:
    """Write an instant that came from a caller: as many fraction digits as it needs, 0, 3 or 6."""
    micros = stamp.nanos // 1000
    if micros == 0:
        fraction = ""
    elif micros % 1000 == 0:
        fraction = f".{micros // 1000:03d}"
    else:
        fraction = f".{micros:06d}"
    return f"{_second(stamp.seconds)}{fraction}Z"


# Every answer has two of these, and things are read more often than made.
@lru_cache(maxsize=8192)
def _instant(seconds: int, nanos: int) -> str:
    return f"{_second(seconds)}.{nanos // 1000:06d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def timestamp(text: str, field: str) -> Timestamp:
    """Read a caller's instant."""
    moment = parse_time(text)
    if moment is None:
        raise Invalid(Violation(field, "value must be a valid RFC 3339 date-time", rule="time"))
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp


def canonical(uuid: str | None) -> str:
    """Return an id as the core spells it; absent is empty."""
    return uuid.lower() if uuid else ""


def canonicals(uuids: Iterable[str]) -> list[str]:
    """Return ids as the core spells them, each once, in order."""
    return list(dict.fromkeys(uuid.lower() for uuid in uuids))


def order(value: str, columns: Mapping[str, str]) -> str:
    """Turn `name_desc` into the core's order."""
    column, _, direction = value.rpartition("_")
    return columns[column] + (" desc" if direction == "desc" else "")


def window(query: Paged) -> tuple[int, int]:
    """Return how many rows to pass over and how many to take."""
    size = query.page_size or DEFAULT_PAGE_SIZE
    return ((query.page or 1) - 1) * size, size


async def listed(
    query: Paged, fetch: Callable[[int, int], Awaitable[T]], total: Callable[[T], int], empty: Callable[[int], T]
) -> T:
    """Fetch one numbered page; a page past the end is an empty one, never a refusal.

    Beyond what the core passes over, the end is found by asking for the count alone.
    """
    skip, size = window(query)
    if skip <= MAX_SKIP:
        return await fetch(skip, size)
    count = total(await fetch(0, 1))
    if count > skip:
        raise Invalid(Violation("page", f"at most {MAX_SKIP} rows are passed over", rule="range"))
    return empty(count)


def one_of(arms: Mapping[str, Any], *, required: bool) -> str | None:
    """Return the one arm of a choice that is set."""
    chosen = [name for name, value in arms.items() if value is not None]
    if len(chosen) > 1:
        raise Invalid(*(Violation(name, "only one of " + ", ".join(arms) + " may be set", "one_of") for name in chosen))
    if chosen:
        return chosen[0]
    if required:
        raise Invalid(*(Violation(name, "one of " + ", ".join(arms) + " must be set", "required") for name in arms))
    return None


_ADJECTIVES = [
    "amber",
    "brisk",
    "calm",
    "clever",
    "dapper",
    "eager",
    "frosty",
    "gentle",
    "hardy",
    "jolly",
    "keen",
    "lively",
    "mellow",
    "nimble",
    "plucky",
    "quiet",
    "rustic",
    "sunny",
    "tidy",
    "vivid",
    "witty",
    "zesty",
]
_NOUNS = [
    "badger",
    "beacon",
    "canyon",
    "comet",
    "delta",
    "falcon",
    "garden",
    "harbor",
    "island",
    "juniper",
    "kestrel",
    "lantern",
    "meadow",
    "nebula",
    "orchard",
    "pebble",
    "quartz",
    "river",
    "summit",
    "tundra",
    "walnut",
    "zephyr",
]


def invented_name(kind: str) -> str:
    """Return a name for something that was given none, like `app-calm-river-4821`."""
    number = 1000 + secrets.randbelow(9000)
    return f"{kind}-{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}-{number}"
