"""The question that is explained, and how it is put again to other sources."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from concord.kernel.ids import OrganizationId, ProjectId
from concord.kernel.principal import Passport
from concord.policy.checks import Check
from concord.policy.checks.question import NO_CONTEXT, context_of, to_request
from concord.policy.engine import Program, Request
from concord.policy.programs import Entry

_WHOLE_ORGANIZATION = (ProjectId(""),)


@dataclass(frozen=True, slots=True)
class Asked:
    """A check of somebody who is known, in places that are known, by a caller who may ask."""

    organization_id: OrganizationId
    check: Check
    entry: Entry
    caller: Passport | None
    """The passport, where the check is about its bearer."""
    limits: Sequence[Program]
    now: datetime

    @property
    def places(self) -> Sequence[ProjectId]:
        """Where the act happens: in each of these projects, or in the organization."""
        return self.check.project_ids or _WHOLE_ORGANIZATION

    @property
    def may_move(self) -> bool:
        """Whether a statement that asks to what kind of place a path leads would change what others are asked."""
        return bool(self.check.call.path) and not self.check.project_ids

    def request(self, place: ProjectId) -> Request:
        """Return what the subject's program is asked about a place."""
        looks = self.entry.looks_at_context or bool(self.check.call.path)
        context = context_of(self.check, self.caller, self.now) if looks else NO_CONTEXT
        return to_request(self.organization_id, self.check, self.entry, context, project_id=place)

    def whole_request(self, place: ProjectId, *, by_place: bool) -> Request:
        """Return what a program is asked that may look at anything."""
        context = context_of(self.check, self.caller, self.now)
        entry = replace(self.entry, looks_at_context=True)
        return to_request(self.organization_id, self.check, entry, context, project_id=place)
