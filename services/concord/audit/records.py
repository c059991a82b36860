"""Between a change as its source told it and the event that is kept of it.

What is kept is the change's own bytes. An event is read from them when somebody asks for it, which
is seldom; changes are many.
"""

from collections.abc import Sequence

from concord.audit.diff import UnknownResource, changed_fields
from concord.audit.model import NO_HASH, AuditEvent, Entry, FieldChange, action_of, chain_hash
from concord.common.v1.change_pb2 import ChangeEvent
from concord.kernel import ids
from concord.kernel.ids import AuditEventId, OrganizationId
from concord.kernel.rpc.wire import author_from_wire, instant_from_wire


def entry_of(source: str, change: ChangeEvent) -> Entry:
    """Return what is to be kept of a change."""
    return Entry(
        OrganizationId(change.organization_id),
        _id_of(source, change),
        instant_from_wire(change.time),
        source,
        action_of(change.type),
        change.resource_type,
        change.resource_id,
        change.resource_name,
        change.author.principal.id,
        change.SerializeToString(),
    )


def event_of(source: str, record: bytes, *, sequence: int, previous_hash: bytes, hash_: bytes) -> AuditEvent:
    """Return the event of a change that has been kept."""
    change = ChangeEvent.FromString(record)
    author = author_from_wire(change.author)
    return AuditEvent(
        id=_id_of(source, change),
        organization_id=OrganizationId(change.organization_id),
        time=instant_from_wire(change.time),
        source=source,
        source_revision=change.revision,
        action=action_of(change.type),
        resource_type=change.resource_type,
        resource_id=change.resource_id,
        resource_name=change.resource_name,
        actor=author.principal,
        actor_session_id=author.session_id or "",
        actor_api_key_id=author.api_key_id or "",
        ip=author.caller_address,
        user_agent=author.caller_agent,
        rpc=author.rpc,
        operation=author.operation,
        call_id=author.call_id,
        changes=_changes_of(change),
        sequence=sequence,
        previous_hash=previous_hash,
        hash=hash_,
        record=record,
    )


def first_broken(events: Sequence[AuditEvent], previous_hash: bytes = NO_HASH) -> AuditEvent | None:
    """Return the first event that does not follow from the one before it; None when the chain holds."""
    for event in events:
        hash_ = chain_hash(previous_hash, event.sequence, event.source, event.record)
        told = event_of(event.source, event.record, sequence=event.sequence, previous_hash=previous_hash, hash_=hash_)
        if event != told:
            return event
        previous_hash = hash_
    return None


def _id_of(source: str, change: ChangeEvent) -> AuditEventId:
    identity: AuditEventId = ids.derive(AuditEventId, source, str(change.revision))
    return identity


def _changes_of(change: ChangeEvent) -> tuple[FieldChange, ...]:
    try:
        return changed_fields(change.before, change.after)
    except UnknownResource:
        # Kept by a newer process than this one; the record tells those who know.
        return ()
