"""Applications: programs with an identity of their own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from concord.identity import rules
from concord.identity.drafts import ALL_APPLICATION_FIELDS, ApplicationDraft
from concord.identity.model import Application, check_deletable, check_editable, check_etag
from concord.identity.operations.access import Sight, check_quota, require_everything
from concord.identity.store import ApplicationFilter, IdentityStore
from concord.kernel import ids
from concord.kernel.errors import NotFound
from concord.kernel.ids import ApplicationId, OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Change, Unit


def create_application(unit: Unit[IdentityStore], draft: ApplicationDraft) -> Application:
    """Create an application."""
    require_everything(unit.reach, "identity.applications.create")
    application = Application(
        id=ids.new(ApplicationId),
        organization_id=unit.organization_id,
        create_time=unit.now,
        update_time=unit.now,
        **_drafted(draft, ALL_APPLICATION_FIELDS, {}),
    )
    check_quota(unit.store, unit.organization_id, "applications", unit.store.applications.count_counted)
    unit.store.applications.add(application)
    unit.record(Change("application.created", "application", application.id, application.name, after=application))
    return application


def get_application(
    store: IdentityStore, organization_id: OrganizationId, application_id: ApplicationId, sight: Sight
) -> Application:
    """Return one application that the call may see."""
    target = PrincipalRef(PrincipalKind.APPLICATION, application_id)
    sight.require_principal(target, "identity.applications.get")
    return _get(store, organization_id, application_id)


def list_applications(
    store: IdentityStore, organization_id: OrganizationId, chosen: ApplicationFilter, page: PageRequest, sight: Sight
) -> Page[Application]:
    """Return a page of the applications that the call may see."""
    only = sight.principals(PrincipalKind.APPLICATION, chosen.only)
    return store.applications.page(organization_id, replace(chosen, only=only), page)


def update_application(
    unit: Unit[IdentityStore],
    application_id: ApplicationId,
    draft: ApplicationDraft,
    fields: frozenset[str],
    etag: str,
) -> Application:
    """Change the named fields. A change that changes nothing leaves no trace."""
    require_everything(unit.reach, "identity.applications.update")
    application = _get(unit.store, unit.organization_id, application_id)
    check_etag(etag, application.version, "application", application_id)
    check_editable(application, "application", application_id)
    changed = apply_draft(application, draft, fields)
    if changed == application:
        return application
    changed = replace(changed, version=application.version + 1, update_time=unit.now)
    unit.store.applications.replace(changed)
    unit.record(
        Change(
            "application.updated",
            "application",
            application_id,
            changed.name,
            before=application,
            after=changed,
            security_relevant=True,
        )
    )
    return changed


def delete_application(unit: Unit[IdentityStore], application_id: ApplicationId, etag: str) -> None:
    """Delete an application; the other services end what hangs on it."""
    require_everything(unit.reach, "identity.applications.delete")
    application = _get(unit.store, unit.organization_id, application_id)
    check_etag(etag, application.version, "application", application_id)
    check_deletable(application, "application", application_id)
    unit.store.applications.remove(unit.organization_id, application_id)
    unit.record(
        Change(
            "application.deleted",
            "application",
            application_id,
            application.name,
            before=application,
            security_relevant=True,
        )
    )


def apply_draft(application: Application, draft: ApplicationDraft, fields: frozenset[str]) -> Application:
    """Return the application with the named fields taken from the draft, checked."""
    return replace(application, **_drafted(draft, fields, application.attributes))


def _drafted(draft: ApplicationDraft, fields: frozenset[str], attributes: Mapping[str, str]) -> dict[str, Any]:
    """Return the named fields' values, checked; attributes are merged into those there are."""
    changes: dict[str, Any] = {}
    if "name" in fields:
        changes["name"] = rules.line(draft.name, "application.name", required=True)
    if "description" in fields:
        changes["description"] = rules.prose(draft.description, "application.description")
    if "tags" in fields:
        changes["tags"] = rules.tags(draft.tags, "application.tags")
    if "state" in fields and draft.state is not None:
        changes["state"] = draft.state
    if "attributes" in fields:
        changes["attributes"] = rules.merged(attributes, draft.attributes, "application.attributes")
    return changes


def _get(store: IdentityStore, organization_id: OrganizationId, application_id: ApplicationId) -> Application:
    application = store.applications.find(organization_id, application_id)
    if application is None:
        raise NotFound("application", application_id)
    return application
