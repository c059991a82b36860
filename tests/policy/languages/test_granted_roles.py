"""Roles of places and of narrowing scopes mean the same when they are granted as when a document holds them."""

from datetime import UTC, datetime

import pytest

from concord.kernel.ids import GroupId, OrganizationId, ProjectId, RoleId, UserId, derive
from concord.policy.engine import Combine, Context, PolicySet, Request, Resource, Subject, compile_program, decide
from concord.policy.holding import compile_grant
from concord.policy.languages import get_language
from concord.policy.languages.path_classes import locate
from concord.policy.languages.resource_roles import held_scopes
from concord.policy.model import Boundary, BoundaryKind, Grant, GrantId, LocalizedText, Role, RoleKind, SubjectKind
from concord.policy.model import Subject as Holder
from concord.policy.reading import statement_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ORGANIZATION = derive(OrganizationId, "o")
PROJECT, GROUP = derive(ProjectId, "p"), derive(GroupId, "g")
EVERYWHERE = Boundary(BoundaryKind.ORGANIZATION)


def _role(name: str, language: str, document: str) -> Role:
    statements = tuple(statement_of(each) for each in get_language(language).parse(document))
    return Role(derive(RoleId, name), name, LocalizedText(name), language=language, statements=statements)


def _grant(role: Role, boundary: Boundary = EVERYWHERE) -> Grant:
    holder = Holder(SubjectKind.USER, derive(UserId, "u"))
    return Grant(derive(GrantId, role.id), ORGANIZATION, NOW, NOW, holder, role.id, boundary, role.language)


@pytest.mark.parametrize(("its", "allowed"), [("d1", True), ("d2", False)])
def test_a_scope_that_narrows_stays_narrow_when_its_role_is_granted_everywhere(its: str, allowed: bool) -> None:
    basic = _role("own", "resource_roles", '{"permissions": [{"verb": "read_own"}]}')
    held = Role(
        derive(RoleId, "access control"),
        "access control",
        LocalizedText("access control"),
        kind=RoleKind.NARROWED,
        language="resource_roles",
        included_role_ids=(basic.id,),
        resource_type_id="iam.user",
    )

    policy = compile_grant(_grant(held), {basic.id: basic, held.id: held})

    program = compile_program(PolicySet(Combine.ANY_OF, (policy,)))
    subject, resource = Subject(division_ids=frozenset({"d1"})), Resource(division_ids=frozenset({its}))
    request = Request("", subject, "emporix/GET-iam-list-group-users", resource=resource)
    assert held_scopes([policy]) == ("iam.user_read_own",)
    assert decide(program, request).allowed is allowed


@pytest.mark.parametrize(
    ("boundary", "allowed"),
    [
        (EVERYWHERE, "/v1/a"),
        (Boundary(BoundaryKind.PROJECTS, project_ids=(PROJECT,)), f"/v1/projects/{PROJECT}"),
        (Boundary(BoundaryKind.GROUP_SUBTREE, group_id=GROUP), f"/auth/groups/{GROUP}"),
    ],
)
def test_a_granted_role_counts_for_the_paths_of_the_place_it_is_held_in(boundary: Boundary, allowed: str) -> None:
    scope = _role("all", "endpoint_scopes", '{"allowed_endpoints": [{"path": "/**", "method": "*"}]}')
    role = Role(
        derive(RoleId, "role"),
        "role",
        LocalizedText("role"),
        kind=RoleKind.COMPOSED,
        language="endpoint_scopes",
        included_role_ids=(scope.id,),
    )

    policy = compile_grant(_grant(role, boundary), {scope.id: scope, role.id: role})

    program = compile_program(PolicySet(Combine.ANY_OF, (policy,)))
    paths = ("/v1/a", f"/v1/projects/{PROJECT}", f"/auth/groups/{GROUP}", "/v1/projects/other", "/auth/groups/other")
    requests = {path: locate(Request("", context=Context(method="GET", path=path))) for path in paths}
    assert [path for path, request in requests.items() if decide(program, request).allowed] == [allowed]
