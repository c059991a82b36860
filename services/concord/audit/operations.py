"""What can be done with events: keep one, find one, list them. Nothing changes or removes one."""

from concord.audit.model import AuditEvent, Entry, EventFilter
from concord.audit.store import Store
from concord.kernel import ids
from concord.kernel.errors import NotFound
from concord.kernel.ids import AuditEventId, OrganizationId
from concord.kernel.paging import Page, PageRequest


def keep(store: Store, entry: Entry) -> None:
    """Put a change at the end of its organization's chain."""
    store.append(entry)


def get_event(store: Store, organization_id: OrganizationId, event_id: str) -> AuditEvent:
    """Return one event."""
    folded = event_id.lower()
    event = store.find_event(organization_id, AuditEventId(folded)) if ids.is_canonical(folded) else None
    if event is None:
        raise NotFound("audit_event", event_id)
    return event


def list_events(
    store: Store, organization_id: OrganizationId, criteria: EventFilter, page: PageRequest
) -> Page[AuditEvent]:
    """Return a page of events."""
    return store.list_events(organization_id, criteria, page)
