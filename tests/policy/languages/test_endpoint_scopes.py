"""Scopes of endpoints: what is read and refused, to what place a path belongs, and that the rest follows from both."""

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
    Context,
    Effect,
    Endpoint,
    PolicySet,
    Request,
    compile_program,
    decide,
)
from concord.policy.languages import RoleView, SourceStatement
from concord.policy.languages.endpoint_scopes import MAX_GLOB, MAX_STARS, EndpointScopes
from concord.policy.languages.path_classes import Counting, PathClass, Place, classify, counting, locate

LANGUAGE = EndpointScopes()
UUID = "0f3c1a52-9d4e-4f0a-8c8b-2f6f0a1b2c3d"
ROLES = {"known": RoleView("known", (), BoundaryKind.ORGANIZATION)}


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


def _scope(**fields: Any) -> str:
    return json.dumps(fields)


def _endpoint(path: Any = "/v1/a", method: Any = "GET") -> dict[str, Any]:
    return {"path": path, "method": method}


def test_a_scope_is_read_as_it_is_written() -> None:
    document = _scope(
        allowed_endpoints=[_endpoint("/v1/**", "*")],
        denied_endpoints=[_endpoint("/v1/*/x", "delete")],
        allowed_iscp_messages=["ping"],
    )

    (statement,) = LANGUAGE.parse(document)

    assert statement == SourceStatement(
        permissions=("iscp.messages.ping",),
        endpoints=(Endpoint("/v1/**", "*"),),
        denied_endpoints=(Endpoint("/v1/*/x", "delete"),),
    )
    assert LANGUAGE.faults([statement], ROLES.get) == []


def test_held_roles_are_read_with_where_they_are_held() -> None:
    document = json.dumps(
        {"roles": [{"role_names": ["known"], "boundary": {"kind": "projects", "project_ids": ["p"]}}]}
    )

    (statement,) = LANGUAGE.parse(document)

    assert statement.role_names == ("known",)
    assert statement.boundary == Boundary(BoundaryKind.PROJECTS, project_ids=frozenset({"p"}))
    assert LANGUAGE.faults([statement], ROLES.get) == []


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ("", [("document", "json")]),
        ("[]", [("document", "format")]),
        ("{}", [("allowed_endpoints", "required")]),
        ("NaN", [("document", "json")]),
        ('{"allowed_endpoints": [], "allowed_endpoints": []}', [("document", "json")]),
        ("[" * 30_000, [("document", "json")]),
        ('{"a":' * 9_000, [("document", "json")]),
        (" " * 70_000, [("document", "length")]),
        ('{"allowed_iscp_messages": ["\\ud800"]}', [("allowed_iscp_messages[0]", "json")]),
        ('{"allowed_iscp_messages": ["\ud800"]}', [("allowed_iscp_messages[0]", "json")]),
        (_scope(denied_endpoints=[_endpoint()]), [("allowed_endpoints", "required")]),
        (_scope(allowed_endpoints=[_endpoint()], name="x"), [("name", "unknown")]),
        (_scope(allowed_endpoints={}), [("allowed_endpoints", "format")]),
        (_scope(allowed_endpoints=["/v1"]), [("allowed_endpoints[0]", "format")]),
        (_scope(allowed_endpoints=[{"path": "/v1"}]), [("allowed_endpoints[0]", "required")]),
        (_scope(allowed_endpoints=[_endpoint() | {"x": "y"}]), [("allowed_endpoints[0]", "unknown")]),
        (_scope(allowed_endpoints=[_endpoint(path=7)]), [("allowed_endpoints[0]", "format")]),
        (_scope(allowed_endpoints=[_endpoint(path="")]), [("allowed_endpoints[0].path", "length")]),
        (_scope(allowed_endpoints=[_endpoint(path="/" + "a" * MAX_GLOB)]), [("allowed_endpoints[0].path", "length")]),
        (_scope(allowed_endpoints=[_endpoint(path="v1/a")]), [("allowed_endpoints[0].path", "pattern")]),
        (_scope(allowed_endpoints=[_endpoint(path="*/a")]), [("allowed_endpoints[0].path", "pattern")]),
        (_scope(allowed_endpoints=[_endpoint(path="/v1/\u0430")]), [("allowed_endpoints[0].path", "pattern")]),
        (_scope(allowed_endpoints=[_endpoint(path="/v1/\u202ea")]), [("allowed_endpoints[0].path", "pattern")]),
        (_scope(allowed_endpoints=[_endpoint(path="/v1/a b")]), [("allowed_endpoints[0].path", "pattern")]),
        (_scope(allowed_endpoints=[_endpoint(path="/v1/***")]), [("allowed_endpoints[0].path", "pattern")]),
        (
            _scope(allowed_endpoints=[_endpoint(path="/*" * (MAX_STARS + 1))]),
            [("allowed_endpoints[0].path", "pattern")],
        ),
        (_scope(allowed_endpoints=[_endpoint(method="")]), []),
        (_scope(allowed_endpoints=[_endpoint(method="G T")]), [("allowed_endpoints[0].method", "pattern")]),
        (_scope(allowed_endpoints=[_endpoint(method="X*")]), [("allowed_endpoints[0].method", "pattern")]),
        (_scope(allowed_endpoints=[_endpoint()] * 501), [("allowed_endpoints", "length")]),
        (
            _scope(allowed_endpoints=[_endpoint()], denied_endpoints=[_endpoint(), _endpoint(path="x")]),
            [("denied_endpoints[1].path", "pattern")],
        ),
        (_scope(allowed_iscp_messages=[1]), [("allowed_iscp_messages", "format")]),
        (_scope(allowed_iscp_messages=["a.b"]), [("allowed_iscp_messages[0]", "pattern")]),
        (_scope(allowed_iscp_messages=["\u0440ing"]), [("allowed_iscp_messages[0]", "pattern")]),
        ('{"roles": [{}]}', [("roles[0].role_names", "required")]),
        ('{"roles": [{"role_names": ["a"]}], "allowed_endpoints": []}', [("document", "format")]),
        ('{"roles": [{"role_names": ["a"], "condition": ""}]}', [("roles[0].condition", "unknown")]),
        (
            '{"roles": [{"role_names": ["a"], "boundary": {"kind": "own_divisions"}}]}',
            [("roles[0].boundary.kind", "constraint")],
        ),
        (
            '{"roles": [{"role_names": ["a"], "boundary": {"kind": "group_subtree"}}]}',
            [("roles[0].boundary.group_id", "required")],
        ),
    ],
)
def test_a_document_is_refused_with_the_place_and_the_rule(document: str, refusal: list[tuple[str, str]]) -> None:
    if refusal:
        assert _refusal(document) == refusal
    else:
        assert LANGUAGE.parse(document)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (SourceStatement(role_names=("known", "gone")), ("statements[0].role_names[1]", "unknown")),
        (SourceStatement(), ("statements[0].endpoints", "required")),
        (SourceStatement(effect=Effect.DENY, role_names=("known",)), ("statements[0].effect", "constraint")),
        (SourceStatement(role_names=("known",), condition="true"), ("statements[0].condition", "constraint")),
        (SourceStatement(role_names=("known",), operations=("a/b",)), ("statements[0].operations", "constraint")),
        (SourceStatement(role_names=("known",), permissions=("a.b.c",)), ("statements[0].role_names", "constraint")),
        (
            SourceStatement(endpoints=(Endpoint("/a", "*", "/base"),)),
            ("statements[0].endpoints[0].base_path", "constraint"),
        ),
        (
            SourceStatement(endpoints=(Endpoint("/a"),), source_network="192.0.2.0/24"),
            ("statements[0].source_network", "constraint"),
        ),
    ],
)
def test_stored_statements_are_refused_with_the_place(statement: SourceStatement, fault: tuple[str, str]) -> None:
    assert [(each.field, each.rule) for each in LANGUAGE.faults([statement], ROLES.get)] == [fault]


def test_what_could_not_have_been_stored_grants_nothing() -> None:
    scope = SourceStatement(endpoints=(Endpoint("/**"),))
    roles = {"all": RoleView("all", (), BoundaryKind.ORGANIZATION, (scope,))}
    foreign = [
        SourceStatement(effect=Effect.DENY, role_names=("all",)),
        SourceStatement(role_names=("all",), condition="true"),
        SourceStatement(role_names=("all",), boundary=Boundary(BoundaryKind.OWNER_ACCOUNT)),
        SourceStatement(effect=Effect.DENY, endpoints=scope.endpoints),
        SourceStatement(endpoints=scope.endpoints, condition="true"),
        SourceStatement(endpoints=scope.endpoints, source_network="192.0.2.0/24"),
        SourceStatement(endpoints=scope.endpoints, boundary=Boundary(BoundaryKind.OWN_DIVISIONS)),
    ]

    assert LANGUAGE.compile("p", foreign, roles.get).statements == ()
    assert LANGUAGE.compile_asked("p", foreign, roles.get).statements == ()
    assert LANGUAGE.compile("p", [SourceStatement(role_names=("gone",))], ROLES.get).statements == ()


def test_what_is_held_in_a_project_or_group_cannot_be_brought_along_elsewhere() -> None:
    scope = (Endpoint("/**"),)
    held = [
        SourceStatement(endpoints=scope, boundary=Boundary(BoundaryKind.PROJECTS, project_ids=frozenset({"p"}))),
        SourceStatement(endpoints=scope, boundary=Boundary(BoundaryKind.GROUP_SUBTREE, group_id="g")),
    ]

    assert LANGUAGE.compile_asked("p", held, ROLES.get).statements == ()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (f"/auth/projects/{UUID}", Place(PathClass.PROJECT, UUID)),
        (f"/auth/projects/{UUID}/members", Place(PathClass.PROJECT, UUID)),
        (f"/v1/projects/{UUID}/measurements", Place(PathClass.PROJECT, UUID)),
        (f"/media/projects/{UUID}/files", Place(PathClass.PROJECT, UUID)),
        (f"/api/media/projects/{UUID}/files", Place(PathClass.PROJECT, UUID)),
        (f"/auth/projects/{UUID.upper()}", Place(PathClass.PROJECT, UUID)),
        (f"/AUTH/Projects/{UUID}", Place(PathClass.PROJECT, UUID)),
        (f"/\uff41uth/projects/{UUID}", Place(PathClass.PROJECT, UUID)),
        (f"/%EF%BD%81uth/projects/{UUID}", Place(PathClass.PROJECT, UUID)),
        (f"/auth/groups/{UUID}", Place(PathClass.GROUP, UUID)),
        (f"/api/auth/groups/{UUID}/members/{UUID}/owner", Place(PathClass.GROUP, UUID)),
        (f"/auth/groups/{UUID}/projects/{UUID}", Place(PathClass.GROUP, UUID)),
        ("/auth/groups/not-an-id", Place(PathClass.GROUP, "not-an-id")),
        ("/auth/users/me/groups", Place(PathClass.OTHER)),
        ("/auth/groups", Place(PathClass.OTHER)),
        ("/auth/groups/", Place(PathClass.OTHER)),
        ("/v1/projects", Place(PathClass.OTHER)),
        (f"/v2/projects/{UUID}", Place(PathClass.OTHER)),
        (f"/v1/groups/{UUID}", Place(PathClass.OTHER)),
        (f"/x/auth/groups/{UUID}", Place(PathClass.OTHER)),
        ("/v1/files/%E3%81%82.txt", Place(PathClass.OTHER)),
        ("/v1/files/a%20b", Place(PathClass.OTHER)),
        ("/", Place(PathClass.OTHER)),
        ("/api", Place(PathClass.OTHER)),
    ],
)
def test_a_path_belongs_to_a_place(path: str, place: Place) -> None:
    assert classify(path) == place


@pytest.mark.parametrize(
    "path",
    [
        "",
        "auth/groups/g",
        "//auth/groups/g",
        "/auth//groups/g",
        "/auth/./groups/g",
        "/auth/x/../groups/g",
        "/v1/files/..",
        "/auth/groups%2Fg",
        "/auth/gr%6Fups/g",
        "/auth/%2e%2e/groups/g",
        "/auth/%252e%252e/groups/g",
        "/auth/%c0%af/groups/g",
        "/auth/%zz",
        "/auth/%",
        "/auth/groups;x/g",
        "/auth/groups?x",
        "/auth/groups#x",
        "/auth\\groups\\g",
        "/auth\uff0fgroups\uff0fg",
        "/auth/\u2025/groups",
        "/auth/groups\x00/g",
        "/auth/groups\n/g",
        "/auth/\u202egroups/g",
        "/auth/\ud800",
        "/" + "a" * 5000,
    ],
)
def test_a_path_that_readers_could_understand_differently_belongs_nowhere(path: str) -> None:
    assert classify(path) == Place(PathClass.UNCLEAR)


def test_a_question_about_a_path_is_one_about_the_place_of_that_path() -> None:
    def asked(path: str) -> Request:
        return locate(Request("", project_id="p9", anywhere=True, context=Context(path=path)), ("g0",))

    in_project, in_group = asked("/v1/projects/p1/x"), asked("/auth/groups/g1")

    assert (in_project.project_id, in_project.anywhere, in_project.context.path_class) == ("p1", False, "project")
    assert (in_group.resource.group_ids, in_group.context.path_class) == (frozenset({"g0", "g1"}), "group")
    assert asked("/v1/x").context.path_class == "other"
    assert asked("/v1/../x").context.path_class == "unclear"
    assert asked("") == Request("", project_id="p9", anywhere=True)


def test_whose_rights_count_follows_from_who_asks_and_the_place() -> None:
    found = {
        (path_class, subject, device, belongs): counting(path_class, subject=subject, device=device, belongs=belongs)
        for path_class in PathClass
        for subject in (False, True)
        for device in (False, True)
        for belongs in (False, True)
    }

    assert len(found) == 32
    for (path_class, subject, device, belongs), counts in found.items():
        if path_class is PathClass.UNCLEAR:
            expected = Counting.NOTHING
        elif not subject or path_class is PathClass.OTHER:
            expected = Counting.ASKED
        elif not belongs:
            expected = Counting.NOTHING
        elif path_class is PathClass.PROJECT and device:
            expected = Counting.ASKED
        else:
            expected = Counting.THERE
        assert counts is expected


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_no_text_breaks_the_parser_or_the_classes(text: str) -> None:
    classify(text)
    _read(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("allowed_endpoints", "denied_endpoints", "allowed_iscp_messages", "path", "method"),
                    *("roles", "role_names", "boundary", "kind", "project_ids", "group_id"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_json_breaks_the_parser_and_what_it_reads_compiles(value: Any) -> None:
    LANGUAGE.compile("p", _read(json.dumps(value)), ROLES.get)


segments = st.sampled_from(("auth", "v1", "api", "projects", "groups", "users", "me", "p1", "p2", "g1", "g2", "a"))
paths = st.lists(segments, min_size=1, max_size=5).map(lambda found: "/" + "/".join(found))
globs = st.lists(segments | st.sampled_from(("*", "**", "p*")), min_size=1, max_size=4).map(
    lambda found: "/" + "/".join(found)
)
methods = st.sampled_from(("GET", "POST", "DELETE"))
endpoints = st.builds(Endpoint, globs, st.sampled_from(("GET", "POST", "*", "P*", "delete")))
scopes = st.builds(
    SourceStatement,
    endpoints=st.lists(endpoints, min_size=1, max_size=3).map(tuple),
    denied_endpoints=st.lists(endpoints, max_size=2).map(tuple),
)
boundaries = st.one_of(
    st.just(Boundary()),
    st.frozensets(st.sampled_from(("p1", "p2")), min_size=1).map(
        lambda ids: Boundary(BoundaryKind.PROJECTS, project_ids=ids)
    ),
    st.sampled_from(("g1", "g2")).map(lambda name: Boundary(BoundaryKind.GROUP_SUBTREE, group_id=name)),
)
roles = st.dictionaries(st.sampled_from(("r1", "r2", "r3")), st.lists(scopes, max_size=3), max_size=3)
grants = st.lists(st.tuples(st.sampled_from(("r1", "r2", "r3")), boundaries), max_size=4)
# Which groups lie above which.
ABOVE = {"g1": (), "g2": ("g1",)}


def _star_matches(pattern: str, text: str) -> bool:
    """One star stands for anything but a slash, two for anything."""
    if not pattern:
        return not text
    if pattern.startswith("**"):
        return any(_star_matches(pattern[2:], text[start:]) for start in range(len(text) + 1))
    if pattern[0] == "*":
        stops = [start for start in range(len(text) + 1) if "/" not in text[:start]]
        return any(_star_matches(pattern[1:], text[start:]) for start in stops)
    return bool(text) and text[0] == pattern[0] and _star_matches(pattern[1:], text[1:])


def _endpoint_fits(endpoint: Endpoint, method: str, path: str) -> bool:
    """The prefix may be there or not, in the pattern and in the path."""
    patterns = {endpoint.path, endpoint.path[4:] if endpoint.path.startswith("/api/") else endpoint.path}
    called = {path, path[4:] if path.startswith("/api/") else path}
    return _star_matches(endpoint.method.upper(), method) and any(
        _star_matches(pattern, each) for pattern in patterns for each in called
    )


def _scope_allows(scope: SourceStatement, method: str, path: str) -> bool:
    """A scope allows what it lists and does not deny."""
    allowed = any(_endpoint_fits(endpoint, method, path) for endpoint in scope.endpoints)
    return allowed and not any(_endpoint_fits(endpoint, method, path) for endpoint in scope.denied_endpoints)


def _holds_there(boundary: Boundary, path: str) -> bool:
    """Project roles count in their projects, group roles in their groups and below, others everywhere else."""
    parts = path.removeprefix("/api/").strip("/").split("/")
    head, name = tuple(parts[:2]), parts[2] if len(parts) > 2 else ""
    if name and head in (("auth", "projects"), ("v1", "projects")):
        return name in boundary.project_ids
    if name and head == ("auth", "groups"):
        return boundary.group_id != "" and boundary.group_id in (name, *ABOVE.get(name, ()))
    return boundary.kind is BoundaryKind.ORGANIZATION


@given(roles, grants, methods, paths)
def test_the_compiled_roles_decide_as_the_words_say(
    written: dict[str, list[SourceStatement]], held: list[tuple[str, Boundary]], method: str, path: str
) -> None:
    views = {name: RoleView(name, (), BoundaryKind.ORGANIZATION, tuple(rows)) for name, rows in written.items()}
    statements = [SourceStatement(role_names=(name,), boundary=boundary) for name, boundary in held]
    above = ABOVE.get(classify(path).id, ())
    request = locate(Request(permission="", context=Context(method=method, path=path)), above)

    policy = LANGUAGE.compile("p", statements, views.get)
    decision = decide(compile_program(PolicySet(Combine.ANY_OF, (policy,))), request)

    expected = any(
        _holds_there(boundary, path) and _scope_allows(scope, method, path)
        for name, boundary in held
        for scope in written.get(name, ())
    )
    assert decision.allowed is expected


@given(roles, st.lists(st.sampled_from(("r1", "r2", "r3")), max_size=3), methods, paths)
def test_asked_scopes_decide_by_their_endpoints_alone(
    written: dict[str, list[SourceStatement]], asked: list[str], method: str, path: str
) -> None:
    views = {name: RoleView(name, (), BoundaryKind.ORGANIZATION, tuple(rows)) for name, rows in written.items()}
    request = locate(Request(permission="", context=Context(method=method, path=path)))

    policy = LANGUAGE.compile_asked("p", [SourceStatement(role_names=tuple(asked))], views.get)
    decision = decide(compile_program(PolicySet(Combine.ANY_OF, (policy,))), request)

    expected = any(_scope_allows(scope, method, path) for name in asked for scope in written.get(name, ()))
    assert decision.allowed is expected


@pytest.mark.timeout(60)  # of work that must not grow with the hostility of a text
def test_hostile_patterns_are_matched_in_time_that_grows_with_the_path_alone() -> None:
    glob = "/" + "a*" * (MAX_STARS - 1) + "b"
    document = _scope(allowed_endpoints=[_endpoint(glob, "*")] * 50)
    policy = LANGUAGE.compile_asked("p", LANGUAGE.parse(document), ROLES.get)
    program = compile_program(PolicySet(Combine.ANY_OF, (policy,)))
    request = locate(Request(permission="", context=Context(method="GET", path="/" + "a" * 4000)))

    assert not decide(program, request).allowed
