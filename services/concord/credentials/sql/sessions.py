"""Sessions and access tokens in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, and_, bindparam, delete, select, update
from sqlalchemy import insert as insert_into

from concord.credentials.model.sessions import FoundToken, Session
from concord.credentials.sql.api_keys import holder
from concord.credentials.sql.rows import (
    SqlPart,
    optional_ref_from,
    optional_ref_text,
    ref_from,
    ref_text,
    ref_texts,
    sight_filters,
    sight_values,
)
from concord.credentials.sql.tables import access_token, organization, principal, session
from concord.credentials.store.sessions import SessionFilter
from concord.kernel.database.columns import Instant
from concord.kernel.database.listing import Listing, any_of
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import SecretHash

_SESSION = session.c
_COLUMNS: Final = list(_SESSION)
_MINE: Final = _SESSION.organization_id == bindparam("org")

# The one read of an authentication: the session behind the token, and whether principal and organization live.
_FOUND: Final = (
    select(
        *_COLUMNS,
        access_token.c.expire_time.label("token_expire_time"),
        access_token.c.issue_time.label("token_issue_time"),
        access_token.c.audience.label("token_audience"),
        access_token.c.scopes.label("token_scopes"),
        principal.c.state.label("principal_state"),
        organization.c.state.label("organization_state"),
    )
    .select_from(access_token)
    .join(
        session,
        and_(_SESSION.organization_id == access_token.c.organization_id, _SESSION.id == access_token.c.session_id),
    )
    .outerjoin(
        principal,
        and_(principal.c.organization_id == _SESSION.organization_id, principal.c.principal == _SESSION.principal),
    )
    .outerjoin(organization, organization.c.id == _SESSION.organization_id)
    .where(access_token.c.token_hash == bindparam("hash"))
)
_ADD: Final = insert_into(session)
_ADD_TOKEN: Final = insert_into(access_token)
_BY_ID: Final = select(*_COLUMNS).where(_MINE, _SESSION.id == bindparam("which"))
_END: Final = (
    update(session)
    .where(_MINE, _SESSION.end_time.is_(None))
    .values(
        end_time=bindparam("ended", type_=Instant),
        update_time=bindparam("ended", type_=Instant),
        version=_SESSION.version + 1,
    )
)
_END_ONE: Final = _END.where(_SESSION.id == bindparam("which"))
_END_OF: Final = _END.where(_SESSION.principal == bindparam("whose"))
_END_OF_KEY: Final = _END.where(_SESSION.api_key_id == bindparam("key"))
_LIVE_OF_KEY: Final = (
    select(*_COLUMNS)
    .where(
        _MINE,
        _SESSION.api_key_id == bindparam("key"),
        _SESSION.end_time.is_(None),
        _SESSION.expire_time > bindparam("at", type_=Instant),
    )
    .order_by(_SESSION.id)
    .limit(bindparam("most"))
)
_SHORTEN: Final = (
    update(session)
    .where(
        _MINE,
        _SESSION.api_key_id == bindparam("key"),
        _SESSION.end_time.is_(None),
        _SESSION.expire_time > bindparam("last", type_=Instant),
    )
    .values(
        expire_time=bindparam("last", type_=Instant),
        update_time=bindparam("at", type_=Instant),
        version=_SESSION.version + 1,
    )
)
_TRIM_TOKENS: Final = delete(access_token).where(access_token.c.expire_time < bindparam("before", type_=Instant))
_TRIM: Final = delete(session).where(_SESSION.expire_time < bindparam("before", type_=Instant))

_LIST: Final = Listing(
    select(*_COLUMNS).where(_MINE),
    identity=_SESSION.id,
    orders={
        "create_time": _SESSION.create_time,
        "update_time": _SESSION.update_time,
        "expire_time": _SESSION.expire_time,
    },
    filters={
        "org": _MINE,
        **sight_filters(_SESSION.principal),
        "ids": any_of(_SESSION.id, "ids"),
        "principals": any_of(_SESSION.principal, "principals"),
        "live_at": and_(_SESSION.end_time.is_(None), _SESSION.expire_time > bindparam("live_at", type_=Instant)),
        "expired_at": _SESSION.expire_time <= bindparam("expired_at", type_=Instant),
        "unexpired_at": _SESSION.expire_time > bindparam("unexpired_at", type_=Instant),
        "ended": _SESSION.end_time.is_not(None) == bindparam("ended", type_=Boolean),
    },
)


class SqlSessions(SqlPart):
    """The `Sessions` part of the store, and the tokens' part of the directory."""

    def find_token(self, token_hash: SecretHash) -> FoundToken | None:
        row = self._connection.execute(_FOUND, {"hash": token_hash.value}).first()
        if row is None:
            return None
        return FoundToken(
            session_of(row),
            row.token_expire_time,
            holder(row.principal_state, row.organization_state),
            row.token_issue_time,
            row.token_audience or "",
            None if row.token_scopes is None else tuple(row.token_scopes),
        )

    def add_session(self, session: Session) -> None:
        row = {
            "organization_id": session.organization_id,
            "id": session.id,
            "version": session.version,
            "principal": ref_text(session.principal),
            "assumed_by": optional_ref_text(session.assumed_by),
            "issuer": optional_ref_text(session.issuer),
            "audience": session.audience,
            "client_id": session.client_id,
            "api_key_id": session.api_key_id,
            "methods": list(session.methods),
            "mfa": session.mfa,
            "scopes": list(session.scopes),
            "ceiling": list(session.ceiling),
            "rights_snapshot_id": session.rights_snapshot_id,
            "parent_session_id": session.parent_session_id,
            "ip": session.ip,
            "user_agent": session.user_agent,
            "attributes": dict(session.attributes),
            "create_time": session.create_time,
            "update_time": session.update_time,
            "expire_time": session.expire_time,
            "end_time": session.end_time,
        }
        self._connection.execute(_ADD, row)

    def add_token(
        self,
        session: Session,
        token_hash: SecretHash,
        issue_time: datetime,
        expire_time: datetime,
        audience: str = "",
        scopes: tuple[str, ...] | None = None,
    ) -> None:
        row = {
            "token_hash": token_hash.value,
            "organization_id": session.organization_id,
            "session_id": session.id,
            "issue_time": issue_time,
            "expire_time": expire_time,
            "audience": audience or None,
            "scopes": None if scopes is None else list(scopes),
        }
        self._connection.execute(_ADD_TOKEN, row)

    def find_session(self, organization_id: OrganizationId, session_id: SessionId) -> Session | None:
        row = self._connection.execute(_BY_ID, {"org": organization_id, "which": session_id}).first()
        return None if row is None else session_of(row)

    def end_session(self, organization_id: OrganizationId, session_id: SessionId, now: datetime) -> None:
        self._connection.execute(_END_ONE, {"org": organization_id, "which": session_id, "ended": now})

    def end_sessions_of(self, organization_id: OrganizationId, principal: PrincipalRef, now: datetime) -> int:
        values = {"org": organization_id, "whose": ref_text(principal), "ended": now}
        return self._connection.execute(_END_OF, values).rowcount

    def live_sessions_of_key(
        self, organization_id: OrganizationId, key_id: ApiKeyId, now: datetime, most: int
    ) -> Sequence[Session]:
        values = {"org": organization_id, "key": key_id, "at": now, "most": most}
        return [session_of(row) for row in self._connection.execute(_LIVE_OF_KEY, values)]

    def end_sessions_of_key(self, organization_id: OrganizationId, key_id: ApiKeyId, now: datetime) -> int:
        values = {"org": organization_id, "key": key_id, "ended": now}
        return self._connection.execute(_END_OF_KEY, values).rowcount

    def shorten_sessions_of_key(
        self, organization_id: OrganizationId, key_id: ApiKeyId, expire_time: datetime, now: datetime
    ) -> None:
        self._connection.execute(_SHORTEN, {"org": organization_id, "key": key_id, "last": expire_time, "at": now})

    def list_sessions(self, organization_id: OrganizationId, wanted: SessionFilter, page: PageRequest) -> Page[Session]:
        filters = {
            "org": organization_id,
            **sight_values(wanted.sight),
            "ids": wanted.ids,
            "principals": ref_texts(wanted.principals),
            "live_at": wanted.now if wanted.live_only else None,
            "expired_at": wanted.now if wanted.expired is True else None,
            "unexpired_at": wanted.now if wanted.expired is False else None,
            "ended": wanted.ended,
        }
        return _LIST.page(self._connection, page, filters, session_of)

    def trim_sessions(self, before: datetime) -> int:
        self._connection.execute(_TRIM_TOKENS, {"before": before})
        return self._connection.execute(_TRIM, {"before": before}).rowcount


def session_of(row: Any) -> Session:
    """Return the session of a row that holds its columns."""
    return Session(
        id=row.id,
        organization_id=row.organization_id,
        version=row.version,
        principal=ref_from(row.principal),
        assumed_by=optional_ref_from(row.assumed_by),
        issuer=optional_ref_from(row.issuer),
        audience=row.audience,
        client_id=row.client_id,
        api_key_id=row.api_key_id,
        methods=tuple(row.methods),
        mfa=row.mfa,
        scopes=tuple(row.scopes),
        ceiling=tuple(row.ceiling),
        rights_snapshot_id=row.rights_snapshot_id,
        parent_session_id=row.parent_session_id,
        ip=row.ip,
        user_agent=row.user_agent,
        attributes=row.attributes,
        create_time=row.create_time,
        update_time=row.update_time,
        expire_time=row.expire_time,
        end_time=row.end_time,
    )
