"""Requests in the database: written down at once, claimed one by one, done when there is an answer.

It must not know what a request leads to.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.model import Request
from bot.store.tables import requests
from bot.store.written import REQUEST, text_of, value_of

# Both databases know it, and SQLAlchemy has a word for each. What is returned is what was written.
UNLESS_KNOWN = {
    name: dialect.insert(requests).on_conflict_do_nothing(index_elements=[requests.c.key]).returning(requests.c.number)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


def receive(connection: Connection, request: Request) -> bool:
    """Write down a request; False where its key is known."""
    row = {
        "key": request.key,
        "content": text_of(REQUEST, request),
        "worker": "",
        "lease_until": 0.0,
        "is_done": False,
        "is_joined": False,
    }
    return connection.execute(UNLESS_KNOWN[connection.dialect.name], row).first() is not None


def claim(connection: Connection, worker: str, lease_until: float, now: float) -> Request | None:
    """The oldest request that nobody works on."""
    chosen = (
        select(requests.c.number, requests.c.content)
        .where(~requests.c.is_done, requests.c.lease_until <= now)
        .order_by(requests.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(chosen).one_or_none()
    if row is None:
        return None
    mine = update(requests).where(requests.c.number == row.number)
    request = value_of(REQUEST, row.content)
    if request is None:  # Of another version, which nobody can answer any more.
        connection.execute(mine.values(is_done=True))
        return claim(connection, worker, lease_until, now)
    connection.execute(mine.values(worker=worker, lease_until=lease_until))
    return request


def answered(connection: Connection, key: str) -> None:
    """The request is done. Its ``answer_url`` is forgotten: who has it may write into the channel."""
    content = connection.execute(select(requests.c.content).where(requests.c.key == key)).scalar_one_or_none()
    request = value_of(REQUEST, content or "")
    values: dict[str, object] = {"is_done": True, "worker": ""}
    if request is not None:
        values["content"] = text_of(REQUEST, replace(request, answer_url=""))
    connection.execute(update(requests).where(requests.c.key == key).values(values))
