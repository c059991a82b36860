"""Finds the route of a path. A trie: a literal segment beats a placeholder, whatever the order of registration."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

R = TypeVar("R")


class NoPath(Exception):
    """Nothing is served under this path."""


class NoMethod(Exception):
    """The path is served, but not with this method."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__("method not allowed")
        self.allowed = allowed


@dataclass(slots=True)
class _Node(Generic[R]):
    literals: "dict[str, _Node[R]]" = field(default_factory=dict)
    placeholder: "_Node[R] | None" = None
    methods: dict[str, tuple[R, tuple[str, ...]]] = field(default_factory=dict)


class Router(Generic[R]):
    """Maps method and path to a route and the values of its placeholders.

    Paths arrive decoded once, by the HTTP server; nothing here decodes again, so `%252F`
    stays the four characters it stands for. No segment is normalised: an empty one, `.` and `..`
    are ordinary texts that no route is called.
    """

    def __init__(self) -> None:
        self._root: _Node[R] = _Node()

    def add(self, method: str, path: str, route: R) -> None:
        """Register a route; two for one method and path are a defect."""
        node, names = self._root, []
        for segment in _segments(path):
            if segment.startswith("{") and segment.endswith("}"):
                names.append(segment[1:-1])
                node.placeholder = node.placeholder or _Node()
                node = node.placeholder
            else:
                node = node.literals.setdefault(segment, _Node())
        if method in node.methods:
            raise ValueError(f"two routes for {method} {path}")
        node.methods[method] = (route, tuple(names))

    def find(self, method: str, path: str) -> tuple[R, dict[str, str]]:
        """Return the route and its placeholders' values, or raise NoPath or NoMethod."""
        if not path.startswith("/"):
            raise NoPath
        segments = _segments(path)
        # The first leaf of the search, without searching: it is the one that is asked for nearly always.
        node, texts = self._root, []
        for segment in segments:
            below = node.literals.get(segment)
            if below is None:
                below = node.placeholder
                if below is None or not segment:
                    break
                texts.append(segment)
            node = below
        else:
            if entry := node.methods.get(method):
                return entry[0], dict(zip(entry[1], texts, strict=True))
        found = list(self._leaves(self._root, segments, 0, ()))
        for node, values in found:
            if entry := node.methods.get(method):
                route, names = entry
                return route, dict(zip(names, values, strict=True))
        if found:
            raise NoMethod(tuple(sorted({name for node, _ in found for name in node.methods})))
        raise NoPath

    def _leaves(
        self, node: _Node[R], segments: list[str], at: int, values: tuple[str, ...]
    ) -> Iterable[tuple[_Node[R], tuple[str, ...]]]:
        # Literal first, placeholder second: the first leaf that has the method wins.
        if at == len(segments):
            if node.methods:
                yield node, values
            return
        segment = segments[at]
        if (literal := node.literals.get(segment)) is not None:
            yield from self._leaves(literal, segments, at + 1, values)
        if node.placeholder is not None and segment:
            yield from self._leaves(node.placeholder, segments, at + 1, (*values, segment))


def _segments(path: str) -> list[str]:
    return path[1:].split("/")
