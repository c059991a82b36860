"""What identity copies from others: key counts, login times, second factors and locks to show, and limits to keep.

Copies never move a version or an update time: nobody has changed the resource.
"""

from dataclasses import replace

from concord.common.v1.change_pb2 import ChangeEvent
from concord.credentials.v1.api_key_pb2 import ApiKey
from concord.credentials.v1.credential_status_pb2 import MFA_STATE_ACTIVE
from concord.credentials.v1.mfa_pb2 import MfaDevice
from concord.credentials.v1.password_pb2 import Password
from concord.credentials.v1.session_pb2 import Session
from concord.identity.model import Quota
from concord.identity.store import IdentityStore
from concord.kernel.ids import ApplicationId, UserId
from concord.kernel.principal import PrincipalKind
from concord.kernel.rpc.wire import instant_from_wire, principal_from_wire
from concord.kernel.units import Unit
from concord.policy.v1.quota_pb2 import Quota as QuotaMessage


def apply_credentials(unit: Unit[IdentityStore], event: ChangeEvent) -> None:
    """Follow API keys, sessions, second factors and the locks of passwords."""
    match event.type:
        case "api_key.created":
            _count_key(unit, event, +1)
        case "api_key.deleted":
            _count_key(unit, event, -1)
        case "session.created":
            _note_login(unit, event)
        case "mfa_device.activated" | "mfa_device.deleted":
            _note_factor(unit, event)
        case "password.locked" | "password.unlocked" | "password.set":
            _note_lock(unit, event)


def apply_policy(unit: Unit[IdentityStore], event: ChangeEvent) -> None:
    """Follow quotas."""
    if event.resource_type != "quota":
        return
    message = QuotaMessage()
    if event.after.Unpack(message):
        limit = None if message.unlimited else message.limit
        unit.store.quotas.set(Quota(unit.organization_id, message.name, limit))
    elif event.before.Unpack(message):
        unit.store.quotas.reset(unit.organization_id, message.name)


def _count_key(unit: Unit[IdentityStore], event: ChangeEvent, step: int) -> None:
    key = ApiKey()
    if not (event.after if step > 0 else event.before).Unpack(key):
        return
    bearer = principal_from_wire(key.bearer)
    if bearer is not None and bearer.kind is PrincipalKind.APPLICATION:
        unit.store.applications.add_to_key_count(unit.organization_id, ApplicationId(bearer.id), step)


def _note_login(unit: Unit[IdentityStore], event: ChangeEvent) -> None:
    session = Session()
    if not event.after.Unpack(session):
        return
    principal = principal_from_wire(session.principal)
    # Acting as somebody else is not that person's login.
    if principal is None or principal.kind is not PrincipalKind.USER or session.assumed_by.id:
        return
    user = unit.store.users.find(unit.organization_id, UserId(principal.id))
    at = instant_from_wire(session.create_time)
    if user is not None and (user.last_login_time is None or user.last_login_time < at):
        unit.store.users.set_last_login(replace(user, last_login_time=at))


def _note_factor(unit: Unit[IdentityStore], event: ChangeEvent) -> None:
    device = MfaDevice()
    # A device that goes is told as it was; whatever it was, the user has none now.
    if not (event.after if event.HasField("after") else event.before).Unpack(device):
        return
    user = unit.store.users.find(unit.organization_id, UserId(device.user_id))
    enabled = event.type == "mfa_device.activated" and device.state == MFA_STATE_ACTIVE
    if user is not None and user.mfa_enabled is not enabled:
        unit.store.users.set_mfa_enabled(replace(user, mfa_enabled=enabled))


def _note_lock(unit: Unit[IdentityStore], event: ChangeEvent) -> None:
    password = Password()
    if not event.after.Unpack(password):
        return
    user = unit.store.users.find(unit.organization_id, UserId(password.user_id))
    # A password that is replaced while it is locked stays so; one that is deleted leaves its user locked out.
    locked = password.HasField("lock_time")
    if user is not None and user.password_locked is not locked:
        unit.store.users.set_password_locked(replace(user, password_locked=locked))
