"""Those the workflow works with, as fakes that behave: recorded nodes, a gate with a list, a voice on paper.

The voice keeps what is to be read at each place, as the outbox does: tests ask what a person reads in the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot import wiring
from bot.config import ServeSettings, Settings
from bot.errors import RefusedError
from bot.model import Incident, Look, Origin, Person, Place, Request
from bot.store import Store
from bot.wiring import Options
from bot.workflow import Errand, Progress, Workflow
from diagnostics.diagnose import diagnose
from diagnostics.errors import TargetError
from diagnostics.model import Diagnosis
from diagnostics.transport import Tell

RECORDED = Path(__file__).parents[2] / "nodes"
EXHAUSTED, HEALTHY = "exhausted-by-short-connections", "healthy"
ALICE, DAN = Person("U1", "T1"), Person("U2", "T1")
SOON_SECONDS = 30.0  # on a machine that is busy with other tests


@dataclass
class RecordedNodes:
    """Nodes that were recorded. ``node-7`` is exhausted, ``node-8`` healthy, and any other node of ``more``.

    ``meanwhile`` is called in the middle of each look, between the first report and the end.
    """

    more: frozenset[str] = frozenset()
    meanwhile: Callable[[Errand, Tell], None] = lambda _errand, _tell: None
    looks: list[str] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def locate(self, named: str) -> Place:
        if named not in {"node-7", "node-8", *self.more}:
            raise TargetError(f"I don't know a node `{named}`. Did you mean `node-7`?", ("node-7",))
        return Place("prod", named)

    def look(self, errand: Errand, tell: Tell, first: Callable[[Diagnosis], None]) -> Diagnosis:
        with self._lock:
            self.looks.append(errand.place.node)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            recording = RECORDED / (EXHAUSTED if errand.place.node == "node-7" else HEALTHY)
            plan = wiring.plan(str(recording), Settings(), Options())
            tell("pod: created")
            diagnosis = diagnose(replace(plan, record_to=errand.record_to, first=first), tell)
            self.meanwhile(errand, tell)
            return diagnosis
        finally:
            with self._lock:
                self._now -= 1


@dataclass
class Doorkeeper:
    """Lets everybody in but these."""

    refused: frozenset[str] = frozenset()

    def check(self, request: Request) -> None:
        if request.person.id in self.refused:
            raise RefusedError("Guests may not ask. Nothing was done.")


@dataclass
class Notebook:
    """A voice whose words are written down: the newest of each card, every one of the answers to one person."""

    cards: dict[int, tuple[str, object]] = field(default_factory=dict)
    history: list[tuple[int, str]] = field(default_factory=list)
    ends: list[tuple[Incident, Look, Look | None]] = field(default_factory=list)
    joins: list[tuple[str, int]] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    progress: list[tuple[float, Progress]] = field(default_factory=list)

    def waiting(self, incident: Incident, ahead: int) -> None:
        self._say(incident, "waiting", ahead)

    def looking(self, incident: Incident, progress: Progress) -> None:
        self.progress.append((time.monotonic(), progress))
        self._say(incident, "looking", progress)

    def ended(self, incident: Incident, look: Look, earlier: Look | None) -> None:
        self.ends.append((incident, look, earlier))
        self._say(incident, "ended", look)

    def joined(self, request: Request, incident: Incident) -> None:
        self.joins.append((request.key, incident.id))

    def refused(self, request: Request, says: str) -> None:
        self.refusals.append((request.key, says))

    def _say(self, incident: Incident, what: str, words: object) -> None:
        self.cards[incident.id] = (what, words)
        self.history.append((incident.id, what))


def asks(key: str, named: str, **more: object) -> Request:
    """Somebody asks for a node."""
    usual = {"origin": Origin.COMMAND, "person": ALICE, "channel": "C1", "at": time.time()}
    return Request(key=key, named=named, **{**usual, **more})  # type: ignore[arg-type]  # fields by name


@dataclass
class Crew:
    """All of them, with the real store."""

    store: Store
    nodes: RecordedNodes = field(default_factory=RecordedNodes)
    gate: Doorkeeper = field(default_factory=Doorkeeper)
    voice: Any = field(default_factory=Notebook)
    settings: ServeSettings = field(default_factory=lambda: ServeSettings(lookers=2, lease_seconds=2.0))
    look_seconds: float = 60.0

    def workflow(self) -> Workflow:
        return Workflow(self.store, self.nodes, self.gate, self.voice, self.settings, self.look_seconds)

    @contextmanager
    def working(self) -> Iterator[Workflow]:
        """The workflow, which has to end cleanly."""
        workflow = self.workflow()
        workflow.start()
        try:
            yield workflow
        finally:
            assert workflow.stop(5.0)

    def ask(self, workflow: Workflow, *requests: Request) -> None:
        for request in requests:
            assert self.store.receive(request)
            workflow.nudge()


def soon(is_so: Callable[[], object], seconds: float = SOON_SECONDS) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.005)
