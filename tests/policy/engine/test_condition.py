"""Conditions: refused for syntax, stored with wrong types, true only when they are true."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from concord.policy.engine import Context, Request, Resource, Subject
from concord.policy.engine.condition import (
    MAX_LENGTH,
    Outcome,
    compile_condition,
    facts,
    syntax_fault,
)
from concord.policy.engine.networks import in_network

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def _outcome(text: str, request: Request | None = None) -> Outcome:
    asked = request or Request("a.b.c", context=Context(ip="192.0.2.5", time=NOON, user_agent="cli/1", mfa=True))
    return compile_condition(text).evaluate(facts(asked))[0]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1 +", "line 1, column 4"),
        ("request.ip ==", "line 1, column 14"),
        ("true &&\n&& false", "line 2, column 1"),
        ("'open", "line 1, column 1"),
    ],
)
def test_broken_syntax_is_refused_with_its_place(text: str, place: str) -> None:
    assert syntax_fault(text).startswith(place)


@pytest.mark.parametrize(
    "text", ["(" * 200 + "1" + ")" * 200, "true" + " " * MAX_LENGTH, "\ud800", "+".join("a" * 200)]
)
def test_text_beyond_the_bounds_is_refused(text: str) -> None:
    assert syntax_fault(text) != ""
    assert _outcome(text) is Outcome.ERROR


@pytest.mark.parametrize("text", ['"a" == 1', "no_such_name", "no_such_function(1)", '"text"', "inIpRange(1)"])
def test_wrong_types_and_unknown_names_are_stored_and_never_true(text: str) -> None:
    assert syntax_fault(text) == ""
    assert _outcome(text) is Outcome.ERROR


@pytest.mark.parametrize(
    "text",
    [
        "resource.id == 'x'",
        "!(resource.id == 'x')",
        "1 / 0 == 1",
        "request.ip",
        "request.user_agent",
        "[true]",
        "null",
        "inIpRange(request.ip, 'no network')",
        "!inIpRange(request.ip, '10.0.0.0/99')",
        "request.time.getHours('No/Where') >= 0",
        "request.user_agent.matches('(')",
        "request.path == '/a'",
    ],
)
def test_an_error_is_neither_true_nor_false(text: str) -> None:
    assert _outcome(text) is Outcome.ERROR


@pytest.mark.parametrize(
    "text",
    [
        "request.mfa",
        "request.time == timestamp('2026-11-21T12:00:00Z')",
        "request.time + duration('1h') > request.time",
        "request.time.getDayOfWeek() == 6",
        "request.user_agent.matches('^cli/[0-9]+$')",
        "!has(resource.id) && !has(request.path)",
        "'192.0.2.5' in ['192.0.2.5']",
        "true || resource.id == 'x'",
    ],
)
def test_what_is_true_is_true(text: str) -> None:
    assert _outcome(text) is Outcome.TRUE


def test_an_agent_is_cut_to_its_length() -> None:
    request = Request("a.b.c", context=Context(user_agent="x" * 300))

    assert _outcome("request.user_agent.size() == 255", request) is Outcome.TRUE


def test_instants_of_other_zones_are_the_same_instants() -> None:
    tokyo = datetime(2026, 11, 21, 21, 0, tzinfo=timezone(timedelta(hours=9)))
    request = Request("a.b.c", context=Context(time=tokyo))

    assert _outcome("request.time.getHours('Europe/Paris') == 13", request) is Outcome.TRUE


def test_a_resource_shows_its_attributes() -> None:
    request = Request("a.b.c", resource=Resource(id="r", attributes={"bearer": "user"}))

    assert _outcome("resource.bearer == 'user' && resource.id == 'r'", request) is Outcome.TRUE


@pytest.mark.parametrize(
    "text",
    [
        "[1,2,3,4,5,6,7,8,9].map(a,[1,2,3,4,5,6,7,8,9].map(b,[1,2,3,4,5,6,7,8,9].map(c,[1,2,3,4,5,6,7,8,9].map(d,"
        "[1,2,3,4,5,6,7,8,9].map(e, a))))).size() > 0",
        f"'{'a' * 1000}'.matches('(a|aa|aaa)*(b|c)*x')",
    ],
)
@pytest.mark.timeout(60)  # of work that must not grow with the hostility of a text
def test_a_hostile_condition_ends_soon_and_is_not_true(text: str) -> None:

    assert _outcome(text) is not Outcome.TRUE


@pytest.mark.parametrize(
    ("address", "network", "expected"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.99/24", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "0.0.0.0/0", True),
        ("11.0.0.1", "10.0.0.0/8", False),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db8::1", "0.0.0.0/0", False),
        ("10.1.2.3", "::/0", False),
    ],
)
def test_addresses_and_networks(address: str, network: str, expected: bool) -> None:
    assert in_network(address, network) is expected


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("", "10.0.0.0/8"),
        ("10.0.0.1", ""),
        ("10.0.0.1", "10.0.0.0/"),
        ("10.0.0.1", "10.0.0.0/33"),
        ("10.1", "10.0.0.0/8"),
        ("10.0.0.1", "10.0.0.0/-1"),
        ("10.0.0.1\0", "10.0.0.0/8"),
        ("10.0.0.1", "10.0.0.0/８"),
    ],
)
def test_what_is_no_address_or_network_is_an_error(address: str, network: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        in_network(address, network)


def _chain(start: str, times: int) -> str:
    return start + ".map(a,a+a+a+a+a+a+a+a)" * times + ".size() > 0"


_MANY = "[" + ",".join(["0"] * 99) + "]"
HOSTILE = {
    "text that doubles": _chain("['x']", 8),
    "lists that double": _chain("[[1, 2, 3]]", 8),
    "loops in loops": f"{_MANY}.all(x, {_MANY}.all(y, inIpRange(request.ip, '10.0.0.0/8')))",
    "patterns in loops": f"{_MANY}.all(x, {_MANY}.all(y, !request.user_agent.matches('(a|b){{1,90}}z')))",
    "loops as deep as can be": "[1].all(a," * 14 + "true" + ")" * 14,
    "a great pattern": "request.user_agent.matches('\\\\pL{400}')",
    "a long repetition": "request.user_agent.matches('(.*a.{1,900})')",
    "a pattern out of facts": "request.user_agent.matches(request.ip)",
    "a pattern put together": "request.user_agent.matches('a' + 'b')",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.timeout(60)  # of work that must not grow with the hostility of a text
def test_what_could_take_long_or_grow_is_refused_and_never_evaluated(text: str) -> None:

    assert syntax_fault(text) != ""
    assert compile_condition(text).program is None
    assert _outcome(text) is Outcome.ERROR


@pytest.mark.parametrize(
    "text",
    [
        "['10.0.0.0/8', '192.0.2.0/24'].exists(n, inIpRange(request.ip, n))",
        "request.user_agent.matches('^cli/[0-9]{1,3}([.][0-9]{1,3}){0,2}$')",
        "[1, 2, 3].map(x, [x, x]).filter(y, y[0] > 1).size() == 2",
        "request.attributes.all(name, request.attributes[name] != 'x')",
        "'cli' + '/' + '1' == request.user_agent",
        "{'a': ['b']}['a'].exists(x, x == 'b')",
        "['a', 'b'].map(x, ['c', 'd'].map(y, x + y)).size() == 2",
    ],
)
def test_what_people_write_is_far_from_the_bounds(text: str) -> None:
    assert syntax_fault(text) == ""
    assert _outcome(text) is Outcome.TRUE


def test_the_subject_and_the_variables_of_the_path_can_be_looked_at() -> None:
    request = Request("a.b.c", Subject("user", "u1", "alice"), context=Context(path_variables={"user_name": "alice"}))

    assert _outcome("request.path_variables.user_name == subject.name", request) is Outcome.TRUE
    assert _outcome("subject.kind == 'user' && subject.id == 'u1'", request) is Outcome.TRUE
    assert _outcome("request.path_variables.sim_id == 'x'", request) is Outcome.ERROR
    assert _outcome("subject.name == 'x'", Request("a.b.c")) is Outcome.ERROR
