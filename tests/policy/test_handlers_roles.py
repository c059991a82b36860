"""Roles, grants and unnamed policies through a real server in this process."""

import json
import uuid
from typing import Any

import grpc
import pytest

from concord.common.v1.boundary_pb2 import BOUNDARY_KIND_PROJECTS, Boundary
from concord.kernel.principal import PrincipalRef
from concord.kernel.rpc.wire import principal_to_wire
from concord.policy.model import Boundary as Place
from concord.policy.model import BoundaryKind
from concord.policy.v1 import decision_pb2 as d
from concord.policy.v1 import decision_service_pb2 as ds
from concord.policy.v1 import grant_pb2 as g
from concord.policy.v1 import grant_service_pb2 as gs
from concord.policy.v1 import policy_service_pb2 as ps
from concord.policy.v1 import role_pb2 as r
from concord.policy.v1 import role_service_pb2 as rs
from concord.policy.v1.subject_pb2 import PolicySubject
from fakes import ORGANIZATION, OTHER_ORGANIZATION

from .conftest import OWNER, allow
from .test_handlers import Served, refused, served

__all__ = ["served"]

CODE = grpc.StatusCode
LIST = "identity.users.list"
DOCUMENT = json.dumps({"statements": [{"effect": "allow", "permissions": [LIST]}]}, indent=3)


def held_by(principal: PrincipalRef) -> PolicySubject:
    return PolicySubject(principal=principal_to_wire(principal))


def everyone() -> PolicySubject:
    subject = PolicySubject()
    subject.everyone.SetInParent()
    return subject


async def test_a_role_lives_from_creation_to_deletion(served: Served) -> None:
    owner = served.by(OWNER)
    asked = rs.CreateRoleRequest(role=r.Role(handle="readers", document=DOCUMENT), request_id=str(uuid.uuid4()))

    made = await served.roles.CreateRole(asked, **owner)
    again = await served.roles.CreateRole(asked, **owner)
    change = rs.UpdateRoleRequest(role=r.Role(id="readers", etag=made.etag, name={"text": "Readers"}))
    change.update_mask.paths.append("name.text")
    renamed = await served.roles.UpdateRole(change, **owner)
    listed = await served.roles.ListRoles(rs.ListRolesRequest(catalogues=[""], with_total_size=True), **owner)
    gone = await served.roles.DeleteRole(rs.DeleteRoleRequest(id=made.id.upper(), etag=renamed.etag), **owner)

    assert made == again
    assert (made.document, made.language, made.organization_id) == (DOCUMENT, "statements", ORGANIZATION)
    assert (made.managed, made.editable, made.deletable) == (False, True, True)
    assert list(made.statements[0].permissions) == [LIST]
    assert (renamed.name.text, renamed.version) == ("Readers", 2)
    assert (list(listed.roles), listed.total_size) == ([renamed], 1)
    assert gone == renamed
    assert await refused(served.roles.GetRole(rs.GetRoleRequest(id="readers"), **owner)) is CODE.NOT_FOUND


async def test_a_trial_changes_nothing(served: Served) -> None:
    owner = served.by(OWNER)
    user = await served.world.user()
    role = await served.world.role(LIST)
    grant = g.Grant(subject=held_by(user), role_id=role.id)
    inline = ps.SetInlinePolicyRequest(subject=held_by(user), document=DOCUMENT, validate_only=True)

    await served.roles.CreateRole(
        rs.CreateRoleRequest(role=r.Role(handle="x", permissions=["*"]), validate_only=True), **owner
    )
    await served.roles.DeleteRole(rs.DeleteRoleRequest(id=role.id, validate_only=True), **owner)
    await served.grants.CreateGrant(gs.CreateGrantRequest(grant=grant, validate_only=True), **owner)
    await served.policies.SetInlinePolicy(inline, **owner)

    assert not await served.world.allows(user, LIST)
    assert (await served.roles.ListRoles(rs.ListRolesRequest(catalogues=[""]), **owner)).roles[0].id == role.id
    missing = ps.GetInlinePolicyRequest(subject=held_by(user))
    assert await refused(served.policies.GetInlinePolicy(missing, **owner)) is CODE.NOT_FOUND


async def test_a_grant_shows_in_the_next_check_and_its_end_too(served: Served) -> None:
    owner = served.by(OWNER)
    user, project = await served.world.user(), await served.world.project()
    role = await served.world.role(LIST, handle="readers")
    boundary = Boundary(kind=BOUNDARY_KIND_PROJECTS, project_ids=[project])
    asked = gs.CreateGrantRequest(grant=g.Grant(subject=held_by(user), role_id="readers", boundary=boundary))
    check = ds.CheckRequest(check=d.Check(permission=LIST, boundary=boundary))

    made = await served.grants.CreateGrant(asked, **owner)
    again = await served.grants.CreateGrant(asked, **owner)
    allowed = await served.decisions.Check(check, **served.by(user))
    key = g.GrantKey(subject=held_by(user), role_id="readers", boundary=boundary)
    got = await served.grants.GetGrant(gs.GetGrantRequest(key=key), **owner)
    await served.grants.DeleteGrant(gs.DeleteGrantRequest(key=key, etag=got.etag), **owner)
    denied = await served.decisions.Check(check, **served.by(user))

    assert (made.created, again.created, again.grant) == (True, False, made.grant)
    assert got == made.grant
    assert (got.role_id, got.role_language, list(got.boundary.project_ids)) == (role.id, "statements", [project])
    assert (allowed.allowed, denied.allowed) == (True, False)
    by_id = gs.GetGrantRequest(id=got.id)
    assert await refused(served.grants.GetGrant(by_id, **owner)) is CODE.NOT_FOUND


async def test_grants_are_replaced_and_listed_in_pages(served: Served) -> None:
    owner = served.by(OWNER)
    user = await served.world.user()
    roles = [await served.world.role(LIST) for _ in range(3)]
    asked = gs.SetGrantsRequest(
        subject=held_by(user), role_ids=[each.id for each in roles], replaced_language="statements"
    )

    outcome = await served.grants.SetGrants(asked, **owner)
    first = await served.grants.ListGrants(
        gs.ListGrantsRequest(subjects=[held_by(user)], page_size=2, with_total_size=True), **owner
    )
    rest = await served.grants.ListGrants(
        gs.ListGrantsRequest(subjects=[held_by(user)], page_size=2, page_token=first.next_page_token), **owner
    )
    del asked.role_ids[:]
    emptied = await served.grants.SetGrants(asked, **owner)

    assert [each.role_id for each in outcome.grants] == [each.id for each in roles]
    assert list(outcome.created_ids) == [each.id for each in outcome.grants]
    assert {each.id for each in (*first.grants, *rest.grants)} == set(outcome.created_ids)
    assert first.total_size == 3
    assert (len(emptied.ended), len(emptied.grants)) == (3, 0)


async def test_who_may_see_its_own_grants_sees_no_others(served: Served) -> None:
    user, other = await served.world.user(), await served.world.user()
    crew = await served.world.group(user)
    await served.world.policy(user, allow("policy.own_grants.list"))
    role = await served.world.role(LIST)
    mine = await served.world.grant(user, role)
    await served.world.grant(other, role)

    listed = await served.grants.ListGrants(
        gs.ListGrantsRequest(subjects=[held_by(user)], effective=True), **served.by(user)
    )

    assert [each.id for each in listed.grants] == [mine.id]
    for subjects in ([], [held_by(other)], [held_by(user), held_by(other)], [PolicySubject(group_id=crew)]):
        asked = gs.ListGrantsRequest(subjects=subjects)
        assert await refused(served.grants.ListGrants(asked, **served.by(user))) is CODE.PERMISSION_DENIED


async def test_everyones_unnamed_policy_needs_a_permission_of_its_own(served: Served) -> None:
    some, all_of_them = await served.world.user(), await served.world.user()
    verbs = ("get", "set", "delete")
    await served.world.policy(some, *(allow(f"policy.inline_policies.{verb}") for verb in verbs))
    await served.world.policy(all_of_them, *(allow(f"policy.default_inline_policies.{verb}") for verb in verbs))

    async def codes(caller: PrincipalRef, subject: PolicySubject) -> list[grpc.StatusCode | None]:
        found: list[grpc.StatusCode | None] = []
        for call, request in (
            (served.policies.SetInlinePolicy, ps.SetInlinePolicyRequest(subject=subject, document=DOCUMENT)),
            (served.policies.GetInlinePolicy, ps.GetInlinePolicyRequest(subject=subject)),
            (served.policies.DeleteInlinePolicy, ps.DeleteInlinePolicyRequest(subject=subject)),
        ):
            try:
                await call(request, **served.by(caller))
                found.append(None)
            except grpc.aio.AioRpcError as failure:
                found.append(failure.code())
        return found

    assert await codes(some, held_by(OWNER)) == [None] * 3
    assert await codes(some, everyone()) == [CODE.PERMISSION_DENIED] * 3
    assert await codes(all_of_them, everyone()) == [None] * 3
    assert await codes(all_of_them, held_by(some)) == [CODE.PERMISSION_DENIED] * 3


async def test_lists_show_unnamed_policies_only_when_asked_and_never_everyones(served: Served) -> None:
    owner = served.by(OWNER)
    user = await served.world.user()
    mine = await served.policies.SetInlinePolicy(
        ps.SetInlinePolicyRequest(subject=held_by(user), document=DOCUMENT), **owner
    )
    shared = await served.policies.SetInlinePolicy(
        ps.SetInlinePolicyRequest(subject=everyone(), document=DOCUMENT), **owner
    )

    named = await served.policies.ListPolicies(ps.ListPoliciesRequest(), **owner)
    unnamed = await served.policies.ListPolicies(ps.ListPoliciesRequest(inline=True, with_statements=True), **owner)

    assert list(named.policies) == []
    assert list(unnamed.policies) == [mine]
    assert mine.document == DOCUMENT
    by_id = ps.GetPolicyRequest(id=shared.id)
    assert await refused(served.policies.GetPolicy(by_id, **owner)) is CODE.NOT_FOUND


async def test_a_document_is_looked_at_without_being_kept(served: Served) -> None:
    owner = served.by(OWNER)
    wrong = json.dumps({"statements": [{"effect": "maybe", "permissions": ["x y"]}]})
    rules = json.dumps({"rules": [{"role_names": ["NoSuchRole"]}]})

    good = await served.policies.ValidateDocument(ps.ValidateDocumentRequest(document=DOCUMENT), **owner)
    bad = await served.policies.ValidateDocument(ps.ValidateDocumentRequest(document=wrong), **owner)
    unknown = await served.policies.ValidateDocument(
        ps.ValidateDocumentRequest(language="role_rules", document=rules), **owner
    )
    broken = await served.policies.ValidateDocument(ps.ValidateDocumentRequest(document="{"), **owner)

    assert (good.valid, list(good.violations)) == (True, [])
    assert list(good.statements[0].permissions) == [LIST]
    assert not good.statements[0].id
    assert (bad.valid, list(bad.statements)) == (False, [])
    assert bad.violations[0].field == "statements[0].effect"
    assert [each.field for each in unknown.violations] == ["statements[0].role_names[0]"]
    assert [(each.field, each.rule) for each in broken.violations] == [("document", "json")]
    asked = ps.ValidateDocumentRequest(language="unheard_of", document=DOCUMENT)
    assert await refused(served.policies.ValidateDocument(asked, **owner)) is CODE.INVALID_ARGUMENT


async def test_rights_in_some_projects_reach_neither_roles_nor_grants_nor_policies(served: Served) -> None:
    user, project = await served.world.user(), await served.world.project()
    place = Place(BoundaryKind.PROJECTS, project_ids=(project,))
    await served.world.policy(user, allow("policy.*.*", boundary=place))
    role = await served.world.role(LIST)
    await served.world.grant(user, role)
    grant = g.Grant(subject=held_by(user), role_id=role.id)
    calls = [
        (served.roles.CreateRole, rs.CreateRoleRequest(role=r.Role(permissions=["*"]))),
        (served.roles.DeleteRole, rs.DeleteRoleRequest(id=role.id)),
        (served.grants.CreateGrant, gs.CreateGrantRequest(grant=grant)),
        (served.grants.SetGrants, gs.SetGrantsRequest(subject=held_by(user), replaced_language="statements")),
        (served.policies.SetInlinePolicy, ps.SetInlinePolicyRequest(subject=held_by(user), document=DOCUMENT)),
        (served.policies.CreatePolicy, ps.CreatePolicyRequest(policy={"name": "x"})),
    ]

    codes = [await refused(call(request, **served.by(user))) for call, request in calls]

    assert codes == [CODE.PERMISSION_DENIED] * len(calls)


async def test_kb27_what_another_organization_has_answers_as_unknown(served: Served) -> None:
    owner = served.by(OWNER)
    somewhere = Boundary(organization_id=OTHER_ORGANIZATION)
    stranger = held_by(PrincipalRef(OWNER.kind, str(uuid.uuid4())))
    role = await served.world.role(LIST)
    calls = [
        (served.roles.CreateRole, rs.CreateRoleRequest(organization_id=OTHER_ORGANIZATION, role=r.Role())),
        (served.roles.ListRoles, rs.ListRolesRequest(organization_id=OTHER_ORGANIZATION)),
        (served.grants.ListGrants, gs.ListGrantsRequest(organization_id=OTHER_ORGANIZATION)),
        (served.grants.ListGrants, gs.ListGrantsRequest(subjects=[stranger], effective=True)),
        (served.grants.CreateGrant, gs.CreateGrantRequest(grant=g.Grant(subject=stranger, role_id=role.id))),
        (
            served.grants.CreateGrant,
            gs.CreateGrantRequest(grant=g.Grant(subject=held_by(OWNER), role_id=role.id, boundary=somewhere)),
        ),
        (served.policies.GetInlinePolicy, ps.GetInlinePolicyRequest(subject=stranger)),
    ]

    assert [await refused(call(request, **owner)) for call, request in calls] == [CODE.NOT_FOUND] * len(calls)
    listed = await served.grants.ListGrants(gs.ListGrantsRequest(boundary=somewhere), **owner)
    assert list(listed.grants) == []


@pytest.mark.parametrize(
    "request_",
    [
        gs.GetGrantRequest(),
        gs.GetGrantRequest(id="x"),
        gs.GetGrantRequest(id=ORGANIZATION, key=g.GrantKey(subject=held_by(OWNER), role_id="x")),
        gs.GetGrantRequest(key=g.GrantKey(subject=held_by(OWNER))),
    ],
)
async def test_a_grant_is_named_in_one_way(served: Served, request_: Any) -> None:
    assert await refused(served.grants.GetGrant(request_, **served.by(OWNER))) is CODE.INVALID_ARGUMENT


async def test_a_mask_names_what_can_be_changed_and_no_more(served: Served) -> None:
    owner = served.by(OWNER)
    role = await served.world.role(LIST)

    for path in ("handle", "kind", "language", "version", "nothing", "boundary_kind"):
        change = rs.UpdateRoleRequest(role=r.Role(id=role.id, handle="x"))
        change.update_mask.paths.append(path)
        assert await refused(served.roles.UpdateRole(change, **owner)) is CODE.INVALID_ARGUMENT


async def test_a_holder_on_its_way_is_waited_for(served: Served) -> None:
    user = PrincipalRef(OWNER.kind, str(uuid.uuid4()))
    served.world.arriving.append(lambda: served.world.user(user))
    asked = gs.CreateGrantRequest(grant=g.Grant(subject=held_by(user), role_id="IAMReadOnly"))

    made = await served.grants.CreateGrant(asked, **served.by(OWNER))

    assert made.grant.subject.principal.id == user.id
