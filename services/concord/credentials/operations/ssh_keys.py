"""The life of SSH keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from concord.credentials.model.checks import check_attributes, check_text, refuse
from concord.credentials.model.ssh_keys import MAX_SSH_NAME, SshKey, read_public_key
from concord.credentials.store import CredentialStore
from concord.kernel import ids
from concord.kernel.errors import AlreadyExists, Conflict, Denied, NotFound, Precondition, Reason, Violation
from concord.kernel.ids import OrganizationId, SshKeyId
from concord.kernel.principal import Reach
from concord.kernel.quotas import DEFAULT_LIMITS, require_room
from concord.kernel.units import Change, Unit

QUOTA: Final = "ssh_keys"
MUTABLE: Final = frozenset({"name", "disabled", "attributes"})

Keys = Unit[CredentialStore]


@dataclass(frozen=True, slots=True)
class NewSshKey:
    """What a caller says about a key to be added."""

    public_key: str
    name: str = ""
    project_id: str = ""
    disabled: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    refuse_repeated: bool = False


@dataclass(frozen=True, slots=True)
class SshKeyPatch:
    """New values of a key's fields; only those that are named count."""

    named: frozenset[str]
    name: str = ""
    disabled: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


def create_ssh_key(unit: Keys, wanted: NewSshKey) -> SshKey:
    """Add a key to a project."""
    refuse(_check_texts(wanted.name, wanted.attributes))
    read = read_public_key(wanted.public_key)
    project_id = wanted.project_id or unit.organization_id
    # The default project has the organization's id and cannot be deleted.
    if project_id != unit.organization_id and not unit.store.has_project(unit.organization_id, project_id):
        raise NotFound("project", project_id)
    require_project(unit.reach, project_id, "credentials.ssh_keys.create")
    if wanted.refuse_repeated and unit.store.has_ssh_key(unit.organization_id, project_id, read.fingerprint_sha256):
        raise AlreadyExists("ssh_key", read.fingerprint_sha256, "public_key")
    limit = unit.store.find_limit(unit.organization_id, QUOTA, DEFAULT_LIMITS[QUOTA])
    require_room(QUOTA, limit, lambda: unit.store.count_ssh_keys(unit.organization_id))
    key = SshKey(
        id=ids.new(SshKeyId),
        organization_id=unit.organization_id,
        version=1,
        name=wanted.name or read.comment[:MAX_SSH_NAME],
        public_key=read.text,
        algorithm=read.algorithm,
        bits=read.bits,
        fingerprint=read.fingerprint,
        fingerprint_sha256=read.fingerprint_sha256,
        project_id=project_id,
        create_time=unit.now,
        update_time=unit.now,
        disabled=wanted.disabled,
        attributes=wanted.attributes,
    )
    unit.store.add_ssh_key(key)
    unit.record(Change("ssh_key.created", "ssh_key", key.id, key.name, after=key))
    return key


def get_ssh_key(
    store: CredentialStore, organization_id: OrganizationId, key_id: str, reach: Reach, permission: str
) -> SshKey:
    """Return a key that a right reaches."""
    key = store.find_ssh_key(organization_id, ids.parse(SshKeyId, key_id, "id"))
    if key is None:
        raise NotFound("ssh_key", key_id)
    require_project(reach, key.project_id, permission)
    return key


def update_ssh_key(unit: Keys, key_id: str, patch: SshKeyPatch, etag: str = "") -> SshKey:
    """Change the named fields of a key."""
    before = _changeable(unit, key_id, etag, "credentials.ssh_keys.update")
    refuse(_check_texts(patch.name, patch.attributes))
    key = replace(
        before,
        version=before.version + 1,
        update_time=unit.now,
        **{name: getattr(patch, name) for name in patch.named},
    )
    unit.store.replace_ssh_key(key)
    unit.record(
        Change("ssh_key.updated", "ssh_key", key.id, key.name, before=before, after=key, security_relevant=True)
    )
    return key


def delete_ssh_key(unit: Keys, key_id: str, etag: str = "") -> None:
    """Delete a key."""
    end_ssh_key(unit, _changeable(unit, key_id, etag, "credentials.ssh_keys.delete"))


def end_ssh_key(unit: Keys, key: SshKey) -> None:
    """Take a key away, by a call or with its project."""
    unit.store.remove_ssh_key(unit.organization_id, key.id)
    unit.record(Change("ssh_key.deleted", "ssh_key", key.id, key.name, before=key, security_relevant=True))


def require_project(reach: Reach, project_id: str, permission: str) -> None:
    """Refuse where a right does not hold in a project."""
    if not reach.holds_in(project_id):
        raise Denied(permission)


def _changeable(unit: Keys, key_id: str, etag: str, permission: str) -> SshKey:
    key = get_ssh_key(unit.store, unit.organization_id, key_id, unit.reach, permission)
    if etag and etag != key.etag:
        raise Conflict("ssh_key", key.id)
    if key.is_managed:
        raise Precondition(Reason.RESOURCE_MANAGED, "the key was supplied by the platform", "ssh_key", key.id)
    return key


def _check_texts(name: str, attributes: Mapping[str, str]) -> list[Violation]:
    return [*check_text(name, "ssh_key.name", MAX_SSH_NAME), *check_attributes(attributes, "ssh_key.attributes")]
