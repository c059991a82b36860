"""Role rows: what they read, what they refuse and where, and what they allow together."""

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from concord.kernel.errors import Invalid, Reason
from concord.policy.engine import (
    Boundary,
    BoundaryKind,
    Combine,
    Context,
    Effect,
    Endpoint,
    Request,
    compile_program,
    decide,
)
from concord.policy.languages import Held, SourceStatement, assemble, find_language
from concord.policy.languages.base import MAX_DOCUMENT, MAX_STATEMENTS
from concord.policy.languages.endpoint_rows import MAX_PARAMETERS, EndpointRows, known_base_paths
from concord.policy.languages.row_operations import operations_within

LANGUAGE = EndpointRows()
KNOWN_BASE_PATHS = known_base_paths()
ANY = {"basePath": "*", "path": "*", "verb": "*", "ipAddress": "*"}


def _document(*rows: Any) -> str:
    return json.dumps({"resources": list(rows)})


def _row(**columns: Any) -> dict[str, Any]:
    return {**ANY, **columns}


def _refusal(document: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        LANGUAGE.parse(document)
    assert caught.value.reason is Reason.INVALID_DOCUMENT
    return [(violation.field, violation.rule) for violation in caught.value.violations]


def _is_allowed(groups: list[list[list[dict[str, Any]]]], context: Context) -> bool:
    held = [
        Held(
            f"g{group}",
            "endpoint_rows",
            LANGUAGE.compile(f"r{group}.{role}", LANGUAGE.parse(_document(*rows)), lambda name: None),
        )
        for group, roles in enumerate(groups)
        for role, rows in enumerate(roles)
    ]
    return decide(compile_program(assemble(held)), Request("external.calls.call", context=context)).allowed


def test_the_language_is_known_by_its_name() -> None:
    found = find_language("endpoint_rows")

    assert found is not None
    assert found.combine is Combine.ALL_OF


def test_a_document_is_read_into_rows() -> None:
    document = _document(
        _row(basePath="/v1/business-process", path="/contracts", verb="get", ipAddress="10.0.0.5/24"),
        _row(contractId="N1"),
    )

    assert LANGUAGE.parse(document) == (
        SourceStatement(
            endpoints=(Endpoint("/contracts", "GET", "/v1/business-process"),), source_network="10.0.0.5/24"
        ),
        SourceStatement(endpoints=(Endpoint("*", "*", "*"),), parameters=(("contractId", "N1"),)),
    )


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ("", [("document", "json")]),
        ('{"resources": [],}', [("document", "json")]),
        ('{"resources": [], "roleName": "r"}', [("document", "format")]),
        ('{"resources": {}}', [("document", "format")]),
        ('{"resources": [{"path": "/a", "path": "/b"}]}', [("document", "json")]),
        ('{"resources": [-Infinity]}', [("document", "json")]),
        ("[" * 60000, [("document", "json")]),
        (" " * (MAX_DOCUMENT + 1), [("document", "length")]),
        (_document(*[1] * (MAX_STATEMENTS + 1)), [("resources", "length")]),
        (_document([]), [("resources[0]", "format")]),
        (_document(_row(verb=None)), [("resources[0].verb", "format")]),
        (_document({key: ANY[key] for key in ("path", "verb", "ipAddress")}), [("resources[0].basePath", "required")]),
        (_document(_row(entity=5)), [("resources[0].entity", "pattern")]),
        (_document(_row(**{"a b": "x"})), [("resources[0].a b", "pattern")]),
        (_document(_row(**{"\u202e": "x"})), [("resources[0].\ufffd", "pattern")]),
        (_document(_row(**{"k" * 129: "x"})), [(f"resources[0].{'k' * 64}", "pattern")]),
        (_document(_row(key="x" * 129)), [("resources[0].key", "pattern")]),
        (_document(_row(key="a*b")), [("resources[0].key", "pattern")]),
        (_document(_row(key='"')), [("resources[0].key", "pattern")]),
        (
            _document(_row(**{f"k{i}": "x" for i in range(MAX_PARAMETERS + 1)})),
            [("resources[0]", "length")],
        ),
        (_document(_row(**{f"k{i}": "x" * 127 + "*" for i in range(MAX_PARAMETERS)})), [("resources[0]", "length")]),
        ('{"resources": [{"basePath": "\\udfff"}]}', [("resources[0].basePath", "json")]),
    ],
)
def test_a_document_is_refused_with_the_place(document: str, refusal: list[tuple[str, str]]) -> None:
    assert _refusal(document) == refusal


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (
            "basePath",
            ["", "iam", "/", "/v1", "/v1/", "**", "/i*m", "//iam", "/iam//x", "/a/../iam", "/ｉam", "/iam\u200b"],
        ),
        (
            "path",
            ["", "contracts", "/a/*/b", "/**", "**", "//", "/a//b", "/a/./b", "/..", "/a?b", "/a#b", "/%2e", "/a b"],
        ),
        ("path", ["/" + "a" * 512, "/a\n", "/a\\b", "/a\x00", "/\u0430", "/a*/"]),
        ("verb", ["", "GETS", "HEAD", "G*", "GET,POST", " GET", "po\u017ft", "ＧＥＴ"]),
        ("ipAddress", ["", "10.0.0", "10.0.0.5/33", "10.0.0.5/", "10.0.0.5/-1", "10.0.0.*", "2001:db8::1", "::/0"]),
        ("ipAddress", ["10.0.0.5/255.255.255.0", "localhost", "10.0.0.5/２４", "010.0.0.5", " 10.0.0.5"]),
    ],
)
def test_a_column_takes_what_it_can_match_and_nothing_else(column: str, values: list[str]) -> None:
    for value in values:
        assert _refusal(_document(ANY, _row(**{column: value}))) == [(f"resources[1].{column}", "pattern")], value


ROW = SourceStatement(endpoints=(Endpoint("*", "*", "*"),))


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (SourceStatement(), ("statements[0].endpoints", "constraint")),
        (SourceStatement(endpoints=ROW.endpoints * 2), ("statements[0].endpoints", "constraint")),
        (SourceStatement(endpoints=(Endpoint("*", "*", ""),)), ("statements[0].endpoints[0].base_path", "pattern")),
        (SourceStatement(endpoints=(Endpoint("x", "*", "*"),)), ("statements[0].endpoints[0].path", "pattern")),
        (SourceStatement(endpoints=(Endpoint("*", "x", "*"),)), ("statements[0].endpoints[0].method", "pattern")),
        (
            SourceStatement(endpoints=ROW.endpoints, effect=Effect.DENY),
            ("statements[0].effect", "constraint"),
        ),
        (
            SourceStatement(endpoints=ROW.endpoints, permissions=("*",)),
            ("statements[0].permissions", "constraint"),
        ),
        (SourceStatement(endpoints=ROW.endpoints, condition="true"), ("statements[0].condition", "constraint")),
        (
            SourceStatement(endpoints=ROW.endpoints, denied_endpoints=(Endpoint("/a"),)),
            ("statements[0].denied_endpoints", "constraint"),
        ),
        (
            SourceStatement(endpoints=ROW.endpoints, boundary=Boundary(BoundaryKind.OWNER_ACCOUNT)),
            ("statements[0].boundary", "constraint"),
        ),
        (SourceStatement(endpoints=ROW.endpoints, source_network="x"), ("statements[0].source_network", "pattern")),
        (
            SourceStatement(endpoints=ROW.endpoints, parameters=(("k", "v"), ("path", "/a"))),
            ("statements[0].parameters[1]", "pattern"),
        ),
        (
            SourceStatement(endpoints=ROW.endpoints, parameters=tuple((f"k{i}", "") for i in range(17))),
            ("statements[0].parameters", "length"),
        ),
    ],
)
def test_statements_are_refused_with_the_place(statement: SourceStatement, fault: tuple[str, str]) -> None:
    assert [(each.field, each.rule) for each in LANGUAGE.faults([statement], lambda name: None)] == [fault]


def test_no_known_base_lies_below_another() -> None:
    # A row of a base that is no known one could then stand for two of them.
    for base in KNOWN_BASE_PATHS:
        assert not any(other.startswith(base + "/") for other in KNOWN_BASE_PATHS)


@pytest.mark.parametrize(
    ("row", "names"),
    [
        (_row(basePath="/iam", path="/roles", verb="PUT"), ["updateRole"]),
        (_row(basePath="/v1/iam", path="/groups/*", verb="GET"), ["getGroup", "listGroupUsers", "getGroupUser"]),
        (_row(path="/users", verb="POST"), ["createUsers", "regenerateUserKey", "changeUserKeyStatus"]),
        (_row(basePath="/cloudn"), []),
        (_row(basePath="/iam", path="/users/7"), []),
    ],
)
def test_a_row_stands_for_the_operations_whose_path_it_covers(row: dict[str, Any], names: list[str]) -> None:
    policy = LANGUAGE.compile("p", LANGUAGE.parse(_document(row)), lambda name: None)

    assert policy.statements[0].operations == tuple(f"ntt/{name}" for name in names)


def test_a_row_of_stars_stands_for_every_operation() -> None:
    policy = LANGUAGE.compile("p", [ROW], lambda name: None)

    assert len(policy.statements[0].operations) == 24
    assert policy.statements[0].operations == operations_within("/iam", ["/**"], "*")


# What follows says once more, as plainly as can be, what rows mean.


def _parted(path: str) -> tuple[str, str]:
    path = path[3:] if path.startswith("/v1/") else path
    bases = [base for base in KNOWN_BASE_PATHS if path == base or path.startswith(base + "/")]
    base = max(bases, key=len, default="/" + path.split("/")[1])
    return base, path[len(base) :] or "/"


def _column_fits(written: str, value: str, *, below: bool) -> bool:
    if written == "*":
        return True
    if written.endswith("*"):
        return value.startswith(written[:-1])
    return value == written or (below and value.startswith(written + "/"))


def _row_fits(row: dict[str, Any], context: Context) -> bool:
    base, rest = _parted(context.path)
    written = row["basePath"]
    return (
        _column_fits(written[3:] if written.startswith("/v1/") else written, base, below=False)
        and _column_fits(row["path"], rest, below=row["path"] != "/")
        and row["verb"].upper() in ("*", context.method)
        and (
            row["ipAddress"] == "*"
            or (context.ip != "" and ip_address(context.ip) in ip_network(row["ipAddress"], strict=False))
        )
        and all(
            value == "*" or (key in context.attributes and _column_fits(value, context.attributes[key], below=False))
            for key, value in row.items()
            if key not in ANY
        )
    )


_ROWS = st.fixed_dictionaries(
    {
        "basePath": st.sampled_from(
            ["*", "/iam", "/v1/iam", "/ec-vcd/api", "/ec-vcd", "/ec-*", "/v1/ec-vcd/a*", "/new"]
        ),
        "path": st.sampled_from(["*", "/users", "/users/*", "/us*", "/", "/api", "/api/users", "/users/7"]),
        "verb": st.sampled_from(["*", "GET", "post"]),
        "ipAddress": st.sampled_from(["*", "10.0.0.5/24", "10.0.1.1"]),
    },
    optional={"entity": st.sampled_from(["*", "N1", "N*", ""])},
)
_PATHS = st.builds(
    str.__add__,
    st.sampled_from(["/iam", "/v1/iam", "/ec-vcd/api", "/ec-vcd", "/v1/ec-vcd/api", "/new", "/ec-x", "/v1"]),
    st.sampled_from(
        ["", "/", "/users", "/users/", "/users/7", "/users/7/keys", "/user", "/api", "/api/users", "/v1/users"]
    ),
)
_CONTEXTS = st.builds(
    lambda path, method, ip, attributes: Context(path=path, method=method, ip=ip, attributes=attributes),
    path=_PATHS,
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    ip=st.sampled_from(["", "10.0.0.200", "10.0.1.1", "2001:db8::1"]),
    attributes=st.sampled_from([{}, {"entity": "N1"}, {"entity": "N22"}, {"entity": ""}]),
)
_ROLES = st.lists(st.lists(_ROWS, max_size=3), max_size=3)


@settings(max_examples=300, deadline=None)
@given(_ROWS, _CONTEXTS)
@example(_row(basePath="/ec-vcd", path="/api"), Context(path="/ec-vcd/api/users", method="GET"))
@example(_row(path="/api"), Context(path="/ec-vcd/api", method="GET"))
def test_a_row_fits_when_its_columns_do(row: dict[str, Any], context: Context) -> None:
    assert _is_allowed([[[row]]], context) is _row_fits(row, context)


@settings(max_examples=200, deadline=None)
@given(st.lists(_ROLES, max_size=3), _CONTEXTS)
def test_rows_of_a_role_or_roles_of_a_group_and_groups_of_a_user_or(
    groups: list[list[list[dict[str, Any]]]], context: Context
) -> None:
    expected = any(roles and all(any(_row_fits(row, context) for row in rows) for rows in roles) for roles in groups)

    assert _is_allowed(groups, context) is expected


@settings(max_examples=150, deadline=None)
@given(_ROLES, st.lists(_ROWS, max_size=3), _CONTEXTS)
def test_one_more_role_in_a_group_never_adds_a_right_to_those_it_has(
    roles: list[list[dict[str, Any]]], more: list[dict[str, Any]], context: Context
) -> None:
    before = _is_allowed([roles], context) if roles else True

    assert before or not _is_allowed([[*roles, more]], context)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")),
        st.dictionaries(st.text(), st.text() | st.none() | st.integers(), max_size=4).map(
            lambda row: _document(_row(**row))
        ),
        st.tuples(st.sampled_from(sorted(ANY)), st.text()).map(lambda at: _document(_row(**{at[0]: at[1]}))),
    )
)
@example("\ud800")
def test_no_text_does_worse_than_being_refused(document: str) -> None:
    told: tuple[str, ...] = ()
    statements: tuple[SourceStatement, ...] = ()
    try:
        statements = LANGUAGE.parse(document)
    except Invalid as refusal:
        told = tuple(violation.field for violation in refusal.violations)

    assert all(field.isprintable() for field in told)
    assert LANGUAGE.faults(statements, lambda name: None) == []
    compile_program(assemble([Held("g", "endpoint_rows", LANGUAGE.compile("p", statements, lambda name: None))]))
