"""API keys. Their secret is in the answer of the creation and nowhere else."""

from typing import Annotated, Literal

import msgspec

from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_APPLICATION, PRINCIPAL_KIND_USER, PrincipalRef
from concord.credentials.v1 import api_key_pb2, api_key_service_pb2
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import (
    Count,
    Description,
    Instant,
    Needle,
    Paged,
    Texts,
    Time,
    Uuid,
    canonical,
    echoed_instant,
    instant,
    listed,
    one_of,
    order,
    timestamp,
)
from concord.gateway.shapes import Text, text_rule
from concord.kernel.errors import NotFound

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

# Keys that another dialect made look otherwise, so the form is not asked for here: unknown ones are not found.
ACCESS_KEY_PATH = Text(text_rule(at_least=1, at_most=256))

_ORDERS = {
    "created_at": "create_time",
    "updated_at": "update_time",
    "expires_at": "expire_time",
    "access_key": "access_id",
}
_KINDS = {"user": PRINCIPAL_KIND_USER, "application": PRINCIPAL_KIND_APPLICATION}
_FORMAT = api_key_pb2.KeyFormat(
    access_id_prefix="SCW",
    access_id_alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    access_id_length=17,
    secret_is_uuid=True,
)

Unset = msgspec.UnsetType


class APIKey(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is answered. Of the two bearers only the one there is."""

    access_key: str
    secret_key: str | None
    application_id: str | Unset = msgspec.UNSET
    user_id: str | Unset = msgspec.UNSET
    description: str
    created_at: Instant | None
    updated_at: Instant | None
    expires_at: Instant | None
    default_project_id: str
    editable: bool
    deletable: bool
    managed: bool
    creation_ip: str


class ListAPIKeysResponse(msgspec.Struct, frozen=True):
    """One page of API keys."""

    api_keys: list[APIKey]
    total_count: Count


class ListAPIKeysQuery(Paged, frozen=True, kw_only=True):
    """Which API keys to list. An unknown kind of bearer is no filter: clients send it always."""

    order_by: Literal[
        "created_at_asc",
        "created_at_desc",
        "updated_at_asc",
        "updated_at_desc",
        "expires_at_asc",
        "expires_at_desc",
        "access_key_asc",
        "access_key_desc",
    ] = "created_at_asc"
    organization_id: Uuid | None = None
    editable: bool | None = None
    expired: bool | None = None
    access_key: Needle | None = None
    description: Needle | None = None
    bearer_id: Uuid | None = None
    bearer_type: Literal["unknown_bearer_type", "user", "application"] = "unknown_bearer_type"
    access_keys: Texts | None = None


class CreateAPIKeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new API key of a user or an application."""

    application_id: Uuid | None = None
    user_id: Uuid | None = None
    expires_at: Time | None = None
    default_project_id: Uuid | None = None
    description: Description | None = None


class UpdateAPIKeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of an API key; null is no change."""

    default_project_id: Uuid | None = None
    description: Annotated[str, text_rule(at_most=200, pattern=r"[^\x00]*").meta()] | None = None
    expires_at: Time | None = None


def to_api_key(source: api_key_pb2.ApiKey, secret: str | None = None) -> APIKey:
    """Translate an answer."""
    bearer = source.bearer
    return APIKey(
        access_key=source.access_id,
        secret_key=secret,
        application_id=bearer.id if bearer.kind == PRINCIPAL_KIND_APPLICATION else msgspec.UNSET,
        user_id=bearer.id if bearer.kind == PRINCIPAL_KIND_USER else msgspec.UNSET,
        description=source.description,
        created_at=instant(source.create_time),
        updated_at=instant(source.update_time),
        expires_at=echoed_instant(source.expire_time) if source.HasField("expire_time") else None,
        default_project_id=source.default_project_id,
        editable=source.editable,
        deletable=source.deletable,
        managed=source.managed,
        creation_ip=source.creation_ip,
    )


def from_create(body: CreateAPIKeyRequest) -> api_key_service_pb2.CreateApiKeyRequest:
    """Translate a creation."""
    arm = one_of({"application_id": body.application_id, "user_id": body.user_id}, required=True)
    kind = PRINCIPAL_KIND_USER if arm == "user_id" else PRINCIPAL_KIND_APPLICATION
    key = api_key_pb2.ApiKey(
        bearer=PrincipalRef(kind=kind, id=canonical(body.user_id or body.application_id)),
        description=body.description or "",
        default_project_id=canonical(body.default_project_id),
    )
    if body.expires_at is not None:
        key.expire_time.CopyFrom(timestamp(body.expires_at, "expires_at"))
    return api_key_service_pb2.CreateApiKeyRequest(api_key=key, key_format=_FORMAT)


def from_update(key_id: str, body: UpdateAPIKeyRequest) -> api_key_service_pb2.UpdateApiKeyRequest:
    """Translate a change."""
    request = api_key_service_pb2.UpdateApiKeyRequest(api_key=api_key_pb2.ApiKey(id=key_id))
    if body.default_project_id is not None:
        request.api_key.default_project_id = canonical(body.default_project_id)
        request.update_mask.paths.append("default_project_id")
    if body.description is not None:
        request.api_key.description = body.description
        request.update_mask.paths.append("description")
    if body.expires_at is not None:
        request.api_key.expire_time.CopyFrom(timestamp(body.expires_at, "expires_at"))
        request.update_mask.paths.append("expire_time")
    return request


def from_list(query: ListAPIKeysQuery, skip: int, size: int) -> api_key_service_pb2.ListApiKeysRequest:
    """Translate a list's filter."""
    kinds = [_KINDS[query.bearer_type]] if query.bearer_type in _KINDS else list(_KINDS.values())
    bearer_id = canonical(query.bearer_id)
    return api_key_service_pb2.ListApiKeysRequest(
        organization_id=canonical(query.organization_id),
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        # An id alone does not tell a user from an application: it is looked for as both.
        bearers=[PrincipalRef(kind=kind, id=bearer_id) for kind in kinds] if bearer_id else (),
        bearer_kind=kinds[0] if len(kinds) == 1 else None,
        access_ids=[*(query.access_keys or ()), *([query.access_key] if query.access_key else ())],
        expired=query.expired,
        description=query.description or "",
        editable=query.editable,
    )


async def list_api_keys(call: Call) -> ListAPIKeysResponse:
    """GET /api-keys."""

    async def fetch(skip: int, size: int) -> ListAPIKeysResponse:
        answer = await call.ask(call.core.api_keys.ListApiKeys, from_list(call.query, skip, size))
        return ListAPIKeysResponse([to_api_key(key) for key in answer.api_keys], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListAPIKeysResponse([], n))


async def create_api_key(call: Call) -> APIKey:
    """POST /api-keys."""
    answer = await call.ask(call.core.api_keys.CreateApiKey, from_create(call.body))
    return to_api_key(answer.api_key, answer.secret)


async def _find(call: Call) -> api_key_pb2.ApiKey:
    access_key = call.path["access_key"]
    try:
        return await call.ask(call.core.api_keys.GetApiKey, api_key_service_pb2.GetApiKeyRequest(access_id=access_key))
    except NotFound:
        # Whatever the core calls what is missing: the caller knows the key by its access key.
        raise NotFound("api_key", access_key) from None


async def get_api_key(call: Call) -> APIKey:
    """GET /api-keys/{access_key}."""
    return to_api_key(await _find(call))


async def update_api_key(call: Call) -> APIKey:
    """PATCH /api-keys/{access_key}. A change of nothing is a reading."""
    key = await _find(call)
    request = from_update(key.id, call.body)
    if not request.update_mask.paths:
        return to_api_key(key)
    return to_api_key(await call.ask(call.core.api_keys.UpdateApiKey, request))


async def delete_api_key(call: Call) -> None:
    """DELETE /api-keys/{access_key}."""
    key = await _find(call)
    await call.ask(call.core.api_keys.DeleteApiKey, api_key_service_pb2.DeleteApiKeyRequest(id=key.id))
