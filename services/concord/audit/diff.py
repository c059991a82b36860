"""Turns the resources of a change event into fields with old and new values, whatever their message is."""

import json
from functools import cache
from typing import Any, Final

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from concord.audit.model import FieldChange, differences

# These move with every change and say nothing of their own.
SKIPPED: Final = frozenset({"version", "etag", "update_time"})
# JSON has these as they stand; the library's way to say so is slow.
_AS_THEY_ARE: Final = frozenset(
    {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32}
)


class UnknownResource(Exception):
    """An event carries a message that this process has no contract for."""


def changed_fields(before: AnyMessage, after: AnyMessage) -> tuple[FieldChange, ...]:
    """Return what differs between the two resources; an empty one stands for no resource."""
    old, new = _unpack(before), _unpack(after)
    shape = new if new is not None else old
    if shape is None:
        return ()
    return differences(_flat(old), _flat(new), _order(shape.DESCRIPTOR))


@cache
def _order(shape: Descriptor) -> tuple[str, ...]:
    return tuple(field.name for field in shape.fields)


def _unpack(packed: AnyMessage) -> Message | None:
    if not packed.type_url:
        return None
    name = packed.type_url.rpartition("/")[2]
    try:
        kind = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    except KeyError:
        raise UnknownResource(name) from None
    return kind.FromString(packed.value)


def _flat(message: Message | None) -> dict[str, Any]:
    """Return the fields that are set, by path. Lists stay whole: their order is theirs."""
    if message is None:
        return {}
    values: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name in SKIPPED:
            continue
        if _is_record(field):
            values.update((f"{field.name}.{path}", inner) for path, inner in _nested(field, value).items())
        else:
            values[field.name] = _plain(message, field)
    return values


@cache
def _is_record(field: FieldDescriptor) -> bool:
    if field.message_type is None:
        return False
    if _is_map(field):
        return True
    # Well-known types (a time, a duration, a JSON value) have a text of their own.
    return not field.is_repeated and not field.message_type.full_name.startswith("google.protobuf.")


@cache
def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _nested(field: FieldDescriptor, value: Any) -> dict[str, Any]:
    if field.message_type is None or not _is_map(field):
        return _flat(value)
    entry = field.message_type.fields_by_name["value"]
    if entry.message_type is None:
        return {str(key): _scalar(entry, inner) for key, inner in value.items()}
    return {str(key): _jsonable(json_format.MessageToDict(inner)) for key, inner in value.items()}


def _plain(message: Message, field: FieldDescriptor) -> Any:
    if not field.is_repeated:
        if field.type in _AS_THEY_ARE:
            return getattr(message, field.name)
        if field.enum_type is not None:
            number = getattr(message, field.name)
            known = field.enum_type.values_by_number.get(number)
            return number if known is None else known.name
    alone = type(message)()
    if field.is_repeated:
        getattr(alone, field.name).extend(getattr(message, field.name))
    elif field.message_type is Timestamp.DESCRIPTOR:
        return getattr(message, field.name).ToJsonString()
    elif field.message_type is not None:
        getattr(alone, field.name).CopyFrom(getattr(message, field.name))
    else:
        setattr(alone, field.name, getattr(message, field.name))
    # A well-known value may be JSON's null, which leaves no key behind.
    return json_format.MessageToDict(alone, preserving_proto_field_name=True).get(field.name)


def _scalar(entry: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if entry.enum_type is not None:
        known = entry.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value


def _jsonable(value: Any) -> Any:
    # One level of paths into a map is enough to find the entry; what is inside stays whole.
    return json.loads(json.dumps(value))
