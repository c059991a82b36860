"""Decisions beyond the tables: reach, trees, what is unknown, explanations, and what they cost."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
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
    compile_program,
    decide,
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


def test_an_all_of_of_nothing_allows_nothing_and_spoils_only_its_own() -> None:
    right = _policy("right", Statement("right", permissions=("a.b.c",)))

    assert not decide(compile_program(_all()), Request("a.b.c")).allowed
    assert not decide(compile_program(_any(_all())), Request("a.b.c")).allowed
    assert not decide(compile_program(_all(right, _all())), Request("a.b.c")).allowed
    assert decide(compile_program(_any(_all(), right)), Request("a.b.c")).allowed
    assert decide(compile_program(_any(_all(right), _all())), Request("a.b.c")).allowed


def test_a_right_outside_an_all_of_stands_for_itself_beside_one() -> None:
    row = _policy("row", Statement("row", permissions=("a.b.c",)))
    blocked = _all(row, _policy("nothing"))
    alone = _policy("alone", Statement("z-alone", permissions=("a.b.c",)))

    decision = decide(compile_program(_any(blocked, alone)), Request("a.b.c"))

    assert decision.allowed
    assert decision.statement_ids == ("z-alone",)


def test_thousands_of_rows_below_one_role_are_not_all_looked_at() -> None:
    rows = [Statement(f"s{i:05}", permissions=("a.b.c",)) for i in range(5000)]
    office = Statement("office", endpoints=(Endpoint("**"),), source_networks=("10.0.0.0/8",))
    program = compile_program(_any(_all(_policy("rows", *rows), _policy("office", office))))
    request = Request("a.b.c", context=Context(method="GET", path="/x", ip="10.1.1.1"))

    decision = decide(program, request)

    assert decision.allowed
    assert decision.statement_ids == ("s00000", "office") or decision.statement_ids == ("office", "s00000")


def test_the_same_condition_is_evaluated_once_for_all_who_have_it() -> None:
    text = "request.nothing == 'once'"
    statements = [Statement(f"s{i}", permissions=("*",), condition=text) for i in range(3)]

    decision = decide(compile_program(_any(_policy("p", *statements))), Request("a.b.c"))

    assert [failed.statement_id for failed in decision.failed_conditions] == ["s0", "s1", "s2"]
    assert len({failed.error for failed in decision.failed_conditions}) == 1


@pytest.mark.timeout(60)  # of work that must not grow with the hostility of a text
def test_conditions_without_end_stop_helping_and_keep_denying() -> None:
    slow = "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, a + b + c > {})))"
    many = [Statement(f"s{i:04}", Effect.DENY, ("*",), condition=slow.format(-i) + " && false") for i in range(300)]
    last = Statement("z", permissions=("*",))
    program = compile_program(_any(_policy("p", *many, last)))

    decision = decide(program, Request("a.b.c"))

    assert not decision.allowed
    assert "too long" in decision.failed_conditions[-1].error


@pytest.mark.timeout(60)  # of work that must not grow with the hostility of a text
def test_many_denied_places_are_taken_away_at_once() -> None:
    def deny(number: int) -> Statement:
        place = Boundary(BoundaryKind.PROJECTS, project_ids=frozenset({f"p{number}"}))
        return Statement(f"d{number}", Effect.DENY, ("*",), boundary=place)

    program = compile_program(_any(_policy("p", Statement("a", permissions=("*",)), *map(deny, range(5000)))))

    reach = decide(program, Request("a.b.c", anywhere=True)).reach

    assert reach == Reach(True, frozenset(), frozenset(f"p{number}" for number in range(5000)))


class _Counted(dict[str, str]):
    """Attributes that count how often they are read as a whole."""

    def __init__(self, **items: str) -> None:
        super().__init__(items)
        self.reads = 0

    def __iter__(self) -> Iterator[str]:
        self.reads += 1
        return super().__iter__()

    def keys(self) -> Any:
        self.reads += 1
        return super().keys()


def test_facts_are_found_out_once_and_only_where_a_condition_asks() -> None:
    with_conditions = [
        Statement(f"s{n}", permissions=("a.b.c",), condition=f"request.mfa && {n} < 0") for n in range(5)
    ]
    program = compile_program(_any(_policy("p", Statement("plain", permissions=("x.y.z",)), *with_conditions)))
    asked, unasked = _Counted(a="b"), _Counted(a="b")

    assert not decide(program, Request("a.b.c", context=Context(attributes=asked))).allowed
    assert decide(program, Request("x.y.z", context=Context(attributes=unasked))).allowed

    assert asked.reads == 1
    assert unasked.reads == 0
