"""What the store's tests speak of: requests, looks and messages with the usual values filled in."""

from __future__ import annotations

from bot.model import Incident, Kind, Look, Message, Origin, Person, Place, Request, State
from bot.report import Picture, Report
from bot.store import Store
from diagnostics.model import Finding, Remedy, Shown, Status, VerdictKind

ALICE = Person("UALICE", "T1")
FORGET_SECONDS = 1800.0
LEASE_SECONDS = 15.0
HOSTILE = "<!channel> \x00\x1b[2J \u202e \ud800 ' \" \\ %s {} 💥"


def asks(key: str, named: str = "node-7", channel: str = "C1", thread: str = "", at: float = 0.0) -> Request:
    return Request(key, Origin.COMMAND, named, ALICE, channel, at, thread, answer_url="https://hooks.example/secret")


def admitted(store: Store, key: str = "r1", node: str = "node-7", now: float = 0.0) -> Incident:
    request = asks(key, node, at=now)
    store.receive(request)
    return store.admit(request, Place("lab", node), now, FORGET_SECONDS).incident


def claimed(store: Store, worker: str = "w1", now: float = 0.0) -> Incident:
    incident = store.claim(worker, LEASE_SECONDS, now)
    assert incident is not None
    return incident


def report(kind: VerdictKind = VerdictKind.EXHAUSTED, text: str = "said") -> Report:
    return Report(
        kind=kind,
        headline=text,
        numbers=(text,),
        who=text,
        first=text,
        first_commands=(text,),
        remedies=(Remedy("raise_limit", "now", text, (text,)),),
        steps=(Finding("usage", text, Status.BAD, text, text, text, (Shown(text, text),)),),
        lookalikes=(),
        gaps=(text,),
        looked=text,
    )


def picture(text: str = "said") -> Picture:
    return Picture(text, 1.0, 10, 20, ((text, 0.75), (text, 0.25)), (1.5, 2.0), 5.0, text)


def diagnosed(
    incident: Incident, kind: VerdictKind = VerdictKind.EXHAUSTED, at: float = 5.0, text: str = "said"
) -> Look:
    return Look(
        incident.id,
        incident.looks,
        State.DIAGNOSED,
        at - 1.0,
        at,
        report(kind, text),
        picture(text),
        document={"node": text},
        recording=b"packed",
    )


def unseen(incident: Incident, at: float = 5.0, why: str = "no answer") -> Look:
    return Look(incident.id, incident.looks, State.NOT_SEEN, at - 1.0, at, why=why)


def card(text: str = "one", key: str = "INC-1/card", channel: str = "C1", under: str = "") -> Message:
    return Message(key, channel, Kind.MESSAGE, {"text": text}, under=under)


def whisper(text: str = "psst", key: str = "whisper-1", channel: str = "C1") -> Message:
    return Message(
        key, channel, Kind.WHISPER, {"text": text}, person="UALICE", answer_url="https://hooks.example/secret"
    )


def file(content: bytes = b"raw", key: str = "INC-1/file", under: str = "") -> Message:
    return Message(key, "C1", Kind.FILE, {"filename": "evidence.txt"}, under=under, file=content)
