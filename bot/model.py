"""The words of the bot: who asked, what for, what became of it, and what is to be read where. Values only.

It must not know Slack's payloads, SQL, nor how a node is looked at.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.report import Picture, Report


class Origin(enum.StrEnum):
    """How a request came."""

    COMMAND = "command"
    MENTION = "mention"
    SHORTCUT = "shortcut"


class State(enum.StrEnum):
    """Where the newest look of an incident stands. The first two are on their way, the others are ends."""

    WAITING = "waiting"
    LOOKING = "looking"
    DIAGNOSED = "diagnosed"
    NOT_SEEN = "not_seen"
    INTERRUPTED = "interrupted"

    @property
    def is_on_its_way(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self in (State.WAITING, State.LOOKING)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the chat, by ids: names can be changed by their owners. ``team`` is "" where it is not known."""

    id: str
    team: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody wants to know about a node.

    ``key`` identifies the request, so that one delivered twice is answered once. ``named`` is what they typed: a node,
    CLUSTER/NODE, or a pod. ``thread`` is the message under which the answer belongs, "" for a card of its own.
    ``answer_url`` is where an answer for their eyes only can be left, "" where there is none. ``at`` is Unix seconds.
    """

    key: str
    origin: Origin
    named: str
    person: Person
    channel: str
    at: float
    thread: str = ""
    answer_url: str = ""
    exact: bool = False
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A node that exists, as far as that could be asked. ``note`` says how a pod's name led to it, "" otherwise."""

    cluster: str
    node: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """One node in trouble, or suspected of it, with one card in one channel. Times are Unix seconds.

    ``looks`` counts the looks begun; ``verdict`` and ``headline`` are those of the last look that has ended, "" before.
    ``worst`` is the worst verdict so far. ``is_open`` until the node is found well, or the incident is forgotten.
    """

    id: int
    cluster: str
    node: str
    channel: str
    thread: str
    asked_by: Person
    asked_at: float
    opened_at: float
    state: State
    looks: int = 0
    attempts: int = 0
    exact: bool = False
    deep: bool = False
    note: str = ""
    verdict: str = ""
    headline: str = ""
    worst: str = ""
    looked_at: float | None = None
    is_open: bool = True

    @property
    def name(self) -> str:
        """As people say it: INC-12."""
        return f"INC-{self.id}"


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one look, for every surface to say it alike, now and later.

    ``report`` and ``picture`` are None where the node could not be looked at; ``why`` says then why not. ``document``
    is the JSON of the contract, ``recording`` a recording's folder as a .tar.gz, b"" where there is none.
    """

    incident: int
    number: int
    state: State
    started_at: float
    ended_at: float
    report: Report | None = None
    picture: Picture | None = None
    why: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    recording: bytes = b""


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a request: the incident it belongs to.

    ``joined`` says that a look was already under way, which answers this request too; otherwise one is begun.
    """

    incident: Incident
    joined: bool


@dataclass(frozen=True, slots=True)
class Follower:
    """Somebody who asked elsewhere for what was already being looked at, and waits for the answer there."""

    person: Person
    channel: str
    thread: str


class Kind(enum.StrEnum):
    """What sort of thing is to be read. A whisper is for one person's eyes, is said once and cannot be edited."""

    MESSAGE = "message"
    FILE = "file"
    WHISPER = "whisper"


class Lane(enum.StrEnum):
    """How the chat paces a letter: an edit has a ``ts`` already, a whisper is one by its kind, the rest are posts."""

    EDIT = "edit"
    WHISPER = "whisper"
    POST = "post"


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be read at one place: the outbox makes it so, whatever was there before.

    ``key`` names the place for ever ("INC-12/card"): saying another text under the same key edits the message.
    ``under`` is the key of the message in whose thread it belongs, or "ts:1700000000.000100" for a message of somebody
    else's, "" for the channel itself. ``body`` is what the chat understands (text, blocks, …); ``file`` the content of
    a FILE, whose name and title stand in ``body``. ``person`` and ``answer_url`` are for a WHISPER.
    """

    key: str
    channel: str
    kind: Kind
    body: Mapping[str, Any]
    incident: int | None = None
    under: str = ""
    file: bytes = b""
    person: str = ""
    answer_url: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way: ``version`` is to be read, ``ts`` is where the chat keeps it, "" before it was posted.

    ``is_doubtful``: it was being posted when the program died, so it may be there already. ``attempts`` counts the
    failures of this version.
    """

    message: Message
    version: int
    ts: str = ""
    under_ts: str = ""
    attempts: int = 0
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit. ``digest`` is over this entry and the ``digest`` of the one before: a chain of SHA-256."""

    number: int
    at: float
    actor: str
    event: str
    incident: int | None
    detail: Mapping[str, Any]
    previous: str
    digest: str
