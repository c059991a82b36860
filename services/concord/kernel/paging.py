"""Pages of lists, and the opaque tokens that continue them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from concord.kernel.errors import Invalid, Reason, Violation

if TYPE_CHECKING:
    from google.protobuf.message import Message

T = TypeVar("T")
R = TypeVar("R")

DEFAULT_SIZE: Final = 50
MAX_SIZE: Final = 1000
MAX_SKIP: Final = 100_000
_MAC_BYTES: Final = 32
_MAX_TOKEN: Final = 16_384

Order = tuple[tuple[str, bool], ...]
"""Names to sort by and whether each descends. The id is always the last tie-breaker."""


def _no_token(after: tuple[Any, ...]) -> str:
    return ""


@dataclass(frozen=True)
class PageRequest:
    """Which slice of a list is wanted. Lists made by hand (in tests, in cascades) need no tokens."""

    size: int = DEFAULT_SIZE
    after: tuple[Any, ...] | None = None
    skip: int = 0
    order: Order = ()
    with_total: bool = False
    issue: Callable[[tuple[Any, ...]], str] = field(default=_no_token, compare=False, repr=False)
    """Makes the token that continues after a row with these sort values."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """One slice of a list. `after` is what `next_page_token` stands for; `total_size` is 0 unless asked for."""

    items: Sequence[T]
    next_page_token: str = ""
    total_size: int = 0
    after: tuple[Any, ...] | None = None

    def map(self, fn: Callable[[T], R]) -> "Page[R]":
        """Return the page with each item translated."""
        return Page([fn(item) for item in self.items], self.next_page_token, self.total_size, self.after)


def parse_order(order_by: str, allowed: Sequence[str] | Mapping[str, Any], default: str) -> Order:
    """Read `create_time desc, name`; only names in `allowed` pass."""
    order: list[tuple[str, bool]] = []
    for part in (order_by.strip() or default).split(","):
        name, _, direction = part.strip().partition(" ")
        direction = direction.strip().lower()
        if name not in allowed or direction not in ("", "asc", "desc"):
            known = ", ".join(f"`{each}`" for each in allowed)
            raise Invalid(Violation("order_by", f"must be made of {known}, each with `asc` or `desc`", rule="order"))
        if any(name == seen for seen, _ in order):
            raise Invalid(Violation("order_by", f"names `{name}` twice", rule="order"))
        order.append((name, direction == "desc"))
    return tuple(order)


class PageTokens:
    """Signs page tokens. A token is good only for the list, organization, filter and order it was made for.

    It carries sort values and nothing else: no column name, limit or filter is ever read from it.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("the page key must hold at least 32 bytes")
        self._key = key

    def request(
        self,
        request: "Message",
        *,
        organization_id: str | None,
        orders: Sequence[str] | Mapping[str, Any],
        default_order: str,
    ) -> PageRequest:
        """Read the paging fields of a List request, and its token against all its other fields."""
        fields: Any = request
        violations = []
        size = fields.page_size or DEFAULT_SIZE
        if not 1 <= size <= MAX_SIZE:
            violations.append(Violation("page_size", f"must be from 0 to {MAX_SIZE}", rule="range"))
        skip = getattr(fields, "skip", 0)
        if not 0 <= skip <= MAX_SKIP:
            violations.append(Violation("skip", f"must be from 0 to {MAX_SKIP}", rule="range"))
        if violations:
            raise Invalid(*violations)
        order = parse_order(getattr(fields, "order_by", ""), orders, default_order)
        scope = self._scope(request, organization_id, order)
        return PageRequest(
            size=size,
            after=self.open(scope, fields.page_token, len(order) + 1) if fields.page_token else None,
            skip=skip,
            order=order,
            with_total=getattr(fields, "with_total_size", False),
            issue=lambda after: self.issue(scope, after),
        )

    def _scope(self, request: "Message", organization_id: str | None, order: Order) -> bytes:
        filters: Any = type(request)()
        filters.CopyFrom(request)
        for name in ("page_size", "page_token", "skip", "order_by", "with_total_size"):
            if name in request.DESCRIPTOR.fields_by_name:
                filters.ClearField(name)
        parts = [
            request.DESCRIPTOR.full_name.encode(),
            b"-" if organization_id is None else b"=" + organization_id.encode(),
            json.dumps(order).encode(),
            filters.SerializeToString(deterministic=True),
        ]
        # Lengths in front: no two lists of parts hash alike.
        return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()

    def issue(self, scope: bytes, after: tuple[Any, ...]) -> str:
        """Return the token that continues a list of this scope after these sort values."""
        body = json.dumps([_plain(value) for value in after], ensure_ascii=False, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(scope, body) + body).rstrip(b"=").decode()

    def open(self, scope: bytes, token: str, length: int) -> tuple[Any, ...]:
        """Return the sort values in a token, or raise Invalid for any token not issued for this scope."""
        try:
            if len(token) > _MAX_TOKEN:
                raise ValueError
            raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
            # Unused low bits of the last character must not give one token several spellings.
            if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
                raise ValueError
            mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(scope, body)):
                raise ValueError
            values = tuple(_rich(value) for value in json.loads(body))
        except ValueError:
            raise Invalid(
                Violation("page_token", "was not issued for this list", rule="page_token"),
                reason=Reason.INVALID_PAGE_TOKEN,
            ) from None
        if len(values) != length:
            raise Invalid(
                Violation("page_token", "was not issued for this list", rule="page_token"),
                reason=Reason.INVALID_PAGE_TOKEN,
            )
        return values

    def _mac(self, scope: bytes, body: bytes) -> bytes:
        return hmac.digest(self._key, scope + body, "sha256")


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": (value - _EPOCH) // timedelta(microseconds=1)}
    return value


def _rich(value: Any) -> Any:
    if isinstance(value, dict):
        return _EPOCH + timedelta(microseconds=value["t"])
    return value
