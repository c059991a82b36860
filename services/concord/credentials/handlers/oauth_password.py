"""Exchanges a user's name and password for tokens, for the few clients that may: through the same door as any login."""

from concord.credentials.handlers.door import Door
from concord.credentials.model.logins import Purpose
from concord.credentials.model.tokens import PASSWORD
from concord.credentials.operations.logins import LoginName, log_in
from concord.credentials.operations.mfa import ShownFactors
from concord.credentials.operations.oauth_exchange import Exchanged, ShownGrant, exchange_login
from concord.credentials.operations.oauth_proofs import examine_client, grant_audience, grant_scopes, require_grant
from concord.credentials.operations.refusals import OAuthRefused
from concord.credentials.operations.tokens import Mint
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.credentials.v1 import oauth_service_pb2
from concord.credentials.wire import oauth as wire
from concord.kernel.errors import Unauthenticated
from concord.kernel.secret import Secret
from concord.kernel.units import Unit, Units


class PasswordGrants:
    """The grant `password`."""

    def __init__(self, units: Units[CredentialStore], door: Door, vault: Vault) -> None:
        self._units = units
        self._door = door
        self._vault = vault

    async def exchange(
        self, request: oauth_service_pb2.ExchangeTokenRequest, grant: ShownGrant, mint: Mint
    ) -> oauth_service_pb2.ExchangeTokenResponse:
        """Examine client first, then user: a client that may not gets no attempt."""
        client = await self._units.read(lambda store: examine_client(store, self._vault, grant.client, None))
        require_grant(client, PASSWORD)
        grant_scopes(grant.scope, client.scopes)
        grant_audience(grant.resource, client)
        knock = await self._door.knock(LoginName(client.organization_id, request.username))
        # A program has no way to ask for a second factor: whoever has one gets in elsewhere.
        factors = ShownFactors("", "")

        def operation(unit: Unit[CredentialStore]) -> Exchanged:
            return log_in(
                unit,
                standing,
                factors,
                self._vault,
                None,
                rehashed,
                begin=lambda unit, proof, ttl, vault: exchange_login(unit, grant, mint, proof),
            )

        try:
            async with self._door.attempt(knock, Purpose.LOGIN) as standing:
                standing.require_open()
                rehashed = await self._door.examine_password(standing, Secret(request.password))
                return await self._door.write(
                    standing,
                    request,
                    operation,
                    lambda exchanged: wire.exchanged_to_wire(exchanged, tried=request.validate_only),
                    secret=True,
                )
        except Unauthenticated:
            raise OAuthRefused("invalid_grant", "the user does not get in this way") from None
