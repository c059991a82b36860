"""What identity knows: organizations and the principals in them. Values only; rules for texts are in `rules`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from concord.kernel.errors import Conflict, Precondition, Reason
from concord.kernel.ids import ApplicationId, OrganizationId, ProjectId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef


class OrganizationState(StrEnum):
    """Where an organization is in its life."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class UserKind(StrEnum):
    """What a user is to the organization."""

    OWNER = "owner"
    MEMBER = "member"
    GUEST = "guest"
    CUSTOMER = "customer"


class UserState(StrEnum):
    """Where a user is in their life."""

    INVITED = "invited"
    PROVISIONED = "provisioned"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class ApplicationState(StrEnum):
    """Whether an application's credentials work."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class Population(StrEnum):
    """Who shares a space of addresses: customers are apart from everybody else."""

    STAFF = "staff"
    CUSTOMERS = "customers"


class DirectoryKind(StrEnum):
    """What identity looks up across the whole deployment; nothing else is."""

    NUMBER = "number"
    SLUG = "slug"
    ALIAS = "alias"
    OWNER_EMAIL = "owner_email"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What every stored thing carries beside its own fields."""

    organization_id: OrganizationId
    create_time: datetime
    update_time: datetime
    version: int = 1
    catalogue: str = ""
    editable: bool = True
    deletable: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def managed(self) -> bool:
        """Whether the platform supplied it."""
        return bool(self.catalogue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """The unit of isolation."""

    id: OrganizationId
    number: int
    slug: str
    name: str
    owner_user_id: UserId
    owner_email: str
    create_time: datetime
    update_time: datetime
    alias: str = ""
    description: str = ""
    default_language: str = "en"
    languages: tuple[str, ...] = ("en",)
    login_password_enabled: bool = True
    login_oauth_enabled: bool = True
    login_magic_code_enabled: bool = True
    login_federation_enabled: bool = False
    catalogues: tuple[str, ...] = ()
    state: OrganizationState = OrganizationState.ACTIVE
    attributes: Mapping[str, str] = field(default_factory=dict)
    version: int = 1

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """Form that a new password must have."""

    min_length: int = 8
    max_length: int = 512
    min_lower: int = 0
    min_upper: int = 0
    min_digits: int = 0
    min_symbols: int = 0
    username_allowed: bool = False
    previous_allowed: bool = False

    def is_tighter_than(self, before: "PasswordRules") -> bool:
        """Tell whether a password may be refused that was good before."""
        return (
            self.max_length < before.max_length
            or any(getattr(self, name) > getattr(before, name) for name in _MINIMA)
            or (before.username_allowed and not self.username_allowed)
            or (before.previous_allowed and not self.previous_allowed)
        )


_MINIMA = ("min_length", "min_lower", "min_upper", "min_digits", "min_symbols")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuritySettings:
    """What an organization demands of its people's credentials; the defaults are those of its birth."""

    organization_id: OrganizationId
    create_time: datetime
    update_time: datetime
    enforce_password_renewal: bool = False
    grace_period: timedelta = timedelta(days=3)
    max_login_attempts: int = 10
    max_session_ttl: timedelta = timedelta(days=30)
    max_api_key_ttl: timedelta = timedelta(0)
    password_rules: PasswordRules = PasswordRules()
    temporary_password_ttl: timedelta = timedelta(days=1)
    enforce_mfa: bool = False
    version: int = 1

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    def is_tighter_than(self, before: "SecuritySettings") -> bool:
        """Tell whether anything is demanded, forbidden or shortened that was not before."""
        return (
            (self.enforce_password_renewal and not before.enforce_password_renewal)
            or (self.enforce_mfa and not before.enforce_mfa)
            or self.max_login_attempts < before.max_login_attempts
            or any(getattr(self, name) < getattr(before, name) for name in _ALLOWANCES)
            # Keys without end are the longest there are.
            or (self.max_api_key_ttl or timedelta.max) < (before.max_api_key_ttl or timedelta.max)
            or self.password_rules.is_tighter_than(before.password_rules)
        )


_ALLOWANCES = ("grace_period", "max_session_ttl", "temporary_password_ttl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project(Entity):
    """A part of an organization that resources live in."""

    id: ProjectId
    name: str
    description: str = ""
    group_id: str = ""

    @property
    def is_default(self) -> bool:
        """Whether it stands in where no project is named: its id is the organization's."""
        return str(self.id) == str(self.organization_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Entity):
    """A person in one organization."""

    id: UserId
    kind: UserKind
    username: str
    nickname: str = ""
    given_name: str = ""
    family_name: str = ""
    phone_number: str = ""
    locale: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    primary_email: str = ""
    interactive_login: bool = True
    division_ids: tuple[str, ...] = ()
    state: UserState = UserState.ACTIVE
    suspension_reason: str = ""
    last_login_time: datetime | None = None
    mfa_enabled: bool = False
    password_locked: bool = False

    @property
    def is_owner(self) -> bool:
        """Whether this is the organization's owner."""
        return self.kind is UserKind.OWNER

    @property
    def locked(self) -> bool:
        """Whether the user cannot log in."""
        return self.password_locked or self.state is UserState.SUSPENDED

    @property
    def population(self) -> Population:
        """The space in which the user's addresses are unique."""
        return Population.CUSTOMERS if self.kind is UserKind.CUSTOMER else Population.STAFF

    @property
    def ref(self) -> PrincipalRef:
        """The user as a principal."""
        return PrincipalRef(PrincipalKind.USER, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application(Entity):
    """A program with an identity of its own."""

    id: ApplicationId
    name: str
    description: str = ""
    tags: tuple[str, ...] = ()
    state: ApplicationState = ApplicationState.ACTIVE
    api_key_count: int = 0

    @property
    def ref(self) -> PrincipalRef:
        """The application as a principal."""
        return PrincipalRef(PrincipalKind.APPLICATION, self.id)


@dataclass(frozen=True, slots=True)
class Quota:
    """An organization's limit on one kind of thing; `limit` None means unlimited."""

    organization_id: OrganizationId
    name: str
    limit: int | None


def check_etag(etag: str, version: int, resource_type: str, resource_id: str) -> None:
    """Raise Conflict when an etag is given and is not that of this version."""
    if etag and etag != str(version):
        raise Conflict(resource_type, resource_id)


def check_editable(entity: Entity, resource_type: str, resource_id: str) -> None:
    """Raise Precondition where people may not change the thing."""
    if not entity.editable:
        message = f"{resource_type} `{resource_id}` was supplied by the platform and cannot be changed"
        raise Precondition(Reason.RESOURCE_MANAGED, message, resource_type, resource_id)


def check_deletable(entity: Entity, resource_type: str, resource_id: str) -> None:
    """Raise Precondition where people may not delete the thing."""
    if not entity.deletable:
        message = f"{resource_type} `{resource_id}` was supplied by the platform and cannot be deleted"
        raise Precondition(Reason.RESOURCE_MANAGED, message, resource_type, resource_id)
