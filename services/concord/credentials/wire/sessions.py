"""Sessions, access tokens and shown credentials."""

from datetime import datetime
from typing import Final

from concord.common.v1 import passport_pb2
from concord.credentials.model.holders import Sight
from concord.credentials.model.sessions import Session, SessionAt, SessionEpoch, SessionState
from concord.credentials.operations.authentication import (
    ClientCredential,
    Credential,
    KeyCredential,
    TokenCredential,
    bearer_credential,
)
from concord.credentials.operations.session_changes import OpenedSession
from concord.credentials.store.sessions import SessionFilter
from concord.credentials.v1 import authentication_service_pb2, session_pb2, session_service_pb2
from concord.credentials.wire.common import (
    id_set,
    optional_instant,
    optional_instant_to_wire,
    optional_principal_to_wire,
    principals,
)
from concord.kernel.errors import Invalid, Violation
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.principal import PrincipalKind, PrincipalRef
from concord.kernel.rpc.wire import instant_from_wire, instant_to_wire, principal_from_wire, principal_to_wire
from concord.kernel.secret import Secret

_STATES: Final = {
    SessionState.LIVE: session_pb2.SESSION_STATE_LIVE,
    SessionState.EXPIRED: session_pb2.SESSION_STATE_EXPIRED,
    SessionState.ENDED: session_pb2.SESSION_STATE_ENDED,
}


def session_to_wire(at: SessionAt) -> session_pb2.Session:
    """Return the message for a session as it stands at an instant."""
    session = at.session
    return session_pb2.Session(
        id=session.id,
        organization_id=session.organization_id,
        version=session.version,
        etag=session.etag,
        create_time=instant_to_wire(session.create_time),
        update_time=instant_to_wire(session.update_time),
        attributes=session.attributes,
        principal=principal_to_wire(session.principal),
        assumed_by=optional_principal_to_wire(session.assumed_by),
        issuer=optional_principal_to_wire(session.issuer),
        audience=session.audience,
        client_id=session.client_id,
        api_key_id=session.api_key_id or "",
        methods=session.methods,
        mfa=session.mfa,
        scopes=session.scopes,
        ceiling=passport_pb2.Ceiling(scopes=session.ceiling) if session.ceiling else None,
        rights_snapshot_id=session.rights_snapshot_id,
        parent_session_id=session.parent_session_id or "",
        ip=session.ip,
        user_agent=session.user_agent,
        expire_time=instant_to_wire(session.expire_time),
        end_time=optional_instant_to_wire(session.end_time),
        state=_STATES[session.state(at.now)],
    )


def session_from_wire(message: session_pb2.Session) -> Session:
    """Return the session of a message that `session_to_wire` made."""
    return Session(
        id=SessionId(message.id),
        organization_id=OrganizationId(message.organization_id),
        version=message.version,
        principal=principal_from_wire(message.principal) or PrincipalRef(PrincipalKind.USER, ""),
        create_time=instant_from_wire(message.create_time),
        update_time=instant_from_wire(message.update_time),
        expire_time=instant_from_wire(message.expire_time),
        end_time=optional_instant(message, "end_time", "end_time"),
        assumed_by=principal_from_wire(message.assumed_by),
        issuer=principal_from_wire(message.issuer),
        audience=message.audience,
        client_id=message.client_id,
        api_key_id=ApiKeyId(message.api_key_id) if message.api_key_id else None,
        methods=tuple(message.methods),
        mfa=message.mfa,
        scopes=tuple(message.scopes),
        ceiling=tuple(message.ceiling.scopes),
        rights_snapshot_id=message.rights_snapshot_id,
        parent_session_id=SessionId(message.parent_session_id) if message.parent_session_id else None,
        ip=message.ip,
        user_agent=message.user_agent,
        attributes=dict(message.attributes),
    )


def epoch_to_wire(epoch: SessionEpoch) -> session_pb2.SessionEpoch:
    """Return the message for an epoch."""
    return session_pb2.SessionEpoch(
        principal=principal_to_wire(epoch.principal), epoch_time=instant_to_wire(epoch.epoch_time)
    )


def opened_to_wire(opened: OpenedSession) -> session_service_pb2.CreateSessionResponse:
    """Return the one answer that holds the token of a session."""
    answer = tried_to_wire(opened)
    answer.access_token.CopyFrom(first_token_to_wire(opened))
    return answer


def first_token_to_wire(opened: OpenedSession) -> session_pb2.AccessToken:
    """Return the token with which a session was opened, with its text."""
    return session_pb2.AccessToken(
        token=opened.token.reveal(),
        token_type="Bearer",  # noqa: S106 - the name of a scheme, no secret
        session_id=opened.session.id,
        issue_time=instant_to_wire(opened.now),
        expire_time=instant_to_wire(opened.session.expire_time),
        scope=" ".join(opened.session.scopes),
    )


def tried_to_wire(opened: OpenedSession) -> session_service_pb2.CreateSessionResponse:
    """Return the answer of a check only: nothing was opened, so there is no token."""
    return session_service_pb2.CreateSessionResponse(session=session_to_wire(SessionAt(opened.session, opened.now)))


def filter_from_wire(request: session_service_pb2.ListSessionsRequest, now: datetime, sight: Sight) -> SessionFilter:
    """Return what a list request asks for."""
    return SessionFilter(
        now=now,
        sight=sight,
        ids=id_set(request.ids, "ids"),
        principals=principals(request.principals, "principals"),
        live_only=request.live_only,
        expired=request.expired if request.HasField("expired") else None,
        ended=request.ended if request.HasField("ended") else None,
    )


def key_credential(message: authentication_service_pb2.ApiKeyCredential) -> KeyCredential:
    """Return the API key that was shown."""
    return KeyCredential(Secret(message.secret), message.access_id)


def credential_from_wire(request: authentication_service_pb2.AuthenticateRequest) -> Credential:
    """Return the credential that was shown, or raise Invalid when none was."""
    match request.WhichOneof("credential"):
        case "api_key":
            return key_credential(request.api_key)
        case "access_token":
            return TokenCredential(Secret(request.access_token))
        case "client":
            return ClientCredential(request.client.client_id, Secret(request.client.client_secret))
        case "bearer_token":
            return bearer_credential(Secret(request.bearer_token))
        case _:
            raise Invalid(Violation("credential", "is required", rule="required"))


def proof_from_wire(request: session_service_pb2.CreateSessionRequest) -> KeyCredential:
    """Return the proof with which a session is asked for, or raise Invalid when there is none."""
    if request.WhichOneof("proof") is None:
        raise Invalid(Violation("proof", "is required", rule="required"))
    return key_credential(request.api_key)
