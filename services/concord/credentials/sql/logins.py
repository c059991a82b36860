"""Who answers to a name at the door, in SQL."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, select

from concord.credentials.model.logins import LoginRules, Person
from concord.credentials.model.passwords import PasswordForm
from concord.credentials.sql.login_tables import (
    attempt_budget,
    grace_period,
    login_rules,
    mfa_device,
    one_time_token,
    person,
    recovery_code,
)
from concord.credentials.sql.rows import SqlPart
from concord.kernel import ids
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import OrganizationId, UserId

_RULES = login_rules.c
_PERSON = person.c
_BY_ID: Final = select(_RULES.organization_id).where(_RULES.organization_id == bindparam("name"))
_BY_SLUG: Final = select(_RULES.organization_id).where(_RULES.slug == bindparam("name"))
_BY_ALIAS: Final = select(_RULES.organization_id).where(_RULES.alias == bindparam("name"))
_BY_NUMBER: Final = select(_RULES.organization_id).where(_RULES.number == bindparam("name"))
_FIND_RULES: Final = select(login_rules).where(_RULES.organization_id == bindparam("org"))
_PUT_RULES: Final = upserts(login_rules)
_HERE: Final = _PERSON.organization_id == bindparam("org")
_FIND: Final = select(person).where(_HERE, _PERSON.user_id == bindparam("user"))
_NAMED: Final = select(person).where(_HERE, _PERSON.username == bindparam("name"))
# Staff and customers have addresses apart; who works here is meant first.
_AT_ADDRESS: Final = (
    select(person).where(and_(_HERE, _PERSON.address == bindparam("address"))).order_by(_PERSON.is_customer).limit(1)
)
_OWNER: Final = select(person).where(_PERSON.address == bindparam("address"), _PERSON.is_owner)
_PUT: Final = upserts(person)
_REMOVE: Final = [
    delete(table).where(table.c.organization_id == bindparam("org"), table.c.user_id == bindparam("user"))
    for table in (person, mfa_device, recovery_code, one_time_token, grace_period)
]
_REMOVE_ATTEMPTS: Final = delete(attempt_budget).where(
    attempt_budget.c.organization_id == bindparam("org"), attempt_budget.c.holder == bindparam("user")
)
# What goes with an organization. Its names stay: they are never given out again.
FORGOTTEN: Final = (person, mfa_device, recovery_code, one_time_token, grace_period, attempt_budget)
_MAX_NUMBER: Final = 18


class SqlDoors(SqlPart):
    """The `Doors` part of the store."""

    def find_login_organization(self, text: str) -> OrganizationId | None:
        if ids.is_canonical(text):
            statement, name = _BY_ID, text
        elif text.isascii() and text.isdecimal() and len(text) <= _MAX_NUMBER:
            found: OrganizationId | None = self._connection.execute(_BY_NUMBER, {"name": int(text)}).scalar()
            if found is not None:
                return found
            statement, name = _BY_SLUG, text
        else:
            statement, name = _BY_SLUG, text
        found = self._connection.execute(statement, {"name": name}).scalar()
        if found is None and name:
            found = self._connection.execute(_BY_ALIAS, {"name": name}).scalar()
        return found

    def find_login_rules(self, organization_id: OrganizationId) -> LoginRules | None:
        row = self._connection.execute(_FIND_RULES, {"org": organization_id}).first()
        if row is None:
            return None
        return LoginRules(
            organization_id=row.organization_id,
            slug=row.slug,
            alias=row.alias,
            number=row.number,
            password_enabled=row.password_enabled,
            code_enabled=row.code_enabled,
            enforce_renewal=row.enforce_renewal,
            enforce_mfa=row.enforce_mfa,
            grace_period=timedelta(seconds=row.grace_seconds),
            max_attempts=row.max_attempts,
            form=PasswordForm(**row.form),
        )

    def put_login_rules(self, rules: LoginRules) -> None:
        row = {
            "organization_id": rules.organization_id,
            "slug": rules.slug,
            "alias": rules.alias,
            "number": rules.number,
            "password_enabled": rules.password_enabled,
            "code_enabled": rules.code_enabled,
            "enforce_renewal": rules.enforce_renewal,
            "enforce_mfa": rules.enforce_mfa,
            "grace_seconds": int(rules.grace_period.total_seconds()),
            "max_attempts": rules.max_attempts,
            "form": asdict(rules.form),
        }
        self._connection.execute(_PUT_RULES[self._connection.dialect], row)

    def find_person(self, organization_id: OrganizationId, user_id: UserId) -> Person | None:
        return _person(self._connection.execute(_FIND, {"org": organization_id, "user": user_id}).first())

    def find_person_named(self, organization_id: OrganizationId, username: str, address: str) -> Person | None:
        row = self._connection.execute(_NAMED, {"org": organization_id, "name": username}).first()
        if row is None and address:
            row = self._connection.execute(_AT_ADDRESS, {"org": organization_id, "address": address}).first()
        return _person(row)

    def find_owner(self, address: str) -> Person | None:
        return _person(self._connection.execute(_OWNER, {"address": address}).first()) if address else None

    def put_person(self, person: Person, address: str) -> None:
        row = {
            "organization_id": person.organization_id,
            "user_id": person.user_id,
            "username": person.username,
            "email": person.email,
            "address": address,
            "is_owner": person.is_owner,
            "is_customer": person.is_customer,
            "interactive": person.interactive,
        }
        self._connection.execute(_PUT[self._connection.dialect], row)

    def remove_person(self, organization_id: OrganizationId, user_id: UserId) -> None:
        for statement in (*_REMOVE, _REMOVE_ATTEMPTS):
            self._connection.execute(statement, {"org": organization_id, "user": user_id})


def _person(row: Any) -> Person | None:
    if row is None:
        return None
    return Person(
        organization_id=row.organization_id,
        user_id=row.user_id,
        username=row.username,
        email=row.email,
        is_owner=row.is_owner,
        is_customer=row.is_customer,
        interactive=row.interactive,
    )
