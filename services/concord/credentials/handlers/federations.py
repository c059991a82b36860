"""Serves federations."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.credentials.handlers.access import require_everything
from concord.credentials.operations import federations
from concord.credentials.store import CredentialStore
from concord.credentials.v1 import federation_pb2, federation_service_pb2
from concord.credentials.v1.federation_service_pb2_grpc import FederationServiceServicer
from concord.credentials.wire import federations as wire
from concord.kernel.clock import Clock
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class FederationHandlers(FederationServiceServicer):
    """Keeps an organization's federation and its certificates."""

    def __init__(self, units: Units[CredentialStore], clock: Clock, base: str) -> None:
        self._units = units
        self._clock = clock
        self._wire = wire.FederationWire(base)

    async def CreateFederation(
        self, request: federation_service_pb2.CreateFederationRequest, context: Any
    ) -> federation_pb2.Federation:
        Call.current().own_organization(request.organization_id)
        require_everything()
        draft = wire.draft_from_wire(request.federation)
        return await self._units.write(
            request, lambda unit: federations.create_federation(unit, draft), self._wire.to_wire
        )

    async def GetFederation(
        self, request: federation_service_pb2.GetFederationRequest, context: Any
    ) -> federation_pb2.Federation:
        require_everything()
        organization_id, now = Call.current().organization_id, self._clock.now()
        found = await self._units.read(
            lambda store: federations.show_federation(store, organization_id, request.id, now)
        )
        return self._wire.to_wire(found)

    async def UpdateFederation(
        self, request: federation_service_pb2.UpdateFederationRequest, context: Any
    ) -> federation_pb2.Federation:
        require_everything()
        draft = wire.draft_from_wire(request.federation, request.update_mask.paths)
        federation_id, etag = request.federation.id, request.federation.etag
        return await self._units.write(
            request,
            lambda unit: federations.update_federation(unit, federation_id, draft, etag),
            self._wire.to_wire,
        )

    async def DeleteFederation(self, request: federation_service_pb2.DeleteFederationRequest, context: Any) -> Empty:
        require_everything()
        return await self._units.write(
            request, lambda unit: federations.delete_federation(unit, request.id, request.etag), lambda _: Empty()
        )

    async def AddFederationCertificate(
        self, request: federation_service_pb2.AddFederationCertificateRequest, context: Any
    ) -> federation_pb2.FederationCertificate:
        require_everything()
        wanted = wire.new_certificate_from_wire(request.certificate)
        return await self._units.write(
            request,
            lambda unit: federations.add_certificate(unit, request.federation_id, wanted),
            wire.certificate_to_wire,
        )

    async def GetFederationCertificate(
        self, request: federation_service_pb2.GetFederationCertificateRequest, context: Any
    ) -> federation_pb2.FederationCertificate:
        require_everything()
        organization_id = Call.current().organization_id
        found = await self._units.look(lambda store: federations.get_certificate(store, organization_id, request.id))
        return wire.certificate_to_wire(found)

    async def ListFederationCertificates(
        self, request: federation_service_pb2.ListFederationCertificatesRequest, context: Any
    ) -> federation_service_pb2.ListFederationCertificatesResponse:
        require_everything()
        organization_id = Call.current().organization_id
        found = await self._units.read(
            lambda store: federations.list_certificates(store, organization_id, request.federation_id)
        )
        return federation_service_pb2.ListFederationCertificatesResponse(
            certificates=map(wire.certificate_to_wire, found)
        )

    async def DeleteFederationCertificate(
        self, request: federation_service_pb2.DeleteFederationCertificateRequest, context: Any
    ) -> Empty:
        require_everything()
        return await self._units.write(
            request, lambda unit: federations.delete_certificate(unit, request.id), lambda _: Empty()
        )
