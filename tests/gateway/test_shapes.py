"""Bodies and queries become records, or say everything that is wrong."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.gateway.shapes import TIME_RULE, UUID_RULE, Body, Query, list_rule, number_rule, parse_time, text_rule
from concord.kernel.errors import Invalid


class Inner(msgspec.Struct, frozen=True):
    code: Annotated[str, text_rule(at_most=3).meta()]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, text_rule(at_least=1, at_most=5, pattern="[a-z]+").meta()]
    id: Annotated[str, UUID_RULE.meta()] | None = None
    tags: (
        Annotated[list[str], list_rule(at_most=2, item=text_rule(at_most=3, at_least=1), unique=True).meta()] | None
    ) = None
    inner: Inner | None = None
    many: list[Inner] | None = None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    needed: Annotated[str, UUID_RULE.meta()]
    size: Annotated[int, number_rule(at_least=1, at_most=100).meta()] | None = None
    flag: bool | None = None
    kind: Literal["a", "b"] = "a"
    ids: Annotated[list[str], list_rule(at_most=3, item=UUID_RULE).meta()] | None = None
    since: Annotated[str, TIME_RULE.meta()] | None = None
    text: str | None = None


ID = "00000000-0000-4000-8000-00000000000A"


def wrong(parse: object, content: object) -> set[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        parse.parse(content)  # type: ignore[attr-defined]
    return {(violation.field, violation.rule) for violation in caught.value.violations}


def test_unknown_members_are_ignored_and_null_is_absent() -> None:
    assert Body(Shape).parse(b'{"name":"x","nonsense":[{}],"tags":null}') == Shape(name="x")


def test_every_broken_rule_is_told_with_its_place() -> None:
    body = (
        b'{"name":"TOO LONG","id":"x","tags":["a","a"],"inner":{"code":"long"},"many":[{"code":"ok"},{"code":"long"}]}'
    )

    assert wrong(Body(Shape), body) == {
        ("name", "length"),
        ("id", "uuid"),
        ("tags", "unique"),
        ("inner.code", "length"),
        ("many.1.code", "length"),
    }


def test_a_member_of_a_list_is_named_by_its_index() -> None:
    body = b'{"name":"x","tags":["a",""]}'

    assert wrong(Body(Shape), body) == {("tags.1", "length")}
    assert wrong(Body(Shape), body.replace(b'""', b"null")) == {("tags.1", "required")}
    assert wrong(Query(Filter), f"needed={ID}&ids={ID}&ids=x") == {("ids", "uuid")}


def test_wrong_kinds_are_told_in_the_words_of_json() -> None:
    with pytest.raises(Invalid) as caught:
        Body(Shape).parse(b'{"name":"x","id":5}')

    assert caught.value.violations[0].description == "expected `string`, got `integer`"


@pytest.mark.parametrize(("text", "value"), [("True", True), ("true", True), ("1", True), ("False", False)])
def test_booleans_are_spelt_as_clients_do(text: str, value: bool) -> None:
    assert Query(Filter).parse(f"needed={ID}&flag={text}").flag is value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ("name", "required")),
        (b"{}", ("name", "required")),
        (b'{"name":null}', ("name", "required")),
        (b'{"name":5}', ("name", "type")),
        (b'{"name":"x","many":[{}]}', ("many.0.code", "required")),
        (b'{"name":"x","inner":{"code":7}}', ("inner.code", "type")),
        (b"[]", ("body", "type")),
        (b"null", ("body", "type")),
        (b"{", ("body", "json")),
        (b"\xff", ("body", "json")),
        (b'{"name":"x"} trailing', ("body", "json")),
        (b'{"name":"\\ud800"}', ("body", "json")),
        (b"[" * 100_000, ("body", "json")),
    ],
)
def test_a_body_of_another_shape_names_the_member(body: bytes, expected: tuple[str, str]) -> None:
    found = wrong(Body(Shape), body)

    assert found in ({expected}, {("body", "type")} if expected[0] == "body" else {expected})


@given(st.binary(max_size=200))
def test_no_bytes_break_the_body_parser(content: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(Body(Shape).parse(content), Shape)


@given(st.text(max_size=200))
def test_no_text_breaks_the_query_parser(content: str) -> None:
    with suppress(Invalid):
        assert isinstance(Query(Filter).parse(content), Filter)


def test_a_query_repeats_names_for_arrays_and_ignores_what_it_does_not_know() -> None:
    parsed = Query(Filter).parse(f"needed={ID}&ids={ID}&ids={ID}&flag=true&size=5&kind=b&other=1&text=")

    assert parsed == Filter(needed=ID, ids=[ID, ID], flag=True, size=5, kind="b")


def test_a_query_tells_everything_that_is_wrong() -> None:
    found = wrong(Query(Filter), "size=0&flag=perhaps&kind=c&ids=x&since=yesterday")

    assert found == {
        ("needed", "required"),
        ("size", "range"),
        ("flag", "format"),
        ("kind", "format"),
        ("ids", "uuid"),
        ("since", "time"),
    }


@pytest.mark.parametrize("name", ["size", "flag", "kind", "ids", "since", "needed"])
def test_only_a_plain_text_may_be_empty(name: str) -> None:
    assert name in {field for field, _ in wrong(Query(Filter), f"needed={ID}&{name}=")}


@pytest.mark.parametrize("number", ["1e3", "٣", "+5", " 5", "1_0", "9" * 30, "5.0", "0x5"])
def test_numbers_are_plain_digits(number: str) -> None:
    assert ("size", "format") in wrong(Query(Filter), f"needed={ID}&size={number.replace('+', '%2B')}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T05:04:05.123456789+02:00", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02t03:04:05.5z", datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=UTC)),
        ("2026-13-02T03:04:05Z", None),
        ("2026-01-02T03:04:05", None),
        ("2026-01-02", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("", None),
    ],
)
def test_instants_are_rfc_3339(text: str, expected: datetime | None) -> None:
    assert parse_time(text) == expected
