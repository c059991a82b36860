"""Serves policies and their statements."""

from typing import Any, Final

from google.protobuf.empty_pb2 import Empty

from concord.kernel import ids
from concord.kernel.ids import PolicyId
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units
from concord.policy import wire
from concord.policy.handlers.reach import awaited_for, require_class, require_everything
from concord.policy.model import Subject
from concord.policy.operations import documents, inline_policies, policies
from concord.policy.store import PolicyStore
from concord.policy.v1 import policy_pb2, policy_service_pb2, subject_pb2
from concord.policy.v1.policy_service_pb2_grpc import PolicyServiceServicer

POLICY_ORDERS: Final = ("name", "create_time", "update_time")


class PolicyHandlers(PolicyServiceServicer):
    """Serves policies and their statements."""

    def __init__(self, units: Units[PolicyStore]) -> None:
        self._units = units

    async def CreatePolicy(self, request: policy_service_pb2.CreatePolicyRequest, context: Any) -> policy_pb2.Policy:
        Call.current().own_organization(request.organization_id)
        require_everything()
        draft = wire.draft_from_wire(request.policy)
        return await self._units.write(
            request,
            lambda unit: policies.create_policy(unit, draft),
            wire.policy_to_wire,
            awaits=awaited_for(draft.subject),
        )

    async def ClonePolicy(self, request: policy_service_pb2.ClonePolicyRequest, context: Any) -> policy_pb2.Policy:
        policy_id = _policy_id(request.id)
        require_everything()
        return await self._units.write(
            request, lambda unit: policies.clone_policy(unit, policy_id), wire.policy_to_wire
        )

    async def GetPolicy(self, request: policy_service_pb2.GetPolicyRequest, context: Any) -> policy_pb2.Policy:
        organization_id, policy_id = Call.current().organization_id, _policy_id(request.id)
        require_everything()
        found = await self._units.read(lambda store: policies.get_policy(store, organization_id, policy_id))
        return wire.policy_to_wire(found)

    async def ListPolicies(
        self, request: policy_service_pb2.ListPoliciesRequest, context: Any
    ) -> policy_service_pb2.ListPoliciesResponse:
        call = Call.current()
        organization_id = call.own_organization(request.organization_id)
        wanted = wire.policy_filter_from_wire(request)
        page = self._units.page_request(
            request, orders=POLICY_ORDERS, default_order="create_time", organization_id=organization_id
        )
        if not call.reach.everything:
            return policy_service_pb2.ListPoliciesResponse()
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
        require_everything()
        patch = wire.patch_from_wire(request.policy, request.update_mask.paths)
        return await self._units.write(
            request,
            lambda unit: policies.update_policy(unit, policy_id, patch, request.policy.etag),
            wire.policy_to_wire,
            awaits=() if patch.subject is None else awaited_for(patch.subject),
        )

    async def DeletePolicy(self, request: policy_service_pb2.DeletePolicyRequest, context: Any) -> Empty:
        policy_id = _policy_id(request.id)
        require_everything()
        return await self._units.write(
            request, lambda unit: policies.delete_policy(unit, policy_id, request.etag), lambda _: Empty()
        )

    async def ListStatements(
        self, request: policy_service_pb2.ListStatementsRequest, context: Any
    ) -> policy_service_pb2.ListStatementsResponse:
        organization_id = Call.current().organization_id
        policy_id = _policy_id(request.policy_id, "policy_id")
        require_everything()
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
        require_everything()
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

    async def GetInlinePolicy(
        self, request: policy_service_pb2.GetInlinePolicyRequest, context: Any
    ) -> policy_pb2.Policy:
        organization_id = Call.current().organization_id
        subject = _holder(request.subject)
        found = await self._units.read(lambda store: inline_policies.get_inline_policy(store, organization_id, subject))
        return wire.policy_to_wire(found)

    async def SetInlinePolicy(
        self, request: policy_service_pb2.SetInlinePolicyRequest, context: Any
    ) -> policy_pb2.Policy:
        subject = _holder(request.subject)
        statements = wire.statements_from_wire(request.statements)
        return await self._units.write(
            request,
            lambda unit: inline_policies.set_inline_policy(
                unit,
                subject,
                language=request.language or wire.OWN_LANGUAGE,
                document=request.document,
                statements=statements,
                etag=request.etag,
            ),
            wire.policy_to_wire,
            awaits=awaited_for(subject),
        )

    async def DeleteInlinePolicy(self, request: policy_service_pb2.DeleteInlinePolicyRequest, context: Any) -> Empty:
        subject = _holder(request.subject)
        return await self._units.write(
            request,
            lambda unit: inline_policies.delete_inline_policy(unit, subject, request.etag),
            lambda _: Empty(),
        )

    async def ValidateDocument(
        self, request: policy_service_pb2.ValidateDocumentRequest, context: Any
    ) -> policy_service_pb2.ValidateDocumentResponse:
        require_everything()
        said, wrong = documents.validate_document(request.language or wire.OWN_LANGUAGE, request.document)
        return policy_service_pb2.ValidateDocumentResponse(
            valid=not wrong,
            statements=map(wire.statement_to_wire, said),
            violations=map(wire.violation_to_wire, wrong),
        )


def _policy_id(text: str, field: str = "id") -> PolicyId:
    policy_id: PolicyId = ids.parse(PolicyId, text, field)
    return policy_id


def _holder(message: subject_pb2.PolicySubject) -> Subject:
    """Return whom a call about an unnamed policy is about, if its caller may ask about such a one."""
    subject = wire.subject_from_wire(message, "subject")
    require_everything()
    require_class(subject)
    return subject
