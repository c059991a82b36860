"""Serves applications."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.identity import wire
from concord.identity.drafts import ALL_APPLICATION_FIELDS
from concord.identity.handlers.unpack import chosen_ids, flag, searched, sight
from concord.identity.operations import applications
from concord.identity.store import ApplicationFilter, IdentityStore
from concord.identity.v1.application_pb2 import Application
from concord.identity.v1.application_service_pb2 import (
    CreateApplicationRequest,
    DeleteApplicationRequest,
    GetApplicationRequest,
    ListApplicationsRequest,
    ListApplicationsResponse,
    UpdateApplicationRequest,
)
from concord.identity.v1.application_service_pb2_grpc import ApplicationServiceServicer
from concord.kernel import ids
from concord.kernel.ids import ApplicationId
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units

_ORDERS = ("create_time", "update_time", "name", "folded_name")


class ApplicationServicer(ApplicationServiceServicer):
    """Applications over their units of work."""

    def __init__(self, units: Units[IdentityStore]) -> None:
        self._units = units

    async def CreateApplication(self, request: CreateApplicationRequest, context: Any) -> Application:
        """Create an application."""
        Call.current().own_organization(request.organization_id)
        return await self._units.write(
            request,
            lambda unit: applications.create_application(unit, wire.application_draft(request.application)),
        )

    async def GetApplication(self, request: GetApplicationRequest, context: Any) -> Application:
        """Return one application."""
        application_id = ids.parse(ApplicationId, request.id, "id")
        own, seen = Call.current().organization_id, sight()
        found = await self._units.look(lambda store: applications.get_application(store, own, application_id, seen))
        return wire.application_to_wire(found)

    async def ListApplications(self, request: ListApplicationsRequest, context: Any) -> ListApplicationsResponse:
        """Return one page of applications."""
        own, seen = Call.current().own_organization(request.organization_id), sight()
        page = self._units.page_request(request, orders=_ORDERS, default_order="create_time")
        chosen = _filter(request)
        found = await self._units.read(lambda store: applications.list_applications(store, own, chosen, page, seen))
        return ListApplicationsResponse(
            applications=[wire.application_to_wire(each) for each in found.items],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def UpdateApplication(self, request: UpdateApplicationRequest, context: Any) -> Application:
        """Change an application."""
        message = request.application
        application_id = ids.parse(ApplicationId, message.id, "application.id")
        fields = wire.chosen_fields(message, request.update_mask, ALL_APPLICATION_FIELDS)
        draft = wire.application_draft(message)
        return await self._units.write(
            request,
            lambda unit: applications.update_application(unit, application_id, draft, fields, message.etag),
        )

    async def DeleteApplication(self, request: DeleteApplicationRequest, context: Any) -> Empty:
        """Delete an application."""
        application_id = ids.parse(ApplicationId, request.id, "id")
        return await self._units.write(
            request,
            lambda unit: applications.delete_application(unit, application_id, request.etag),
            lambda _: Empty(),
        )


def _filter(request: ListApplicationsRequest) -> ApplicationFilter:
    return ApplicationFilter(
        only=chosen_ids(request.ids),
        states=frozenset(wire.APPLICATION_STATES[each] for each in request.states if each),
        name=searched(request.name, "name"),
        tag=searched(request.tag, "tag"),
        editable=flag(request, "editable"),
    )
