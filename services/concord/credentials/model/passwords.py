"""Passwords as values: that there is one, and what any candidate must be."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from concord.kernel.ids import OrganizationId, UserId

MIN_PASSWORD: Final = 1
MAX_PASSWORD: Final = 512


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

    def is_expired(self, now: datetime) -> bool:
        """Tell whether a temporary one has stopped working; the instant itself is already too late."""
        return self.expire_time is not None and now >= self.expire_time


@dataclass(frozen=True, slots=True)
class PasswordViolation:
    """One rule that a candidate breaks."""

    rule: str
    value: str
    message: str


@dataclass(frozen=True, slots=True)
class PasswordForm:
    """Form that a new password must have; the defaults are those of an organization's birth."""

    min_length: int = 8
    max_length: int = MAX_PASSWORD
    min_lower: int = 0
    min_upper: int = 0
    min_digits: int = 0
    min_symbols: int = 0
    username_allowed: bool = False
    previous_allowed: bool = False


def judge_password(candidate: str) -> tuple[PasswordViolation, ...]:
    """Return the rules of the core that a candidate breaks. Never repeats the candidate."""
    if len(candidate) < MIN_PASSWORD:
        return (PasswordViolation("min_length", str(MIN_PASSWORD), f"must have at least {MIN_PASSWORD} character"),)
    if len(candidate) > MAX_PASSWORD:
        return (PasswordViolation("max_length", str(MAX_PASSWORD), f"must have at most {MAX_PASSWORD} characters"),)
    return ()
