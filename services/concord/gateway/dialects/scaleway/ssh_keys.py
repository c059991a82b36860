"""SSH keys: public keys that the machines of a project let in."""

from typing import Annotated, Literal

import msgspec

from concord.credentials.v1 import ssh_key_pb2, ssh_key_service_pb2
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import (
    Count,
    Instant,
    Needle,
    Paged,
    Uuid,
    canonical,
    instant,
    invented_name,
    listed,
    order,
)
from concord.gateway.shapes import text_rule

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

_ORDERS = {"created_at": "create_time", "updated_at": "update_time", "name": "name"}
# `type base64 comment`: a line of two words has no comment that could name the key.
_WORDS_WITH_COMMENT = 3

KeyName = Annotated[str, text_rule(at_most=1000, pattern=r"[^\x00-\x1f\x7f-\x9f]*").meta()]
PublicKey = Annotated[str, text_rule(at_least=1, at_most=65000).meta()]


class SSHKey(msgspec.Struct, frozen=True):
    """An SSH key as it is answered. Its comment is not kept."""

    id: str
    name: str
    public_key: str
    fingerprint: str
    created_at: Instant | None
    updated_at: Instant | None
    organization_id: str
    project_id: str
    disabled: bool


class ListSSHKeysResponse(msgspec.Struct, frozen=True):
    """One page of SSH keys."""

    ssh_keys: list[SSHKey]
    total_count: Count


class ListSSHKeysQuery(Paged, frozen=True, kw_only=True):
    """Which SSH keys to list."""

    order_by: Literal[
        "created_at_asc", "created_at_desc", "updated_at_asc", "updated_at_desc", "name_asc", "name_desc"
    ] = "created_at_asc"
    organization_id: Uuid | None = None
    name: Needle | None = None
    project_id: Uuid | None = None
    disabled: bool | None = None


class CreateSSHKeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new SSH key. An empty name becomes the comment of the key."""

    name: KeyName
    public_key: PublicKey
    project_id: Uuid


class UpdateSSHKeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of an SSH key; null is no change."""

    name: KeyName | None = None
    disabled: bool | None = None


def to_ssh_key(source: ssh_key_pb2.SshKey) -> SSHKey:
    """Translate an answer."""
    return SSHKey(
        id=source.id,
        name=source.name,
        public_key=source.public_key,
        fingerprint=source.fingerprint,
        created_at=instant(source.create_time),
        updated_at=instant(source.update_time),
        organization_id=source.organization_id,
        project_id=source.project_id,
        disabled=source.disabled,
    )


def from_create(body: CreateSSHKeyRequest) -> ssh_key_service_pb2.CreateSshKeyRequest:
    """Translate a creation. A key without a name and without a comment gets an invented name."""
    has_comment = len(body.public_key.split(maxsplit=_WORDS_WITH_COMMENT - 1)) == _WORDS_WITH_COMMENT
    return ssh_key_service_pb2.CreateSshKeyRequest(
        ssh_key=ssh_key_pb2.SshKey(
            name=body.name or ("" if has_comment else invented_name("key")),
            public_key=body.public_key,
            project_id=canonical(body.project_id),
        )
    )


def from_update(key_id: str, body: UpdateSSHKeyRequest) -> ssh_key_service_pb2.UpdateSshKeyRequest:
    """Translate a change."""
    request = ssh_key_service_pb2.UpdateSshKeyRequest(ssh_key=ssh_key_pb2.SshKey(id=canonical(key_id)))
    if body.name is not None:
        request.ssh_key.name = body.name or invented_name("key")
        request.update_mask.paths.append("name")
    if body.disabled is not None:
        request.ssh_key.disabled = body.disabled
        request.update_mask.paths.append("disabled")
    return request


def from_list(query: ListSSHKeysQuery, skip: int, size: int) -> ssh_key_service_pb2.ListSshKeysRequest:
    """Translate a list's filter."""
    return ssh_key_service_pb2.ListSshKeysRequest(
        organization_id=canonical(query.organization_id),
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        project_ids=[canonical(query.project_id)] if query.project_id else (),
        text=query.name or "",
        disabled=query.disabled,
    )


async def list_ssh_keys(call: Call) -> ListSSHKeysResponse:
    """GET /ssh-keys."""

    async def fetch(skip: int, size: int) -> ListSSHKeysResponse:
        answer = await call.ask(call.core.ssh_keys.ListSshKeys, from_list(call.query, skip, size))
        return ListSSHKeysResponse([to_ssh_key(key) for key in answer.ssh_keys], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListSSHKeysResponse([], n))


async def create_ssh_key(call: Call) -> SSHKey:
    """POST /ssh-keys."""
    return to_ssh_key(await call.ask(call.core.ssh_keys.CreateSshKey, from_create(call.body)))


async def get_ssh_key(call: Call) -> SSHKey:
    """GET /ssh-keys/{ssh_key_id}."""
    request = ssh_key_service_pb2.GetSshKeyRequest(id=canonical(call.path["ssh_key_id"]))
    return to_ssh_key(await call.ask(call.core.ssh_keys.GetSshKey, request))


async def update_ssh_key(call: Call) -> SSHKey:
    """PATCH /ssh-keys/{ssh_key_id}. A change of nothing is a reading."""
    request = from_update(call.path["ssh_key_id"], call.body)
    if not request.update_mask.paths:
        return await get_ssh_key(call)
    return to_ssh_key(await call.ask(call.core.ssh_keys.UpdateSshKey, request))


async def delete_ssh_key(call: Call) -> None:
    """DELETE /ssh-keys/{ssh_key_id}."""
    request = ssh_key_service_pb2.DeleteSshKeyRequest(id=canonical(call.path["ssh_key_id"]))
    await call.ask(call.core.ssh_keys.DeleteSshKey, request)
