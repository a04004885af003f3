"""What the bot knows, written down before anything is said or done: requests, incidents, looks, messages, the audit.

SQLAlchemy Core; one SQLite file without set-up, PostgreSQL where the address says so. A change of state and its audit
line are one transaction. It must not know Slack, nor what a verdict means beyond its name.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bot.errors import StoreError
from bot.model import (
    Admission,
    AuditEntry,
    Follower,
    Incident,
    Lane,
    Letter,
    Look,
    Message,
    Place,
    Request,
    State,
)
from bot.store import audit, incidents, looks, outbox, requests, schema, upkeep
from bot.store.chain import Fault, Head
from bot.store.database import Database, make_private, sqlite_file
from bot.store.floor import Floor
from bot.store.recordings import pack, unpack


def usual_address() -> str:
    """The database where none is configured: a file in the user's state folder. ``Store.open`` makes both."""
    state = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(state) if Path(state).is_absolute() else Path("~/.local/state").expanduser()
    return f"sqlite:///{folder / 'conntrack-bot' / 'conntrack-bot.db'}"


@contextmanager
def _closed_where_it_fails(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise


class Store:
    """The database. Every method is one transaction, may be called from any thread, and raises StoreError.

    ``worker`` names who claims work; a claim holds for ``lease_seconds``, and is anybody's afterwards: so work that
    died with its process is taken up again. ``now`` is Unix seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._floor = Floor(database)

    @classmethod
    def open(cls, address: str) -> Store:
        """Open the database of an SQLAlchemy URL, and bring it up to date. ``sqlite://`` lives in memory."""
        database = Database(address)
        make_private(address)  # not before: an address that is refused leaves no file behind
        with _closed_where_it_fails(database), database.write() as connection:
            schema.bring_up_to_date(connection, database.name)
        return cls(database)

    @classmethod
    def open_to_read(cls, address: str) -> Store:
        """Open a database that exists and is up to date; make and change nothing."""
        file = sqlite_file(address)
        if file is not None and not file.is_file():
            raise StoreError(f"There is no database at {file} yet: `conntrack-bot serve` makes it when it starts.")
        database = Database(address)
        with _closed_where_it_fails(database), database.read() as connection:
            if not schema.is_up_to_date(connection, database.name):
                raise StoreError(
                    f"The database {database.name} is of an earlier version: `conntrack-bot serve` brings it up to "
                    "date when it starts."
                )
        return cls(database)

    def close(self) -> None:
        """Let go of it."""
        self._floor.close()
        self._database.close()

    # ---- requests ---------------------------------------------------------------------------------------------------

    def receive(self, request: Request) -> bool:
        """Write down a request, within milliseconds. False where its key is known: it was delivered twice."""
        with self._database.write() as connection:
            return requests.receive(connection, request)

    def next_request(self, worker: str, lease_seconds: float, now: float) -> Request | None:
        """Claim the oldest request that nobody works on; None where there is none."""
        with self._database.write() as connection:
            return requests.claim(connection, worker, now + lease_seconds, now)

    def answered(self, key: str) -> None:
        """The request has led to an incident or an answer: it is done."""
        with self._database.write() as connection:
            requests.answered(connection, key)

    # ---- incidents --------------------------------------------------------------------------------------------------

    def admit(self, request: Request, place: Place, now: float, forget_after_seconds: float) -> Admission:
        """The incident for a request: a node has one open incident at a time, whoever asks.

        Where a look is on its way the request joins it; one from another channel or thread becomes a follower. Where
        the open incident lies in the same channel and thread and was looked at less than ``forget_after_seconds``
        ago, a new look of it begins. Otherwise the old one is closed and a new incident opened, waiting. Who asked
        before a look ended is answered by it, unless they asked for more than it looked at.
        """
        with self._database.write() as connection:
            return incidents.admit(connection, request, place, now, forget_after_seconds)

    def waiting(self) -> int:
        """How many incidents wait for a look."""
        with self._database.read() as connection:
            return incidents.waiting(connection)

    def claim(self, worker: str, lease_seconds: float, now: float) -> Incident | None:
        """Claim the oldest incident that waits, or whose look died with its worker; it is LOOKING then.

        ``looks`` is the look's number, ``attempts`` how often this look was begun: 1, or more after a death.
        """
        with self._database.write() as connection:
            return incidents.claim(connection, worker, now + lease_seconds, now)

    def renew(self, incident: int, worker: str, lease_seconds: float, now: float) -> bool:
        """Hold a claim for longer. False where it is somebody else's by now."""
        with self._database.write() as connection:
            return incidents.renew(connection, incident, worker, now + lease_seconds)

    def finish(self, look: Look, worker: str, *, is_open: bool) -> Incident | None:
        """Write down what came of a look; the incident's state is the look's. None where the claim was lost."""
        with self._database.write() as connection:
            return incidents.finish(connection, look, worker, is_open=is_open)

    def untold(self, now: float) -> Sequence[Look]:
        """Looks that have ended and were not told to the end: what a death in between left.

        Not those whose teller still has the lease of the look.
        """
        with self._database.read() as connection:
            return looks.untold(connection, now)

    def told(self, incident: int, number: int) -> None:
        """All messages about a look are in the outbox."""
        with self._database.write() as connection:
            looks.told(connection, incident, number)

    def incident(self, number: int) -> Incident | None:
        """One incident; None where there is none of that number."""
        with self._database.read() as connection:
            return incidents.incident(connection, number)

    def incidents(self, limit: int, *, only_open: bool = False, channel: str = "") -> Sequence[Incident]:
        """The newest incidents first."""
        with self._database.read() as connection:
            return incidents.newest(connection, limit, only_open=only_open, channel=channel)

    def open_incidents(self, *, state: State | None = None, channel: str = "") -> int:
        """How many incidents are open, in a state or in a channel."""
        with self._database.read() as connection:
            return incidents.open_ones(connection, state, channel)

    def looks(self, incident: int) -> Sequence[Look]:
        """The looks of an incident that have ended, the oldest first."""
        with self._database.read() as connection:
            return looks.of(connection, incident)

    def followers(self, incident: int) -> Sequence[Follower]:
        """Who waits elsewhere for the look that is on its way; emptied when a new look begins."""
        with self._database.read() as connection:
            return incidents.waiting_elsewhere(connection, incident)

    # ---- messages ---------------------------------------------------------------------------------------------------

    def say(self, message: Message) -> None:
        """What is to be read under the message's key. The same text again changes nothing."""
        with self._database.write() as connection:
            outbox.say(connection, message)

    def channels(self, now: float) -> Sequence[str]:
        """The channels for which something is due."""
        with self._database.read() as connection:
            return outbox.channels(connection, now)

    def may_speak(self, channel: str) -> bool:
        """Whether this program is the one that writes into a channel now, of all that share the database.

        It stays so until ``hush``, or until the program ends.
        """
        return self._floor.take(channel)

    def hush(self, channel: str) -> None:
        """Let others write into a channel."""
        self._floor.give(channel)

    def next_letter(
        self, channel: str, now: float, *, lane: Lane | None = None, held: Collection[str] = ()
    ) -> Letter | None:
        """The oldest message of a channel that is due, and whose parent is posted; from now on it is doubtful.

        ``lane`` asks for one sort only: the chat paces them apart. Keys in ``held`` are passed over: they were edited
        a moment ago. The same letter is given again until it is delivered or undelivered.
        """
        with self._database.write() as connection:
            return outbox.next_letter(connection, channel, now, lane, held)

    def delivered(self, key: str, version: int, ts: str) -> None:
        """A version of a message is to be read in the chat, at ``ts``."""
        with self._database.write() as connection:
            outbox.delivered(connection, key, version, ts)

    def undelivered(
        self, key: str, version: int, why: str, retry_at: float | None, *, is_doubtful: bool = False
    ) -> None:
        """A version could not be said. None for ``retry_at``: never, until the text changes.

        ``is_doubtful``: there was no answer, so it may be there already.
        """
        with self._database.write() as connection:
            outbox.undelivered(connection, key, version, why, retry_at, is_doubtful=is_doubtful)

    def letter(self, key: str) -> Letter | None:
        """A message by its key, sent or not."""
        with self._database.read() as connection:
            return outbox.letter(connection, key)

    # ---- what is old ------------------------------------------------------------------------------------------------

    def forget(self, before: float, now: float) -> int:
        """Let go of some of what is older than ``before``: recordings, and messages of incidents that are over.

        An incident that nobody asked about since then is closed; of it and its looks the words stay, as all of the
        audit does. How much it was: again until 0.
        """
        with self._database.write() as connection:
            return upkeep.forget(connection, before, now)

    # ---- the audit --------------------------------------------------------------------------------------------------

    def audit(self, after: int = 0, limit: int = 1000) -> Sequence[AuditEntry]:
        """The audit's lines in order, after a number."""
        with self._database.read() as connection:
            return audit.entries(connection, after, limit)

    def note(self, actor: str, event: str, incident: int | None, detail: dict[str, object], now: float) -> None:
        """Add a line of its own to the audit, for what changes no state (a refusal, say)."""
        with self._database.write() as connection:
            audit.add(connection, at=now, actor=actor, event=event, incident=incident, detail=detail)

    def verify(self) -> Sequence[Fault]:
        """What is wrong with the audit's chain; nothing where it is whole."""
        with self._database.read() as connection:
            return audit.verify(connection)

    def audit_head(self) -> Head:
        """The number and the digest of the audit's last line: kept elsewhere, they vouch for all lines before."""
        with self._database.read() as connection:
            return audit.head_as_read(connection) or Head()


__all__ = ["Admission", "Fault", "State", "Store", "pack", "unpack", "usual_address"]
