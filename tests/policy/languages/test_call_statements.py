"""Statements over calls: what they read, what they refuse and where, and what they compile to."""

import json
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from concord.kernel.errors import Invalid, Reason
from concord.policy.engine import (
    Boundary,
    BoundaryKind,
    Combine,
    Effect,
    Endpoint,
    Policy,
    Request,
    Statement,
    compile_program,
    decide,
)
from concord.policy.languages import Held, SourceStatement, assemble, find_language
from concord.policy.languages.base import MAX_DOCUMENT, MAX_STATEMENTS
from concord.policy.languages.call_statements import MAX_CALLS, CallStatements

LANGUAGE = CallStatements()


def _document(*rows: Any) -> str:
    return json.dumps({"statements": list(rows)})


def _refusal(document: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        LANGUAGE.parse(document)
    assert caught.value.reason is Reason.INVALID_DOCUMENT
    return [(violation.field, violation.rule) for violation in caught.value.violations]


def _compiled(document: str) -> Policy:
    return LANGUAGE.compile("p", LANGUAGE.parse(document), lambda name: None)


def test_the_language_is_known_by_its_name() -> None:
    found = find_language("call_statements")

    assert found is not None
    assert found.combine is Combine.DENY_OVERRIDES


def test_a_document_is_read_into_statements_as_their_author_wrote_them() -> None:
    document = _document(
        {"effect": "allow", "api": "User:createUser"},
        {"api": ["Role:*", "Sim:list*"], "effect": "deny", "condition": "samUserName == 'alice'"},
    )

    assert LANGUAGE.parse(document) == (
        SourceStatement(operations=("soracom/User:createUser",)),
        SourceStatement(
            effect=Effect.DENY,
            operations=("soracom/Role:*", "soracom/Sim:list*"),
            condition="samUserName == 'alice'",
        ),
    )


def test_statements_compile_to_operations_and_conditions_in_cel() -> None:
    document = _document(
        {"effect": "allow", "api": "*"},
        {"effect": "deny", "api": "Role:*", "condition": "samUserName == 'alice'"},
    )

    assert _compiled(document) == Policy(
        "p",
        (
            Statement("p#0", operations=("soracom/*",)),
            Statement("p#1", Effect.DENY, operations=("soracom/Role:*",), condition='(subject.name == "alice")'),
        ),
    )


def test_the_zone_of_days_is_a_setting() -> None:
    statement = SourceStatement(operations=("soracom/*",), condition="currentDate >= date(2023, 02, 01)")

    policy = CallStatements("Asia/Tokyo").compile("p", [statement], lambda name: None)

    assert policy.statements[0].condition == '(dateIn(request.time, "Asia/Tokyo") >= "2023-02-01")'


def test_a_zone_that_does_not_exist_is_an_error_at_once() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        CallStatements("No/Where")


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ("", [("document", "json")]),
        ("[]", [("document", "format")]),
        ("{}", [("document", "format")]),
        ('{"statements": {}}', [("document", "format")]),
        ('{"statements": [], "version": 1}', [("document", "format")]),
        ('{"statements": [], "statements": []}', [("document", "json")]),
        ('{"statements": [{"effect": "deny", "effect": "allow", "api": "*"}]}', [("document", "json")]),
        ('{"statements": [NaN]}', [("document", "json")]),
        ('{"statements": [Infinity]}', [("document", "json")]),
        ('{"statements": [1e999]}', [("statements[0]", "format")]),
        (f'{{"statements": [{"9" * 5000}]}}', [("document", "json")]),
        ("[" * 60000, [("document", "json")]),
        (f'{{"statements": [{"[" * 30000}{"]" * 30000}]}}', [("document", "json")]),
        (" " * (MAX_DOCUMENT + 1), [("document", "length")]),
        (_document(*[1] * (MAX_STATEMENTS + 1)), [("statements", "length")]),
        (_document(7), [("statements[0]", "format")]),
        (_document({"effect": "allow"}), [("statements[0].api", "required")]),
        (_document({"api": "*"}), [("statements[0].effect", "required")]),
        (_document({"effect": None, "api": "*"}), [("statements[0].effect", "unknown")]),
        (_document({"effect": ["allow"], "api": "*"}), [("statements[0].effect", "unknown")]),
        (_document({"effect": "allow", "api": {}}), [("statements[0].api", "format")]),
        (_document({"effect": "allow", "api": None}), [("statements[0].api", "format")]),
        (_document({"effect": "allow", "api": []}), [("statements[0].api", "required")]),
        (_document({"effect": "allow", "api": ""}), [("statements[0].api", "pattern")]),
        (_document({"effect": "allow", "api": ["*", 1]}), [("statements[0].api[1]", "format")]),
        (_document({"effect": "allow", "api": ["*"] * (MAX_CALLS + 1)}), [("statements[0].api", "length")]),
        (_document({"effect": "allow", "api": "*", "condition": 1}), [("statements[0].condition", "format")]),
        (_document({"effect": "allow", "api": "*", "condition": None}), [("statements[0].condition", "format")]),
        (_document({"effect": "allow", "api": "*", "condition": "("}), [("statements[0].condition", "condition")]),
        (_document({"effect": "allow", "api": "*", "Condition": ""}), [("statements[0].Condition", "unknown")]),
        ('{"statements": [{"effect": "allow", "api": "User:\\ud800"}]}', [("statements[0].api", "json")]),
        ('{"statements": [{"effect": "allow", "api": "*", "\\udc00": 1}]}', [("statements[0]", "json")]),
    ],
)
def test_a_document_is_refused_with_the_place(document: str, refusal: list[tuple[str, str]]) -> None:
    assert _refusal(document) == refusal


@pytest.mark.parametrize(
    "call",
    [
        *("User", "User:", ":createUser", "User:create:user", "user createUser", "User:create User", " *", "* "),
        *("Us*:create", "User:cre*te", "*:*", "*User:create", "User:**", "**", "Us*", "soracom/User:create"),
        *("User:crеate", "User:create\u200b", "User:create\n", "Ｕser:create", "User:" + "a" * 129, "U" * 65 + ":a"),
    ],
)
def test_a_name_of_a_call_is_plain_and_has_its_star_at_the_end(call: str) -> None:
    assert _refusal(_document({"effect": "allow", "api": [call]})) == [("statements[0].api[0]", "pattern")]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    document = _document({"effect": "allow", "api": "*"}, {"effect": "no", "api": ["*", "x"], "condition": "y"})

    assert _refusal(document) == [
        ("statements[1].condition", "condition"),
        ("statements[1].api[1]", "pattern"),
        ("statements[1].effect", "unknown"),
    ]


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (SourceStatement(), ("statements[0].operations", "required")),
        (SourceStatement(operations=("User:createUser",)), ("statements[0].operations[0]", "pattern")),
        (SourceStatement(operations=("soracom/*", "other/*")), ("statements[0].operations[1]", "pattern")),
        (SourceStatement(operations=("soracom/U*r:a",)), ("statements[0].operations[0]", "pattern")),
        (
            SourceStatement(operations=("soracom/*",), permissions=("*",)),
            ("statements[0].permissions", "constraint"),
        ),
        (SourceStatement(operations=("soracom/*",), role_names=("r",)), ("statements[0].role_names", "constraint")),
        (
            SourceStatement(operations=("soracom/*",), endpoints=(Endpoint("/a"),)),
            ("statements[0].endpoints", "constraint"),
        ),
        (
            SourceStatement(operations=("soracom/*",), boundary=Boundary(BoundaryKind.OWNER_ACCOUNT)),
            ("statements[0].boundary", "constraint"),
        ),
        (SourceStatement(operations=("soracom/*",), condition="1 +"), ("statements[0].condition", "condition")),
    ],
)
def test_statements_are_refused_with_the_place(statement: SourceStatement, fault: tuple[str, str]) -> None:
    assert [(each.field, each.rule) for each in LANGUAGE.faults([statement], lambda name: None)] == [fault]


def test_what_was_read_has_no_faults() -> None:
    statements = LANGUAGE.parse(
        _document({"effect": "allow", "api": ["*", "A-b_1:c.d-e*", "A:*"], "condition": "not ipAddress('::1')"})
    )

    assert LANGUAGE.faults(statements, lambda name: None) == []


@pytest.mark.parametrize("condition", ["no longer readable", "(" * 50, "\ud800"])
def test_a_stored_condition_that_cannot_be_read_never_allows_and_goes_on_denying(condition: str) -> None:
    everything = SourceStatement("all", operations=("soracom/*",))
    broken = SourceStatement("broken", operations=("soracom/*",), condition=condition)
    request = Request("a.b.c", operation="soracom/Sim:listSims")

    for effect, others, allowed in ((Effect.ALLOW, [], False), (Effect.DENY, [everything], False)):
        statement = SourceStatement("broken", effect, operations=broken.operations, condition=condition)
        policy = LANGUAGE.compile("p", [statement, *others], lambda name: None)
        decision = decide(compile_program(assemble([Held("u", "call_statements", policy)])), request)
        assert decision.allowed is allowed
        assert [failed.statement_id for failed in decision.failed_conditions] == ["broken"]


_CALLS = ["*", "Sim:*", "Sim:list*", "Sim:listSims", "Role:*", "User:get*"]
_ROWS = st.fixed_dictionaries(
    {"effect": st.sampled_from(["allow", "deny"]), "api": st.lists(st.sampled_from(_CALLS), min_size=1, max_size=2)},
    optional={"condition": st.sampled_from(["", "true", "false", "samUserName == 1"])},
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(_ROWS, max_size=3), max_size=3), st.sampled_from(["Sim:listSims", "User:getUser", "X:y"]))
def test_any_active_deny_refuses_and_else_any_active_allow_allows_in_whatever_order(
    documents: list[list[dict[str, Any]]], call: str
) -> None:
    def matches(row: dict[str, Any]) -> bool:
        return any(call.startswith(name[:-1]) if name.endswith("*") else call == name for name in row["api"])

    def is_active(row: dict[str, Any]) -> bool:
        condition = row.get("condition", "")
        # What cannot be answered is a reason to deny and none to allow.
        return condition in ("", "true") or (condition not in ("false",) and row["effect"] == "deny")

    effects = {row["effect"] for rows in documents for row in rows if matches(row) and is_active(row)}
    request = Request("a.b.c", operation=f"soracom/{call}")

    for ordered in permutations(documents):
        held = [
            Held(
                f"h{number % 2}",
                "call_statements",
                LANGUAGE.compile(f"p{number}", LANGUAGE.parse(_document(*rows)), lambda name: None),
            )
            for number, rows in enumerate(ordered)
        ]
        assert decide(compile_program(assemble(held)), request).allowed is (effects == {"allow"})


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["allow", "deny", "*"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["statements", "effect", "api", "condition", "principal"]) | st.text(), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")), _JSON.map(json.dumps)))
@example("\ud800")
@example("\x00")
@example('{"statements": [{"effect": "allow", "api": "*", "condition": "\\u0000"}]}')
def test_no_text_does_worse_than_being_refused(document: str) -> None:
    told: tuple[str, ...] = ()
    statements: tuple[SourceStatement, ...] = ()
    try:
        statements = LANGUAGE.parse(document)
    except Invalid as refusal:
        told = tuple(violation.field for violation in refusal.violations)

    assert all(field.isprintable() for field in told)
    assert LANGUAGE.faults(statements, lambda name: None) == []
