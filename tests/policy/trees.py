"""Trees of statements in the engine's own form, some of which no language makes, and requests about them."""

from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import strategies as st

from concord.policy.engine import (
    Boundary,
    BoundaryKind,
    Combine,
    Context,
    Effect,
    Policy,
    PolicySet,
    Request,
    Resource,
    Statement,
    Subject,
)

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
        mfa=st.sampled_from((None, False, True)),
        attributes=st.sampled_from(({}, {"class": "other"}, {"class": "project"})),
    ),
)
