"""Runs the workers: some at the desk, some at the nodes; starts them, wakes them, and stops them cleanly.

It must not know what either of them does with a request or an incident.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable

import structlog

from bot.config import ServeSettings
from bot.store import Store
from bot.workflow.bell import Bell
from bot.workflow.desk import Desk
from bot.workflow.looker import Looker
from bot.workflow.seams import Gate, Nodes, Voice

DESK_WORKERS = 4  # a question to the chat or to a cluster takes a while, and the others go on
POLL_SECONDS = 2.0  # finds what died with another program, for which nobody rings
BREATHE_SECONDS = 1.0  # after a failure: the store may be back by then
CLEAN_UP_SECONDS = 15.0  # debug pods are deleted, and the cards say that the look was interrupted

log = structlog.get_logger()


class Workflow:
    """The desk and the lookers. ``look_seconds`` is after how long any look is given up.

    ``give_way`` waits while somebody waits for the chat's acknowledgement: all of it shares one interpreter.
    """

    def __init__(
        self,
        store: Store,
        nodes: Nodes,
        gate: Gate,
        voice: Voice,
        settings: ServeSettings,
        look_seconds: float = 120.0,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        self._give_way = give_way
        self._lookers = settings.lookers
        self._requests, self._incidents, self._untold = Bell(DESK_WORKERS), Bell(self._lookers), Bell(1)
        self._is_stopping, self._is_over = threading.Event(), threading.Event()
        order = threading.Lock()
        self._desk = Desk(store, nodes, gate, voice, settings, order, self._incidents.ring)
        self._looker = Looker(store, nodes, voice, settings, look_seconds, order, self._is_over, give_way)
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start to work, also on what a death has left."""
        self._work("desk", DESK_WORKERS, self._desk.answer_next, self._requests)
        self._work("looker", self._lookers, self._looker.look_next, self._incidents)
        self._work("teller", 1, self._looker.tell_untold, self._untold)

    def nudge(self) -> None:
        """There is a new request: look now."""
        self._requests.ring()

    def stop(self, seconds: float) -> bool:
        """Take up nothing more, and give the looks that go on so long to end. False where something still runs.

        A look that does not end by then is interrupted, and its card says so. What waits stays written down.
        """
        self._is_stopping.set()
        for bell in (self._requests, self._incidents, self._untold):
            bell.ring_all()
        self._join(seconds)
        self._is_over.set()
        self._join(CLEAN_UP_SECONDS)
        return not any(thread.is_alive() for thread in self._threads)

    def _join(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self, name: str, workers: int, work: Callable[[str], bool], bell: Bell) -> None:
        program = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        for number in range(workers):
            # Each worker has a name for its claims: one that lost its claim must not take another's for its own.
            args = (f"{program}/{name}-{number}", work, bell)
            thread = threading.Thread(target=self._run, name=f"{name}-{number}", args=args, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, worker: str, work: Callable[[str], bool], bell: Bell) -> None:
        while not self._is_stopping.is_set():
            self._give_way()
            try:
                if not work(worker):
                    bell.rest(POLL_SECONDS)
            except Exception:
                log.exception("worker broke", worker=worker)  # its claim ends by itself, and is taken up again
                self._is_stopping.wait(BREATHE_SECONDS)
