"""Serves projects."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.identity import wire
from concord.identity.drafts import ALL_PROJECT_FIELDS
from concord.identity.handlers.unpack import chosen_ids, searched, sight
from concord.identity.operations import projects
from concord.identity.store import IdentityStore, ProjectFilter
from concord.identity.v1.project_pb2 import Project
from concord.identity.v1.project_service_pb2 import (
    CreateProjectRequest,
    DeleteProjectRequest,
    GetProjectRequest,
    ListProjectsRequest,
    ListProjectsResponse,
    UpdateProjectRequest,
)
from concord.identity.v1.project_service_pb2_grpc import ProjectServiceServicer
from concord.kernel import ids
from concord.kernel.ids import ProjectId
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units

_ORDERS = ("create_time", "update_time", "name", "folded_name")


class ProjectServicer(ProjectServiceServicer):
    """Projects over their units of work."""

    def __init__(self, units: Units[IdentityStore]) -> None:
        self._units = units

    async def CreateProject(self, request: CreateProjectRequest, context: Any) -> Project:
        """Create a project."""
        Call.current().own_organization(request.organization_id)
        return await self._units.write(
            request,
            lambda unit: projects.create_project(unit, wire.project_draft(request.project)),
            wire.project_to_wire,
        )

    async def GetProject(self, request: GetProjectRequest, context: Any) -> Project:
        """Return one project."""
        project_id = ids.parse(ProjectId, request.id, "id")
        own, seen = Call.current().organization_id, sight()
        found = await self._units.look(lambda store: projects.get_project(store, own, project_id, seen))
        return wire.project_to_wire(found)

    async def ListProjects(self, request: ListProjectsRequest, context: Any) -> ListProjectsResponse:
        """Return one page of projects."""
        own, seen = Call.current().own_organization(request.organization_id), sight()
        page = self._units.page_request(request, orders=_ORDERS, default_order="create_time")
        chosen = _filter(request)
        found = await self._units.read(lambda store: projects.list_projects(store, own, chosen, page, seen))
        return ListProjectsResponse(
            projects=[wire.project_to_wire(each) for each in found.items],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def UpdateProject(self, request: UpdateProjectRequest, context: Any) -> Project:
        """Change a project."""
        message = request.project
        project_id = ids.parse(ProjectId, message.id, "project.id")
        fields = wire.chosen_fields(message, request.update_mask, ALL_PROJECT_FIELDS)
        draft = wire.project_draft(message)
        return await self._units.write(
            request,
            lambda unit: projects.update_project(unit, project_id, draft, fields, message.etag),
            wire.project_to_wire,
        )

    async def DeleteProject(self, request: DeleteProjectRequest, context: Any) -> Empty:
        """Delete a project."""
        project_id = ids.parse(ProjectId, request.id, "id")
        return await self._units.write(
            request,
            lambda unit: projects.delete_project(unit, project_id, request.etag),
            lambda _: Empty(),
        )


def _filter(request: ListProjectsRequest) -> ProjectFilter:
    return ProjectFilter(only=chosen_ids(request.ids), name=searched(request.name, "name"))
