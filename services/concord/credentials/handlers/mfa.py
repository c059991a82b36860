"""Serves second factors and grace periods."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.empty_pb2 import Empty

from concord.credentials.background.letters import Letters
from concord.credentials.handlers.access import AWAITS, require_everything, require_oneself
from concord.credentials.handlers.door import Door, known_user
from concord.credentials.model.logins import RECOVERY_CODES, Purpose
from concord.credentials.operations import mfa
from concord.credentials.operations.attempts import Knock, Standing, give_back
from concord.credentials.operations.one_time_tokens import split
from concord.credentials.secrets import totp
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.credentials.v1 import mfa_service_pb2, password_pb2
from concord.credentials.v1.mfa_service_pb2_grpc import MfaServiceServicer
from concord.credentials.wire import mfa as wire
from concord.kernel.errors import Invalid, Violation
from concord.kernel.rpc.call import Call
from concord.kernel.secret import Secret
from concord.kernel.units import Unit, Units


class MfaHandlers(MfaServiceServicer):
    """Sets up, replaces and takes away second factors."""

    def __init__(self, units: Units[CredentialStore], vault: Vault, door: Door, letters: Letters) -> None:
        self._units = units
        self._vault = vault
        self._door = door
        self._letters = letters

    async def CreateMfaDevice(
        self, request: mfa_service_pb2.CreateMfaDeviceRequest, context: Any
    ) -> mfa_service_pb2.CreateMfaDeviceResponse:
        require_everything()
        require_oneself()
        wire.require_known_type(request.type)
        seed = totp.draw_seed()
        return await self._units.write(
            request,
            lambda unit: mfa.create_device(unit, self._vault, request.user_id, request.issuer, seed),
            wire.tried_device_to_wire if request.validate_only else wire.new_device_to_wire,
            secret=True,
            awaits=AWAITS,
        )

    async def ConfirmMfaDevice(
        self, request: mfa_service_pb2.ConfirmMfaDeviceRequest, context: Any
    ) -> mfa_service_pb2.ConfirmMfaDeviceResponse:
        require_everything()
        require_oneself()
        codes = mfa.draw_recovery_codes(request.recovery_code_count, request.recovery_code_length)
        knock = await known_user(self._units, request.user_id)
        async with self._door.attempt(knock) as standing:
            standing.require_open()
            return await self._door.write(
                standing,
                request,
                lambda unit: mfa.confirm_device(unit, self._vault, standing, request.device_id, request.code, codes),
                wire.tried_confirmation_to_wire if request.validate_only else wire.confirmed_to_wire,
                secret=True,
            )

    async def ListMfaDevices(
        self, request: mfa_service_pb2.ListMfaDevicesRequest, context: Any
    ) -> mfa_service_pb2.ListMfaDevicesResponse:
        require_everything()
        knock = await known_user(self._units, request.user_id)
        user_id = knock.require_user()
        found = await self._units.look(lambda store: store.find_mfa_device(knock.organization_id, user_id))
        return mfa_service_pb2.ListMfaDevicesResponse(devices=[] if found is None else [wire.device_to_wire(found)])

    async def DeleteMfaDevice(self, request: mfa_service_pb2.DeleteMfaDeviceRequest, context: Any) -> Empty:
        require_everything()
        require_oneself()
        knock = await known_user(self._units, request.user_id)
        async with self._proved(knock, request.proof) as standing:

            def delete(unit: Unit[CredentialStore]) -> None:
                self._settle(unit, standing, request.proof)
                mfa.delete_device(unit, standing.user_id, request.device_id)

            return await self._door.write(standing, request, delete, lambda _: Empty())

    async def ReplaceRecoveryCodes(
        self, request: mfa_service_pb2.ReplaceRecoveryCodesRequest, context: Any
    ) -> mfa_service_pb2.ReplaceRecoveryCodesResponse:
        require_everything()
        require_oneself()
        count = request.recovery_code_count or RECOVERY_CODES
        codes = mfa.draw_recovery_codes(count, request.recovery_code_length)
        knock = await known_user(self._units, request.user_id)
        async with self._proved(knock, request.proof) as standing:

            def replace(unit: Unit[CredentialStore]) -> mfa.WithCodes:
                self._settle(unit, standing, request.proof)
                return mfa.replace_recovery_codes(unit, self._vault, standing.user_id, codes)

            def pack(made: mfa.WithCodes) -> mfa_service_pb2.ReplaceRecoveryCodesResponse:
                if request.validate_only:
                    return mfa_service_pb2.ReplaceRecoveryCodesResponse()
                return wire.codes_to_wire(made)

            return await self._door.write(standing, request, replace, pack, secret=True)

    async def StartMfaRecovery(self, request: mfa_service_pb2.StartMfaRecoveryRequest, context: Any) -> Empty:
        login = wire.login_from_wire(request.login)
        knock = await self._door.knock(login)
        async with self._door.attempt(knock) as standing:
            standing.require_open()
            await self._door.examine_password(standing, Secret(request.password))
            self._letters.order(login, Purpose.MFA_RECOVERY, Call.current().author)
        # The password is a part of what a login asks for: it must not buy new guesses at the rest.
        await self._door.give_back(knock)
        return Empty()

    async def CompleteMfaRecovery(self, request: mfa_service_pb2.CompleteMfaRecoveryRequest, context: Any) -> Empty:
        knock = await self._door.knock(wire.login_from_wire(request.login))
        token_id, secret = split(request.token)
        async with self._door.attempt(knock, Purpose.MFA_RECOVERY) as standing:
            standing.require_open()
            await self._door.examine_password(standing, Secret(request.password))
            token = self._door.examine_mailed(standing, Purpose.MFA_RECOVERY, secret)
            return await self._door.write(
                standing,
                request,
                lambda unit: mfa.recover(unit, self._vault, standing, request.recovery_code, token_id, token),
                lambda _: Empty(),
            )

    async def ListGracePeriods(
        self, request: mfa_service_pb2.ListGracePeriodsRequest, context: Any
    ) -> mfa_service_pb2.ListGracePeriodsResponse:
        require_everything()
        knock = await known_user(self._units, request.user_id)
        user_id = knock.require_user()
        found = await self._units.look(lambda store: store.grace_periods(knock.organization_id, user_id))
        return mfa_service_pb2.ListGracePeriodsResponse(
            grace_periods=[wire.grace_period_to_wire(each) for each in found]
        )

    @asynccontextmanager
    async def _proved(self, knock: Knock, proof: password_pb2.UserProof) -> AsyncIterator[Standing]:
        """Examine what was shown to take a device away or to replace its codes."""
        shown = proof.password or proof.code or proof.recovery_code
        if not shown:
            yield Standing(knock, locked=False, taken=False)
            return
        async with self._door.attempt(knock) as standing:
            standing.require_open()
            if proof.password:
                await self._door.examine_password(standing, Secret(proof.password))
            yield standing

    def _settle(self, unit: Unit[CredentialStore], standing: Standing, proof: password_pb2.UserProof) -> None:
        """Examine codes in the transaction that uses them up, and give back the attempt that was no failure."""
        shown = wire.factors_from_wire(proof)
        passport = Call.current().require_passport()
        # A program of the user has shown its own secret, whatever it says of factors.
        showed_it = passport.mfa and passport.api_key_id is None
        if passport.principal == standing.user and not showed_it:
            mfa.require_factor(unit, standing.user_id, shown, password=bool(proof.password))
        if not (proof.password or proof.code or proof.recovery_code):
            return
        shows_code = proof.code or proof.recovery_code
        if shows_code and not mfa.prove_second_factor(unit, self._vault, standing.user_id, shown):
            # No factor is active, so the code has proved nothing.
            raise Invalid(Violation("proof", "shows a code where no device is active", rule="mismatch"))
        give_back(unit, standing.knock)
