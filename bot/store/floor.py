"""Who has the floor: into each channel one program writes at a time, however many share the database.

PostgreSQL keeps a lock for as long as the session lives, so that it ends with the program, whatever ended it. An SQLite
file is one program's. It must not know what is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from bot.store.database import Database

SPACE = 7_263_815  # arbitrary: the first half of the names of our locks
# Seconds, and how often: the server finds out that a program is out of reach, and lets others speak.
FOUND_OUT = ("SET tcp_keepalives_idle = 10", "SET tcp_keepalives_interval = 5", "SET tcp_keepalives_count = 3")


class Floor:
    """The channels into which this program may write. Safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session: Connection | None = None
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def take(self, channel: str) -> bool:
        """Whether this program may write into a channel: then it may until it gives the floor back. StoreError."""
        if self._database.is_sqlite:
            return True
        with self._lock, self._database.translated():
            try:
                return self._has(self._opened(), channel)
            except SQLAlchemyError:
                self._end()  # and with the session all that it had
                raise

    def give(self, channel: str) -> None:
        """Let another program write into a channel. StoreError."""
        with self._lock, self._database.translated():
            if channel not in self._taken or self._session is None:
                return
            self._taken.discard(channel)
            self._session.execute(text("SELECT pg_advisory_unlock(:space, :name)"), _name(channel))

    def close(self) -> None:
        """Give all of it back, before the server notices by itself that the session has ended."""
        with self._lock:
            if self._session is not None:
                with contextlib.suppress(SQLAlchemyError):
                    self._session.execute(text("SELECT pg_advisory_unlock_all()"))
            self._end()

    def _has(self, session: Connection, channel: str) -> bool:
        if channel in self._taken:
            session.execute(text("SELECT 1"))  # raises where the session has ended, and the floor with it
            return True
        taken = session.execute(text("SELECT pg_try_advisory_lock(:space, :name)"), _name(channel)).scalar_one()
        if taken:
            self._taken.add(channel)
        return bool(taken)

    def _opened(self) -> Connection:
        if self._session is None:
            self._session = self._database.session()
            for setting in FOUND_OUT:
                self._session.execute(text(setting))
        return self._session

    def _end(self) -> None:
        self._taken.clear()
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(SQLAlchemyError):  # it may be broken already
                session.close()


def _name(channel: str) -> dict[str, int]:
    """The lock's name has two numbers of 32 bits. Two channels that share one are written into by one program."""
    digest = hashlib.sha256(channel.encode("utf-8", "replace")).digest()
    return {"space": SPACE, "name": int.from_bytes(digest[:4], "big", signed=True)}
