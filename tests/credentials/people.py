"""A person at the door: logs in, sets up a second factor, reads mail."""

import email
import email.policy
import re
from datetime import timedelta
from typing import Any

import pyotp
from google.protobuf.duration_pb2 import Duration

from concord.credentials.background.letters import Letters
from concord.credentials.v1 import mfa_service_pb2, password_pb2, password_service_pb2, session_service_pb2
from concord.identity.v1.security_settings_pb2 import PasswordRules, SecuritySettings
from concord.kernel.principal import PrincipalRef
from credentials.making import USER, World, shown
from fakes import ORGANIZATION

PASSWORD = "plum-Garage-41"
OTHER_PASSWORD = "Nine-quiet-ferries"


def login(name: str = "ann", organization: str = "acme") -> password_pb2.Login:
    """Who somebody says to be."""
    return password_pb2.Login(organization=organization, name=name)


def settings(**changes: Any) -> SecuritySettings:
    """Security settings as identity tells of them: those of the birth but for some."""
    told: dict[str, Any] = {
        "id": ORGANIZATION,
        "organization_id": ORGANIZATION,
        "max_login_attempts": 10,
        "max_session_ttl": Duration(seconds=30 * 86400),
        "grace_period": Duration(seconds=3 * 86400),
        "temporary_password_ttl": Duration(seconds=86400),
        "password_rules": PasswordRules(min_length=8, max_length=512),
    }
    return SecuritySettings(**{**told, **changes})


class Person:
    """A user of the world and what the user does."""

    def __init__(self, world: World, user: PrincipalRef = USER, name: str = "ann") -> None:
        self.world = world
        self.user = user
        self.name = name
        self.password = PASSWORD
        self.seed = ""
        self.recovery_codes: list[str] = []

    async def set_password(self, password: str = PASSWORD, **fields: Any) -> Any:
        """An administrator sets the password."""
        self.password = password
        request = password_service_pb2.SetPasswordRequest(user_id=self.user.id, password=password, **fields)
        return await self.world.passwords.SetPassword(request, metadata=self.world.system)

    async def log_in(self, password: str | None = None, **fields: Any) -> Any:
        """Log in by password; fields of the credential go by their name, all others to the request."""
        shown = {name: fields.pop(name) for name in ("code", "recovery_code", "login") if name in fields}
        shown.setdefault("login", login(self.name))
        credential = password_pb2.PasswordCredential(password=self.password if password is None else password, **shown)
        return await self.world.sessions.CreateSession(
            session_service_pb2.CreateSessionRequest(password=credential, **fields)
        )

    async def log_in_by_code(self, mailed_code: str, **fields: Any) -> Any:
        """Log in by mailed code."""
        fields.setdefault("login", login(self.name))
        credential = password_pb2.MailedCodeCredential(mailed_code=mailed_code, **fields)
        return await self.world.sessions.CreateSession(session_service_pb2.CreateSessionRequest(mailed_code=credential))

    def code(self, steps: int = 0) -> str:
        """What the device shows now, or so many steps later."""
        return pyotp.TOTP(self.seed).at(self.world.clock.now() + timedelta(seconds=30 * steps))

    async def create_device(self, **fields: Any) -> Any:
        """Get a seed."""
        made = await self.world.mfa.CreateMfaDevice(
            mfa_service_pb2.CreateMfaDeviceRequest(user_id=self.user.id, **fields), metadata=self.world.system
        )
        self.seed = made.seed
        return made

    async def confirm(self, code: str | None = None, count: int = 5, **fields: Any) -> Any:
        """Show the first code."""
        request = mfa_service_pb2.ConfirmMfaDeviceRequest(
            user_id=self.user.id, code=code or self.code(), recovery_code_count=count, **fields
        )
        return await self.world.mfa.ConfirmMfaDevice(request, metadata=self.world.system)

    async def set_up_mfa(self) -> None:
        """Have an active second factor whose next code is unused."""
        await self.create_device()
        confirmed = await self.confirm()
        self.recovery_codes = list(confirmed.recovery_codes)
        self.world.clock.advance(timedelta(seconds=60))

    async def failures(self) -> int:
        """How many failed attempts count against the user."""
        found = await self.world.passwords.GetPassword(
            password_service_pb2.GetPasswordRequest(user_id=self.user.id), metadata=self.world.system
        )
        return int(found.failed_attempts)

    async def unlock(self) -> Any:
        """An administrator unlocks the password."""
        return await self.world.passwords.UnlockPassword(
            password_service_pb2.UnlockPasswordRequest(user_id=self.user.id), metadata=self.world.system
        )

    async def start_recovery(self, **fields: Any) -> str:
        """Ask for a mail about the password and return the token in it, empty where none came."""
        fields.setdefault("login", login(self.name))
        await self.world.passwords.StartPasswordRecovery(password_service_pb2.StartPasswordRecoveryRequest(**fields))
        return secret_in(await new_mail(self.world))

    async def complete_recovery(self, token: str, password: str = OTHER_PASSWORD) -> Any:
        """Show the mailed token."""
        return await self.world.passwords.CompletePasswordRecovery(
            password_service_pb2.CompletePasswordRecoveryRequest(token=token, password=password)
        )

    async def start_login(self, **fields: Any) -> str:
        """Ask for a code by mail and return it, empty where none came."""
        fields.setdefault("login", login(self.name))
        await self.world.sessions.StartLogin(session_service_pb2.StartLoginRequest(**fields))
        return secret_in(await new_mail(self.world))


def bearer(session: Any) -> tuple[tuple[str, str], ...]:
    """Metadata of a call in a session."""
    return shown(session.access_token.token)


def background(world: World, kind: type[Any]) -> Any:
    """Return the part of the service of this kind that works aside from calls."""
    return next(
        found for each in world.service.background if isinstance(found := getattr(each, "__self__", None), kind)
    )


async def new_mail(world: World) -> list[Any]:
    """Let what was ordered be sent, and return the messages that were not read before."""
    await background(world, Letters).flush()
    directory = world.directory / "mail"
    found = []
    for path in sorted(directory.glob("*.eml")):
        if path not in world.read_mail:
            world.read_mail.add(path)
            found.append(email.message_from_bytes(path.read_bytes(), policy=email.policy.default))
    return found


def secret_in(mails: list[Any]) -> str:
    """Return what a mail was sent for."""
    if not mails:
        return ""
    (mail,) = mails
    found = re.search(r"^    (\S+)$", mail.get_content(), re.MULTILINE)
    assert found is not None
    return found[1]
