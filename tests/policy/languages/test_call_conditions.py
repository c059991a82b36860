"""Conditions on calls: read or refused with a place, and in CEL what a plain reading of them says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from concord.policy.engine import Context, Request, Subject
from concord.policy.engine.condition import Outcome, compile_condition, facts
from concord.policy.languages.call_conditions import (
    MAX_DEPTH,
    MAX_LENGTH,
    condition_fault,
    quote,
    to_cel,
)
from concord.policy.languages.call_tokens import ConditionFault

NOON: Final = datetime(2026, 11, 22, 12, 30, 15, 500000, tzinfo=UTC)


def _request(**changes: Any) -> Request:
    context = {
        "ip": "10.0.0.77",
        "time": NOON,
        "method": "PUT",
        "path": "/users/alice",
        "path_variables": {"user_name": "alice"},
    }
    return Request("a.b.c", subject=Subject(name="alice"), context=Context(**{**context, **changes}))


def _outcome(text: str, request: Request | None = None, zone: str = "UTC") -> Outcome:
    return compile_condition(to_cel(text, zone)).evaluate(facts(request or _request()))[0]


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "not false",
        "not not true",
        "not not not false",
        "currentDate == date(2026, 11, 22)",
        "currentDate > date(2023, 02, 01)",
        "date(2026, 11, 23) > currentDate",
        "currentTime >= time(12, 30) and currentTime < time(12, 31)",
        "currentTime == time(12, 30, 15)",
        "currentDateTime >= datetime(2026, 11, 22, 12, 30, 15)",
        "currentDateTime < datetime(2026, 11, 22, 12, 30, 16)",
        "ipAddress('10.0.0.0/24')",
        'ipAddress("10.0.0.9/24")',
        "ipAddress('10.0.0.77')",
        "ipAddress('0.0.0.0/0')",
        "not ipAddress('2001:db8::/32')",
        "pathVariable('user_name') == samUserName",
        "pathVariable('sim_id') == ''",
        "httpMethod == 'PUT' and path == '/users/alice'",
        "'a' < 'b' and 'b' > 'a' and 'a' <= 'a'",
        "1 < 2.5 and -1 < 0 and 007 == 7",
        "false and false or true",
        "true or false and false",
        "not false and true",
        "not 'a' == 'b'",
        "true == true and false != true",
        "true or samUserName == 1",
        "samUserName == 1 or true",
        " \t\r\n( true )\n",
        "'and' != 'or'",
        r"'\' != '\n'",
    ],
)
def test_what_is_true_is_true(text: str) -> None:
    assert _outcome(text) is Outcome.TRUE


@pytest.mark.parametrize(
    "text",
    [
        "false",
        "currentDate == date(2026, 11, 21)",
        "ipAddress('10.0.1.0/24')",
        "samUserName == 'Alice'",
        "pathVariable('user_name') == ''",
        "(true or true) and false",
        "not (false and false or true)",
        "false and samUserName == 1",
        "samUserName == 1 and false",
    ],
)
def test_what_is_false_is_false(text: str) -> None:
    assert _outcome(text) is Outcome.FALSE


@pytest.mark.parametrize(
    "text",
    [
        "samUserName",
        "1",
        "currentDate",
        "samUserName == 1",
        "not samUserName == 1",
        "samUserName and true",
        "not samUserName",
        "currentDate == currentDateTime",
        "currentDate > time(1, 2)",
        "true < false",
        "(1 == 1) == 'a'",
        "true and (1 == 'a')",
    ],
)
def test_what_compares_unlike_things_is_kept_and_an_error(text: str) -> None:
    assert condition_fault(text) == ""
    assert _outcome(text) is Outcome.ERROR


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("ipAddress('10.0.0.0/8')", {"ip": ""}),
        ("not ipAddress('10.0.0.0/8')", {"ip": "somewhere"}),
        ("currentDate >= date(2020, 1, 1)", {"time": None}),
        ("currentTime >= time(0, 0)", {"time": None}),
        ("currentDateTime >= datetime(2020, 1, 1, 0, 0)", {"time": None}),
        ("httpMethod == ''", {"method": ""}),
        ("path == ''", {"path": ""}),
        ("pathVariable('user_name') == ''", {"path": "", "path_variables": {}}),
    ],
)
def test_what_is_not_known_is_an_error(text: str, unknown: dict[str, Any]) -> None:
    assert _outcome(text, _request(**unknown)) is Outcome.ERROR


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1, column 1: says nothing"),
        ("  ", "line 1, column 3: says nothing"),
        ("true and", "line 1, column 9: ends too early"),
        ("true true", "line 1, column 6: `true` does not belong here"),
        ("true\n  or or", "line 2, column 6: `or` stands where"),
        ("(true", "line 1, column 6: `)` is expected, not the end"),
        ("true)", "line 1, column 5: `)` does not belong"),
        ("1 == 1 == 1", "line 1, column 8: `==` does not belong"),
        ("1 = 1", "line 1, column 3: `=` does not belong"),
        ("true && true", "line 1, column 6: `&` does not belong"),
        ("TRUE", "line 1, column 1: there is no `TRUE`"),
        ("currentdate", "line 1, column 1: there is no `currentdate`"),
        ("request.ip == ''", "line 1, column 8: `.` does not belong"),
        ("currentDate()", "line 1, column 1: there is no function `currentDate`"),
        ("'open", "line 1, column 1: a text is not closed"),
        ("date(2023, 2)", "line 1, column 1: `date` takes 3 numbers"),
        ("date('2023', '2', '1')", "line 1, column 1: `date` takes 3 numbers"),
        ("date(2023, 2, 30)", "line 1, column 1: there is no such date: 2023, 2, 30"),
        ("date(0000, 1, 1)", "line 1, column 1: there is no such date"),
        ("date(2023, 1.5, 1)", "line 1, column 12: must be a whole number"),
        ("date(-1, 1, 1)", "line 1, column 6: must be a whole number"),
        ("date(2023 2 1)", "line 1, column 11: `,` is expected"),
        ("date(2023, 2, 1,)", "line 1, column 17: must be a text in quotes or a number"),
        ("date(currentDate)", "line 1, column 6: must be a text in quotes or a number"),
        ("date(", "line 1, column 6: ends too early"),
        ("time(24, 0)", "line 1, column 1: there is no such time"),
        ("time(1)", "line 1, column 1: `time` takes 2 to 3 numbers"),
        ("datetime(2023, 1, 1)", "line 1, column 1: `datetime` takes 5 to 6 numbers"),
        ("ipAddress()", "line 1, column 1: `ipAddress` takes 1 text"),
        ("ipAddress('10.0.0.0/33')", "line 1, column 11: must be an address"),
        ("ipAddress('localhost')", "line 1, column 11: must be an address"),
        ("ipAddress('')", "line 1, column 11: must be an address"),
        ("ipAddress('10.0.0.0/８')", "line 1, column 11: must be an address"),
        ("pathVariable('a', 'b')", "line 1, column 1: `pathVariable` takes 1 text"),
        ("1234567890123456 == 1", "line 1, column 1: a number has at most 15 digits"),
        ("１ == 1", "line 1, column 1: the character U+FF11"),
        ("true\u00a0and true", "line 1, column 5: the character U+00A0"),
        ("\u0430nd", "line 1, column 1: the character U+0430"),
        ("samUserName == 'a\u202eb'", "line 1, column 16: holds the invisible character U+202E"),
        ("samUserName == 'a\ud800'", "line 1, column 16: holds the invisible character U+D800"),
        ("samUserName == 'a\n'", "line 1, column 16: holds the invisible character U+000A"),
        ("true\x00", "line 1, column 5: the character U+0000"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, place: str) -> None:
    assert condition_fault(text).startswith(place)


def test_brackets_go_as_deep_as_they_may_and_no_deeper() -> None:
    deepest = MAX_DEPTH - 2

    assert _outcome("not (" * deepest + "not (1 == 2)" + ")" * deepest) is not Outcome.ERROR
    assert "nested deeper" in condition_fault("(" * MAX_DEPTH + "true" + ")" * MAX_DEPTH)
    assert "nested deeper" in condition_fault("(" * (MAX_LENGTH - 1))


def test_long_text_is_refused_and_many_words_are_not_many_levels() -> None:
    assert condition_fault("true or " * (MAX_LENGTH // 8) + "true") == f"must have at most {MAX_LENGTH} characters"
    assert _outcome("not " * 400 + "true") is Outcome.TRUE
    assert _outcome("true and " * 200 + "true") is Outcome.TRUE


def test_text_that_grows_too_long_in_translation_is_refused() -> None:
    assert condition_fault("1==1 and " * 150 + "currentDate==currentDate and " * 20 + "true") == (
        "says too much for one condition"
    )


def test_days_and_times_of_day_are_counted_in_the_zone_that_is_set() -> None:
    evening = _request(time=datetime(2026, 11, 22, 20, 15, tzinfo=UTC))

    for zone, day, hour in (("UTC", 22, 20), ("Asia/Tokyo", 23, 5), ("America/New_York", 22, 15)):
        assert _outcome(f"currentDate == date(2026, 11, {day})", evening, zone) is Outcome.TRUE
        assert _outcome(f"currentTime == time({hour}, 15)", evening, zone) is Outcome.TRUE
        assert _outcome(f"currentDateTime == datetime(2026, 11, {day}, {hour}, 15)", evening, zone) is Outcome.TRUE


def test_an_instant_that_no_calendar_holds_is_refused() -> None:
    with pytest.raises(ConditionFault, match="there is no such datetime"):
        to_cel("currentDateTime > datetime(0001, 1, 1, 0, 0)", "Asia/Tokyo")


def test_an_hour_that_a_clock_change_skips_is_still_an_instant() -> None:
    said = to_cel("currentDateTime >= datetime(2026, 3, 29, 2, 30)", "Europe/Paris")

    assert said == '(request.time >= timestamp("2026-03-29T01:30:00Z"))'


@pytest.mark.parametrize(
    "name",
    ["a/b", "a:b", "#", "a@b", "*", "%00", "a*", "\u05d0\u05d1", "é", "e\u0301", "ß", "ss", "a ", "\\", '"', "n" * 256],
)
def test_kb38_kb09_names_are_compared_whole_and_byte_by_byte(name: str) -> None:
    text = f"samUserName == '{name}' and pathVariable('user_name') == samUserName"
    others = ["a", "A", "é", "e\u0301", "ß", "ss", "a ", "aa", "n" * 255, ""]

    own = replace(_request(path_variables={"user_name": name}), subject=Subject(name=name))
    assert _outcome(text, own) is Outcome.TRUE
    for other in others:
        request = replace(_request(path_variables={"user_name": other}), subject=Subject(name=other or "x"))
        assert (_outcome(text, request) is Outcome.TRUE) is (other == name)


def test_hours_of_a_zone_are_counted_on_timestamps_in_plain_cel() -> None:
    summer = _request(time=datetime(2026, 7, 20, 6, 0, tzinfo=timezone(timedelta(hours=-1))))

    outcome, error = compile_condition("request.time.getHours('Europe/Paris') == 9").evaluate(facts(summer))

    assert (outcome, error) == (Outcome.TRUE, "")


_WORDS = [
    *("true", "false", "and", "or", "not", "currentDate", "samUserName", "date(2023,1,1)", "ipAddress('::/0')"),
    *("(", ")", "==", "<", "'x'", '"y"', "1", "-2.5", ",", " ", "date", "time(1,2)", "\n", "\u200b", "\\", "&"),
]


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(st.sampled_from(_WORDS), max_size=30).map("".join)))
@example("\ud800")
@example("'" * 2048)
def test_any_text_is_refused_or_becomes_cel_that_compiles(text: str) -> None:
    fault = condition_fault(text)

    assert fault or compile_condition(to_cel(text)).fault == ""
    assert fault.isprintable()


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_a_quoted_text_is_that_text_and_nothing_more(text: str) -> None:
    said = f"subject.name == {quote(text)}"

    outcome = compile_condition(said).evaluate({"subject": {"name": text}, "request": {}, "resource": {}})

    assert outcome == (Outcome.TRUE, "")
