"""The languages: what they read, what they refuse and where, and what they compile to."""

import json
from typing import Any

import pytest

from concord.kernel.errors import Invalid, Reason
from concord.policy.engine import Boundary, BoundaryKind, Combine, Effect, Policy, PolicySet, Statement
from concord.policy.languages import (
    LANGUAGES,
    Held,
    RoleView,
    SourceStatement,
    assemble,
    baseline,
    find_language,
    get_language,
)

ROLES = {
    role.name: role
    for role in (
        RoleView("Reader", ("identity.users.get",), BoundaryKind.ORGANIZATION),
        RoleView("Auditor", ("identity.users.get", "audit.events.list"), BoundaryKind.ORGANIZATION),
        RoleView("Builder", ("instances.*.*",), BoundaryKind.PROJECTS),
        RoleView("Keeper", ("identity.owner_users.get",), BoundaryKind.OWNER_ACCOUNT),
    )
}
PROJECT = Boundary(BoundaryKind.PROJECTS, project_ids=frozenset({"p1"}))


def _refusal(language: str, document: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        get_language(language).parse(document)
    assert caught.value.reason is Reason.INVALID_DOCUMENT
    return [(violation.field, violation.rule) for violation in caught.value.violations]


def _statements(*rows: Any) -> str:
    return json.dumps({"statements": list(rows)})


def _rules(*rows: Any) -> str:
    return json.dumps({"rules": list(rows)})


def _faults(statement: SourceStatement, language: str = "role_rules") -> list[tuple[str, str]]:
    faults = get_language(language).faults([statement], ROLES.get)
    return [(fault.field, fault.rule) for fault in faults]


def test_every_language_is_found_by_its_name() -> None:
    for name, language in LANGUAGES.items():
        assert language.name == name
        assert find_language(name) is language
    assert find_language("esperanto") is None


def test_an_unknown_language_is_refused_naming_the_field() -> None:
    with pytest.raises(Invalid) as caught:
        get_language("esperanto", "policy.language")

    assert caught.value.violations[0].field == "policy.language"


def test_a_document_is_read_into_statements() -> None:
    document = _statements(
        {"effect": "allow", "permissions": ["identity.users.*"], "operations": ["vendor/Get*"], "condition": "true"},
        {"effect": "deny", "permissions": ["*"], "boundary": {"kind": "projects", "project_ids": ["p1"]}},
    )

    allow, deny = get_language("statements").parse(document)

    assert allow == SourceStatement("", Effect.ALLOW, ("identity.users.*",), ("vendor/Get*",), condition="true")
    assert deny == SourceStatement("", Effect.DENY, ("*",), boundary=PROJECT)


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ("", [("document", "json")]),
        ("[]", [("document", "format")]),
        ('{"statements": [], "more": 1}', [("document", "format")]),
        ('{"statements": [{"effect": "allow", "effect": "deny"}]}', [("document", "json")]),
        ("[" * 10000, [("document", "json")]),
        (" " * 70_000, [("document", "length")]),
        (_statements(*[{}] * 1001), [("statements", "length")]),
        (_statements(1), [("statements[0]", "format")]),
        (_statements({"permissions": ["a.b.c"]}), [("statements[0].effect", "required")]),
        (_statements({"effect": "Allow", "permissions": ["a.b.c"]}), [("statements[0].effect", "unknown")]),
        (_statements({"effect": ["allow"], "permissions": ["a.b.c"]}), [("statements[0].effect", "unknown")]),
        (_statements({"effect": "allow"}), [("statements[0].permissions", "required")]),
        (_statements({"effect": "allow", "permissions": "*"}), [("statements[0].permissions", "format")]),
        (_statements({"effect": "allow", "permissions": [7]}), [("statements[0].permissions[0]", "format")]),
        (
            _statements({"effect": "allow", "permissions": ["a.b.c", "a.b*.c"]}),
            [("statements[0].permissions[1]", "pattern")],
        ),
        (
            _statements({"effect": "allow", "permissions": ["*"], "operations": ["a b"]}),
            [("statements[0].operations[0]", "pattern")],
        ),
        (_statements({"effect": "allow", "permissions": ["*"], "role": 1}), [("statements[0].role", "unknown")]),
        (
            _statements({"effect": "allow", "permissions": ["*"], "condition": "1 +"}),
            [("statements[0].condition", "condition")],
        ),
        (
            _statements({"effect": "allow", "permissions": ["*"], "boundary": {"kind": "moon"}}),
            [("statements[0].boundary.kind", "unknown")],
        ),
        (
            _statements({"effect": "allow", "permissions": ["*"], "boundary": {"kind": "projects"}}),
            [("statements[0].boundary.project_ids", "required")],
        ),
        (
            _statements({"effect": "allow", "permissions": ["*"], "boundary": {"project_ids": ["p1"]}}),
            [("statements[0].boundary.project_ids", "constraint")],
        ),
        (
            _statements({"effect": "allow", "permissions": ["*"], "boundary": {"kind": "group_subtree"}}),
            [("statements[0].boundary.group_id", "required")],
        ),
        (_statements({"effect": "allow", "permissions": ["*"], "boundary": 3}), [("statements[0].boundary", "format")]),
        (
            _statements({"effect": "allow", "permissions": ["*"], "boundary": {"planet": 3}}),
            [("statements[0].boundary.planet", "unknown")],
        ),
    ],
)
def test_a_document_is_refused_with_the_place_and_the_rule(document: str, refusal: list[tuple[str, str]]) -> None:
    assert _refusal("statements", document) == refusal


def test_broken_json_is_refused_with_line_and_column() -> None:
    with pytest.raises(Invalid, match="line 2, column 3"):
        get_language("statements").parse('{"statements":\n  nope}')


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        (_rules({}), [("rules[0].role_names", "required")]),
        (_rules({"role_names": ["Reader"], "effect": "deny"}), [("rules[0].effect", "unknown")]),
        (_rules({"role_names": ["Reader"], "permissions": ["*"]}), [("rules[0].permissions", "unknown")]),
        (
            _rules({"role_names": ["Reader"], "boundary": {"kind": "own_divisions"}}),
            [("rules[0].boundary.kind", "constraint")],
        ),
        (_rules({"role_names": ["Reader"], "condition": "(("}), [("rules[0].condition", "condition")]),
    ],
)
def test_a_document_of_rules_is_refused_with_the_place(document: str, refusal: list[tuple[str, str]]) -> None:
    assert _refusal("role_rules", document) == refusal


def test_rules_name_known_roles_of_one_kind_within_a_fitting_boundary() -> None:
    assert _faults(SourceStatement(role_names=("Reader", "Auditor"))) == []
    assert _faults(SourceStatement(role_names=("Builder",))) == []
    assert _faults(SourceStatement(role_names=("Builder",), boundary=PROJECT)) == []
    assert _faults(SourceStatement(role_names=("Keeper",), boundary=Boundary(BoundaryKind.OWNER_ACCOUNT))) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (SourceStatement(role_names=("Reader", "Nobody")), ("statements[0].role_names[1]", "unknown")),
        (SourceStatement(role_names=("Reader", "Builder")), ("statements[0].role_names", "constraint")),
        (SourceStatement(role_names=("Reader",), boundary=PROJECT), ("statements[0].boundary.kind", "constraint")),
        (SourceStatement(role_names=("Keeper",)), ("statements[0].boundary.kind", "constraint")),
        (SourceStatement(effect=Effect.DENY, role_names=("Reader",)), ("statements[0].effect", "constraint")),
        (SourceStatement(permissions=("*",), role_names=("Reader",)), ("statements[0].permissions", "constraint")),
    ],
)
def test_rules_are_refused_with_the_place(statement: SourceStatement, fault: tuple[str, str]) -> None:
    assert _faults(statement) == [fault]


def test_own_statements_name_no_roles() -> None:
    statement = SourceStatement(permissions=("*",), role_names=("Reader",))

    assert _faults(statement, "statements") == [("statements[0].role_names", "constraint")]


def test_a_rule_compiles_to_the_permissions_of_its_roles_and_none_of_those_that_are_gone() -> None:
    rule = SourceStatement("r1", role_names=("Reader", "Auditor", "Gone"), condition="true")

    policy = get_language("role_rules").compile("p", [rule, SourceStatement(role_names=("Gone",))], ROLES.get)

    expected = Statement("r1", permissions=("identity.users.get", "audit.events.list"), condition="true")
    assert policy == Policy("p", (expected, Statement("p#1")))


def test_sources_are_combined_for_each_holder_and_language_apart() -> None:
    one, two, three = Policy("1"), Policy("2"), Policy("3")
    ground = baseline("vendor", ["policy.roles.list"])

    combined = assemble(
        [Held("u", "role_rules", one), Held("g", "role_rules", two), Held("u", "statements", three)], [ground]
    )

    assert combined == PolicySet(
        Combine.ANY_OF,
        (
            PolicySet(Combine.ANY_OF, (one,), "u role_rules"),
            PolicySet(Combine.ANY_OF, (two,), "g role_rules"),
            PolicySet(Combine.DENY_OVERRIDES, (three,), "u statements"),
            ground,
        ),
    )
