"""What the bot knows, written down before anything is said or done: requests, incidents, looks, messages, the audit.

SQLAlchemy Core; one SQLite file without set-up, PostgreSQL where the address says so. A change of state and its audit
line are one transaction. It must not know Slack, nor what a verdict means beyond its name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

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


class Store:
    """The database. Every method is one transaction, may be called from any thread, and raises StoreError.

    ``worker`` names who claims work; a claim holds for ``lease_seconds``, and is anybody's afterwards: so work that
    died with its process is taken up again. ``now`` is Unix seconds.
    """

    @classmethod
    def open(cls, address: str) -> Store:
        """Open the database of an SQLAlchemy URL, and bring it up to date. ``sqlite://`` lives in memory."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it."""
        raise NotImplementedError

    # ---- requests ---------------------------------------------------------------------------------------------------

    def receive(self, request: Request) -> bool:
        """Write down a request, within milliseconds. False where its key is known: it was delivered twice."""
        raise NotImplementedError

    def next_request(self, worker: str, lease_seconds: float, now: float) -> Request | None:
        """Claim the oldest request that nobody works on; None where there is none."""
        raise NotImplementedError

    def answered(self, key: str) -> None:
        """The request has led to an incident or an answer: it is done."""
        raise NotImplementedError

    # ---- incidents --------------------------------------------------------------------------------------------------

    def admit(self, request: Request, place: Place, now: float, forget_after_seconds: float) -> Admission:
        """The incident for a request: a node has one open incident at a time, whoever asks.

        Where a look is on its way the request joins it; one from another channel or thread becomes a follower. Where
        the open incident lies in the same channel and thread and was looked at less than ``forget_after_seconds``
        ago, a new look of it begins. Otherwise the old one is closed and a new incident opened, waiting.
        """
        raise NotImplementedError

    def waiting(self) -> int:
        """How many incidents wait for a look."""
        raise NotImplementedError

    def claim(self, worker: str, lease_seconds: float, now: float) -> Incident | None:
        """Claim the oldest incident that waits, or whose look died with its worker; it is LOOKING then.

        ``looks`` is the look's number, ``attempts`` how often this look was begun: 1, or more after a death.
        """
        raise NotImplementedError

    def renew(self, incident: int, worker: str, lease_seconds: float, now: float) -> bool:
        """Hold a claim for longer. False where it is somebody else's by now."""
        raise NotImplementedError

    def release(self, incident: int, worker: str) -> None:
        """Give a claim back unfinished, for anybody to take up at once (a clean stop); this attempt does not count."""
        raise NotImplementedError

    def finish(self, look: Look, worker: str, *, is_open: bool) -> Incident | None:
        """Write down what came of a look; the incident's state is the look's. None where the claim was lost."""
        raise NotImplementedError

    def untold(self, now: float) -> Sequence[Look]:
        """Looks that have ended and were not told to the end: what a death in between left."""
        raise NotImplementedError

    def told(self, incident: int, number: int) -> None:
        """All messages about a look are in the outbox."""
        raise NotImplementedError

    def incident(self, number: int) -> Incident | None:
        """One incident; None where there is none of that number."""
        raise NotImplementedError

    def incidents(self, limit: int, *, only_open: bool = False, channel: str = "") -> Sequence[Incident]:
        """The newest incidents first."""
        raise NotImplementedError

    def looks(self, incident: int) -> Sequence[Look]:
        """The looks of an incident that have ended, the oldest first."""
        raise NotImplementedError

    def followers(self, incident: int) -> Sequence[Follower]:
        """Who waits elsewhere for the look that is on its way; emptied when a new look begins."""
        raise NotImplementedError

    # ---- messages ---------------------------------------------------------------------------------------------------

    def say(self, message: Message) -> None:
        """What is to be read under the message's key. The same text again changes nothing."""
        raise NotImplementedError

    def channels(self, now: float) -> Sequence[str]:
        """The channels for which something is due."""
        raise NotImplementedError

    def next_letter(
        self, channel: str, now: float, *, lane: Lane | None = None, held: Collection[str] = ()
    ) -> Letter | None:
        """The oldest message of a channel that is due, and whose parent is posted; from now on it is doubtful.

        ``lane`` asks for one sort only: the chat paces them apart. Keys in ``held`` are passed over: they were edited
        a moment ago. The same letter is given again until it is delivered or undelivered.
        """
        raise NotImplementedError

    def delivered(self, key: str, version: int, ts: str) -> None:
        """A version of a message is to be read in the chat, at ``ts``."""
        raise NotImplementedError

    def undelivered(self, key: str, version: int, why: str, retry_at: float | None) -> None:
        """A version could not be said. None for ``retry_at``: never, until the text changes."""
        raise NotImplementedError

    def letter(self, key: str) -> Letter | None:
        """A message by its key, sent or not."""
        raise NotImplementedError

    # ---- the audit --------------------------------------------------------------------------------------------------

    def audit(self, after: int = 0, limit: int = 1000) -> Sequence[AuditEntry]:
        """The audit's lines in order, after a number."""
        raise NotImplementedError

    def note(self, actor: str, event: str, incident: int | None, detail: dict[str, object], now: float) -> None:
        """Add a line of its own to the audit, for what changes no state (a refusal, say)."""
        raise NotImplementedError


__all__ = ["Admission", "State", "Store"]
