"""The tables. ``migrations/`` builds them step by step; a test keeps both equal.

Times are Unix seconds. A lease of 0 is nobody's. Text that people and nodes chose is ``Foreign``; what is only read
as a whole is JSON in a text column. It must not know what the rows mean.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

# SQLite cannot encode half a surrogate pair, and PostgreSQL has no NUL in a text. JSON from a chat may hold both.
UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


class Foreign(TypeDecorator[str]):
    """Text that somebody else chose: what no database can hold becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """On the way in."""
        return None if value is None else UNWRITABLE.sub("\ufffd", value)

    def process_literal_param(self, value: str | None, dialect: Dialect) -> str:
        """The same, where it is spelled out in the statement."""
        return self.process_bind_param(value, dialect) or ""

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """On the way out: as it is."""
        return value


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str) -> Column[str]:
    return Column(name, Foreign, nullable=False)


def _whole(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _time(name: str) -> Column[float]:
    return Column(name, Double, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


# ``incident`` and ``is_joined`` are what the request was admitted to: a desk that dies after that admits it once only.
requests = Table(
    "requests",
    metadata,
    Column("number", Integer, primary_key=True),
    _text("key"),
    _text("content"),
    _text("worker"),
    _time("lease_until"),
    _flag("is_done"),
    Column("incident", Integer, ForeignKey("incidents.id")),
    _flag("is_joined"),
    UniqueConstraint("key"),
)
Index("ix_requests_undone", requests.c.is_done, requests.c.number)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("cluster"),
    _text("node"),
    _text("channel"),
    _text("thread"),
    _text("person"),
    _text("team"),
    _time("asked_at"),
    _time("opened_at"),
    _text("state"),
    _whole("looks"),
    _whole("attempts"),
    _flag("exact"),
    _flag("deep"),
    _text("note"),
    _text("verdict"),
    _text("headline"),
    _text("worst"),
    Column("looked_at", Double),
    _flag("is_open"),
    _text("worker"),
    _time("lease_until"),
)
# A node has one open incident at a time, whoever asks: the database holds to it too.
Index(
    "uq_incidents_open",
    incidents.c.cluster,
    incidents.c.node,
    unique=True,
    sqlite_where=incidents.c.is_open,
    postgresql_where=incidents.c.is_open,
)
Index("ix_incidents_state", incidents.c.state, incidents.c.asked_at)

looks = Table(
    "looks",
    metadata,
    Column("incident", Integer, ForeignKey("incidents.id"), nullable=False),
    _whole("number"),
    _text("state"),
    _time("started_at"),
    _time("ended_at"),
    _text("why"),
    _text("report"),
    _text("picture"),
    _text("document"),
    _bytes("recording"),
    _flag("is_told"),
    _time("lease_until"),
    PrimaryKeyConstraint("incident", "number"),
)
Index("ix_looks_untold", looks.c.is_told, looks.c.ended_at)

followers = Table(
    "followers",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("incident", Integer, ForeignKey("incidents.id"), nullable=False),
    _text("person"),
    _text("team"),
    _text("channel"),
    _text("thread"),
    UniqueConstraint("incident", "channel", "thread"),
)

# ``version`` is to be read, ``sent_version`` was said last. ``turn`` orders what is due. A post that ``is_out`` was
# handed out, and what became of it was not said; one that ``is_doubtful`` may be there from an earlier time already.
# ``thread_ts`` is the root of the thread that the message went into.
messages = Table(
    "messages",
    metadata,
    Column("number", Integer, primary_key=True),
    _text("key"),
    _text("channel"),
    _text("kind"),
    _text("body"),
    Column("incident", Integer),
    _text("under"),
    _bytes("file"),
    _text("person"),
    _text("answer_url"),
    _whole("version"),
    _whole("sent_version"),
    _whole("turn"),
    _flag("is_due"),
    _flag("is_out"),
    _flag("is_doubtful"),
    _text("ts"),
    _text("thread_ts"),
    _whole("attempts"),
    _time("retry_at"),
    _text("failure"),
    UniqueConstraint("key"),
)
Index("ix_messages_due", messages.c.is_due, messages.c.channel, messages.c.turn, messages.c.number)
Index("ix_messages_turn", messages.c.turn)
Index("ix_messages_incident", messages.c.incident)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    _time("at"),
    _text("actor"),
    _text("event"),
    Column("incident", Integer),
    _text("detail"),
    _text("previous"),
    _text("digest"),
)

# One row: the last entry's number and digest, so that a chain whose end was cut off is not whole.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _whole("number"),
    _text("digest"),
)
