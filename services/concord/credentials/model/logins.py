"""People at the door, as values: who is meant, what is demanded, attempts, second factors, mailed tokens, grace."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from concord.credentials.model.passwords import PasswordForm
from concord.kernel.ids import OrganizationId, UserId

MfaDeviceId = NewType("MfaDeviceId", str)

TOKEN_LIFETIME: Final = timedelta(hours=1)
CODE_LIFETIME: Final = timedelta(minutes=10)
MAILS: Final = 10
"""How many mails of one purpose go to one user within `MAIL_WINDOW`."""
MAIL_WINDOW: Final = timedelta(hours=1)
MAX_RECOVERY_CODES: Final = 20
MIN_RECOVERY_LENGTH: Final = 8
MAX_RECOVERY_LENGTH: Final = 32
RECOVERY_LENGTH: Final = 10
RECOVERY_CODES: Final = 5
MAX_ISSUER: Final = 64
MAX_ATTEMPTS: Final = 10


class MfaState(StrEnum):
    """How far a second factor is set up."""

    INACTIVE = "inactive"
    UNCONFIRMED = "unconfirmed"
    ACTIVE = "active"


class GraceType(StrEnum):
    """What a user may put off for a while."""

    UPDATE_PASSWORD = "update_password"  # noqa: S105 - a duty, no secret
    SET_MFA = "set_mfa"


class Purpose(StrEnum):
    """What a mailed secret is good for, and nothing else."""

    PASSWORD_RECOVERY = "password_recovery"  # noqa: S105 - a purpose, no secret
    MFA_RECOVERY = "mfa_recovery"
    LOGIN = "login"

    @property
    def lifetime(self) -> timedelta:
        """How long it stays good."""
        return CODE_LIFETIME if self is Purpose.LOGIN else TOKEN_LIFETIME


@dataclass(frozen=True, slots=True)
class LoginRules:
    """How an organization is addressed at the door, and what it demands there."""

    organization_id: OrganizationId
    slug: str = ""
    alias: str = ""
    number: int = 0
    password_enabled: bool = True
    code_enabled: bool = True
    enforce_renewal: bool = False
    enforce_mfa: bool = False
    grace_period: timedelta = timedelta(days=3)
    max_attempts: int = MAX_ATTEMPTS
    form: PasswordForm = field(default_factory=PasswordForm)


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the door knows one: the names it answers to."""

    organization_id: OrganizationId
    user_id: UserId
    username: str
    email: str = ""
    is_owner: bool = False
    is_customer: bool = False
    interactive: bool = True


@dataclass(frozen=True, slots=True)
class AttemptBudget:
    """Failed attempts at one holder, over everything that examines proofs."""

    failures: int = 0
    last_attempt_time: datetime | None = None
    lock_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class MfaDevice:
    """A user's second factor. Its seed is stored sealed beside it."""

    id: MfaDeviceId
    organization_id: OrganizationId
    user_id: UserId
    state: MfaState
    version: int
    create_time: datetime
    update_time: datetime
    recovery_code_count: int = 0
    owed_time: datetime | None = None
    """Until when the user had time to set one up when this one became active."""

    @property
    def etag(self) -> str:
        """The version as text."""
        return str(self.version)


@dataclass(frozen=True, slots=True)
class GracePeriod:
    """Until when a user may leave something undone; without an end it waits for the next login to begin."""

    organization_id: OrganizationId
    user_id: UserId
    type: GraceType
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class OneTimeToken:
    """A secret that was mailed, by its hash. A user has one of each purpose at most."""

    id: str
    organization_id: OrganizationId
    user_id: UserId
    purpose: Purpose
    expire_time: datetime
    sent: int = 1
    window_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that leaves once what it tells is stored."""

    to: str
    subject: str
    text: str = field(repr=False)
