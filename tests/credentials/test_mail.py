"""Mail: to a server where one is named, else to files; and orders that wait, fail and are tried again."""

import asyncio
import email
import email.policy
import logging
from pathlib import Path

import pytest

from concord.credentials.background.letters import Letters
from concord.credentials.model.logins import Purpose
from concord.credentials.operations.logins import LoginName
from concord.credentials.secrets.vault import Vault
from concord.kernel.config import BadSetting
from concord.kernel.errors import RateLimited
from concord.kernel.mail import FileMailer, MailSettings, SmtpMailer, compose, open_mailer
from concord.kernel.principal import Author
from concord.kernel.secret import Secret
from credentials.making import World


class Server:
    """A mail server that takes one kind of conversation and remembers what it was told."""

    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses
        self.commands: list[str] = []
        self.message = b""
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*self._talks)
        await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())
            await writer.drain()

        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        await say("220 ready")
        while line := (await reader.readline()).decode().strip():
            self.commands.append(line)
            verb = line.split()[0].upper()
            if verb == "DATA":
                await say("354 go on")
                self.message = await reader.readuntil(b"\r\n.\r\n")
                await say("250 taken")
            elif verb == "RCPT" and self.refuses:
                await say("550 no such address: secret-of-the-server")
            elif verb == "QUIT":
                await say("221 bye")
                break
            else:
                await say("250 fine")
        writer.close()
        await writer.wait_closed()


async def test_without_a_server_each_message_is_a_file_of_its_own(tmp_path: Path):
    mailer = open_mailer(MailSettings.read({}, tmp_path))

    await mailer.send("ann@acme.example", "One", "first\n")
    await mailer.send("ann@acme.example", "Two", "Grüße\n")

    paths = sorted((tmp_path / "mail").iterdir())
    mails = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]
    assert [(each["To"], each["Subject"], each.get_content()) for each in mails] == [
        ("ann@acme.example", "One", "first\n"),
        ("ann@acme.example", "Two", "Grüße\n"),
    ]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}


async def test_with_a_server_mail_goes_there(tmp_path: Path):
    async with Server() as server:
        environment = {"CONCORD_SMTP_URL": f"smtp://127.0.0.1:{server.port}", "CONCORD_MAIL_FROM": "iam@acme.example"}
        mailer = open_mailer(MailSettings.read(environment, tmp_path))

        await mailer.send("ann@acme.example", "One", "first\n")

    sent = email.message_from_bytes(server.message, policy=email.policy.default)
    assert any("MAIL FROM:<iam@acme.example>" in each for each in server.commands)
    assert any("RCPT TO:<ann@acme.example>" in each for each in server.commands)
    assert sent["Subject"] == "One"
    assert not (tmp_path / "mail").exists()


async def test_what_the_server_says_stays_out_of_the_error():
    async with Server(refuses=True) as server:
        mailer = SmtpMailer(Secret(f"smtp://127.0.0.1:{server.port}"), "iam@acme.example")

        with pytest.raises(OSError, match="the mail server failed") as failed:
            await mailer.send("ann@acme.example", "One", "first\n")

    assert "secret-of-the-server" not in str(failed.value)


async def test_a_password_does_not_travel_in_the_clear():
    async with Server() as server:
        mailer = SmtpMailer(Secret(f"smtp://ann:hush@127.0.0.1:{server.port}"), "iam@acme.example")

        with pytest.raises(OSError, match="the mail server failed"):
            await mailer.send("ann@acme.example", "One", "first\n")

    assert not any("AUTH" in each or "hush" in each for each in server.commands)


@pytest.mark.parametrize("url", ["http://mail", "smtp://", "mail.example", "smtp://mail:port", "smtp://mail/path"])
def test_a_bad_address_of_a_server_is_refused_by_its_name_alone(url, tmp_path):
    with pytest.raises(BadSetting, match="CONCORD_SMTP_URL") as refused:
        MailSettings.read({"CONCORD_SMTP_URL": url}, tmp_path)

    assert url not in str(refused.value).replace("smtp://[", "")


def test_a_header_takes_no_second_line():
    with pytest.raises(ValueError, match=r"newline|linefeed"):
        compose("iam@acme.example", "ann@acme.example\nBcc: mallory@evil.example", "One", "first\n")


class Flaky:
    """Fails so many times, then takes mail."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.taken: list[str] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("the line is down: hush")
        self.taken.append(to)


@pytest.mark.parametrize(("failures", "taken"), [(0, 1), (2, 1), (3, 0)])
async def test_a_mail_is_tried_three_times_and_its_failure_tells_nothing(
    world: World, failures, taken, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    mailer = Flaky(failures)
    letters = Letters(world.units, Vault(world.keyring), mailer, pause_seconds=0)

    letters.order(LoginName("acme", "ann"), Purpose.LOGIN, Author())
    await letters.flush()

    assert len(mailer.taken) == taken
    assert ("a mail was not sent" in caplog.text) is not bool(taken)
    assert "hush" not in caplog.text


async def test_orders_that_wait_are_bounded_and_carried_out_at_the_end(world: World):
    mailer = Flaky(0)
    letters = Letters(world.units, Vault(world.keyring), mailer, waiting=2)
    for _ in range(2):
        letters.order(LoginName("acme", "ann"), Purpose.LOGIN, Author())

    with pytest.raises(RateLimited):
        letters.order(LoginName("acme", "ann"), Purpose.LOGIN, Author())
    running = asyncio.create_task(letters.run())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert mailer.taken == ["ann@acme.example"] * len(mailer.taken)
    assert len(mailer.taken) >= 1


def test_a_file_mailer_is_what_it_takes_when_nothing_is_said(tmp_path: Path):
    assert isinstance(open_mailer(MailSettings.read({}, tmp_path)), FileMailer)
