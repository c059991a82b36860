"""OAuth clients."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

from concord.credentials.model.clients import ClientAuthMethod, ClientSecret, OAuthClient, SigningAlgorithm, TokenFormat
from concord.credentials.model.holders import Sight
from concord.credentials.operations.clients import MUTABLE, CreatedClient, CreatedSecret, NewClient
from concord.credentials.store.clients import ClientFilter
from concord.credentials.v1 import oauth_client_pb2, oauth_client_service_pb2
from concord.credentials.wire.common import (
    duration,
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
_FORMATS: Final = {
    TokenFormat.OPAQUE: oauth_client_pb2.TOKEN_FORMAT_OPAQUE,
    TokenFormat.JWT: oauth_client_pb2.TOKEN_FORMAT_JWT,
}
_FORMATS_BACK: Final[dict[int, TokenFormat]] = {
    oauth_client_pb2.TOKEN_FORMAT_UNSPECIFIED: TokenFormat.OPAQUE,
    **{number: format for format, number in _FORMATS.items()},
}
_ALGORITHMS: Final = {
    SigningAlgorithm.RS256: oauth_client_pb2.SIGNING_ALGORITHM_RS256,
    SigningAlgorithm.ED25519: oauth_client_pb2.SIGNING_ALGORITHM_ED25519,
}
_ALGORITHMS_BACK: Final[dict[int, SigningAlgorithm]] = {
    oauth_client_pb2.SIGNING_ALGORITHM_UNSPECIFIED: SigningAlgorithm.RS256,
    **{number: algorithm for algorithm, number in _ALGORITHMS.items()},
}


def algorithm_from_wire(number: int, field: str) -> SigningAlgorithm:
    """Return the algorithm that a request names, RS256 where it names none."""
    algorithm = _ALGORITHMS_BACK.get(number)
    if algorithm is None:
        raise Invalid(Violation(field, "is unknown", rule="enum"))
    return algorithm


def method_from_wire(number: int) -> ClientAuthMethod:
    """Return how a client shows itself; without a word, without proof."""
    if number == oauth_client_pb2.CLIENT_AUTH_METHOD_UNSPECIFIED:
        return ClientAuthMethod.NONE
    method = _METHODS_BACK.get(number)
    if method is None:
        raise Invalid(Violation("client.auth_method", "is unknown", rule="enum"))
    return method


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
        token_format=_FORMATS[client.token_format],
        signing_algorithm=_ALGORITHMS[client.signing_algorithm],
        access_token_ttl=_ttl_to_wire(client.access_token_ttl),
        refresh_token_ttl=_ttl_to_wire(client.refresh_token_ttl),
        secrets=[secret_to_wire(each) for each in client.secrets],
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
        token_format=_FORMATS_BACK[message.token_format],
        signing_algorithm=_ALGORITHMS_BACK[message.signing_algorithm],
        access_token_ttl=_ttl(message, "access_token_ttl"),
        refresh_token_ttl=_ttl(message, "refresh_token_ttl"),
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
    return replace(_wanted(request.oauth_client), secret_name=request.secret_name)


def patch_from_wire(request: oauth_client_service_pb2.UpdateOAuthClientRequest) -> tuple[NewClient, frozenset[str]]:
    """Return the new values of a client and the names of the fields that are to change."""
    named = frozenset(request.update_mask.paths)
    wrong = named - MUTABLE
    if wrong:
        raise Invalid(Violation("update_mask", f"`{min(wrong)[:64]}` cannot be changed", rule="immutable"))
    return _wanted(request.oauth_client), named


def created_secret_to_wire(created: CreatedSecret) -> oauth_client_service_pb2.CreateClientSecretResponse:
    """Return the one answer that holds a further secret of a client."""
    answer = tried_secret_to_wire(created)
    answer.secret = created.text.reveal()
    return answer


def tried_secret_to_wire(created: CreatedSecret) -> oauth_client_service_pb2.CreateClientSecretResponse:
    """Return the answer of a check only: nothing was made, so there is no secret."""
    return oauth_client_service_pb2.CreateClientSecretResponse(client_secret=secret_to_wire(created.secret))


def _wanted(message: oauth_client_pb2.OAuthClient) -> NewClient:
    method = _METHODS_BACK.get(message.auth_method)
    if method is None:
        raise Invalid(Violation("oauth_client.auth_method", "is unknown", rule="enum"))
    format, algorithm = _FORMATS_BACK.get(message.token_format), _ALGORITHMS_BACK.get(message.signing_algorithm)
    if format is None or algorithm is None:
        name = "token_format" if format is None else "signing_algorithm"
        raise Invalid(Violation(f"oauth_client.{name}", "is unknown", rule="enum"))
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
        token_format=format,
        signing_algorithm=algorithm,
        access_token_ttl=_ttl(message, "access_token_ttl"),
        refresh_token_ttl=_ttl(message, "refresh_token_ttl"),
        attributes=dict(message.attributes),
    )


def _ttl(message: oauth_client_pb2.OAuthClient, name: str) -> timedelta | None:
    return duration(getattr(message, name), f"oauth_client.{name}") if message.HasField(name) else None


def _ttl_to_wire(ttl: timedelta | None) -> Duration | None:
    if ttl is None:
        return None
    message = Duration()
    message.FromTimedelta(ttl)
    return message


def filter_from_wire(request: oauth_client_service_pb2.ListOAuthClientsRequest, sight: Sight) -> ClientFilter:
    """Return what a list request asks for."""
    return ClientFilter(
        sight=sight,
        ids=id_set(request.ids, "ids"),
        bearers=principals(request.bearers, "bearers"),
        text=search_text(request.text, "text"),
    )


def secret_to_wire(secret: ClientSecret) -> oauth_client_pb2.ClientSecret:
    """Return the message for a secret, without its text."""
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
