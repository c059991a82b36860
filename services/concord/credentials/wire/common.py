"""What all messages share: instants, principals, sets of ids, filters and update masks."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from concord.common.v1 import principal_pb2
from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import instant_to_wire, principal_to_wire

# Enums are open: any number may come.
_KINDS: Final[dict[int, PrincipalKind]] = {
    principal_pb2.PRINCIPAL_KIND_USER: PrincipalKind.USER,
    principal_pb2.PRINCIPAL_KIND_APPLICATION: PrincipalKind.APPLICATION,
    principal_pb2.PRINCIPAL_KIND_DEVICE: PrincipalKind.DEVICE,
}
_NO_HOLDER: Final = "must be a user, an application or a device"


def optional_instant_to_wire(instant: datetime | None) -> Timestamp | None:
    """Return the message for an instant that may be missing."""
    return None if instant is None else instant_to_wire(instant)


def optional_principal_to_wire(principal: PrincipalRef | None) -> principal_pb2.PrincipalRef | None:
    """Return the message for a principal that may be missing."""
    return None if principal is None else principal_to_wire(principal)


def optional_instant(message: Any, field: str, path: str) -> datetime | None:
    """Return the instant in a field, None when it is not set; raise Invalid for one that no calendar has."""
    if not message.HasField(field):
        return None
    try:
        instant: datetime = getattr(message, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Invalid(Violation(path, "must lie between the years 1 and 9999", rule="range")) from None
    return instant


def duration(message: Duration, path: str) -> timedelta:
    """Return a duration, or raise Invalid for one out of range."""
    try:
        return message.ToTimedelta()
    except (ValueError, OverflowError):
        raise Invalid(Violation(path, "is out of range", rule="range")) from None


def bearer_kind(kind: int) -> PrincipalKind | None:
    """Return the kind of principals that a filter names, None when it names none."""
    if kind == principal_pb2.PRINCIPAL_KIND_UNSPECIFIED:
        return None
    if kind not in _KINDS:
        raise Invalid(Violation("bearer_kind", _NO_HOLDER, rule="enum"))
    return _KINDS[kind]


def principal(message: principal_pb2.PrincipalRef, path: str) -> PrincipalRef:
    """Return a principal that can hold credentials, or raise Invalid."""
    kind = _KINDS.get(message.kind)
    if kind is None:
        raise Invalid(Violation(f"{path}.kind", _NO_HOLDER, rule="enum"))
    return PrincipalRef(kind, ids.parse(str, message.id, f"{path}.id"))


def principals(messages: Iterable[principal_pb2.PrincipalRef], path: str) -> frozenset[PrincipalRef] | None:
    """Return the principals that a filter names, None when it names none."""
    return frozenset(principal(each, f"{path}[{at}]") for at, each in enumerate(messages)) or None


def id_set(values: Iterable[str], path: str) -> frozenset[str] | None:
    """Return the ids that a filter names, None when it names none."""
    return frozenset(ids.parse(str, each, f"{path}[{at}]") for at, each in enumerate(values)) or None


def named_fields(paths: Iterable[str], mutable: frozenset[str]) -> frozenset[str]:
    """Return the fields that an update mask names, or raise Invalid for none and for any that cannot be changed."""
    named = frozenset(paths)
    if not named or named - mutable:
        raise Invalid(Violation("update_mask", f"must name some of {', '.join(sorted(mutable))}", rule="unknown_path"))
    return named


def search_text(text: str, path: str) -> str | None:
    """Return the text that a filter looks for, None when it looks for none."""
    if "\x00" in text:
        raise Invalid(Violation(path, "must not hold a null character", rule="pattern"))
    return text or None
