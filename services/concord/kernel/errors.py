"""Everything that can go wrong for a reason a caller can act on.

ConcordError
├── Invalid              the request is malformed            (Violations name the fields)
├── Unauthenticated      no identity, or one that ended
├── Denied               known, but not allowed
├── NotFound             no such thing in this organization
├── AlreadyExists        a unique name is taken
├── Conflict             the etag is old
├── Precondition         the state of things does not allow it
├── QuotaExceeded        the organization has used up a limit
├── RateLimited          too many calls
├── Unavailable          something needed is not there yet
└── Unimplemented        this deployment does not do it

No gRPC here: `kernel/rpc/status.py` alone knows codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """The names of `concord.common.v1.ErrorReason`, without prefix."""

    INVALID_FIELDS = "INVALID_FIELDS"
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN"  # noqa: S105 (a reason, no secret)
    RESOURCE_NOT_FOUND = "RESOURCE_NOT_FOUND"
    RESOURCE_ALREADY_EXISTS = "RESOURCE_ALREADY_EXISTS"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    REQUEST_ANSWER_EXPIRED = "REQUEST_ANSWER_EXPIRED"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    OPERATION_MISMATCH = "OPERATION_MISMATCH"
    SERVICE_ONLY = "SERVICE_ONLY"
    CREDENTIAL_MISSING = "CREDENTIAL_MISSING"
    CREDENTIAL_INVALID = "CREDENTIAL_INVALID"
    CREDENTIAL_EXPIRED = "CREDENTIAL_EXPIRED"
    CREDENTIAL_REVOKED = "CREDENTIAL_REVOKED"
    PRINCIPAL_SUSPENDED = "PRINCIPAL_SUSPENDED"
    PRINCIPAL_DELETED = "PRINCIPAL_DELETED"
    RESOURCE_IN_USE = "RESOURCE_IN_USE"
    RESOURCE_MANAGED = "RESOURCE_MANAGED"
    INVALID_STATE = "INVALID_STATE"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INTERNAL = "INTERNAL"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    OWNER_PROTECTED = "OWNER_PROTECTED"
    INVALID_DOCUMENT = "INVALID_DOCUMENT"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    CANCELLED = "CANCELLED"
    CREDENTIAL_LOCKED = "CREDENTIAL_LOCKED"
    SECOND_FACTOR_REQUIRED = "SECOND_FACTOR_REQUIRED"
    LOGIN_DISABLED = "LOGIN_DISABLED"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with one field. `rule` is a stable word: required, uuid, length, pattern, unknown …"""

    field: str
    description: str
    rule: str = "format"


# Errors travel in metadata, of which clients take eight kilobytes, and say things twice there.
_MAX_SHOWN = 256
_MAX_TOLD = 2000


def _fitting(violations: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """Return as many violations as an error has room for, and at least one."""
    room = _MAX_TOLD
    for number, each in enumerate(violations):
        room -= len(each.field) + len(each.description) + len(each.rule)
        if room < 0:
            return violations[: max(number, 1)]
    return violations


class ConcordError(Exception):
    """A failure with a reason. The message is for people, lower case, without secrets."""

    def __init__(self, reason: Reason, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})


class Invalid(ConcordError):
    """The request is malformed; each violation names a field."""

    def __init__(self, *violations: Violation, reason: Reason = Reason.INVALID_FIELDS, message: str = "") -> None:
        told = _fitting(violations)
        text = message or "; ".join(f"{v.field}: {v.description}" for v in told) or "the request is malformed"
        super().__init__(reason, text)
        self.violations = told


class Unauthenticated(ConcordError):
    """The caller has no identity here, or none any more."""

    def __init__(self, reason: Reason, message: str = "the credential does not authenticate") -> None:
        super().__init__(reason, message)


class Denied(ConcordError):
    """The caller is known and may not do this."""

    def __init__(
        self,
        permission: str,
        *,
        reason: Reason = Reason.PERMISSION_DENIED,
        message: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            reason, message or f"`{permission}` is not granted", {"permission": permission, **(metadata or {})}
        )


class NotFound(ConcordError):
    """There is no such thing in the caller's organization."""

    def __init__(self, resource_type: str, resource_id: str) -> None:
        # What was looked for is the caller's text, of any length.
        resource_id = resource_id[:_MAX_SHOWN]
        super().__init__(Reason.RESOURCE_NOT_FOUND, f"no {resource_type} `{resource_id}` in this organization")
        self.resource_type = resource_type
        self.resource_id = resource_id


class AlreadyExists(ConcordError):
    """Something unique is taken. `resource_name` is what the caller asked for."""

    def __init__(
        self,
        resource_type: str,
        resource_name: str,
        field: str = "",
        *,
        reason: Reason = Reason.RESOURCE_ALREADY_EXISTS,
    ) -> None:
        super().__init__(reason, f"{resource_type} `{resource_name}` exists already", {"field": field} if field else {})
        self.resource_type = resource_type
        self.resource_name = resource_name


class Conflict(ConcordError):
    """The resource changed since the caller read it."""

    def __init__(self, resource_type: str, resource_id: str) -> None:
        super().__init__(Reason.ETAG_MISMATCH, f"{resource_type} `{resource_id}` has changed since its etag was read")
        self.resource_type = resource_type
        self.resource_id = resource_id


class Precondition(ConcordError):
    """The state of things does not allow this. `subject` names the thing."""

    def __init__(self, reason: Reason, message: str, resource_type: str = "", resource_id: str = "") -> None:
        super().__init__(reason, message)
        self.resource_type = resource_type
        self.resource_id = resource_id


class QuotaExceeded(ConcordError):
    """The organization has used up one of its limits."""

    def __init__(self, quota: str, limit: int, current: int) -> None:
        super().__init__(
            Reason.QUOTA_EXCEEDED,
            f"quota `{quota}` of {limit} is used up",
            {"quota": quota, "limit": str(limit), "current": str(current)},
        )
        self.quota = quota
        self.limit = limit
        self.current = current


class RateLimited(ConcordError):
    """Too many calls; try again after `retry_seconds`."""

    def __init__(self, retry_seconds: float, message: str = "too many calls") -> None:
        super().__init__(Reason.RATE_LIMITED, message)
        self.retry_seconds = retry_seconds


class Unavailable(ConcordError):
    """Something that this needs is not there yet; the caller may try again."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.UNAVAILABLE, message)


class Unimplemented(ConcordError):
    """This deployment does not serve that."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.UNIMPLEMENTED, message)
