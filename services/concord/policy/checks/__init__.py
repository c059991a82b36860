"""Checks: what a principal may do, about any permission of any service, one by one or all at once."""

from concord.policy.checks.deciding import MAX_DECISIONS, Checks, subjects_of
from concord.policy.checks.listing import HeldPermission, PermissionLists, PermissionsWanted
from concord.policy.checks.question import Call, Check, Touched

__all__ = [
    "MAX_DECISIONS",
    "Call",
    "Check",
    "Checks",
    "HeldPermission",
    "PermissionLists",
    "PermissionsWanted",
    "Touched",
    "subjects_of",
]
