"""Audit events, the differences they show and the chain that binds them. Pure values and rules."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from concord.kernel.ids import AuditEventId, OrganizationId
from concord.kernel.principal import PrincipalRef

NO_HASH: Final = bytes(32)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ENCODE: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


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

    def chained(self, sequence: int, previous_hash: bytes) -> "AuditEvent":
        """Return the event in its place in the organization's chain."""
        content = self._content(sequence)
        return replace(self, sequence=sequence, previous_hash=previous_hash, hash=_hash(previous_hash, content))

    def expected_hash(self) -> bytes:
        """Return the hash that this content and the event before it call for."""
        return _hash(self.previous_hash, self.canonical())

    def canonical(self) -> bytes:
        """Return the content as bytes; the contract tells strangers how, so that they can verify it."""
        return self._content(self.sequence)

    def _content(self, sequence: int) -> bytes:
        content = {
            "id": self.id,
            "organization_id": self.organization_id,
            "time": (self.time - _EPOCH) // _MICROSECOND,
            "actor": None if self.actor is None else [self.actor.kind.value, self.actor.id],
            "actor_session_id": self.actor_session_id,
            "actor_api_key_id": self.actor_api_key_id,
            "ip": self.ip,
            "user_agent": self.user_agent,
            "action": self.action,
            "rpc": self.rpc,
            "operation": self.operation,
            "resource_type": self.resource_type,
            "resource_id": self.resource_id,
            "resource_name": self.resource_name,
            "changes": [[each.field, each.old, each.new] for each in self.changes],
            "outcome": self.outcome.value,
            "call_id": self.call_id,
            "source": self.source,
            "source_revision": self.source_revision,
            "sequence": sequence,
        }
        return _ENCODE(content).encode("ascii")


def _hash(previous_hash: bytes, content: bytes) -> bytes:
    return hashlib.sha256(previous_hash + content).digest()


def first_broken(events: Sequence[AuditEvent], previous_hash: bytes = NO_HASH) -> AuditEvent | None:
    """Return the first event that does not follow from the one before it; None when the chain holds."""
    for event in events:
        if event.previous_hash != previous_hash or event.hash != event.expected_hash():
            return event
        previous_hash = event.hash
    return None


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
