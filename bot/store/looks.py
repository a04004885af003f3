"""Looks in the database, with all that every surface needs to say them again later.

It must not know when a look begins or ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from bot.model import Look, State
from bot.store.tables import looks
from bot.store.written import PICTURE, REPORT, canonical, mapping, text_of, value_of

UNREADABLE = "what was found was written down by another version of conntrack-bot, which this one cannot read"


def write(connection: Connection, look: Look, lease_until: float) -> None:
    """Write down a look. Who made it tells it, while the lease lasts."""
    values = {
        "incident": look.incident,
        "number": look.number,
        "state": look.state.value,
        "started_at": look.started_at,
        "ended_at": look.ended_at,
        "why": look.why,
        "report": text_of(REPORT, look.report),
        "picture": text_of(PICTURE, look.picture),
        "document": canonical(look.document),
        "recording": look.recording,
        "is_told": False,
        "lease_until": lease_until,
    }
    connection.execute(insert(looks).values(values))


def of(connection: Connection, incident: int) -> Sequence[Look]:
    """The looks of an incident, the oldest first."""
    chosen = select(looks).where(looks.c.incident == incident).order_by(looks.c.number)
    return tuple(_look(row) for row in connection.execute(chosen))


def untold(connection: Connection, now: float) -> Sequence[Look]:
    """Looks that nobody told to the end, and nobody is telling."""
    is_left = (~looks.c.is_told, looks.c.lease_until <= now)
    chosen = select(looks).where(*is_left).order_by(looks.c.ended_at, looks.c.incident, looks.c.number)
    return tuple(_look(row) for row in connection.execute(chosen))


def told(connection: Connection, incident: int, number: int) -> None:
    """The look was told."""
    is_it = (looks.c.incident == incident, looks.c.number == number)
    connection.execute(update(looks).where(*is_it).values(is_told=True))


def _look(row: Row[Any]) -> Look:
    report = value_of(REPORT, row.report)
    return Look(
        incident=row.incident,
        number=row.number,
        state=State(row.state),
        started_at=row.started_at,
        ended_at=row.ended_at,
        report=report,
        picture=value_of(PICTURE, row.picture),
        why=UNREADABLE if row.report and report is None else row.why,
        document=mapping(row.document),
        recording=row.recording,
    )
