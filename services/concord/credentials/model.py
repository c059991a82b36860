"""Keys, sessions, passwords and clients as values, with the rules that need nothing but the value itself.

A secret is never part of one: it leaves through the operation that draws it, and is stored
beside the value as a hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import ApiKeyId, OAuthClientId, OrganizationId, SessionId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.secret import SecretHash

PASSPORT_LIFETIME: Final = timedelta(minutes=5)
SESSION_TTL: Final = timedelta(hours=1)
MAX_SESSION_TTL: Final = timedelta(days=30)
MIN_SESSION_TTL: Final = timedelta(seconds=1)
MAX_NAME: Final = 256
MAX_DESCRIPTION: Final = 1000
MIN_PASSWORD: Final = 1
MAX_PASSWORD: Final = 512
MAX_AGENT: Final = 255


class LifeState(StrEnum):
    """Whether a principal or an organization lives; copied from identity, kept after its death."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class ApiKeyState(StrEnum):
    """Whether a key may be used. DELETED ones stay behind so that a refusal can say why."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"


class SessionState(StrEnum):
    """Where a session stands at one instant."""

    LIVE = "live"
    EXPIRED = "expired"
    ENDED = "ended"


class ClientAuthMethod(StrEnum):
    """How an OAuth client proves itself."""

    NONE = "none"
    POST = "post"
    BASIC = "basic"
    TLS = "tls"

    @property
    def has_secret(self) -> bool:
        """Whether a client of this method is given a secret."""
        return self in (ClientAuthMethod.POST, ClientAuthMethod.BASIC)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A long-lived id and secret of one principal."""

    id: ApiKeyId
    organization_id: OrganizationId
    number: int
    version: int
    bearer: PrincipalRef
    access_id: str
    secret_recoverable: bool
    secret_identifies: bool
    default_project_id: str
    create_time: datetime
    update_time: datetime
    name: str = ""
    description: str = ""
    state: ApiKeyState = ApiKeyState.ACTIVE
    ceiling: tuple[str, ...] = ()
    expire_time: datetime | None = None
    last_used_time: datetime | None = None
    creation_ip: str = ""
    catalogue: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def is_managed(self) -> bool:
        """Whether the platform supplied it; then people may not change or delete it."""
        return bool(self.catalogue)

    def is_expired(self, now: datetime) -> bool:
        """Tell whether its time is over; the instant itself is already too late."""
        return self.expire_time is not None and now >= self.expire_time


@dataclass(frozen=True, slots=True)
class Session:
    """One authentication that lasts."""

    id: SessionId
    organization_id: OrganizationId
    version: int
    principal: PrincipalRef
    create_time: datetime
    update_time: datetime
    expire_time: datetime
    end_time: datetime | None = None
    assumed_by: PrincipalRef | None = None
    issuer: PrincipalRef | None = None
    audience: str = ""
    client_id: str = ""
    api_key_id: ApiKeyId | None = None
    methods: tuple[str, ...] = ()
    mfa: bool = False
    scopes: tuple[str, ...] = ()
    ceiling: tuple[str, ...] = ()
    rights_snapshot_id: str = ""
    parent_session_id: SessionId | None = None
    ip: str = ""
    user_agent: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    def state(self, now: datetime) -> SessionState:
        """Tell where it stands."""
        if self.end_time is not None:
            return SessionState.ENDED
        return SessionState.EXPIRED if now >= self.expire_time else SessionState.LIVE


@dataclass(frozen=True, slots=True)
class SessionAt:
    """A session and the instant at which it is looked at, which tells its state."""

    session: Session
    now: datetime


@dataclass(frozen=True, slots=True)
class SessionEpoch:
    """That all sessions a principal opened up to an instant are void."""

    principal: PrincipalRef
    epoch_time: datetime


@dataclass(frozen=True, slots=True)
class Password:
    """That a user has a password. Its hash is stored beside it."""

    user_id: UserId
    organization_id: OrganizationId
    version: int
    create_time: datetime
    update_time: datetime
    temporary: bool = False
    expire_time: datetime | None = None
    failed_attempts: int = 0
    last_attempt_time: datetime | None = None
    lock_time: datetime | None = None

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)


@dataclass(frozen=True, slots=True)
class PasswordViolation:
    """One rule that a candidate breaks."""

    rule: str
    value: str
    message: str


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """One of a client's secrets, without its text."""

    number: int
    client_id: OAuthClientId
    name: str
    create_time: datetime
    last_used_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A program as OAuth sees it."""

    id: OAuthClientId
    organization_id: OrganizationId
    version: int
    client_id: str
    create_time: datetime
    update_time: datetime
    end_time: datetime | None = None
    name: str = ""
    bearer: PrincipalRef | None = None
    owner_user_id: UserId | None = None
    grant_types: tuple[str, ...] = ()
    auth_method: ClientAuthMethod = ClientAuthMethod.BASIC
    redirect_uris: tuple[str, ...] = ()
    response_types: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    tls_subject: str = ""
    secrets: tuple[ClientSecret, ...] = ()
    catalogue: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)

    @property
    def is_managed(self) -> bool:
        """Whether the platform supplied it."""
        return bool(self.catalogue)

    @property
    def belongs_to(self) -> PrincipalRef | None:
        """Whose thing it is: its bearer's, else its owner's."""
        if self.bearer is None and self.owner_user_id is not None:
            return PrincipalRef(PrincipalKind.USER, self.owner_user_id)
        return self.bearer


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """What a list of principals shows about the credentials of one."""

    principal: PrincipalRef
    has_password: bool = False
    password_temporary: bool = False
    api_key_count: int = 0
    failed_attempts: int = 0


@dataclass(frozen=True, slots=True)
class OrganizationRules:
    """What credentials keeps of an organization: whether it lives, and its limits. Zero means none."""

    organization_id: OrganizationId
    state: LifeState = LifeState.ACTIVE
    max_session_ttl: timedelta = MAX_SESSION_TTL
    max_api_key_ttl: timedelta = timedelta(0)
    temporary_password_ttl: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whether those whom a credential stands for are alive."""

    principal: LifeState
    organization: LifeState


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key as the directory found it, with what examining it needs."""

    key: ApiKey
    secret_hash: SecretHash
    holder: Holder


@dataclass(frozen=True, slots=True)
class FoundToken:
    """An access token as the directory found it."""

    session: Session
    expire_time: datetime
    holder: Holder


@dataclass(frozen=True, slots=True)
class FoundClient:
    """A client whose id and secret the directory found together."""

    client: OAuthClient
    secret_number: int
    holder: Holder | None
    """None where the client has no bearer."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose things the caller may see in a list: those named, and perhaps all others but some."""

    others: bool
    included: frozenset[PrincipalRef] = frozenset()
    excluded: frozenset[PrincipalRef] = frozenset()

    def admits(self, principal: PrincipalRef | None) -> bool:
        """Tell whether a thing of this principal is in sight."""
        return principal in self.included or (self.others and principal not in self.excluded)


EVERYTHING: Final = Sight(others=True)


def check_text(text: str, name: str, limit: int) -> list[Violation]:
    """Return what is wrong with a free text."""
    if len(text) > limit:
        return [Violation(name, f"must have at most {limit} characters", rule="length")]
    if "\x00" in text:
        return [Violation(name, "must not hold a null character", rule="pattern")]
    return []


def check_attributes(attributes: Mapping[str, str], name: str) -> list[Violation]:
    """Return what is wrong with a thing's attributes: bad names, or more than 16 KiB each and 64 KiB together."""
    found = []
    total = 0
    for key, value in attributes.items():
        size = len(value.encode())
        total += size + len(key.encode())
        namespace, dot, rest = key.partition(".")
        if not (namespace and dot and rest) or len(key) > 128 or "\x00" in key + value:
            found.append(Violation(name, f"`{key[:128]}` must read namespace.key", rule="pattern"))
        elif size > 16 * 1024:
            found.append(Violation(name, f"`{key}` must have at most 16 KiB", rule="length"))
    if total > 64 * 1024:
        found.append(Violation(name, "must have at most 64 KiB together", rule="length"))
    return found


def refuse(violations: list[Violation]) -> None:
    """Raise Invalid when there is anything to complain about."""
    if violations:
        raise Invalid(*violations)


def judge_password(candidate: str) -> tuple[PasswordViolation, ...]:
    """Return the rules of the core that a candidate breaks. Never repeats the candidate."""
    if len(candidate) < MIN_PASSWORD:
        return (PasswordViolation("min_length", str(MIN_PASSWORD), f"must have at least {MIN_PASSWORD} character"),)
    if len(candidate) > MAX_PASSWORD:
        return (PasswordViolation("max_length", str(MAX_PASSWORD), f"must have at most {MAX_PASSWORD} characters"),)
    return ()
