"""Serves API keys."""

from dataclasses import replace
from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.credentials.handlers.access import AWAITS, require_everything, require_oneself, sight, within_ceiling
from concord.credentials.operations import api_keys
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.credentials.store.api_keys import API_KEY_ORDERS
from concord.credentials.v1 import api_key_pb2, api_key_service_pb2
from concord.credentials.v1.api_key_service_pb2_grpc import ApiKeyServiceServicer
from concord.credentials.wire import api_keys as wire
from concord.kernel.clock import Clock
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class ApiKeyHandlers(ApiKeyServiceServicer):
    """Makes, shows, changes and deletes keys."""

    def __init__(self, units: Units[CredentialStore], clock: Clock, vault: Vault) -> None:
        self._units = units
        self._clock = clock
        self._vault = vault

    async def CreateApiKey(
        self, request: api_key_service_pb2.CreateApiKeyRequest, context: Any
    ) -> api_key_service_pb2.CreateApiKeyResponse:
        Call.current().own_organization(request.organization_id)
        require_everything()
        require_oneself()
        wanted = wire.new_key_from_wire(request)
        wanted = replace(wanted, ceiling=within_ceiling(wanted.ceiling))
        return await self._units.write(
            request,
            lambda unit: api_keys.create_api_key(unit, wanted, self._vault),
            wire.tried_to_wire if request.validate_only else wire.created_to_wire,
            secret=True,
            awaits=AWAITS,
        )

    async def GetApiKey(self, request: api_key_service_pb2.GetApiKeyRequest, context: Any) -> api_key_pb2.ApiKey:
        require_everything()
        if not (request.id or request.access_id):
            raise Invalid(Violation("locator", "is required", rule="required"))
        call = Call.current()
        organization_id = call.organization_id
        key = await self._units.look(
            lambda store: api_keys.get_api_key(store, organization_id, request.id, request.access_id)
        )
        call.require_target(key.bearer)
        return wire.api_key_to_wire(key)

    async def ListApiKeys(
        self, request: api_key_service_pb2.ListApiKeysRequest, context: Any
    ) -> api_key_service_pb2.ListApiKeysResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        wanted = wire.filter_from_wire(request, self._clock.now(), sight())
        page = self._units.page_request(
            request, orders=API_KEY_ORDERS, default_order="create_time", organization_id=organization_id
        )
        found = await self._units.read(lambda store: store.list_keys(organization_id, wanted, page))
        return api_key_service_pb2.ListApiKeysResponse(
            api_keys=map(wire.api_key_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def UpdateApiKey(self, request: api_key_service_pb2.UpdateApiKeyRequest, context: Any) -> api_key_pb2.ApiKey:
        require_everything()
        patch = wire.patch_from_wire(request.api_key, request.update_mask.paths)
        key_id, etag = request.api_key.id, request.api_key.etag
        return await self._units.write(
            request,
            lambda unit: api_keys.update_api_key(unit, key_id, patch, etag),
            wire.api_key_to_wire,
            # Only its project can be a reference on its way; an unknown key is unknown at once.
            awaits=AWAITS if "default_project_id" in patch.named else (),
        )

    async def DeleteApiKey(self, request: api_key_service_pb2.DeleteApiKeyRequest, context: Any) -> Empty:
        require_everything()
        return await self._units.write(
            request, lambda unit: api_keys.delete_api_key(unit, request.id, request.etag), lambda _: Empty()
        )

    async def RotateApiKey(
        self, request: api_key_service_pb2.RotateApiKeyRequest, context: Any
    ) -> api_key_service_pb2.RotateApiKeyResponse:
        require_everything()
        require_oneself()
        wanted = wire.rotation_from_wire(request, Call.current().require_passport().ceiling)
        return await self._units.write(
            request,
            lambda unit: api_keys.rotate_api_key(unit, request.id, wanted, self._vault, request.etag),
            wire.rotation_tried_to_wire if request.validate_only else wire.rotated_to_wire,
            secret=True,
        )

    async def SetApiKeyState(
        self, request: api_key_service_pb2.SetApiKeyStateRequest, context: Any
    ) -> api_key_pb2.ApiKey:
        require_everything()
        state = wire.state_from_wire(request)
        return await self._units.write(
            request,
            lambda unit: api_keys.set_api_key_state(unit, request.id, state, request.etag),
            wire.api_key_to_wire,
        )

    async def RevealApiKey(
        self, request: api_key_service_pb2.RevealApiKeyRequest, context: Any
    ) -> api_key_service_pb2.RevealApiKeyResponse:
        require_everything()
        require_oneself()
        if not (request.id or request.access_id):
            raise Invalid(Violation("locator", "is required", rule="required"))
        limit = Call.current().require_passport().ceiling
        return await self._units.write(
            request,
            lambda unit: api_keys.reveal_api_key(unit, request.id, request.access_id, self._vault, limit),
            wire.reveal_tried_to_wire if request.validate_only else wire.revealed_to_wire,
            secret=True,
        )
