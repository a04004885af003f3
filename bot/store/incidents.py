"""Incidents in the database: one open one for a node, claimed with a lease, and an audit line for every change.

It must not know how a node is looked at, nor who is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from bot.model import Admission, Follower, Incident, Look, Person, Place, Request, State
from bot.store import audit, looks
from bot.store.tables import followers, incidents, requests

BOT = "bot"  # who acts where no person does
# From well to worst. Not to know is worse than well, and another cause worse than not to know.
VERDICTS = ("", "healthy", "recovered", "inconclusive", "lookalike", "filling", "evicting", "exhausted")


# ---- who asks -------------------------------------------------------------------------------------------------------


def admit(connection: Connection, request: Request, place: Place, now: float, forget_after_seconds: float) -> Admission:
    """The incident for a request; the same one, however often the request is admitted."""
    audit.head(connection)  # One at a time, so that two cannot open the same node's incident.
    known = _admitted(connection, request)
    if known is not None:
        return known
    found = _open_incident(connection, place)
    if found is not None and found.state.is_on_its_way:
        found = _asking_for_more(connection, found, request)
        _join(connection, found, request, now)
        return _remembered(connection, request, Admission(found, joined=True))
    answered = _answered_since(connection, request, place)
    if answered is not None:
        _join(connection, answered, request, now)
        return _remembered(connection, request, Admission(answered, joined=True))
    if found is not None and _goes_on(found, request, now, forget_after_seconds):
        again = _ask_again(connection, found, request, place, now)
        return _remembered(connection, request, Admission(again, joined=False))
    if found is not None:
        _close(connection, found, now)
    return _remembered(connection, request, Admission(_open(connection, request, place, now), joined=False))


def _admitted(connection: Connection, request: Request) -> Admission | None:
    chosen = select(requests.c.incident, requests.c.is_joined).where(requests.c.key == request.key)
    row = connection.execute(chosen).one_or_none()
    found = None if row is None or row.incident is None else incident(connection, row.incident)
    return None if row is None or found is None else Admission(found, joined=row.is_joined)


def _remembered(connection: Connection, request: Request, admission: Admission) -> Admission:
    values = {"incident": admission.incident.id, "is_joined": admission.joined}
    connection.execute(update(requests).where(requests.c.key == request.key).values(values))
    return admission


def _open_incident(connection: Connection, place: Place) -> Incident | None:
    is_it = and_(incidents.c.cluster == place.cluster, incidents.c.node == place.node, incidents.c.is_open)
    row = connection.execute(select(incidents).where(is_it)).one_or_none()
    return None if row is None else _incident(row)


def _asking_for_more(connection: Connection, found: Incident, request: Request) -> Incident:
    """A look that was not begun can still become what both ask for."""
    is_enough = (not request.exact or found.exact) and (not request.deep or found.deep)
    if found.state is not State.WAITING or is_enough:
        return found
    more = {"exact": found.exact or request.exact, "deep": found.deep or request.deep}
    return _changed(connection, found.id, more)


def _answered_since(connection: Connection, request: Request, place: Place) -> Incident | None:
    """The incident of this place whose look has ended after it was asked for: in a crowd, requests wait to be read."""
    here = {"channel": request.channel, "thread": request.thread, "state": State.DIAGNOSED.value}
    is_it = select(incidents).filter_by(cluster=place.cluster, node=place.node, **here)
    asked = ((incidents.c.exact, request.exact), (incidents.c.deep, request.deep))
    is_enough = [column for column, is_asked in asked if is_asked]
    newer = is_it.where(incidents.c.looked_at > request.at, *is_enough).order_by(incidents.c.id.desc()).limit(1)
    row = connection.execute(newer).one_or_none()
    return None if row is None else _incident(row)


def _goes_on(found: Incident, request: Request, now: float, forget_after_seconds: float) -> bool:
    is_here = (found.channel, found.thread) == (request.channel, request.thread)
    return is_here and found.looked_at is not None and now - found.looked_at < forget_after_seconds


def _open(connection: Connection, request: Request, place: Place, now: float) -> Incident:
    values = _asked(request, place) | {
        "cluster": place.cluster,
        "node": place.node,
        "channel": request.channel,
        "thread": request.thread,
        "opened_at": now,
        "looks": 0,
        "verdict": "",
        "headline": "",
        "worst": "",
        "is_open": True,
    }
    row = connection.execute(insert(incidents).values(values).returning(incidents)).one()
    opened = _incident(row)
    _note(connection, now, request.person.id, "opened", opened, **_asking(request, place))
    return opened


def _ask_again(connection: Connection, found: Incident, request: Request, place: Place, now: float) -> Incident:
    connection.execute(delete(followers).where(followers.c.incident == found.id))
    again = _changed(connection, found.id, _asked(request, place))
    _note(connection, now, request.person.id, "asked again", again, **_asking(request, place))
    return again


def _asked(request: Request, place: Place) -> dict[str, Any]:
    """What the newest look owes to who asked for it."""
    return {
        "person": request.person.id,
        "team": request.person.team,
        "asked_at": request.at,
        "exact": request.exact,
        "deep": request.deep,
        "note": place.note,
        "state": State.WAITING.value,
        "attempts": 0,
        "worker": "",
        "lease_until": 0.0,
    }


def _join(connection: Connection, found: Incident, request: Request, now: float) -> None:
    """Who asked at another place waits there for the answer; once is enough for a place."""
    where = {"incident": found.id, "channel": request.channel, "thread": request.thread}
    here = (found.channel, found.thread) == (request.channel, request.thread)
    is_known = connection.execute(select(followers.c.number).filter_by(**where)).first() is not None
    if not here and not is_known:
        person = {"person": request.person.id, "team": request.person.team}
        connection.execute(insert(followers).values(where | person))
    _note(connection, now, request.person.id, "joined", found, request=request.key, channel=request.channel)


def _close(connection: Connection, found: Incident, now: float) -> None:
    _changed(connection, found.id, {"is_open": False})
    _note(connection, now, BOT, "closed", found, because="a new incident takes its place")


def _asking(request: Request, place: Place) -> dict[str, Any]:
    return {
        "request": request.key,
        "origin": request.origin.value,
        "named": request.named,
        "team": request.person.team,
        "cluster": place.cluster,
        "node": place.node,
        "channel": request.channel,
    }


# ---- who looks ------------------------------------------------------------------------------------------------------


def claim(connection: Connection, worker: str, lease_until: float, now: float) -> Incident | None:
    """The oldest incident that waits, or whose look died with its worker."""
    audit.head(connection)  # Before any row of an incident, as everywhere: else two could wait for each other.
    is_dead = and_(incidents.c.state == State.LOOKING.value, incidents.c.lease_until <= now)
    chosen = (
        select(incidents)
        .where(or_(incidents.c.state == State.WAITING.value, is_dead))
        .order_by(incidents.c.asked_at, incidents.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(chosen).one_or_none()
    if row is None:
        return None
    values = {
        "state": State.LOOKING.value,
        "worker": worker,
        "lease_until": lease_until,
        "looks": row.looks + (1 if row.attempts == 0 else 0),
        "attempts": row.attempts + 1,
    }
    claimed = _changed(connection, row.id, values)
    _note(connection, now, BOT, "look begun", claimed, look=claimed.looks, attempt=claimed.attempts, worker=worker)
    return claimed


def renew(connection: Connection, number: int, worker: str, lease_until: float) -> bool:
    """Hold a claim for longer, where it is still held."""
    held = update(incidents).where(_is_held(number, worker)).values(lease_until=lease_until)
    return connection.execute(held).rowcount == 1


def finish(connection: Connection, look: Look, worker: str, *, is_open: bool) -> Incident | None:
    """Write down what came of a look; None where the claim is not held, or is for another look."""
    audit.head(connection)  # Before any row of an incident, as everywhere: else two could wait for each other.
    is_this = and_(_is_held(look.incident, worker), incidents.c.looks == look.number)
    row = connection.execute(select(incidents).where(is_this).with_for_update()).one_or_none()
    if row is None:
        return None
    verdict = look.report.kind.value if look.report else ""
    values = {
        "state": look.state.value,
        "verdict": verdict,
        "headline": look.report.headline if look.report else look.why,
        "worst": max(row.worst, verdict, key=_badness),
        "looked_at": look.ended_at,
        "is_open": is_open,
        "worker": "",
        "lease_until": 0.0,
    }
    looks.write(connection, look, lease_until=row.lease_until)
    finished = _changed(connection, look.incident, values)
    said = {"look": look.number, "verdict": verdict, "why": look.why, "is_open": is_open, "worker": worker}
    _note(connection, look.ended_at, BOT, f"look ended: {look.state.value.replace('_', ' ')}", finished, **said)
    if not is_open:
        _note(connection, look.ended_at, BOT, "closed", finished, because=verdict or look.state.value)
    return finished


def _is_held(number: int, worker: str) -> Any:
    return and_(incidents.c.id == number, incidents.c.state == State.LOOKING.value, incidents.c.worker == worker)


def _badness(verdict: str) -> int:
    """A name that is not known here is as bad as not to know."""
    return VERDICTS.index(verdict if verdict in VERDICTS else "inconclusive")


# ---- who reads ------------------------------------------------------------------------------------------------------


def waiting(connection: Connection) -> int:
    """How many incidents wait for a look."""
    chosen = select(func.count()).select_from(incidents).where(incidents.c.state == State.WAITING.value)
    return connection.execute(chosen).scalar_one()


def incident(connection: Connection, number: int) -> Incident | None:
    """One incident."""
    row = connection.execute(select(incidents).where(incidents.c.id == number)).one_or_none()
    return None if row is None else _incident(row)


def open_ones(connection: Connection, state: State | None, channel: str) -> int:
    """How many incidents are open; only those in a state, or of a channel, where one is given."""
    chosen = select(func.count()).select_from(incidents).where(incidents.c.is_open)
    if state is not None:
        chosen = chosen.where(incidents.c.state == state.value)
    if channel:
        chosen = chosen.where(incidents.c.channel == channel)
    return connection.execute(chosen).scalar_one()


def newest(connection: Connection, limit: int, *, only_open: bool, channel: str) -> Sequence[Incident]:
    """The newest incidents first."""
    chosen = select(incidents).order_by(incidents.c.id.desc()).limit(limit)
    if only_open:
        chosen = chosen.where(incidents.c.is_open)
    if channel:
        chosen = chosen.where(incidents.c.channel == channel)
    return tuple(_incident(row) for row in connection.execute(chosen))


def waiting_elsewhere(connection: Connection, number: int) -> Sequence[Follower]:
    """The followers of an incident, in the order in which they asked."""
    chosen = select(followers).where(followers.c.incident == number).order_by(followers.c.number)
    return tuple(Follower(Person(row.person, row.team), row.channel, row.thread) for row in connection.execute(chosen))


def _changed(connection: Connection, number: int, values: Mapping[str, Any]) -> Incident:
    statement = update(incidents).where(incidents.c.id == number).values(dict(values)).returning(incidents)
    return _incident(connection.execute(statement).one())


def _note(connection: Connection, at: float, actor: str, event: str, about: Incident, **detail: object) -> None:
    audit.add(connection, at=at, actor=actor, event=event, incident=about.id, detail=detail)


def _incident(row: Row[Any]) -> Incident:
    # SQLite gives whole numbers back as such in what an UPDATE returns.
    return Incident(
        id=row.id,
        cluster=row.cluster,
        node=row.node,
        channel=row.channel,
        thread=row.thread,
        asked_by=Person(row.person, row.team),
        asked_at=float(row.asked_at),
        opened_at=float(row.opened_at),
        state=State(row.state),
        looks=row.looks,
        attempts=row.attempts,
        exact=row.exact,
        deep=row.deep,
        note=row.note,
        verdict=row.verdict,
        headline=row.headline,
        worst=row.worst,
        looked_at=None if row.looked_at is None else float(row.looked_at),
        is_open=row.is_open,
    )
