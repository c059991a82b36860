"""Serves OAuth clients."""

from dataclasses import replace
from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.credentials.handlers.access import AWAITS, require_everything, require_oneself, sight, within_ceiling
from concord.credentials.operations import clients
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.credentials.store.clients import CLIENT_ORDERS
from concord.credentials.v1 import oauth_client_pb2, oauth_client_service_pb2
from concord.credentials.v1.oauth_client_service_pb2_grpc import OAuthClientServiceServicer
from concord.credentials.wire import clients as wire
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class OAuthClientHandlers(OAuthClientServiceServicer):
    """Makes, shows and deletes clients."""

    def __init__(self, units: Units[CredentialStore], vault: Vault) -> None:
        self._units = units
        self._vault = vault

    async def CreateOAuthClient(
        self, request: oauth_client_service_pb2.CreateOAuthClientRequest, context: Any
    ) -> oauth_client_service_pb2.CreateOAuthClientResponse:
        Call.current().own_organization(request.organization_id)
        require_everything()
        require_oneself()
        wanted = wire.new_client_from_wire(request)
        wanted = replace(wanted, scopes=within_ceiling(wanted.scopes))
        return await self._units.write(
            request,
            lambda unit: clients.create_client(unit, wanted, self._vault),
            wire.tried_to_wire if request.validate_only else wire.created_to_wire,
            secret=True,
            awaits=AWAITS,
        )

    async def GetOAuthClient(
        self, request: oauth_client_service_pb2.GetOAuthClientRequest, context: Any
    ) -> oauth_client_pb2.OAuthClient:
        require_everything()
        if not (request.id or request.client_id):
            raise Invalid(Violation("locator", "is required", rule="required"))
        call = Call.current()
        organization_id = call.organization_id
        client = await self._units.read(
            lambda store: clients.get_client(store, organization_id, request.id, request.client_id)
        )
        call.require_target(clients.whose(client))
        return wire.client_to_wire(client)

    async def ListOAuthClients(
        self, request: oauth_client_service_pb2.ListOAuthClientsRequest, context: Any
    ) -> oauth_client_service_pb2.ListOAuthClientsResponse:
        organization_id = Call.current().own_organization(request.organization_id)
        wanted = wire.filter_from_wire(request, sight())
        page = self._units.page_request(
            request, orders=CLIENT_ORDERS, default_order="create_time", organization_id=organization_id
        )
        found = await self._units.read(lambda store: store.list_clients(organization_id, wanted, page))
        return oauth_client_service_pb2.ListOAuthClientsResponse(
            oauth_clients=map(wire.client_to_wire, found.items),
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )

    async def UpdateOAuthClient(
        self, request: oauth_client_service_pb2.UpdateOAuthClientRequest, context: Any
    ) -> oauth_client_pb2.OAuthClient:
        require_everything()
        require_oneself()
        patch, named = wire.patch_from_wire(request)
        id, etag = request.oauth_client.id, request.oauth_client.etag
        ceiling = Call.current().require_passport().ceiling
        return await self._units.write(
            request,
            lambda unit: clients.update_client(unit, id, patch, named, etag, ceiling=ceiling),
            wire.client_to_wire,
            awaits=AWAITS if "owner_user_id" in named else (),
        )

    async def CreateClientSecret(
        self, request: oauth_client_service_pb2.CreateClientSecretRequest, context: Any
    ) -> oauth_client_service_pb2.CreateClientSecretResponse:
        require_everything()
        require_oneself()
        ceiling = Call.current().require_passport().ceiling
        return await self._units.write(
            request,
            lambda unit: clients.create_client_secret(
                unit, request.oauth_client_id, request.name, self._vault, ceiling=ceiling
            ),
            wire.tried_secret_to_wire if request.validate_only else wire.created_secret_to_wire,
            secret=True,
        )

    async def ListClientSecrets(
        self, request: oauth_client_service_pb2.ListClientSecretsRequest, context: Any
    ) -> oauth_client_service_pb2.ListClientSecretsResponse:
        require_everything()
        call = Call.current()
        organization_id = call.organization_id
        client = await self._units.read(
            lambda store: clients.get_client(store, organization_id, request.oauth_client_id)
        )
        call.require_target(clients.whose(client))
        return oauth_client_service_pb2.ListClientSecretsResponse(
            client_secrets=map(wire.secret_to_wire, client.secrets)
        )

    async def DeleteClientSecret(
        self, request: oauth_client_service_pb2.DeleteClientSecretRequest, context: Any
    ) -> Empty:
        require_everything()
        return await self._units.write(
            request,
            lambda unit: clients.delete_client_secret(
                unit, request.oauth_client_id, request.number, end_sessions=request.end_sessions
            ),
            lambda _: Empty(),
        )

    async def DeleteOAuthClient(
        self, request: oauth_client_service_pb2.DeleteOAuthClientRequest, context: Any
    ) -> Empty:
        require_everything()
        return await self._units.write(
            request, lambda unit: clients.delete_client(unit, request.id, request.etag), lambda _: Empty()
        )
