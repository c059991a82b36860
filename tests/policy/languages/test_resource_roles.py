"""Roles held on types of resource: what is read and refused, which scopes they are, and what those allow."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.kernel.errors import Invalid, Reason
from concord.policy.engine import (
    Boundary,
    BoundaryKind,
    Combine,
    Effect,
    PolicySet,
    Request,
    Resource,
    Subject,
    compile_program,
    decide,
)
from concord.policy.languages import Held, RoleView, SourceStatement, assemble
from concord.policy.languages.resource_roles import ResourceRoles, held_scopes, held_verbs, narrowed

LANGUAGE = ResourceRoles()
OWN = Boundary(BoundaryKind.OWN_DIVISIONS)
ROLES = {
    "reader": RoleView("reader", (), BoundaryKind.ORGANIZATION, LANGUAGE.parse('{"permissions": [{"verb": "read"}]}')),
    "group reader": RoleView("group reader", ("iam.group.read",), BoundaryKind.ORGANIZATION),
    "written as a scope": RoleView("written as a scope", ("iam.group_read_own",), BoundaryKind.ORGANIZATION),
}


def _refusal(document: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        LANGUAGE.parse(document)
    assert caught.value.reason is Reason.INVALID_DOCUMENT
    return [(violation.field, violation.rule) for violation in caught.value.violations]


def _read(document: str) -> tuple[SourceStatement, ...]:
    """Read a document of any kind; the only way to fail is to say what is wrong with it."""
    try:
        return LANGUAGE.parse(document)
    except Invalid as error:
        if not error.violations:
            raise
        return ()


def _permissions(*rows: Any) -> str:
    return json.dumps({"permissions": rows})


def _controls(*rows: Any) -> str:
    return json.dumps({"access_controls": rows})


def _held(*statements: SourceStatement) -> tuple[str, ...]:
    return held_scopes([LANGUAGE.compile("p", statements, ROLES.get)])


def test_verbs_are_read_with_the_types_of_resource_they_are_meant_for() -> None:
    document = _permissions({"verb": "read", "resource_types": ["iam.group", "order.order"]}, {"verb": "manage_own"})

    statements = LANGUAGE.parse(document)

    assert statements == (
        SourceStatement(permissions=("iam.group.read", "order.order.read")),
        SourceStatement(permissions=("*.*.manage_own",)),
    )
    assert LANGUAGE.faults(statements, ROLES.get) == []


def test_access_controls_are_read_as_a_role_on_a_type_of_resource() -> None:
    document = _controls(
        {"role_name": "reader", "resource_type": "iam.group"},
        {"role_name": "reader", "resource_type": "order.order", "boundary": {"kind": "own_divisions"}},
    )

    statements = LANGUAGE.parse(document)

    assert statements == (
        SourceStatement(permissions=("iam.group.*",), role_names=("reader",)),
        SourceStatement(permissions=("order.order.*",), role_names=("reader",), boundary=OWN),
    )
    assert LANGUAGE.faults(statements, ROLES.get) == []


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ("", [("document", "json")]),
        ("[]", [("document", "format")]),
        ("{}", [("document", "format")]),
        ('{"permissions": [], "access_controls": []}', [("document", "format")]),
        ('{"rules": []}', [("document", "format")]),
        ('{"permissions": {}}', [("permissions", "format")]),
        ('{"permissions": [{"verb": "a", "verb": "b"}]}', [("document", "json")]),
        ('{"permissions": [Infinity]}', [("document", "json")]),
        ('{"permissions": [{"verb": "\\udfff"}]}', [("permissions[0].verb", "json")]),
        ("[" * 30_000, [("document", "json")]),
        (" " * 70_000, [("document", "length")]),
        (_permissions(*[{}] * 1001), [("permissions", "length")]),
        (_permissions("read"), [("permissions[0]", "format")]),
        (_permissions({}), [("permissions[0].verb", "required")]),
        (_permissions({"verb": 1}), [("permissions[0].verb", "format")]),
        (_permissions({"verb": "*"}), [("permissions[0].verb", "pattern")]),
        (_permissions({"verb": "re\u0430d"}), [("permissions[0].verb", "pattern")]),
        (_permissions({"verb": "read\n"}), [("permissions[0].verb", "pattern")]),
        (_permissions({"verb": "a.b"}), [("permissions[0].verb", "pattern")]),
        (_permissions({"verb": "read", "types": []}), [("permissions[0].types", "unknown")]),
        (_permissions({"verb": "read", "resource_types": []}), [("permissions[0].resource_types", "format")]),
        (_permissions({"verb": "read", "resource_types": None}), [("permissions[0].resource_types", "format")]),
        (_permissions({"verb": "read", "resource_types": ["*.*"]}), [("permissions[0].resource_types[0]", "pattern")]),
        (
            _permissions({"verb": "read", "resource_types": ["a.b", "a"]}),
            [("permissions[0].resource_types[1]", "pattern")],
        ),
        (_permissions({"verb": "read", "resource_types": [["a.b"]]}), [("permissions[0].resource_types[0]", "format")]),
        (
            _permissions({"verb": "read", "resource_types": ["a.b.c"]}),
            [("permissions[0].resource_types[0]", "pattern")],
        ),
        (
            _permissions({"verb": "read", "resource_types": ["a.b"] * 1001}),
            [("permissions[0].resource_types", "length")],
        ),
        (_controls({"resource_type": "iam.group"}), [("access_controls[0].role_name", "required")]),
        (_controls({"role_name": 1, "resource_type": "iam.group"}), [("access_controls[0].role_name", "format")]),
        (_controls({"role_name": "reader"}), [("access_controls[0].resource_type", "required")]),
        (_controls({"role_name": "r", "resource_type": "iam.*"}), [("access_controls[0].resource_type", "pattern")]),
        (_controls({"role_name": "r", "resource_type": "a.b", "x": 1}), [("access_controls[0].x", "unknown")]),
        (
            _controls(
                {"role_name": "r", "resource_type": "a.b", "boundary": {"kind": "projects", "project_ids": ["p"]}}
            ),
            [("access_controls[0].boundary.kind", "constraint")],
        ),
    ],
)
def test_a_document_is_refused_with_the_place_and_the_rule(document: str, refusal: list[tuple[str, str]]) -> None:
    assert _refusal(document) == refusal


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (SourceStatement(), ("statements[0].permissions", "required")),
        (SourceStatement(role_names=("gone",)), ("statements[0].role_names[0]", "unknown")),
        (SourceStatement(permissions=("a.b",)), ("statements[0].permissions[0]", "pattern")),
        (SourceStatement(permissions=("*",)), ("statements[0].permissions[0]", "pattern")),
        (SourceStatement(permissions=("a.b.re d",)), ("statements[0].permissions[0]", "pattern")),
        (SourceStatement(permissions=("a.b.c",), role_names=("reader",)), ("statements[0].permissions[0]", "pattern")),
        (SourceStatement(permissions=("*.*.*",), role_names=("reader",)), ("statements[0].permissions[0]", "pattern")),
        (SourceStatement(effect=Effect.DENY, permissions=("a.b.c",)), ("statements[0].effect", "constraint")),
        (SourceStatement(permissions=("a.b.c",), condition="true"), ("statements[0].condition", "constraint")),
        (SourceStatement(permissions=("a.b.c",), operations=("a/b",)), ("statements[0].operations", "constraint")),
        (
            SourceStatement(permissions=("a.b.c",), boundary=Boundary(BoundaryKind.GROUP_SUBTREE, group_id="g")),
            ("statements[0].boundary.kind", "constraint"),
        ),
    ],
)
def test_stored_statements_are_refused_with_the_place(statement: SourceStatement, fault: tuple[str, str]) -> None:
    assert [(each.field, each.rule) for each in LANGUAGE.faults([statement], ROLES.get)] == [fault]


def test_what_could_not_have_been_stored_grants_nothing() -> None:
    named = ("iam.group.read",)
    project = Boundary(BoundaryKind.PROJECTS, project_ids=frozenset({"p"}))
    foreign = [
        SourceStatement(effect=Effect.DENY, permissions=named),
        SourceStatement(permissions=named, condition="true"),
        SourceStatement(permissions=named, source_network="192.0.2.0/24"),
        SourceStatement(permissions=named, boundary=project),
        SourceStatement(role_names=("gone",), permissions=("iam.group.*",)),
    ]

    assert LANGUAGE.compile("p", foreign, ROLES.get).statements == ()


def test_a_role_that_is_narrowed_by_itself_needs_no_type_of_resource() -> None:
    assert _held(SourceStatement(role_names=("group reader",))) == ("iam.group_read",)
    assert _held(SourceStatement(role_names=("written as a scope",))) == ("iam.group_read_own",)
    assert _held(SourceStatement(role_names=("reader",))) == ()


def test_a_role_is_narrowed_to_what_it_says_about_one_type_of_resource() -> None:
    listed = ("*.*.read", "iam.group.manage", "iam.*.view", "order.order.read", "coupon.coupon_redeem", "broken")

    assert narrowed(listed, "iam.group") == ("iam.group.read", "iam.group.manage", "iam.group.view")
    assert narrowed(listed, "coupon.coupon") == ("coupon.coupon.read", "coupon.coupon.redeem")
    assert narrowed(("*",), "iam.group") == ("iam.group.*",)


def test_the_verbs_that_somebody_holds_on_a_type_of_resource_are_told() -> None:
    rows = '{"permissions": [{"verb": "read", "resource_types": ["iam.group", "a.b"]}, {"verb": "manage_own"}]}'
    roles = {"r": RoleView("r", (), BoundaryKind.ORGANIZATION, LANGUAGE.parse(rows))}
    first = SourceStatement(role_names=("r",), permissions=("iam.group.*",))
    second = SourceStatement(role_names=("r",), permissions=("a.b.*",))

    policies = [LANGUAGE.compile("p", [first], roles.get), LANGUAGE.compile("q", [second], roles.get)]

    assert held_verbs(policies, "iam.group") == ("manage_own", "read")
    assert held_verbs(policies, "iam.role") == ()


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_no_text_breaks_the_parser(text: str) -> None:
    _read(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8) | st.just("a.b"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("permissions", "access_controls", "verb", "resource_types", "role_name"),
                    *("resource_type", "boundary", "kind", "project_ids", "group_id"),
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from(("permissions", "access_controls")), json_values)
def test_no_json_breaks_the_parser_and_what_it_reads_compiles(top: str, value: Any) -> None:
    LANGUAGE.compile("p", _read(json.dumps({top: value})), ROLES.get)


TYPES = ("iam.group", "iam.user", "iam.assignment", "order.order", "groups.groups")
VERBS = ("read", "manage", "read_own", "create_own", "manage_by_vendor")
# The part of the table that these types and verbs can reach: operation, and the scopes of which any is enough.
NEEDS = {
    "emporix/GET-iam-list-tenant-user-groups": ("iam.group_read", "iam.group_read_own"),
    "emporix/GET-iam-retrieve-users-group": ("iam.group_read",),
    "emporix/POST-iam-create-user-group": ("iam.group_manage",),
    "emporix/DELETE-iam-remove-user-group": ("iam.group_manage",),
    "emporix/GET-iam-list-group-users": ("iam.user_read", "iam.user_read_own"),
    "emporix/POST-iam-add-user-to-group": ("iam.assignment_manage", "iam.assignment_create_own"),
    "emporix/DELETE-iam-remove-user-from-group": ("iam.assignment_manage", "iam.assignment_delete_own"),
    "emporix/GET-iam-list-users-with-groups": ("iam.user_read",),
    "emporix/PUT-iam-update-user": ("iam.user_update",),
}
written_roles = st.dictionaries(
    st.sampled_from(("r1", "r2", "r3")),
    st.lists(
        st.tuples(st.sampled_from(VERBS), st.none() | st.lists(st.sampled_from(TYPES), min_size=1, max_size=2)),
        max_size=3,
    ),
    max_size=3,
)
written_groups = st.lists(
    st.lists(st.tuples(st.sampled_from(("r1", "r2", "r3")), st.sampled_from(TYPES), st.booleans()), max_size=3),
    max_size=3,
)
divisions = st.frozensets(st.sampled_from(("d1", "d2")))
attributes = st.sampled_from(({}, {"member_kind": "customer"}, {"member_kind": "workforce"}))


def _naive_scopes(roles: dict[str, Any], groups: list[list[tuple[str, str, bool]]]) -> set[tuple[str, bool]]:
    """For each group, for each access control, for each verb of its role that is meant for the type: the scope."""
    found = set()
    for group in groups:
        for role, resource_type, within_own in group:
            for verb, applicable in roles.get(role, ()):
                if applicable is None or resource_type in applicable:
                    found.add((f"{resource_type}_{verb}", within_own))
    return found


@given(written_roles, written_groups, st.data())
def test_the_compiled_access_controls_decide_as_the_words_say(
    roles: dict[str, Any], groups: list[list[tuple[str, str, bool]]], data: st.DataObject
) -> None:
    views = {}
    for name, rows in roles.items():
        entries = [{"verb": verb} | ({} if of is None else {"resource_types": of}) for verb, of in rows]
        views[name] = RoleView(name, (), BoundaryKind.ORGANIZATION, LANGUAGE.parse(_permissions(*entries)))
    policies = []
    for number, group in enumerate(groups):
        kinds = {True: "own_divisions", False: "organization"}
        rows = [{"role_name": r, "resource_type": t, "boundary": {"kind": kinds[own]}} for r, t, own in group]
        policies.append(LANGUAGE.compile(f"p{number}", LANGUAGE.parse(_controls(*rows)), views.get))
    program = compile_program(assemble(Held(policy.id, LANGUAGE.name, policy) for policy in policies))
    mine, its = data.draw(divisions), data.draw(divisions)
    about = data.draw(attributes)
    operation = data.draw(st.sampled_from(sorted(NEEDS)))
    resource = Resource(division_ids=its, attributes=about)

    scopes = _naive_scopes(roles, groups)
    asked = Request("", Subject(division_ids=mine), operation, resource=resource)
    allowed = decide(program, asked).allowed

    assert held_scopes(policies) == tuple(sorted({scope for scope, _ in scopes}))
    shared = bool(mine & its)
    assert allowed is any(
        (shared or not within_own)
        and (not scope.endswith(("_own", "_by_vendor")) or _narrow_holds(scope, shared, about))
        for scope, within_own in scopes
        if scope in NEEDS[operation]
    )
    by_name = data.draw(st.sampled_from([f"{t}_{v}" for t in TYPES for v in VERBS]))
    asked = Request(by_name, Subject(division_ids=mine), resource=resource)
    assert decide(program, asked).allowed is any(
        shared or not within_own for scope, within_own in scopes if scope == by_name
    )


def _narrow_holds(scope: str, shared: bool, about: dict[str, str]) -> bool:
    """The narrowed list of groups is one of customers' groups; what else is narrowed is to shared divisions."""
    return about.get("member_kind") == "customer" if scope == "iam.group_read_own" else shared


@given(written_roles, written_groups)
def test_order_and_number_of_groups_mean_nothing(
    roles: dict[str, Any], groups: list[list[tuple[str, str, bool]]]
) -> None:
    views = {}
    for name, rows in roles.items():
        entries = [{"verb": verb} | ({} if of is None else {"resource_types": of}) for verb, of in rows]
        views[name] = RoleView(name, (), BoundaryKind.ORGANIZATION, LANGUAGE.parse(_permissions(*entries)))

    def scopes_of(listed: list[list[tuple[str, str, bool]]]) -> tuple[str, ...]:
        documents = [_controls(*({"role_name": r, "resource_type": t} for r, t, _ in group)) for group in listed]
        return held_scopes(LANGUAGE.compile("p", LANGUAGE.parse(each), views.get) for each in documents)

    assert scopes_of(groups) == scopes_of(groups[::-1]) == scopes_of([[row for group in groups for row in group]])


def test_a_ceiling_of_scopes_lowers_what_roles_give() -> None:
    policy = LANGUAGE.compile(
        "p", LANGUAGE.parse(_permissions({"verb": "read", "resource_types": ["a.b", "a.c"]})), ROLES.get
    )
    program = compile_program(PolicySet(Combine.ANY_OF, (policy,)))
    limit = compile_program(
        PolicySet(Combine.ANY_OF, (LANGUAGE.compile("c", [SourceStatement(permissions=("a.b.read",))], ROLES.get),))
    )

    assert decide(program, Request("a.b_read"), limit).allowed
    assert not decide(program, Request("a.c_read"), limit).allowed
