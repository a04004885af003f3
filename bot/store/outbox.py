"""The outbox: what is to be read where. Desired state, so that saying something twice, or anew, costs one message.

A post that was on its way when the program died is in doubt: it is handed out again as such. A whisper in doubt is
dropped, for it can neither be looked for nor edited. It must not know the chat's words, nor how a message is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, true, tuple_, update
from sqlalchemy.exc import IntegrityError

from bot.model import Kind, Lane, Letter, Message
from bot.store.tables import messages
from bot.store.written import canonical, mapping

RAW = "ts:"  # under "ts:1700000000.000100": in the thread of somebody else's message
IN_DOUBT = "nobody knows whether it was said, and a whisper is said once at most"

parents = messages.alias("parents")
earlier = messages.alias("earlier")


# ---- what is to be read ---------------------------------------------------------------------------------------------


def say(connection: Connection, message: Message) -> None:
    """What is to be read under a key from now on."""
    row = _find(connection, message.key)
    if row is None and _added(connection, message):
        return
    row = row or _find(connection, message.key)  # Somebody else added it just now.
    if row is None or not _may_change(row) or _content(message) == _content(_message(row)):
        return
    values: dict[str, Any] = _content(message) | {
        "incident": message.incident,
        "version": row.version + 1,
        "is_due": True,
        "attempts": 0,
        "retry_at": 0.0,
    }
    if not row.is_due:
        values["turn"] = _next_turn(connection)
    connection.execute(_of(message.key).values(values))


def _added(connection: Connection, message: Message) -> bool:
    values = _content(message) | {
        "key": message.key,
        "incident": message.incident,
        "version": 1,
        "sent_version": 0,
        "turn": _next_turn(connection),
        "is_due": True,
        "is_out": False,
        "is_doubtful": False,
        "ts": "",
        "thread_ts": "",
        "attempts": 0,
        "retry_at": 0.0,
        "failure": "",
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(messages).values(values))
    except IntegrityError:
        return False
    return True


def _may_change(row: Row[Any]) -> bool:
    """A file is posted once and a whisper said once: what was tried stays as it is."""
    return row.kind == Kind.MESSAGE.value or (row.sent_version == 0 and not _may_be_there(row))


def _content(message: Message) -> dict[str, Any]:
    return {
        "channel": message.channel,
        "kind": message.kind.value,
        "body": canonical(message.body),
        "under": message.under,
        "file": message.file,
        "person": message.person,
        "answer_url": message.answer_url,
    }


def _next_turn(connection: Connection) -> int:
    last: int | None = connection.execute(select(func.max(messages.c.turn))).scalar_one()
    return (last or 0) + 1


# ---- what is due ----------------------------------------------------------------------------------------------------


def channels(connection: Connection, now: float) -> Sequence[str]:
    """The channels for which something is due."""
    chosen = _with_parents(messages.c.channel).where(_is_due(now)).distinct()
    return tuple(connection.execute(chosen).scalars())


def next_letter(
    connection: Connection, channel: str, now: float, lane: Lane | None, held: Collection[str]
) -> Letter | None:
    """The oldest message of a channel that is due; a post is in doubt until somebody says what became of it.

    What stands by itself goes before what stands below a message of ours: a card is not kept waiting by the explanation
    of another one.
    """
    chosen = (
        _with_parents(messages, parents.c.ts.label("parent_ts"), parents.c.thread_ts.label("parent_thread_ts"))
        .where(messages.c.channel == channel, _is_due(now), _is_in(lane), *_are_others(held))
        .order_by(parents.c.key.is_not(None), messages.c.turn, messages.c.number)
        .limit(1)
        .with_for_update(of=messages)
    )
    while (row := connection.execute(chosen).one_or_none()) is not None:
        if row.kind != Kind.WHISPER.value or not _may_be_there(row):
            return _handed_out(connection, row)
        connection.execute(_of(row.key).values(_given_up(row, IN_DOUBT)))
    return None


def _handed_out(connection: Connection, row: Row[Any]) -> Letter:
    # A reply to a reply belongs to the thread of the root: the chat has no threads in threads.
    thread_ts = row.under.removeprefix(RAW) if row.under.startswith(RAW) else row.parent_thread_ts or row.parent_ts
    is_doubtful = _may_be_there(row)
    if not row.ts:
        out = {"is_out": True, "is_doubtful": is_doubtful, "thread_ts": thread_ts or ""}
        connection.execute(_of(row.key).values(out))
    return Letter(_message(row), row.version, row.ts, thread_ts or "", row.attempts, is_doubtful)


def _may_be_there(row: Row[Any]) -> bool:
    return not row.ts and (row.is_out or row.is_doubtful)


def _with_parents(*columns: Any) -> Any:
    return select(*columns).select_from(messages.outerjoin(parents, parents.c.key == messages.c.under))


def _is_due(now: float) -> ColumnElement[bool]:
    has_parent = or_(messages.c.under == "", messages.c.under.startswith(RAW, autoescape=True), parents.c.ts != "")
    return and_(messages.c.is_due, messages.c.retry_at <= now, has_parent, ~_must_wait(now))


def _is_in(lane: Lane | None) -> ColumnElement[bool]:
    is_whisper = messages.c.kind == Kind.WHISPER.value
    match lane:
        case None:
            return true()
        case Lane.WHISPER:
            return is_whisper
        case Lane.EDIT:
            return and_(~is_whisper, messages.c.ts != "")
        case Lane.POST:
            return and_(~is_whisper, messages.c.ts == "")


def _are_others(held: Collection[str]) -> list[ColumnElement[bool]]:
    return [messages.c.key.not_in(held)] if held else []


def _must_wait(now: float) -> ColumnElement[bool]:
    """Posts of a thread stay in order, also where an earlier one has to be tried again; nobody else is held up."""
    is_before = and_(
        earlier.c.channel == messages.c.channel,
        earlier.c.under == messages.c.under,
        earlier.c.is_due,
        earlier.c.ts == "",
        earlier.c.retry_at > now,
        earlier.c.kind != Kind.WHISPER.value,
        tuple_(earlier.c.turn, earlier.c.number) < tuple_(messages.c.turn, messages.c.number),
    )
    is_reply = and_(messages.c.under != "", messages.c.ts == "", messages.c.kind != Kind.WHISPER.value)
    return and_(is_reply, select(earlier.c.number).where(is_before).exists())


# ---- what became of it ----------------------------------------------------------------------------------------------


def delivered(connection: Connection, key: str, version: int, ts: str) -> None:
    """A version is to be read at ``ts``; a newer one stays due."""
    row = _find(connection, key)
    if row is None:
        return
    is_over = row.version == version
    values: dict[str, Any] = {
        "ts": ts or row.ts,
        "sent_version": version,
        "is_due": not is_over,
        "is_out": False,
        "is_doubtful": False,
        "retry_at": 0.0,
        "failure": "",
    }
    if is_over:
        values |= {"attempts": 0, "answer_url": ""}
    if row.kind == Kind.FILE.value:
        values["file"] = b""  # It is in the chat now, and a file is posted once.
    connection.execute(_of(key).values(values))


def undelivered(
    connection: Connection, key: str, version: int, why: str, retry_at: float | None, *, is_doubtful: bool
) -> None:
    """A version could not be said, or nobody knows. What failed for good does not hold back a newer version.

    A refusal ends the doubt about this try, not about an earlier one.
    """
    row = _find(connection, key)
    if row is None:
        return
    values: dict[str, Any] = {"is_out": False, "is_doubtful": row.is_doubtful or is_doubtful, "failure": why}
    if retry_at is not None:
        values["retry_at"] = retry_at
    if row.version == version:
        values["attempts"] = row.attempts + 1
        if retry_at is None:
            values |= _given_up(row, why)
    connection.execute(_of(key).values(values))


def letter(connection: Connection, key: str) -> Letter | None:
    """A message by its key."""
    row = _find(connection, key)
    if row is None:
        return None
    return Letter(_message(row), row.version, row.ts, row.thread_ts, row.attempts, _may_be_there(row))


def _given_up(row: Row[Any], why: str) -> dict[str, Any]:
    """A whisper's way to its reader is forgotten with it: who has the address may write into the channel."""
    return {"is_due": False, "failure": why} | ({"answer_url": ""} if row.kind == Kind.WHISPER.value else {})


def _find(connection: Connection, key: str) -> Row[Any] | None:
    return connection.execute(select(messages).where(messages.c.key == key).with_for_update()).one_or_none()


def _of(key: str) -> Any:
    return update(messages).where(messages.c.key == key)


def _message(row: Row[Any]) -> Message:
    return Message(
        key=row.key,
        channel=row.channel,
        kind=Kind(row.kind),
        body=mapping(row.body),
        incident=row.incident,
        under=row.under,
        file=row.file,
        person=row.person,
        answer_url=row.answer_url,
    )
