"""The conductor: open a way to the node, take a snapshot, attribute, judge in order.

Rungs of the ladder overlap: the next one starts when the one before has been silent for a few seconds or has failed,
and the first that answers wins; the others are abandoned and clean up after themselves. It must not know how a rung
works, nor what a finding means.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diagnostics import recording
from diagnostics.attribution import addresses, attribute
from diagnostics.errors import LookError
from diagnostics.model import Attempt, Attribution, ClusterView, Diagnosis, Evidence, Known, Snapshot, Unknown, Way
from diagnostics.runbook import judge
from diagnostics.snapshot import rates, snapshot
from diagnostics.transport import Order, Report, Tell, Transport

OVERLAP_SECONDS = 4.0  # a debug pod answers within 1.0 to 2.3 s on a full node (measured); then the next rung starts
GIVE_UP_SECONDS = 90.0
CLEAN_UP_SECONDS = 10.0
HEARTBEAT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What to look at, and by which ways.

    ``transports`` are the rungs in their order; ``view`` asks the cluster about the node and about the addresses that
    the table names, and is None, or says None, where there is no cluster; ``first`` hears the diagnosis that follows
    from the first report alone, while the rest is awaited.
    """

    target: str
    node: str
    cluster: str
    transports: tuple[Transport, ...]
    order: Order
    view: Callable[[tuple[str, ...]], ClusterView | None] | None = None
    record_to: Path | None = None
    overlap_seconds: float = OVERLAP_SECONDS
    first: Callable[[Diagnosis], None] | None = None


def diagnose(plan: Plan, tell: Tell) -> Diagnosis:
    """Look at the node, and say what was found.

    Raises LookError where no rung answered; its text says what each of them met.
    """
    climb = _Climb(plan, tell)
    reports: list[Report] = []
    view: ClusterView | None = None
    try:
        for report in climb.reports():
            reports.append(report)
            if len(reports) == 1:
                seen = snapshot(reports)
                view = _view(plan, seen)
                if plan.first is not None:
                    plan.first(_judged(plan, seen, view, climb.way()))
    finally:
        climb.end()
    seen, way = snapshot(reports), climb.way()
    if plan.record_to is not None:
        where, order = plan.record_to, plan.order
        recording.write(where, node=plan.node, cluster=plan.cluster, way=way, reports=reports, view=view, order=order)
    return _judged(plan, seen, view, way)


def _judged(plan: Plan, seen: Snapshot, view: ClusterView | None, way: Way) -> Diagnosis:
    evidence = Evidence(
        target=plan.node,
        snapshot=seen,
        cluster=view,
        attribution=_attribution(plan, seen, view),
        rates=rates(seen),
    )
    return judge(evidence, way)


def _view(plan: Plan, seen: Snapshot) -> ClusterView | None:
    if plan.view is None:
        return None
    return plan.view(addresses(seen.table.value) if isinstance(seen.table, Known) else ())


def _attribution(plan: Plan, seen: Snapshot, view: ClusterView | None) -> Attribution | None:
    if isinstance(seen.table, Unknown):
        return None
    usage = seen.usage.value if isinstance(seen.usage, Known) else None
    entries = usage.entries if usage else seen.table.value.read
    owners = seen.owners.value if isinstance(seen.owners, Known) else None
    kube_node = view.node.value if view is not None and isinstance(view.node, Known) else None
    node, now = kube_node.name if kube_node is not None else plan.node, seen.node.time
    return attribute(seen.table.value, entries, view, seen.node.addresses, node=node, now=now, owners=owners)


# ---- the ladder -----------------------------------------------------------------------------------------------------


class _AbandonedError(Exception):
    """Another rung has answered."""


@dataclass
class _Rung:
    """One rung while it is tried, in a thread of its own."""

    transport: Transport
    order: Order
    heard: queue.Queue[tuple[_Rung, str, Any]]
    began: float = field(default_factory=time.monotonic)
    abandoned: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name=f"rung-{self.transport.rung}", daemon=True)
        self.thread.start()

    def _tell(self, says: str) -> None:
        if self.abandoned.is_set():
            raise _AbandonedError
        if says:
            self.heard.put((self, "tell", f"{self.transport.rung}: {says}"))

    def _run(self) -> None:
        try:
            for report in self.transport.look(self.order, self._tell):
                self.heard.put((self, "report", report))
                if self.abandoned.is_set():
                    break
            self.heard.put((self, "end", None))
        except _AbandonedError:
            self.heard.put((self, "end", None))
        except Exception as error:  # noqa: BLE001 (a thread's edge: the conductor raises it again)
            self.heard.put((self, "failed", error))


class _Climb:
    """The ladder's rungs, tried one after another, overlapping."""

    def __init__(self, plan: Plan, tell: Tell) -> None:
        self._plan, self._tell = plan, tell
        self._waiting = list(plan.transports)
        self._running: list[_Rung] = []
        self._heard: queue.Queue[tuple[_Rung, str, Any]] = queue.Queue()
        self._began = time.monotonic()
        self._attempts: list[Attempt] = []
        self._winner: _Rung | None = None
        self._first: Report = {}
        self._answered_after = 0.0

    def reports(self) -> Iterator[Report]:
        """The reports of the first rung that answers."""
        self._start_next()
        while self._winner is None:
            self._wait_for_answer()
        yield self._first
        while True:
            rung, what, said = self._next(GIVE_UP_SECONDS)
            if rung is None:
                yield {"stage": "", "unknown": {"stage": f"silent for {GIVE_UP_SECONDS:.0f} s after the first answer"}}
                return
            if rung is not self._winner:
                continue
            if what == "report":
                yield said
                continue
            if what == "failed" and not isinstance(said, LookError):
                raise said
            if what == "failed":
                yield {"stage": "", "unknown": {"stage": str(said)}}
            return

    def way(self) -> Way:
        """How the answer came so far."""
        winner = self._winner.transport.rung if self._winner else ""
        answered = (Attempt(winner, "answered", round(self._answered_after, 3)),) if winner else ()
        silent = tuple(
            Attempt(
                rung.transport.rung, "still silent when another way answered", round(time.monotonic() - rung.began, 3)
            )
            for rung in self._running
            if rung is not self._winner
        )
        return Way(rung=winner, tried=(*self._attempts, *silent, *answered), seconds=round(self._answered_after, 3))

    def end(self) -> None:
        """Abandon what still runs, and give it time to clean up."""
        for rung in self._running:
            rung.abandoned.set()
        end = time.monotonic() + CLEAN_UP_SECONDS
        for rung in self._running:
            if rung.thread is not None:
                rung.thread.join(max(0.0, end - time.monotonic()))

    def _start_next(self) -> None:
        rung = _Rung(self._waiting.pop(0), self._plan.order, self._heard)
        self._running.append(rung)
        rung.start()

    def _wait_for_answer(self) -> None:
        patience = self._plan.overlap_seconds if self._waiting else GIVE_UP_SECONDS
        rung, what, said = self._next(max(0.0, self._running[-1].began + patience - time.monotonic()))
        if rung is None:
            if not self._waiting:
                raise LookError(self._what_each_met("No way to the node has answered"))
            self._start_next()
        elif what == "report":
            self._winner, self._answered_after = rung, time.monotonic() - self._began
            self._first = said
            for other in self._running:
                if other is not rung:
                    other.abandoned.set()
        else:
            self._lost(rung, said)

    def _lost(self, rung: _Rung, error: Exception | None) -> None:
        if error is not None and not isinstance(error, LookError):
            raise error
        says = str(error) if error is not None else "ended without an answer"
        self._attempts.append(Attempt(rung.transport.rung, says, round(time.monotonic() - rung.began, 3)))
        self._running.remove(rung)
        if self._waiting:
            self._start_next()
        elif not self._running:
            raise LookError(self._what_each_met("I could not look, so I do not know"))

    def _what_each_met(self, headline: str) -> str:
        met = [f"{attempt.rung}: {attempt.says}" for attempt in self._attempts]
        met += [f"{rung.transport.rung}: silent for {time.monotonic() - rung.began:.0f} s" for rung in self._running]
        return f"{self._plan.node}: {headline}.\n" + "\n".join(met)

    def _next(self, patience: float) -> tuple[Any, str, Any]:
        """What is heard next, or (None, "silence", None) after ``patience`` seconds."""
        end = time.monotonic() + patience
        while True:
            try:
                rung, what, said = self._heard.get(timeout=max(0.01, min(HEARTBEAT_SECONDS, end - time.monotonic())))
            except queue.Empty:
                self._tell("")
                if time.monotonic() >= end:
                    return None, "silence", None
                continue
            if what != "tell":
                return rung, what, said
            self._tell(said)
