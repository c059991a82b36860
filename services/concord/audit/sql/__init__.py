"""The SQL store of audit events: keeps the promises of `store.py` on SQLite and PostgreSQL."""

from typing import Any

from sqlalchemy import bindparam, insert, select

from concord.audit.model import NO_HASH, AuditEvent, EventFilter, FieldChange, Outcome
from concord.audit.sql.tables import audit_event, events_listing
from concord.kernel.database import Connection, Row, UniqueViolation
from concord.kernel.ids import AuditEventId, OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef

_e = audit_event.c
_in_org = _e.organization_id == bindparam("organization")
_FIND = select(audit_event).where(_in_org, _e.id == bindparam("id"))
_LAST = select(_e.sequence, _e.hash).where(_in_org).order_by(_e.sequence.desc()).limit(1)
_INSERT = insert(audit_event)


class SqlStore:
    """Audit events over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # What this unit itself has put at the end of each chain.
        self._ends: dict[OrganizationId, tuple[int, bytes]] = {}

    def append(self, event: AuditEvent) -> AuditEvent:
        sequence, previous_hash = self._end_of(event.organization_id)
        placed = event.chained(sequence + 1, previous_hash)
        try:
            self._connection.execute_unique(_INSERT, _values(placed))
        except UniqueViolation:
            kept = self.find_event(event.organization_id, event.id)
            if kept is None:
                raise
            return kept
        self._ends[event.organization_id] = (placed.sequence, placed.hash)
        return placed

    def _end_of(self, organization_id: OrganizationId) -> tuple[int, bytes]:
        """Return the last event's place and hash. Units of one organization never overlap: it stays the last."""
        end = self._ends.get(organization_id)
        if end is not None:
            return end
        last = self._connection.execute(_LAST, {"organization": organization_id}).one_or_none()
        return (0, NO_HASH) if last is None else (last.sequence, bytes(last.hash))

    def find_event(self, organization_id: OrganizationId, event_id: AuditEventId) -> AuditEvent | None:
        row = self._connection.execute(_FIND, {"organization": organization_id, "id": event_id}).one_or_none()
        return None if row is None else _event(row)

    def list_events(
        self, organization_id: OrganizationId, criteria: EventFilter, page: PageRequest
    ) -> Page[AuditEvent]:
        filters = {
            "organization": organization_id,
            "ids": criteria.ids or None,
            "start_time": criteria.start_time,
            "end_time": criteria.end_time,
            "actions": criteria.actions or None,
            "resource_types": criteria.resource_types or None,
            "resource_id": criteria.resource_id or None,
            "actor_ids": criteria.actor_ids or None,
            "text": _containing(criteria.text) if criteria.text else None,
        }
        return events_listing.page(self._connection, page, filters, _event)


def _containing(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, "\\" + special)
    # ASCII only, as the engines fold.
    folded = "".join(chr(ord(each) + 32) if "A" <= each <= "Z" else each for each in text)
    return f"%{folded}%"


def _event(row: Row) -> AuditEvent:
    return AuditEvent(
        id=AuditEventId(row.id),
        organization_id=OrganizationId(row.organization_id),
        time=row.time,
        source=row.source,
        source_revision=row.source_revision,
        action=row.action,
        resource_type=row.resource_type,
        resource_id=row.resource_id,
        resource_name=row.resource_name,
        actor=None if row.actor_kind is None else PrincipalRef(PrincipalKind(row.actor_kind), row.actor_id),
        actor_session_id=row.actor_session_id,
        actor_api_key_id=row.actor_api_key_id,
        ip=row.ip,
        user_agent=row.user_agent,
        rpc=row.rpc,
        operation=row.operation,
        call_id=row.call_id,
        changes=tuple(FieldChange(field, old, new) for field, old, new in row.changes),
        outcome=Outcome(row.outcome),
        sequence=row.sequence,
        previous_hash=bytes(row.previous_hash),
        hash=bytes(row.hash),
    )


def _values(event: AuditEvent) -> dict[str, Any]:
    return {
        "organization_id": event.organization_id,
        "id": event.id,
        "sequence": event.sequence,
        "time": event.time,
        "source": event.source,
        "source_revision": event.source_revision,
        "action": event.action,
        "resource_type": event.resource_type,
        "resource_id": event.resource_id,
        "resource_name": event.resource_name,
        "actor_kind": None if event.actor is None else event.actor.kind.value,
        "actor_id": "" if event.actor is None else event.actor.id,
        "actor_session_id": event.actor_session_id,
        "actor_api_key_id": event.actor_api_key_id,
        "ip": event.ip,
        "user_agent": event.user_agent,
        "rpc": event.rpc,
        "operation": event.operation,
        "call_id": event.call_id,
        "changes": [[each.field, each.old, each.new] for each in event.changes],
        "outcome": event.outcome.value,
        "previous_hash": event.previous_hash,
        "hash": event.hash,
    }
