"""SSH keys."""

from collections.abc import Iterable

from concord.credentials.model.ssh_keys import SshKey
from concord.credentials.operations.ssh_keys import MUTABLE, NewSshKey, SshKeyPatch
from concord.credentials.store.ssh_keys import SshKeyFilter
from concord.credentials.v1 import ssh_key_pb2, ssh_key_service_pb2
from concord.credentials.wire.common import id_set, named_fields, search_text
from concord.kernel import ids
from concord.kernel.ids import OrganizationId, ProjectId, SshKeyId
from concord.kernel.principal import Reach
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire


def ssh_key_to_wire(key: SshKey) -> ssh_key_pb2.SshKey:
    """Return the message for a key."""
    return ssh_key_pb2.SshKey(
        id=key.id,
        organization_id=key.organization_id,
        version=key.version,
        etag=key.etag,
        create_time=instant_to_wire(key.create_time),
        update_time=instant_to_wire(key.update_time),
        catalogue=key.catalogue,
        managed=key.is_managed,
        editable=not key.is_managed,
        deletable=not key.is_managed,
        attributes=key.attributes,
        name=key.name,
        public_key=key.public_key,
        algorithm=key.algorithm,
        bits=key.bits,
        fingerprint=key.fingerprint,
        fingerprint_sha256=key.fingerprint_sha256,
        project_id=key.project_id,
        disabled=key.disabled,
    )


def ssh_key_from_wire(message: ssh_key_pb2.SshKey) -> SshKey:
    """Return the key of a message that `ssh_key_to_wire` made."""
    return SshKey(
        id=SshKeyId(message.id),
        organization_id=OrganizationId(message.organization_id),
        version=message.version,
        name=message.name,
        public_key=message.public_key,
        algorithm=message.algorithm,
        bits=message.bits,
        fingerprint=message.fingerprint,
        fingerprint_sha256=message.fingerprint_sha256,
        project_id=message.project_id,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        disabled=message.disabled,
        catalogue=message.catalogue,
        attributes=dict(message.attributes),
    )


def new_ssh_key_from_wire(request: ssh_key_service_pb2.CreateSshKeyRequest) -> NewSshKey:
    """Return what a request says about a key to be added."""
    message = request.ssh_key
    project_id = message.project_id
    return NewSshKey(
        public_key=message.public_key,
        name=message.name,
        project_id=ids.parse(ProjectId, project_id, "ssh_key.project_id") if project_id else "",
        disabled=message.disabled,
        attributes=dict(message.attributes),
        refuse_repeated=request.refuse_repeated,
    )


def patch_from_wire(message: ssh_key_pb2.SshKey, paths: Iterable[str]) -> SshKeyPatch:
    """Return the new values that a mask names."""
    named = named_fields(paths, MUTABLE)
    return SshKeyPatch(named, message.name, message.disabled, dict(message.attributes))


def filter_from_wire(request: ssh_key_service_pb2.ListSshKeysRequest, reach: Reach) -> SshKeyFilter:
    """Return what a list request asks for, within what the caller's right reaches."""
    projects, excepted = reach.within(id_set(request.project_ids, "project_ids"))
    return SshKeyFilter(
        ids=id_set(request.ids, "ids"),
        project_ids=projects,
        except_project_ids=excepted,
        text=search_text(request.text, "text"),
        disabled=request.disabled if request.HasField("disabled") else None,
    )
