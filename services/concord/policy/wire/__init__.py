"""Messages ↔ domain objects of the policy service, both ways side by side."""

from google.protobuf.message import Message

from concord.policy.model import Policy, Quota
from concord.policy.wire.checks import check_from_wire, decision_to_wire
from concord.policy.wire.policies import (
    draft_from_wire,
    patch_from_wire,
    policy_filter_from_wire,
    policy_from_wire,
    policy_to_wire,
)
from concord.policy.wire.statements import (
    statement_from_wire,
    statement_to_wire,
    statements_from_wire,
    subject_from_wire,
    subject_to_wire,
)
from concord.policy.wire.supplied import quota_to_wire, role_filter_from_wire, role_to_wire

__all__ = [
    "check_from_wire",
    "decision_to_wire",
    "draft_from_wire",
    "patch_from_wire",
    "policy_filter_from_wire",
    "policy_from_wire",
    "policy_to_wire",
    "quota_to_wire",
    "role_filter_from_wire",
    "role_to_wire",
    "snapshot",
    "statement_from_wire",
    "statement_to_wire",
    "statements_from_wire",
    "subject_from_wire",
    "subject_to_wire",
]


def snapshot(thing: object) -> Message:
    """Return the message of anything that a change is about."""
    match thing:
        case Policy():
            return policy_to_wire(thing)
        case Quota():
            return quota_to_wire(thing)
    raise TypeError(f"changes hold no {type(thing).__name__}")
