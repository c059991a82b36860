"""A policy service whose neighbours are events made by hand: replicas, decision point, real servers."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from concord.common.v1.change_pb2 import ChangeEvent
from concord.credentials.v1.api_key_pb2 import ApiKey
from concord.credentials.v1.session_pb2 import Session, SessionEpoch
from concord.groups.v1.group_pb2 import Group
from concord.groups.v1.membership_pb2 import Membership
from concord.identity.v1.application_pb2 import Application
from concord.identity.v1.organization_pb2 import Organization
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.user_pb2 import USER_KIND_OWNER, USER_STATE_ACTIVE, USER_STATE_SUSPENDED, User
from concord.kernel.clock import SettableClock, SystemClock
from concord.kernel.database import Database
from concord.kernel.principal import Author, Passport, PrincipalKind, PrincipalRef, Question
from concord.kernel.rpc.wire import instant_to_wire, principal_to_wire
from concord.kernel.units import Change, Unit, Units
from concord.policy import wire
from concord.policy.authorize import DirectAuthorizer
from concord.policy.checks import Checks, PermissionLists
from concord.policy.consume import apply_credentials, apply_groups, apply_identity
from concord.policy.explaining import Explaining
from concord.policy.handlers import ExplanationHandlers
from concord.policy.model import Boundary, BoundaryKind, Statement, Subject, SubjectKind
from concord.policy.operations.grants import GrantKey, create_grant
from concord.policy.operations.policies import Draft, create_policy
from concord.policy.operations.roles import RoleDraft, create_role
from concord.policy.programs import Programs
from concord.policy.server import MIGRATIONS
from concord.policy.sql import METADATA, SqlPolicyStore
from databases import database_engines
from fakes import ORGANIZATION, open_units

__all__ = ["database_engines"]

OWNER = PrincipalRef(PrincipalKind.USER, "0a0a0a0a-0000-4000-8000-00000000000a")
_APPLY = {"identity": apply_identity, "groups": apply_groups, "credentials": apply_credentials}


def new_user() -> PrincipalRef:
    return PrincipalRef(PrincipalKind.USER, str(uuid.uuid4()))


def new_application() -> PrincipalRef:
    return PrincipalRef(PrincipalKind.APPLICATION, str(uuid.uuid4()))


def allow(*permissions: str, condition: str = "", boundary: Boundary | None = None) -> Statement:
    return Statement(id="", permissions=permissions, condition=condition, boundary=boundary)


def rule(*role_names: str, projects: tuple[str, ...] = (), condition: str = "") -> Statement:
    kind = BoundaryKind.PROJECTS if projects else BoundaryKind.ORGANIZATION
    boundary = Boundary(kind, project_ids=projects)
    return Statement(id="", role_names=role_names, boundary=boundary, condition=condition)


@dataclass
class World:
    """One organization and the decision point over it."""

    units: Units[Any]
    clock: SettableClock
    catch_ups: list[str] = field(default_factory=list)
    arriving: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    revisions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.programs = Programs(self.units)
        self.authorizer = DirectAuthorizer(self.units, self.programs, self.clock, self.catch_up)
        self.checks = Checks(self.units, self.programs, self.clock, self.catch_up)
        self.lists = PermissionLists(self.checks, self.programs, self.clock)
        self.explaining = Explaining(self.units, self.checks, self.programs, self.clock)
        self.explanations = ExplanationHandlers(self.explaining, self.authorizer)
        # What consumers would do if there were any: bring what is on its way.
        self.units._catch_up = lambda source: self.catch_up()

    async def catch_up(self) -> None:
        self.catch_ups.append("identity")
        while self.arriving:
            await self.arriving.pop(0)()

    async def apply(self, source: str, *events: ChangeEvent) -> None:
        for event in events:
            self.revisions[source] = event.revision = self.revisions.get(source, 0) + 1
            event.organization_id = event.organization_id or ORGANIZATION
            event.time.CopyFrom(instant_to_wire(self.clock.now()))
        await self.units.apply(source, events, _APPLY[source])

    async def do(self, operation: Callable[[Unit[Any]], Any]) -> Any:
        self.clock.advance(timedelta(seconds=1))
        return await self.units.system(ORGANIZATION, operation, Author())

    async def recorded(self, operation: Callable[[Unit[Any]], Any]) -> list[Change]:
        seen: list[Change] = []

        def body(unit: Unit[Any]) -> None:
            operation(unit)
            seen[:] = unit.changes

        await self.do(body)
        return seen

    async def ask(self, question: Callable[[SqlPolicyStore], Any]) -> Any:
        return await self.units.read(question)

    async def born(self, *catalogues: str) -> None:
        organization = Organization(id=ORGANIZATION, owner_user_id=OWNER.id, catalogues=catalogues)
        owner = User(id=OWNER.id, kind=USER_KIND_OWNER, username="owner", state=USER_STATE_ACTIVE)
        await self.apply("identity", made("organization", organization), made("user", owner))

    async def user(self, ref: PrincipalRef | None = None, *, name: str = "somebody") -> PrincipalRef:
        ref = ref or new_user()
        await self.apply("identity", made("user", User(id=ref.id, username=name, state=USER_STATE_ACTIVE)))
        return ref

    async def application(self, name: str = "program") -> PrincipalRef:
        ref = new_application()
        await self.apply("identity", made("application", Application(id=ref.id, name=name)))
        return ref

    async def suspend(self, ref: PrincipalRef) -> None:
        user = User(id=ref.id, username="somebody", state=USER_STATE_SUSPENDED)
        await self.apply("identity", event("user.suspended", user))

    async def project(self) -> str:
        project = Project(id=str(uuid.uuid4()), name="project")
        await self.apply("identity", made("project", project))
        return project.id

    async def group(self, *members: PrincipalRef, parent: str = "") -> str:
        group = Group(id=str(uuid.uuid4()), parent_group_id=parent)
        group.name.text = "crew"
        await self.apply("groups", made("group", group))
        for member in members:
            await self.join(group.id, member)
        return group.id

    async def join(self, group_id: str, member: PrincipalRef) -> None:
        await self.apply("groups", event("membership.created", _membership(group_id, member)))

    async def leave(self, group_id: str, member: PrincipalRef) -> None:
        await self.apply("groups", event("membership.deleted", _membership(group_id, member), gone=True))

    async def policy(self, subject: Subject | PrincipalRef, *statements: Statement, **more: Any) -> Any:
        if isinstance(subject, PrincipalRef):
            subject = Subject.of(subject)
        language = "role_rules" if any(each.role_names for each in statements) else "statements"
        draft = Draft("policy", subject=subject, language=language, statements=statements, **more)
        return await self.do(lambda unit: create_policy(unit, draft))

    async def role(self, *permissions: str, **more: Any) -> Any:
        return await self.do(lambda unit: create_role(unit, RoleDraft(permissions=permissions, **more)))

    async def grant(self, holder: Subject | PrincipalRef, role: Any, boundary: Boundary | None = None) -> Any:
        subject = Subject.of(holder) if isinstance(holder, PrincipalRef) else holder
        key = GrantKey(subject, role if isinstance(role, str) else role.id, boundary)
        grant, _ = await self.do(lambda unit: create_grant(unit, key))
        return grant

    def passport(self, principal: PrincipalRef, **changes: Any) -> Passport:
        now = self.clock.now()
        return replace(Passport(principal, ORGANIZATION, now, now + timedelta(minutes=5)), **changes)

    def question(self, principal: PrincipalRef, permission: str, **more: Any) -> Question:
        passport = self.passport(principal, **more.pop("passport", {}))
        return Question(passport, more.pop("rpc", "concord.test.v1.TestService/Do"), permission, **more)

    async def allows(self, principal: PrincipalRef, permission: str, **more: Any) -> bool:
        return (await self.authorizer.authorize(self.question(principal, permission, **more))).allowed


def _membership(group_id: str, member: PrincipalRef) -> Membership:
    membership = Membership(id=str(uuid.uuid4()), principal=principal_to_wire(member))
    membership.container.group_id = group_id
    return membership


def event(type_: str, resource: Any, *, gone: bool = False, resource_id: str = "") -> ChangeEvent:
    """An event about a resource, as its producer would send it."""
    change = ChangeEvent(type=type_, resource_type=type_.partition(".")[0], resource_id=resource_id or resource.id)
    (change.before if gone else change.after).Pack(resource)
    return change


def made(resource_type: str, resource: Any) -> ChangeEvent:
    return event(f"{resource_type}.created", resource)


def deleted(resource_type: str, resource_id: str, message: Any) -> ChangeEvent:
    return event(f"{resource_type}.deleted", message(id=resource_id), gone=True)


def key_event(type_: str, key_id: str, bearer: PrincipalRef, **more: Any) -> ChangeEvent:
    return event(type_, ApiKey(id=key_id, bearer=principal_to_wire(bearer), **more), gone=type_.endswith("deleted"))


def session_event(session_id: str, principal: PrincipalRef) -> ChangeEvent:
    return event("session.ended", Session(id=session_id, principal=principal_to_wire(principal)))


def epoch_event(principal: PrincipalRef, at: Any) -> ChangeEvent:
    epoch = SessionEpoch(principal=principal_to_wire(principal), epoch_time=instant_to_wire(at))
    return event("session.epoch_raised", epoch, resource_id=principal.id)


def in_group(group_id: str) -> Subject:
    return Subject(SubjectKind.GROUP, group_id)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An organization with its owner, on an embedded database."""
    clock = SettableClock(SystemClock().now())
    async with open_units(
        tmp_path, METADATA, SqlPolicyStore, wire.snapshot, service="policy", clock=clock, migrations=MIGRATIONS
    ) as units:
        world = World(units, clock)
        await world.born()
        yield world


@dataclass
class Stored:
    """A store over either engine, one unit a call."""

    database: Database

    async def do(self, fn: Callable[[SqlPolicyStore], Any]) -> Any:
        return (await self.database.write(ORGANIZATION, lambda connection: fn(SqlPolicyStore(connection)))).value


@pytest.fixture
async def both(database_engines: Callable[..., Awaitable[Database]]) -> Stored:
    """A migrated database on the engine of this run."""
    return Stored(await database_engines(METADATA, MIGRATIONS))
