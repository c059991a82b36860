"""Seventh step: is the request well formed? Compiled once for each message type, from descriptors and field behaviour.

Shapes that hold everywhere stand here. What a field means is checked where wire values become domain types.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from google.api import field_behavior_pb2  # type: ignore[import-untyped, unused-ignore]  # ships no types
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from concord.common.v1 import options_pb2
from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.chain import Context, Proceed
from concord.kernel.rpc.options import FOREIGN_PUBLIC_SERVICES, MethodRules, has_update_mask

MAXIMUM_TEXT: Final = 64 * 1024
MAXIMUM_ITEMS: Final = 1000
MAXIMUM_PAGE: Final = 1000
MAXIMUM_SKIP: Final = 100_000
_MAXIMUM_VIOLATIONS: Final = 50

Report = Callable[[str, str, str], None]
Check = Callable[[Any, str, Report], None]


class Validation:
    """Refuses malformed requests, naming every field that is wrong."""

    def bind(self, rules: MethodRules, proceed: Proceed) -> Proceed:
        if rules.service in FOREIGN_PUBLIC_SERVICES:
            return proceed
        check = compiled(rules.request_type.DESCRIPTOR)
        if rules.request_streaming:

            async def validated_stream(call: Call, requests: Any, context: Context) -> Any:
                return await proceed(call, _validated(requests, check), context)

            return validated_stream

        async def validated(call: Call, request: Any, context: Context) -> Any:
            require_valid(request, check)
            return await proceed(call, request, context)

        return validated


async def _validated(requests: AsyncIterator[Any], check: "MessageCheck") -> AsyncIterator[Any]:
    async for request in requests:
        require_valid(request, check)
        yield request


def require_valid(request: Any, check: "MessageCheck") -> None:
    """Raise Invalid with all violations of a request, if it has any."""
    violations, report = _collecting()
    check.request(request, report)
    if violations:
        raise Invalid(*violations)


def require_valid_part(message: Any, check: "MessageCheck", field: str) -> None:
    """Raise Invalid with all violations of a message that stands at a field of a request.

    For what this step leaves to whoever reads it: entries of lists that take more of them than others.
    """
    violations, report = _collecting()
    check.message(message, f"{field}.", report)
    if violations:
        raise Invalid(*violations)


def _collecting() -> tuple[list[Violation], Report]:
    violations: list[Violation] = []

    def report(path: str, description: str, rule: str) -> None:
        if len(violations) < _MAXIMUM_VIOLATIONS:
            violations.append(Violation(path, description, rule))

    return violations, report


@dataclass(slots=True)
class MessageCheck:
    """What must hold for messages of one type."""

    required: list[tuple[str, Callable[[Any], bool]]] = field(default_factory=list)
    by_number: dict[int, tuple[str, Check]] = field(default_factory=dict)
    shape: Callable[[Any, str, Report], None] | None = None
    mask: "MaskCheck | None" = None

    def request(self, message: Any, report: Report) -> None:
        """Check a message that is a whole request."""
        mask = self.mask
        if mask is None:
            self.message(message, "", report)
            return
        mask.check(message, report)
        # What an update does not touch need not be there: only masked fields are required.
        named = set(message.update_mask.paths)
        self.message(message, "", report, mask.resource, named)

    def message(
        self, message: Any, prefix: str, report: Report, partial: str = "", named: set[str] | None = None
    ) -> None:
        """Check a message at a place; `partial` is the field of it that is checked only as far as it is named."""
        for name, is_missing in self.required:
            if is_missing(message) and (named is None or not prefix or name in named):
                report(prefix + name, "is required", "required")
        if self.shape is not None:
            self.shape(message, prefix, report)
        for descriptor, value in message.ListFields():
            known = self.by_number.get(descriptor.number)
            if known is None:
                continue
            name, check = known
            if named is not None and name == partial:
                nested = compiled(descriptor.message_type)
                nested.message(value, f"{name}.", report, "", named)
            else:
                check(value, prefix + name, report)


@dataclass(frozen=True, slots=True)
class MaskCheck:
    """What an update mask may name."""

    resource: str
    descriptor: Descriptor
    known: dict[str, frozenset[int]] = field(default_factory=dict)

    def check(self, request: Any, report: Report) -> None:
        for path in request.update_mask.paths[:MAXIMUM_ITEMS]:
            behaviour = self.known.get(path)
            if behaviour is None:
                behaviour = self._behaviour(path)
                # Only fields that exist are remembered, and of a type that holds itself not all of its depths.
                if behaviour is not None and len(self.known) < MAXIMUM_ITEMS:
                    self.known[path] = behaviour
            if behaviour is None:
                report("update_mask", f"`{path[:100]}` is no field of {self.resource}", "unknown")
            elif behaviour & _FIXED:
                report("update_mask", f"`{path}` cannot be changed", "immutable")

    def _behaviour(self, path: str) -> frozenset[int] | None:
        holder: Descriptor | None = self.descriptor
        behaviour: frozenset[int] = frozenset()
        for name in path.split("."):
            found = None if holder is None else holder.fields_by_name.get(name)
            if found is None:
                return None
            behaviour |= _behaviours(found)
            holder = None if found.is_repeated else found.message_type
        return behaviour


_FIXED: Final = frozenset({field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IMMUTABLE, field_behavior_pb2.IDENTIFIER})
_compiled: dict[str, MessageCheck] = {}


def compiled(descriptor: Any) -> MessageCheck:
    """Return the checks of a message type."""
    known = _compiled.get(descriptor.full_name)
    if known is not None:
        return known
    # Entered before it is filled: messages may hold their own type.
    check = _compiled[descriptor.full_name] = MessageCheck(shape=_SHAPES.get(descriptor.full_name))
    for field_descriptor in descriptor.fields:
        name = field_descriptor.name
        if field_behavior_pb2.REQUIRED in _behaviours(field_descriptor):
            missing = _missing(field_descriptor)
            if missing is not None:
                check.required.append((name, missing))
        value_check = _field_check(field_descriptor)
        if value_check is not None:
            check.by_number[field_descriptor.number] = (name, value_check)
    if has_update_mask(descriptor):
        check.mask = _mask_check(descriptor)
    return check


def _behaviours(field_descriptor: FieldDescriptor) -> frozenset[int]:
    options: Any = field_descriptor.GetOptions()
    return frozenset(options.Extensions[field_behavior_pb2.field_behavior])


def _mask_check(descriptor: Descriptor) -> MaskCheck | None:
    for candidate in descriptor.fields:
        resource = candidate.message_type
        if resource is None or candidate.is_repeated or resource.full_name == "concord.common.v1.PrincipalRef":
            continue
        if not resource.full_name.startswith("google."):
            return MaskCheck(candidate.name, resource)
    return None


def _missing(field_descriptor: FieldDescriptor) -> Callable[[Any], bool] | None:
    name = field_descriptor.name
    if field_descriptor.is_repeated:
        return lambda message: not getattr(message, name)
    if field_descriptor.has_presence:
        return lambda message: not message.HasField(name)
    if field_descriptor.enum_type is not None or field_descriptor.type in (
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_BYTES,
    ):
        return lambda message: not getattr(message, name)
    # 0 and false are values like any other, and cannot be told from absence.
    return None


def _field_check(descriptor: FieldDescriptor) -> Check | None:
    one = _named_check(descriptor) or _value_check(descriptor)
    if not descriptor.is_repeated:
        return one
    if descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
        return _map_check(descriptor.message_type)

    bulk = _bulk_items(descriptor)
    most = bulk or MAXIMUM_ITEMS
    if bulk:
        # Going through thousands of messages twice costs too much: whoever reads them checks them.
        one = None

    def many(values: Any, path: str, report: Report) -> None:
        if len(values) > most:
            report(path, f"must have at most {most} entries", "count")
        elif one is not None:
            for index, value in enumerate(values):
                one(value, f"{path}[{index}]", report)

    return many


def _bulk_items(descriptor: FieldDescriptor) -> int:
    options: Any = descriptor.GetOptions()
    bulk: int = options.Extensions[options_pb2.bulk_items]
    return bulk


def _map_check(entry: Descriptor) -> Check:
    key_check = _value_check(entry.fields_by_name["key"])
    value_check = _value_check(entry.fields_by_name["value"])

    def entries(values: Any, path: str, report: Report) -> None:
        if len(values) > MAXIMUM_ITEMS:
            report(path, f"must have at most {MAXIMUM_ITEMS} entries", "count")
            return
        for key in values:
            place = f"{path}[{str(key)[:100]!r}]"
            if key_check is not None:
                key_check(key, place, report)
            if value_check is not None:
                value_check(values[key], place, report)

    return entries


def _named_check(descriptor: FieldDescriptor) -> Check | None:
    """Return the check of a field that means the same in every request."""
    if descriptor.is_repeated or not _is_request(descriptor):
        return None
    if descriptor.name == "request_id" and descriptor.type == FieldDescriptor.TYPE_STRING:
        return _uuid
    if descriptor.name == "page_size":
        return _between(0, MAXIMUM_PAGE)
    if descriptor.name == "skip":
        return _between(0, MAXIMUM_SKIP)
    return None


def _is_request(descriptor: FieldDescriptor) -> bool:
    return descriptor.containing_type is not None and descriptor.containing_type.name.endswith("Request")


def _value_check(descriptor: FieldDescriptor) -> Check | None:
    if descriptor.type == FieldDescriptor.TYPE_STRING:
        return _text
    if descriptor.enum_type is not None:
        return _known(frozenset(descriptor.enum_type.values_by_number))
    if descriptor.message_type is not None:
        nested = compiled(descriptor.message_type)

        def message(value: Any, path: str, report: Report) -> None:
            nested.message(value, f"{path}.", report)

        return message
    return None


def _text(value: str, path: str, report: Report) -> None:
    # Four bytes a character at most: short texts need not be encoded to be measured.
    if len(value) * 4 > MAXIMUM_TEXT and len(value.encode()) > MAXIMUM_TEXT:
        report(path, f"must be at most {MAXIMUM_TEXT} bytes long", "length")
    elif "\0" in value:
        report(path, "must not hold the character U+0000", "characters")


def _uuid(value: str, path: str, report: Report) -> None:
    if not ids.is_canonical(value.lower()):
        report(path, "must be a UUID", "uuid")


def _between(least: int, most: int) -> Check:
    def within(value: int, path: str, report: Report) -> None:
        if not least <= value <= most:
            report(path, f"must be between {least} and {most}", "range")

    return within


def _known(numbers: frozenset[int]) -> Check:
    def known(value: int, path: str, report: Report) -> None:
        if value not in numbers:
            report(path, f"`{value}` is no value of this field", "unknown")

    return known


def _timestamp(message: Any, prefix: str, report: Report) -> None:
    # The years 1 to 9999, which is what a datetime holds.
    if not (-62_135_596_800 <= message.seconds <= 253_402_300_799 and 0 <= message.nanos < 1_000_000_000):
        report(prefix.rstrip("."), "must be an instant of the years 1 to 9999", "range")


def _duration(message: Any, prefix: str, report: Report) -> None:
    agree = message.seconds == 0 or message.nanos == 0 or (message.seconds < 0) == (message.nanos < 0)
    if not (abs(message.seconds) <= 315_576_000_000 and abs(message.nanos) < 1_000_000_000 and agree):
        report(prefix.rstrip("."), "must be a duration of at most 10 000 years", "range")


_SHAPES: Final[dict[str, Callable[[Any, str, Report], None]]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
}
