"""What the audit service asks of a store. The promises are here; `sql.py` keeps them."""

from typing import Final, Protocol

from concord.audit.model import AuditEvent, Entry, EventFilter
from concord.kernel.ids import AuditEventId, OrganizationId
from concord.kernel.paging import Page, PageRequest

# The place in the chain breaks ties of time.
EVENT_ORDERS: Final = ("time", "sequence")


class Store(Protocol):
    """Events by organization, one chain each. Nothing here changes or removes an event."""

    def append(self, entry: Entry) -> None:
        """Put the change at the end of its organization's chain.

        It may be written only at the end of the unit, which fails when the id is there already.
        """

    def find_event(self, organization_id: OrganizationId, event_id: AuditEventId) -> AuditEvent | None:
        """Return the event, or None; another organization's event is absent."""

    def list_events(
        self, organization_id: OrganizationId, criteria: EventFilter, page: PageRequest
    ) -> Page[AuditEvent]:
        """Return a page of the events that match, ordered by time and sequence as the page asks.

        `start_time` belongs to the range, `end_time` does not. `text` is looked for in resource id,
        resource name and actor id, letter case ignored for A to Z.
        """
