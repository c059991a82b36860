"""Users: the people of an organization."""

from dataclasses import replace
from datetime import datetime

from concord.identity import rules
from concord.identity.drafts import ALL_USER_FIELDS, UserDraft, UserLocator
from concord.identity.model import (
    DirectoryKind,
    Population,
    User,
    UserKind,
    UserState,
    check_deletable,
    check_editable,
    check_etag,
)
from concord.identity.operations.access import Sight, check_quota, require_everything
from concord.identity.operations.connections import end_connections
from concord.identity.operations.laying import apply_user_draft
from concord.identity.store import IdentityStore, UserFilter
from concord.kernel import ids
from concord.kernel.errors import AlreadyExists, Denied, Invalid, NotFound, Precondition, Reason, Violation
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Change, Unit


def create_user(unit: Unit[IdentityStore], draft: UserDraft) -> User:
    """Create a member, guest or customer, active at once."""
    require_everything(unit.reach, "identity.users.create")
    if draft.kind is UserKind.OWNER:
        message = "an organization has one owner, born with it"
        raise Precondition(Reason.OWNER_PROTECTED, message, "user")
    user = make_user(unit.store, unit.organization_id, draft, draft.kind or UserKind.MEMBER, unit.now)
    check_quota(unit.store, unit.organization_id, "users", unit.store.users.count_counted)
    unit.store.users.add(user)
    unit.record(Change("user.created", "user", user.id, user.username, after=user))
    return user


def make_user(
    store: IdentityStore, organization_id: OrganizationId, draft: UserDraft, kind: UserKind, now: datetime
) -> User:
    """Return a new user of this kind, checked but not kept; the username is drawn where none is given."""
    blank = User(
        id=ids.new(UserId),
        organization_id=organization_id,
        kind=kind,
        username="",
        create_time=now,
        update_time=now,
        deletable=kind is not UserKind.OWNER,
    )
    if not draft.username and not draft.primary_email:
        raise Invalid(Violation("user.username", "is needed where there is no address", rule="required"))
    if not draft.username:
        address = rules.address(draft.primary_email, "user.primary_email")
        draft = replace(draft, username=_free_username(store, organization_id, address))
    return apply_user_draft(blank, draft, ALL_USER_FIELDS)


def get_user(store: IdentityStore, organization_id: OrganizationId, locator: UserLocator, sight: Sight) -> User:
    """Return one user that the call may see."""
    return require_seen(locate(store, organization_id, locator), locator, sight)


def require_seen(user: User | None, locator: UserLocator, sight: Sight) -> User:
    """Return the user that was looked for, if there is one and the call may see it."""
    if user is not None:
        sight.require_principal(user.ref, "identity.users.get")
        return user
    # Who may see only himself must not learn which other names exist.
    if sight.principals(PrincipalKind.USER) is not None:
        raise Denied("identity.users.get")
    raise NotFound("user", locator.text)


def list_users(
    store: IdentityStore, organization_id: OrganizationId, chosen: UserFilter, page: PageRequest, sight: Sight
) -> Page[User]:
    """Return a page of the users that the call may see."""
    only = sight.principals(PrincipalKind.USER, chosen.only)
    return store.users.page(organization_id, replace(chosen, only=only), page)


def update_user(
    unit: Unit[IdentityStore], user_id: UserId, draft: UserDraft, fields: frozenset[str], etag: str
) -> User:
    """Change the named fields. A change that changes nothing leaves no trace."""
    user = _get_for_write(unit, user_id, "identity.users.update")
    check_etag(etag, user.version, "user", user_id)
    check_editable(user, "user", user_id)
    if "kind" in fields and draft.kind is not user.kind:
        raise Precondition(Reason.OWNER_PROTECTED, "a user's kind does not change", "user", user_id)
    changed = apply_user_draft(user, draft, fields)
    if changed == user:
        return user
    if user.is_owner and changed.primary_email != user.primary_email:
        _move_owner_address(unit, user, changed)
    changed = replace(changed, version=user.version + 1, update_time=unit.now)
    unit.store.users.replace(changed)
    _record(unit, "user.updated", user, changed)
    return changed


def delete_user(unit: Unit[IdentityStore], user_id: UserId, etag: str) -> None:
    """Delete a user who is not the owner; the other services end what hangs on the user."""
    user = _get_for_write(unit, user_id, "identity.users.delete")
    _refuse_owner(user, "deleted")
    check_etag(etag, user.version, "user", user_id)
    check_deletable(user, "user", user_id)
    end_connections(unit, user_id)
    unit.store.users.remove(unit.organization_id, user_id)
    unit.record(Change("user.deleted", "user", user_id, user.username, before=user, security_relevant=True))


def suspend_user(unit: Unit[IdentityStore], user_id: UserId, reason: str, etag: str) -> User:
    """Make a user's credentials powerless until resumed."""
    user = _get_for_write(unit, user_id, "identity.users.suspend")
    _refuse_owner(user, "suspended")
    check_etag(etag, user.version, "user", user_id)
    suspended = replace(user, state=UserState.SUSPENDED, suspension_reason=rules.prose(reason, "reason"))
    return _move(unit, "user.suspended", user, suspended)


def resume_user(unit: Unit[IdentityStore], user_id: UserId, etag: str) -> User:
    """Lift a suspension."""
    user = _get_for_write(unit, user_id, "identity.users.resume")
    check_etag(etag, user.version, "user", user_id)
    if user.state in (UserState.INVITED, UserState.PROVISIONED):
        message = f"user `{user_id}` is not suspended but has not begun yet"
        raise Precondition(Reason.INVALID_STATE, message, "user", user_id)
    return _move(unit, "user.resumed", user, replace(user, state=UserState.ACTIVE, suspension_reason=""))


def _move(unit: Unit[IdentityStore], event: str, user: User, moved: User) -> User:
    if moved == user:
        return user
    moved = replace(moved, version=user.version + 1, update_time=unit.now)
    unit.store.users.replace(moved)
    _record(unit, event, user, moved)
    return moved


def _record(unit: Unit[IdentityStore], event: str, before: User, after: User) -> None:
    # Resuming takes nothing away, but a caller who resumes somebody expects it to hold at once.
    unit.record(
        Change(
            event,
            "user",
            after.id,
            after.username,
            before=before,
            after=after,
            security_relevant=event != "user.resumed",
            awaited=event == "user.resumed",
        )
    )


def locate(store: IdentityStore, organization_id: OrganizationId, locator: UserLocator) -> User | None:
    """Find a user, whoever asks."""
    if locator.user_id is not None:
        return store.users.find(organization_id, locator.user_id)
    if locator.username:
        return store.users.find_by_username(organization_id, locator.username)
    for population in Population:
        user = store.users.find_by_email(organization_id, population, locator.primary_email)
        if user is not None:
            return user
    return None


def _get_for_write(unit: Unit[IdentityStore], user_id: UserId, permission: str) -> User:
    require_everything(unit.reach, permission)
    unit.require_target(PrincipalRef(PrincipalKind.USER, user_id))
    user = unit.store.users.find(unit.organization_id, user_id)
    if user is None:
        raise NotFound("user", user_id)
    return user


def _refuse_owner(user: User, verb: str) -> None:
    if user.is_owner:
        raise Precondition(Reason.OWNER_PROTECTED, f"the owner cannot be {verb}", "user", user.id)


def _move_owner_address(unit: Unit[IdentityStore], owner: User, changed: User) -> None:
    """Keep the deployment's directory of owners in step with an owner's new address."""
    directory = unit.store.directory
    old, new = rules.fold(owner.primary_email), rules.fold(changed.primary_email)
    if new != old:
        if not directory.claim(DirectoryKind.OWNER_EMAIL, new, owner.organization_id):
            raise AlreadyExists("user", changed.primary_email, "user.primary_email")
        directory.release(DirectoryKind.OWNER_EMAIL, old, owner.organization_id)
    organization = unit.store.organizations.find(owner.organization_id)
    if organization is not None:
        # A copy for readers, not a change of the organization: its version stays.
        unit.store.organizations.replace(replace(organization, owner_email=changed.primary_email))


def _free_username(store: IdentityStore, organization_id: OrganizationId, address: str) -> str:
    base = address[: rules.MAX_NAME]
    if store.users.find_by_username(organization_id, base) is None:
        return base
    number = 2
    while True:
        candidate = rules.numbered(base, number, rules.MAX_NAME, "-")
        if store.users.find_by_username(organization_id, candidate) is None:
            return candidate
        number += 1
