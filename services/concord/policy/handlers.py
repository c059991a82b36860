"""The servicers: unpack, call, pack. What all rpcs share is in the chain."""

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty

from concord.common.v1.authorization_service_pb2 import AuthorizeRequest, AuthorizeResponse
from concord.common.v1.authorization_service_pb2_grpc import AuthorizationServiceServicer
from concord.kernel import ids
from concord.kernel.feed.revision import encode_revisions
from concord.kernel.ids import OrganizationId, PolicyId
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.wire import question_from_wire, verdict_to_wire
from concord.kernel.units import Units
from concord.policy import wire
from concord.policy.authorize import DirectAuthorizer
from concord.policy.checks import Check as Asked
from concord.policy.checks import Checks
from concord.policy.model import Subject, SubjectKind
from concord.policy.operations import policies, quotas, roles
from concord.policy.store import PolicyStore
from concord.policy.v1 import (
    decision_pb2,
    decision_service_pb2,
    policy_pb2,
    policy_service_pb2,
    quota_pb2,
    quota_service_pb2,
    role_pb2,
    role_service_pb2,
)
from concord.policy.v1.decision_service_pb2_grpc import DecisionServiceServicer
from concord.policy.v1.policy_service_pb2_grpc import PolicyServiceServicer
from concord.policy.v1.quota_service_pb2_grpc import QuotaServiceServicer
from concord.policy.v1.role_service_pb2_grpc import RoleServiceServicer

POLICY_ORDERS: Final = ("name", "create_time", "update_time")


class AuthorizationHandlers(AuthorizationServiceServicer):
    """Answers the other processes' interceptors."""

    def __init__(self, authorizer: DirectAuthorizer) -> None:
        self._authorizer = authorizer

    async def Authorize(self, request: AuthorizeRequest, context: Any) -> AuthorizeResponse:
        return verdict_to_wire(await self._authorizer.authorize(question_from_wire(request)))


class DecisionHandlers(DecisionServiceServicer):
    """Serves checks."""

    def __init__(self, units: Units[PolicyStore], checks: Checks) -> None:
        self._units = units
        self._checks = checks

    async def Check(self, request: decision_service_pb2.CheckRequest, context: Any) -> decision_pb2.Decision:
        answers = await self._decide([wire.check_from_wire(request.check, "check")])
        return answers[0]

    async def BatchCheck(
        self, request: decision_service_pb2.BatchCheckRequest, context: Any
    ) -> decision_service_pb2.BatchCheckResponse:
        asked = [wire.check_from_wire(each, f"checks[{at}]") for at, each in enumerate(request.checks)]
        return decision_service_pb2.BatchCheckResponse(decisions=await self._decide(asked))

    async def _decide(self, checks: Sequence[Asked]) -> list[decision_pb2.Decision]:
        call = Call.current()
        for check in checks:
            if check.subject is not None:
                call.require_target(check.subject)
        organization_id = call.organization_id
        # Taken before deciding: what is decided is at least as fresh as it says.
        revision = encode_revisions({self._units.service: self._units.feed.head})
        decisions = await self._checks.decide(organization_id, call.require_passport(), checks)
        return [wire.decision_to_wire(each, revision) for each in decisions]


class RoleHandlers(RoleServiceServicer):
    """Serves roles."""

    def __init__(self, units: Units[PolicyStore]) -> None:
        self._units = units

    async def GetRole(self, request: role_service_pb2.GetRoleRequest, context: Any) -> role_pb2.Role:
        return wire.role_to_wire(roles.get_role(request.id), Call.current().organization_id)

    async def ListRoles(
        self, request: role_service_pb2.ListRolesRequest, context: Any
    ) -> role_service_pb2.ListRolesResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        page = self._units.page_request(
            request, orders=("name",), default_order="name", organization_id=organization_id
        )
        wanted = wire.role_filter_from_wire(request)
        if wanted is None:
            return role_service_pb2.ListRolesResponse()
        found = roles.list_roles(wanted, page)
        return role_service_pb2.ListRolesResponse(
            roles=[wire.role_to_wire(each, organization_id) for each in found.items],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )


class QuotaHandlers(QuotaServiceServicer):
    """Serves limits."""

    def __init__(self, units: Units[PolicyStore]) -> None:
        self._units = units

    async def ListQuotas(
        self, request: quota_service_pb2.ListQuotasRequest, context: Any
    ) -> quota_service_pb2.ListQuotasResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        page = self._units.page_request(
            request, orders=("name",), default_order="name", organization_id=organization_id
        )
        names = tuple(request.names) or None
        found = await self._units.read(lambda store: quotas.list_quotas(store, organization_id, names, page))
        return quota_service_pb2.ListQuotasResponse(
            quotas=map(wire.quota_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def GetQuota(self, request: quota_service_pb2.GetQuotaRequest, context: Any) -> quota_pb2.Quota:
        organization_id = Call.current().organization_id
        quota = await self._units.look(lambda store: quotas.get_quota(store, organization_id, request.name))
        return wire.quota_to_wire(quota)

    async def SetQuota(self, request: quota_service_pb2.SetQuotaRequest, context: Any) -> quota_pb2.Quota:
        organization_id: OrganizationId = ids.parse(OrganizationId, request.organization_id, "organization_id")
        return await self._units.write(
            request,
            lambda unit: quotas.set_quota(
                unit, request.name, limit=request.limit, unlimited=request.unlimited, etag=request.etag
            ),
            wire.quota_to_wire,
            organization_id=organization_id,
            awaits=("identity",),
        )


class PolicyHandlers(PolicyServiceServicer):
    """Serves policies and their statements."""

    def __init__(self, units: Units[PolicyStore]) -> None:
        self._units = units

    async def CreatePolicy(self, request: policy_service_pb2.CreatePolicyRequest, context: Any) -> policy_pb2.Policy:
        Call.current().own_organization(request.organization_id)
        draft = wire.draft_from_wire(request.policy)
        return await self._units.write(
            request,
            lambda unit: policies.create_policy(unit, draft),
            wire.policy_to_wire,
            awaits=_sources(draft.subject),
        )

    async def GetPolicy(self, request: policy_service_pb2.GetPolicyRequest, context: Any) -> policy_pb2.Policy:
        organization_id, policy_id = Call.current().organization_id, _policy_id(request.id)
        found = await self._units.read(lambda store: policies.get_policy(store, organization_id, policy_id))
        return wire.policy_to_wire(found)

    async def ListPolicies(
        self, request: policy_service_pb2.ListPoliciesRequest, context: Any
    ) -> policy_service_pb2.ListPoliciesResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        wanted = wire.policy_filter_from_wire(request)
        page = self._units.page_request(
            request, orders=POLICY_ORDERS, default_order="create_time", organization_id=organization_id
        )
        found = await self._units.read(
            lambda store: policies.list_policies(
                store, organization_id, wanted, page, with_statements=request.with_statements
            )
        )
        return policy_service_pb2.ListPoliciesResponse(
            policies=map(wire.policy_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def UpdatePolicy(self, request: policy_service_pb2.UpdatePolicyRequest, context: Any) -> policy_pb2.Policy:
        policy_id = _policy_id(request.policy.id, "policy.id")
        patch = wire.patch_from_wire(request.policy, request.update_mask.paths)
        return await self._units.write(
            request,
            lambda unit: policies.update_policy(unit, policy_id, patch, request.policy.etag),
            wire.policy_to_wire,
            awaits=() if patch.subject is None else _sources(patch.subject),
        )

    async def DeletePolicy(self, request: policy_service_pb2.DeletePolicyRequest, context: Any) -> Empty:
        policy_id = _policy_id(request.id)
        return await self._units.write(
            request, lambda unit: policies.delete_policy(unit, policy_id, request.etag), lambda _: Empty()
        )

    async def ListStatements(
        self, request: policy_service_pb2.ListStatementsRequest, context: Any
    ) -> policy_service_pb2.ListStatementsResponse:
        organization_id = Call.current().organization_id
        policy_id = _policy_id(request.policy_id, "policy_id")
        page = self._units.page_request(
            request, orders=("position",), default_order="position", organization_id=organization_id
        )
        found = await self._units.read(lambda store: policies.list_statements(store, organization_id, policy_id, page))
        return policy_service_pb2.ListStatementsResponse(
            statements=map(wire.statement_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def SetStatements(
        self, request: policy_service_pb2.SetStatementsRequest, context: Any
    ) -> policy_service_pb2.SetStatementsResponse:
        policy_id = _policy_id(request.policy_id, "policy_id")
        statements = wire.statements_from_wire(request.statements)
        return await self._units.write(
            request,
            lambda unit: policies.set_statements(
                unit, policy_id, statements, document=request.document, etag=request.etag
            ),
            lambda policy: policy_service_pb2.SetStatementsResponse(
                statements=map(wire.statement_to_wire, policy.statements or ()), etag=policy.etag
            ),
            awaits=("identity",),
        )


def _policy_id(text: str, field: str = "id") -> PolicyId:
    policy_id: PolicyId = ids.parse(PolicyId, text, field)
    return policy_id


def _sources(subject: Subject) -> tuple[str, ...]:
    """Return whose changes may still bring what a write refers to: projects and principals, or groups too."""
    return ("identity", "groups") if subject.kind is SubjectKind.GROUP else ("identity",)
