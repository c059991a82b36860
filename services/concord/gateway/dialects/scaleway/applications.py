"""Applications: programs with an identity of their own."""

from typing import Literal

import msgspec

from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import (
    Count,
    Description,
    IdFilter,
    Instant,
    Name,
    Needle,
    Paged,
    Tags,
    Uuid,
    canonical,
    canonicals,
    instant,
    invented_name,
    listed,
    order,
)
from concord.identity.v1 import application_pb2, application_service_pb2

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

_ORDERS = {"created_at": "create_time", "updated_at": "update_time", "name": "folded_name"}


class Application(msgspec.Struct, frozen=True):
    """An application as it is answered."""

    id: str
    name: str
    description: str
    created_at: Instant | None
    updated_at: Instant | None
    organization_id: str
    editable: bool
    deletable: bool
    managed: bool
    nb_api_keys: Count
    tags: list[str]


class ListApplicationsResponse(msgspec.Struct, frozen=True):
    """One page of applications."""

    applications: list[Application]
    total_count: Count


class ListApplicationsQuery(Paged, frozen=True, kw_only=True):
    """Which applications to list."""

    order_by: Literal[
        "created_at_asc", "created_at_desc", "updated_at_asc", "updated_at_desc", "name_asc", "name_desc"
    ] = "created_at_asc"
    name: Needle | None = None
    organization_id: Uuid | None = None
    editable: bool | None = None
    application_ids: IdFilter | None = None
    tag: Needle | None = None


class CreateApplicationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new application."""

    name: Name
    organization_id: Uuid | None = None
    description: Description | None = None
    tags: Tags | None = None


class UpdateApplicationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of an application; null is no change."""

    name: Name | None = None
    description: Description | None = None
    tags: Tags | None = None


def to_application(source: application_pb2.Application) -> Application:
    """Translate an answer."""
    return Application(
        id=source.id,
        name=source.name,
        description=source.description,
        created_at=instant(source.create_time),
        updated_at=instant(source.update_time),
        organization_id=source.organization_id,
        editable=source.editable,
        deletable=source.deletable,
        managed=source.managed,
        nb_api_keys=source.api_key_count,
        tags=list(source.tags),
    )


def from_create(body: CreateApplicationRequest) -> application_service_pb2.CreateApplicationRequest:
    """Translate a creation."""
    return application_service_pb2.CreateApplicationRequest(
        organization_id=canonical(body.organization_id),
        application=application_pb2.Application(
            name=body.name or invented_name("app"), description=body.description or "", tags=body.tags or ()
        ),
    )


def from_update(
    application_id: str, body: UpdateApplicationRequest
) -> application_service_pb2.UpdateApplicationRequest:
    """Translate a change. An empty name is replaced as at creation: no application is without one."""
    request = application_service_pb2.UpdateApplicationRequest(
        application=application_pb2.Application(id=canonical(application_id))
    )
    if body.name is not None:
        request.application.name = body.name or invented_name("app")
        request.update_mask.paths.append("name")
    if body.description is not None:
        request.application.description = body.description
        request.update_mask.paths.append("description")
    if body.tags is not None:
        request.application.tags.extend(body.tags)
        request.update_mask.paths.append("tags")
    return request


def from_list(query: ListApplicationsQuery, skip: int, size: int) -> application_service_pb2.ListApplicationsRequest:
    """Translate a list's filter."""
    return application_service_pb2.ListApplicationsRequest(
        organization_id=canonical(query.organization_id),
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        ids=canonicals(query.application_ids or ()),
        name=query.name or "",
        tag=query.tag or "",
        editable=query.editable,
    )


async def list_applications(call: Call) -> ListApplicationsResponse:
    """GET /applications."""

    async def fetch(skip: int, size: int) -> ListApplicationsResponse:
        answer = await call.ask(call.core.applications.ListApplications, from_list(call.query, skip, size))
        return ListApplicationsResponse([to_application(entry) for entry in answer.applications], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListApplicationsResponse([], n))


async def create_application(call: Call) -> Application:
    """POST /applications."""
    return to_application(await call.ask(call.core.applications.CreateApplication, from_create(call.body)))


async def get_application(call: Call) -> Application:
    """GET /applications/{application_id}."""
    request = application_service_pb2.GetApplicationRequest(id=canonical(call.path["application_id"]))
    return to_application(await call.ask(call.core.applications.GetApplication, request))


async def update_application(call: Call) -> Application:
    """PATCH /applications/{application_id}. A change of nothing is a reading."""
    request = from_update(call.path["application_id"], call.body)
    if not request.update_mask.paths:
        return await get_application(call)
    return to_application(await call.ask(call.core.applications.UpdateApplication, request))


async def delete_application(call: Call) -> None:
    """DELETE /applications/{application_id}."""
    request = application_service_pb2.DeleteApplicationRequest(id=canonical(call.path["application_id"]))
    await call.ask(call.core.applications.DeleteApplication, request)
