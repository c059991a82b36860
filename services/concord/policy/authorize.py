"""The question that every call of the suite puts: may this principal make it?

`DirectAuthorizer` answers inside the policy process; `handlers.py` serves the same to the others.
"""

from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime
from functools import lru_cache
from time import monotonic
from typing import Final

from concord.kernel.clock import Clock
from concord.kernel.errors import Reason, Unauthenticated
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.principal import Passport, PrincipalKind, Question, Reach, TargetClass, Verdict
from concord.kernel.units import Units
from concord.policy import engine
from concord.policy.catalogues.loader import CATALOGUES, Operation, find_operation, load_catalogue
from concord.policy.engine import Context, Decision, Program, Request, Resource, decide
from concord.policy.model import KnownOrganization, OrganizationState, PrincipalState
from concord.policy.programs import Entry, Programs
from concord.policy.store import PolicyStore

CatchUp = Callable[[], Awaitable[None]]

SYSTEM_ROLE: Final = "system"
# Asking about oneself needs to be somebody and nothing else (no right, no scope).
ALWAYS_OWN: Final = frozenset({"policy.decisions.check"})
_MAX_AGENT: Final = 255
# Keys hold texts of the caller's; long ones are not worth their room.
_MAX_KEY: Final = 512
_IMPLIED: Final = frozenset({TargetClass.ANY, TargetClass.OWN})
_ALL_CLASSES: Final = frozenset(TargetClass)
_NO_CONTEXT: Final = Context()
_NO_RESOURCE: Final = Resource()
_REFUSED: Final = Verdict(allowed=False)


class DirectAuthorizer:
    """Decides about calls, in the process that keeps the policies."""

    def __init__(self, units: Units[PolicyStore], programs: Programs, clock: Clock, catch_up: CatchUp) -> None:
        self._units = units
        self._programs = programs
        self._clock = clock
        self._catch_up = catch_up

    async def authorize(self, question: Question) -> Verdict:
        """Decide one call. Raises Unauthenticated where the passport is good no longer."""
        passport = question.passport
        if passport.is_service:
            return _about_a_service(passport)
        if passport.organization_id is None or question.deployment:
            return _REFUSED
        now = self._clock.now()
        if passport.expire_time <= now:
            raise Unauthenticated(Reason.CREDENTIAL_EXPIRED)
        organization_id = passport.organization_id
        entry = self._programs.fresh(organization_id, passport.principal, passport.rights_snapshot_id)
        if entry is None:
            entry = await self._find(organization_id, passport)
        if entry.is_slow:
            await self._programs.lanes.wait(organization_id)
            # What held before the wait may hold no longer.
            entry = await self._find(organization_id, passport)
        _require_live(entry, passport)
        if entry.is_void:
            # Rights that were frozen elsewhere are not known here, so there are none, not even the owner's.
            return _REFUSED
        key = None if entry.looks_at_context else _key(question, entry)
        if key is None:
            return await self._work_out(question, entry, now)
        verdict = entry.verdicts.get(key)
        if verdict is None:
            verdict = await self._work_out(question, entry, now)
            entry.remember(key, verdict)
        return verdict

    async def _work_out(self, question: Question, entry: Entry, now: datetime) -> Verdict:
        if question.operation:
            refusal = _refusal(question, find_operation(question.operation))
            if refusal:
                return Verdict(allowed=False, refusal=refusal)
        organization_id = entry.standing.organization.id
        name = ""
        if entry.looks_at_names and question.resource_id:
            kind = resource_type(question.permission)
            name = await self._units.look(lambda store: store.name_of(organization_id, kind, question.resource_id))
        if not entry.looks_at_context:
            return self._decide(question, entry, name, now)
        began = monotonic()
        verdict = self._decide(question, entry, name, now)
        entry.is_slow = self._programs.lanes.note(organization_id, began)
        return verdict

    async def _find(self, organization_id: OrganizationId, passport: Passport) -> Entry:
        principal, snapshot_id = passport.principal, passport.rights_snapshot_id
        entry = await self._programs.find(organization_id, principal, snapshot_id)
        if entry is None:
            # It may have been made a moment ago: what identity has committed until now decides.
            await self._catch_up()
            entry = await self._programs.find(organization_id, principal, snapshot_id)
        if entry is None:
            raise Unauthenticated(Reason.PRINCIPAL_DELETED, "the principal does not exist any more")
        return entry

    def _decide(self, question: Question, entry: Entry, name: str, now: datetime) -> Verdict:
        asked = _Asked(question, entry, name, now, self._programs)
        owner = entry.standing.organization.owner_user_id
        classes = question.classes
        if not classes:
            decision = asked.about(TargetClass.ANY)
            return _verdict(decision, _IMPLIED, owner) if decision.allowed else _REFUSED
        if question.target is not None:
            target_class = _class_of(question, entry)
            decision = asked.about(target_class)
            if not decision.allowed:
                return _REFUSED
            # A right over others is one over oneself; a right over oneself or the owner is none over others.
            granted = _IMPLIED if target_class is TargetClass.ANY else frozenset({target_class})
            return _verdict(decision, granted, owner)
        allowed = [(each, asked.about(each)) for each in (TargetClass.ANY, *classes)]
        first = next((decision for _, decision in allowed if decision.allowed), None)
        if first is None:
            return _REFUSED
        # A verdict has one reach: a class that holds elsewhere than the first does is none of it.
        granted = frozenset(each for each, decision in allowed if decision.allowed and decision.reach == first.reach)
        return _verdict(first, granted, owner)


class _Asked:
    """One question made ready to be decided for several classes of target."""

    __slots__ = ("_ceiling", "_context", "_covering", "_entry", "_question", "_resource", "_touching")

    def __init__(self, question: Question, entry: Entry, name: str, now: datetime, programs: Programs) -> None:
        self._question = question
        self._entry = entry
        passport = question.passport
        self._ceiling: Program | None = programs.ceiling(passport.ceiling) if passport.ceiling else None
        self._context, self._resource = _NO_CONTEXT, _NO_RESOURCE
        self._covering: tuple[str, ...] = ()
        self._touching: tuple[str, ...] = ()
        if entry.looks_at_context:
            agent = passport.caller_agent[:_MAX_AGENT]
            self._context = Context(ip=passport.caller_address, time=now, user_agent=agent, mfa=passport.mfa)
            if question.resource_id:
                kind = resource_type(question.permission)
                self._resource = Resource(kind, question.resource_id, name, "global", None, None, None)
        if entry.looks_at_operations or self._ceiling is not None:
            self._covering, self._touching = covered_by(question)

    def about(self, target_class: TargetClass) -> Decision:
        """Decide as if the call were about somebody of this class."""
        question = self._question
        if target_class is TargetClass.OWN and question.permission in ALWAYS_OWN:
            return Decision(allowed=True, reach=engine.EVERYWHERE, statement_ids=("own",))
        request = Request(
            class_permission(question.permission, target_class),
            self._entry.subject,
            question.operation,
            tuple(name for name in self._covering if _reaches(name, question.permission, target_class, carries=False)),
            self._touching,
            self._resource,
            question.passport.organization_id or "",
            project_of(question),
            _asks_where(question),
            self._context,
            _reaches(question.operation, question.permission, target_class, carries=True),
        )
        return decide(self._entry.program, request, self._ceiling)


def _key(question: Question, entry: Entry) -> Hashable:
    """Return all that an answer rests on beside the entry, where it rests on no circumstance; None if that is too long.

    Whom the call is about counts by class alone, and the passport by its ceiling and its frozen rights: that it is
    good was found before, and rights do not look further at which of a principal's credentials is used.
    """
    pinned = tuple(question.pinned.items()) if question.pinned else ()
    mask = question.update_mask
    if (mask or pinned) and sum(map(len, mask)) + sum(len(name) + len(value) for name, value in pinned) > _MAX_KEY:
        return None
    target_class = None if question.target is None or not question.classes else _class_of(question, entry)
    return (
        question.rpc,
        question.permission,
        question.classes,
        target_class,
        question.operation,
        project_of(question),
        _asks_where(question),
        mask,
        pinned,
        question.passport.ceiling,
        question.passport.rights_snapshot_id,
    )


@lru_cache(maxsize=4096)
def _reaches(name: str, permission: str, target_class: TargetClass, *, carries: bool) -> bool:
    """Tell whether an operation stands for a permission over this class of target.

    What it carries counts only where the operation itself is carried out: a right to create a user, which
    sets a password along the way, is no right to set anybody's password.
    """
    operation = find_operation(name) if name else None
    if operation is None:
        return False
    carried = (operation.primary_permission, *operation.carries) if carries else (operation.primary_permission,)
    if target_class is TargetClass.OWN and permission in carried:
        return True
    return class_permission(permission, target_class) in carried


def class_permission(permission: str, target_class: TargetClass) -> str:
    """Return the permission for a class: `service.own_x.verb` for one's own x."""
    if target_class is TargetClass.ANY:
        return permission
    return _class_permission(permission, target_class)


@lru_cache(maxsize=4096)
def _class_permission(permission: str, target_class: TargetClass) -> str:
    service, _, rest = permission.partition(".")
    return f"{service}.{target_class.value}_{rest}"


def project_of(question: Question) -> str:
    """Return the project that a call is about, where it is about one: its rules are those of that project."""
    return question.resource_id if resource_type(question.permission) == "identity.projects" else ""


def _asks_where(question: Question) -> bool:
    """Tell whether the answer is the projects in which a call is allowed, for lack of one that it is about."""
    return question.in_projects and not project_of(question)


def resource_type(permission: str) -> str:
    """Return the kind of thing a permission is about: `identity.users`."""
    return permission.rpartition(".")[0]


def covered_by(question: Question) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the vendor operations that cover all of the call, and those that cover any part of it."""
    covering: list[str] = []
    touching: list[str] = []
    for name in CATALOGUES:
        catalogue = load_catalogue(name)
        covering.extend(catalogue.covering(question.rpc, question.update_mask, question.pinned))
        touching.extend(catalogue.touching(question.rpc))
    return tuple(covering), tuple(touching)


def standing_fault(entry: Entry) -> Reason | None:
    """Return why a principal may not act at all, or None."""
    organization: KnownOrganization = entry.standing.organization
    if organization.state is OrganizationState.DELETED:
        return Reason.PRINCIPAL_DELETED
    if organization.state is OrganizationState.SUSPENDED:
        return Reason.PRINCIPAL_SUSPENDED
    if entry.standing.principal.state is PrincipalState.SUSPENDED:
        return Reason.PRINCIPAL_SUSPENDED
    return None


def _require_live(entry: Entry, passport: Passport) -> None:
    fault = standing_fault(entry)
    if fault is not None:
        raise Unauthenticated(fault, "the principal may not act")
    if entry.has_ended(passport):
        raise Unauthenticated(Reason.CREDENTIAL_REVOKED, "the credential was revoked")


def _about_a_service(passport: Passport) -> Verdict:
    # The deployment's administrator. The other roles have rpcs of their own class, which ask nobody.
    if passport.principal.id == SYSTEM_ROLE:
        return Verdict(allowed=True, reach=Reach(classes=_ALL_CLASSES))
    return _REFUSED


def _refusal(question: Question, operation: Operation | None) -> str:
    """Return why a claimed operation does not stand for the call, or an empty text."""
    claimed = question.operation[:200]
    if operation is None:
        return f"no operation `{claimed}` is known"
    if not _stands_for(operation, question):
        return f"operation `{claimed}` does not stand for `{question.permission}`"
    if not operation.covers_call(question.rpc, question.update_mask, question.pinned):
        return f"operation `{claimed}` does not cover what the request would do"
    return ""


def _stands_for(operation: Operation, question: Question) -> bool:
    carried = (operation.primary_permission, *operation.carries)
    return any(class_permission(question.permission, each) in carried for each in (TargetClass.ANY, *question.classes))


def _class_of(question: Question, entry: Entry) -> TargetClass:
    target = question.target
    if target == question.passport.principal and TargetClass.OWN in question.classes:
        return TargetClass.OWN
    owner = entry.standing.organization.owner_user_id
    if (
        target is not None
        and owner is not None
        and target.kind is PrincipalKind.USER
        and target.id == owner
        and TargetClass.OWNER in question.classes
    ):
        return TargetClass.OWNER
    return TargetClass.ANY


def _verdict(decision: Decision, classes: frozenset[TargetClass], owner: UserId | None) -> Verdict:
    reach = Reach(
        everything=decision.reach.everything,
        project_ids=decision.reach.project_ids,
        classes=classes,
        owner_user_id=owner,
        except_project_ids=decision.reach.except_project_ids,
    )
    return Verdict(allowed=True, reach=reach, statement_ids=decision.statement_ids)
