"""Every failure as Scaleway's clients know it: type, message and the members of that type, in alphabetical order."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from concord.gateway.dialects.scaleway.auth import is_session_token
from concord.gateway.http import Answer, BodyTooLarge, BodyTooSlow, Headers, Request, encode
from concord.gateway.route import Route
from concord.gateway.router import NoMethod, NoPath
from concord.gateway.shapes import is_uuid
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
    Violation,
)

# Exactly this: with a charset, or without any type, some clients do not read the body.
HEADERS: Headers = [("content-type", "application/json")]

Unset = msgspec.UnsetType


class InvalidArgument(msgspec.Struct, frozen=True):
    """One argument that was refused."""

    argument_name: str
    help_message: str
    reason: Literal["unknown", "required", "format", "constraint"]


class InvalidArgumentsError(msgspec.Struct, frozen=True):
    """The request is malformed."""

    details: list[InvalidArgument]
    message: Literal["invalid argument(s)"] = "invalid argument(s)"
    type: Literal["invalid_arguments"] = "invalid_arguments"


class DeniedAuthenticationError(msgspec.Struct, frozen=True):
    """Nobody is known by this credential."""

    message: Literal["authentication is denied"] = "authentication is denied"
    method: Literal["unknown_method", "jwt", "api_key"] = "unknown_method"
    reason: Literal["unknown_reason", "invalid_argument", "not_found", "expired"] = "unknown_reason"
    type: Literal["denied_authentication"] = "denied_authentication"


class DeniedPermission(msgspec.Struct, frozen=True):
    """What the caller may not do."""

    action: str
    resource: str


class PermissionsDeniedError(msgspec.Struct, frozen=True):
    """The caller is known and may not do this."""

    details: list[DeniedPermission]
    message: Literal["insufficient permissions"] = "insufficient permissions"
    type: Literal["permissions_denied"] = "permissions_denied"


class ExceededQuota(msgspec.Struct, frozen=True):
    """A limit and how much of it is used."""

    current: int
    quota: int
    resource: str


class QuotasExceededError(msgspec.Struct, frozen=True):
    """The organization has used up a limit."""

    details: list[ExceededQuota]
    message: Literal["quota(s) exceeded for this resource"] = "quota(s) exceeded for this resource"
    type: Literal["quotas_exceeded"] = "quotas_exceeded"


class NotFoundError(msgspec.Struct, frozen=True, kw_only=True):
    """There is no such thing. Without a resource: nothing is served under the path."""

    message: Literal["resource is not found"] = "resource is not found"
    resource: str | Unset = msgspec.UNSET
    resource_id: str | Unset = msgspec.UNSET
    type: Literal["not_found"] = "not_found"


class AlreadyExistsError(msgspec.Struct, frozen=True, kw_only=True):
    """Something unique is taken."""

    help_message: str
    message: Literal["resource already exists"] = "resource already exists"
    resource: str
    resource_id: str | Unset = msgspec.UNSET
    type: Literal["already_exists"] = "already_exists"


class TransientStateError(msgspec.Struct, frozen=True, kw_only=True):
    """The thing changed while it was written."""

    current_state: str
    message: Literal["resource is in a transient state"] = "resource is in a transient state"
    resource: str
    resource_id: str
    type: Literal["transient_state"] = "transient_state"


class PreconditionFailedError(msgspec.Struct, frozen=True, kw_only=True):
    """The state of things does not allow this."""

    help_message: str
    message: Literal["precondition is not respected"] = "precondition is not respected"
    precondition: Literal["unknown_precondition", "resource_still_in_use", "attribute_must_be_set"]
    type: Literal["precondition_failed"] = "precondition_failed"


class LockedError(msgspec.Struct, frozen=True, kw_only=True):
    """Too much was tried, or the time to do something ran out."""

    message: Literal["resource is locked"] = "resource is locked"
    resource: str
    resource_id: str
    type: Literal["locked"] = "locked"


class TooManyRequestsError(msgspec.Struct, frozen=True, kw_only=True):
    """Too many calls in too short a time."""

    help_message: str
    message: Literal["too many requests"] = "too many requests"
    reset_at: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
    reset_seconds: int
    type: Literal["too_many_requests"] = "too_many_requests"


class PlainError(msgspec.Struct, frozen=True, kw_only=True):
    """A failure that has no type of its own with the vendor."""

    message: str
    type: Literal["method_not_allowed", "internal", "unavailable", "timeout", "unimplemented"]


REFUSAL_SHAPES: Mapping[int, tuple[str, Sequence[type[msgspec.Struct]]]] = {
    400: ("An argument is missing or malformed", (InvalidArgumentsError,)),
    401: ("The credential does not authenticate", (DeniedAuthenticationError,)),
    403: ("Not allowed, or a quota is used up", (PermissionsDeniedError, QuotasExceededError)),
    404: ("No such resource", (NotFoundError,)),
    405: ("The path does not know this method", (PlainError,)),
    409: ("Something unique is taken, or the resource changed meanwhile", (AlreadyExistsError, TransientStateError)),
    412: ("The state of the resource does not allow this", (PreconditionFailedError,)),
    423: ("The user is locked", (LockedError,)),
    429: ("Too many calls", (TooManyRequestsError,)),
    500: ("A defect of the server", (PlainError,)),
    501: ("This deployment does not serve it", (PlainError,)),
    503: ("Something is not there yet; try again", (PlainError,)),
    504: ("The call took too long", (PlainError,)),
}

# What the core calls something, and what clients of this API call it.
_RESOURCES = {
    "api_key": "access_key",
    "quota": "quotum",
    "audit_event": "log",
    "role": "permission_set",
    "statement": "rule",
    "session": "jwt",
    "mfa_device": "mfa_otp",
    "federation": "saml",
    "federation_certificate": "saml_certificate",
    # A principal that is no member is named by its id alone.
    "membership": "",
}
_MEMBERS = {
    "statements": "rules",
    "role_names": "permission_set_names",
    "primary_email": "email",
    "given_name": "first_name",
    "family_name": "last_name",
    "expire_time": "expires_at",
    "access_id": "access_key",
    "start_time": "created_after",
    "end_time": "created_before",
    "principals": "user_ids",
    "checks": "permissions",
    "handle": "name",
    "text": "search",
    "code": "one_time_password",
    "grace_period": "grace_period_duration",
    "peer_user_id": "target_user_id",
    "max_login_attempts": "login_attempts_before_locked",
    "max_session_ttl": "max_login_session_duration",
    "max_api_key_ttl": "max_api_key_expiration_duration",
}
# In details of 403 a key is an `api_key`; the other names are those of 404.
_DENIED_RESOURCES = {
    "event": "log",
    "quota": "quotum",
    "role": "permission_set",
    "statement": "rule",
    "session": "jwt",
    "mfa_device": "mfa_otp",
    "federation": "saml",
    "federation_certificate": "saml_certificate",
    "login_method": "organization",
    "organization_alias": "organization",
    "security_setting": "organization_security_settings",
}
_ACTIONS = {
    "get": "read",
    "list": "read",
    "set": "update",
    "suspend": "lock",
    "resume": "unlock",
    "confirm": "validate",
    "initiate": "create",
    "join": "create",
    "remove": "delete",
    "revoke": "delete",
}
_ROLE = re.compile(r"`[^`]*`|\brole(s?)\b")
_WRAPPERS = frozenset(
    {
        "application",
        "user",
        "group",
        "policy",
        "api_key",
        "ssh_key",
        "federation",
        "certificate",
        "security_settings",
        "boundary",
    }
)
_REASONS: Mapping[str, Literal["unknown", "required", "format", "constraint"]] = {
    "required": "required",
    "uuid": "format",
    "time": "format",
    "type": "format",
    "format": "format",
    "json": "format",
    "syntax": "format",
    "unknown": "unknown",
}


def refuse(error: BaseException, request: Request | None, route: Route | None) -> Answer:
    """Turn a failure into an answer."""
    if isinstance(error, NoMethod):
        plain = PlainError(message="method not allowed", type="method_not_allowed")
        return Answer(405, [*HEADERS, ("allow", ", ".join(error.allowed))], encode(plain))
    if isinstance(error, RateLimited):
        return _rate_limited(error)
    status, record = _record(error, request, route)
    return Answer(status, HEADERS, encode(record))


def _record(error: BaseException, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    for kind, translate in _TRANSLATIONS:
        if isinstance(error, kind):
            return translate(error, request, route)
    if isinstance(error, ConcordError):
        status, name = _PLAIN.get(error.reason, (500, "internal"))
        return status, _plain(status, name)
    return 500, _plain(500, "internal")


_PLAIN: Mapping[Reason, tuple[int, str]] = {
    Reason.UNAVAILABLE: (503, "unavailable"),
    Reason.CANCELLED: (503, "unavailable"),
    Reason.DEADLINE_EXCEEDED: (504, "timeout"),
    Reason.UNIMPLEMENTED: (501, "unimplemented"),
}
_PLAIN_MESSAGES = {
    500: "internal error",
    501: "not implemented",
    503: "service is unavailable, please try again",
    504: "the call took too long",
}


def _plain(status: int, name: str) -> msgspec.Struct:
    return msgspec.convert({"message": _PLAIN_MESSAGES[status], "type": name}, PlainError)


def _invalid(error: Invalid, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    violations = error.violations or (Violation("body", error.message),)
    if error.reason is Reason.INVALID_DOCUMENT and not error.violations:
        violations = (Violation("condition", error.message),)
    details = [
        InvalidArgument(_argument(v.field), _help(v.description), _REASONS.get(v.rule.lower(), "constraint"))
        for v in violations
    ]
    return 400, InvalidArgumentsError(details)


def _help(text: str) -> str:
    """Say `permission set` for what the core calls a role, outside of quoted names."""
    return _ROLE.sub(lambda found: f"permission set{found[1]}" if found[1] is not None else found[0], text)


def _argument(field: str) -> str:
    """Name a core field as the caller wrote it: `policy.statements[0].role_names` → `rules.0.permission_set_names`."""
    parts = field.replace("[", ".").replace("]", "").split(".")
    if len(parts) > 1 and parts[0] in _WRAPPERS:
        parts = parts[1:]
    if parts[-2:] == ["boundary", "kind"]:
        # Clients choose a kind of scope by the member they set.
        parts = [*parts[:-2], "project_ids"]
    kept = [_MEMBERS.get(part, part) for part in parts if part not in _WRAPPERS or part == parts[-1]]
    return ".".join(kept)


def _unauthenticated(
    error: Unauthenticated, request: Request | None, route: Route | None
) -> tuple[int, msgspec.Struct]:
    if error.reason is Reason.CREDENTIAL_LOCKED and request is not None and "user_id" in request.path_values:
        # The user who is spoken of, not the caller: keys are not tried against a budget.
        return 423, LockedError(resource="user", resource_id=request.path_values["user_id"].lower())
    token = request.headers.get("x-auth-token", "") if request is not None else ""
    if not token:
        return 401, DeniedAuthenticationError(method="unknown_method", reason="invalid_argument")
    method: Literal["jwt", "api_key"] = "jwt" if is_session_token(token) else "api_key"
    if error.reason is Reason.CREDENTIAL_EXPIRED:
        return 401, DeniedAuthenticationError(method=method, reason="expired")
    if error.reason is Reason.CREDENTIAL_INVALID and method == "api_key" and not is_uuid(token):
        return 401, DeniedAuthenticationError(method=method, reason="invalid_argument")
    if error.reason is Reason.PRINCIPAL_SUSPENDED:
        return 401, DeniedAuthenticationError(method=method, reason="unknown_reason")
    return 401, DeniedAuthenticationError(method=method, reason="not_found")


def _denied(error: Denied, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    permission = error.metadata.get("permission") or (route.permission if route else "")
    if permission.count(".") != 2:
        permission = route.permission if route else "iam.unknown.access"
    return 403, PermissionsDeniedError([denied_permission(permission)])


def denied_permission(permission: str) -> DeniedPermission:
    """Name a core permission as details do: the resource in the singular, reading of any kind as `read`."""
    service, resource, verb = permission.split(".")
    if service == "groups" and resource == "memberships":
        # Members are no resource here: whoever changes them changes the group.
        return DeniedPermission("read" if verb == "list" else "update", "group")
    for prefix in ("own_", "owner_", "default_"):
        resource = resource.removeprefix(prefix)
    if resource.endswith("ies"):
        resource = resource[:-3] + "y"
    elif resource.endswith(("statuses", "aliases")):
        resource = resource[:-2]
    else:
        resource = resource.removesuffix("s")
    return DeniedPermission(_ACTIONS.get(verb, verb), _DENIED_RESOURCES.get(resource, resource))


def _quota(error: QuotaExceeded, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    return 403, QuotasExceededError([ExceededQuota(error.current, error.limit, f"iam_{error.quota}")])


def _not_found(error: NotFound, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    resource = _RESOURCES.get(error.resource_type, error.resource_type)
    return 404, NotFoundError(resource=resource, resource_id=error.resource_id)


def _no_path(error: NoPath, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    return 404, NotFoundError()


def _exists(error: AlreadyExists, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    field = _argument(error.metadata.get("field", ""))
    if request is not None and field in request.path_values:
        # What the path names is not what is taken.
        field = ""
    what = f"{field} is already used" if field else "it exists already"
    resource_id = error.resource_name if is_uuid(error.resource_name) else msgspec.UNSET
    resource = _RESOURCES.get(error.resource_type, error.resource_type)
    return 409, AlreadyExistsError(help_message=what, resource=resource, resource_id=resource_id)


def _conflict(error: Conflict, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    resource = _RESOURCES.get(error.resource_type, error.resource_type)
    return 409, TransientStateError(current_state="changed", resource=resource, resource_id=error.resource_id)


def _precondition(error: Precondition, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    in_use = error.reason is Reason.RESOURCE_IN_USE
    return 412, PreconditionFailedError(
        help_message=error.message, precondition="resource_still_in_use" if in_use else "unknown_precondition"
    )


def _too_large(error: BodyTooLarge, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    return 400, InvalidArgumentsError([InvalidArgument("body", "the body is larger than 1 MiB", "constraint")])


def _too_slow(error: BodyTooSlow, request: Request | None, route: Route | None) -> tuple[int, msgspec.Struct]:
    return 400, InvalidArgumentsError([InvalidArgument("body", "the body did not arrive in time", "constraint")])


# The first kind that fits is taken; none is a subclass of another.
_TRANSLATIONS: tuple[tuple[type[BaseException], Callable[..., tuple[int, msgspec.Struct]]], ...] = (
    (Invalid, _invalid),
    (Unauthenticated, _unauthenticated),
    (Denied, _denied),
    (NotFound, _not_found),
    (NoPath, _no_path),
    (AlreadyExists, _exists),
    (QuotaExceeded, _quota),
    (Precondition, _precondition),
    (Conflict, _conflict),
    (BodyTooLarge, _too_large),
    (BodyTooSlow, _too_slow),
)


def _rate_limited(error: RateLimited) -> Answer:
    seconds = max(1, math.ceil(error.retry_seconds))
    reset = datetime.now(UTC) + timedelta(seconds=seconds)
    record = TooManyRequestsError(
        help_message="slow down and try again", reset_at=f"{reset:%Y-%m-%dT%H:%M:%SZ}", reset_seconds=seconds
    )
    return Answer(429, [*HEADERS, ("retry-after", str(seconds))], encode(record))
