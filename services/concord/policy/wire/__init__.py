"""Messages ↔ domain objects of the policy service, both ways side by side."""

from google.protobuf.message import Message

from concord.policy.model import Grant, Policy, Quota, Role
from concord.policy.wire.checks import batch_from_wire, check_from_wire, permissions_from_wire
from concord.policy.wire.decisions import batch_to_wire, decision_to_wire, permission_to_wire
from concord.policy.wire.explanations import explanation_to_wire
from concord.policy.wire.grants import (
    grant_filter_from_wire,
    grant_from_wire,
    grant_key_from_wire,
    grant_locator_from_wire,
    grant_to_wire,
    place_from_wire,
)
from concord.policy.wire.policies import (
    OWN_LANGUAGE,
    draft_from_wire,
    patch_from_wire,
    policy_filter_from_wire,
    policy_from_wire,
    policy_to_wire,
    violation_to_wire,
)
from concord.policy.wire.quotas import quota_to_wire
from concord.policy.wire.roles import (
    role_draft_from_wire,
    role_filter_from_wire,
    role_from_wire,
    role_patch_from_wire,
    role_relations_from_wire,
    role_to_wire,
)
from concord.policy.wire.statements import (
    statement_from_wire,
    statement_to_wire,
    statements_from_wire,
    subject_from_wire,
    subject_to_wire,
)

__all__ = [
    "OWN_LANGUAGE",
    "batch_from_wire",
    "batch_to_wire",
    "check_from_wire",
    "decision_to_wire",
    "draft_from_wire",
    "explanation_to_wire",
    "grant_filter_from_wire",
    "grant_from_wire",
    "grant_key_from_wire",
    "grant_locator_from_wire",
    "grant_to_wire",
    "patch_from_wire",
    "permission_to_wire",
    "permissions_from_wire",
    "place_from_wire",
    "policy_filter_from_wire",
    "policy_from_wire",
    "policy_to_wire",
    "quota_to_wire",
    "role_draft_from_wire",
    "role_filter_from_wire",
    "role_from_wire",
    "role_patch_from_wire",
    "role_relations_from_wire",
    "role_to_wire",
    "snapshot",
    "statement_from_wire",
    "statement_to_wire",
    "statements_from_wire",
    "subject_from_wire",
    "subject_to_wire",
    "violation_to_wire",
]


def snapshot(thing: object) -> Message:
    """Return the message of anything that a change is about."""
    match thing:
        case Policy():
            return policy_to_wire(thing)
        case Quota():
            return quota_to_wire(thing)
        case Grant():
            return grant_to_wire(thing)
        case Role(organization_id=str(organization_id)):
            return role_to_wire(thing, organization_id)
    raise TypeError(f"changes hold no {type(thing).__name__}")
