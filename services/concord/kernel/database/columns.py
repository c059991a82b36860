"""Column types that mean the same on every engine."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, String
from sqlalchemy import Text as AnyText
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode

# PostgreSQL compares text by the database's locale unless told otherwise; bytes are what
# SQLite compares, and what keeps `Foo` and `foo` two names everywhere.
Id: TypeEngine[str] = String(36).with_variant(String(36, collation="C"), "postgresql")
"""A canonical UUID."""

Text: TypeEngine[str] = AnyText().with_variant(AnyText(collation="C"), "postgresql")
"""Text of any length, compared by its bytes."""


class _Bytes(LargeBinary):
    """Drivers take bytes as they are; SQLAlchemy would wrap each value."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> None:
        """Leave values alone."""


Bytes: TypeEngine[bytes] = _Bytes()
"""Opaque bytes."""

Counter: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit integer that SQLite accepts as AUTOINCREMENT key."""


def to_microseconds(instant: datetime) -> int:
    """Return the microseconds since 1970. The instant must be aware."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Return the instant in UTC."""
    return _EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970: sorts the same and loses nothing anywhere."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_microseconds(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        """Skip the layer of the general case: every row has instants."""
        return lambda value: None if value is None else (value - _EPOCH) // _MICROSECOND

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        """The same, the other way."""
        return lambda value: None if value is None else _EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[Any]):
    """A JSON value, kept as text with sorted keys so that equal values are equal text."""

    impl = AnyText
    cache_ok = True

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not value and isinstance(value, dict | list | tuple):
            return "{}" if isinstance(value, dict) else "[]"
        return _ENCODE(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any | None:
        return _decoded(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Any]:
        """Skip the layer of the general case, as for instants."""
        return _decoded


def _decoded(value: str | None) -> Any | None:
    # Most lists and maps are empty. A fresh one each time: what is read may be changed.
    if value == "[]":
        return []
    if value == "{}":
        return {}
    return None if value is None else msgspec.json.decode(value)
