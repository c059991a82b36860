"""The SQL store of audit events: keeps the promises of `store.py` on SQLite and PostgreSQL."""

from sqlalchemy import bindparam, insert, select

from concord.audit.model import NO_HASH, AuditEvent, Entry, EventFilter, chain_hash
from concord.audit.records import event_of
from concord.audit.sql.tables import audit_event, events_listing
from concord.kernel.database import Connection, Row
from concord.kernel.ids import AuditEventId, OrganizationId
from concord.kernel.paging import Page, PageRequest

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

    def append(self, entry: Entry) -> None:
        last, previous_hash = self._end_of(entry.organization_id)
        sequence = last + 1
        hash_ = chain_hash(previous_hash, sequence, entry.source, entry.record)
        row = {
            "organization_id": entry.organization_id,
            "id": entry.id,
            "sequence": sequence,
            "time": entry.time,
            "source": entry.source,
            "action": entry.action,
            "resource_type": entry.resource_type,
            "resource_id": entry.resource_id,
            "resource_name": entry.resource_name,
            "actor_id": entry.actor_id,
            "record": entry.record,
            "previous_hash": previous_hash,
            "hash": hash_,
        }
        self._connection.execute_later(_INSERT, row)
        self._ends[entry.organization_id] = (sequence, hash_)

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
    return event_of(
        row.source,
        bytes(row.record),
        sequence=row.sequence,
        previous_hash=bytes(row.previous_hash),
        hash_=bytes(row.hash),
    )
