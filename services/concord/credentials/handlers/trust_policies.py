"""Serves trust policies, and sessions as somebody else."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.credentials.handlers.access import AWAITS, require_everything, require_no_ceiling, require_oneself
from concord.credentials.model.trust import Circumstances, TrustedPrincipal, TrustReader
from concord.credentials.operations import trust_policies
from concord.credentials.operations.assumed_sessions import assume_user, find_target
from concord.credentials.rights_freezing import RightsFreezer
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.credentials.v1 import trust_policy_pb2, trust_policy_service_pb2
from concord.credentials.v1.trust_policy_service_pb2_grpc import TrustPolicyServiceServicer
from concord.credentials.wire import trust_policies as wire
from concord.kernel.clock import Clock
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.call import Call
from concord.kernel.units import Units


class TrustPolicyHandlers(TrustPolicyServiceServicer):
    """Keeps trust policies and opens sessions by them."""

    def __init__(
        self,
        units: Units[CredentialStore],
        clock: Clock,
        vault: Vault,
        reader: TrustReader,
        freezer: RightsFreezer,
    ) -> None:
        self._units = units
        self._clock = clock
        self._vault = vault
        self._reader = reader
        self._freezer = freezer

    async def GetTrustPolicy(
        self, request: trust_policy_service_pb2.GetTrustPolicyRequest, context: Any
    ) -> trust_policy_pb2.TrustPolicy:
        require_everything()
        organization_id = Call.current().organization_id
        found = await self._units.look(
            lambda store: trust_policies.get_trust_policy(store, organization_id, request.user_id)
        )
        return wire.trust_policy_to_wire(found)

    async def SetTrustPolicy(
        self, request: trust_policy_service_pb2.SetTrustPolicyRequest, context: Any
    ) -> trust_policy_pb2.TrustPolicy:
        require_everything()
        require_oneself()
        require_no_ceiling()
        wanted = request.trust_policy
        trust_policies.check_document(wanted.language, wanted.document)
        said = await self._reader.read(wanted.language, wanted.document)
        return await self._units.write(
            request,
            lambda unit: trust_policies.set_trust_policy(
                unit, wanted.user_id, wanted.language, wanted.document, said, wanted.etag
            ),
            wire.trust_policy_to_wire,
            awaits=AWAITS,
        )

    async def DeleteTrustPolicy(
        self, request: trust_policy_service_pb2.DeleteTrustPolicyRequest, context: Any
    ) -> Empty:
        require_everything()
        return await self._units.write(
            request,
            lambda unit: trust_policies.delete_trust_policy(unit, request.user_id, request.etag),
            lambda _: Empty(),
        )

    async def AssumeUser(
        self, request: trust_policy_service_pb2.AssumeUserRequest, context: Any
    ) -> trust_policy_service_pb2.AssumeUserResponse:
        require_everything()
        target, ttl, at = wire.target_from_wire(request), wire.ttl_from_wire(request), self._circumstances()
        found = await self._units.read(lambda store: find_target(store, target, at))
        # Asked about before the unit, which waits for nobody; the unit looks again at all that it may.
        holding = await self._reader.holding(found.conditions, at, found.caller_name)
        frozen = ""
        if request.freeze_rights and found.is_trusted(holding):
            user, rehearsal = PrincipalRef(PrincipalKind.USER, found.user_id), request.validate_only
            frozen = await self._freezer.freeze(found.organization_id, user, rehearsal=rehearsal)
        return await self._units.write(
            request,
            lambda unit: assume_user(unit, found, holding, at, ttl, self._vault, frozen),
            wire.assumption_tried_to_wire if request.validate_only else wire.assumed_to_wire,
            secret=True,
            organization_id=found.organization_id,
        )

    def _circumstances(self) -> Circumstances:
        call = Call.current()
        passport = call.require_passport()
        return Circumstances(
            caller=TrustedPrincipal(call.organization_id, passport.principal),
            session_id=passport.session_id,
            api_key_id=passport.api_key_id,
            methods=passport.methods,
            mfa=passport.mfa,
            ceiling=passport.ceiling,
            address=call.address,
            agent=call.agent,
            now=self._clock.now(),
        )
