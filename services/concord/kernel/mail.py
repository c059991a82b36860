"""Mail: by SMTP where a server is named, else one file for each message in a directory that only we read."""

import asyncio
import os
import ssl
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from concord.kernel.config import BadSetting
from concord.kernel.secret import Secret

SENDER: Final = "concord@localhost"
_PORTS: Final[Mapping[str, int]] = {"smtp": 587, "smtps": 465}
_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Where mail goes and from whom it comes."""

    directory: Path
    server: Secret | None = None
    sender: str = SENDER

    @classmethod
    def read(cls, environment: Mapping[str, str], data_dir: Path) -> "MailSettings":
        """Read `CONCORD_SMTP_URL` and `CONCORD_MAIL_FROM`; without a server mail is kept in `<data-dir>/mail`."""
        url = environment.get("CONCORD_SMTP_URL", "")
        if url:
            _parse(Secret(url))
        return cls(data_dir / "mail", Secret(url) if url else None, environment.get("CONCORD_MAIL_FROM") or SENDER)


class Mailer(Protocol):
    """Takes messages away."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Hand one message over; raise OSError where that fails."""


def open_mailer(settings: MailSettings) -> Mailer:
    """Return what takes mail where the settings say."""
    if settings.server is not None:
        return SmtpMailer(settings.server, settings.sender)
    return FileMailer(settings.directory, settings.sender)


class FileMailer:
    """Keeps each message in a file of mode 600."""

    def __init__(self, directory: Path, sender: str = SENDER) -> None:
        self._directory = directory
        self._sender = sender

    async def send(self, to: str, subject: str, text: str) -> None:
        await asyncio.to_thread(self._write, compose(self._sender, to, subject, text))

    def _write(self, message: EmailMessage) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / f"{time.time_ns():020d}-{uuid.uuid4().hex}.eml"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(bytes(message))


class SmtpMailer:
    """Hands messages to a server: `smtps://` is TLS from the start, `smtp://` turns to TLS where the server offers it.

    With a user's name in the address TLS is required: a password does not travel in the clear.
    """

    def __init__(self, server: Secret, sender: str, context: ssl.SSLContext | None = None) -> None:
        self._server = _parse(server)
        self._sender = sender
        self._context = context

    async def send(self, to: str, subject: str, text: str) -> None:
        server = self._server
        try:
            await aiosmtplib.send(
                compose(self._sender, to, subject, text),
                hostname=server.host,
                port=server.port,
                username=server.user or None,
                password=server.password.reveal() if server.user else None,
                use_tls=server.tls,
                start_tls=None if server.tls or not server.user else True,
                tls_context=self._context,
                timeout=_SECONDS,
            )
        except aiosmtplib.SMTPException as error:
            # What the server said may quote the message; its kind is enough.
            raise OSError(f"the mail server failed: {type(error).__name__}") from None


def compose(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    """Return a plain message. Line breaks in a header are refused by the message itself."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


@dataclass(frozen=True, slots=True)
class _Server:
    host: str
    port: int
    tls: bool
    user: str
    password: Secret


def _parse(server: Secret) -> _Server:
    try:
        parts = urlsplit(server.reveal())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise BadSetting("CONCORD_SMTP_URL must be smtp://[user:password@]host[:port] or smtps://…")
    return _Server(
        parts.hostname,
        port or _PORTS[parts.scheme],
        parts.scheme == "smtps",
        unquote(parts.username or ""),
        Secret(unquote(parts.password or "")),
    )
