"""Patterns: what they may say, what they fit, and that nobody can make them slow."""

import pytest

from concord.policy.engine.endpoints import Endpoints
from concord.policy.engine.match import (
    Globs,
    operation_pattern_fault,
    pattern_keys,
    permission_keys,
    permission_pattern_fault,
)
from concord.policy.engine.model import Endpoint


def _fits(pattern: str, permission: str, *, deny: bool = False) -> bool:
    return not set(pattern_keys(pattern, deny=deny)).isdisjoint(permission_keys(permission))


@pytest.mark.parametrize(
    "pattern", ["*", "a.b.c", "a.*.c", "*.b.*", "*.*.*", "product.product_manage", "iscp.messages.v1.request"]
)
def test_well_formed_permission_patterns_are_taken(pattern: str) -> None:
    assert permission_pattern_fault(pattern) == ""


@pytest.mark.parametrize("pattern", ["", "a", "a..c", "a.b*.c", "a.*", "*.*", "a b.c.d", "a.b.c.*", "a." + "b" * 300])
def test_malformed_permission_patterns_are_refused(pattern: str) -> None:
    assert permission_pattern_fault(pattern) != ""


@pytest.mark.parametrize("pattern", ["", "a b", "x" * 257, "a\n"])
def test_malformed_operation_patterns_are_refused(pattern: str) -> None:
    assert operation_pattern_fault(pattern) != ""


def test_a_permission_is_looked_up_in_at_most_eight_places() -> None:
    for permission in ("identity.users.get", "identity.owner_users.get", "product.manage", "*", ""):
        assert len(permission_keys(permission)) <= 8


@pytest.mark.parametrize(
    ("pattern", "permission", "expected"),
    [
        ("identity.users.get", "identity.users.get", True),
        ("identity.users.*", "identity.users.get", True),
        ("*.users.get", "identity.users.get", True),
        ("identity.users.get", "identity.users.list", False),
        ("identity.users.get", "identity.own_users.get", True),
        ("*.users.get", "identity.own_users.get", True),
        ("*.users.get", "product.own_users.get", False),
        ("identity.own_users.get", "identity.users.get", False),
        ("identity.users.get", "identity.owner_users.get", False),
        ("identity.*.get", "identity.owner_users.get", False),
        ("*", "identity.default_things.set", False),
        ("identity.owner_users.*", "identity.owner_users.get", True),
        ("product.*.get", "product.owner_things.get", True),
        ("*", "product.product_manage", True),
        ("product.product_manage", "product.product_manage", True),
    ],
)
def test_an_allow_reaches_itself_and_oneself_but_never_owner_or_everyone(
    pattern: str, permission: str, expected: bool
) -> None:
    assert _fits(pattern, permission) is expected


@pytest.mark.parametrize("permission", ["identity.users.get", "identity.own_users.get", "identity.owner_users.get"])
@pytest.mark.parametrize("pattern", ["identity.users.get", "identity.*.get", "*.users.*", "*"])
def test_a_deny_touches_all_classes(pattern: str, permission: str) -> None:
    assert _fits(pattern, permission, deny=True)


def test_globs_fit_whole_names() -> None:
    globs = Globs([("Role:attach*", 1), ("*", 2), ("a.c", 3)])

    assert globs.owners("Role:attachRole") == {1, 2}
    assert globs.owners("xRole:attachRole") == {2}
    assert globs.owners("abc") == {2}
    assert globs.owners("a.c") == {2, 3}


def test_a_line_break_hides_nothing_from_a_glob() -> None:
    assert Globs([("vendor/*", 1)]).owners("vendor/a\nb") == {1}
    assert Endpoints([Endpoint("/a/**")]).match("GET", "/a/b\nc", unknown=False)


@pytest.mark.timeout(60)  # of work that must not grow with the hostility of a text
def test_a_hostile_glob_takes_no_longer() -> None:

    Globs([("a*" * 60 + "b", 1)]).owners("a" * 200)


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("/users/*", "/users/1", True),
        ("/users/*", "/users/1/keys", False),
        ("/users/**", "/users/1/keys", True),
        ("/users/*/keys", "/users/1/keys", True),
        ("/users", "/users/", False),
        ("/a.b", "/axb", False),
        ("**", "/anything/at/all", True),
    ],
)
def test_path_globs(glob: str, path: str, expected: bool) -> None:
    assert Endpoints([Endpoint(glob)]).match("GET", path, unknown=False) is expected


def test_methods_are_compared_without_case() -> None:
    endpoints = Endpoints([Endpoint("/a", "get")])

    assert endpoints.match("GET", "/a", unknown=False)
    assert not endpoints.match("POST", "/a", unknown=False)


def test_an_unknown_path_fits_every_pattern_of_a_deny_and_no_literal_of_an_allow() -> None:
    literal, anything = Endpoints([Endpoint("/a")]), Endpoints([Endpoint("**")])

    assert literal.match("", "", unknown=True)
    assert not literal.match("", "", unknown=False)
    assert anything.match("", "", unknown=False)
