"""What an index leaves out of a decision could not have changed it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from concord.policy.engine import (
    Boundary,
    BoundaryKind,
    Combine,
    Context,
    Effect,
    Endpoint,
    Policy,
    PolicySet,
    Program,
    Request,
    Resource,
    Statement,
    compile_program,
    decide,
)
from concord.policy.engine.decide import Run
from concord.policy.engine.match import Globs, pattern_keys, permission_keys

NAMES = ("vendor/a", "vendor/ab", "vendor/b", "other/ab", "")
globs = st.text(alphabet="ab*/", max_size=6)


def _fits(glob: str, text: str) -> bool:
    if not glob:
        return not text
    if glob[0] == "*":
        return any(_fits(glob[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and text[0] == glob[0] and _fits(glob[1:], text[1:])


@settings(max_examples=300)
@given(st.lists(globs, max_size=10), st.text(alphabet="ab/", max_size=8))
def test_tables_of_globs_find_what_a_walk_finds(patterns: list[str], text: str) -> None:
    index = Globs((glob, owner) for owner, glob in enumerate(patterns))

    assert index.owners(text) == {owner for owner, glob in enumerate(patterns) if _fits(glob, text)}


few_effects = st.sampled_from((Effect.ALLOW, Effect.ALLOW, Effect.ALLOW, Effect.DENY))
boundaries = st.one_of(
    st.just(Boundary()),
    st.frozensets(st.sampled_from(("p1", "p2")), max_size=2).map(
        lambda ids: Boundary(BoundaryKind.PROJECTS, project_ids=ids)
    ),
    st.sampled_from(("g1", "g2")).map(lambda group: Boundary(BoundaryKind.GROUP_SUBTREE, group_id=group)),
)
networks = st.sampled_from(((), (), ("10.0.0.0/8",), ("10.1.0.0/16", "192.0.2.1"), ("10.0.0.0/99",), ("::/0",)))
statements = st.builds(
    Statement,
    id=st.integers(0, 10**9).map(str),
    effect=few_effects,
    permissions=st.lists(st.sampled_from(("*", "x.y.z", "x.*.z", "x.y.other")), max_size=2).map(tuple),
    operations=st.lists(st.sampled_from(("vendor/a*", "vendor/ab", "*b", "*")), max_size=2).map(tuple),
    endpoints=st.lists(st.sampled_from((Endpoint("/a/*"), Endpoint("**", "GET"), Endpoint("/a"))), max_size=2).map(
        tuple
    ),
    denied_endpoints=st.sampled_from(((), (), (Endpoint("/a/b", "GET"),))),
    source_networks=networks,
    boundary=boundaries,
)
# Many with the same action, so that they are parted by place and caller.
policies = st.lists(st.builds(Policy, st.just("p"), st.lists(statements, max_size=30).map(tuple)), max_size=3)
requests = st.builds(
    Request,
    permission=st.sampled_from(("x.y.z", "x.q.z", "other.y.z")),
    operation=st.sampled_from(NAMES),
    covering=st.lists(st.sampled_from(NAMES[:4]), max_size=2).map(tuple),
    touching=st.lists(st.sampled_from(NAMES[:4]), max_size=2).map(tuple),
    operation_stands=st.booleans(),
    resource=st.builds(
        Resource, group_ids=st.sampled_from((None, frozenset[str](), frozenset({"g1"}), frozenset({"g1", "g2"})))
    ),
    project_id=st.sampled_from(("", "p1", "p3")),
    anywhere=st.booleans(),
    context=st.builds(
        Context,
        ip=st.sampled_from(("", "10.1.2.3", "192.0.2.1", "192.0.2.2", "::1", "no address")),
        method=st.sampled_from(("", "GET", "POST")),
        path=st.sampled_from(("", "/a", "/a/b", "/c")),
    ),
)


def _linear(program: Program, request: Request) -> set[int]:
    """Return the numbers of the statements that match, after a look at every one for every kind of action."""
    run, found = Run(program, request), set()
    keys = set(permission_keys(request.permission))
    claimed = (request.operation,) if request.operation else ()
    covering = (*claimed, *request.covering) if request.operation_stands else request.covering
    for number, compiled in enumerate(program.statements):
        statement = compiled.statement
        names = (*claimed, *request.covering, *request.touching) if compiled.deny else covering
        alone = compile_program(
            PolicySet(Combine.ANY_OF, (Policy("p", (replace(statement, permissions=(), operations=()),)),))
        )
        acts = (
            any(not keys.isdisjoint(pattern_keys(p, deny=compiled.deny)) for p in statement.permissions)
            or any(_fits(glob, name) for glob in statement.operations for name in names)
            or bool(list(alone.candidates(request)))
        )
        if acts and run.step(compiled).value == "matched":
            found.add(number)
    return found


@settings(max_examples=300, deadline=None)
@given(policies, requests)
def test_what_is_left_out_would_not_have_matched(listed: list[Policy], request: Request) -> None:
    program = compile_program(PolicySet(Combine.ANY_OF, tuple(listed)))
    relevant, candidates = list(program.relevant(request)), list(program.candidates(request))

    assert _linear(program, request) <= set(relevant) <= set(candidates)
    assert relevant == sorted(set(relevant))
    assert candidates == sorted(set(candidates))


@settings(max_examples=300, deadline=None)
@given(policies, requests)
def test_kb07_stars_and_names_together_decide_as_a_walk_over_all_rules_does(
    listed: list[Policy], request: Request
) -> None:
    program = compile_program(PolicySet(Combine.ANY_OF, tuple(listed)))
    matching = [program.statements[number] for number in sorted(_linear(program, request))]
    denied = any(compiled.deny for compiled in matching)

    decision = decide(program, request)

    if not request.anywhere:
        assert decision.allowed is (bool(matching) and not denied)
    elif not any(compiled.deny for compiled in matching):
        assert decision.allowed is bool(matching)
        for place in ("p1", "p2", "p9"):
            assert decision.reach.holds_in(place) is any(compiled.extent.holds_in(place) for compiled in matching)


def test_a_decision_looks_only_at_rules_of_its_project_group_and_network() -> None:
    def rules(size: int) -> tuple[Statement, ...]:
        made = []
        for n in range(size):
            place = Boundary(BoundaryKind.PROJECTS, project_ids=frozenset({f"p{n}"}))
            group = Boundary(BoundaryKind.GROUP_SUBTREE, group_id=f"g{n}")
            networks = (f"10.{n // 256}.{n % 256}.0/24",)
            made += [
                Statement(f"p{n}", permissions=("*",), boundary=place),
                Statement(f"g{n}", permissions=("*",), boundary=group),
                Statement(f"n{n}", permissions=("*",), source_networks=networks),
            ]
        return tuple(made)

    program = compile_program(PolicySet(Combine.ANY_OF, (Policy("p", rules(1000)),)))
    request = Request(
        "x.y.z", project_id="p7", resource=Resource(group_ids=frozenset({"g8"})), context=Context(ip="10.0.9.1")
    )

    looked_at = {program.statements[number].id for number in program.relevant(request)}

    assert looked_at == {"p7", "g8", "n9"}
