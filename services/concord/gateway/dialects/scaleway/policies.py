"""Policies: rules attached to a user, a group, an application or nobody."""

from collections.abc import Iterable
from typing import Literal

import msgspec
from google.protobuf.empty_pb2 import Empty

from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_APPLICATION, PRINCIPAL_KIND_USER, PrincipalRef
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import (
    CATALOGUES,
    LANGUAGE,
    Count,
    Description,
    IdFilter,
    Instant,
    Name,
    Needle,
    Paged,
    Tags,
    Uuid,
    canonical,
    canonicals,
    instant,
    invented_name,
    listed,
    one_of,
    order,
)
from concord.gateway.dialects.scaleway.rules import Specs, from_specs
from concord.policy.v1 import policy_pb2, policy_service_pb2, subject_pb2

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

_ORDERS = {"policy_name": "name", "created_at": "create_time"}
# Policies of a device, or of everyone, have no arm here: other dialects' matter.
_HELD = (subject_pb2.SUBJECT_KIND_USER, subject_pb2.SUBJECT_KIND_GROUP, subject_pb2.SUBJECT_KIND_APPLICATION)
_ORPHANED = (subject_pb2.SUBJECT_KIND_NONE,)

Unset = msgspec.UnsetType


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as it is answered. Of the four principals only the one there is."""

    id: str
    name: str
    description: str
    organization_id: str
    created_at: Instant | None
    updated_at: Instant | None
    editable: bool
    deletable: bool
    managed: bool
    nb_rules: Count
    nb_scopes: Count
    nb_permission_sets: Count
    tags: list[str]
    user_id: str | Unset = msgspec.UNSET
    group_id: str | Unset = msgspec.UNSET
    application_id: str | Unset = msgspec.UNSET
    no_principal: bool | Unset = msgspec.UNSET


class ListPoliciesResponse(msgspec.Struct, frozen=True):
    """One page of policies."""

    policies: list[Policy]
    total_count: Count


class ListPoliciesQuery(Paged, frozen=True, kw_only=True):
    """Which policies to list."""

    order_by: Literal["policy_name_asc", "policy_name_desc", "created_at_asc", "created_at_desc"] = "policy_name_asc"
    organization_id: Uuid | None = None
    editable: bool | None = None
    user_ids: IdFilter | None = None
    group_ids: IdFilter | None = None
    application_ids: IdFilter | None = None
    no_principal: bool | None = None
    policy_name: Needle | None = None
    tag: Needle | None = None
    policy_ids: IdFilter | None = None


class CreatePolicyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new policy with its rules."""

    name: Name
    description: Description | None = None
    organization_id: Uuid | None = None
    rules: Specs | None = None
    tags: Tags | None = None
    user_id: Uuid | None = None
    group_id: Uuid | None = None
    application_id: Uuid | None = None
    no_principal: bool | None = None


class UpdatePolicyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a policy; null is no change. A principal clears the other three."""

    name: Name | None = None
    description: Description | None = None
    tags: Tags | None = None
    user_id: Uuid | None = None
    group_id: Uuid | None = None
    application_id: Uuid | None = None
    no_principal: bool | None = None


def to_policy(source: policy_pb2.Policy) -> Policy:
    """Translate an answer."""
    holder = source.subject.WhichOneof("holder")
    principal = source.subject.principal if holder == "principal" else None
    user = principal is not None and principal.kind == PRINCIPAL_KIND_USER
    application = principal is not None and principal.kind == PRINCIPAL_KIND_APPLICATION
    return Policy(
        id=source.id,
        name=source.name,
        description=source.description,
        organization_id=source.organization_id,
        created_at=instant(source.create_time),
        updated_at=instant(source.update_time),
        editable=source.editable,
        deletable=source.deletable,
        managed=source.managed,
        nb_rules=source.statement_count,
        nb_scopes=source.boundary_count,
        nb_permission_sets=source.role_count,
        tags=list(source.tags),
        user_id=source.subject.principal.id if user else msgspec.UNSET,
        group_id=source.subject.group_id if holder == "group_id" else msgspec.UNSET,
        application_id=source.subject.principal.id if application else msgspec.UNSET,
        no_principal=True if holder in (None, "none") else msgspec.UNSET,
    )


def to_subject(body: CreatePolicyRequest | UpdatePolicyRequest) -> subject_pb2.PolicySubject | None:
    """Return the principal that a body names, None where it names none."""
    arms = {
        "user_id": body.user_id,
        "group_id": body.group_id,
        "application_id": body.application_id,
        # Clients write `false` for "not this arm".
        "no_principal": body.no_principal or None,
    }
    arm = one_of(arms, required=False)
    if arm == "user_id":
        return user_subject(body.user_id or "")
    if arm == "application_id":
        return application_subject(body.application_id or "")
    if arm == "group_id":
        return group_subject(body.group_id or "")
    return subject_pb2.PolicySubject(none=Empty()) if arm else None


def user_subject(user_id: str) -> subject_pb2.PolicySubject:
    """Return a user as a policy's holder."""
    return subject_pb2.PolicySubject(principal=PrincipalRef(kind=PRINCIPAL_KIND_USER, id=canonical(user_id)))


def application_subject(application_id: str) -> subject_pb2.PolicySubject:
    """Return an application as a policy's holder."""
    ref = PrincipalRef(kind=PRINCIPAL_KIND_APPLICATION, id=canonical(application_id))
    return subject_pb2.PolicySubject(principal=ref)


def group_subject(group_id: str) -> subject_pb2.PolicySubject:
    """Return a group as a policy's holder."""
    return subject_pb2.PolicySubject(group_id=canonical(group_id))


def from_create(body: CreatePolicyRequest) -> policy_service_pb2.CreatePolicyRequest:
    """Translate a creation. Without a principal the policy has none."""
    return policy_service_pb2.CreatePolicyRequest(
        organization_id=canonical(body.organization_id),
        policy=policy_pb2.Policy(
            name=body.name or invented_name("pol"),
            description=body.description or "",
            tags=body.tags or (),
            subject=to_subject(body) or subject_pb2.PolicySubject(none=Empty()),
            language=LANGUAGE,
            statements=from_specs(body.rules or ()),
        ),
    )


def from_update(policy_id: str, body: UpdatePolicyRequest) -> policy_service_pb2.UpdatePolicyRequest:
    """Translate a change."""
    request = policy_service_pb2.UpdatePolicyRequest(policy=policy_pb2.Policy(id=canonical(policy_id)))
    if body.name is not None:
        request.policy.name = body.name or invented_name("pol")
        request.update_mask.paths.append("name")
    if body.description is not None:
        request.policy.description = body.description
        request.update_mask.paths.append("description")
    if body.tags is not None:
        request.policy.tags.extend(body.tags)
        request.update_mask.paths.append("tags")
    if (subject := to_subject(body)) is not None:
        request.policy.subject.CopyFrom(subject)
        request.update_mask.paths.append("subject")
    return request


def from_list(query: ListPoliciesQuery, skip: int, size: int) -> policy_service_pb2.ListPoliciesRequest:
    """Translate a list's filter. Named principals are alternatives of each other."""
    kinds: tuple[subject_pb2.SubjectKind, ...] = (*_HELD, *_ORPHANED)
    if query.no_principal is not None:
        kinds = _ORPHANED if query.no_principal else _HELD
    return policy_service_pb2.ListPoliciesRequest(
        organization_id=canonical(query.organization_id),
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        ids=canonicals(query.policy_ids or ()),
        subjects=list(_subjects(query)),
        subject_kinds=kinds,
        name=query.policy_name or "",
        tag=query.tag or "",
        editable=query.editable,
        catalogues=CATALOGUES,
    )


def _subjects(query: ListPoliciesQuery) -> Iterable[subject_pb2.PolicySubject]:
    yield from map(user_subject, query.user_ids or ())
    yield from map(group_subject, query.group_ids or ())
    yield from map(application_subject, query.application_ids or ())


async def list_policies(call: Call) -> ListPoliciesResponse:
    """GET /policies."""

    async def fetch(skip: int, size: int) -> ListPoliciesResponse:
        answer = await call.ask(call.core.policies.ListPolicies, from_list(call.query, skip, size))
        return ListPoliciesResponse([to_policy(entry) for entry in answer.policies], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListPoliciesResponse([], n))


async def create_policy(call: Call) -> Policy:
    """POST /policies."""
    return to_policy(await call.ask(call.core.policies.CreatePolicy, from_create(call.body)))


async def get_policy(call: Call) -> Policy:
    """GET /policies/{policy_id}."""
    request = policy_service_pb2.GetPolicyRequest(id=canonical(call.path["policy_id"]))
    return to_policy(await call.ask(call.core.policies.GetPolicy, request))


async def update_policy(call: Call) -> Policy:
    """PATCH /policies/{policy_id}. A change of nothing is a reading."""
    request = from_update(call.path["policy_id"], call.body)
    if not request.update_mask.paths:
        return await get_policy(call)
    return to_policy(await call.ask(call.core.policies.UpdatePolicy, request))


async def clone_policy(call: Call) -> Policy:
    """POST /policies/{policy_id}/clone."""
    request = policy_service_pb2.ClonePolicyRequest(id=canonical(call.path["policy_id"]))
    return to_policy(await call.ask(call.core.policies.ClonePolicy, request))


async def delete_policy(call: Call) -> None:
    """DELETE /policies/{policy_id}."""
    request = policy_service_pb2.DeletePolicyRequest(id=canonical(call.path["policy_id"]))
    await call.ask(call.core.policies.DeletePolicy, request)
