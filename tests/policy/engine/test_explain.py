"""What a walk tells of the statements it met, and what conditions saw."""

from datetime import UTC, datetime

import pytest

from concord.policy.engine import (
    Boundary,
    BoundaryKind,
    Combine,
    Context,
    Effect,
    Endpoint,
    Policy,
    PolicySet,
    Request,
    Statement,
    Step,
    Walk,
    allowing_nodes,
    compile_program,
    preorder,
    seen_values,
)
from concord.policy.engine.explain import MAX_SEEN, MAX_VALUE


def any_of(*children: PolicySet | Policy) -> PolicySet:
    return PolicySet(Combine.ANY_OF, children)


def test_a_walk_names_the_first_thing_that_did_not_match() -> None:
    here = Boundary(BoundaryKind.PROJECTS, project_ids=frozenset({"p1"}))
    statements = (
        Statement("action", permissions=("x.y.z",)),
        Statement("boundary", permissions=("*",), boundary=here),
        Statement("condition", permissions=("*",), condition="request.nothing == 1"),
        Statement("dialect", permissions=("*",), dialect="vendor"),
        Statement("endpoint", permissions=("*",), denied_endpoints=(Endpoint("/**"),)),
        Statement("lifted", Effect.DENY, ("*",), condition="false"),
        Statement("matched", permissions=("*",)),
        Statement("network", permissions=("*",), source_networks=("10.0.0.0/8",)),
        Statement("parameters", permissions=("*",), parameters=(("a", "b"),)),
    )
    request = Request("a.b.c", context=Context(method="GET", path="/x"))

    walk = Walk(compile_program(any_of(Policy("p", statements))), request)
    looked = {each.statement.id: each for each in walk.looked()}

    steps = {name: each.step for name, each in looked.items()}
    assert steps == {**{step.value: step for step in Step if step is not Step.ACTION}, "lifted": Step.CONDITION}
    assert "nothing" in looked["condition"].error
    assert (looked["lifted"].failed, looked["lifted"].error) == (True, "")
    assert walk.decision.statement_ids == ("matched",)


def test_a_deny_whose_condition_errs_counts_and_says_so() -> None:
    deny = Statement("d", Effect.DENY, ("*",), condition="request.nothing == 1")

    walk = Walk(compile_program(any_of(Policy("p", (deny,)))), Request("a.b.c"))
    (looked,) = walk.looked()

    assert (looked.step, looked.deny, looked.failed) == (Step.MATCHED, True, True)
    assert "nothing" in looked.error
    assert walk.decision.statement_ids == ("d",)


def test_a_set_of_which_all_must_allow_allows_only_when_all_do() -> None:
    yes, no = Statement("yes", permissions=("*",)), Statement("no", permissions=("x.y.z",))
    tree = any_of(
        PolicySet(Combine.ALL_OF, (Policy("1", (yes,)), Policy("2", (no,)))),
        PolicySet(Combine.ALL_OF, (Policy("3", (yes,)), Policy("4", (yes,)))),
        PolicySet(Combine.ALL_OF),
    )
    program = compile_program(tree)

    allowing = allowing_nodes(program, Walk(program, Request("a.b.c")).looked())

    nodes = list(preorder(tree))
    assert len(nodes) == len(program.nodes)
    assert [getattr(nodes[number], "id", number) for number in sorted(allowing)] == [0, "1", 4, "3", "4"]


@pytest.mark.parametrize(
    ("condition", "seen"),
    [
        ("request.ip.startsWith('10.')", ("request.ip", True, "192.0.2.7")),
        ('request.attributes["class"] == "a"', ("request.attributes.class", True, "other")),
        ("request['attributes']['a b'] == 'x'", ('request.attributes["a b"]', True, "1")),
        ("has(resource.id)", ("resource.id", False, "")),
        ("request.time > timestamp('2026-01-01T00:00:00Z')", ("request.time", True, "2026-11-22T01:00:00Z")),
        ("request.mfa", ("request.mfa", True, "true")),
        ("subject.name == 'x'", ("subject.name", False, "")),
        ("request.attributes.exists(k, k == 'class')", ('request.attributes["a b"]', True, "1")),
    ],
)
def test_what_a_condition_names_is_shown_as_it_saw_it(condition: str, seen: tuple[str, bool, str]) -> None:
    attributes = {"class": "other", "a b": "1"}
    context = Context(ip="192.0.2.7", mfa=True, time=datetime(2026, 11, 22, 1, tzinfo=UTC), attributes=attributes)

    first = seen_values(condition, Request("a.b.c", context=context))[0]

    assert (first.name, first.known, first.value) == seen


@pytest.mark.parametrize("name", ["password", "newPassword", "client_secret", "accessToken", "apiKey", "otp_code"])
def test_what_may_be_a_secret_is_not_shown(name: str) -> None:
    request = Request("a.b.c", context=Context(attributes={name: "hunter2"}))

    for condition in (f'request.attributes["{name}"] != ""', "request.attributes.exists(k, k == 'x')"):
        (seen,) = seen_values(condition, request)
        assert (seen.known, seen.concealed, seen.value) == (True, True, "")


def test_what_is_shown_is_bounded() -> None:
    attributes = {f"a{number}": "x" * 1000 for number in range(64)}
    request = Request("a.b.c", context=Context(attributes=attributes))

    every = " && ".join(f"request.attributes.a{number} == ''" for number in range(64))
    for condition in (every, "request.attributes.exists(k, k == 'x')"):
        seen = seen_values(condition, request)
        assert len(seen) == MAX_SEEN
        assert {len(each.value) for each in seen} == {MAX_VALUE}


def test_a_text_made_to_be_read_slowly_is_read_at_once() -> None:
    for text in ("request" + " " * 2000, "request[" * 250, "request.a" * 200, 'request["' + "\\" * 1900):
        assert len(seen_values(text, Request("a.b.c"))) <= MAX_SEEN
