"""The life of API keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from concord.credentials.model.api_keys import ApiKey, ApiKeyState
from concord.credentials.model.checks import MAX_DESCRIPTION, MAX_NAME, check_attributes, check_text, refuse
from concord.credentials.model.tokens import MAX_SCOPE_TEXT, too_much_scope
from concord.credentials.operations import session_changes
from concord.credentials.operations.assumptions import end_assumed_with_key
from concord.credentials.operations.principals import require_principal
from concord.credentials.secrets.drawing import KeyFormat, draw_key
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import Conflict, Denied, Invalid, NotFound, Precondition, Reason, Violation
from concord.kernel.ids import ApiKeyId, OrganizationId
from concord.kernel.principal import PrincipalRef
from concord.kernel.quotas import DEFAULT_LIMITS, require_room
from concord.kernel.secret import Secret
from concord.kernel.units import Change, Unit

QUOTA: Final = "api_keys"
MUTABLE: Final = frozenset({"name", "description", "default_project_id", "expire_time", "state", "attributes"})
MAX_SCOPES: Final = 100
MAX_SCOPE: Final = 256
MIN_OVERLAP: Final = timedelta(minutes=10)
MAX_OVERLAP: Final = timedelta(days=7)
# Sessions that end together are announced one by one up to here.
MAX_ANNOUNCED: Final = 100

Keys = Unit[CredentialStore]


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """What a caller says about a key to be made."""

    bearer: PrincipalRef
    name: str = ""
    description: str = ""
    default_project_id: str = ""
    ceiling: tuple[str, ...] = ()
    expire_time: datetime | None = None
    secret_recoverable: bool = False
    state: ApiKeyState = ApiKeyState.ACTIVE
    attributes: Mapping[str, str] = field(default_factory=dict)
    format: KeyFormat = field(default_factory=KeyFormat)


@dataclass(frozen=True, slots=True)
class ApiKeyPatch:
    """New values of a key's fields; only those that are named count."""

    named: frozenset[str]
    name: str = ""
    description: str = ""
    default_project_id: str = ""
    expire_time: datetime | None = None
    state: ApiKeyState = ApiKeyState.ACTIVE
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A new key, and its secret for this once."""

    key: ApiKey
    secret: Secret


def create_api_key(unit: Keys, wanted: NewApiKey, vault: Vault) -> CreatedApiKey:
    """Make a key for a principal of the organization."""
    found = _check_texts(wanted.name, wanted.description, wanted.attributes)
    found += _check_ceiling(wanted.ceiling)
    found += _check_new_expiry(unit, wanted.expire_time)
    refuse(found)
    drawn = draw_key(wanted.format)
    require_principal(unit, wanted.bearer)
    unit.require_target(wanted.bearer)
    project_id = _resolve_project(unit, wanted.default_project_id)
    limit = unit.store.find_limit(unit.organization_id, QUOTA, DEFAULT_LIMITS[QUOTA])
    require_room(QUOTA, limit, lambda: unit.store.count_keys(unit.organization_id))

    key = ApiKey(
        id=ids.new(ApiKeyId),
        organization_id=unit.organization_id,
        number=unit.store.next_number(unit.organization_id, "api_key"),
        version=1,
        bearer=wanted.bearer,
        access_id=drawn.access_id,
        secret_recoverable=wanted.secret_recoverable,
        secret_identifies=drawn.identifies,
        default_project_id=project_id,
        create_time=unit.now,
        update_time=unit.now,
        name=wanted.name,
        description=wanted.description,
        state=wanted.state,
        ceiling=wanted.ceiling,
        expire_time=wanted.expire_time,
        creation_ip=unit.author.caller_address,
        attributes=wanted.attributes,
    )
    sealed = vault.seal(key.organization_id, key.id, drawn.secret) if key.secret_recoverable else None
    unit.store.add_key(key, vault.hash(drawn.secret), sealed)
    unit.record(Change("api_key.created", "api_key", key.id, key.access_id, after=key, awaited=True))
    return CreatedApiKey(key, drawn.secret)


def get_api_key(
    store: CredentialStore, organization_id: OrganizationId, key_id: str = "", access_id: str = ""
) -> ApiKey:
    """Return a key by either of its names."""
    if key_id:
        key = store.find_key(organization_id, ids.parse(ApiKeyId, key_id, "id"))
    else:
        key = None if "\x00" in access_id else store.find_key_named(organization_id, access_id)
    if key is None:
        raise NotFound("api_key", key_id or access_id)
    return key


def update_api_key(unit: Keys, key_id: str, patch: ApiKeyPatch, etag: str = "") -> ApiKey:
    """Change the named fields of a key. A suspended or shortened key takes its sessions along."""
    before = _own_key(unit, key_id, etag)
    refuse(_check_texts(patch.name, patch.description, patch.attributes))
    key = replace(
        before,
        version=before.version + 1,
        update_time=unit.now,
        **{name: getattr(patch, name) for name in patch.named if name not in ("expire_time", "default_project_id")},
    )
    if "default_project_id" in patch.named:
        key = replace(key, default_project_id=_resolve_project(unit, patch.default_project_id))
    if "expire_time" in patch.named:
        key = replace(key, expire_time=_settle_expiry(before, patch.expire_time, unit.now))
    unit.store.replace_key(key)
    if key.state is not ApiKeyState.ACTIVE:
        _end_sessions(unit, key)
    if key.expire_time is not None:
        unit.store.shorten_sessions_of_key(key.organization_id, key.id, key.expire_time, unit.now)
    unit.record(
        Change("api_key.updated", "api_key", key.id, key.access_id, before=before, after=key, security_relevant=True)
    )
    return key


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a key's access id and secret are replaced."""

    format: KeyFormat = field(default_factory=KeyFormat)
    overlap: timedelta = timedelta(0)
    limit: tuple[str, ...] = ()
    """What the caller's own credential is lowered to; empty for nothing."""


def rotate_api_key(unit: Keys, key_id: str, wanted: Rotation, vault: Vault, etag: str = "") -> CreatedApiKey:
    """Give a key a new access id and secret. The pair before is good for the overlap, if there is one."""
    before = _own_key(unit, key_id, etag)
    _require_within(before, wanted.limit, "credentials.api_keys.rotate")
    if wanted.overlap and not MIN_OVERLAP <= wanted.overlap <= MAX_OVERLAP:
        # A passport may live five minutes on: a pair must not stop before those made from it do.
        raise Invalid(Violation("overlap", "must be 0, or lie between 600 and 604800 seconds", rule="range"))
    drawn = draw_key(wanted.format)
    if before.is_expired(unit.now):
        raise Precondition(Reason.INVALID_STATE, "the key has expired", "api_key", before.id)
    until = unit.now + wanted.overlap
    key = replace(
        before,
        version=before.version + 1,
        access_id=drawn.access_id,
        secret_identifies=drawn.identifies,
        rotate_time=unit.now,
        former_expire_time=until if wanted.overlap else None,
        update_time=unit.now,
    )
    sealed = vault.seal(key.organization_id, key.id, drawn.secret) if key.secret_recoverable else None
    unit.store.rotate_key(key, vault.hash(drawn.secret), sealed, until)
    if wanted.overlap:
        unit.store.shorten_sessions_of_key(key.organization_id, key.id, until, unit.now)
    else:
        _end_sessions(unit, key)
    unit.record(
        Change("api_key.rotated", "api_key", key.id, key.access_id, before=before, after=key, security_relevant=True)
    )
    return CreatedApiKey(key, drawn.secret)


def set_api_key_state(unit: Keys, key_id: str, state: ApiKeyState, etag: str = "") -> ApiKey:
    """Make a key powerless, or let it be used again; one that is so already stays as it is."""
    before = _own_key(unit, key_id, etag)
    if before.state is state:
        return before
    return update_api_key(unit, key_id, ApiKeyPatch(frozenset({"state"}), state=state), etag)


def reveal_api_key(unit: Keys, key_id: str, access_id: str, vault: Vault, limit: tuple[str, ...] = ()) -> CreatedApiKey:
    """Return a recoverable key with its secret, and leave a mark that it was shown."""
    key = get_api_key(unit.store, unit.organization_id, key_id, access_id)
    unit.require_target(key.bearer)
    _require_within(key, limit, "credentials.api_key_secrets.reveal")
    sealed = unit.store.find_sealed_secret(unit.organization_id, key.id)
    if sealed is None:
        raise Precondition(Reason.INVALID_STATE, "the secret of the key is not kept", "api_key", key.id)
    unit.record(Change("api_key.revealed", "api_key", key.id, key.access_id, after=key))
    return CreatedApiKey(key, vault.open(unit.organization_id, key.id, sealed))


def delete_api_key(unit: Keys, key_id: str, etag: str = "") -> None:
    """Delete a key and end the sessions it opened."""
    end_api_key(unit, _own_key(unit, key_id, etag))


def end_api_key(unit: Keys, key: ApiKey) -> None:
    """Turn a key into its tombstone, which tells later who shows it that it was revoked."""
    ended = replace(key, state=ApiKeyState.DELETED, version=key.version + 1, update_time=unit.now)
    unit.store.replace_key(ended)
    unit.store.end_sessions_of_key(key.organization_id, key.id, unit.now)
    end_assumed_with_key(unit, key.id)
    unit.record(Change("api_key.deleted", "api_key", key.id, key.access_id, before=key, security_relevant=True))


def _end_sessions(unit: Keys, key: ApiKey) -> None:
    """End what a suspended key opened, and say so: the key may come back, its sessions do not."""
    end_assumed_with_key(unit, key.id)
    live = unit.store.live_sessions_of_key(key.organization_id, key.id, unit.now, MAX_ANNOUNCED + 1)
    unit.store.end_sessions_of_key(key.organization_id, key.id, unit.now)
    if len(live) > MAX_ANNOUNCED:
        # One event for all that the bearer has: too many to tell one by one, and too many to let one slip.
        session_changes.end_all_of(unit, key.bearer)
        return
    for session in live:
        session_changes.tell_end(unit, session)


def _own_key(unit: Keys, key_id: str, etag: str) -> ApiKey:
    key = get_api_key(unit.store, unit.organization_id, key_id)
    unit.require_target(key.bearer)
    if etag and etag != key.etag:
        raise Conflict("api_key", key.id)
    if key.is_managed:
        raise Precondition(Reason.RESOURCE_MANAGED, "the key was supplied by the platform", "api_key", key.id)
    return key


def _require_within(key: ApiKey, limit: tuple[str, ...], permission: str) -> None:
    """Refuse to hand out the secret of a key that may do more than the credential it is asked for with."""
    if limit and not (key.ceiling and set(limit).issuperset(key.ceiling)):
        raise Denied(permission, message="a credential with limits is shown no secret that may do more")


def _resolve_project(unit: Keys, project_id: str) -> str:
    if not project_id or project_id == unit.organization_id:
        # The default project has the organization's id and cannot be deleted.
        return unit.organization_id
    if not unit.store.has_project(unit.organization_id, project_id):
        raise NotFound("project", project_id)
    return project_id


def _check_new_expiry(unit: Keys, expire_time: datetime | None) -> list[Violation]:
    rules = unit.store.find_organization(unit.organization_id)
    longest = timedelta(0) if rules is None else rules.max_api_key_ttl
    if expire_time is None:
        if longest:
            return [Violation("api_key.expire_time", "is required by the organization's settings", rule="required")]
        return []
    if expire_time <= unit.now:
        return [Violation("api_key.expire_time", "must lie in the future", rule="future")]
    if longest and expire_time - unit.now > longest:
        text = f"must be at most {int(longest.total_seconds())} seconds ahead"
        return [Violation("api_key.expire_time", text, rule="range")]
    return []


def _settle_expiry(key: ApiKey, wanted: datetime | None, now: datetime) -> datetime | None:
    if wanted == key.expire_time:
        return wanted
    if key.expire_time is not None:
        raise Precondition(Reason.INVALID_STATE, "the expiry of a key is set once", "api_key", key.id)
    if wanted is not None and wanted <= now:
        raise Invalid(Violation("api_key.expire_time", "must lie in the future", rule="future"))
    return wanted


def _check_texts(name: str, description: str, attributes: Mapping[str, str]) -> list[Violation]:
    return [
        *check_text(name, "api_key.name", MAX_NAME),
        *check_text(description, "api_key.description", MAX_DESCRIPTION),
        *check_attributes(attributes, "api_key.attributes"),
    ]


def _check_ceiling(scopes: tuple[str, ...]) -> list[Violation]:
    if len(scopes) > MAX_SCOPES or any(not 0 < len(each) <= MAX_SCOPE or "\x00" in each for each in scopes):
        text = f"must be at most {MAX_SCOPES} names of 1 to {MAX_SCOPE} characters"
        return [Violation("api_key.ceiling.scopes", text, rule="length")]
    if too_much_scope(scopes):
        return [
            Violation("api_key.ceiling.scopes", f"must have at most {MAX_SCOPE_TEXT} bytes together", rule="length")
        ]
    return []
