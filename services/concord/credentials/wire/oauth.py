"""The authorization server's requests, tokens, consents and keys."""

import json
from typing import Final

from cryptography import x509

from concord.credentials.model.clients import ClientAuthMethod
from concord.credentials.model.sessions import FoundToken, SessionAt
from concord.credentials.model.tokens import Consent, SigningKey, SigningKeyState, subject_of
from concord.credentials.operations.oauth_authorize import (
    Authorized,
    ConsentDecision,
    WantedAuthorization,
)
from concord.credentials.operations.oauth_exchange import Exchanged, ShownGrant
from concord.credentials.operations.oauth_proofs import ShownClient
from concord.credentials.operations.oauth_tokens import Introspected
from concord.credentials.operations.tokens import IssuedRefreshToken, IssuedToken, RenewedSession
from concord.credentials.v1 import (
    oauth_consent_pb2,
    oauth_service_pb2,
    session_pb2,
    session_service_pb2,
    signing_key_pb2,
)
from concord.credentials.wire.clients import method_from_wire
from concord.credentials.wire.common import duration, optional_instant_to_wire
from concord.credentials.wire.sessions import session_to_wire
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.wire import instant_to_wire, principal_to_wire
from concord.kernel.secret import Secret

_STATES: Final = {
    SigningKeyState.NEXT: signing_key_pb2.SIGNING_KEY_STATE_NEXT,
    SigningKeyState.ACTIVE: signing_key_pb2.SIGNING_KEY_STATE_ACTIVE,
    SigningKeyState.RETIRED: signing_key_pb2.SIGNING_KEY_STATE_RETIRED,
}
_DECISIONS: Final[dict[int, ConsentDecision]] = {
    oauth_service_pb2.CONSENT_DECISION_UNSPECIFIED: ConsentDecision.UNSAID,
    oauth_service_pb2.CONSENT_DECISION_GRANTED: ConsentDecision.GRANTED,
    oauth_service_pb2.CONSENT_DECISION_DENIED: ConsentDecision.DENIED,
}
_MAX_CERTIFICATE: Final = 16 * 1024


def consent_to_wire(consent: Consent) -> oauth_consent_pb2.OAuthConsent:
    """Return the message for a consent."""
    return oauth_consent_pb2.OAuthConsent(
        user_id=consent.user_id,
        oauth_client_id=consent.client_id,
        scopes=consent.scopes,
        create_time=instant_to_wire(consent.create_time),
        update_time=instant_to_wire(consent.update_time),
    )


def signing_key_to_wire(key: SigningKey) -> signing_key_pb2.SigningKey:
    """Return the message for a key: its public half."""
    return signing_key_pb2.SigningKey(
        kid=key.kid,
        algorithm=key.algorithm.value,
        public_jwk=json.dumps(key.public_jwk, sort_keys=True),
        state=_STATES[key.state],
        create_time=instant_to_wire(key.create_time),
        activate_time=optional_instant_to_wire(key.activate_time),
        retire_time=optional_instant_to_wire(key.retire_time),
    )


def shown_client(message: oauth_service_pb2.ClientProof, *, believed: bool) -> ShownClient:
    """Return the client that shows itself. Of a certificate only what the gateway says is believed."""
    method = method_from_wire(message.auth_method)
    subject = ""
    if method is ClientAuthMethod.TLS and believed:
        subject = _subject(message.client_certificate)
    return ShownClient(message.client_id, method, Secret(message.client_secret), subject)


def grant_from_wire(request: oauth_service_pb2.ExchangeTokenRequest, *, believed: bool) -> ShownGrant:
    """Return the grant that is to be exchanged."""
    return ShownGrant(
        client=shown_client(request.client, believed=believed),
        grant_type=request.grant_type,
        code=Secret(request.code),
        redirect_uri=request.redirect_uri,
        code_verifier=request.code_verifier,
        refresh_token=Secret(request.refresh_token),
        scope=request.scope,
        resource=request.resource,
    )


def authorization_from_wire(request: oauth_service_pb2.AuthorizeRequest) -> WantedAuthorization:
    """Return the authorization that is asked for."""
    decision = _DECISIONS.get(request.consent_decision)
    if decision is None:
        raise Invalid(Violation("consent_decision", "is unknown", rule="enum"))
    return WantedAuthorization(
        response_type=request.response_type,
        client_id=request.client_id,
        redirect_uri=request.redirect_uri,
        scope=request.scope,
        state=request.state,
        code_challenge=request.code_challenge,
        code_challenge_method=request.code_challenge_method,
        nonce=request.nonce,
        prompt=request.prompt,
        max_age=duration(request.max_age, "max_age") if request.HasField("max_age") else None,
        resource=request.resource,
        decision=decision,
        proof=request.consent_proof,
    )


def authorized_to_wire(answer: Authorized, issuer: str, *, tried: bool) -> oauth_service_pb2.AuthorizeResponse:
    """Return the answer to an authorization request. A check only gets no code."""
    message = oauth_service_pb2.AuthorizeResponse(
        redirect_uri=answer.redirect_uri,
        state=answer.state,
        issuer=issuer,
        error=answer.error,
        error_description=answer.description,
    )
    if answer.code is not None and not tried:
        message.code = answer.code.reveal()
    if answer.question is not None:
        question = answer.question
        message.consent_question.CopyFrom(
            oauth_consent_pb2.ConsentQuestion(
                client_id=question.client.client_id,
                client_name=question.client.name,
                scopes=question.scopes,
                consent_proof=question.proof,
            )
        )
    return message


def access_token_to_wire(issued: IssuedToken) -> session_pb2.AccessToken:
    """Return an access token with its text."""
    return session_pb2.AccessToken(
        token=issued.token.reveal(),
        token_type="Bearer",  # noqa: S106 - the name of a scheme, no secret
        session_id=issued.session.id,
        issue_time=instant_to_wire(issued.issue_time),
        expire_time=instant_to_wire(issued.expire_time),
        scope=" ".join(issued.scopes),
        audience=issued.audience,
    )


def exchanged_to_wire(exchanged: Exchanged, *, tried: bool) -> oauth_service_pb2.ExchangeTokenResponse:
    """Return the one answer that holds the tokens of a grant. A check only gets none."""
    answer = oauth_service_pb2.ExchangeTokenResponse(
        session=session_to_wire(SessionAt(exchanged.session, exchanged.now))
    )
    if not tried:
        answer.access_token.CopyFrom(access_token_to_wire(exchanged.token))
        if exchanged.refresh is not None:
            answer.refresh_token.CopyFrom(_refresh_to_wire(exchanged.refresh))
        answer.id_token = "" if exchanged.id_token is None else exchanged.id_token.reveal()
    return answer


def renewed_to_wire(renewed: RenewedSession, *, tried: bool) -> session_service_pb2.RenewSessionResponse:
    """Return the one answer that holds a further token of a session. A check only gets none."""
    answer = session_service_pb2.RenewSessionResponse(session=session_to_wire(SessionAt(renewed.session, renewed.now)))
    if not tried:
        answer.access_token.CopyFrom(access_token_to_wire(renewed.token))
    return answer


def introspected_to_wire(found: Introspected | None) -> oauth_service_pb2.IntrospectTokenResponse:
    """Return what a token is worth; of one that is worth nothing, nothing but that."""
    if found is None:
        return oauth_service_pb2.IntrospectTokenResponse(active=False)
    return oauth_service_pb2.IntrospectTokenResponse(
        active=True,
        principal=principal_to_wire(found.session.principal),
        organization_id=found.session.organization_id,
        client_id="" if found.client is None else found.client.client_id,
        scope=" ".join(found.scopes),
        audience=found.audience,
        token_type=found.token_type,
        issue_time=optional_instant_to_wire(found.issue_time),
        expire_time=instant_to_wire(found.expire_time),
        session_id=found.session.id,
        subject=subject_of(found.session.organization_id, found.session.principal),
    )


def user_info_to_wire(found: FoundToken) -> oauth_service_pb2.GetUserInfoResponse:
    """Return whom a token stands for."""
    session = found.session
    return oauth_service_pb2.GetUserInfoResponse(
        principal=principal_to_wire(session.principal),
        organization_id=session.organization_id,
        scopes=session.scopes if found.scopes is None else found.scopes,
        subject=subject_of(session.organization_id, session.principal),
    )


def _refresh_to_wire(issued: IssuedRefreshToken) -> session_pb2.RefreshToken:
    return session_pb2.RefreshToken(
        token=issued.token.reveal(),
        session_id=issued.session_id,
        expire_time=instant_to_wire(issued.expire_time),
    )


def _subject(certificate: bytes) -> str:
    if not certificate or len(certificate) > _MAX_CERTIFICATE:
        return ""
    try:
        return x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    except ValueError:
        return ""
