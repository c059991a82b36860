"""Projects: the parts of an organization that resources live in."""

from dataclasses import replace

from concord.identity import rules
from concord.identity.drafts import ALL_PROJECT_FIELDS, ProjectDraft
from concord.identity.model import Project, check_deletable, check_editable, check_etag
from concord.identity.operations.access import Sight, check_quota, require_everything
from concord.identity.store import IdentityStore, ProjectFilter
from concord.kernel import ids
from concord.kernel.errors import NotFound, Precondition, Reason
from concord.kernel.ids import OrganizationId, ProjectId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.units import Change, Unit


def create_project(unit: Unit[IdentityStore], draft: ProjectDraft) -> Project:
    """Create a project."""
    require_everything(unit.reach, "identity.projects.create")
    project = apply_draft(
        Project(
            id=ids.new(ProjectId),
            organization_id=unit.organization_id,
            name="",
            create_time=unit.now,
            update_time=unit.now,
        ),
        draft,
        ALL_PROJECT_FIELDS,
    )
    check_quota(unit.store, unit.organization_id, "projects", unit.store.projects.count_counted)
    unit.store.projects.add(project)
    unit.record(Change("project.created", "project", project.id, project.name, after=project))
    return project


def get_project(store: IdentityStore, organization_id: OrganizationId, project_id: ProjectId, sight: Sight) -> Project:
    """Return one project that the call may see."""
    sight.require_project(project_id, "identity.projects.get")
    return _get(store, organization_id, project_id)


def list_projects(
    store: IdentityStore, organization_id: OrganizationId, chosen: ProjectFilter, page: PageRequest, sight: Sight
) -> Page[Project]:
    """Return a page of the projects that the call may see."""
    return store.projects.page(organization_id, sight.projects(chosen), page)


def update_project(
    unit: Unit[IdentityStore], project_id: ProjectId, draft: ProjectDraft, fields: frozenset[str], etag: str
) -> Project:
    """Change the named fields. A change that changes nothing leaves no trace."""
    Sight(unit.reach).require_project(project_id, "identity.projects.update")
    project = _get(unit.store, unit.organization_id, project_id)
    check_etag(etag, project.version, "project", project_id)
    check_editable(project, "project", project_id)
    changed = apply_draft(project, draft, fields)
    if changed == project:
        return project
    changed = replace(changed, version=project.version + 1, update_time=unit.now)
    unit.store.projects.replace(changed)
    unit.record(Change("project.updated", "project", project_id, changed.name, before=project, after=changed))
    return changed


def delete_project(unit: Unit[IdentityStore], project_id: ProjectId, etag: str) -> None:
    """Delete a project that is not the default one."""
    Sight(unit.reach).require_project(project_id, "identity.projects.delete")
    project = _get(unit.store, unit.organization_id, project_id)
    check_etag(etag, project.version, "project", project_id)
    if project.is_default:
        message = "the default project cannot be deleted"
        raise Precondition(Reason.INVALID_STATE, message, "project", project_id)
    check_deletable(project, "project", project_id)
    unit.store.projects.remove(unit.organization_id, project_id)
    unit.record(Change("project.deleted", "project", project_id, project.name, before=project, security_relevant=True))


def apply_draft(project: Project, draft: ProjectDraft, fields: frozenset[str]) -> Project:
    """Return the project with the named fields taken from the draft, checked."""
    changes: dict[str, object] = {}
    if "name" in fields:
        changes["name"] = rules.line(draft.name, "project.name", required=True)
    if "description" in fields:
        changes["description"] = rules.prose(draft.description, "project.description")
    if "attributes" in fields:
        changes["attributes"] = rules.merged(project.attributes, draft.attributes, "project.attributes")
    return replace(project, **changes)  # type: ignore[arg-type]  # each value was made by the rule of its field


def _get(store: IdentityStore, organization_id: OrganizationId, project_id: ProjectId) -> Project:
    project = store.projects.find(organization_id, project_id)
    if project is None:
        raise NotFound("project", project_id)
    return project
