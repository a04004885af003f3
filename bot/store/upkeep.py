"""Letting go of what nobody needs any more, in small steps, so that nobody has to wait for long.

Of an old incident its line stays, what its looks have said, and all of the audit; its messages are in the chat, and
recordings are large. It must not know how long things are kept.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, update

from bot.model import State
from bot.store import audit
from bot.store.tables import followers, incidents, looks, messages, requests

AT_ONCE = 200  # rows in one transaction: some milliseconds
# Delivered twice is delivered within the hour; so many of the newest are known again.
KNOWN_AGAIN = 10_000
ON_ITS_WAY = (State.WAITING.value, State.LOOKING.value)


def forget(connection: Connection, before: float, now: float) -> int:
    """One step: how many rows it was about. 0 where nothing is left that is older than ``before``."""
    audit.head(connection)  # Before any row of an incident, as everywhere: else two could wait for each other.
    steps = (
        _close(connection, before, now),
        _forget_messages(connection, before),
        _forget_recordings(connection, before),
    )
    return sum(steps) + _forget_delivered(connection)


def _close(connection: Connection, before: float, now: float) -> int:
    """An incident that nobody asked about for so long is not open any more, whatever became of the node."""
    is_old = (incidents.c.is_open, incidents.c.asked_at < before, incidents.c.state.not_in(ON_ITS_WAY))
    old = connection.execute(select(incidents.c.id).where(*is_old).limit(AT_ONCE).with_for_update()).scalars().all()
    for number in old:
        connection.execute(update(incidents).where(incidents.c.id == number).values(is_open=False))
        detail = {"because": "nobody asked about it for long"}
        audit.add(connection, at=now, actor="bot", event="closed", incident=number, detail=detail)
    connection.execute(delete(followers).where(followers.c.incident.in_(old)))
    return len(old)


def _forget_messages(connection: Connection, before: float) -> int:
    is_old = (~incidents.c.is_open, incidents.c.asked_at < before)
    old = select(messages.c.number).join(incidents, incidents.c.id == messages.c.incident).where(*is_old)
    return _deleted(connection, messages, old)


def _forget_recordings(connection: Connection, before: float) -> int:
    is_old = (looks.c.is_told, looks.c.ended_at < before, func.length(looks.c.recording) > 0)
    old = connection.execute(select(looks.c.incident, looks.c.number).where(*is_old).limit(AT_ONCE)).all()
    for incident, number in old:
        is_it = (looks.c.incident == incident, looks.c.number == number)
        connection.execute(update(looks).where(*is_it).values(recording=b""))
    return len(old)


def _forget_delivered(connection: Connection) -> int:
    """Requests that were answered, and the answers to them that led to no incident: they know no time."""
    answered = select(requests.c.number).where(requests.c.is_done, requests.c.number <= _known(connection, requests))
    is_said = or_(~messages.c.is_due, messages.c.failure != "")
    said = select(messages.c.number).where(messages.c.incident.is_(None), is_said)
    said = said.where(messages.c.number <= _known(connection, messages))
    return _deleted(connection, requests, answered) + _deleted(connection, messages, said)


def _known(connection: Connection, table: Any) -> int:
    last: int | None = connection.execute(select(func.max(table.c.number))).scalar_one()
    return (last or 0) - KNOWN_AGAIN


def _deleted(connection: Connection, table: Any, chosen: Any) -> int:
    found = chosen.order_by(table.c.number).limit(AT_ONCE)
    return connection.execute(delete(table).where(table.c.number.in_(found))).rowcount
