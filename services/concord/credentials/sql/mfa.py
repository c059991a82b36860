"""Second factors in SQL."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from concord.credentials.model.logins import MfaDevice, MfaState
from concord.credentials.sql.login_tables import mfa_device, recovery_code
from concord.credentials.sql.rows import SqlPart
from concord.kernel.database.columns import Instant
from concord.kernel.database.upserts import upserts
from concord.kernel.ids import OrganizationId, UserId
from concord.kernel.secret import SecretHash

_DEVICE = mfa_device.c
_MINE: Final = (_DEVICE.organization_id == bindparam("org")) & (_DEVICE.user_id == bindparam("user"))
_CODES_OF: Final = (recovery_code.c.organization_id == bindparam("org")) & (
    recovery_code.c.user_id == bindparam("user")
)
_COUNT: Final = select(func.count()).select_from(recovery_code).where(_CODES_OF).scalar_subquery()
_FIND: Final = select(
    *(column for column in _DEVICE if column.name not in ("sealed_seed", "last_step")), _COUNT.label("codes")
).where(_MINE)
_SEED: Final = select(_DEVICE.sealed_seed).where(_MINE)
_PUT: Final = upserts(mfa_device)
_REPLACE: Final = (
    update(mfa_device)
    .where(_MINE)
    .values(
        state=bindparam("became"),
        version=bindparam("counted"),
        update_time=bindparam("at", type_=Instant),
        owed_time=bindparam("owed", type_=Instant),
    )
)
_REMOVE: Final = delete(mfa_device).where(_MINE)
_CLAIM: Final = (
    update(mfa_device).where(_MINE, _DEVICE.last_step < bindparam("step")).values(last_step=bindparam("step"))
)
_REMOVE_CODES: Final = delete(recovery_code).where(_CODES_OF)
_USE: Final = delete(recovery_code).where(_CODES_OF, recovery_code.c.code_hash == bindparam("hash"))
_ADD_CODE: Final = insert(recovery_code)


class SqlSecondFactors(SqlPart):
    """The `SecondFactors` part of the store."""

    def find_mfa_device(self, organization_id: OrganizationId, user_id: UserId) -> MfaDevice | None:
        row = self._connection.execute(_FIND, {"org": organization_id, "user": user_id}).first()
        if row is None:
            return None
        return MfaDevice(
            id=row.id,
            organization_id=row.organization_id,
            user_id=row.user_id,
            state=MfaState(row.state),
            version=row.version,
            create_time=row.create_time,
            update_time=row.update_time,
            recovery_code_count=row.codes,
            owed_time=row.owed_time,
        )

    def find_mfa_seed(self, organization_id: OrganizationId, user_id: UserId) -> bytes | None:
        sealed: bytes | None = self._connection.execute(_SEED, {"org": organization_id, "user": user_id}).scalar()
        return sealed

    def put_mfa_device(self, device: MfaDevice, sealed_seed: bytes) -> None:
        row = {
            "organization_id": device.organization_id,
            "user_id": device.user_id,
            "id": device.id,
            "state": device.state.value,
            "version": device.version,
            "sealed_seed": sealed_seed,
            "last_step": -1,
            "create_time": device.create_time,
            "update_time": device.update_time,
            "owed_time": device.owed_time,
        }
        self._connection.execute(_PUT[self._connection.dialect], row)

    def replace_mfa_device(self, device: MfaDevice) -> None:
        values = {
            "became": device.state.value,
            "counted": device.version,
            "at": device.update_time,
            "owed": device.owed_time,
        }
        self._connection.execute(_REPLACE, {"org": device.organization_id, "user": device.user_id, **values})

    def remove_mfa_device(self, organization_id: OrganizationId, user_id: UserId) -> bool:
        whose = {"org": organization_id, "user": user_id}
        self._connection.execute(_REMOVE_CODES, whose)
        return self._connection.execute(_REMOVE, whose).rowcount > 0

    def claim_step(self, organization_id: OrganizationId, user_id: UserId, step: int) -> bool:
        values = {"org": organization_id, "user": user_id, "step": step}
        return self._connection.execute(_CLAIM, values).rowcount == 1

    def put_recovery_codes(
        self, organization_id: OrganizationId, user_id: UserId, hashes: Collection[SecretHash]
    ) -> None:
        self._connection.execute(_REMOVE_CODES, {"org": organization_id, "user": user_id})
        rows = [{"organization_id": organization_id, "user_id": user_id, "code_hash": each.value} for each in hashes]
        if rows:
            self._connection.execute(_ADD_CODE, rows)

    def use_recovery_code(self, organization_id: OrganizationId, user_id: UserId, code: SecretHash) -> bool:
        values = {"org": organization_id, "user": user_id, "hash": code.value}
        return self._connection.execute(_USE, values).rowcount == 1
