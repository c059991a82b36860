"""API keys in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, and_, bindparam, func, literal, or_, select, update
from sqlalchemy import insert as insert_into

from concord.credentials.model.api_keys import ApiKey, ApiKeyState, FoundKey
from concord.credentials.model.holders import Holder, LifeState
from concord.credentials.sql.rows import (
    NEVER,
    SqlPart,
    contains,
    pattern,
    ref_from,
    ref_text,
    ref_texts,
    sight_filters,
    sight_values,
)
from concord.credentials.sql.tables import api_key, former_key, organization, principal
from concord.credentials.store.api_keys import ApiKeyFilter
from concord.kernel.database import UniqueViolation
from concord.kernel.database.columns import Instant
from concord.kernel.database.listing import Listing, any_of
from concord.kernel.errors import AlreadyExists
from concord.kernel.ids import ApiKeyId, OrganizationId
from concord.kernel.paging import Page, PageRequest
from concord.kernel.principal import PrincipalRef
from concord.kernel.secret import SecretHash

_KEY = api_key.c
_HIDDEN: Final = {"secret_hash", "lookup_hash", "sealed_secret"}
_SHOWN: Final = [column for column in _KEY if column.name not in _HIDDEN]
_MINE: Final = and_(_KEY.organization_id == bindparam("org"), _KEY.state != ApiKeyState.DELETED.value)

# The one read of an authentication: the key, and whether its bearer and organization live.
_FOUND: Final = (
    select(
        *_SHOWN,
        _KEY.secret_hash,
        principal.c.state.label("principal_state"),
        organization.c.state.label("organization_state"),
    )
    .select_from(api_key)
    .outerjoin(
        principal, and_(principal.c.organization_id == _KEY.organization_id, principal.c.principal == _KEY.bearer)
    )
    .outerjoin(organization, organization.c.id == _KEY.organization_id)
)
_BY_ACCESS_ID: Final = _FOUND.where(_KEY.access_id == bindparam("access"))
_BY_SECRET: Final = _FOUND.where(_KEY.lookup_hash == bindparam("hash"))

# Only what those two do not find is looked for among the pairs that rotations replaced, and after them:
# a rotation between the two reads is then missed by neither.
_FORMER: Final = (
    select(
        *_SHOWN,
        former_key.c.secret_hash,
        former_key.c.expire_time.label("former_until"),
        principal.c.state.label("principal_state"),
        organization.c.state.label("organization_state"),
    )
    .select_from(former_key)
    .join(api_key, and_(_KEY.organization_id == former_key.c.organization_id, _KEY.id == former_key.c.key_id))
    .outerjoin(
        principal, and_(principal.c.organization_id == _KEY.organization_id, principal.c.principal == _KEY.bearer)
    )
    .outerjoin(organization, organization.c.id == _KEY.organization_id)
)
_FORMER_BY_ACCESS_ID: Final = _FORMER.where(former_key.c.access_id == bindparam("access"))
_FORMER_BY_SECRET: Final = _FORMER.where(former_key.c.lookup_hash == bindparam("hash"))
_WAS_USED: Final = select(former_key.c.access_id).where(former_key.c.access_id == bindparam("access"))

_ADD: Final = insert_into(api_key)
_BY_ID: Final = select(*_SHOWN).where(_MINE, _KEY.id == bindparam("key"))
_BY_NAME: Final = select(*_SHOWN).where(_MINE, _KEY.access_id == bindparam("access"))
_COUNT: Final = select(func.count()).select_from(api_key).where(_MINE, _KEY.catalogue == "")
_OF_BEARER: Final = select(*_SHOWN).where(_MINE, _KEY.bearer == bindparam("whose")).order_by(_KEY.number)
_IN_PROJECT: Final = select(*_SHOWN).where(_MINE, _KEY.default_project_id == bindparam("project")).order_by(_KEY.number)
_REPLACE: Final = (
    update(api_key)
    .where(_KEY.organization_id == bindparam("org"), _KEY.id == bindparam("key"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "version",
                "name",
                "description",
                "state",
                "default_project_id",
                "ceiling",
                "expire_time",
                "attributes",
                "update_time",
            )
        }
    )
)
_THIS: Final = and_(_KEY.organization_id == bindparam("org"), _KEY.id == bindparam("key"))
_PAIR: Final = select(_KEY.access_id, _KEY.secret_hash, _KEY.lookup_hash).where(_THIS)
_END_FORMERS: Final = (
    update(former_key)
    .where(
        former_key.c.organization_id == bindparam("org"),
        former_key.c.key_id == bindparam("key"),
        former_key.c.expire_time > bindparam("at", type_=Instant),
    )
    .values(expire_time=bindparam("at", type_=Instant))
)
_ADD_FORMER: Final = insert_into(former_key)
_ROTATE: Final = (
    update(api_key)
    .where(_THIS)
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "version",
                "access_id",
                "secret_hash",
                "lookup_hash",
                "sealed_secret",
                "secret_identifies",
                "rotate_time",
                "former_expire_time",
                "update_time",
            )
        }
    )
)
_SEALED: Final = select(_KEY.sealed_secret).where(_MINE, _KEY.id == bindparam("key"))
_WIPE: Final = (
    update(api_key)
    .where(_KEY.organization_id == bindparam("org"), _KEY.id == bindparam("key"))
    .values(sealed_secret=None)
)
_USE: Final = (
    update(api_key)
    .where(
        _KEY.organization_id == bindparam("org"),
        _KEY.id == bindparam("key"),
        or_(_KEY.last_used_time.is_(None), _KEY.last_used_time < bindparam("used", type_=Instant)),
    )
    .values(last_used_time=bindparam("used", type_=Instant))
)


def _or_never(column: Any) -> Any:
    return func.coalesce(column, literal(NEVER, Instant), type_=Instant)


_LIST: Final = Listing(
    select(*_SHOWN).where(_MINE),
    identity=_KEY.id,
    orders={
        "create_time": _KEY.create_time,
        "update_time": _KEY.update_time,
        "expire_time": _or_never(_KEY.expire_time),
        "last_used_time": _or_never(_KEY.last_used_time),
        "access_id": _KEY.access_id,
        "name": _KEY.name,
        "number": _KEY.number,
    },
    filters={
        "org": _KEY.organization_id == bindparam("org"),
        **sight_filters(_KEY.bearer),
        "ids": any_of(_KEY.id, "ids"),
        "bearers": any_of(_KEY.bearer, "bearers"),
        "bearer_kind": _KEY.bearer.like(bindparam("bearer_kind")),
        "access_ids": any_of(_KEY.access_id, "access_ids"),
        "expired_at": _KEY.expire_time <= bindparam("expired_at", type_=Instant),
        "good_at": or_(_KEY.expire_time.is_(None), _KEY.expire_time > bindparam("good_at", type_=Instant)),
        "text": or_(contains(_KEY.name, "text"), contains(_KEY.description, "text"), contains(_KEY.access_id, "text")),
        "description": contains(_KEY.description, "description"),
        "editable": (_KEY.catalogue == "") == bindparam("editable", type_=Boolean),
        "state": _KEY.state == bindparam("state"),
    },
)


class SqlApiKeys(SqlPart):
    """The `ApiKeys` part of the store, and the keys' part of the directory."""

    def find_key_by_access_id(self, access_id: str) -> FoundKey | None:
        return _found(self._connection.execute(_BY_ACCESS_ID, {"access": access_id}).first())

    def find_key_by_secret(self, secret_hash: SecretHash) -> FoundKey | None:
        return _found(self._connection.execute(_BY_SECRET, {"hash": secret_hash.value}).first())

    def find_former_key(self, access_id: str, secret_hash: SecretHash) -> FoundKey | None:
        if access_id:
            row = self._connection.execute(_FORMER_BY_ACCESS_ID, {"access": access_id}).first()
        else:
            row = self._connection.execute(_FORMER_BY_SECRET, {"hash": secret_hash.value}).first()
        found = _found(row)
        return None if found is None or row is None else replace(found, former_until=row.former_until)

    def add_key(self, key: ApiKey, secret_hash: SecretHash, sealed_secret: bytes | None) -> None:
        row = {
            "organization_id": key.organization_id,
            "id": key.id,
            "number": key.number,
            "version": key.version,
            "bearer": ref_text(key.bearer),
            "access_id": key.access_id,
            "secret_hash": secret_hash.value,
            "lookup_hash": secret_hash.value if key.secret_identifies else None,
            "sealed_secret": sealed_secret,
            "secret_recoverable": key.secret_recoverable,
            "secret_identifies": key.secret_identifies,
            "name": key.name,
            "description": key.description,
            "state": key.state.value,
            "default_project_id": key.default_project_id,
            "ceiling": list(key.ceiling),
            "expire_time": key.expire_time,
            "last_used_time": key.last_used_time,
            "creation_ip": key.creation_ip,
            "catalogue": key.catalogue,
            "attributes": dict(key.attributes),
            "create_time": key.create_time,
            "update_time": key.update_time,
            "rotate_time": key.rotate_time,
            "former_expire_time": key.former_expire_time,
        }
        self._require_unused(key.access_id)
        try:
            self._connection.execute_unique(_ADD, row)
        except UniqueViolation:
            raise AlreadyExists("api_key", key.access_id, "access_id") from None

    def find_key(self, organization_id: OrganizationId, key_id: ApiKeyId) -> ApiKey | None:
        row = self._connection.execute(_BY_ID, {"org": organization_id, "key": key_id}).first()
        return None if row is None else _key(row)

    def find_key_named(self, organization_id: OrganizationId, access_id: str) -> ApiKey | None:
        row = self._connection.execute(_BY_NAME, {"org": organization_id, "access": access_id}).first()
        return None if row is None else _key(row)

    def replace_key(self, key: ApiKey) -> None:
        where = {"org": key.organization_id, "key": key.id}
        values = {
            "version": key.version,
            "name": key.name,
            "description": key.description,
            "state": key.state.value,
            "default_project_id": key.default_project_id,
            "ceiling": list(key.ceiling),
            "expire_time": key.expire_time,
            "attributes": dict(key.attributes),
            "update_time": key.update_time,
        }
        self._connection.execute(_REPLACE, where | {f"new_{name}": value for name, value in values.items()})
        if key.state is ApiKeyState.DELETED:
            self._connection.execute(_WIPE, where)

    def rotate_key(
        self, key: ApiKey, secret_hash: SecretHash, sealed_secret: bytes | None, former_until: datetime
    ) -> None:
        where = {"org": key.organization_id, "key": key.id}
        self._require_unused(key.access_id)
        former = self._connection.execute(_PAIR, where).one()
        self._connection.execute(_END_FORMERS, where | {"at": key.update_time})
        row = {
            "access_id": former.access_id,
            "organization_id": key.organization_id,
            "key_id": key.id,
            "secret_hash": former.secret_hash,
            "lookup_hash": former.lookup_hash,
            "expire_time": former_until,
        }
        self._connection.execute(_ADD_FORMER, row)
        values = {
            "version": key.version,
            "access_id": key.access_id,
            "secret_hash": secret_hash.value,
            "lookup_hash": secret_hash.value if key.secret_identifies else None,
            "sealed_secret": sealed_secret,
            "secret_identifies": key.secret_identifies,
            "rotate_time": key.rotate_time,
            "former_expire_time": key.former_expire_time,
            "update_time": key.update_time,
        }
        try:
            self._connection.execute_unique(_ROTATE, where | {f"new_{name}": value for name, value in values.items()})
        except UniqueViolation:
            raise AlreadyExists("api_key", key.access_id, "access_id") from None

    def find_sealed_secret(self, organization_id: OrganizationId, key_id: ApiKeyId) -> bytes | None:
        found: bytes | None = self._connection.execute(_SEALED, {"org": organization_id, "key": key_id}).scalar()
        return found

    def _require_unused(self, access_id: str) -> None:
        if self._connection.execute(_WAS_USED, {"access": access_id}).first() is not None:
            raise AlreadyExists("api_key", access_id, "access_id")

    def count_keys(self, organization_id: OrganizationId) -> int:
        return int(self._connection.execute(_COUNT, {"org": organization_id}).scalar_one())

    def keys_of(self, organization_id: OrganizationId, bearer: PrincipalRef) -> Sequence[ApiKey]:
        rows = self._connection.execute(_OF_BEARER, {"org": organization_id, "whose": ref_text(bearer)})
        return [_key(row) for row in rows]

    def keys_in_project(self, organization_id: OrganizationId, project_id: str) -> Sequence[ApiKey]:
        rows = self._connection.execute(_IN_PROJECT, {"org": organization_id, "project": project_id})
        return [_key(row) for row in rows]

    def list_keys(self, organization_id: OrganizationId, wanted: ApiKeyFilter, page: PageRequest) -> Page[ApiKey]:
        filters = {
            "org": organization_id,
            **sight_values(wanted.sight),
            "ids": wanted.ids,
            "bearers": ref_texts(wanted.bearers),
            "bearer_kind": None if wanted.bearer_kind is None else f"{wanted.bearer_kind.value}:%",
            "access_ids": wanted.access_ids,
            "expired_at": wanted.now if wanted.expired is True else None,
            "good_at": wanted.now if wanted.expired is False else None,
            "text": pattern(wanted.text),
            "description": pattern(wanted.description),
            "editable": wanted.editable,
            "state": None if wanted.state is None else wanted.state.value,
        }
        return _LIST.page(self._connection, page, filters, _key)

    def note_key_use(self, uses: Mapping[tuple[OrganizationId, ApiKeyId], datetime]) -> None:
        for (organization_id, key_id), used in uses.items():
            self._connection.execute(_USE, {"org": organization_id, "key": key_id, "used": used})


def _found(row: Any) -> FoundKey | None:
    if row is None:
        return None
    return FoundKey(_key(row), SecretHash(row.secret_hash), holder(row.principal_state, row.organization_state))


def holder(principal_state: str | None, organization_state: str | None) -> Holder:
    """Return whether those behind a credential live. Who is not known any more is dead."""
    return Holder(
        LifeState(principal_state or LifeState.DELETED.value), LifeState(organization_state or LifeState.DELETED.value)
    )


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        organization_id=row.organization_id,
        number=row.number,
        version=row.version,
        bearer=ref_from(row.bearer),
        access_id=row.access_id,
        secret_recoverable=row.secret_recoverable,
        secret_identifies=row.secret_identifies,
        name=row.name,
        description=row.description,
        state=ApiKeyState(row.state),
        default_project_id=row.default_project_id,
        ceiling=tuple(row.ceiling),
        expire_time=row.expire_time,
        last_used_time=row.last_used_time,
        creation_ip=row.creation_ip,
        rotate_time=row.rotate_time,
        former_expire_time=row.former_expire_time,
        catalogue=row.catalogue,
        attributes=row.attributes,
        create_time=row.create_time,
        update_time=row.update_time,
    )
