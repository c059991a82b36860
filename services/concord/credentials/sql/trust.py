"""Trust policies in SQL, and who is behind assumed sessions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, exists, select
from sqlalchemy import insert as insert_into

from concord.credentials.model.holders import LifeState
from concord.credentials.model.sessions import Session
from concord.credentials.model.trust import Assumption, TrustedName, TrustedPrincipal, TrustPolicy, TrustStatement
from concord.credentials.sql.login_tables import login_rules, person
from concord.credentials.sql.rows import SqlPart, ref_from, ref_text
from concord.credentials.sql.sessions import session_of
from concord.credentials.sql.tables import assumption, principal, session, trust_policy
from concord.kernel.database.columns import Instant
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId, UserId
from concord.kernel.principal import PrincipalKind, PrincipalRef

_POLICY = trust_policy.c
_THIS: Final = and_(_POLICY.organization_id == bindparam("org"), _POLICY.user_id == bindparam("user"))
_FIND: Final = select(*_POLICY).where(_THIS)
_PUT: Final = upserts(trust_policy)
_REMOVE: Final = delete(trust_policy).where(_THIS)

_NUMBERED: Final = select(login_rules.c.organization_id).where(login_rules.c.number == bindparam("number"))
_OWNER: Final = select(person.c.user_id).where(person.c.organization_id == bindparam("org"), person.c.is_owner)
_NAMED: Final = (
    select(person.c.user_id)
    .where(person.c.organization_id == bindparam("org"), person.c.username == bindparam("name"))
    .order_by(person.c.user_id)
)
_LIVING: Final = select(principal.c.state).where(
    principal.c.organization_id == bindparam("org"), principal.c.principal == bindparam("whose")
)

_BEHIND = assumption.c
_ADD: Final = insert_into(assumption)
_OF: Final = select(*_BEHIND).where(
    _BEHIND.organization_id == bindparam("org"), _BEHIND.session_id == bindparam("which")
)
_LIVE: Final = (
    select(*session.c)
    .select_from(
        session.join(
            assumption,
            and_(_BEHIND.organization_id == session.c.organization_id, _BEHIND.session_id == session.c.id),
        )
    )
    .where(session.c.end_time.is_(None), session.c.expire_time > bindparam("at", type_=Instant))
    .order_by(session.c.id)
)
_BY_CALLER: Final = _LIVE.where(
    _BEHIND.caller_organization_id == bindparam("org"), _BEHIND.caller == bindparam("whose")
)
_BY_KEY: Final = _LIVE.where(
    _BEHIND.caller_organization_id == bindparam("org"), _BEHIND.caller_key_id == bindparam("key")
)
_IN: Final = _LIVE.where(
    _BEHIND.caller_organization_id == bindparam("org"), _BEHIND.caller_session_id == bindparam("began")
)
_FROM: Final = _LIVE.where(
    _BEHIND.caller_organization_id == bindparam("org"), _BEHIND.organization_id != bindparam("org")
)
_ASSUMING: Final = (
    select(*session.c)
    .where(
        session.c.organization_id == bindparam("org"),
        session.c.principal == bindparam("whose"),
        session.c.assumed_by.is_not(None),
        session.c.end_time.is_(None),
        session.c.expire_time > bindparam("at", type_=Instant),
    )
    .order_by(session.c.id)
)
_TRIM: Final = delete(assumption).where(
    ~exists(
        select(session.c.id).where(
            session.c.organization_id == _BEHIND.organization_id, session.c.id == _BEHIND.session_id
        )
    )
)


class SqlTrust(SqlPart):
    """The `Trust` part of the store."""

    def find_trust_policy(self, organization_id: OrganizationId, user_id: UserId) -> TrustPolicy | None:
        row = self._connection.execute(_FIND, {"org": organization_id, "user": user_id}).first()
        return None if row is None else _policy(row)

    def put_trust_policy(self, policy: TrustPolicy) -> None:
        row = {
            "organization_id": policy.organization_id,
            "user_id": policy.user_id,
            "version": policy.version,
            "language": policy.language,
            "document": policy.document,
            "trusted": [_statement_to_json(each) for each in policy.trusted],
            "create_time": policy.create_time,
            "update_time": policy.update_time,
        }
        self._connection.execute(_PUT[self._connection.dialect], row)

    def remove_trust_policy(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        return self._connection.execute(_REMOVE, {"org": organization_id, "user": user_id}).rowcount > 0

    def find_organization_numbered(self, number: int) -> OrganizationId | None:
        found = self._connection.execute(_NUMBERED, {"number": number}).first() if number else None
        return None if found is None else OrganizationId(found.organization_id)

    def find_named(self, names: Collection[TrustedName]) -> Mapping[TrustedName, TrustedPrincipal]:
        organizations: dict[int, OrganizationId | None] = {}
        found = {}
        for name in names:
            number = name.organization_number
            if number not in organizations:
                organizations[number] = self.find_organization_numbered(number)
            organization_id = organizations[number]
            user = None if organization_id is None else self._living_user(organization_id, name.username)
            if organization_id is not None and user is not None:
                found[name] = TrustedPrincipal(organization_id, user)
        return found

    def _living_user(self, organization_id: OrganizationId, username: str) -> PrincipalRef | None:
        if username:
            rows = self._connection.execute(_NAMED, {"org": organization_id, "name": username}).all()
        else:
            rows = self._connection.execute(_OWNER, {"org": organization_id}).all()
        for row in rows:
            user = PrincipalRef(PrincipalKind.USER, row.user_id)
            state = self._connection.execute(_LIVING, {"org": organization_id, "whose": ref_text(user)}).scalar()
            if state is not None and state != LifeState.DELETED.value:
                return user
        return None

    def add_assumption(self, assumption: Assumption) -> None:
        row = {
            "organization_id": assumption.organization_id,
            "session_id": assumption.session_id,
            "caller_organization_id": assumption.caller.organization_id,
            "caller": ref_text(assumption.caller.principal),
            "caller_key_id": assumption.caller_key_id,
            "caller_session_id": assumption.caller_session_id,
        }
        self._connection.execute(_ADD, row)

    def assumptions_of(self, organization_id: OrganizationId, session_id: SessionId) -> Sequence[Assumption]:
        rows = self._connection.execute(_OF, {"org": organization_id, "which": session_id})
        return [
            Assumption(
                row.organization_id,
                row.session_id,
                TrustedPrincipal(row.caller_organization_id, ref_from(row.caller)),
                row.caller_key_id,
                row.caller_session_id,
            )
            for row in rows
        ]

    def sessions_assumed_by(
        self, organization_id: OrganizationId, caller: PrincipalRef, now: datetime
    ) -> Sequence[Session]:
        values = {"org": organization_id, "whose": ref_text(caller), "at": now}
        return [session_of(row) for row in self._connection.execute(_BY_CALLER, values)]

    def sessions_assumed_with_key(
        self, organization_id: OrganizationId, key_id: ApiKeyId, now: datetime
    ) -> Sequence[Session]:
        values = {"org": organization_id, "key": key_id, "at": now}
        return [session_of(row) for row in self._connection.execute(_BY_KEY, values)]

    def sessions_assumed_in(
        self, organization_id: OrganizationId, session_id: SessionId, now: datetime
    ) -> Sequence[Session]:
        values = {"org": organization_id, "began": session_id, "at": now}
        return [session_of(row) for row in self._connection.execute(_IN, values)]

    def sessions_assumed_from(self, organization_id: OrganizationId, now: datetime) -> Sequence[Session]:
        rows = self._connection.execute(_FROM, {"org": organization_id, "at": now}).all()
        # One session may have several from there behind it.
        return list({row.id: session_of(row) for row in rows}.values())

    def sessions_assuming(
        self, organization_id: OrganizationId, user: PrincipalRef, now: datetime
    ) -> Sequence[Session]:
        values = {"org": organization_id, "whose": ref_text(user), "at": now}
        return [session_of(row) for row in self._connection.execute(_ASSUMING, values)]

    def trim_assumptions(self) -> int:
        return self._connection.execute(_TRIM).rowcount


def _policy(row: Any) -> TrustPolicy:
    return TrustPolicy(
        user_id=row.user_id,
        organization_id=row.organization_id,
        version=row.version,
        language=row.language,
        document=row.document,
        trusted=tuple(_statement_from_json(each) for each in row.trusted),
        create_time=row.create_time,
        update_time=row.update_time,
    )


def _statement_to_json(statement: TrustStatement) -> dict[str, Any]:
    return {
        "principals": [[each.organization_id, ref_text(each.principal)] for each in statement.principals],
        "services": list(statement.services),
        "condition": statement.condition,
        "unknown_names": statement.unknown_names,
    }


def _statement_from_json(value: Mapping[str, Any]) -> TrustStatement:
    return TrustStatement(
        principals=tuple(
            TrustedPrincipal(OrganizationId(organization_id), ref_from(whose))
            for organization_id, whose in value["principals"]
        ),
        services=tuple(value["services"]),
        condition=value["condition"],
        unknown_names=value["unknown_names"],
    )
