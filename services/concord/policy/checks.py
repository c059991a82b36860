"""Answers checks: what a principal may do, about any permission of any service."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic
from typing import Final

from concord.kernel.clock import Clock
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId, ProjectId
from concord.kernel.principal import Passport, PrincipalRef
from concord.kernel.units import Units
from concord.policy.authorize import standing_fault
from concord.policy.catalogues.loader import find_operation
from concord.policy.engine import Context, Decision, Program, Request, Resource, decide
from concord.policy.programs import Entry, Programs
from concord.policy.store import PolicyStore

REFUSED: Final = Decision(allowed=False)
# How long one list of checks may keep everything else waiting.
TURN_SECONDS: Final = 0.005
# Decisions that one call may ask for: each project of a check is one.
MAX_DECISIONS: Final = 1000


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `context.time` None is now; an empty organization is the caller's."""

    permission: str = ""
    subject: PrincipalRef | None = None
    operation: str = ""
    organization_id: str = ""
    project_ids: tuple[ProjectId, ...] = ()
    resource: Resource = field(default_factory=Resource)
    scopes: tuple[str, ...] = ()
    context: Context = field(default_factory=Context)


class Checks:
    """Decides checks of one caller, all of one list from one state of what is kept of each subject."""

    def __init__(
        self, units: Units[PolicyStore], programs: Programs, clock: Clock, catch_up: Callable[[], Awaitable[None]]
    ) -> None:
        self._units = units
        self._programs = programs
        self._clock = clock
        self._catch_up = catch_up

    async def decide(
        self, organization_id: OrganizationId, passport: Passport, checks: Sequence[Check]
    ) -> list[Decision]:
        """Return a decision for each check, in order. What is unknown is denied, never an error."""
        if sum(len(each.project_ids) or 1 for each in checks) > MAX_DECISIONS:
            told = f"must ask for at most {MAX_DECISIONS} decisions, one for each project of each"
            raise Invalid(Violation("checks", told, rule="length"))
        entries = await self._entries(organization_id, {each.subject or passport.principal for each in checks})
        projects = await self._projects(organization_id, checks)
        now = self._clock.now()
        subjects = [each.subject or passport.principal for each in checks]
        decisions = []
        began = monotonic()
        for check, subject in zip(checks, subjects, strict=True):
            decisions.append(self._decide(organization_id, passport, check, entries.get(subject), projects, now))
            if monotonic() - began > TURN_SECONDS:
                # Others have their turn, and a call that takes too long can be ended here.
                await asyncio.sleep(0)
                began = monotonic()
        return decisions

    def _decide(
        self,
        organization_id: OrganizationId,
        passport: Passport,
        check: Check,
        entry: Entry | None,
        projects: frozenset[ProjectId],
        now: datetime,
    ) -> Decision:
        if entry is None or standing_fault(entry) is not None:
            return REFUSED
        if check.organization_id not in ("", organization_id) or not projects.issuperset(check.project_ids):
            return REFUSED
        by_caller = check.subject is None or check.subject == passport.principal
        request = _request(organization_id, check, entry, passport if by_caller else None, now)
        limits = [self._programs.ceiling(check.scopes)] if check.scopes else []
        if by_caller and passport.ceiling:
            limits.append(self._programs.ceiling(passport.ceiling))
        # Several projects: the act must be allowed in each of them.
        places = check.project_ids or (ProjectId(""),)
        answers = [_limited(entry.program, replace(request, project_id=place), limits) for place in places]
        refused = next((each for each in answers if not each.allowed), None)
        if refused is not None:
            return refused
        return _merged(answers)

    async def _entries(
        self, organization_id: OrganizationId, subjects: Iterable[PrincipalRef]
    ) -> dict[PrincipalRef, Entry]:
        found: dict[PrincipalRef, Entry] = {}
        caught_up = False
        for subject in subjects:
            entry = await self._programs.find(organization_id, subject)
            if entry is None and not caught_up:
                await self._catch_up()
                caught_up = True
                entry = await self._programs.find(organization_id, subject)
            if entry is not None:
                found[subject] = entry
        return found

    async def _projects(self, organization_id: OrganizationId, checks: Sequence[Check]) -> frozenset[ProjectId]:
        asked = {project for check in checks for project in check.project_ids}
        if not asked:
            return frozenset()
        known = await self._units.read(lambda store: store.known_projects(organization_id, asked))
        if known != asked:
            await self._catch_up()
            known = await self._units.read(lambda store: store.known_projects(organization_id, asked))
        return known


def _request(
    organization_id: OrganizationId, check: Check, entry: Entry, caller: Passport | None, now: datetime
) -> Request:
    context = check.context
    if caller is not None:
        context = replace(
            context,
            ip=context.ip or caller.caller_address,
            user_agent=context.user_agent or caller.caller_agent,
            mfa=context.mfa or caller.mfa,
        )
    operation = find_operation(check.operation) if check.operation else None
    permission = check.permission or ("" if operation is None else operation.primary_permission)
    return Request(
        permission=permission,
        subject=entry.subject,
        operation=check.operation,
        resource=check.resource,
        organization_id=organization_id,
        context=replace(context, time=context.time or now),
    )


def _limited(program: Program, request: Request, limits: Sequence[Program]) -> Decision:
    if not limits:
        return decide(program, request)
    decision = decide(program, request, limits[0])
    for limit in limits[1:]:
        if decision.allowed and not decide(limit, request).allowed:
            return REFUSED
    return decision


def _merged(answers: Sequence[Decision]) -> Decision:
    if len(answers) == 1:
        return answers[0]
    reach = answers[0].reach
    for each in answers[1:]:
        reach = reach.union(each.reach)
    return Decision(
        allowed=True,
        reach=reach,
        statement_ids=tuple(dict.fromkeys(s for each in answers for s in each.statement_ids)),
        failed_conditions=tuple(dict.fromkeys(f for each in answers for f in each.failed_conditions)),
    )
