"""JWTs: logins that last for a while. The core calls them sessions; they begin at a login and not here."""

from typing import Literal

import msgspec

from concord.common.v1.principal_pb2 import PRINCIPAL_KIND_APPLICATION, PRINCIPAL_KIND_USER, PrincipalRef
from concord.credentials.v1 import session_pb2, session_service_pb2
from concord.gateway.call import Call
from concord.gateway.dialects.scaleway.fields import BigCount, Instant, Paged, Uuid, canonical, instant, listed, order
from concord.kernel.errors import NotFound

# No field of this resource is unsupported.
UNSUPPORTED: dict[str, str] = {}

_ORDERS = {"created_at": "create_time", "updated_at": "update_time"}


class JWT(msgspec.Struct, frozen=True):
    """A JWT as it is answered, never the token itself."""

    jti: str
    issuer_id: str
    audience_id: str
    created_at: Instant | None
    updated_at: Instant | None
    expires_at: Instant | None
    ip: str
    user_agent: str


class ListJWTsResponse(msgspec.Struct, frozen=True):
    """One page of JWTs."""

    jwts: list[JWT]
    total_count: BigCount


class ListJWTsQuery(Paged, frozen=True, kw_only=True):
    """Which JWTs to list. Deleted ones never are."""

    order_by: Literal["created_at_asc", "created_at_desc", "updated_at_asc", "updated_at_desc"] = "created_at_asc"
    audience_id: Uuid | None = None
    expired: bool | None = None


def to_jwt(source: session_pb2.Session) -> JWT:
    """Translate an answer."""
    return JWT(
        jti=source.id,
        issuer_id=source.issuer.id or source.principal.id,
        audience_id=source.principal.id,
        created_at=instant(source.create_time),
        updated_at=instant(source.update_time),
        expires_at=instant(source.expire_time),
        ip=source.ip,
        user_agent=source.user_agent,
    )


def from_list(query: ListJWTsQuery, skip: int, size: int) -> session_service_pb2.ListSessionsRequest:
    """Translate a list's filter."""
    audience_id = canonical(query.audience_id)
    # An id alone does not tell a user from an application: it is looked for as both.
    kinds = (PRINCIPAL_KIND_USER, PRINCIPAL_KIND_APPLICATION)
    return session_service_pb2.ListSessionsRequest(
        page_size=size,
        skip=skip,
        order_by=order(query.order_by, _ORDERS),
        with_total_size=True,
        principals=[PrincipalRef(kind=kind, id=audience_id) for kind in kinds] if audience_id else (),
        expired=query.expired,
        ended=False,
    )


async def list_jwts(call: Call) -> ListJWTsResponse:
    """GET /jwts."""

    async def fetch(skip: int, size: int) -> ListJWTsResponse:
        answer = await call.ask(call.core.sessions.ListSessions, from_list(call.query, skip, size))
        return ListJWTsResponse([to_jwt(session) for session in answer.sessions], answer.total_size)

    return await listed(call.query, fetch, lambda a: a.total_count, lambda n: ListJWTsResponse([], n))


async def _find(call: Call) -> session_pb2.Session:
    jti = canonical(call.path["jti"])
    session = await call.ask(call.core.sessions.GetSession, session_service_pb2.GetSessionRequest(id=jti))
    if session.state == session_pb2.SESSION_STATE_ENDED:
        # The core remembers what was ended for a while; here it is gone.
        raise NotFound("session", jti)
    return session


async def get_jwt(call: Call) -> JWT:
    """GET /jwts/{jti}."""
    return to_jwt(await _find(call))


async def delete_jwt(call: Call) -> None:
    """DELETE /jwts/{jti}. Its token is refused from the next call on."""
    session = await _find(call)
    await call.ask(call.core.sessions.RevokeSession, session_service_pb2.RevokeSessionRequest(id=session.id))
