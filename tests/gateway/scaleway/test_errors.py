"""The core's failures in the vendor's words."""

import json
from typing import Any

import pytest

from concord.gateway.dialects.scaleway.errors import REFUSAL_SHAPES, denied_permission, refuse
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
    Unavailable,
    Unimplemented,
    Violation,
)

KEY = "SCW00000000000000000"
ID = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            Invalid(Violation("policy.statements[0].role_names", "no such role `role x`", rule="unknown")),
            400,
            {
                "details": [
                    {
                        "argument_name": "rules.0.permission_set_names",
                        "help_message": "no such permission set `role x`",
                        "reason": "unknown",
                    }
                ],
                "message": "invalid argument(s)",
                "type": "invalid_arguments",
            },
        ),
        (
            Invalid(Violation("user.primary_email", "is empty", rule="required")),
            400,
            {
                "details": [{"argument_name": "email", "help_message": "is empty", "reason": "required"}],
                "message": "invalid argument(s)",
                "type": "invalid_arguments",
            },
        ),
        (
            Invalid(reason=Reason.INVALID_DOCUMENT, message="line 1: unexpected `)`"),
            400,
            {
                "details": [
                    {"argument_name": "condition", "help_message": "line 1: unexpected `)`", "reason": "format"}
                ],
                "message": "invalid argument(s)",
                "type": "invalid_arguments",
            },
        ),
        (
            Denied("credentials.api_keys.get"),
            403,
            {
                "details": [{"action": "read", "resource": "api_key"}],
                "message": "insufficient permissions",
                "type": "permissions_denied",
            },
        ),
        (
            QuotaExceeded("applications", 100, 100),
            403,
            {
                "details": [{"current": 100, "quota": 100, "resource": "iam_applications"}],
                "message": "quota(s) exceeded for this resource",
                "type": "quotas_exceeded",
            },
        ),
        (
            NotFound("api_key", KEY),
            404,
            {"message": "resource is not found", "resource": "access_key", "resource_id": KEY, "type": "not_found"},
        ),
        (
            NotFound("membership", ID),
            404,
            {"message": "resource is not found", "resource": "", "resource_id": ID, "type": "not_found"},
        ),
        (
            NotFound("user", ID),
            404,
            {"message": "resource is not found", "resource": "user", "resource_id": ID, "type": "not_found"},
        ),
        (
            AlreadyExists("group", "team", "name"),
            409,
            {
                "help_message": "name is already used",
                "message": "resource already exists",
                "resource": "group",
                "type": "already_exists",
            },
        ),
        (
            Conflict("policy", ID),
            409,
            {
                "current_state": "changed",
                "message": "resource is in a transient state",
                "resource": "policy",
                "resource_id": ID,
                "type": "transient_state",
            },
        ),
        (
            Precondition(Reason.RESOURCE_IN_USE, "it has members"),
            412,
            {
                "help_message": "it has members",
                "message": "precondition is not respected",
                "precondition": "resource_still_in_use",
                "type": "precondition_failed",
            },
        ),
        (
            Precondition(Reason.OWNER_PROTECTED, "the owner stays"),
            412,
            {
                "help_message": "the owner stays",
                "message": "precondition is not respected",
                "precondition": "unknown_precondition",
                "type": "precondition_failed",
            },
        ),
        (Unavailable("x"), 503, {"message": "service is unavailable, please try again", "type": "unavailable"}),
        (Unimplemented("x"), 501, {"message": "not implemented", "type": "unimplemented"}),
        (
            ConcordError(Reason.DEADLINE_EXCEEDED, "x"),
            504,
            {"message": "the call took too long", "type": "timeout"},
        ),
        (ConcordError(Reason.INTERNAL, "x"), 500, {"message": "internal error", "type": "internal"}),
        (RuntimeError("secret"), 500, {"message": "internal error", "type": "internal"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_failure_is_told_with_its_type_and_members(error: Exception, status: int, body: dict[str, Any]) -> None:
    answer = refuse(error, None, None)

    assert (answer.status, json.loads(answer.body)) == (status, body)
    assert list(json.loads(answer.body)) == sorted(body)
    assert answer.headers == [("content-type", "application/json")]


def test_too_many_calls_are_told_when_to_come_back() -> None:
    answer = refuse(RateLimited(1.2), None, None)
    body = json.loads(answer.body)

    assert (answer.status, body["type"], body["reset_seconds"]) == (429, "too_many_requests", 2)
    assert ("retry-after", "2") in answer.headers


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_documented_status(reason: Reason) -> None:
    assert refuse(ConcordError(reason, "x"), None, None).status in REFUSAL_SHAPES


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        ("policy.policies.list", ("read", "policy")),
        ("identity.owner_users.update", ("update", "user")),
        ("credentials.credential_statuses.list", ("read", "credential_status")),
        ("groups.memberships.add", ("update", "group")),
        ("groups.memberships.list", ("read", "group")),
        ("policy.statements.set", ("update", "rule")),
        ("audit.events.get", ("read", "log")),
        ("policy.quotas.list", ("read", "quotum")),
        ("identity.users.suspend", ("lock", "user")),
        ("identity.users.resume", ("unlock", "user")),
        ("credentials.own_sessions.revoke", ("delete", "jwt")),
        ("credentials.mfa_devices.confirm", ("validate", "mfa_otp")),
        ("credentials.federations.create", ("create", "saml")),
        ("credentials.federation_certificates.list", ("read", "saml_certificate")),
        ("identity.security_settings.update", ("update", "organization_security_settings")),
        ("identity.login_methods.update", ("update", "organization")),
        ("identity.organization_aliases.set", ("update", "organization")),
        ("identity.connections.join", ("create", "connection")),
    ],
)
def test_a_denied_permission_is_named_in_the_singular(permission: str, expected: tuple[str, str]) -> None:
    denied = denied_permission(permission)

    assert (denied.action, denied.resource) == expected
