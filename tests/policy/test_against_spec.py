"""The engine must agree with its specification on generated worlds; the laws of a decision, by name."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from concord.policy.engine import (
    Boundary,
    BoundaryKind,
    Combine,
    Context,
    Decision,
    Effect,
    Policy,
    PolicySet,
    Request,
    Resource,
    Statement,
    Subject,
    compile_program,
    decide,
    explain,
    owner_program,
)
from concord.policy.engine.decide import Step
from concord.policy.languages import Held, RoleView, SourceStatement, assemble, get_language
from policy import spec

SERVICES = ("identity", "groups", "product")
RESOURCES = ("users", "own_users", "owner_users", "default_users", "things")
VERBS = ("get", "set")
PROJECTS = ("p1", "p2", "p3")
OPERATIONS = ("vendor/Get", "vendor/GetAll", "other/Set")
NIGHT = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)


def _starts(request: Request) -> bool | None:
    return request.resource.name.startswith("ci-") if request.resource.name else None


CONDITIONS: dict[str, Callable[[Request], bool | None]] = {
    "": lambda request: True,
    "true": lambda request: True,
    "false": lambda request: False,
    "request.nothing == 1": lambda request: None,
    "1 / 0 == 1": lambda request: None,
    '"text"': lambda request: None,
    "unknown_name": lambda request: None,
    '"a" == 1': lambda request: None,
    'resource.name.startsWith("ci-")': _starts,
    'resource.name.startsWith("ci-") || !has(resource.name)': lambda request: _starts(request) is not False,
    '!resource.name.startsWith("ci-")': lambda request: None if _starts(request) is None else not _starts(request),
    'inIpRange(request.ip, "10.0.0.0/8")': lambda request: (
        request.context.ip.startswith("10.") if request.context.ip else None
    ),
    'request.time.getHours("Europe/Paris") < 8': lambda request: (
        None if request.context.time is None else request.context.time == NIGHT
    ),
    "request.mfa": lambda request: request.context.mfa,
}
ERRORS = (
    "request.nothing == 1",
    "1 / 0 == 1",
    '"text"',
    "unknown_name",
    '"a" == 1',
    "request.time.getHours('No/Where') < 25",
)

segments = [st.sampled_from((*SERVICES, "*")), st.sampled_from((*RESOURCES, "*")), st.sampled_from((*VERBS, "*"))]
patterns = st.one_of(st.just("*"), st.just("product.manage"), st.tuples(*segments).map(".".join))
permissions = st.one_of(
    st.just("product.manage"),
    st.tuples(st.sampled_from(SERVICES), st.sampled_from(RESOURCES), st.sampled_from(VERBS)).map(".".join),
)
globs = st.sampled_from((*OPERATIONS, "vendor/*", "*Get", "vendor/Get*", "*"))
project_sets = st.frozensets(st.sampled_from(PROJECTS))
boundaries = st.one_of(
    st.just(Boundary()),
    project_sets.map(lambda ids: Boundary(BoundaryKind.PROJECTS, project_ids=ids)),
    st.sampled_from(
        (
            Boundary(BoundaryKind.GROUP_SUBTREE, group_id="g1"),
            Boundary(BoundaryKind.OWN_DIVISIONS),
            Boundary(BoundaryKind.OWNER_ACCOUNT, owner_user_id="owner"),
            Boundary(organization_id="o1"),
            Boundary(organization_id="o2"),
        )
    ),
)
conditions = st.one_of(st.just(""), st.sampled_from(sorted(CONDITIONS)))
names = st.integers(0, 10**9).map(lambda number: f"s{number}")
statements = st.builds(
    Statement,
    id=names,
    effect=st.sampled_from((Effect.ALLOW, Effect.ALLOW, Effect.ALLOW, Effect.DENY)),
    permissions=st.lists(patterns, max_size=3).map(tuple),
    operations=st.lists(globs, max_size=1).map(tuple),
    source_networks=st.lists(st.sampled_from(("10.0.0.1/8", "192.0.2.0/24")), max_size=1).map(tuple),
    parameters=st.sampled_from(((), (), (("class", "other"),))),
    dialect=st.sampled_from(("", "", "vendor")),
    boundary=boundaries,
    condition=conditions,
    every_class=st.booleans(),
)
policies = st.builds(Policy, id=names, statements=st.lists(statements, max_size=3).map(tuple))
trees = st.recursive(
    policies,
    lambda inner: st.builds(
        PolicySet, combine=st.sampled_from(tuple(Combine)), children=st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=8,
).map(lambda node: node if isinstance(node, PolicySet) else PolicySet(Combine.ANY_OF, (node,)))
groups_or_unknown = st.sampled_from((None, frozenset[str](), frozenset({"g1", "g2"})))
requests = st.builds(
    Request,
    permission=permissions,
    subject=st.builds(Subject, id=st.just("u1"), division_ids=st.sampled_from((None, frozenset({"d1"})))),
    operation=st.sampled_from(("", *OPERATIONS)),
    covering=st.lists(st.sampled_from(OPERATIONS), max_size=1).map(tuple),
    touching=st.lists(st.sampled_from(OPERATIONS), max_size=2).map(tuple),
    resource=st.builds(
        Resource,
        name=st.sampled_from(("", "ci-1", "web")),
        group_ids=groups_or_unknown,
        division_ids=st.sampled_from((None, frozenset[str](), frozenset({"d1"}))),
        owner_user_id=st.sampled_from((None, "", "owner")),
    ),
    organization_id=st.sampled_from(("", "o1")),
    project_id=st.sampled_from(("", *PROJECTS, "p9")),
    anywhere=st.booleans(),
    context=st.builds(
        Context,
        ip=st.sampled_from(("", "10.1.2.3", "192.0.2.7")),
        time=st.sampled_from((None, NIGHT, datetime(2026, 11, 21, 12, tzinfo=UTC))),
        mfa=st.booleans(),
        attributes=st.sampled_from(({}, {"class": "other"}, {"class": "project"})),
    ),
)

ROLES = {
    role.name: role
    for role in (
        RoleView("Reader", ("identity.*.get", "product.*.get"), BoundaryKind.ORGANIZATION),
        RoleView("UserManager", ("identity.users.*",), BoundaryKind.ORGANIZATION),
        RoleView("ThingManager", ("product.things.*",), BoundaryKind.PROJECTS),
    )
}
rules = st.builds(
    SourceStatement,
    role_names=st.lists(st.sampled_from((*ROLES, "Gone")), min_size=1, max_size=2).map(tuple),
    boundary=st.one_of(st.just(Boundary()), project_sets.map(lambda ids: Boundary(BoundaryKind.PROJECTS, "", ids))),
    condition=conditions,
)
own_statements = st.builds(
    SourceStatement,
    effect=st.sampled_from((Effect.ALLOW, Effect.DENY)),
    permissions=st.lists(patterns, min_size=1, max_size=2).map(tuple),
    boundary=boundaries,
    condition=conditions,
)
holders = st.sampled_from(("u1", "g1", "g2"))
sources = st.lists(
    st.one_of(
        st.builds(spec.Source, holders, st.just("role_rules"), st.lists(rules, max_size=3).map(tuple)),
        st.builds(spec.Source, holders, st.just("statements"), st.lists(own_statements, max_size=3).map(tuple)),
    ),
    max_size=4,
)


def _compiled(held: Iterable[spec.Source]) -> PolicySet:
    return assemble(
        Held(
            source.holder,
            source.language,
            get_language(source.language).compile(f"policy{number}", source.statements, ROLES.get),
        )
        for number, source in enumerate(held)
    )


def _as_answer(decision: Decision, request: Request) -> spec.Answer:
    reach = decision.reach
    if not request.anywhere:
        return spec.Answer(decision.allowed, reach.project_ids, False)
    inside = frozenset(project for project in (*PROJECTS, "p9") if reach.holds_in(project))
    return spec.Answer(decision.allowed, inside, reach.everything)


@given(trees, requests)
def test_the_engine_decides_every_tree_as_the_specification_does(tree: PolicySet, request: Request) -> None:
    decision = decide(compile_program(tree), request)

    assert _as_answer(decision, request) == spec.answer(tree, request, CONDITIONS, (*PROJECTS, "p9"))


@given(sources, requests)
def test_policies_of_both_languages_decide_as_the_specification_does(held: list[spec.Source], request: Request) -> None:
    decision = decide(compile_program(_compiled(held)), request)

    plain = spec.sources_as_one(held, ROLES)
    assert _as_answer(decision, request) == spec.answer(plain, request, CONDITIONS, (*PROJECTS, "p9"))


@given(trees, trees, requests)
def test_a_ceiling_decides_as_the_specification_does(tree: PolicySet, limit: PolicySet, request: Request) -> None:
    decision = decide(compile_program(tree), request, compile_program(limit))

    said = spec.answer(tree, request, CONDITIONS, (*PROJECTS, "p9"), ceiling=limit)
    assert _as_answer(decision, request) == said


@given(requests)
def test_nothing_is_allowed_by_default(request: Request) -> None:
    assert not decide(compile_program(PolicySet(Combine.ANY_OF)), request).allowed


@given(requests)
def test_all_of_nothing_is_no(request: Request) -> None:
    assert not decide(compile_program(PolicySet(Combine.ALL_OF)), request).allowed


@given(trees, requests)
def test_a_deny_of_everything_trumps_whatever_allows(tree: PolicySet, request: Request) -> None:
    deny = Policy("deny", (Statement("deny", Effect.DENY, ("*",)),))

    decision = decide(compile_program(PolicySet(Combine.ANY_OF, (tree, deny))), request)

    assert not decision.allowed
    assert "deny" in decision.statement_ids


@given(requests)
def test_the_owner_is_allowed_everything(request: Request) -> None:
    decision = decide(owner_program(), request)

    assert decision.allowed
    assert decision.statement_ids == ("owner",)


@given(trees, requests, st.randoms(use_true_random=False))
def test_the_order_of_sources_and_statements_means_nothing(tree: PolicySet, request: Request, random: object) -> None:
    decision = decide(compile_program(tree), request)
    turned = decide(compile_program(_reversed(tree)), request)

    assert (decision.allowed, decision.reach) == (turned.allowed, turned.reach)


def _reversed(node: PolicySet) -> PolicySet:
    return replace(node, children=tuple(_turned(child) for child in reversed(node.children)))


def _turned(node: PolicySet | Policy) -> PolicySet | Policy:
    if isinstance(node, Policy):
        return replace(node, statements=tuple(reversed(node.statements)))
    return _reversed(node)


@given(requests, st.sampled_from(ERRORS))
def test_an_erroring_condition_never_allows(request: Request, error: str) -> None:
    policy = Policy("p", (Statement("s", permissions=("*",), condition=error, every_class=True),))

    assert not decide(compile_program(PolicySet(Combine.ANY_OF, (policy,))), request).allowed


@given(requests, st.sampled_from(ERRORS))
def test_an_erroring_condition_never_lifts_a_deny(request: Request, error: str) -> None:
    allow = Statement("a", permissions=("*",), every_class=True)
    deny = Statement("d", Effect.DENY, ("*",), condition=error)

    decision = decide(compile_program(PolicySet(Combine.ANY_OF, (Policy("p", (allow, deny)),))), request)

    assert not decision.allowed
    assert decision.failed_conditions[0].statement_id == "d"
    assert decision.failed_conditions[0].error


@given(trees, trees, requests)
def test_a_ceiling_never_raises(tree: PolicySet, limit: PolicySet, request: Request) -> None:
    program, ceiling = compile_program(tree), compile_program(limit)

    free, lowered = decide(program, request), decide(program, request, ceiling)

    assert free.allowed or not lowered.allowed
    assert lowered.reach.minus(free.reach).is_empty


@given(trees, requests)
def test_an_explanation_says_what_the_check_says(tree: PolicySet, request: Request) -> None:
    program = compile_program(tree)
    explanation = explain(program, request)

    assert explanation.decision == decide(program, request)
    assert len(explanation.statements) == len(program.statements)
    matched = {looked.statement_id for looked in explanation.statements if looked.step is Step.MATCHED}
    assert matched.issuperset(explanation.decision.statement_ids)
