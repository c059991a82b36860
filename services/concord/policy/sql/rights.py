"""Frozen rights in SQL: each snapshot is one text, written once."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, exists, insert, select, update

from concord.kernel import ids
from concord.kernel.database import Connection
from concord.kernel.database.columns import Instant, from_microseconds, to_microseconds
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import ApiKeyId, OrganizationId, SessionId
from concord.kernel.principal import PrincipalRef
from concord.policy.model import FrozenSession, RightsSnapshot, RightsSnapshotId, Sources
from concord.policy.sql.rows import (
    body_statement,
    grant_row,
    policy_row,
    role_row,
    row_grant,
    row_policy,
    row_role,
    statement_body,
)
from concord.policy.sql.tables import frozen_session, rights_snapshot

_KIND: Final = "rights_snapshot"
_TIMES: Final = ("create_time", "update_time")

_snapshot, _session = rights_snapshot.c, frozen_session.c
_THIS: Final = and_(
    _snapshot.organization_id == bindparam("key_organization"), _snapshot.id == bindparam("key_snapshot")
)
_FIND: Final = select(rights_snapshot).where(_THIS)
_HEAD: Final = select(_snapshot.capture_time).where(_THIS)
_ADD: Final = insert(rights_snapshot)
_MOVE: Final = (
    update(rights_snapshot)
    .where(_THIS, _snapshot.capture_time < bindparam("captured", type_=Instant))
    .values(capture_time=bindparam("captured", type_=Instant))
)
_PUT_SESSION: Final = upserts(frozen_session)
_MINE: Final = _session.organization_id == bindparam("key_organization")
_END: Final = delete(frozen_session).where(_MINE, _session.id == bindparam("key_session"))
_END_OF: Final = delete(frozen_session).where(
    _MINE, _session.principal_kind == bindparam("kind"), _session.principal_id == bindparam("whose")
)
_END_OF_KEY: Final = delete(frozen_session).where(_MINE, _session.api_key_id == bindparam("key"))
_BEFORE: Final = bindparam("before", type_=Instant)
_IS_NAMED: Final = exists().where(
    _session.organization_id == _snapshot.organization_id, _session.snapshot_id == _snapshot.id
)
_SWEEP_SESSIONS: Final = delete(frozen_session).where(_session.expire_time < _BEFORE)
_SWEEP: Final = delete(rights_snapshot).where(_snapshot.capture_time < _BEFORE, ~_IS_NAMED)


class SqlRights:
    """The part of the SQL store that keeps frozen rights."""

    _connection: Connection

    def keep_rights(self, organization_id: OrganizationId, sources: Sources, capture_time: datetime) -> RightsSnapshot:
        content = _content(sources)
        digest = sha256(content.encode()).hexdigest()
        snapshot_id: RightsSnapshotId = ids.derive(RightsSnapshotId, organization_id, _KIND, digest)
        key = {"key_organization": organization_id, "key_snapshot": snapshot_id}
        # The write comes first: it holds the row that is there, so that a sweep cannot take it from under this unit.
        self._connection.execute(_MOVE, {**key, "captured": capture_time})
        known = self._connection.execute(_HEAD, key).first()
        if known is None:
            row = {
                "organization_id": organization_id,
                "id": snapshot_id,
                "content_hash": digest,
                "capture_time": capture_time,
                "sources": content,
            }
            self._connection.execute(_ADD, row)
        captured = capture_time if known is None else known.capture_time
        return RightsSnapshot(snapshot_id, organization_id, digest, captured, sources)

    def find_rights(self, organization_id: OrganizationId, snapshot_id: RightsSnapshotId) -> RightsSnapshot | None:
        row = self._connection.execute(
            _FIND, {"key_organization": organization_id, "key_snapshot": snapshot_id}
        ).first()
        if row is None:
            return None
        return RightsSnapshot(
            snapshot_id, organization_id, row.content_hash, row.capture_time, _sources(organization_id, row.sources)
        )

    def put_frozen_session(self, session: FrozenSession) -> None:
        row = {
            "organization_id": session.organization_id,
            "id": session.id,
            "snapshot_id": session.snapshot_id,
            "principal_kind": session.principal.kind.value,
            "principal_id": session.principal.id,
            "api_key_id": session.api_key_id,
            "expire_time": session.expire_time,
        }
        self._connection.execute(_PUT_SESSION[self._connection.dialect], row)

    def end_frozen_session(self, organization_id: OrganizationId, session_id: SessionId) -> None:
        self._connection.execute(_END, {"key_organization": organization_id, "key_session": session_id})

    def end_frozen_sessions_of(self, organization_id: OrganizationId, principal: PrincipalRef) -> None:
        whose = {"kind": principal.kind.value, "whose": principal.id}
        self._connection.execute(_END_OF, {"key_organization": organization_id, **whose})

    def end_frozen_sessions_of_key(self, organization_id: OrganizationId, key_id: ApiKeyId) -> None:
        self._connection.execute(_END_OF_KEY, {"key_organization": organization_id, "key": key_id})

    def sweep_rights(self, before: datetime) -> int:
        self._connection.execute(_SWEEP_SESSIONS, {"before": before})
        return self._connection.execute(_SWEEP, {"before": before}).rowcount


def _content(sources: Sources) -> str:
    """Return sources as the one text that is always the same for the same sources."""
    content = {
        "policies": [
            {
                **_plain(policy_row(each)),
                "statements": [{"id": s.id, **statement_body(s)} for s in each.statements or ()],
            }
            for each in sources.policies
        ],
        "grants": [_plain(grant_row(each)) for each in sources.grants],
        "roles": [_plain(role_row(role)) for _, role in sorted(sources.roles.items())],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _sources(organization_id: OrganizationId, text: str) -> Sources:
    content = json.loads(text)
    roles = (row_role(_row(organization_id, each)) for each in content["roles"])
    return Sources(
        tuple(
            row_policy(
                _row(organization_id, each), tuple(body_statement(body["id"], body) for body in each["statements"])
            )
            for each in content["policies"]
        ),
        tuple(row_grant(_row(organization_id, each)) for each in content["grants"]),
        {role.id: role for role in roles},
    )


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON can hold it, without what the snapshot's own row says."""
    return {
        name: to_microseconds(value) if name in _TIMES else value
        for name, value in row.items()
        if name != "organization_id"
    }


def _row(organization_id: OrganizationId, plain: Mapping[str, Any]) -> Any:
    """Return what the functions that read rows take."""
    times = {name: from_microseconds(plain[name]) for name in _TIMES}
    return SimpleNamespace(**{**plain, **times, "organization_id": organization_id})
