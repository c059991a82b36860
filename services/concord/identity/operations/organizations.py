"""Organizations: their birth, and what their own people may do with them."""

from dataclasses import replace

from concord.identity import rules
from concord.identity.drafts import ALL_ORGANIZATION_FIELDS, OrganizationDraft, UserDraft
from concord.identity.model import (
    DirectoryKind,
    Organization,
    Project,
    SecuritySettings,
    User,
    UserKind,
    check_etag,
)
from concord.identity.operations.access import require_everything
from concord.identity.operations.laying import apply_organization_draft
from concord.identity.operations.users import make_user
from concord.identity.store import Directory, IdentityStore
from concord.kernel.errors import AlreadyExists, Invalid, NotFound, Precondition, Reason, Violation
from concord.kernel.ids import OrganizationId, ProjectId, UserId
from concord.kernel.units import Change, Unit

# How many drawn names are tried when others are born at the same moment.
_DRAWS = 1000
# Leaves room to draw above it.
_HIGHEST_ASKED = 10**15


def create_organization(
    unit: Unit[IdentityStore], draft: OrganizationDraft, owner: UserDraft, catalogues: tuple[str, ...]
) -> Organization:
    """Create an organization with its owner, its default project and its security settings."""
    organization_id = unit.organization_id
    if unit.store.organizations.find(organization_id) is not None:
        # Its id comes from a `request_id` whose record is older than a day.
        raise AlreadyExists("organization", draft.name, "request_id", reason=Reason.REQUEST_ID_REUSED)
    if not owner.primary_email:
        raise Invalid(Violation("owner.primary_email", "is needed", rule="required"))
    user = make_user(unit.store, organization_id, owner, UserKind.OWNER, unit.now)
    blank = Organization(
        id=organization_id,
        number=0,
        slug="",
        name="",
        owner_user_id=UserId(user.id),
        owner_email=user.primary_email,
        catalogues=rules.catalogues(catalogues, "catalogues"),
        create_time=unit.now,
        update_time=unit.now,
    )
    organization = _named(unit.store.directory, apply_organization_draft(blank, draft, ALL_ORGANIZATION_FIELDS), draft)
    project = Project(
        id=ProjectId(organization_id),
        organization_id=organization_id,
        name="default",
        create_time=unit.now,
        update_time=unit.now,
        deletable=False,
    )
    settings = SecuritySettings(organization_id=organization_id, create_time=unit.now, update_time=unit.now)
    _keep(unit, organization, settings, project, user)
    return organization


def get_organization(
    store: IdentityStore, organization_id: OrganizationId, asked: tuple[DirectoryKind, str] | OrganizationId | None
) -> Organization:
    """Return the caller's organization when it is the one asked for."""
    organization = _get(store, organization_id)
    match asked:
        case (kind, name):
            if store.directory.find(kind, name) != organization_id:
                raise NotFound("organization", name)
        case str() if asked != organization_id:
            raise NotFound("organization", asked)
        case _:
            pass
    return organization


def update_organization(
    unit: Unit[IdentityStore], draft: OrganizationDraft, fields: frozenset[str], etag: str
) -> Organization:
    """Change the named fields. A change that changes nothing leaves no trace."""
    require_everything(unit.reach, "identity.organizations.update")
    organization = _get(unit.store, unit.organization_id)
    check_etag(etag, organization.version, "organization", organization.id)
    changed = apply_organization_draft(organization, draft, fields)
    if changed == organization:
        return organization
    changed = replace(changed, version=organization.version + 1, update_time=unit.now)
    unit.store.organizations.replace(changed)
    unit.record(
        Change(
            "organization.updated",
            "organization",
            organization.id,
            changed.name,
            before=organization,
            after=changed,
            security_relevant=True,
        )
    )
    return changed


def set_organization_alias(unit: Unit[IdentityStore], asked: str, etag: str) -> Organization:
    """Give the organization its alias, once."""
    require_everything(unit.reach, "identity.organization_aliases.set")
    organization = _get(unit.store, unit.organization_id)
    check_etag(etag, organization.version, "organization", organization.id)
    alias = rules.alias(asked, "alias")
    if organization.alias:
        message = "the organization has an alias, which stays"
        raise Precondition(Reason.INVALID_STATE, message, "organization", organization.id)
    _claim_alias(unit.store.directory, alias, organization.id)
    changed = replace(organization, alias=alias, version=organization.version + 1, update_time=unit.now)
    unit.store.organizations.replace(changed)
    # It is expected to open a login at once.
    unit.record(
        Change(
            "organization.updated",
            "organization",
            organization.id,
            changed.name,
            before=organization,
            after=changed,
            awaited=True,
        )
    )
    return changed


def _keep(
    unit: Unit[IdentityStore], organization: Organization, settings: SecuritySettings, project: Project, owner: User
) -> None:
    unit.store.organizations.add(organization, settings)
    unit.store.projects.add(project)
    unit.store.users.add(owner)
    # Awaited: the caller goes on with groups and policies that the others make on hearing of it.
    unit.record(
        Change(
            "organization.created",
            "organization",
            organization.id,
            organization.name,
            after=organization,
            awaited=True,
        )
    )
    unit.record(Change("user.created", "user", owner.id, owner.username, after=owner, awaited=True))
    unit.record(Change("project.created", "project", project.id, project.name, after=project, awaited=True))


def _named(directory: Directory, organization: Organization, draft: OrganizationDraft) -> Organization:
    """Return the organization with its number and slug, all its names claimed."""
    if not directory.claim(DirectoryKind.OWNER_EMAIL, rules.fold(organization.owner_email), organization.id):
        raise AlreadyExists("organization", organization.owner_email, "owner.primary_email")
    number = _claim_number(directory, organization.id, draft.number)
    slug = _claim_slug(directory, organization.id, draft.slug, organization.name, number)
    return replace(organization, number=number, slug=slug)


def _claim_number(directory: Directory, organization_id: OrganizationId, asked: int) -> int:
    if not 0 <= asked <= _HIGHEST_ASKED:
        raise Invalid(Violation("organization.number", f"must be from 1 to {_HIGHEST_ASKED}", rule="range"))
    if asked:
        if not directory.claim(DirectoryKind.NUMBER, str(asked), organization_id):
            raise AlreadyExists("organization", str(asked), "organization.number")
        return asked
    first = directory.highest_number() + 1
    for number in range(first, first + _DRAWS):
        if directory.claim(DirectoryKind.NUMBER, str(number), organization_id):
            return number
    raise AlreadyExists("organization", str(first), "organization.number")


def _claim_slug(directory: Directory, organization_id: OrganizationId, asked: str, name: str, number: int) -> str:
    if asked:
        slug = rules.slug(asked, "organization.slug")
        if not directory.claim(DirectoryKind.SLUG, slug, organization_id):
            raise AlreadyExists("organization", slug, "organization.slug")
        return slug
    base = rules.slug_from(name)
    # A name without letters that a slug can hold, or taken, is told apart by the organization's number.
    candidates = [base] if len(base) >= 3 else []
    candidates += [rules.numbered(base or "org", number + step, 16).rjust(3, "o") for step in range(_DRAWS)]
    for slug in candidates:
        if directory.claim(DirectoryKind.SLUG, slug, organization_id):
            return slug
    raise AlreadyExists("organization", candidates[0], "organization.slug")


def _claim_alias(directory: Directory, alias: str, organization_id: OrganizationId) -> None:
    # People type a slug or an alias into one box. Claimed as both, it never comes to mean two organizations.
    slug_is_free = directory.claim(DirectoryKind.SLUG, alias, organization_id)
    if not slug_is_free and directory.find(DirectoryKind.SLUG, alias) != organization_id:
        raise AlreadyExists("organization", alias, "alias")
    if not directory.claim(DirectoryKind.ALIAS, alias, organization_id):
        raise AlreadyExists("organization", alias, "alias")


def _get(store: IdentityStore, organization_id: OrganizationId) -> Organization:
    organization = store.organizations.find(organization_id)
    if organization is None:
        raise NotFound("organization", organization_id)
    return organization
