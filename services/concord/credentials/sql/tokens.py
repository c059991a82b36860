"""Codes, refresh tokens, consents, and the ends of sessions that hang on something, in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, func, select, update
from sqlalchemy import insert as insert_into

from concord.credentials.model.sessions import Session
from concord.credentials.model.tokens import AuthorizationCode, Consent, FoundRefreshToken, RefreshToken
from concord.credentials.sql.api_keys import holder
from concord.credentials.sql.rows import SqlPart, ref_from, ref_text
from concord.credentials.sql.sessions import session_of
from concord.credentials.sql.tables import organization, principal, session
from concord.credentials.sql.token_tables import authorization_code, oauth_consent, refresh_token
from concord.kernel.database.columns import Instant, Json
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import OAuthClientId, OrganizationId, SessionId, UserId
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import SecretHash

_CODE = authorization_code.c
_REFRESH = refresh_token.c
_CONSENT = oauth_consent.c
_SESSION = session.c

_FIND_CODE: Final = select(*_CODE).where(_CODE.code_hash == bindparam("hash"))
_ADD_CODE: Final = insert_into(authorization_code)
_USE_CODE: Final = (
    update(authorization_code)
    .where(_CODE.code_hash == bindparam("hash"), _CODE.use_time.is_(None))
    .values(use_time=bindparam("used", type_=Instant))
)
_FINISH_CODE: Final = (
    update(authorization_code).where(_CODE.code_hash == bindparam("hash")).values(opened_session_id=bindparam("opened"))
)
_FIND_REFRESH: Final = (
    select(
        *_SESSION,
        _REFRESH.client_id.label("refresh_client_id"),
        _REFRESH.scopes.label("refresh_scopes"),
        _REFRESH.audience.label("refresh_audience"),
        _REFRESH.issue_time.label("refresh_issue_time"),
        _REFRESH.expire_time.label("refresh_expire_time"),
        _REFRESH.use_time.label("refresh_use_time"),
        principal.c.state.label("principal_state"),
        organization.c.state.label("organization_state"),
    )
    .select_from(refresh_token)
    .join(session, and_(_SESSION.organization_id == _REFRESH.organization_id, _SESSION.id == _REFRESH.session_id))
    .outerjoin(
        principal,
        and_(principal.c.organization_id == _SESSION.organization_id, principal.c.principal == _SESSION.principal),
    )
    .outerjoin(organization, organization.c.id == _SESSION.organization_id)
    .where(_REFRESH.token_hash == bindparam("hash"))
)
_ADD_REFRESH: Final = insert_into(refresh_token)
_USE_REFRESH: Final = (
    update(refresh_token)
    .where(_REFRESH.token_hash == bindparam("hash"), _REFRESH.use_time.is_(None))
    .values(use_time=bindparam("used", type_=Instant))
)
_TRIM: Final = [
    delete(table).where(table.c.expire_time < bindparam("before", type_=Instant))
    for table in (authorization_code, refresh_token)
]

_MY_CONSENTS: Final = and_(_CONSENT.organization_id == bindparam("org"), _CONSENT.user_id == bindparam("user"))
_THIS_CONSENT: Final = and_(_MY_CONSENTS, _CONSENT.client_id == bindparam("client"))
_FIND_CONSENT: Final = select(*_CONSENT).where(_THIS_CONSENT)
_LIST_CONSENTS: Final = select(*_CONSENT).where(_MY_CONSENTS).order_by(_CONSENT.client_id).limit(bindparam("most"))
_PUT_CONSENT: Final = upserts(oauth_consent)
_REMOVE_CONSENT: Final = delete(oauth_consent).where(_THIS_CONSENT)
_REMOVE_OF_USER: Final = delete(oauth_consent).where(_MY_CONSENTS)
_REMOVE_OF_CLIENT: Final = delete(oauth_consent).where(
    _CONSENT.organization_id == bindparam("org"), _CONSENT.client_id == bindparam("client")
)

_LIVE: Final = and_(
    _SESSION.organization_id == bindparam("org"),
    _SESSION.end_time.is_(None),
    _SESSION.expire_time > bindparam("at", type_=Instant),
)
_SOME: Final = select(*_SESSION).where(_LIVE).order_by(_SESSION.id).limit(bindparam("most"))
_OF_CLIENT: Final = _SOME.where(_SESSION.client_id == bindparam("client"))
_BETWEEN: Final = _OF_CLIENT.where(_SESSION.principal == bindparam("whose"))
_CHILDREN: Final = _SOME.where(_SESSION.parent_session_id == bindparam("parent"))
_WITHOUT_FACTOR: Final = _SOME.where(
    _SESSION.principal == bindparam("whose"),
    _SESSION.id > bindparam("after"),
    ~_SESSION.mfa,
    _SESSION.api_key_id.is_(None),
    _SESSION.assumed_by.is_(None),
)
_parent = session.alias("parent")
_FOREIGN_CHILDREN: Final = (
    select(*_SESSION)
    .select_from(
        _parent.join(
            session,
            and_(
                _SESSION.organization_id == _parent.c.organization_id,
                _SESSION.parent_session_id == _parent.c.id,
            ),
        )
    )
    .where(
        _LIVE,
        _parent.c.principal == bindparam("whose"),
        _parent.c.end_time.is_(None),
        _SESSION.principal != bindparam("whose"),
    )
    .order_by(_SESSION.id)
    .limit(bindparam("most"))
)
_PRINCIPALS: Final = (
    select(_SESSION.principal, func.count().label("total"))
    .where(_LIVE)
    .group_by(_SESSION.principal)
    .order_by(_SESSION.principal)
)
_MARK_FACTOR: Final = (
    update(session)
    .where(_SESSION.organization_id == bindparam("org"), _SESSION.id == bindparam("which"))
    .values(
        mfa=bindparam("is_shown"),
        methods=bindparam("shown", type_=Json),
        update_time=bindparam("at", type_=Instant),
        version=bindparam("numbered"),
    )
)
_PROLONG: Final = (
    update(session)
    .where(_SESSION.organization_id == bindparam("org"), _SESSION.id == bindparam("which"))
    .values(
        expire_time=bindparam("last", type_=Instant),
        update_time=bindparam("at", type_=Instant),
        version=bindparam("numbered"),
    )
)


class SqlTokens(SqlPart):
    """The `Grants` part of the store, the tokens' part of the directory, and the sessions that hang on something."""

    def find_code(self, code_hash: SecretHash) -> AuthorizationCode | None:
        row = self._connection.execute(_FIND_CODE, {"hash": code_hash.value}).first()
        return None if row is None else _code(row)

    def add_code(self, code: AuthorizationCode, code_hash: SecretHash) -> None:
        row = {
            "code_hash": code_hash.value,
            "organization_id": code.organization_id,
            "client_id": code.client_id,
            "user_id": code.user_id,
            "session_id": code.session_id,
            "redirect_uri": code.redirect_uri,
            "redirect_uri_named": code.redirect_uri_named,
            "code_challenge": code.code_challenge,
            "scopes": list(code.scopes),
            "audience": code.audience,
            "nonce": code.nonce,
            "issue_time": code.issue_time,
            "expire_time": code.expire_time,
            "use_time": None,
            "opened_session_id": None,
        }
        self._connection.execute(_ADD_CODE, row)

    def use_code(self, code_hash: SecretHash, now: datetime) -> bool:
        return self._connection.execute(_USE_CODE, {"hash": code_hash.value, "used": now}).rowcount == 1

    def finish_code(self, code_hash: SecretHash, session_id: SessionId) -> None:
        self._connection.execute(_FINISH_CODE, {"hash": code_hash.value, "opened": session_id})

    def find_refresh_token(self, token_hash: SecretHash) -> FoundRefreshToken | None:
        row = self._connection.execute(_FIND_REFRESH, {"hash": token_hash.value}).first()
        if row is None:
            return None
        found = session_of(row)
        refresh = RefreshToken(
            organization_id=found.organization_id,
            session_id=found.id,
            client_id=row.refresh_client_id,
            scopes=tuple(row.refresh_scopes),
            audience=row.refresh_audience,
            issue_time=row.refresh_issue_time,
            expire_time=row.refresh_expire_time,
            use_time=row.refresh_use_time,
        )
        return FoundRefreshToken(refresh, found, holder(row.principal_state, row.organization_state))

    def add_refresh_token(self, token: RefreshToken, token_hash: SecretHash) -> None:
        row = {
            "token_hash": token_hash.value,
            "organization_id": token.organization_id,
            "session_id": token.session_id,
            "client_id": token.client_id,
            "scopes": list(token.scopes),
            "audience": token.audience,
            "issue_time": token.issue_time,
            "expire_time": token.expire_time,
            "use_time": token.use_time,
        }
        self._connection.execute(_ADD_REFRESH, row)

    def use_refresh_token(self, token_hash: SecretHash, now: datetime) -> bool:
        return self._connection.execute(_USE_REFRESH, {"hash": token_hash.value, "used": now}).rowcount == 1

    def find_consent(
        self, organization_id: OrganizationId, user_id: UserId, client_id: OAuthClientId
    ) -> Consent | None:
        values = {"org": organization_id, "user": user_id, "client": client_id}
        row = self._connection.execute(_FIND_CONSENT, values).first()
        return None if row is None else _consent(row)

    def put_consent(self, consent: Consent) -> None:
        row = {
            "organization_id": consent.organization_id,
            "user_id": consent.user_id,
            "client_id": consent.client_id,
            "scopes": list(consent.scopes),
            "create_time": consent.create_time,
            "update_time": consent.update_time,
        }
        self._connection.execute(_PUT_CONSENT[self._connection.dialect], row)

    def remove_consent(self, organization_id: OrganizationId, user_id: UserId, client_id: OAuthClientId) -> bool:
        values = {"org": organization_id, "user": user_id, "client": client_id}
        return self._connection.execute(_REMOVE_CONSENT, values).rowcount > 0

    def remove_consents_of_client(self, organization_id: OrganizationId, client_id: OAuthClientId) -> None:
        self._connection.execute(_REMOVE_OF_CLIENT, {"org": organization_id, "client": client_id})

    def remove_consents_of_user(self, organization_id: OrganizationId, user_id: UserId) -> None:
        self._connection.execute(_REMOVE_OF_USER, {"org": organization_id, "user": user_id})

    def list_consents(self, organization_id: OrganizationId, user_id: UserId, most: int) -> Sequence[Consent]:
        values = {"org": organization_id, "user": user_id, "most": most}
        return [_consent(row) for row in self._connection.execute(_LIST_CONSENTS, values)]

    def trim_grants(self, before: datetime) -> None:
        for statement in _TRIM:
            self._connection.execute(statement, {"before": before})

    def live_sessions_of_client(
        self, organization_id: OrganizationId, client_id: OAuthClientId, now: datetime, most: int
    ) -> Sequence[Session]:
        values = {"org": organization_id, "client": client_id, "at": now, "most": most}
        return [session_of(row) for row in self._connection.execute(_OF_CLIENT, values)]

    def live_sessions_between(
        self,
        organization_id: OrganizationId,
        principal: PrincipalRef,
        client_id: OAuthClientId,
        now: datetime,
        most: int,
    ) -> Sequence[Session]:
        values = {
            "org": organization_id,
            "client": client_id,
            "whose": ref_text(principal),
            "at": now,
            "most": most,
        }
        return [session_of(row) for row in self._connection.execute(_BETWEEN, values)]

    def live_children(
        self, organization_id: OrganizationId, session_id: SessionId, now: datetime, most: int
    ) -> Sequence[Session]:
        values = {"org": organization_id, "parent": session_id, "at": now, "most": most}
        return [session_of(row) for row in self._connection.execute(_CHILDREN, values)]

    def live_foreign_children(
        self, organization_id: OrganizationId, principal: PrincipalRef, now: datetime, most: int
    ) -> Sequence[Session]:
        values = {"org": organization_id, "whose": ref_text(principal), "at": now, "most": most}
        return [session_of(row) for row in self._connection.execute(_FOREIGN_CHILDREN, values)]

    def live_principals(self, organization_id: OrganizationId, now: datetime) -> Sequence[tuple[PrincipalRef, int]]:
        rows = self._connection.execute(_PRINCIPALS, {"org": organization_id, "at": now})
        return [(ref_from(row.principal), row.total) for row in rows]

    def live_logins_without_factor(
        self,
        organization_id: OrganizationId,
        principal: PrincipalRef,
        after: SessionId | None,
        now: datetime,
        most: int,
    ) -> Sequence[Session]:
        whose = ref_text(principal)
        values = {"org": organization_id, "whose": whose, "after": after or "", "at": now, "most": most}
        return [session_of(row) for row in self._connection.execute(_WITHOUT_FACTOR, values)]

    def mark_factor(self, session: Session) -> None:
        values = {
            "org": session.organization_id,
            "which": session.id,
            "is_shown": session.mfa,
            "shown": list(session.methods),
            "at": session.update_time,
            "numbered": session.version,
        }
        self._connection.execute(_MARK_FACTOR, values)

    def prolong_session(self, session: Session) -> None:
        values = {
            "org": session.organization_id,
            "which": session.id,
            "last": session.expire_time,
            "at": session.update_time,
            "numbered": session.version,
        }
        self._connection.execute(_PROLONG, values)


def _code(row: Any) -> AuthorizationCode:
    return AuthorizationCode(
        organization_id=row.organization_id,
        client_id=row.client_id,
        user_id=row.user_id,
        session_id=row.session_id,
        redirect_uri=row.redirect_uri,
        redirect_uri_named=row.redirect_uri_named,
        code_challenge=row.code_challenge,
        scopes=tuple(row.scopes),
        audience=row.audience,
        nonce=row.nonce,
        issue_time=row.issue_time,
        expire_time=row.expire_time,
        use_time=row.use_time,
        opened_session_id=row.opened_session_id,
    )


def _consent(row: Any) -> Consent:
    return Consent(
        organization_id=row.organization_id,
        user_id=row.user_id,
        client_id=row.client_id,
        scopes=tuple(row.scopes),
        create_time=row.create_time,
        update_time=row.update_time,
    )
