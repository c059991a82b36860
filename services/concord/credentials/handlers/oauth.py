"""Serves OAuth 2 and OpenID Connect."""

from typing import Any, Final

from google.protobuf.empty_pb2 import Empty

from concord.credentials.handlers.access import AWAITS, require_everything
from concord.credentials.handlers.minting import Minting, is_forwarded
from concord.credentials.handlers.oauth_password import PasswordGrants
from concord.credentials.model.organizations import NOWHERE
from concord.credentials.model.tokens import PASSWORD
from concord.credentials.operations import consents, oauth_tokens
from concord.credentials.operations.oauth_authorize import Asker, Authorized, authorize
from concord.credentials.operations.oauth_exchange import (
    Exchanged,
    exchange,
    organization_of_grant,
)
from concord.credentials.operations.refusals import OAuthRefused, Spent
from concord.credentials.operations.signing_keys import rotate_key
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.credentials.v1 import oauth_service_pb2, signing_key_pb2
from concord.credentials.v1.oauth_service_pb2_grpc import OAuthServiceServicer
from concord.credentials.wire import oauth as wire
from concord.credentials.wire.clients import algorithm_from_wire
from concord.kernel.clock import Clock
from concord.kernel.rpc.call import Call
from concord.kernel.secret import Secret
from concord.kernel.units import Units

_ORDER: Final = {
    signing_key_pb2.SIGNING_KEY_STATE_ACTIVE: 0,
    signing_key_pb2.SIGNING_KEY_STATE_NEXT: 1,
    signing_key_pb2.SIGNING_KEY_STATE_RETIRED: 2,
}


class OAuthHandlers(OAuthServiceServicer):
    """The authorization server."""

    def __init__(
        self,
        units: Units[CredentialStore],
        clock: Clock,
        vault: Vault,
        minting: Minting,
        password_grants: PasswordGrants,
    ) -> None:
        self._units = units
        self._clock = clock
        self._vault = vault
        self._minting = minting
        self._password_grants = password_grants

    async def Authorize(
        self, request: oauth_service_pb2.AuthorizeRequest, context: Any
    ) -> oauth_service_pb2.AuthorizeResponse:
        require_everything()
        passport = Call.current().require_passport()
        asker = Asker(passport.principal, passport.session_id, passport.ceiling)
        wanted = wire.authorization_from_wire(request)
        issuer = self._minting.issuer(request.issuer)

        def pack(answer: Authorized) -> oauth_service_pb2.AuthorizeResponse:
            return wire.authorized_to_wire(answer, issuer, tried=request.validate_only)

        return await self._units.write(
            request, lambda unit: authorize(unit, wanted, asker, self._vault), pack, secret=True
        )

    async def ExchangeToken(
        self, request: oauth_service_pb2.ExchangeTokenRequest, context: Any
    ) -> oauth_service_pb2.ExchangeTokenResponse:
        grant = wire.grant_from_wire(request, believed=is_forwarded())
        mint = await self._minting.mint(request.issuer)
        if grant.grant_type == PASSWORD:
            return await self._password_grants.exchange(request, grant, mint)
        organization_id = await self._units.read(lambda store: organization_of_grant(store, grant, mint))
        spent: list[Spent] = []

        def pack(outcome: Exchanged | Spent) -> oauth_service_pb2.ExchangeTokenResponse:
            # A unit may run twice; what the last run came to counts.
            spent.clear()
            if isinstance(outcome, Spent):
                spent.append(outcome)
                return oauth_service_pb2.ExchangeTokenResponse()
            return wire.exchanged_to_wire(outcome, tried=request.validate_only)

        answer = await self._units.write(
            request,
            lambda unit: exchange(unit, grant, mint),
            pack,
            secret=True,
            organization_id=organization_id,
        )
        if spent:
            spent[0].raise_it()
        if not answer.HasField("session"):
            # The answer to a repeated request that was refused.
            raise OAuthRefused("invalid_grant", "the grant is not good")
        return answer

    async def RevokeToken(self, request: oauth_service_pb2.RevokeTokenRequest, context: Any) -> Empty:
        shown = wire.shown_client(request.client, believed=is_forwarded())
        token = Secret(request.token)
        organization_id = await self._units.read(
            lambda store: oauth_tokens.organization_of_token(store, self._vault, shown, token)
        )
        return await self._units.write(
            request,
            lambda unit: oauth_tokens.revoke_token(unit, shown, token, self._vault),
            _nothing,
            organization_id=organization_id,
        )

    async def IntrospectToken(
        self, request: oauth_service_pb2.IntrospectTokenRequest, context: Any
    ) -> oauth_service_pb2.IntrospectTokenResponse:
        require_everything()
        organization_id, now, token = Call.current().organization_id, self._clock.now(), Secret(request.token)
        found = await self._units.read(
            lambda store: oauth_tokens.introspect(store, self._vault, organization_id, token, now)
        )
        return wire.introspected_to_wire(found)

    async def GetUserInfo(
        self, request: oauth_service_pb2.GetUserInfoRequest, context: Any
    ) -> oauth_service_pb2.GetUserInfoResponse:
        now, token = self._clock.now(), Secret(request.access_token)
        found = await self._units.look(lambda store: oauth_tokens.user_info(store, self._vault, token, now))
        return wire.user_info_to_wire(found)

    async def ListSigningKeys(
        self, request: oauth_service_pb2.ListSigningKeysRequest, context: Any
    ) -> oauth_service_pb2.ListSigningKeysResponse:
        await self._minting.turner.ready()
        keys = await self._units.read(lambda store: store.signing_keys())
        told = sorted(map(wire.signing_key_to_wire, keys), key=lambda each: _ORDER[each.state])
        return oauth_service_pb2.ListSigningKeysResponse(signing_keys=told)

    async def RotateSigningKey(
        self, request: oauth_service_pb2.RotateSigningKeyRequest, context: Any
    ) -> signing_key_pb2.SigningKey:
        algorithm = algorithm_from_wire(request.algorithm, "algorithm")
        await self._minting.turner.ready()
        drawn = await self._minting.turner.draw({algorithm: 1})
        return await self._units.write(
            request,
            lambda unit: rotate_key(unit, algorithm, drawn, compromised=request.compromised),
            wire.signing_key_to_wire,
            organization_id=NOWHERE,
        )

    async def ListOAuthConsents(
        self, request: oauth_service_pb2.ListOAuthConsentsRequest, context: Any
    ) -> oauth_service_pb2.ListOAuthConsentsResponse:
        require_everything()
        organization_id = Call.current().organization_id
        found = await self._units.read(lambda store: consents.list_consents(store, organization_id, request.user_id))
        return oauth_service_pb2.ListOAuthConsentsResponse(oauth_consents=map(wire.consent_to_wire, found))

    async def DeleteOAuthConsent(self, request: oauth_service_pb2.DeleteOAuthConsentRequest, context: Any) -> Empty:
        require_everything()
        return await self._units.write(
            request,
            lambda unit: consents.delete_consent(unit, request.user_id, request.oauth_client_id),
            _nothing,
            awaits=AWAITS,
        )


def _nothing(_: object) -> Empty:
    return Empty()
