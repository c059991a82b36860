"""Budgets of attempts and grace periods in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, bindparam, case, delete, func, insert, null, select, tuple_, update

from concord.credentials.model.logins import AttemptBudget, GracePeriod, GraceType
from concord.credentials.sql.login_tables import attempt_budget, grace_period
from concord.credentials.sql.rows import SqlPart
from concord.kernel.database.columns import Instant
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import OrganizationId, UserId

_BUDGET = attempt_budget.c
_SHOWN: Final = (_BUDGET.failures, _BUDGET.last_attempt_time, _BUDGET.lock_time)
_MINE: Final = (_BUDGET.organization_id == bindparam("org")) & (_BUDGET.holder == bindparam("whose"))
# Failures of long ago are forgotten, a lock is not.
_IS_STALE: Final = and_(_BUDGET.lock_time.is_(None), _BUDGET.last_attempt_time <= bindparam("stale", type_=Instant))
_TAKE: Final = (
    update(attempt_budget)
    .where(_MINE)
    .values(failures=case((_IS_STALE, 1), else_=_BUDGET.failures + 1), last_attempt_time=bindparam("at", type_=Instant))
    .returning(*_SHOWN)
)
_START: Final = insert(attempt_budget)
_LOCK: Final = (
    update(attempt_budget).where(_MINE, _BUDGET.lock_time.is_(None)).values(lock_time=bindparam("at", type_=Instant))
)
_GIVE_BACK: Final = (
    update(attempt_budget)
    .where(_MINE, _BUDGET.failures > 0)
    .values(
        failures=_BUDGET.failures - 1,
        lock_time=case((_BUDGET.failures - 1 < bindparam("most"), null()), else_=_BUDGET.lock_time),
    )
)
_CLEAR: Final = update(attempt_budget).where(_MINE).values(failures=0, lock_time=None)
_FIND: Final = select(*_SHOWN).where(_MINE)
# A user's id has 36 characters, the hash that stands for a stranger has 64.
_IS_STRANGER: Final = func.length(_BUDGET.holder) == 64
_TRIM: Final = delete(attempt_budget).where(_IS_STRANGER, _IS_STALE)
_COUNT: Final = select(func.count()).select_from(attempt_budget).where(_IS_STRANGER)
_TRIM_REST: Final = delete(attempt_budget).where(
    tuple_(_BUDGET.organization_id, _BUDGET.holder).in_(
        select(_BUDGET.organization_id, _BUDGET.holder)
        .where(_IS_STRANGER)
        .order_by(_BUDGET.lock_time.is_not(None), _BUDGET.last_attempt_time)
        .limit(bindparam("surplus"))
    )
)

_GRACE = grace_period.c
_GRACE_OF: Final = (_GRACE.organization_id == bindparam("org")) & (_GRACE.user_id == bindparam("user"))
_PERIODS: Final = (
    select(grace_period).where(_GRACE_OF).order_by(_GRACE.expire_time.is_(None), _GRACE.expire_time, _GRACE.type)
)
_PUT_PERIOD: Final = upserts(grace_period)
_REMOVE_PERIOD: Final = delete(grace_period).where(_GRACE_OF, _GRACE.type == bindparam("what"))
_OVERDUE: Final = (
    select(grace_period)
    .where(_GRACE.expire_time <= bindparam("now", type_=Instant))
    .order_by(_GRACE.expire_time)
    .limit(bindparam("most"))
)


class SqlAttempts(SqlPart):
    """The `Attempts` part of the store."""

    def take_attempt(
        self, organization_id: OrganizationId, holder: str, now: datetime, stale: datetime
    ) -> AttemptBudget:
        values = {"org": organization_id, "whose": holder, "at": now, "stale": stale}
        row = self._connection.execute(_TAKE, values).first()
        if row is not None:
            return AttemptBudget(row.failures, row.last_attempt_time, row.lock_time)
        fresh = {"organization_id": organization_id, "holder": holder, "failures": 1, "last_attempt_time": now}
        self._connection.execute(_START, {**fresh, "lock_time": None})
        return AttemptBudget(1, now)

    def lock_holder(self, organization_id: OrganizationId, holder: str, now: datetime) -> None:
        if self._connection.execute(_FIND, {"org": organization_id, "whose": holder}).first() is None:
            fresh = {"organization_id": organization_id, "holder": holder, "failures": 0, "last_attempt_time": now}
            self._connection.execute(_START, {**fresh, "lock_time": now})
            return
        self._connection.execute(_LOCK, {"org": organization_id, "whose": holder, "at": now})

    def give_back_attempt(self, organization_id: OrganizationId, holder: str, most: int) -> None:
        self._connection.execute(_GIVE_BACK, {"org": organization_id, "whose": holder, "most": most})

    def clear_attempts(self, organization_id: OrganizationId, holder: str) -> None:
        self._connection.execute(_CLEAR, {"org": organization_id, "whose": holder})

    def find_attempts(self, organization_id: OrganizationId, holder: str) -> AttemptBudget:
        row = self._connection.execute(_FIND, {"org": organization_id, "whose": holder}).first()
        return AttemptBudget() if row is None else AttemptBudget(row.failures, row.last_attempt_time, row.lock_time)

    def trim_strangers(self, stale: datetime, most: int) -> int:
        trimmed = self._connection.execute(_TRIM, {"stale": stale}).rowcount
        surplus: int = self._connection.execute(_COUNT).scalar_one() - most
        if surplus > 0:
            trimmed += self._connection.execute(_TRIM_REST, {"surplus": surplus}).rowcount
        return trimmed

    def grace_periods(self, organization_id: OrganizationId, user_id: UserId) -> Sequence[GracePeriod]:
        rows = self._connection.execute(_PERIODS, {"org": organization_id, "user": user_id})
        return [_period(row) for row in rows]

    def put_grace_period(self, period: GracePeriod) -> None:
        row = {
            "organization_id": period.organization_id,
            "user_id": period.user_id,
            "type": period.type.value,
            "expire_time": period.expire_time,
        }
        self._connection.execute(_PUT_PERIOD[self._connection.dialect], row)

    def remove_grace_period(self, organization_id: OrganizationId, user_id: UserId, type: GraceType) -> None:
        values = {"org": organization_id, "user": user_id, "what": type.value}
        self._connection.execute(_REMOVE_PERIOD, values)

    def overdue(self, now: datetime, most: int) -> Sequence[GracePeriod]:
        return [_period(row) for row in self._connection.execute(_OVERDUE, {"now": now, "most": most})]


def _period(row: Any) -> GracePeriod:
    return GracePeriod(row.organization_id, row.user_id, GraceType(row.type), row.expire_time)
