"""Turns bodies, queries and path segments into typed records, and says everything that is wrong at once.

Records are msgspec Structs. What a type cannot say (lengths, patterns) hangs on it as a `Rule`, which
the published document and the check both read, so that neither can drift from the other.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from concord.kernel.errors import Invalid, Violation

MAX_QUERY_FIELDS = 2000
# As widely as clients spell them: some write their language's own words.
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
# RFC 3339; the year is four digits and the offset is not optional.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)")
_PLACE = re.compile(r" - at `\$?\.?(.*)`$")
# Callers know JSON's kinds, not this language's.
_KINDS_OF_JSON = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_KIND = re.compile(r"`(str|int|float|bool)\b")
_MISSING = re.compile(r"missing required field `(\w+)`")


@dataclass(frozen=True, slots=True)
class Rule:
    """One check of a value and the way a document states it. The check returns (rule word, help) or None."""

    check: Callable[[Any], tuple[str, str] | None]
    schema: dict[str, Any]
    # What each member of a list must keep.
    item: "Rule | None" = None

    def meta(self) -> msgspec.Meta:
        """Return the annotation that carries this rule."""
        return msgspec.Meta(extra_json_schema=self.schema, extra={"rule": self})

    def violation(self, value: Any, name: str, *, indexed: bool) -> Violation | None:
        """Return the first thing that is wrong; a list's member is named by its index where that has a meaning."""
        for index, member in enumerate(value) if self.item is not None else ():
            if (wrong := self.item.check(member)) is not None:  # type: ignore[union-attr]
                return Violation(f"{name}.{index}" if indexed else name, wrong[1], rule=wrong[0])
        found = self.check(value)
        return None if found is None else Violation(name, found[1], rule=found[0])


@dataclass(frozen=True, slots=True)
class Text:
    """The shape of a path segment."""

    rule: Rule | None = None
    description: str = ""


def is_uuid(text: str) -> bool:
    """Tell whether the text spells a UUID with hyphens, in either case."""
    return _UUID.fullmatch(text) is not None


def parse_time(text: str) -> datetime | None:
    """Read an RFC 3339 instant into UTC; more than six fraction digits are cut, a second 60 is not known."""
    if _TIME.fullmatch(text) is None:
        return None
    cut = re.sub(r"(\.\d{6})\d+", r"\1", text.upper().replace(" ", "T"))
    try:
        return datetime.fromisoformat(cut).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _check_uuid(value: Any) -> tuple[str, str] | None:
    return None if is_uuid(value) else ("uuid", "value must be a valid UUID")


def _check_time(value: Any) -> tuple[str, str] | None:
    return None if parse_time(value) else ("time", "value must be a valid RFC 3339 date-time")


UUID_RULE = Rule(_check_uuid, {"format": "uuid"})
TIME_RULE = Rule(_check_time, {"format": "date-time"})


def text_rule(*, at_most: int, at_least: int = 0, pattern: str = "", help_message: str = "") -> Rule:
    """Make a rule for a text's length and form. The pattern is anchored on both sides."""
    compiled = re.compile(f"(?:{pattern})") if pattern else None

    def check(value: Any) -> tuple[str, str] | None:
        if not at_least <= len(value) <= at_most:
            return "length", f"length must be between {at_least} and {at_most} characters"
        if "\x00" in value:
            return "pattern", "must not contain the character U+0000"
        if compiled is not None and compiled.fullmatch(value) is None:
            return "pattern", help_message or f"must match {pattern}"
        return None

    schema: dict[str, Any] = {"maxLength": at_most}
    if at_least:
        schema["minLength"] = at_least
    if pattern:
        schema["pattern"] = f"^{pattern}$"
    return Rule(check, schema)


def list_rule(*, at_most: int, at_least: int = 0, item: Rule | None = None, unique: bool = False) -> Rule:
    """Make a rule for a list's length and its members. Documents state the members' rule on their own type."""

    def check(value: Any) -> tuple[str, str] | None:
        if not at_least <= len(value) <= at_most:
            return "length", f"must have between {at_least} and {at_most} items"
        if unique and len(set(value)) != len(value):
            return "unique", "items must not repeat"
        return None

    schema: dict[str, Any] = {"maxItems": at_most}
    if unique:
        schema["uniqueItems"] = True
    if at_least:
        schema["minItems"] = at_least
    return Rule(check, schema, item)


def number_rule(*, at_least: int, at_most: int) -> Rule:
    """Make a rule for a number's range."""

    def check(value: Any) -> tuple[str, str] | None:
        if at_least <= value <= at_most:
            return None
        return "range", f"must be between {at_least} and {at_most}"

    return Rule(check, {"minimum": at_least, "maximum": at_most})


def _core(kind: inspect.Type) -> tuple[inspect.Type, Rule | None]:
    """Look through annotations and `| None` for the type that matters and its rule."""
    rule = None
    while True:
        if isinstance(kind, inspect.Metadata):
            rule = (kind.extra or {}).get("rule", rule)
            kind = kind.type
        elif isinstance(kind, inspect.UnionType):
            rest = [t for t in kind.types if not isinstance(t, inspect.NoneType)]
            if len(rest) != 1:
                raise TypeError("a record's field has one type besides None")
            kind = rest[0]
        else:
            return kind, rule


class Body:
    """Reads a JSON body into a record. Unknown members are ignored, null is what absent is."""

    def __init__(self, shape: type[msgspec.Struct]) -> None:
        self.shape = shape
        self._decoder = msgspec.json.Decoder(shape)
        self._rules = _compile(inspect.type_info(shape))

    def parse(self, body: bytes) -> Any:
        """Return the record, or raise Invalid with every violation that can be told."""
        try:
            record = self._decoder.decode(body or b"{}")
        except msgspec.ValidationError as error:
            raise Invalid(_violation(str(error))) from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise Invalid(Violation("body", "must be a valid JSON object", rule="json")) from None
        violations = list(_check(record, self._rules, ""))
        if violations:
            raise Invalid(*violations)
        return record


@dataclass(frozen=True, slots=True)
class _FieldRules:
    name: str
    wire_name: str
    rule: Rule | None
    inner: "tuple[_FieldRules, ...]"
    many: bool


def _compile(kind: inspect.Type) -> tuple[_FieldRules, ...]:
    if not isinstance(kind, inspect.StructType):
        return ()
    compiled = []
    for entry in kind.fields:
        core, rule = _core(entry.type)
        many = isinstance(core, inspect.ListType)
        element = _core(core.item_type)[0] if isinstance(core, inspect.ListType) else core
        inner = _compile(element)
        if rule or inner:
            compiled.append(_FieldRules(entry.name, entry.encode_name, rule, inner, many))
    return tuple(compiled)


def _check(record: Any, rules: tuple[_FieldRules, ...], place: str) -> Iterator[Violation]:
    for entry in rules:
        value = getattr(record, entry.name)
        if value is None or value is msgspec.UNSET:
            continue
        name = f"{place}{entry.wire_name}"
        if entry.rule is not None and (wrong := entry.rule.violation(value, name, indexed=True)) is not None:
            yield wrong
        if not entry.inner:
            continue
        if not entry.many:
            yield from _check(value, entry.inner, f"{name}.")
            continue
        for index, member in enumerate(value):
            yield from _check(member, entry.inner, f"{name}.{index}.")


def _violation(text: str) -> Violation:
    place = _PLACE.search(text)
    path = re.sub(r"\[(\d+)\]", r".\1", place.group(1)) if place else ""
    if missing := _MISSING.search(text):
        name = missing.group(1)
        return Violation(f"{path}.{name}" if path else name, "value is required", rule="required")
    problem = _PLACE.sub("", text)
    if "`null`" in problem and "Expected `object" not in problem:
        return Violation(path or "body", "value is required", rule="required")
    plain = _KIND.sub(lambda found: f"`{_KINDS_OF_JSON[found[1]]}", problem.replace(" | null`", "`"))
    return Violation(path or "body", plain[:1].lower() + plain[1:], rule="type")


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    convert: Callable[[str], Any]
    rule: Rule | None
    many: bool
    required: bool
    may_be_empty: bool


class _Malformed(Exception):
    """A query value does not spell what its parameter wants."""


class Query:
    """Reads a query string into a record. Arrays repeat their name; unknown names and empty texts count as absent."""

    def __init__(self, shape: type[msgspec.Struct]) -> None:
        self.shape = shape
        info = inspect.type_info(shape)
        assert isinstance(info, inspect.StructType)
        self._parameters = {entry.encode_name: _parameter(entry) for entry in info.fields}
        self._plain = not any(p.required for p in self._parameters.values())

    def parse(self, query: str) -> Any:
        """Return the record, or raise Invalid with every violation."""
        if not query and self._plain:
            return self.shape()
        values: dict[str, Any] = {}
        violations: list[Violation] = []
        for name, text in _pairs(query):
            parameter = self._parameters.get(name)
            if parameter is None or (text == "" and parameter.may_be_empty):
                continue
            try:
                value = parameter.convert(text)
            except _Malformed as error:
                violations.append(Violation(name, str(error), rule="format"))
                continue
            if parameter.many:
                values.setdefault(name, []).append(value)
            else:
                values[name] = value
        for name, parameter in self._parameters.items():
            if name not in values:
                if parameter.required:
                    violations.append(Violation(name, "value is required", rule="required"))
            elif parameter.rule is not None and (wrong := parameter.rule.violation(values[name], name, indexed=False)):
                violations.append(wrong)
        if violations:
            raise Invalid(*violations)
        return self.shape(**values)


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise Invalid(Violation("query", "must be UTF-8 text", rule="format")) from None
    except ValueError:
        raise Invalid(Violation("query", "has too many parameters", rule="length")) from None


def _parameter(entry: inspect.Field) -> _Parameter:
    core, rule = _core(entry.type)
    many = isinstance(core, inspect.ListType)
    element = _core(core.item_type)[0] if isinstance(core, inspect.ListType) else core
    # An empty text is no filter; an empty id, number or choice is a malformed one.
    empty: Any = [""] if many else ""
    may_be_empty = isinstance(element, inspect.StrType) and (
        rule is None or rule.violation(empty, "", indexed=False) is None
    )
    return _Parameter(entry.encode_name, _converter(element), rule, many, entry.required, may_be_empty)


def _converter(kind: inspect.Type) -> Callable[[str], Any]:
    if isinstance(kind, inspect.BoolType):
        return _to_bool
    if isinstance(kind, inspect.IntType):
        return _to_int
    if isinstance(kind, inspect.LiteralType):
        return _to_choice(frozenset(str(v) for v in kind.values))
    if isinstance(kind, inspect.StrType):
        return _to_text
    raise TypeError(f"a query parameter cannot be {kind!r}")


def _to_text(text: str) -> str:
    if "\x00" in text:
        raise _Malformed("must not contain the character U+0000")
    return text


def _to_bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise _Malformed("value must be a boolean")


def _to_int(text: str) -> int:
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        raise _Malformed("value must be an integer")
    return int(text)


def _to_choice(choices: frozenset[str]) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in choices:
            raise _Malformed("value must be one of " + ", ".join(sorted(choices)))
        return text

    return convert
