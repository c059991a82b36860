"""SSH keys in SQL."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Boolean, and_, bindparam, delete, func, select, update
from sqlalchemy import insert as insert_into

from concord.credentials.model.ssh_keys import SshKey
from concord.credentials.sql.rows import SqlPart, contains, pattern
from concord.credentials.sql.tables import ssh_key
from concord.credentials.store.ssh_keys import SshKeyFilter
from concord.kernel.database.listing import Listing, any_of, none_of
from concord.kernel.ids import OrganizationId, SshKeyId
from concord.kernel.paging import Page, PageRequest

_KEY = ssh_key.c
_MINE: Final = _KEY.organization_id == bindparam("org")
_THIS: Final = and_(_MINE, _KEY.id == bindparam("key"))

_ADD: Final = insert_into(ssh_key)
_FIND: Final = select(*_KEY).where(_THIS)
_REPLACE: Final = (
    update(ssh_key)
    .where(_THIS)
    .values({name: bindparam(f"new_{name}") for name in ("version", "name", "disabled", "attributes", "update_time")})
)
_REMOVE: Final = delete(ssh_key).where(_THIS)
_COUNT: Final = select(func.count()).select_from(ssh_key).where(_MINE, _KEY.catalogue == "")
_IN_PROJECT: Final = select(*_KEY).where(_MINE, _KEY.project_id == bindparam("project")).order_by(_KEY.id)
_SAME: Final = select(_KEY.id).where(
    _MINE, _KEY.project_id == bindparam("project"), _KEY.fingerprint_sha256 == bindparam("print")
)
_LIST: Final = Listing(
    select(*_KEY).where(_MINE),
    identity=_KEY.id,
    orders={"create_time": _KEY.create_time, "update_time": _KEY.update_time, "name": _KEY.name},
    filters={
        "org": _MINE,
        "ids": any_of(_KEY.id, "ids"),
        "projects": any_of(_KEY.project_id, "projects"),
        "excepted": none_of(_KEY.project_id, "excepted"),
        "text": contains(_KEY.name, "text"),
        "disabled": _KEY.disabled == bindparam("disabled", type_=Boolean),
    },
    wide=("projects", "excepted"),
)


class SqlSshKeys(SqlPart):
    """The `SshKeys` part of the store."""

    def add_ssh_key(self, key: SshKey) -> None:
        row = {
            "organization_id": key.organization_id,
            "id": key.id,
            "version": key.version,
            "name": key.name,
            "public_key": key.public_key,
            "algorithm": key.algorithm,
            "bits": key.bits,
            "fingerprint": key.fingerprint,
            "fingerprint_sha256": key.fingerprint_sha256,
            "project_id": key.project_id,
            "disabled": key.disabled,
            "catalogue": key.catalogue,
            "attributes": dict(key.attributes),
            "create_time": key.create_time,
            "update_time": key.update_time,
        }
        self._connection.execute(_ADD, row)

    def find_ssh_key(self, organization_id: OrganizationId, key_id: SshKeyId) -> SshKey | None:
        row = self._connection.execute(_FIND, {"org": organization_id, "key": key_id}).first()
        return None if row is None else _key(row)

    def has_ssh_key(self, organization_id: OrganizationId, project_id: str, fingerprint_sha256: str) -> bool:
        values = {"org": organization_id, "project": project_id, "print": fingerprint_sha256}
        return self._connection.execute(_SAME, values).first() is not None

    def replace_ssh_key(self, key: SshKey) -> None:
        values = {
            "new_version": key.version,
            "new_name": key.name,
            "new_disabled": key.disabled,
            "new_attributes": dict(key.attributes),
            "new_update_time": key.update_time,
        }
        self._connection.execute(_REPLACE, {"org": key.organization_id, "key": key.id} | values)

    def remove_ssh_key(self, organization_id: OrganizationId, key_id: SshKeyId) -> None:
        self._connection.execute(_REMOVE, {"org": organization_id, "key": key_id})

    def count_ssh_keys(self, organization_id: OrganizationId) -> int:
        return int(self._connection.execute(_COUNT, {"org": organization_id}).scalar_one())

    def ssh_keys_in_project(self, organization_id: OrganizationId, project_id: str) -> Sequence[SshKey]:
        rows = self._connection.execute(_IN_PROJECT, {"org": organization_id, "project": project_id})
        return [_key(row) for row in rows]

    def list_ssh_keys(self, organization_id: OrganizationId, wanted: SshKeyFilter, page: PageRequest) -> Page[SshKey]:
        filters = {
            "org": organization_id,
            "ids": wanted.ids,
            "projects": wanted.project_ids,
            "excepted": wanted.except_project_ids,
            "text": pattern(wanted.text),
            "disabled": wanted.disabled,
        }
        return _LIST.page(self._connection, page, filters, _key)


def _key(row: Any) -> SshKey:
    return SshKey(
        id=row.id,
        organization_id=row.organization_id,
        version=row.version,
        name=row.name,
        public_key=row.public_key,
        algorithm=row.algorithm,
        bits=row.bits,
        fingerprint=row.fingerprint,
        fingerprint_sha256=row.fingerprint_sha256,
        project_id=row.project_id,
        create_time=row.create_time,
        update_time=row.update_time,
        disabled=row.disabled,
        catalogue=row.catalogue,
        attributes=row.attributes,
    )
