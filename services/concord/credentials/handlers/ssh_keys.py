"""Serves SSH keys."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.credentials.handlers.access import AWAITS
from concord.credentials.operations import ssh_keys
from concord.credentials.store import CredentialStore
from concord.credentials.store.ssh_keys import SSH_KEY_ORDERS
from concord.credentials.v1 import ssh_key_pb2, ssh_key_service_pb2
from concord.credentials.v1.ssh_key_service_pb2_grpc import SshKeyServiceServicer
from concord.credentials.wire import ssh_keys as wire
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class SshKeyHandlers(SshKeyServiceServicer):
    """Adds, shows, changes and deletes keys."""

    def __init__(self, units: Units[CredentialStore]) -> None:
        self._units = units

    async def CreateSshKey(self, request: ssh_key_service_pb2.CreateSshKeyRequest, context: Any) -> ssh_key_pb2.SshKey:
        Call.current().own_organization(request.organization_id)
        wanted = wire.new_ssh_key_from_wire(request)
        return await self._units.write(
            request, lambda unit: ssh_keys.create_ssh_key(unit, wanted), wire.ssh_key_to_wire, awaits=AWAITS
        )

    async def GetSshKey(self, request: ssh_key_service_pb2.GetSshKeyRequest, context: Any) -> ssh_key_pb2.SshKey:
        call = Call.current()
        organization_id, reach, permission = call.organization_id, call.reach, call.method.permission
        key = await self._units.look(
            lambda store: ssh_keys.get_ssh_key(store, organization_id, request.id, reach, permission)
        )
        return wire.ssh_key_to_wire(key)

    async def ListSshKeys(
        self, request: ssh_key_service_pb2.ListSshKeysRequest, context: Any
    ) -> ssh_key_service_pb2.ListSshKeysResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        wanted = wire.filter_from_wire(request, Call.current().reach)
        page = self._units.page_request(
            request, orders=SSH_KEY_ORDERS, default_order="create_time", organization_id=organization_id
        )
        found = await self._units.read(lambda store: store.list_ssh_keys(organization_id, wanted, page))
        return ssh_key_service_pb2.ListSshKeysResponse(
            ssh_keys=map(wire.ssh_key_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def UpdateSshKey(self, request: ssh_key_service_pb2.UpdateSshKeyRequest, context: Any) -> ssh_key_pb2.SshKey:
        patch = wire.patch_from_wire(request.ssh_key, request.update_mask.paths)
        key_id, etag = request.ssh_key.id, request.ssh_key.etag
        return await self._units.write(
            request, lambda unit: ssh_keys.update_ssh_key(unit, key_id, patch, etag), wire.ssh_key_to_wire
        )

    async def DeleteSshKey(self, request: ssh_key_service_pb2.DeleteSshKeyRequest, context: Any) -> Empty:
        return await self._units.write(
            request, lambda unit: ssh_keys.delete_ssh_key(unit, request.id, request.etag), lambda _: Empty()
        )
