"""Which statements of a program can match: found by what they say of the action and of place and caller."""

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from heapq import merge
from typing import Any, Final, Generic, TypeVar, cast

from concord.policy.engine.endpoints import EndpointIndex
from concord.policy.engine.match import Globs, key_shape, pattern_keys, permission_keys
from concord.policy.engine.model import BoundaryKind, Context, Effect, Endpoint, Request, Statement
from concord.policy.engine.networks import OwnedNetworks, find_address, parse_network

# Fewer than these are looked at one by one: to part them would cost more.
_MANY: Final = 16
_SORTED_AT_ONCE: Final = 256
_SHAPES: Final = 8
# How much is done between two chances to let others have their turn.
_STRIDE: Final = 128

K = TypeVar("K", bound=Hashable)
Numbers = Sequence[int]
Steps = Generator[None, None, None]


class Narrowed:
    """Many statements with the same action, parted by where they hold or whence one must call."""

    __slots__ = ("_by_group", "_by_project", "_grouped", "_networked", "_networks", "_placed", "_rest", "all")

    def __init__(self, numbers: Sequence[int], statements: Sequence[Statement]) -> None:
        self.all = tuple(numbers)
        rest: list[int] = []
        by_project: dict[str, list[int]] = {}
        by_group: dict[str, list[int]] = {}
        placed: list[int] = []
        networks: list[tuple[str, int]] = []
        for number in numbers:
            statement = statements[number]
            boundary = statement.boundary
            if boundary.kind is BoundaryKind.PROJECTS:
                placed.append(number)
                for project in boundary.project_ids:
                    by_project.setdefault(project, []).append(number)
            elif boundary.kind is BoundaryKind.GROUP_SUBTREE:
                by_group.setdefault(boundary.group_id, []).append(number)
            elif statement.source_networks and all(map(_is_network, statement.source_networks)):
                networks.extend((network, number) for network in statement.source_networks)
            else:
                rest.append(number)
        self._rest = tuple(rest)
        self._by_project = by_project
        self._placed = tuple(placed)
        self._by_group = by_group
        self._grouped = tuple(sorted(number for each in by_group.values() for number in each))
        self._networks = OwnedNetworks(networks)
        self._networked = tuple(dict.fromkeys(number for _, number in networks))

    def buckets(self, request: Request) -> Iterator[Numbers]:
        """Yield the statements that can match; each step still looks at all that one says."""
        if self._rest:
            yield self._rest
        if self._placed:
            # Asked where a right holds, each place counts.
            yield self._placed if request.anywhere else self._by_project.get(request.project_id, ())
        if self._grouped:
            groups = request.resource.group_ids
            if groups is None:
                yield self._grouped
            else:
                yield from (self._by_group[group] for group in groups if group in self._by_group)
        if self._networked:
            address = find_address(request.context.ip)
            yield self._networked if address is None else sorted(self._networks.owners(address))


Bucket = tuple[int, ...] | Narrowed


class _Leaves(Generic[K]):
    """Statements by a key: noted one by one, then made ready to be asked for."""

    __slots__ = ("_noted", "get", "is_narrowed", "ready")

    def __init__(self) -> None:
        self.is_narrowed = False
        self._noted: dict[K, list[int]] = {}
        self.ready: dict[K, Bucket] = {}
        self.get = self.ready.get

    def note(self, key: K, number: int) -> None:
        """Add a statement, whose number is no lower than those before."""
        numbers = self._noted.setdefault(key, [])
        if not numbers or numbers[-1] != number:
            numbers.append(number)

    def steps(self, statements: Sequence[Statement]) -> Steps:
        """Make all ready, yielding now and then."""
        for count, (key, numbers) in enumerate(self._noted.items()):
            if len(numbers) <= _MANY:
                self.ready[key] = tuple(numbers)
            else:
                self.ready[key] = Narrowed(numbers, statements)
                self.is_narrowed = True
            if count % _STRIDE == 0 or len(numbers) > _STRIDE:
                yield
        self._noted = {}


class ActionIndex:
    """Statements by their actions."""

    __slots__ = ("_allowing", "_by_permission", "_calls", "_denying", "_shapes", "is_narrowed", "names")

    def __init__(self) -> None:
        # Most programs speak of permissions alone, and need none of what else could be looked for.
        self._calls = False
        self.is_narrowed = False
        self._by_permission = _Leaves[str]()
        # Which of the keys of a permission anything stands under: names alone need one look, not eight.
        self._shapes: tuple[int, ...] = ()
        self.names: Callable[[str, tuple[int, ...]], tuple[int, ...]] | None = None
        """Finds all there is about a permission, where statements say nothing but names; else None."""
        self._allowing = _CallIndex(deny=False)
        self._denying = _CallIndex(deny=True)

    def steps(self, statements: Sequence[Statement]) -> Steps:
        """Build the index before the first look, yielding where others may have their turn."""
        for number, statement in enumerate(statements):
            deny = statement.effect is Effect.DENY
            for pattern in statement.permissions:
                for key in pattern_keys(pattern, deny=deny, every_class=statement.every_class):
                    self._by_permission.note(key, number)
            (self._denying if deny else self._allowing).note(statement, number)
            if number % _STRIDE == 0 or len(statement.permissions) + len(statement.operations) > _STRIDE:
                yield
        yield from self._by_permission.steps(statements)
        yield from self._allowing.steps(statements)
        yield from self._denying.steps(statements)
        calls = (self._allowing, self._denying)
        self._calls = any(each.is_used for each in calls)
        leaves = (self._by_permission, *(each for call in calls for each in call.leaves))
        self.is_narrowed = any(each.is_narrowed for each in leaves)
        self._shapes = tuple(sorted({key_shape(key) for key in self._by_permission.ready}))
        if not self._calls and not self.is_narrowed and self._shapes in ((), (0,)):
            self.names = cast("Callable[[str, tuple[int, ...]], tuple[int, ...]]", self._by_permission.get)

    def find(self, request: Request) -> list[Bucket]:
        """Return the statements whose actions fit, in buckets that may overlap."""
        by_permission, keys = self._by_permission.get, permission_keys(request.permission)
        asked = keys if len(keys) < _SHAPES else [keys[shape] for shape in self._shapes]
        found = [bucket for key in asked if (bucket := by_permission(key)) is not None]
        if not self._calls:
            return found
        allowing, denying = self._allowing, self._denying
        if allowing.has_operations or denying.has_operations:
            # An allow needs an operation that covers the whole call; a deny needs only to touch it.
            claimed = (request.operation,) if request.operation else ()
            covering = (*claimed, *request.covering) if request.operation_stands else request.covering
            allowing.add_by_operation(covering, found)
            denying.add_by_operation((*claimed, *request.covering, *request.touching), found)
        if request.path_stands:
            allowing.add_by_endpoint(request.context, found)
        denying.add_by_endpoint(request.context, found)
        return found


class _CallIndex:
    """Statements of one effect by vendor operation and by endpoint."""

    __slots__ = (
        "_by_endpoint",
        "_by_glob",
        "_by_operation",
        "_deny",
        "_endpoints",
        "_globs",
        "_of_endpoints",
        "_of_globs",
        "has_operations",
    )

    def __init__(self, *, deny: bool) -> None:
        self._deny = deny
        self.has_operations = False
        self._by_operation = _Leaves[str]()
        self._by_glob = _Leaves[str]()
        self._by_endpoint = _Leaves[tuple[Endpoint, tuple[str, ...]]]()
        # Many statements may say the same; patterns are held once and own the bucket of all who say it.
        self._globs = Globs()
        self._of_globs: tuple[Bucket, ...] = ()
        self._endpoints = EndpointIndex()
        self._of_endpoints: tuple[Bucket, ...] = ()

    @property
    def is_used(self) -> bool:
        return self.has_operations or bool(self._of_endpoints)

    @property
    def leaves(self) -> "tuple[_Leaves[Any], ...]":
        return self._by_operation, self._by_glob, self._by_endpoint

    def note(self, statement: Statement, number: int) -> None:
        for name in statement.operations:
            self.has_operations = True
            (self._by_glob if "*" in name else self._by_operation).note(name, number)
        for endpoint in statement.endpoints:
            self._by_endpoint.note((endpoint, statement.base_paths), number)

    def steps(self, statements: Sequence[Statement]) -> Steps:
        for leaves in self.leaves:
            yield from leaves.steps(statements)
        for owner, glob in enumerate(self._by_glob.ready):
            self._globs.add(glob, owner)
            if owner % _STRIDE == 0:
                yield
        for owner, (endpoint, base_paths) in enumerate(self._by_endpoint.ready):
            self._endpoints.add(endpoint, base_paths, owner)
            if owner % _STRIDE == 0:
                yield
        self._of_globs = tuple(self._by_glob.ready.values())
        self._of_endpoints = tuple(self._by_endpoint.ready.values())

    def add_by_operation(self, names: Iterable[str], found: list[Bucket]) -> None:
        for name in names:
            bucket = self._by_operation.get(name)
            if bucket is not None:
                found.append(bucket)
            if self._of_globs:
                found.extend(self._of_globs[owner] for owner in self._globs.owners(name))

    def add_by_endpoint(self, context: Context, found: list[Bucket]) -> None:
        if self._of_endpoints:
            owners = self._endpoints.find(context.method, context.path, unknown=self._deny)
            found.extend(self._of_endpoints[owner] for owner in owners)


def merged(buckets: Sequence[Numbers]) -> Iterable[int]:
    """Return the numbers of all buckets, each once, in rising order; what nobody takes is never worked out."""
    if not buckets:
        return ()
    if len(buckets) == 1:
        return buckets[0]
    if sum(map(len, buckets)) <= _SORTED_AT_ONCE:
        return sorted(set().union(*buckets))
    return _each_once(merge(*buckets))


def _each_once(numbers: Iterable[int]) -> Iterator[int]:
    last = -1
    for number in numbers:
        if number != last:
            yield number
            last = number


def _is_network(text: str) -> bool:
    try:
        parse_network(text)
    except ValueError:
        return False
    return True
