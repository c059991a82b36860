"""API keys."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from concord.common.v1 import passport_pb2
from concord.credentials.model.api_keys import ApiKey, ApiKeyState
from concord.credentials.model.holders import Sight
from concord.credentials.operations.api_keys import MUTABLE, ApiKeyPatch, CreatedApiKey, NewApiKey, Rotation
from concord.credentials.secrets.drawing import KeyFormat
from concord.credentials.store.api_keys import ApiKeyFilter
from concord.credentials.v1 import api_key_pb2, api_key_service_pb2
from concord.credentials.wire.common import (
    bearer_kind,
    duration,
    id_set,
    named_fields,
    optional_instant,
    optional_instant_to_wire,
    principal,
    principals,
    search_text,
)
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import ApiKeyId, OrganizationId, is_canonical
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire, principal_to_wire

_STATES: Final = {
    ApiKeyState.ACTIVE: api_key_pb2.API_KEY_STATE_ACTIVE,
    ApiKeyState.SUSPENDED: api_key_pb2.API_KEY_STATE_SUSPENDED,
    ApiKeyState.DELETED: api_key_pb2.API_KEY_STATE_DELETED,
}
# Enums are open: any number may come.
_STATES_BACK: Final[dict[int, ApiKeyState]] = {number: state for state, number in _STATES.items()}


def api_key_to_wire(key: ApiKey) -> api_key_pb2.ApiKey:
    """Return the message for a key."""
    return api_key_pb2.ApiKey(
        id=key.id,
        organization_id=key.organization_id,
        version=key.version,
        etag=key.etag,
        create_time=instant_to_wire(key.create_time),
        update_time=instant_to_wire(key.update_time),
        catalogue=key.catalogue,
        managed=key.is_managed,
        editable=not key.is_managed,
        deletable=not key.is_managed,
        attributes=key.attributes,
        number=key.number,
        bearer=principal_to_wire(key.bearer),
        name=key.name,
        description=key.description,
        access_id=key.access_id,
        secret_recoverable=key.secret_recoverable,
        secret_identifies=key.secret_identifies,
        state=_STATES[key.state],
        default_project_id=key.default_project_id,
        ceiling=passport_pb2.Ceiling(scopes=key.ceiling) if key.ceiling else None,
        expire_time=optional_instant_to_wire(key.expire_time),
        last_used_time=optional_instant_to_wire(key.last_used_time),
        creation_ip=key.creation_ip,
        rotate_time=optional_instant_to_wire(key.rotate_time),
        former_expire_time=optional_instant_to_wire(key.former_expire_time),
    )


def api_key_from_wire(message: api_key_pb2.ApiKey) -> ApiKey:
    """Return the key of a message that `api_key_to_wire` made."""
    return ApiKey(
        id=ApiKeyId(message.id),
        organization_id=OrganizationId(message.organization_id),
        number=message.number,
        version=message.version,
        bearer=principal(message.bearer, "bearer"),
        access_id=message.access_id,
        secret_recoverable=message.secret_recoverable,
        secret_identifies=message.secret_identifies,
        default_project_id=message.default_project_id,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        name=message.name,
        description=message.description,
        state=_STATES_BACK[message.state],
        ceiling=tuple(message.ceiling.scopes),
        expire_time=optional_instant(message, "expire_time", "expire_time"),
        last_used_time=optional_instant(message, "last_used_time", "last_used_time"),
        creation_ip=message.creation_ip,
        rotate_time=optional_instant(message, "rotate_time", "rotate_time"),
        former_expire_time=optional_instant(message, "former_expire_time", "former_expire_time"),
        catalogue=message.catalogue,
        attributes=dict(message.attributes),
    )


def created_to_wire(created: CreatedApiKey) -> api_key_service_pb2.CreateApiKeyResponse:
    """Return the one answer that holds the secret of a key."""
    return api_key_service_pb2.CreateApiKeyResponse(
        api_key=api_key_to_wire(created.key), secret=created.secret.reveal()
    )


def tried_to_wire(created: CreatedApiKey) -> api_key_service_pb2.CreateApiKeyResponse:
    """Return the answer of a check only: nothing was made, so there is no secret."""
    return api_key_service_pb2.CreateApiKeyResponse(api_key=api_key_to_wire(created.key))


def new_key_from_wire(request: api_key_service_pb2.CreateApiKeyRequest) -> NewApiKey:
    """Return what a request says about a key to be made."""
    message = request.api_key
    return NewApiKey(
        bearer=principal(message.bearer, "api_key.bearer"),
        name=message.name,
        description=message.description,
        default_project_id=_project(message.default_project_id),
        ceiling=_ceiling(message),
        expire_time=optional_instant(message, "expire_time", "api_key.expire_time"),
        secret_recoverable=message.secret_recoverable,
        state=_usable_state(message.state) if message.state else ApiKeyState.ACTIVE,
        attributes=dict(message.attributes),
        format=_format(request.key_format),
    )


def rotated_to_wire(created: CreatedApiKey) -> api_key_service_pb2.RotateApiKeyResponse:
    """Return the one answer that holds the new secret of a key."""
    return api_key_service_pb2.RotateApiKeyResponse(
        api_key=api_key_to_wire(created.key), secret=created.secret.reveal()
    )


def rotation_tried_to_wire(created: CreatedApiKey) -> api_key_service_pb2.RotateApiKeyResponse:
    """Return the answer of a check only: nothing was replaced, so there is no secret."""
    return api_key_service_pb2.RotateApiKeyResponse(api_key=api_key_to_wire(created.key))


def revealed_to_wire(created: CreatedApiKey) -> api_key_service_pb2.RevealApiKeyResponse:
    """Return the answer that shows the secret of a key again."""
    return api_key_service_pb2.RevealApiKeyResponse(
        api_key=api_key_to_wire(created.key), secret=created.secret.reveal()
    )


def reveal_tried_to_wire(created: CreatedApiKey) -> api_key_service_pb2.RevealApiKeyResponse:
    """Return the answer of a check only, without the secret."""
    return api_key_service_pb2.RevealApiKeyResponse(api_key=api_key_to_wire(created.key))


def rotation_from_wire(request: api_key_service_pb2.RotateApiKeyRequest, limit: tuple[str, ...]) -> Rotation:
    """Return how a key is to be rotated, by a caller whose own credential is lowered to a limit."""
    return Rotation(_format(request.key_format), duration(request.overlap, "overlap"), limit)


def state_from_wire(request: api_key_service_pb2.SetApiKeyStateRequest) -> ApiKeyState:
    """Return the state that is asked for."""
    return _usable_state(request.state, "state")


def _format(look: api_key_pb2.KeyFormat) -> KeyFormat:
    return KeyFormat(
        access_id_prefix=look.access_id_prefix,
        access_id_alphabet=look.access_id_alphabet,
        access_id_length=look.access_id_length,
        secret_prefix=look.secret_prefix,
        secret_alphabet=look.secret_alphabet,
        secret_length=look.secret_length,
        secret_is_uuid=look.secret_is_uuid,
    )


def patch_from_wire(message: api_key_pb2.ApiKey, paths: Iterable[str]) -> ApiKeyPatch:
    """Return the new values that a mask names."""
    named = named_fields(paths, MUTABLE)
    return ApiKeyPatch(
        named=named,
        name=message.name,
        description=message.description,
        default_project_id=_project(message.default_project_id) if "default_project_id" in named else "",
        expire_time=optional_instant(message, "expire_time", "api_key.expire_time"),
        state=_usable_state(message.state) if "state" in named else ApiKeyState.ACTIVE,
        attributes=dict(message.attributes),
    )


def filter_from_wire(request: api_key_service_pb2.ListApiKeysRequest, now: datetime, sight: Sight) -> ApiKeyFilter:
    """Return what a list request asks for."""
    return ApiKeyFilter(
        now=now,
        sight=sight,
        ids=id_set(request.ids, "ids"),
        bearers=principals(request.bearers, "bearers"),
        bearer_kind=bearer_kind(request.bearer_kind),
        access_ids=frozenset(search_text(each, "access_ids") or "" for each in request.access_ids) or None,
        expired=request.expired if request.HasField("expired") else None,
        text=search_text(request.text, "text"),
        description=search_text(request.description, "description"),
        editable=request.editable if request.HasField("editable") else None,
        state=_usable_state(request.state, "state") if request.state else None,
    )


def _usable_state(state: int, path: str = "api_key.state") -> ApiKeyState:
    found = _STATES_BACK.get(state)
    if found is None or found is ApiKeyState.DELETED:
        raise Invalid(Violation(path, "must be active or suspended", rule="enum"))
    return found


def _ceiling(message: api_key_pb2.ApiKey) -> tuple[str, ...]:
    # An empty ceiling would read as "nothing is allowed" and mean "everything is".
    if message.HasField("ceiling") and not message.ceiling.scopes:
        raise Invalid(Violation("api_key.ceiling.scopes", "must name something", rule="required"))
    return tuple(message.ceiling.scopes)


def _project(project_id: str) -> str:
    folded = project_id.lower()
    if folded and not is_canonical(folded):
        raise Invalid(Violation("api_key.default_project_id", "must be a UUID", rule="uuid"))
    return folded
