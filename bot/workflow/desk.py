"""Answers requests: who asks, which node is meant, and whether it is looked at already. Milliseconds, not seconds.

It must not know how a node is looked at, nor how an answer is worded in the chat.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bot.config import ServeSettings
from bot.errors import RefusedError, StoreError
from bot.model import Place, Request, State
from bot.store import Store
from bot.workflow.seams import Gate, Nodes, Voice
from diagnostics.errors import DiagnosticsError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """One desk for all its workers.

    ``order`` is held while an incident is admitted and its card is begun, and while one is claimed: else a fast look
    could be told before "waiting" is, and be overwritten by it. ``begin`` wakes a looker.
    """

    store: Store
    nodes: Nodes
    gate: Gate
    voice: Voice
    settings: ServeSettings
    order: threading.Lock
    begin: Callable[[], None]

    def answer_next(self, worker: str) -> bool:
        """Answer the oldest request. False where there is none."""
        request = self.store.next_request(worker, self.settings.lease_seconds, time.time())
        if request is None:
            return False
        self._answer(request)
        self.store.answered(request.key)
        return True

    def _answer(self, request: Request) -> None:
        try:
            self.gate.check(request)
            place = self.nodes.locate(request.named)
            self._check_room(place)
            self._admit(request, place)
        except (RefusedError, DiagnosticsError) as error:
            self._refuse(request, str(error))
        except StoreError:
            raise  # nothing can be written down now, so nothing is said; the request is taken up again
        except Exception:
            failure = uuid.uuid4().hex[:8]
            log.exception("request broke", failure=failure, request=request.key)
            self._refuse(request, broke(failure))

    def _admit(self, request: Request, place: Place) -> None:
        now = time.time()
        with self.order:
            admission = self.store.admit(request, place, now, self.settings.forget_after_seconds)
            incident = admission.incident
            if admission.joined:
                self.voice.joined(request, incident)
            elif incident.state is State.WAITING:  # else it was admitted before the program died, and went on since
                self.voice.waiting(incident, max(0, self.store.waiting() - 1))
        log.info("admitted", incident=incident.name, node=place.node, joined=admission.joined, request=request.key)
        self.begin()

    def _check_room(self, place: Place) -> None:
        """Raises RefusedError where too many wait. One more for a node that is being looked at costs nothing."""
        most = self.settings.waiting_at_most
        if self.store.waiting() < most or self._is_on_its_way(place):
            return
        raise RefusedError(
            f"{most} nodes wait to be looked at already, {self.settings.lookers} at a time, so `{place.node}` would be "
            f"number {most + 1}. Nothing was begun: ask again in a minute."
        )

    def _is_on_its_way(self, place: Place) -> bool:
        underway = self.store.incidents(self.settings.waiting_at_most + self.settings.lookers, only_open=True)
        return any(
            (one.cluster, one.node) == (place.cluster, place.node) and one.state.is_on_its_way for one in underway
        )

    def _refuse(self, request: Request, says: str) -> None:
        detail: dict[str, object] = {"named": request.named, "channel": request.channel, "why": says}
        self.store.note(request.person.id, "refused", None, detail, time.time())
        self.voice.refused(request, says)
        log.info("refused", request=request.key, named=request.named, why=says)


def broke(failure: str) -> str:
    """What a person is told about a defect of ours."""
    return (
        f"Something broke on my side (id {failure}); nothing was done. Ask again; if it breaks again, give this id to "
        "those who run me: it is in my log."
    )
