"""Why an answer is as it is: the tree that was walked, and every single change that would allow what is refused."""

from concord.policy.explaining.explaining import Explained, Explaining, Limit, Why
from concord.policy.explaining.repair import Area, Repair, RepairKind
from concord.policy.explaining.tree import SetSeen, SourceKind, SourceSeen, StatementSeen, Tree

__all__ = [
    "Area",
    "Explained",
    "Explaining",
    "Limit",
    "Repair",
    "RepairKind",
    "SetSeen",
    "SourceKind",
    "SourceSeen",
    "StatementSeen",
    "Tree",
    "Why",
]
