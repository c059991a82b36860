"""All that a subject may do: each known permission that a check would allow, by the same decision."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from concord.kernel.clock import Clock
from concord.kernel.errors import Invalid, Reason, Violation
from concord.kernel.ids import OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import Passport, PrincipalRef
from concord.policy.authorize import standing_fault
from concord.policy.checks.deciding import Checks, ceilings, limited, merged
from concord.policy.checks.known import (
    example_of,
    is_pattern,
    named_in,
    own_permissions,
    resource_type_of,
    supplied_permissions,
)
from concord.policy.checks.question import Check, context_of, operation_stands, path_stands, to_request
from concord.policy.engine import Decision, Program
from concord.policy.engine.model import Request
from concord.policy.programs import Entry, Programs
from concord.policy.turns import TURN_SECONDS, Lanes

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class PermissionsWanted:
    """Whose permissions, and where, as in the check `like`; its permission, where it has one, is the only one."""

    like: Check = field(default_factory=Check)
    anywhere: bool = True
    resource_types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HeldPermission:
    """A permission, or a pattern of them, and the decision that allows it."""

    permission: str
    pattern: bool
    decision: Decision


class PermissionLists:
    """Lists what subjects may do, page by page, all pages from one state and one instant."""

    def __init__(self, checks: Checks, programs: Programs, clock: Clock) -> None:
        self._checks = checks
        self._programs = programs
        self._clock = clock

    async def page(
        self, organization_id: OrganizationId, passport: Passport, wanted: PermissionsWanted, page: PageRequest
    ) -> Page[HeldPermission]:
        """Return one page. Raises Invalid where the state that the page before came from is gone."""
        check = wanted.like
        subject = check.subject or passport.principal
        entry = (await self._checks.entries(organization_id, passport, (subject,))).get(subject)
        if entry is None or standing_fault(entry) is not None or check.organization_id not in ("", organization_id):
            _require_state(page, None)
            return Page([])
        if check.project_ids:
            known = await self._checks.known_projects(organization_id, check.project_ids)
            if not known.issuperset(check.project_ids):
                return Page([])
        state = _State.of(subject, entry)
        now = _require_state(page, state) or self._clock.now()
        caller = passport if subject == passport.principal else None
        limits = ceilings(self._programs, check.scopes, caller)
        decide = _decider(organization_id, wanted, entry, caller, now, limits)
        if entry.is_slow:
            await self._programs.lanes.wait(organization_id)
        return await _collect(_names(entry, limits, wanted), page, decide, state.text(now), entry, self._programs.lanes)


@dataclass(frozen=True, slots=True)
class _State:
    """What must not change between two pages."""

    subject: PrincipalRef
    organization: int
    principal: int
    snapshot_id: str

    @classmethod
    def of(cls, subject: PrincipalRef, entry: Entry) -> "_State":
        stamps = entry.standing.stamps
        return cls(subject, stamps.organization, stamps.principal, entry.snapshot_id)

    def text(self, now: datetime) -> str:
        """Return it as page tokens carry it, with the instant of the first page."""
        instant = (now - _EPOCH) // timedelta(microseconds=1)
        subject = f"{self.subject.kind}:{self.subject.id}:{self.snapshot_id}"
        return f"{subject}:{self.organization}:{self.principal}:{instant}"


def _require_state(page: PageRequest, state: _State | None) -> datetime | None:
    """Return the instant of the first page, None on that itself; raise Invalid where the state is another one."""
    if page.after is None:
        return None
    instant = _EPOCH + timedelta(microseconds=int(page.after[1].rpartition(":")[2]))
    if state is None or state.text(instant) != page.after[1]:
        told = "what the subject may do has changed since the first page: begin again"
        raise Invalid(Violation("page_token", told, rule="page_token"), reason=Reason.INVALID_PAGE_TOKEN)
    return instant


def _names(entry: Entry, limits: Sequence[Program], wanted: PermissionsWanted) -> "_Names":
    named, patterns = named_in(entry.program)
    for limit in limits:
        # What only a limit names can be all that is left of a wider right.
        more, wide = named_in(limit)
        named, patterns = named | more, patterns | wide
    known = own_permissions() | supplied_permissions() | named
    only = wanted.like.permission
    return _Names(known, frozenset({only}) if only else known | patterns, wanted.resource_types)


class _Names:
    """The names that a list looks at, in its order."""

    def __init__(self, known: frozenset[str], every: frozenset[str], types: frozenset[str]) -> None:
        self._known = known
        self.sorted = sorted(name for name in every if not types or resource_type_of(name) in types)

    def after(self, last: str) -> Iterator[tuple[str, str]]:
        """Yield the names behind one, each with the permission to ask about."""
        for name in self.sorted[bisect_right(self.sorted, last) :] if last else self.sorted:
            yield name, example_of(name, self._known) if is_pattern(name) else name


def _decider(
    organization_id: OrganizationId,
    wanted: PermissionsWanted,
    entry: Entry,
    caller: Passport | None,
    now: datetime,
    limits: Sequence[Program],
) -> Callable[[str], Decision | None]:
    check = wanted.like
    context = context_of(check, caller, now)
    requests: list[Request] = [
        to_request(organization_id, check, entry, context, project_id=place, anywhere=wanted.anywhere)
        for place in check.project_ids or ("",)
    ]

    def decide(permission: str) -> Decision | None:
        answers = []
        stands = not check.operation or operation_stands(check.operation, permission)
        led = path_stands(permission, check.call.path)
        for request in requests:
            asked = replace(request, permission=permission, operation_stands=stands, path_stands=led)
            answer = limited(entry.program, asked, limits)
            if not answer.allowed:
                return None
            answers.append(answer)
        return merged(answers)

    return decide


async def _collect(
    names: _Names,
    page: PageRequest,
    decide: Callable[[str], Decision | None],
    state: str,
    entry: Entry,
    lanes: Lanes,
) -> Page[HeldPermission]:
    last = page.after[0] if page.after else ""
    items: list[HeldPermission] = []
    total, skipped, more = 0, 0, False
    began = monotonic()
    # To count them all is to look at them all, on every page.
    for name, permission in names.after("" if page.with_total else last):
        decision = decide(permission)
        if decision is not None:
            total += 1
            if name <= last:
                pass
            elif skipped < page.skip:
                skipped += 1
            elif len(items) < page.size:
                items.append(HeldPermission(name, name != permission, decision))
            else:
                more = True
                if not page.with_total:
                    break
        if monotonic() - began > TURN_SECONDS:
            entry.is_slow = await lanes.rest(entry.standing.organization.id, began)
            began = monotonic()
    token = page.issue((items[-1].permission, state)) if more else ""
    return Page(items, token, total if page.with_total else 0)
