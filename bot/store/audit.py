"""The audit in the database: entries are only ever added, in the transaction of what they tell about.

It must not know which events there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from bot.model import AuditEntry
from bot.store.chain import Fault, Head, digest, faults
from bot.store.tables import UNWRITABLE, audit, audit_head
from bot.store.written import canonical, mapping

THE_ROW = 1


def head(connection: Connection) -> Head | None:
    """The last entry written. Who holds this row is the only one who changes state, until the transaction ends.

    SQLite has one writer anyway, and no such clause; PostgreSQL lets the others wait here.
    """
    row = connection.execute(select(audit_head).where(audit_head.c.id == THE_ROW).with_for_update()).one_or_none()
    return None if row is None else Head(row.number, row.digest)


def add(
    connection: Connection,
    *,
    at: float,
    actor: str,
    event: str,
    incident: int | None,
    detail: Mapping[str, Any],
) -> None:
    """Add an entry behind the last one."""
    last = head(connection)
    before = last or Head()
    entry = AuditEntry(
        number=before.number + 1,
        at=float(at),
        actor=UNWRITABLE.sub("\ufffd", actor),  # The digest is over what can be read again.
        event=event,
        incident=incident,
        detail=mapping(canonical(detail)),
        previous=before.digest,
        digest="",
    )
    entry = replace(entry, digest=digest(entry))
    connection.execute(insert(audit).values(_values(entry)))
    where = {"number": entry.number, "digest": entry.digest}
    if last is None:
        connection.execute(insert(audit_head).values(id=THE_ROW, **where))
    else:
        connection.execute(update(audit_head).where(audit_head.c.id == THE_ROW).values(**where))


def entries(connection: Connection, after: int, limit: int) -> Sequence[AuditEntry]:
    """Entries in order, after a number."""
    chosen = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(limit)
    return tuple(_entry(row) for row in connection.execute(chosen))


def verify(connection: Connection) -> tuple[Fault, ...]:
    """What is wrong with the chain, of which never more than a part is in memory."""
    return faults(_all(connection), head_as_read(connection))


def head_as_read(connection: Connection) -> Head | None:
    """The head, without keeping anybody from writing."""
    row = connection.execute(select(audit_head).where(audit_head.c.id == THE_ROW)).one_or_none()
    return None if row is None else Head(row.number, row.digest)


def _all(connection: Connection) -> Iterator[AuditEntry]:
    rows = connection.execution_options(yield_per=500).execute(select(audit).order_by(audit.c.number))
    return (_entry(row) for row in rows)


def _values(entry: AuditEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": entry.at,
        "actor": entry.actor,
        "event": entry.event,
        "incident": entry.incident,
        "detail": canonical(entry.detail),
        "previous": entry.previous,
        "digest": entry.digest,
    }


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        at=row.at,
        actor=row.actor,
        event=row.event,
        incident=row.incident,
        detail=mapping(row.detail),
        previous=row.previous,
        digest=row.digest,
    )
