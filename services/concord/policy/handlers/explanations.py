"""Serves explanations of decisions."""

from typing import Final

from concord.kernel.principal import Question
from concord.kernel.rpc.call import Call
from concord.policy import wire
from concord.policy.authorize import DirectAuthorizer
from concord.policy.explaining import Area, Explaining
from concord.policy.v1 import explanation_pb2
from concord.policy.v1.decision_service_pb2 import ExplainRequest

# Repairs name what their reader may know nothing of; who may list such things may be told.
_LISTS: Final = {
    Area.ROLES: (("concord.policy.v1.RoleService/ListRoles", "policy.roles.list"),),
    Area.GROUPS: (("concord.groups.v1.GroupService/ListGroups", "groups.groups.list"),),
    Area.SOURCES: (
        ("concord.policy.v1.PolicyService/ListPolicies", "policy.policies.list"),
        ("concord.policy.v1.GrantService/ListGrants", "policy.grants.list"),
    ),
}


class ExplanationHandlers:
    """Explains decisions, as part of the decision service."""

    def __init__(self, explaining: Explaining, authorizer: DirectAuthorizer) -> None:
        self._explaining = explaining
        self._authorizer = authorizer

    async def explain(self, request: ExplainRequest, revision: str) -> explanation_pb2.Explanation:
        """Answer one question; `revision` is the state that is at least looked at."""
        call = Call.current()
        check = wire.check_from_wire(request.check, "check")
        passport = call.require_passport()
        call.require_target(check.subject or passport.principal)
        repairs = not request.without_repairs
        areas = [area for area in Area if repairs and await self._may_list(call, area)]
        explained = await self._explaining.explain(call.organization_id, passport, check, areas, repairs=repairs)
        return wire.explanation_to_wire(explained, revision)

    async def _may_list(self, call: Call, area: Area) -> bool:
        for rpc, permission in _LISTS[area]:
            verdict = await self._authorizer.authorize(Question(call.require_passport(), rpc, permission))
            if not (verdict.allowed is True and verdict.reach.everything):
                return False
        return True
