"""Failures as `google.rpc.Status` and back. The only module that knows gRPC codes."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped, unused-ignore]  # ships no types
from grpc import StatusCode
from grpc.aio import AioRpcError, Metadata

from concord.kernel.errors import (
    AlreadyExists,
    ConcordError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Precondition,
    QuotaExceeded,
    RateLimited,
    Reason,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)

DOMAIN: Final = "concord"
DETAILS_KEY: Final = "grpc-status-details-bin"

CODES: Final[Mapping[Reason, StatusCode]] = {
    Reason.INVALID_FIELDS: StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_PAGE_TOKEN: StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_DOCUMENT: StatusCode.INVALID_ARGUMENT,
    Reason.REQUEST_TOO_LARGE: StatusCode.INVALID_ARGUMENT,
    Reason.RESOURCE_NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.RESOURCE_ALREADY_EXISTS: StatusCode.ALREADY_EXISTS,
    Reason.REQUEST_ID_REUSED: StatusCode.ALREADY_EXISTS,
    Reason.REQUEST_ANSWER_EXPIRED: StatusCode.ALREADY_EXISTS,
    Reason.ETAG_MISMATCH: StatusCode.ABORTED,
    Reason.PERMISSION_DENIED: StatusCode.PERMISSION_DENIED,
    Reason.OPERATION_MISMATCH: StatusCode.PERMISSION_DENIED,
    Reason.SERVICE_ONLY: StatusCode.PERMISSION_DENIED,
    Reason.CREDENTIAL_MISSING: StatusCode.UNAUTHENTICATED,
    Reason.CREDENTIAL_INVALID: StatusCode.UNAUTHENTICATED,
    Reason.CREDENTIAL_EXPIRED: StatusCode.UNAUTHENTICATED,
    Reason.CREDENTIAL_REVOKED: StatusCode.UNAUTHENTICATED,
    Reason.PRINCIPAL_SUSPENDED: StatusCode.UNAUTHENTICATED,
    Reason.PRINCIPAL_DELETED: StatusCode.UNAUTHENTICATED,
    Reason.CREDENTIAL_LOCKED: StatusCode.UNAUTHENTICATED,
    Reason.SECOND_FACTOR_REQUIRED: StatusCode.UNAUTHENTICATED,
    Reason.LOGIN_DISABLED: StatusCode.UNAUTHENTICATED,
    Reason.RESOURCE_IN_USE: StatusCode.FAILED_PRECONDITION,
    Reason.RESOURCE_MANAGED: StatusCode.FAILED_PRECONDITION,
    Reason.INVALID_STATE: StatusCode.FAILED_PRECONDITION,
    Reason.OWNER_PROTECTED: StatusCode.FAILED_PRECONDITION,
    Reason.QUOTA_EXCEEDED: StatusCode.RESOURCE_EXHAUSTED,
    Reason.RATE_LIMITED: StatusCode.RESOURCE_EXHAUSTED,
    Reason.UNAVAILABLE: StatusCode.UNAVAILABLE,
    Reason.DEADLINE_EXCEEDED: StatusCode.DEADLINE_EXCEEDED,
    Reason.INTERNAL: StatusCode.INTERNAL,
    Reason.UNIMPLEMENTED: StatusCode.UNIMPLEMENTED,
    Reason.CANCELLED: StatusCode.CANCELLED,
}
_NAMES: Final[Mapping[Any, str]] = {code.value[0]: code.name for code in StatusCode}


def code_name(code: Any) -> str:
    """Return the name of a code, which gRPC's server keeps as a number or as itself."""
    return code.name if isinstance(code, StatusCode) else _NAMES.get(code, "UNKNOWN")


def code_of(error: ConcordError) -> StatusCode:
    """Return the gRPC code that stands for this failure."""
    return CODES[error.reason]


def to_status(error: ConcordError) -> status_pb2.Status:
    """Return the status of a failure, with its details."""
    status = status_pb2.Status(code=_number(code_of(error)), message=error.message)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=error.metadata)
    )
    for detail in _details(error):
        status.details.add().Pack(detail)
    return status


def from_rpc_error(error: AioRpcError) -> ConcordError:
    """Return the failure that another service of the suite answered with.

    What did not come from the suite (a broken connection, a proxy) becomes what it means to the caller.
    """
    status = find_status(error)
    info = error_details_pb2.ErrorInfo()
    for detail in () if status is None else status.details:
        if detail.Unpack(info) and info.domain == DOMAIN and info.reason in Reason.__members__:
            assert status is not None
            return _restored(Reason[info.reason], status, dict(info.metadata))
    return _foreign(error.code(), error.details() or "")


def find_status(error: AioRpcError) -> status_pb2.Status | None:
    """Return the status with details that an answer carries, if it does."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def to_rpc_error(error: ConcordError, trailing: Metadata | None = None) -> AioRpcError:
    """Return the exception that a stub raises for this failure."""
    status = to_status(error)
    carried = Metadata(*(trailing or ()), (DETAILS_KEY, status.SerializeToString()))
    return AioRpcError(code_of(error), Metadata(), carried, details=error.message)


def internal(call_id: str) -> ConcordError:
    """Return what a caller learns about a defect: only where to look it up."""
    return ConcordError(Reason.INTERNAL, f"internal error in call `{call_id}`", {"call_id": call_id})


def _number(code: StatusCode) -> int:
    number: int = code.value[0]
    return number


def _details(error: ConcordError) -> list[Any]:
    if isinstance(error, Invalid) and error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=violation.field, description=violation.description, reason=violation.rule.upper()
            )
            for violation in error.violations
        ]
        return [error_details_pb2.BadRequest(field_violations=violations)]
    if isinstance(error, QuotaExceeded):
        violation = error_details_pb2.QuotaFailure.Violation(subject=error.quota, description=error.message)
        return [error_details_pb2.QuotaFailure(violations=[violation])]
    if isinstance(error, RateLimited):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_seconds * 1_000_000_000))
        return [error_details_pb2.RetryInfo(retry_delay=delay)]
    if isinstance(error, AlreadyExists):
        return [error_details_pb2.ResourceInfo(resource_type=error.resource_type, resource_name=error.resource_name)]
    if isinstance(error, NotFound | Conflict):
        return [error_details_pb2.ResourceInfo(resource_type=error.resource_type, resource_name=error.resource_id)]
    if isinstance(error, Precondition):
        return _precondition_details(error)
    return []


def _precondition_details(error: Precondition) -> list[Any]:
    subject = "/".join(part for part in (error.resource_type, error.resource_id) if part)
    violation = error_details_pb2.PreconditionFailure.Violation(
        type=error.reason.value, subject=subject, description=error.message
    )
    details: list[Any] = [error_details_pb2.PreconditionFailure(violations=[violation])]
    if error.resource_type:
        details.append(
            error_details_pb2.ResourceInfo(resource_type=error.resource_type, resource_name=error.resource_id)
        )
    return details


def _restored(reason: Reason, status: status_pb2.Status, metadata: dict[str, str]) -> ConcordError:
    make = _RESTORERS.get(CODES[reason])
    error = ConcordError(reason, status.message) if make is None else make(reason, status, metadata)
    # The constructors write their own text; the answer's own text is the one to keep.
    error.reason, error.message, error.metadata = reason, status.message, metadata
    error.args = (status.message,)
    return error


def _invalid(reason: Reason, status: status_pb2.Status, metadata: Mapping[str, str]) -> ConcordError:
    found = _find(status, error_details_pb2.BadRequest())
    violations = (
        Violation(violation.field, violation.description, rule=violation.reason.lower() or "format")
        for violation in found.field_violations
    )
    return Invalid(*violations, reason=reason, message=status.message)


def _exhausted(reason: Reason, status: status_pb2.Status, metadata: Mapping[str, str]) -> ConcordError:
    if reason is Reason.QUOTA_EXCEEDED:
        limit, current = (_whole(metadata.get(name, "")) for name in ("limit", "current"))
        return QuotaExceeded(metadata.get("quota", ""), limit, current)
    delay = _find(status, error_details_pb2.RetryInfo()).retry_delay
    return RateLimited(delay.ToNanoseconds() / 1_000_000_000, status.message)


def _precondition(reason: Reason, status: status_pb2.Status, metadata: Mapping[str, str]) -> ConcordError:
    resource = _resource(status)
    return Precondition(reason, status.message, resource.resource_type, resource.resource_name)


def _not_found(reason: Reason, status: status_pb2.Status, metadata: Mapping[str, str]) -> ConcordError:
    resource = _resource(status)
    return NotFound(resource.resource_type, resource.resource_name)


def _conflict(reason: Reason, status: status_pb2.Status, metadata: Mapping[str, str]) -> ConcordError:
    resource = _resource(status)
    return Conflict(resource.resource_type, resource.resource_name)


def _already_exists(reason: Reason, status: status_pb2.Status, metadata: Mapping[str, str]) -> ConcordError:
    resource = _resource(status)
    return AlreadyExists(resource.resource_type, resource.resource_name, metadata.get("field", ""), reason=reason)


_RESTORERS: Final[Mapping[StatusCode, Callable[[Reason, status_pb2.Status, Mapping[str, str]], ConcordError]]] = {
    StatusCode.INVALID_ARGUMENT: _invalid,
    StatusCode.UNAUTHENTICATED: lambda reason, status, metadata: Unauthenticated(reason, status.message),
    StatusCode.PERMISSION_DENIED: lambda reason, status, metadata: Denied(
        metadata.get("permission", ""), reason=reason, message=status.message
    ),
    StatusCode.NOT_FOUND: _not_found,
    StatusCode.ALREADY_EXISTS: _already_exists,
    StatusCode.ABORTED: _conflict,
    StatusCode.FAILED_PRECONDITION: _precondition,
    StatusCode.RESOURCE_EXHAUSTED: _exhausted,
    StatusCode.UNAVAILABLE: lambda reason, status, metadata: Unavailable(status.message),
    StatusCode.UNIMPLEMENTED: lambda reason, status, metadata: Unimplemented(status.message),
}


def _foreign(code: StatusCode, details: str) -> ConcordError:
    # Their texts may hold addresses or traces: none is passed on.
    if code is StatusCode.RESOURCE_EXHAUSTED:
        if "larger than max" in details:
            # gRPC's own words for a message over the limit, before our chain ever sees it.
            return ConcordError(Reason.REQUEST_TOO_LARGE, "the message is larger than a server takes")
        return RateLimited(1.0)
    if code is StatusCode.UNAVAILABLE:
        return Unavailable("a service that this call needs cannot be reached")
    if code is StatusCode.DEADLINE_EXCEEDED:
        return ConcordError(Reason.DEADLINE_EXCEEDED, "the deadline passed")
    if code is StatusCode.CANCELLED:
        return ConcordError(Reason.CANCELLED, "the call was cancelled")
    if code is StatusCode.UNIMPLEMENTED:
        return Unimplemented("this deployment does not serve an rpc that this call needs")
    return ConcordError(Reason.INTERNAL, "internal error")


def _resource(status: status_pb2.Status) -> error_details_pb2.ResourceInfo:
    return _find(status, error_details_pb2.ResourceInfo())


def _find(status: status_pb2.Status, into: Any) -> Any:
    for detail in status.details:
        if detail.Unpack(into):
            break
    return into


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
