"""Mails with secrets, made and sent aside from the calls that ask for them.

A call that asks for a mail is answered at once, whoever is meant: neither its answer nor the time it takes tells
whether there is such a user. A crash loses what was asked for but not yet sent; it can be asked for again.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from concord.credentials.model.logins import Mail, Purpose
from concord.credentials.operations.attempts import Knock
from concord.credentials.operations.logins import LoginName, find_knock
from concord.credentials.operations.one_time_tokens import draw, start_mail
from concord.credentials.secrets.vault import Vault
from concord.credentials.store import CredentialStore
from concord.kernel.errors import RateLimited
from concord.kernel.mail import Mailer
from concord.kernel.principal import Author
from concord.kernel.units import Unit, Units

_WAITING: Final = 1000
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 2.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    login: LoginName
    purpose: Purpose
    author: Author


class Letters:
    """Takes orders for mails and carries them out one after the other."""

    def __init__(
        self,
        units: Units[CredentialStore],
        vault: Vault,
        mailer: Mailer,
        *,
        waiting: int = _WAITING,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        self._units = units
        self._vault = vault
        self._mailer = mailer
        self._pause = pause_seconds
        self._orders: asyncio.Queue[_Order] = asyncio.Queue(waiting)

    def order(self, login: LoginName, purpose: Purpose, author: Author) -> None:
        """Ask for a mail to whoever is meant, if anybody is; refuse when too many wait."""
        try:
            self._orders.put_nowait(_Order(login, purpose, author))
        except asyncio.QueueFull:
            raise RateLimited(5.0, "too many mails are waiting") from None

    async def flush(self) -> None:
        """Carry out what has been ordered."""
        while not self._orders.empty():
            await self._carry_out(self._orders.get_nowait())

    async def run(self) -> None:
        """Carry out orders for as long as the process serves, and what is left when it ends."""
        try:
            while True:
                await self._carry_out(await self._orders.get())
        finally:
            await self.flush()

    async def _carry_out(self, order: _Order) -> None:
        try:
            knock = await self._units.read(lambda store: find_knock(store, self._vault, order.login))
            mail = await self._prepare(order, knock)
            if mail is not None:
                await self._send(mail)
        except Exception as error:
            # Never the error itself: it may quote the message.
            _LOG.warning("a mail was not sent: %s", type(error).__name__)

    async def _prepare(self, order: _Order, knock: Knock) -> Mail | None:
        drawn = draw(order.purpose)

        def prepare(unit: Unit[CredentialStore]) -> Mail | None:
            return start_mail(unit, self._vault, knock, order.purpose, drawn)

        return await self._units.system(knock.organization_id, prepare, order.author)

    async def _send(self, mail: Mail) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                await self._mailer.send(mail.to, mail.subject, mail.text)
                return
            except OSError:
                if attempt == _TRIES:
                    raise
                await asyncio.sleep(self._pause * attempt)
