"""A program that works on a database until it is killed, at a step that it is told: ``-m tests.bot.workflow.dying``.

Each line on standard input is such a life, in a process of its own, forked from this one, where all is imported
already; how it ended is written to standard output.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from bot.config import ServeSettings
from bot.model import Incident, Kind, Look, Message, Request
from bot.store import Store
from bot.workflow import Progress, Workflow
from tests.bot.workflow.crew import Doorkeeper, RecordedNodes

LEASE_SECONDS = 0.5
LIFE_SECONDS = 20.0


def settings() -> ServeSettings:
    """A lease that is shorter than any that may be configured, so that a test need not wait."""
    return ServeSettings.model_construct(lookers=1, lease_seconds=LEASE_SECONDS)


class WrittenVoice:
    """A voice that speaks into the outbox, as Slack's does: a card that is edited."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def waiting(self, incident: Incident, ahead: int) -> None:
        self._say(incident, "waiting")

    def looking(self, incident: Incident, progress: Progress) -> None:
        self._say(incident, "looking")

    def ended(self, incident: Incident, look: Look, earlier: Look | None) -> None:
        self._say(incident, look.state.value)

    def joined(self, request: Request, incident: Incident) -> None:
        """Nobody joins here."""

    def refused(self, request: Request, says: str) -> None:
        """Nobody is refused here."""

    def _say(self, incident: Incident, text: str) -> None:
        self._store.say(Message(f"{incident.name}/card", incident.channel, Kind.MESSAGE, {"text": text}))


class Mortal:
    """A part of which one method is the last thing that happens."""

    def __init__(self, part: object, method: str, when: str) -> None:
        self._part, self._method, self._when = part, method, when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        return self._deadly(found) if name == self._method else found

    def _deadly(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            if self._when == "before":
                die()
            result = call(*args, **kwargs)
            if result is not None or self._method not in {"next_request", "claim"}:  # nothing was claimed yet
                die()
            return result

        return called


def die() -> None:
    """As by the kernel's out-of-memory killer."""
    os.kill(os.getpid(), signal.SIGKILL)


def live(address: str, part: str, method: str, when: str) -> None:
    """Work until the step is reached."""
    store = Store.open(address)
    parts: dict[str, Any] = {
        "nodes": RecordedNodes(),
        "gate": Doorkeeper(),
        "voice": WrittenVoice(store),
        "store": store,
    }
    if method == "look" and when == "in the middle":
        parts["nodes"].meanwhile = lambda _errand, _tell: die()
    elif method == "renew":
        parts["nodes"].meanwhile = lambda _errand, _tell: time.sleep(LIFE_SECONDS)
    parts[part] = Mortal(parts[part], method, when)
    Workflow(parts["store"], parts["nodes"], parts["gate"], parts["voice"], settings()).start()
    time.sleep(LIFE_SECONDS)


def main() -> None:
    """One life for each line."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            live(**json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
