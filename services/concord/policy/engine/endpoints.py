"""Which endpoints fit a called path and method: a tree of segments, so that a look costs the path's length.

Patterns come from customers, so nothing here may backtrack.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import re2

from concord.policy.engine.match import Globs
from concord.policy.engine.model import Endpoint

_VERSION = "/v1"
_ANY = "*"

# The library has no type hints.
_re2: Any = re2
T = TypeVar("T")
_Methods = dict[str, list[int]]


class EndpointIndex:
    """Endpoints with owners."""

    __slots__ = ("_anything", "_based", "_every", "_whole")

    def __init__(self) -> None:
        self._whole = _Paths()
        self._based: dict[tuple[str, ...], _Based] = {}
        # For calls that do not say their path: what fits whatever it is, and all there is.
        self._anything: _Methods = {}
        self._every: _Methods = {}

    def add(self, endpoint: Endpoint, base_paths: tuple[str, ...], owner: int) -> None:
        """Add an endpoint with where interfaces are known to lie; all are added before the first is sought."""
        method = endpoint.method.upper()
        _note(self._every, method, owner)
        if endpoint.path == "**" and endpoint.base_path in ("", _ANY):
            _note(self._anything, method, owner)
        if endpoint.base_path:
            if base_paths not in self._based:
                self._based[base_paths] = _Based(base_paths)
            self._based[base_paths].add(endpoint, method, owner)
        else:
            self._whole.add(endpoint.path, method, owner)

    def find(self, method: str, path: str, *, unknown: bool) -> set[int]:
        """Return the owners of those that fit. `unknown` is the answer for what the call does not say."""
        found: set[int] = set()
        upper = method.upper()
        for methods in self._at(path, unknown):
            if not upper and unknown:
                for owners in methods.values():
                    found.update(owners)
                continue
            found.update(methods.get(_ANY, ()))
            if upper:
                found.update(methods.get(upper, ()))
        return found

    def _at(self, path: str, unknown: bool) -> Iterator[_Methods]:
        if not path:
            yield self._every if unknown else self._anything
            return
        yield from self._whole.find(path)
        for based in self._based.values():
            yield from based.find(path)


class Endpoints:
    """The endpoints of one statement."""

    __slots__ = ("_index",)

    def __init__(self, endpoints: Sequence[Endpoint], base_paths: tuple[str, ...] = ()) -> None:
        self._index = EndpointIndex()
        for endpoint in endpoints:
            self._index.add(endpoint, base_paths, 0)

    def match(self, method: str, path: str, *, unknown: bool) -> bool:
        """Tell whether one of them fits. `unknown` is the answer for what the request does not say."""
        return bool(self._index.find(method, path, unknown=unknown))


class _Based:
    """Endpoints that speak of a base path and what follows it, all under one list of known base paths."""

    __slots__ = ("_depth", "_known", "_literal", "_starred")

    def __init__(self, base_paths: tuple[str, ...]) -> None:
        self._known = frozenset(_without_version(each) for each in base_paths)
        # No base goes deeper, however long a called path is.
        self._depth = max((each.count("/") + 1 for each in self._known), default=1)
        self._literal: dict[str, _Paths] = {}
        self._starred = _Globbed(_Paths)

    def add(self, endpoint: Endpoint, method: str, owner: int) -> None:
        base = _without_version(endpoint.base_path)
        self._depth = max(self._depth, base.count("/") + 1)
        paths = self._starred.at(base) if "*" in base else self._literal.setdefault(base, _Paths())
        paths.add(endpoint.path, method, owner)

    def find(self, path: str) -> Iterator[_Methods]:
        called = _without_version(path)
        prefixes = list(islice(_prefixes(called), self._depth))
        base = next((each for each in reversed(prefixes) if each in self._known), prefixes[0] if prefixes else "")
        if self._literal:
            for prefix in prefixes:
                paths = self._literal.get(prefix) if len(prefix) >= len(base) else None
                if paths is not None:
                    yield from paths.find(called[len(prefix) :] or "/")
        if self._starred:
            for paths in self._starred.find(base):
                yield from paths.find(called[len(base) :] or "/")


class _Globbed(Generic[T]):
    """Things by globs in which a star is any characters; all are added before the first is sought."""

    __slots__ = ("_each", "_globs", "_make")

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._each: dict[str, T] = {}
        self._globs: tuple[Globs, tuple[T, ...]] | None = None

    def __bool__(self) -> bool:
        return bool(self._each)

    def at(self, glob: str) -> T:
        """Return the thing of a glob, made where there is none."""
        self._globs = None
        if glob not in self._each:
            self._each[glob] = self._make()
        return self._each[glob]

    def find(self, text: str) -> Iterator[T]:
        """Yield the things whose globs fit."""
        if self._globs is None:
            globs = Globs((glob, number) for number, glob in enumerate(self._each))
            self._globs = globs, tuple(self._each.values())
        found, each = self._globs
        for number in found.owners(text):
            yield each[number]


class _Node:
    """What has been said after some segments of a path."""

    __slots__ = ("below", "children", "ends", "mixed", "partial", "spanning", "star")

    def __init__(self) -> None:
        self.ends: _Methods = {}
        # Patterns that go on with `**` and nothing else.
        self.below: _Methods = {}
        self.children: dict[str, _Node] = {}
        self.star: _Node | None = None
        # Segments that are starred in part, and what follows each.
        self.partial = _Globbed(_Node)
        # Patterns that go on with a `**` within: by themselves where they have no single star, else by
        # their last segment.
        self.spanning = _Globbed[_Methods](dict)
        self.mixed: dict[str, dict[str, tuple[Any, _Methods]]] = {}


class _Paths:
    """Path globs as a tree of their segments."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, glob: str, method: str, owner: int) -> None:
        node, segments = self._root, glob.split("/")
        for at, segment in enumerate(segments):
            if segment == "**" and at == len(segments) - 1:
                _note(node.below, method, owner)
                return
            if "**" in segment:
                _note(_spanning(node, segments[at:]), method, owner)
                return
            node = _child(node, segment)
        _note(node.ends, method, owner)

    def find(self, path: str) -> Iterator[_Methods]:
        segments = path.split("/")
        last = segments[-1]
        reached = [(self._root, 0)]
        while reached:
            node, at = reached.pop()
            if at == len(segments):
                yield node.ends
                continue
            yield node.below
            if node.spanning or node.mixed:
                rest = "/".join(segments[at:])
                yield from node.spanning.find(rest)
                for key in {"", last}:
                    for regex, methods in node.mixed.get(key, {}).values():
                        if regex.fullmatch(rest) is not None:
                            yield methods
            reached.extend((child, at + 1) for child in _children(node, segments[at]))


def _child(node: _Node, segment: str) -> _Node:
    if segment == "*":
        if node.star is None:
            node.star = _Node()
        return node.star
    if "*" not in segment:
        return node.children.setdefault(segment, _Node())
    return node.partial.at(segment)


def _children(node: _Node, segment: str) -> Iterator[_Node]:
    literal = node.children.get(segment)
    if literal is not None:
        yield literal
    if node.star is not None:
        yield node.star
    if node.partial:
        yield from node.partial.find(segment)


def _spanning(node: _Node, segments: list[str]) -> _Methods:
    rest = "/".join(segments)
    pieces = rest.split("**")
    if not any("*" in piece for piece in pieces):
        return node.spanning.at("*".join(pieces))
    key = "" if "*" in segments[-1] else segments[-1]
    return node.mixed.setdefault(key, {}).setdefault(rest, (_re2.compile(_path_regex(rest)), {}))[1]


def _note(methods: _Methods, method: str, owner: int) -> None:
    methods.setdefault(method, []).append(owner)


def _without_version(path: str) -> str:
    return path[len(_VERSION) :] if path == _VERSION or path.startswith(_VERSION + "/") else path


def _prefixes(path: str) -> Iterator[str]:
    """Yield what a path lies below, shortest first, itself last: `/a`, `/a/b`."""
    at = path.find("/", 1)
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
    if path:
        yield path


def _path_regex(glob: str) -> str:
    parts = re.split(r"(\*\*|\*)", glob)
    return "(?s)" + "".join({"**": ".*", "*": "[^/]*"}.get(part) or _re2.escape(part) for part in parts)
