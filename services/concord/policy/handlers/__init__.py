"""The servicers: unpack, call, pack. What all rpcs share is in the chain."""

from concord.policy.handlers.decisions import AuthorizationHandlers, DecisionHandlers
from concord.policy.handlers.explanations import ExplanationHandlers
from concord.policy.handlers.grants import GrantHandlers
from concord.policy.handlers.policies import PolicyHandlers
from concord.policy.handlers.quotas import QuotaHandlers
from concord.policy.handlers.roles import RoleHandlers

__all__ = [
    "AuthorizationHandlers",
    "DecisionHandlers",
    "ExplanationHandlers",
    "GrantHandlers",
    "PolicyHandlers",
    "QuotaHandlers",
    "RoleHandlers",
]
