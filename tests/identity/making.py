"""Values of identity for tests, and a world to act in: a real store in a file that dies with its test."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from concord.identity.drafts import OrganizationDraft, UserDraft
from concord.identity.model import Application, Organization, Project, SecuritySettings, User, UserKind
from concord.identity.operations.organizations import create_organization
from concord.identity.sql import SqlIdentityStore
from concord.identity.store import IdentityStore
from concord.kernel import ids
from concord.kernel.clock import SettableClock
from concord.kernel.database import Database
from concord.kernel.ids import ApplicationId, OrganizationId, ProjectId, UserId
from concord.kernel.principal import Author, PrincipalKind, PrincipalRef, Reach, TargetClass
from concord.kernel.units import Change, Unit
from fakes import ORGANIZATION, START

T = TypeVar("T")

ALL = frozenset({TargetClass.ANY, TargetClass.OWN, TargetClass.OWNER})


def user(name: str = "ann", **changes: Any) -> User:
    """A member."""
    given: dict[str, Any] = {
        "id": ids.new(UserId),
        "organization_id": ORGANIZATION,
        "kind": UserKind.MEMBER,
        "username": name,
        "create_time": START,
        "update_time": START,
    }
    return User(**{**given, **changes})


def application(name: str = "deploy", **changes: Any) -> Application:
    """An application."""
    given: dict[str, Any] = {
        "id": ids.new(ApplicationId),
        "organization_id": ORGANIZATION,
        "name": name,
        "create_time": START,
        "update_time": START,
    }
    return Application(**{**given, **changes})


def project(name: str = "web", **changes: Any) -> Project:
    """A project that is not the default one."""
    given: dict[str, Any] = {
        "id": ids.new(ProjectId),
        "organization_id": ORGANIZATION,
        "name": name,
        "create_time": START,
        "update_time": START,
    }
    return Project(**{**given, **changes})


def organization(**changes: Any) -> Organization:
    """An organization, as the store keeps it."""
    given: dict[str, Any] = {
        "id": ORGANIZATION,
        "number": 1,
        "slug": "acme",
        "name": "Acme",
        "owner_user_id": ids.new(UserId),
        "owner_email": "owner@acme.example",
        "create_time": START,
        "update_time": START,
    }
    return Organization(**{**given, **changes})


def settings(organization_id: OrganizationId = ORGANIZATION) -> SecuritySettings:
    """Security settings as an organization is born with."""
    return SecuritySettings(organization_id=organization_id, create_time=START, update_time=START)


class World:
    """One database, and organizations in it to act in."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = SettableClock(START)
        self.changes: list[Change] = []

    async def act(
        self,
        operation: Callable[[Unit[IdentityStore]], T],
        *,
        organization_id: OrganizationId = ORGANIZATION,
        reach: Reach | None = None,
        principal: PrincipalRef | None = None,
    ) -> T:
        """Carry out an operation in a unit of its own and keep what it recorded."""
        self.clock.advance(timedelta(seconds=1))
        units: list[Unit[Any]] = []

        def body(connection: Any) -> T:
            unit: Unit[Any] = Unit(
                SqlIdentityStore(connection),
                organization_id,
                self.clock.now(),
                Author(principal=principal),
                reach or Reach(classes=ALL),
            )
            units.append(unit)
            return operation(unit)

        written = await self.database.write(organization_id, body)
        self.changes.extend(units[-1].changes)
        return written.value

    async def see(self, fn: Callable[[IdentityStore], T]) -> T:
        """Read."""
        return await self.database.read(lambda connection: fn(SqlIdentityStore(connection)))

    async def found(
        self,
        organization_id: OrganizationId = ORGANIZATION,
        *,
        name: str = "Acme",
        email: str = "owner@acme.example",
        **draft: Any,
    ) -> Organization:
        """Found an organization."""
        return await self.act(
            lambda unit: create_organization(
                unit, OrganizationDraft(name=name, **draft), UserDraft(primary_email=email), ()
            ),
            organization_id=organization_id,
        )

    @property
    def events(self) -> list[str]:
        """What was recorded, in order."""
        return [change.type for change in self.changes]


def own_only(user_id: str) -> tuple[Reach, PrincipalRef]:
    """The reach of somebody who may act on himself alone."""
    return Reach(classes=frozenset({TargetClass.OWN})), PrincipalRef(PrincipalKind.USER, user_id)


def of(thing: Any, organization_id: OrganizationId) -> Any:
    """The same thing in another organization."""
    return replace(thing, organization_id=organization_id)
