"""What conditions on calls mean, said once more as plainly as can be, and held against their translation."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from ipaddress import ip_address, ip_network
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from concord.policy.engine import Context, Request, Subject
from concord.policy.engine.condition import Outcome, compile_condition, facts
from concord.policy.languages.call_conditions import to_cel

_ERROR: Final = object()
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


@dataclass(frozen=True)
class Node:
    """A part of a condition: how it is written, how tightly it binds, and what it means for a request."""

    text: str
    binds: int
    mean: Callable[[Request], Any]

    def within(self, binds: int) -> str:
        """Return the text for a place that needs at least so tight a binding."""
        return self.text if self.binds >= binds else f"({self.text})"


def _leaf(text: str, mean: Callable[[Request], Any]) -> Node:
    return Node(text, 5, mean)


def _known(value: Any) -> Any:
    return value if value not in ("", None) else _ERROR


def _moment(make: Callable[[datetime], Any]) -> Callable[[Request], Any]:
    return lambda request: make(request.context.time) if request.context.time is not None else _ERROR


def _lies_in(network: str) -> Callable[[Request], Any]:
    def mean(request: Request) -> Any:
        if not request.context.ip:
            return _ERROR
        return ip_address(request.context.ip) in ip_network(network, strict=False)

    return mean


def _either(parts: list[Any], decisive: bool) -> Any:
    if any(part is decisive for part in parts):
        return decisive
    return (not decisive) if all(part is (not decisive) for part in parts) else _ERROR


def _join(word: str, binds: int, decisive: bool, nodes: list[Node]) -> Node:
    text = f" {word} ".join(node.within(binds + 1) for node in nodes)
    return Node(text, binds, lambda request: _either([node.mean(request) for node in nodes], decisive))


def _negate(node: Node) -> Node:
    def mean(request: Request) -> Any:
        value = node.mean(request)
        return (not value) if isinstance(value, bool) else _ERROR

    return Node(f"not {node.within(3)}", 3, mean)


def _compare(left: Node, operator: str, right: Node) -> Node:
    def mean(request: Request) -> Any:
        one, other = left.mean(request), right.mean(request)
        if one is _ERROR or type(one) is not type(other):
            return _ERROR
        if isinstance(one, bool) and operator not in ("==", "!="):
            return _ERROR
        return _OPERATORS[operator](one, other)

    return Node(f"{left.within(5)}{operator}{right.within(5)}", 4, mean)


_TEXTS = st.sampled_from(["", "alice", "bob", "GET", "PUT", "/users/alice", "é", "日本", "a\\b", "😀", "\uffff"])
_DAYS = st.dates(date(2026, 11, 20), date(2026, 11, 25))
_TIMES = st.times().map(lambda t: t.replace(microsecond=0))
_NETWORKS = st.sampled_from(["10.0.0.0/8", "10.0.0.77", "10.0.0.1/24", "0.0.0.0/0", "2001:db8::/32"])
_LEAVES = st.one_of(
    st.sampled_from(
        [
            _leaf("true", lambda request: True),
            _leaf("false", lambda request: False),
            _leaf("samUserName", lambda request: request.subject.name),
            _leaf("httpMethod", lambda request: _known(request.context.method)),
            _leaf("path", lambda request: _known(request.context.path)),
            _leaf("currentDate", _moment(lambda now: now.astimezone(UTC).date())),
            _leaf("currentTime", _moment(lambda now: now.astimezone(UTC).time().replace(microsecond=0))),
            _leaf("currentDateTime", _moment(lambda now: now)),
            _leaf("pathVariable('user_name')", lambda request: request.context.path_variables.get("user_name", "")),
        ]
    ),
    _TEXTS.map(lambda text: _leaf(f"'{text}'", lambda request: text)),
    st.integers(-3, 3).map(lambda number: _leaf(str(number), lambda request: float(number))),
    _DAYS.map(lambda d: _leaf(f"date({d.year}, {d.month:02}, {d.day:02})", lambda request: d)),
    _TIMES.map(lambda t: _leaf(f"time({t.hour}, {t.minute}, {t.second})", lambda request: t)),
    st.tuples(_DAYS, _TIMES).map(
        lambda at: _leaf(
            f"datetime({at[0].year},{at[0].month},{at[0].day},{at[1].hour},{at[1].minute:02})",
            lambda request: datetime.combine(at[0], time(at[1].hour, at[1].minute), UTC),
        )
    ),
    _NETWORKS.map(lambda network: _leaf(f"ipAddress('{network}')", _lies_in(network))),
)
_PAIRS = st.tuples(_LEAVES, st.sampled_from(sorted(_OPERATORS)), _LEAVES).map(lambda three: _compare(*three))
_NODES = st.recursive(
    st.one_of(_PAIRS, _LEAVES),
    lambda inner: st.one_of(
        inner.map(_negate),
        st.lists(inner, min_size=2, max_size=3).map(lambda nodes: _join("and", 2, False, nodes)),
        st.lists(inner, min_size=2, max_size=3).map(lambda nodes: _join("or", 1, True, nodes)),
        st.tuples(inner, st.sampled_from(["==", "!="]), inner).map(lambda three: _compare(*three)),
    ),
    max_leaves=8,
)
_REQUESTS = st.builds(
    lambda name, method, path, variables, now, ip: Request(
        "a.b.c",
        subject=Subject(name=name),
        context=Context(method=method, path=path, path_variables=variables, time=now, ip=ip),
    ),
    name=st.sampled_from(["alice", "bob", "日本"]),
    method=st.sampled_from(["", "GET", "PUT"]),
    path=st.sampled_from(["/users/alice", "/users/bob"]),
    variables=st.sampled_from([{}, {"user_name": "alice"}, {"user_name": "😀"}]),
    now=st.none() | st.datetimes(datetime(2026, 11, 20), datetime(2026, 11, 25), timezones=st.just(UTC)),
    ip=st.sampled_from(["", "10.0.0.77", "10.9.9.9", "192.0.2.1", "2001:db8::1"]),
)


@settings(max_examples=400, deadline=None)
@given(_NODES, _REQUESTS)
def test_cel_says_what_the_condition_means(node: Node, request: Request) -> None:
    meant = node.mean(request)
    expected = Outcome.TRUE if meant is True else Outcome.FALSE if meant is False else Outcome.ERROR

    assert compile_condition(to_cel(node.text)).evaluate(facts(request))[0] is expected, node.text
