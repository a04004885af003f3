"""Transactions on one database, SQLite or PostgreSQL; foreign errors become StoreError here.

SQLite has one writer at a time. The threads of this process queue for it in turn, and wake at once; SQLite's own
waiting, a sleep that grows, is left for other processes. It must not know any table.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from bot.errors import StoreError
from bot.store.turns import Turns

BUSY_MILLISECONDS = 10_000  # another process writes for milliseconds; ten seconds say that something hangs
NO_ADDRESS = (
    "`store.url` is no database's address; write sqlite:////var/lib/conntrack-bot/bot.db or "
    "postgresql+psycopg://USER@HOST/NAME."
)
PATIENCE = {"connect_timeout": 10}  # a server that does not answer: the kernel would wait for two minutes
ONE_STATE = {"isolation_level": "REPEATABLE READ"}
PER_CONNECTION = (
    "PRAGMA journal_mode=WAL",  # readers go on while somebody writes
    # In WAL mode a commit is a write without a sync: the death of the process loses nothing, for the kernel has the
    # pages. Losing power may lose the last moments, never the file's consistency (sqlite.org/pragma.html).
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
)


class Database:
    """Connections, and who may use one now."""

    def __init__(self, address: str) -> None:
        """Connect to nothing yet. Raises StoreError where the address is none."""
        self._url = _parsed(address)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._is_in_memory = self.is_sqlite and self._url.database in (None, "", ":memory:")
        self._turn: AbstractContextManager[Any] = Turns() if self.is_sqlite else nullcontext()
        try:
            self._engine = self._connecting()
        except ArgumentError as error:
            raise StoreError(NO_ADDRESS) from error
        except ImportError as error:
            raise StoreError(
                f"The driver for {self.name} is missing: install conntrack-bot with its postgres extra."
            ) from error
        self._writing = self._engine.execution_options(is_writing=True)
        # PostgreSQL shows each statement another state of affairs otherwise; SQLite's transactions never do.
        self._reading = self._engine if self.is_sqlite else self._engine.execution_options(**ONE_STATE)

    @property
    def name(self) -> str:
        """The address as people may read it: without a password."""
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write: all of it or nothing."""
        with self._turn, self.translated(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads one state of affairs."""
        # In memory there is but one connection, for every thread.
        with (
            self._turn if self._is_in_memory else nullcontext(),
            self.translated(),
            self._reading.begin() as connection,
        ):
            yield connection

    def session(self) -> Connection:
        """A connection for its owner alone, who closes it; each statement is done at once."""
        session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        session.detach()
        return session

    def close(self) -> None:
        """Close every connection."""
        with self._turn:
            self._engine.dispose()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Where the database's own errors are StoreErrors."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise StoreError(f"The database {self.name} failed: {_sentence(cause)}") from error

    def _connecting(self) -> Engine:
        if not self.is_sqlite:
            return create_engine(self._url, pool_size=16, max_overflow=16, pool_pre_ping=True, connect_args=PATIENCE)
        arguments: dict[str, Any] = {"connect_args": {"timeout": BUSY_MILLISECONDS / 1000, "check_same_thread": False}}
        if self._is_in_memory:
            arguments["poolclass"] = StaticPool
        else:
            arguments |= {"pool_size": 8, "max_overflow": 56}
        engine = create_engine(self._url, **arguments)
        event.listen(engine, "connect", _connected)
        event.listen(engine, "begin", _begun)
        return engine


def make_private(address: str) -> None:
    """Make the folder and the file of an SQLite database, for its owner's eyes only; what exists stays as it is.

    It holds what nodes, pods and people said. SQLite gives its side files the mode of the file.
    """
    file = sqlite_file(address)
    if file is None or file.exists():
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(f"The database {file} cannot be made: {error.strerror}. Set `store.url`.") from error


def sqlite_file(address: str) -> Path | None:
    """The file behind an address; None where there is none."""
    url = _parsed(address)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def _parsed(address: str) -> URL:
    try:
        url = make_url(address)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(NO_ADDRESS) from error
    return url


def _connected(connection: sqlite3.Connection, _record: object) -> None:
    # Python's own guess when a transaction begins is switched off: ``_begun`` says it.
    connection.isolation_level = None
    for pragma in PER_CONNECTION:
        connection.execute(pragma)


def _begun(connection: Connection) -> None:
    """A transaction that will write says so at once: one that finds out later can be refused in the middle."""
    is_writing = connection.get_execution_options().get("is_writing", False)
    cursor = connection.connection.cursor()
    cursor.execute("BEGIN IMMEDIATE" if is_writing else "BEGIN")
    cursor.close()


def _sentence(cause: BaseException | None) -> str:
    return (str(cause).strip().splitlines() or ["no reason given"])[0].rstrip(".") + "."
