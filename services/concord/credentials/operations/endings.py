"""What ends, and what changes, when something that credentials hang on ends elsewhere."""

from dataclasses import replace

from concord.credentials.model.holders import LifeState
from concord.credentials.operations.api_keys import end_api_key
from concord.credentials.operations.clients import end_client
from concord.credentials.operations.sessions import raise_epoch
from concord.credentials.operations.ssh_keys import end_ssh_key
from concord.credentials.operations.trust_policies import end_trust_policy
from concord.credentials.store import CredentialStore
from concord.kernel.ids import UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.units import Change, Unit


def end_principal(unit: Unit[CredentialStore], principal: PrincipalRef) -> None:
    """Take all credentials from a principal that was deleted."""
    unit.store.put_principal(unit.organization_id, principal, LifeState.DELETED)
    for key in unit.store.keys_of(unit.organization_id, principal):
        end_api_key(unit, key)
    for client in unit.store.clients_of(unit.organization_id, principal):
        end_client(unit, client)
    if principal.kind is PrincipalKind.USER:
        end_trust_policy(unit, UserId(principal.id))
        _end_password(unit, UserId(principal.id))
        unit.store.remove_person(unit.organization_id, UserId(principal.id))
        unit.store.release_clients(unit.organization_id, UserId(principal.id))
        unit.store.remove_consents_of_user(unit.organization_id, UserId(principal.id))
    raise_epoch(unit, principal)


def suspend_principal(unit: Unit[CredentialStore], principal: PrincipalRef) -> None:
    """Make a principal's credentials powerless. Its sessions end; its keys wait for its return."""
    unit.store.put_principal(unit.organization_id, principal, LifeState.SUSPENDED)
    raise_epoch(unit, principal)


def leave_project(unit: Unit[CredentialStore], project_id: str) -> None:
    """Let the keys of a deleted project fall back to the default one; its SSH keys end with it."""
    for ssh_key in unit.store.ssh_keys_in_project(unit.organization_id, project_id):
        end_ssh_key(unit, ssh_key)
    for key in unit.store.keys_in_project(unit.organization_id, project_id):
        moved = replace(key, default_project_id=unit.organization_id, version=key.version + 1, update_time=unit.now)
        unit.store.replace_key(moved)
        unit.record(
            Change(
                "api_key.updated",
                "api_key",
                key.id,
                key.access_id,
                before=key,
                after=moved,
                security_relevant=True,
            )
        )


def _end_password(unit: Unit[CredentialStore], user_id: UserId) -> None:
    before = unit.store.find_password(unit.organization_id, user_id)
    if before is not None and unit.store.remove_password(unit.organization_id, user_id):
        unit.record(Change("password.deleted", "password", user_id, before=before, security_relevant=True))
