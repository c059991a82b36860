"""OAuth clients."""

from typing import Final

from concord.credentials.model import ClientAuthMethod, ClientSecret, OAuthClient, Sight
from concord.credentials.operations.clients import CreatedClient, NewClient
from concord.credentials.store import ClientFilter
from concord.credentials.v1 import oauth_client_pb2, oauth_client_service_pb2
from concord.credentials.wire.common import (
    id_set,
    optional_instant,
    optional_instant_to_wire,
    optional_principal_to_wire,
    principal,
    principals,
    search_text,
)
from concord.kernel import ids
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import OAuthClientId, OrganizationId, UserId
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire

_METHODS: Final = {
    ClientAuthMethod.NONE: oauth_client_pb2.CLIENT_AUTH_METHOD_NONE,
    ClientAuthMethod.POST: oauth_client_pb2.CLIENT_AUTH_METHOD_POST,
    ClientAuthMethod.BASIC: oauth_client_pb2.CLIENT_AUTH_METHOD_BASIC,
    ClientAuthMethod.TLS: oauth_client_pb2.CLIENT_AUTH_METHOD_TLS,
}
_METHODS_BACK: Final[dict[int, ClientAuthMethod]] = {
    oauth_client_pb2.CLIENT_AUTH_METHOD_UNSPECIFIED: ClientAuthMethod.BASIC,
    **{number: method for method, number in _METHODS.items()},
}


def client_to_wire(client: OAuthClient) -> oauth_client_pb2.OAuthClient:
    """Return the message for a client."""
    return oauth_client_pb2.OAuthClient(
        id=client.id,
        organization_id=client.organization_id,
        version=client.version,
        etag=client.etag,
        create_time=instant_to_wire(client.create_time),
        update_time=instant_to_wire(client.update_time),
        catalogue=client.catalogue,
        managed=client.is_managed,
        editable=not client.is_managed,
        deletable=not client.is_managed,
        attributes=client.attributes,
        client_id=client.client_id,
        name=client.name,
        bearer=optional_principal_to_wire(client.bearer),
        owner_user_id=client.owner_user_id or "",
        grant_types=client.grant_types,
        auth_method=_METHODS[client.auth_method],
        redirect_uris=client.redirect_uris,
        response_types=client.response_types,
        scopes=client.scopes,
        audiences=client.audiences,
        tls_subject=client.tls_subject,
        secrets=[_secret_to_wire(each) for each in client.secrets],
    )


def client_from_wire(message: oauth_client_pb2.OAuthClient) -> OAuthClient:
    """Return the client of a message that `client_to_wire` made."""
    return OAuthClient(
        id=OAuthClientId(message.id),
        organization_id=OrganizationId(message.organization_id),
        version=message.version,
        client_id=message.client_id,
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        name=message.name,
        bearer=principal(message.bearer, "bearer") if message.HasField("bearer") else None,
        owner_user_id=UserId(message.owner_user_id) if message.owner_user_id else None,
        grant_types=tuple(message.grant_types),
        auth_method=_METHODS_BACK[message.auth_method],
        redirect_uris=tuple(message.redirect_uris),
        response_types=tuple(message.response_types),
        scopes=tuple(message.scopes),
        audiences=tuple(message.audiences),
        tls_subject=message.tls_subject,
        secrets=tuple(_secret_from_wire(each) for each in message.secrets),
        catalogue=message.catalogue,
        attributes=dict(message.attributes),
    )


def created_to_wire(created: CreatedClient) -> oauth_client_service_pb2.CreateOAuthClientResponse:
    """Return the one answer that holds the secret of a client."""
    answer = tried_to_wire(created)
    answer.secret = "" if created.secret is None else created.secret.reveal()
    return answer


def tried_to_wire(created: CreatedClient) -> oauth_client_service_pb2.CreateOAuthClientResponse:
    """Return the answer of a check only: nothing was made, so there is no secret."""
    return oauth_client_service_pb2.CreateOAuthClientResponse(oauth_client=client_to_wire(created.client))


def new_client_from_wire(request: oauth_client_service_pb2.CreateOAuthClientRequest) -> NewClient:
    """Return what a request says about a client to be made."""
    message = request.oauth_client
    method = _METHODS_BACK.get(message.auth_method)
    if method is None:
        raise Invalid(Violation("oauth_client.auth_method", "is unknown", rule="enum"))
    owner = message.owner_user_id
    return NewClient(
        client_id=message.client_id,
        name=message.name,
        bearer=principal(message.bearer, "oauth_client.bearer") if message.HasField("bearer") else None,
        owner_user_id=ids.parse(UserId, owner, "oauth_client.owner_user_id") if owner else None,
        grant_types=tuple(message.grant_types),
        auth_method=method,
        redirect_uris=tuple(message.redirect_uris),
        response_types=tuple(message.response_types),
        scopes=tuple(message.scopes),
        audiences=tuple(message.audiences),
        tls_subject=message.tls_subject,
        attributes=dict(message.attributes),
        secret_name=request.secret_name,
    )


def filter_from_wire(request: oauth_client_service_pb2.ListOAuthClientsRequest, sight: Sight) -> ClientFilter:
    """Return what a list request asks for."""
    return ClientFilter(
        sight=sight,
        ids=id_set(request.ids, "ids"),
        bearers=principals(request.bearers, "bearers"),
        text=search_text(request.text, "text"),
    )


def _secret_to_wire(secret: ClientSecret) -> oauth_client_pb2.ClientSecret:
    return oauth_client_pb2.ClientSecret(
        number=secret.number,
        client_id=secret.client_id,
        name=secret.name,
        create_time=instant_to_wire(secret.create_time),
        last_used_time=optional_instant_to_wire(secret.last_used_time),
    )


def _secret_from_wire(message: oauth_client_pb2.ClientSecret) -> ClientSecret:
    return ClientSecret(
        message.number,
        OAuthClientId(message.client_id),
        message.name,
        instant_from_wire(message.create_time),
        optional_instant(message, "last_used_time", "last_used_time"),
    )
