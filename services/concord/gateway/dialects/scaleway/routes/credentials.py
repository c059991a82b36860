"""SSH keys and JWTs."""

from typing import Final

from concord.gateway.dialects.scaleway import jwts, ssh_keys
from concord.gateway.dialects.scaleway.fields import UUID_PATH
from concord.gateway.dialects.scaleway.routes.common import ANY, BASE, READ, WRITE, one, updates
from concord.gateway.route import Route
from concord.gateway.shapes import Body, Query

_SSH_KEYS = "concord.credentials.v1.SshKeyService/"
_SESSIONS = "concord.credentials.v1.SessionService/"

SSH_KEY_ROUTES: Final = (
    Route(
        method="GET",
        path=f"{BASE}/ssh-keys",
        operation="ListSSHKeys",
        summary="List SSH keys",
        tag="SSH Keys",
        permission="credentials.ssh_keys.list",
        covers=one(f"{_SSH_KEYS}ListSshKeys"),
        handler=ssh_keys.list_ssh_keys,
        path_shapes={},
        query=Query(ssh_keys.ListSSHKeysQuery),
        answer=ssh_keys.ListSSHKeysResponse,
        refusals=READ,
    ),
    Route(
        method="POST",
        path=f"{BASE}/ssh-keys",
        operation="CreateSSHKey",
        summary="Add an SSH key to a Project",
        tag="SSH Keys",
        permission="credentials.ssh_keys.create",
        covers=one(f"{_SSH_KEYS}CreateSshKey"),
        handler=ssh_keys.create_ssh_key,
        path_shapes={},
        body=Body(ssh_keys.CreateSSHKeyRequest),
        answer=ssh_keys.SSHKey,
        refusals=WRITE,
    ),
    Route(
        method="GET",
        path=f"{BASE}/ssh-keys/{{ssh_key_id}}",
        operation="GetSSHKey",
        summary="Get one SSH key",
        tag="SSH Keys",
        permission="credentials.ssh_keys.get",
        covers=one(f"{_SSH_KEYS}GetSshKey"),
        handler=ssh_keys.get_ssh_key,
        path_shapes={"ssh_key_id": UUID_PATH},
        answer=ssh_keys.SSHKey,
        refusals=READ,
    ),
    Route(
        method="PATCH",
        path=f"{BASE}/ssh-keys/{{ssh_key_id}}",
        operation="UpdateSSHKey",
        summary="Rename, disable or enable an SSH key",
        tag="SSH Keys",
        permission="credentials.ssh_keys.update",
        covers={**updates(f"{_SSH_KEYS}UpdateSshKey", "disabled", "name"), f"{_SSH_KEYS}GetSshKey": ANY},
        handler=ssh_keys.update_ssh_key,
        path_shapes={"ssh_key_id": UUID_PATH},
        body=Body(ssh_keys.UpdateSSHKeyRequest),
        answer=ssh_keys.SSHKey,
        refusals=WRITE,
    ),
    Route(
        method="DELETE",
        path=f"{BASE}/ssh-keys/{{ssh_key_id}}",
        operation="DeleteSSHKey",
        summary="Delete an SSH key",
        tag="SSH Keys",
        permission="credentials.ssh_keys.delete",
        covers=one(f"{_SSH_KEYS}DeleteSshKey"),
        handler=ssh_keys.delete_ssh_key,
        path_shapes={"ssh_key_id": UUID_PATH},
        status=204,
        refusals=WRITE,
    ),
)

JWT_ROUTES: Final = (
    Route(
        method="GET",
        path=f"{BASE}/jwts",
        operation="ListJWTs",
        summary="List JWTs",
        tag="JWTs",
        permission="credentials.sessions.list",
        covers=one(f"{_SESSIONS}ListSessions"),
        handler=jwts.list_jwts,
        path_shapes={},
        query=Query(jwts.ListJWTsQuery),
        answer=jwts.ListJWTsResponse,
        refusals=READ,
    ),
    Route(
        method="GET",
        path=f"{BASE}/jwts/{{jti}}",
        operation="GetJWT",
        summary="Get one JWT",
        tag="JWTs",
        permission="credentials.sessions.get",
        covers=one(f"{_SESSIONS}GetSession"),
        handler=jwts.get_jwt,
        path_shapes={"jti": UUID_PATH},
        answer=jwts.JWT,
        refusals=READ,
    ),
    Route(
        method="DELETE",
        path=f"{BASE}/jwts/{{jti}}",
        operation="DeleteJWT",
        summary="Delete a JWT: its login is over",
        tag="JWTs",
        permission="credentials.sessions.revoke",
        covers={f"{_SESSIONS}RevokeSession": ANY, f"{_SESSIONS}GetSession": ANY},
        handler=jwts.delete_jwt,
        path_shapes={"jti": UUID_PATH},
        status=204,
        refusals=WRITE,
    ),
)
