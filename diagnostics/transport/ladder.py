"""The ladder: ways to one node, tried one after another, overlapping.

The next rung starts when the one before has been silent for a few seconds or has failed, and the first that answers
wins; the others are abandoned, and clean up after themselves. It must not know how a rung works, nor what a report
means.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from diagnostics.errors import DiagnosticsError, LookError
from diagnostics.model import Attempt, Way
from diagnostics.transport import Order, Report, Tell, Transport

OVERLAP_SECONDS = 4.0  # a debug pod answers within 1.0 to 2.3 s on a full node (measured); then the next rung starts
GIVE_UP_SECONDS = 60.0  # each rung gives up by itself before this
CLEAN_UP_SECONDS = 10.0
HEARTBEAT_SECONDS = 0.2

What = Literal["report", "tell", "end", "failed", "silence"]


class _AbandonedError(Exception):
    """Another rung has answered."""


@dataclass
class _Rung:
    """One rung while it is tried, in a thread of its own."""

    transport: Transport
    order: Order
    heard: queue.Queue[tuple[_Rung | None, What, Any]]
    began: float = field(default_factory=time.monotonic)
    abandoned: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name=f"rung-{self.transport.rung}", daemon=True)
        self.thread.start()

    def attempt(self, says: str) -> Attempt:
        return Attempt(self.transport.rung, says, round(time.monotonic() - self.began, 3))

    def _tell(self, says: str) -> None:
        if self.abandoned.is_set():
            raise _AbandonedError
        if says:
            self.heard.put((self, "tell", f"{self.transport.rung}: {says}"))

    def _run(self) -> None:
        """Whatever ends the thread is said: a thread that dies in silence would be waited for."""
        try:
            reports = self.transport.look(self.order, self._tell)
            with closing(cast("Any", reports)):
                for report in reports:
                    self.heard.put((self, "report", report))
                    if self.abandoned.is_set():
                        break
            self.heard.put((self, "end", None))
        except _AbandonedError:
            self.heard.put((self, "end", None))
        except BaseException as error:  # noqa: BLE001 (a thread's edge)
            self.heard.put((self, "failed", error))


class Ladder:
    """One climb: ``reports`` yields what the first rung that answers has to say."""

    def __init__(
        self, transports: Sequence[Transport], order: Order, tell: Tell, overlap_seconds: float = OVERLAP_SECONDS
    ) -> None:
        self._waiting = list(transports)
        self._rungs = [transport.rung for transport in transports]
        self._order, self._tell, self._overlap_seconds = order, tell, overlap_seconds
        self._running: list[_Rung] = []
        self._heard: queue.Queue[tuple[_Rung | None, What, Any]] = queue.Queue()
        self._began = time.monotonic()
        self._attempts: list[Attempt] = []
        self._broken: BaseException | None = None
        self._winner: _Rung | None = None
        self._first: Report = {}
        self._answered_after = 0.0

    def reports(self) -> Iterator[Report]:
        """The reports of the first rung that answers.

        Raises LookError where none does; its text says what each of them met.
        """
        self._start_next()
        while self._winner is None:
            self._wait_for_answer()
        yield self._first
        while True:
            rung, what, said = self._next(GIVE_UP_SECONDS)
            if rung is None:
                yield _reason(f"silent for {GIVE_UP_SECONDS:.0f} s after the first answer")
                return
            if rung is not self._winner:
                self._note_loser(rung, what, said)
            elif what == "report":
                yield said
            elif what == "failed" and not isinstance(said, LookError):
                raise said
            else:
                if what == "failed":
                    yield _reason(str(said))
                return

    def way(self) -> Way:
        """How the answer came, so far."""
        seconds = round(self._answered_after, 3)
        winner = self._winner.transport.rung if self._winner else ""
        answered = (Attempt(winner, "answered", seconds),) if winner else ()
        silent = "still silent when another way answered"
        losers = tuple(rung.attempt(silent) for rung in self._running if rung is not self._winner)
        return Way(rung=winner, tried=(*self._attempts, *losers, *answered), seconds=seconds)

    def end(self) -> None:
        """Abandon what still runs, and give it time to clean up."""
        for rung in self._running:
            rung.abandoned.set()
        end = time.monotonic() + CLEAN_UP_SECONDS
        for rung in self._running:
            if rung.thread is not None:
                rung.thread.join(max(0.0, end - time.monotonic()))

    def _start_next(self) -> None:
        rung = _Rung(self._waiting.pop(0), self._order, self._heard)
        self._running.append(rung)
        rung.start()

    def _wait_for_answer(self) -> None:
        patience = self._overlap_seconds if self._waiting else GIVE_UP_SECONDS
        rung, what, said = self._next(self._running[-1].began + patience - time.monotonic())
        if rung is None and self._waiting:
            self._start_next()
        elif rung is None:
            raise LookError(self._what_each_met("No way to the node has answered"))
        elif what == "report" and (_has_facts(said) or not self._has_others(rung)):
            self._win(rung, said)
        elif what == "report":
            self._lose(rung, LookError("; ".join(str(why) for why in said.get("unknown", {}).values())))
        else:
            self._lose(rung, said)

    def _has_others(self, rung: _Rung) -> bool:
        return bool(self._waiting) or any(other is not rung for other in self._running)

    def _win(self, rung: _Rung, report: Report) -> None:
        self._winner, self._first = rung, report
        self._answered_after = time.monotonic() - self._began
        for other in self._running:
            if other is not rung:
                other.abandoned.set()

    def _lose(self, rung: _Rung, error: BaseException | None) -> None:
        """Go on without this rung. What the person got wrong is raised at once: another way would not help."""
        if isinstance(error, DiagnosticsError) and not isinstance(error, LookError):
            raise error
        self._note_loser(rung, "failed", error)
        if self._waiting:
            self._start_next()
        elif not self._running:
            if self._broken is not None:
                raise self._broken
            raise LookError(self._what_each_met("I could not look, so I do not know"))

    def _note_loser(self, rung: _Rung, what: What, error: BaseException | None) -> None:
        if what not in ("end", "failed") or rung not in self._running:
            return
        rung.abandoned.set()
        self._running.remove(rung)
        if error is None and self._winner is not None:
            self._attempts.append(rung.attempt("still silent when another way answered"))
            return
        if error is not None and not isinstance(error, LookError):
            self._broken = self._broken or error
            error = LookError(f"broke ({type(error).__name__}: {error}), which is a defect of this program")
        self._attempts.append(rung.attempt(str(error or "ended without an answer")))

    def _what_each_met(self, headline: str) -> str:
        """In the ladder's order, whichever failed first."""
        met = [(attempt.rung, attempt.says) for attempt in self._attempts]
        now = time.monotonic()
        met += [(rung.transport.rung, f"silent for {now - rung.began:.0f} s") for rung in self._running]
        met.sort(key=lambda one: self._rungs.index(one[0]))
        return "\n".join([f"{headline}.", *(f"{rung}: {says}" for rung, says in met)])

    def _next(self, patience: float) -> tuple[_Rung | None, What, Any]:
        """What is heard next, or silence after ``patience`` seconds. Progress is told on the way."""
        end = time.monotonic() + max(0.0, patience)
        while True:
            try:
                rung, what, said = self._heard.get(timeout=max(0.01, min(HEARTBEAT_SECONDS, end - time.monotonic())))
            except queue.Empty:
                rung, what, said = None, "tell", ""
            if what != "tell":
                return rung, what, said
            self._tell(said)
            if time.monotonic() >= end:
                return None, "silence", None


def _has_facts(report: Report) -> bool:
    """Whether a report tells anything but why it tells nothing."""
    return bool(set(report) - {"format", "stage", "unknown", "left_out", "partial", "seconds"})


def _reason(why: str) -> Report:
    return {"stage": "", "unknown": {"stage": why}}
