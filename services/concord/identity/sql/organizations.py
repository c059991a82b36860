"""Organizations, the directory of their deployment-wide names, their settings and their quotas."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, cast, delete, func, insert, select, update

from concord.identity.model import (
    DirectoryKind,
    Organization,
    OrganizationState,
    PasswordRules,
    Quota,
    SecuritySettings,
)
from concord.identity.sql.tables import directory, organization, quota, security_settings
from concord.kernel.database import Connection, UniqueViolation
from concord.kernel.ids import OrganizationId

_CLAIM: Final = insert(directory)
_RELEASE: Final = delete(directory).where(
    directory.c.kind == bindparam("of_kind"),
    directory.c.name == bindparam("of_name"),
    directory.c.organization_id == bindparam("in_organization"),
)
_WHOSE: Final = select(directory.c.organization_id).where(
    directory.c.kind == bindparam("of_kind"), directory.c.name == bindparam("of_name")
)
_HIGHEST: Final = select(func.max(cast(directory.c.name, BigInteger))).where(
    directory.c.kind == DirectoryKind.NUMBER.value
)

_ADD: Final = insert(organization)
_FIND: Final = select(organization).where(organization.c.id == bindparam("with_id"))
_REPLACE: Final = update(organization).where(organization.c.id == bindparam("with_id"))
_ADD_SETTINGS: Final = insert(security_settings)
_REPLACE_SETTINGS: Final = update(security_settings).where(security_settings.c.organization_id == bindparam("with_id"))
_FIND_SETTINGS: Final = select(security_settings).where(security_settings.c.organization_id == bindparam("with_id"))

_SET_QUOTA: Final = insert(quota)
_FIND_QUOTA: Final = select(quota).where(
    quota.c.organization_id == bindparam("in_organization"), quota.c.name == bindparam("of_name")
)
_DROP_QUOTA: Final = delete(quota).where(
    quota.c.organization_id == bindparam("in_organization"), quota.c.name == bindparam("of_name")
)


class SqlDirectory:
    """The deployment-wide names."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, kind: DirectoryKind, name: str, organization_id: OrganizationId) -> bool:
        """Give the name to the organization unless it is taken."""
        row = {"kind": kind.value, "name": name, "organization_id": organization_id}
        try:
            self._connection.execute_unique(_CLAIM, row)
        except UniqueViolation:
            return False
        return True

    def release(self, kind: DirectoryKind, name: str, organization_id: OrganizationId) -> None:
        """Take the name back."""
        parameters = {"of_kind": kind.value, "of_name": name, "in_organization": organization_id}
        self._connection.execute(_RELEASE, parameters)

    def find(self, kind: DirectoryKind, name: str) -> OrganizationId | None:
        """Return whose name it is."""
        found = self._connection.execute(_WHOSE, {"of_kind": kind.value, "of_name": name}).scalar()
        return None if found is None else OrganizationId(found)

    def highest_number(self) -> int:
        """Return the highest number claimed."""
        return int(self._connection.execute(_HIGHEST).scalar() or 0)


class SqlOrganizationStore:
    """Organizations and their settings."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Organization, settings: SecuritySettings) -> None:
        """Keep a new organization."""
        self._connection.execute(_ADD, _columns(new))
        self._connection.execute(_ADD_SETTINGS, _settings_columns(settings))

    def find(self, organization_id: OrganizationId) -> Organization | None:
        """Return the organization."""
        row = self._connection.execute(_FIND, {"with_id": organization_id}).one_or_none()
        return None if row is None else _organization(row)

    def replace(self, changed: Organization) -> None:
        """Keep new values."""
        values = _columns(changed)
        del values["id"]
        self._connection.execute(_REPLACE, {**values, "with_id": changed.id})

    def find_security_settings(self, organization_id: OrganizationId) -> SecuritySettings | None:
        """Return the settings."""
        row = self._connection.execute(_FIND_SETTINGS, {"with_id": organization_id}).one_or_none()
        return None if row is None else _settings(row)

    def replace_security_settings(self, changed: SecuritySettings) -> None:
        """Keep new values of the settings."""
        values = _settings_columns(changed)
        del values["organization_id"]
        self._connection.execute(_REPLACE_SETTINGS, {**values, "with_id": changed.organization_id})


class SqlQuotaStore:
    """Limits that were set."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, organization_id: OrganizationId, name: str) -> Quota | None:
        """Return the limit."""
        parameters = {"in_organization": organization_id, "of_name": name}
        row = self._connection.execute(_FIND_QUOTA, parameters).one_or_none()
        return None if row is None else Quota(organization_id, row.name, row.maximum)

    def set(self, limit: Quota) -> None:
        """Keep the limit."""
        self.reset(limit.organization_id, limit.name)
        row = {"organization_id": limit.organization_id, "name": limit.name, "maximum": limit.limit}
        self._connection.execute(_SET_QUOTA, row)

    def reset(self, organization_id: OrganizationId, name: str) -> None:
        """Return to the default."""
        self._connection.execute(_DROP_QUOTA, {"in_organization": organization_id, "of_name": name})


def _columns(value: Organization) -> dict[str, Any]:
    return {
        "id": value.id,
        "number": value.number,
        "slug": value.slug,
        "alias": value.alias,
        "name": value.name,
        "description": value.description,
        "owner_user_id": value.owner_user_id,
        "owner_email": value.owner_email,
        "default_language": value.default_language,
        "languages": list(value.languages),
        "login_password_enabled": value.login_password_enabled,
        "login_oauth_enabled": value.login_oauth_enabled,
        "login_magic_code_enabled": value.login_magic_code_enabled,
        "login_federation_enabled": value.login_federation_enabled,
        "catalogues": list(value.catalogues),
        "state": value.state.value,
        "attributes": dict(value.attributes),
        "version": value.version,
        "create_time": value.create_time,
        "update_time": value.update_time,
    }


def _organization(row: Any) -> Organization:
    return Organization(
        id=row.id,
        number=row.number,
        slug=row.slug,
        alias=row.alias,
        name=row.name,
        description=row.description,
        owner_user_id=row.owner_user_id,
        owner_email=row.owner_email,
        default_language=row.default_language,
        languages=tuple(row.languages),
        login_password_enabled=row.login_password_enabled,
        login_oauth_enabled=row.login_oauth_enabled,
        login_magic_code_enabled=row.login_magic_code_enabled,
        login_federation_enabled=row.login_federation_enabled,
        catalogues=tuple(row.catalogues),
        state=OrganizationState(row.state),
        attributes=row.attributes,
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
    )


def _settings_columns(value: SecuritySettings) -> dict[str, Any]:
    return {
        "organization_id": value.organization_id,
        "enforce_password_renewal": value.enforce_password_renewal,
        "grace_period": _seconds(value.grace_period),
        "max_login_attempts": value.max_login_attempts,
        "max_session_ttl": _seconds(value.max_session_ttl),
        "max_api_key_ttl": _seconds(value.max_api_key_ttl),
        "password_rules": asdict(value.password_rules),
        "temporary_password_ttl": _seconds(value.temporary_password_ttl),
        "enforce_mfa": value.enforce_mfa,
        "version": value.version,
        "create_time": value.create_time,
        "update_time": value.update_time,
    }


def _settings(row: Any) -> SecuritySettings:
    return SecuritySettings(
        organization_id=row.organization_id,
        enforce_password_renewal=row.enforce_password_renewal,
        grace_period=timedelta(seconds=row.grace_period),
        max_login_attempts=row.max_login_attempts,
        max_session_ttl=timedelta(seconds=row.max_session_ttl),
        max_api_key_ttl=timedelta(seconds=row.max_api_key_ttl),
        password_rules=PasswordRules(**row.password_rules),
        temporary_password_ttl=timedelta(seconds=row.temporary_password_ttl),
        enforce_mfa=row.enforce_mfa,
        version=row.version,
        create_time=row.create_time,
        update_time=row.update_time,
    )


def _seconds(duration: timedelta) -> int:
    return duration // timedelta(seconds=1)
