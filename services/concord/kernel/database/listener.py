"""Hears of other processes' commits on PostgreSQL, on a connection of its own."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import sql

from concord.kernel.database.facade import fault

_LOOK_SECONDS: Final = 0.25
_RECONNECT_SECONDS: Final = 1.0

_LOG = logging.getLogger(__name__)


class Listener:
    """A thread that LISTENs. What it misses while reconnecting, the feeds' slow poll finds."""

    def __init__(
        self, connect: "Callable[[], psycopg.Connection[Any]]", channel: str, heard: Callable[[], None]
    ) -> None:
        self._connect = connect
        self._listen = sql.SQL("LISTEN {}").format(sql.Identifier(channel))
        self._heard = heard
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="concord-listener", daemon=True)
        self._connection: psycopg.Connection[Any] | None = None

    def start(self) -> None:
        """Begin to listen; commits after this are heard."""
        self._connection = self._open()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> "psycopg.Connection[Any]":
        connection = self._connect()
        connection.execute(self._listen)
        return connection

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._connection is None:
                    self._connection = self._open()
                    self._heard()
                for _ in self._connection.notifies(timeout=_LOOK_SECONDS, stop_after=1):
                    self._heard()
            except Exception as error:
                _LOG.warning("listening for commits broke: %s", fault(error))
                if self._connection is not None:
                    self._connection.close()
                self._connection = None
                self._stopping.wait(_RECONNECT_SECONDS)
