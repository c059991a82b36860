"""Audit events, the differences they show and the chain that binds them. Pure values and rules."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from concord.kernel.ids import AuditEventId, OrganizationId
from concord.kernel.principal import PrincipalRef

NO_HASH: Final = bytes(32)


class Outcome(StrEnum):
    """How an act ended. Only what was committed is heard of here."""

    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that a change touched; values are plain JSON, None where there was nothing."""

    field: str
    old: Any = None
    new: Any = None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """That something was changed."""

    id: AuditEventId
    organization_id: OrganizationId
    time: datetime
    source: str
    source_revision: int
    action: str
    resource_type: str
    resource_id: str
    resource_name: str = ""
    actor: PrincipalRef | None = None
    actor_session_id: str = ""
    actor_api_key_id: str = ""
    ip: str = ""
    user_agent: str = ""
    rpc: str = ""
    operation: str = ""
    call_id: str = ""
    changes: tuple[FieldChange, ...] = ()
    outcome: Outcome = Outcome.SUCCEEDED
    sequence: int = 0
    previous_hash: bytes = NO_HASH
    hash: bytes = NO_HASH
    record: bytes = b""
    """The change as its source told it, in bytes; all the above but the chain is read from it."""


class Entry(NamedTuple):
    """A change on its way into the book: what was said of it, and what lists look for."""

    organization_id: OrganizationId
    id: AuditEventId
    time: datetime
    source: str
    action: str
    resource_type: str
    resource_id: str
    resource_name: str
    actor_id: str
    record: bytes


def chain_hash(previous_hash: bytes, sequence: int, source: str, record: bytes) -> bytes:
    """Return the hash of an event; the contract tells strangers how, so that they can verify it."""
    return hashlib.sha256(b"%b%d %b %b" % (previous_hash, sequence, source.encode(), record)).digest()


def action_of(event_type: str) -> str:
    """Return what happened, from an event's type: `application.deleted` → `deleted`."""
    return event_type.rpartition(".")[2]


def differences(before: Mapping[str, Any], after: Mapping[str, Any], order: Sequence[str]) -> tuple[FieldChange, ...]:
    """Return what differs between two flat records, fields in this order, those it does not name behind by name."""
    place = {name: at for at, name in enumerate(order)}
    names = sorted(before.keys() | after.keys(), key=lambda name: (place.get(name.partition(".")[0], len(place)), name))
    return tuple(
        FieldChange(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    )


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list; conditions are ANDed, None and empty mean no condition."""

    ids: tuple[str, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None
    actions: tuple[str, ...] = ()
    resource_types: tuple[str, ...] = ()
    resource_id: str = ""
    actor_ids: tuple[str, ...] = ()
    text: str = ""
