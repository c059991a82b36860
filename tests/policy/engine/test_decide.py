"""Decisions beyond the tables: reach, trees, what is unknown, explanations, and what they cost."""

import time

from hypothesis import given
from hypothesis import strategies as st

from concord.policy.engine import (
    EVERYWHERE,
    NOWHERE,
    Boundary,
    BoundaryKind,
    Combine,
    Context,
    Effect,
    Endpoint,
    Policy,
    PolicySet,
    Reach,
    Request,
    Statement,
    Step,
    compile_program,
    decide,
    explain,
)

PLACES = ("p1", "p2", "p3", "p4")
project_sets = st.frozensets(st.sampled_from(PLACES[:3]))
reaches = st.one_of(
    project_sets.map(lambda ids: Reach(False, ids)), project_sets.map(lambda ids: Reach(True, frozenset(), ids))
)


def _policy(name: str, *statements: Statement) -> Policy:
    return Policy(name, statements)


def _any(*children: PolicySet | Policy) -> PolicySet:
    return PolicySet(Combine.ANY_OF, children)


def _all(*children: PolicySet | Policy) -> PolicySet:
    return PolicySet(Combine.ALL_OF, children)


@given(reaches, reaches)
def test_reach_is_an_algebra_of_places(left: Reach, right: Reach) -> None:
    for place in PLACES:
        here, there = left.holds_in(place), right.holds_in(place)
        assert left.union(right).holds_in(place) is (here or there)
        assert left.intersection(right).holds_in(place) is (here and there)
        assert left.minus(right).holds_in(place) is (here and not there)


def test_the_roles_of_one_group_narrow_each_other_and_groups_add_up() -> None:
    get = _policy("get", Statement("get", endpoints=(Endpoint("**", "GET"),)))
    contracts = _policy("contracts", Statement("contracts", endpoints=(Endpoint("/contracts"),)))
    office = _policy("office", Statement("office", endpoints=(Endpoint("**"),), source_networks=("10.0.0.5/24",)))

    def allowed(sources: PolicySet, method: str, path: str, ip: str = "") -> bool:
        request = Request("external", context=Context(method=method, path=path, ip=ip))
        return decide(compile_program(sources), request).allowed

    narrow = _any(_all(_any(get), _any(contracts)))
    assert allowed(narrow, "GET", "/contracts")
    assert not allowed(narrow, "POST", "/contracts")
    assert not allowed(narrow, "GET", "/tickets")
    wide = _any(_all(get), _all(contracts))
    assert allowed(wide, "POST", "/contracts")
    assert allowed(wide, "GET", "/tickets")
    assert not allowed(wide, "POST", "/tickets")
    assert allowed(_any(_all(get, office)), "GET", "/x", "10.0.0.200")
    assert not allowed(_any(_all(get, office)), "GET", "/x", "10.0.1.1")
    assert not allowed(_any(_all(get, office)), "GET", "/x")
    assert not allowed(_any(_all(get, _policy("empty"))), "GET", "/x")


def test_denied_endpoints_are_taken_from_allowed_ones() -> None:
    scope = Statement("scope", endpoints=(Endpoint("/users/**"),), denied_endpoints=(Endpoint("/users/me", "DELETE"),))
    program = compile_program(_any(_policy("scope", scope)))

    def allowed(method: str, path: str) -> bool:
        return decide(program, Request("external", context=Context(method=method, path=path))).allowed

    assert allowed("GET", "/users/me")
    assert not allowed("DELETE", "/users/me")
    assert not allowed("", "")


def test_a_native_call_needs_an_operation_that_covers_it_and_is_denied_by_one_that_touches_it() -> None:
    allow = Statement("allow", operations=("vendor/Describe*",))
    deny = Statement("deny", Effect.DENY, operations=("vendor/Rename",))
    program = compile_program(_any(_policy("p", allow, deny)))

    assert decide(program, Request("x.y.z", covering=("vendor/DescribeUser",))).allowed
    assert not decide(program, Request("x.y.z", touching=("vendor/DescribeUser",))).allowed
    assert not decide(program, Request("x.y.z", covering=("vendor/DescribeUser",), touching=("vendor/Rename",))).allowed


def test_a_boundary_of_no_projects_covers_nothing() -> None:
    nowhere = Boundary(BoundaryKind.PROJECTS)
    program = compile_program(_any(_policy("p", Statement("s", permissions=("*",), boundary=nowhere))))

    assert not decide(program, Request("a.b.c")).allowed
    assert not decide(program, Request("a.b.c", project_id="p1")).allowed
    assert decide(program, Request("a.b.c", anywhere=True)).reach == NOWHERE


def test_a_denied_project_is_left_out_of_everything() -> None:
    allow = Statement("allow", permissions=("*",))
    deny = Statement(
        "deny", Effect.DENY, ("*",), boundary=Boundary(BoundaryKind.PROJECTS, project_ids=frozenset({"p1"}))
    )
    program = compile_program(_any(_policy("p", allow, deny)))

    decision = decide(program, Request("a.b.c", anywhere=True))

    assert decision.reach == Reach(True, frozenset(), frozenset({"p1"}))
    assert decide(program, Request("a.b.c")).reach == EVERYWHERE
    assert not decide(program, Request("a.b.c", project_id="p1")).allowed


def test_an_explanation_names_the_first_thing_that_did_not_match() -> None:
    here = Boundary(BoundaryKind.PROJECTS, project_ids=frozenset({"p1"}))
    policy = _policy(
        "p",
        Statement("action", permissions=("x.y.z",)),
        Statement("boundary", permissions=("*",), boundary=here),
        Statement("condition", permissions=("*",), condition="request.nothing == 1"),
        Statement("dialect", permissions=("*",), dialect="vendor"),
        Statement("lifted", Effect.DENY, ("*",), condition="false"),
        Statement("matched", permissions=("*",)),
        Statement("network", permissions=("*",), source_networks=("10.0.0.0/8",)),
        Statement("parameters", permissions=("*",), parameters=(("a", "b"),)),
    )

    explanation = explain(compile_program(_any(policy)), Request("a.b.c"))

    steps = {looked.statement_id: looked.step for looked in explanation.statements}
    assert steps == {**{step.value: step for step in Step if step is not Step.ENDPOINT}, "lifted": Step.CONDITION}
    errors = {looked.statement_id: looked.condition_error for looked in explanation.statements}
    assert "nothing" in errors["condition"]
    assert errors["lifted"] == ""
    assert explanation.decision.statement_ids == ("matched",)


def test_the_revision_of_a_program_is_the_revision_of_its_decisions() -> None:
    program = compile_program(_any(), revision="policy=7")

    assert decide(program, Request("a.b.c")).revision == "policy=7"


def test_the_cost_of_a_decision_does_not_grow_with_the_number_of_statements() -> None:
    def program(size: int) -> float:
        statements = [Statement(f"s{i:05}", permissions=(f"service{i}.things.*",)) for i in range(size)]
        compiled = compile_program(_any(_policy("p", *statements)))
        request = Request("service7.things.get")
        best = 1.0
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(2000):
                decide(compiled, request)
            best = min(best, (time.perf_counter() - started) / 2000)
        return best

    small, large = program(10), program(10_000)

    # Generous, since other work shares the machine: a walk would be a thousand times slower.
    assert large < small * 20
