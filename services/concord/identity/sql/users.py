"""Users, the addresses they hold and the tags they are found by."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, func, insert, literal, select, update

from concord.identity.model import Population, User, UserKind, UserState
from concord.identity.rules import fold
from concord.identity.sql.shared import (
    add_tags,
    carries_tag,
    contains,
    drop_tags,
    entity_columns,
    entity_fields,
    keep_tags,
    pattern,
    place,
    scalar,
    within,
)
from concord.identity.sql.tables import email_address, user
from concord.identity.store import UserFilter
from concord.kernel.database import Connection, UniqueViolation
from concord.kernel.database.columns import Instant
from concord.kernel.database.listing import Listing, any_of
from concord.kernel.errors import AlreadyExists
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.paging import Page, PageRequest

_TYPE: Final = "user"
# An address that an administrator wrote down; nobody has proved to read it.
_UNVERIFIED: Final = "unverified"
_NEVER: Final = literal(datetime(1970, 1, 1, tzinfo=UTC), Instant())

_ADD: Final = insert(user)
# What is there to be searched is not read.
_READ: Final = [column for column in user.c if column.name not in ("folded_username", "folded_email", "search")]
_FIND: Final = select(*_READ).where(within(user))
_REPLACE: Final = update(user).where(within(user))
_REMOVE: Final = delete(user).where(within(user))
_SET_LOGIN: Final = update(user).where(within(user)).values(last_login_time=bindparam("at"))
_SET_MFA: Final = update(user).where(within(user)).values(mfa_enabled=bindparam("is_enabled"))
_SET_LOCKED: Final = update(user).where(within(user)).values(password_locked=bindparam("is_locked"))
_BY_USERNAME: Final = select(user).where(
    user.c.organization_id == bindparam("in_organization"), user.c.username == bindparam("of_name")
)
_BY_EMAIL: Final = (
    select(user)
    .join(
        email_address,
        and_(email_address.c.organization_id == user.c.organization_id, email_address.c.user_id == user.c.id),
    )
    .where(
        email_address.c.organization_id == bindparam("in_organization"),
        email_address.c.population == bindparam("of_population"),
        email_address.c.folded_address == bindparam("of_address"),
        # Only the primary one: a further address is held by its user, but does not name him.
        user.c.folded_email == bindparam("of_address"),
    )
)
_COUNT: Final = (
    select(func.count())
    .select_from(user)
    .where(user.c.organization_id == bindparam("in_organization"), user.c.catalogue == "")
)
_ADD_ADDRESS: Final = insert(email_address)
_OF_USER: Final = and_(
    email_address.c.organization_id == bindparam("in_organization"), email_address.c.user_id == bindparam("of_user")
)
_DROP_ADDRESSES: Final = delete(email_address).where(_OF_USER)
_DROP_ADDRESS: Final = delete(email_address).where(_OF_USER, email_address.c.folded_address == bindparam("of_address"))
_LIST: Final = Listing(
    select(user),
    identity=user.c.id,
    orders={
        "create_time": user.c.create_time,
        "update_time": user.c.update_time,
        "username": user.c.username,
        "folded_username": user.c.folded_username,
        "primary_email": user.c.folded_email,
        "last_login_time": func.coalesce(user.c.last_login_time, _NEVER, type_=Instant()),
    },
    filters={
        "organization": user.c.organization_id == bindparam("organization"),
        "only": any_of(user.c.id, "only"),
        "kinds": any_of(user.c.kind, "kinds"),
        "states": any_of(user.c.state, "states"),
        "text": contains(user.c.search, "text"),
        "tag": carries_tag(user, _TYPE),
        "editable": user.c.editable == bindparam("editable"),
        "mfa_enabled": user.c.mfa_enabled == bindparam("mfa_enabled"),
    },
)


class SqlUserStore:
    """Users of one unit of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: User) -> None:
        """Keep a new user."""
        with _taken(new):
            self._connection.execute(_ADD, {**_columns(new), **_copies(new)})
            if new.primary_email:
                self._add_address(new)
        add_tags(self._connection, new.organization_id, _TYPE, new.id, new.tags)

    def find(self, organization_id: OrganizationId, user_id: UserId) -> User | None:
        """Return the user."""
        row = self._connection.execute(_FIND, place(organization_id, user_id)).one_or_none()
        return None if row is None else _user(row)

    def find_by_username(self, organization_id: OrganizationId, username: str) -> User | None:
        """Return the user with these bytes for a username."""
        parameters = {"in_organization": organization_id, "of_name": username}
        row = self._connection.execute(_BY_USERNAME, parameters).one_or_none()
        return None if row is None else _user(row)

    def find_by_email(self, organization_id: OrganizationId, population: Population, email: str) -> User | None:
        """Return the user with this primary address."""
        parameters = {
            "in_organization": organization_id,
            "of_population": population.value,
            "of_address": fold(email),
        }
        row = self._connection.execute(_BY_EMAIL, parameters).one_or_none()
        return None if row is None else _user(row)

    def replace(self, changed: User) -> None:
        """Keep new values; what is copied from elsewhere is not the caller's to set."""
        before = self.find(changed.organization_id, changed.id)
        values = _columns(changed)
        del values["id"], values["organization_id"]
        with _taken(changed):
            self._connection.execute(_REPLACE, {**values, **place(changed.organization_id, changed.id)})
            if before is not None and before.primary_email != changed.primary_email:
                self._drop_address(before)
                if changed.primary_email:
                    self._add_address(changed)
        keep_tags(self._connection, changed.organization_id, _TYPE, changed.id, changed.tags)

    def set_last_login(self, changed: User) -> None:
        """Keep the last login time."""
        parameters = {**place(changed.organization_id, changed.id), "at": changed.last_login_time}
        self._connection.execute(_SET_LOGIN, parameters)

    def set_mfa_enabled(self, changed: User) -> None:
        """Keep whether there is a second factor."""
        parameters = {**place(changed.organization_id, changed.id), "is_enabled": changed.mfa_enabled}
        self._connection.execute(_SET_MFA, parameters)

    def set_password_locked(self, changed: User) -> None:
        """Keep whether the password is locked."""
        parameters = {**place(changed.organization_id, changed.id), "is_locked": changed.password_locked}
        self._connection.execute(_SET_LOCKED, parameters)

    def remove(self, organization_id: OrganizationId, user_id: UserId) -> None:
        """Forget the user."""
        self._connection.execute(_REMOVE, place(organization_id, user_id))
        self._connection.execute(_DROP_ADDRESSES, {"in_organization": organization_id, "of_user": user_id})
        drop_tags(self._connection, organization_id, _TYPE, user_id)

    def count_counted(self, organization_id: OrganizationId) -> int:
        """Return how many people made."""
        return scalar(self._connection, _COUNT, organization_id)

    def page(self, organization_id: OrganizationId, chosen: UserFilter, request: PageRequest) -> Page[User]:
        """Return one page."""
        filters = {
            "organization": organization_id,
            "only": chosen.only,
            "kinds": [kind.value for kind in chosen.kinds] or None,
            "states": [state.value for state in chosen.states] or None,
            "text": pattern(chosen.text),
            "tag": chosen.tag or None,
            "editable": chosen.editable,
            "mfa_enabled": chosen.mfa_enabled,
        }
        return _LIST.page(self._connection, request, filters, _user)

    def _add_address(self, holder: User) -> None:
        row = {
            "organization_id": holder.organization_id,
            "id": str(uuid.uuid4()),
            "user_id": holder.id,
            "population": holder.population.value,
            "address": holder.primary_email,
            "folded_address": fold(holder.primary_email),
            "state": _UNVERIFIED,
            "create_time": holder.update_time,
            "update_time": holder.update_time,
        }
        self._connection.execute(_ADD_ADDRESS, row)

    def _drop_address(self, holder: User) -> None:
        parameters = {
            "in_organization": holder.organization_id,
            "of_user": holder.id,
            "of_address": fold(holder.primary_email),
        }
        self._connection.execute(_DROP_ADDRESS, parameters)


@contextmanager
def _taken(asked: User) -> Iterator[None]:
    try:
        yield
    except UniqueViolation as violation:
        if violation.concerns("username", "user_username"):
            raise AlreadyExists("user", asked.username, "user.username") from None
        raise AlreadyExists("user", asked.primary_email, "user.primary_email") from None


def _columns(value: User) -> dict[str, Any]:
    searched = (value.username, value.primary_email, value.nickname, value.given_name, value.family_name)
    return {
        "id": value.id,
        "kind": value.kind.value,
        "username": value.username,
        "folded_username": fold(value.username),
        "nickname": value.nickname,
        "given_name": value.given_name,
        "family_name": value.family_name,
        "phone_number": value.phone_number,
        "locale": value.locale,
        "description": value.description,
        "tags": list(value.tags),
        "primary_email": value.primary_email,
        "folded_email": fold(value.primary_email),
        "interactive_login": value.interactive_login,
        "division_ids": list(value.division_ids),
        "state": value.state.value,
        "suspension_reason": value.suspension_reason,
        "search": "\n".join(fold(text) for text in searched),
        **entity_columns(value),
    }


def _copies(value: User) -> dict[str, Any]:
    return {
        "last_login_time": value.last_login_time,
        "mfa_enabled": value.mfa_enabled,
        "password_locked": value.password_locked,
    }


def _user(row: Any) -> User:
    return User(
        id=row.id,
        kind=UserKind(row.kind),
        username=row.username,
        nickname=row.nickname,
        given_name=row.given_name,
        family_name=row.family_name,
        phone_number=row.phone_number,
        locale=row.locale,
        description=row.description,
        tags=tuple(row.tags),
        primary_email=row.primary_email,
        interactive_login=row.interactive_login,
        division_ids=tuple(row.division_ids),
        state=UserState(row.state),
        suspension_reason=row.suspension_reason,
        last_login_time=row.last_login_time,
        mfa_enabled=row.mfa_enabled,
        password_locked=row.password_locked,
        **entity_fields(row),
    )
