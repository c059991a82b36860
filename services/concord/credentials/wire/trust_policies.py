"""Trust policies, and acting as somebody."""

from datetime import timedelta

from concord.credentials.model.sessions import SessionAt
from concord.credentials.model.trust import TrustedPrincipal, TrustPolicy, TrustStatement
from concord.credentials.operations.assumed_sessions import Target
from concord.credentials.operations.session_changes import OpenedSession
from concord.credentials.v1 import trust_policy_pb2, trust_policy_service_pb2
from concord.credentials.wire.common import duration, principal
from concord.credentials.wire.sessions import first_token_to_wire, session_to_wire
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire, principal_to_wire


def trust_policy_to_wire(policy: TrustPolicy) -> trust_policy_pb2.TrustPolicy:
    """Return the message for a trust policy."""
    return trust_policy_pb2.TrustPolicy(
        user_id=policy.user_id,
        organization_id=policy.organization_id,
        version=policy.version,
        etag=policy.etag,
        create_time=instant_to_wire(policy.create_time),
        update_time=instant_to_wire(policy.update_time),
        language=policy.language,
        document=policy.document,
        trusted=[
            trust_policy_pb2.TrustStatement(
                principals=[
                    trust_policy_pb2.TrustedPrincipal(
                        organization_id=each.organization_id, principal=principal_to_wire(each.principal)
                    )
                    for each in statement.principals
                ],
                services=statement.services,
                condition=statement.condition,
                unknown_names=statement.unknown_names,
            )
            for statement in policy.trusted
        ],
    )


def trust_policy_from_wire(message: trust_policy_pb2.TrustPolicy) -> TrustPolicy:
    """Return the policy of a message that `trust_policy_to_wire` made."""
    return TrustPolicy(
        user_id=UserId(message.user_id),
        organization_id=OrganizationId(message.organization_id),
        version=message.version,
        language=message.language,
        document=message.document,
        trusted=tuple(
            TrustStatement(
                principals=tuple(
                    TrustedPrincipal(OrganizationId(each.organization_id), principal(each.principal, "principal"))
                    for each in statement.principals
                ),
                services=tuple(statement.services),
                condition=statement.condition,
                unknown_names=statement.unknown_names,
            )
            for statement in message.trusted
        ),
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
    )


def target_from_wire(request: trust_policy_service_pb2.AssumeUserRequest) -> Target:
    """Return whom a caller wants to act as, or raise Invalid when it does not say."""
    if not (request.user_id or request.username):
        raise Invalid(Violation("user", "is required", rule="required"))
    if len(request.username) > 256:
        raise Invalid(Violation("username", "must have at most 256 characters", rule="length"))
    if request.organization_number < 0:
        raise Invalid(Violation("organization_number", "must not be negative", rule="range"))
    return Target(request.organization_id, request.organization_number, request.user_id, request.username)


def ttl_from_wire(request: trust_policy_service_pb2.AssumeUserRequest) -> timedelta | None:
    """Return how long the session should last, None when the caller does not say."""
    return duration(request.ttl, "ttl") if request.HasField("ttl") else None


def assumed_to_wire(opened: OpenedSession) -> trust_policy_service_pb2.AssumeUserResponse:
    """Return the one answer that holds the token of a session."""
    answer = assumption_tried_to_wire(opened)
    answer.access_token.CopyFrom(first_token_to_wire(opened))
    return answer


def assumption_tried_to_wire(opened: OpenedSession) -> trust_policy_service_pb2.AssumeUserResponse:
    """Return the answer of a check only: nothing was opened, so there is no token."""
    return trust_policy_service_pb2.AssumeUserResponse(session=session_to_wire(SessionAt(opened.session, opened.now)))
