"""The tree of endpoints finds what a look at one after the other finds."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concord.policy.engine.endpoints import EndpointIndex
from concord.policy.engine.model import Endpoint

KNOWN = ("/a", "/b/c", "/v1/c")


def _glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern.startswith("**"):
        return any(_glob(pattern[2:], text[at:]) for at in range(len(text) + 1))
    if pattern[0] == "*":
        reach = text.find("/") if "/" in text else len(text)
        return any(_glob(pattern[1:], text[at:]) for at in range(reach + 1))
    return bool(text) and text[0] == pattern[0] and _glob(pattern[1:], text[1:])


def _plain(path: str) -> str:
    return path[3:] if path == "/v1" or path.startswith("/v1/") else path


def _below(path: str, base: str) -> bool:
    return path == base or path.startswith(base + "/")


def _path_fits(endpoint: Endpoint, known: tuple[str, ...], path: str) -> bool:
    if not endpoint.base_path:
        return _glob(endpoint.path, path)
    called, written = _plain(path), _plain(endpoint.base_path)
    under = [base for base in map(_plain, known) if called and _below(called, base)]
    end = called.find("/", 1)
    base = max(under, key=len, default=called[:end] if end >= 0 else called)
    if "*" in written:
        return _glob(written.replace("*", "**"), base) and _glob(endpoint.path, called[len(base) :] or "/")
    if not called or not _below(called, written) or len(written) < len(base):
        return False
    return _glob(endpoint.path, called[len(written) :] or "/")


def _fits(endpoint: Endpoint, known: tuple[str, ...], method: str, path: str, unknown: bool) -> bool:
    method_fits = endpoint.method in ("*", method) if method else unknown or endpoint.method == "*"
    if path:
        return method_fits and _path_fits(endpoint, known, path)
    return method_fits and (unknown or (endpoint.path == "**" and endpoint.base_path in ("", "*")))


segments = st.sampled_from(("a", "b", "ab", "", "*", "**", "a*", "*b", "a**", "**b", "a*b", "***"))
globs = st.lists(segments, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts)) | st.sampled_from(
    ("**", "*")
)
bases = st.sampled_from(("", "", "*", "/a", "/b", "/b/c", "/b/c/d", "/v1/a", "/a*", "/b/*", "/v1", "/a/b"))
endpoints = st.builds(Endpoint, path=globs, method=st.sampled_from(("*", "GET", "POST")), base_path=bases)
paths = st.just("") | st.lists(
    st.sampled_from(("a", "b", "c", "d", "ab", "", "v1", "aab")), min_size=1, max_size=5
).map(lambda parts: "/" + "/".join(parts))


@settings(max_examples=400)
@given(
    st.lists(st.tuples(endpoints, st.sampled_from(((), KNOWN))), max_size=12),
    st.sampled_from(("", "GET", "PUT")),
    paths,
    st.booleans(),
)
def test_the_tree_finds_what_a_walk_finds(
    rows: list[tuple[Endpoint, tuple[str, ...]]], method: str, path: str, unknown: bool
) -> None:
    index = EndpointIndex()
    for owner, (endpoint, known) in enumerate(rows):
        index.add(endpoint, known, owner)

    expected = {owner for owner, (endpoint, known) in enumerate(rows) if _fits(endpoint, known, method, path, unknown)}

    assert index.find(method, path, unknown=unknown) == expected


@pytest.mark.parametrize(
    ("base", "glob", "path", "expected"),
    [
        ("/business", "/contracts", "/business/contracts", True),
        ("/business", "/contracts", "/v1/business/contracts", True),
        ("/business", "/contracts", "/businesses/contracts", False),
        ("*", "/contracts", "/any/contracts", True),
        ("*", "/contracts", "/two/parts/contracts", True),
        ("*", "/parts/contracts", "/two/parts/contracts", False),
        ("/two", "/parts/contracts", "/two/parts/contracts", False),
        ("/two/parts/more", "**", "/two/parts/more/x", True),
        ("/two/parts", "/", "/two/parts", True),
        ("/tw*", "/contracts", "/two/parts/contracts", True),
    ],
)
def test_a_called_path_is_parted_behind_the_longest_base_that_is_known(
    base: str, glob: str, path: str, expected: bool
) -> None:
    index = EndpointIndex()
    index.add(Endpoint(glob, base_path=base), ("/business", "/two/parts"), 1)

    assert index.find("GET", path, unknown=False) == ({1} if expected else set())


def test_what_others_say_of_a_base_never_changes_how_a_path_is_parted() -> None:
    alone, together = EndpointIndex(), EndpointIndex()
    alone.add(Endpoint("/b/c", base_path="*"), (), 1)
    together.add(Endpoint("/b/c", base_path="*"), (), 1)
    together.add(Endpoint("**", base_path="/a/b"), (), 2)

    assert alone.find("GET", "/a/b/c", unknown=False) == {1}
    assert together.find("GET", "/a/b/c", unknown=False) == {1, 2}


def test_thousands_of_endpoints_cost_no_more_than_a_few() -> None:
    def cost(size: int) -> float:
        index = EndpointIndex()
        for number in range(size):
            for glob in (f"/x{number}/*", f"/*/y{number}", f"/**/z{number}", f"/a/w{number}*", f"/b/v{number}**"):
                index.add(Endpoint(glob), (), number)
        best = 1.0
        for _ in range(5):
            started = time.perf_counter()
            for _ in range(200):
                assert index.find("GET", "/x7/y3", unknown=False) == {3, 7}
            best = min(best, (time.perf_counter() - started) / 200)
        return best

    # A walk would take hundreds of times as long.
    assert cost(3000) < 10 * cost(10)


@pytest.mark.timeout(60)  # of work that must not grow with the hostility of a text
def test_a_hostile_path_takes_no_longer_than_it_is_long() -> None:
    index = EndpointIndex()
    for number in range(50):
        index.add(Endpoint("/" + "*/" * number + "**/x*y/**", base_path="*" if number % 2 else ""), ("/a",), number)

    index.find("GET", "/a" * 2000, unknown=False)
