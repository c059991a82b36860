"""What the messages of all resources have in common, and masks."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from concord.identity.model import Entity
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OrganizationId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire


def chosen_fields(message: Message, mask: FieldMask, allowed: frozenset[str]) -> frozenset[str]:
    """Return the fields that an update changes: those of the mask, or without one those that are set."""
    if not mask.paths:
        return frozenset(field.name for field, _ in message.ListFields()) & allowed
    for path in mask.paths:
        if path not in allowed:
            raise Invalid(Violation("update_mask", f"`{path}` cannot be changed", rule="mask"))
    return frozenset(mask.paths)


def entity_to_wire(value: Entity) -> dict[str, Any]:
    """Return the fields that every message of a stored thing has."""
    return {
        "organization_id": value.organization_id,
        # Filling a map costs as much as all other fields together, and most are empty.
        "attributes": value.attributes or None,
        "catalogue": value.catalogue,
        "managed": value.managed,
        "editable": value.editable,
        "deletable": value.deletable,
        "version": value.version,
        "etag": value.etag,
        "create_time": instant_to_wire(value.create_time),
        "update_time": instant_to_wire(value.update_time),
    }


def entity_from_wire(message: Any) -> Mapping[str, Any]:
    """Return what every stored thing carries, of a message that a server made."""
    return {
        "organization_id": OrganizationId(message.organization_id),
        "attributes": dict(message.attributes),
        "catalogue": message.catalogue,
        "editable": message.editable,
        "deletable": message.deletable,
        "version": message.version,
        "create_time": instant_from_wire(message.create_time),
        "update_time": instant_from_wire(message.update_time),
    }
