"""How the app hears of things: over its sockets, or as signed requests. Timers, redelivery, who is told of failure.

Slack waits three seconds for an acknowledgement. A command or a click that gets none fails for the person; an event is
sent again, up to three times. It must not know what commands, clicks and events mean.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from deploy.local.slack.journal import Journal
from deploy.local.slack.state import Json, Workspace

ACK_SECONDS = 3.0
LATE_ACK_SECONDS = 60.0  # arbitrary: how long a late acknowledgement is still worth writing down


class RefusedError(Exception):
    """The app answered, but with an error."""


@dataclass(frozen=True, slots=True)
class Ack:
    """What became of one delivery: ``acked``, ``operation_timeout`` or ``dispatch_failed``; and what the app said.

    ``reason`` is the word with which a redelivery says why it comes again.
    """

    outcome: str
    payload: Json = field(default_factory=dict)
    reason: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the app took it in time."""
        return self.outcome == "acked"


@dataclass(slots=True)
class Envelope:
    """One delivery on its way. ``entry`` is its line in the journal."""

    id: str
    kind: str
    payload: Json
    attempt: int
    reason: str
    entry: Json
    ack: asyncio.Future[Json]


class Line(Protocol):
    """A way to the app: its sockets, or its request URL."""

    async def send(self, envelope: Envelope) -> bool:
        """Put it on the wire; False where there is nobody at the other end."""


class Delivery:
    """Sends, waits, records; repeats events."""

    def __init__(self, workspace: Workspace, journal: Journal, events: frozenset[str]) -> None:
        self._workspace = workspace
        self._journal = journal
        self._events = events
        self._waiting: dict[str, tuple[Envelope, float]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.line: Line | None = None
        self.ack_seconds = ACK_SECONDS
        self.pauses_seconds: tuple[float, ...] = (0.2, 5.0, 15.0)  # Slack's: at once, one minute, five minutes
        self.duplicates = 0

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let something go on by itself."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End what goes on by itself."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send(self, kind: str, payload: Json, *, attempt: int = 0, reason: str = "") -> Ack:
        """One delivery, and what became of it."""
        name = str(uuid.uuid4())
        entry = self._journal.add(
            "envelope", type=kind, envelope_id=name, payload=payload, at=self._workspace.now(), attempt=attempt,
            reason=reason, socket=None, outcome="waiting", ack_seconds=None, ack=None,
        )  # fmt: skip
        envelope = Envelope(name, kind, payload, attempt, reason, entry, asyncio.get_running_loop().create_future())
        self._waiting[name] = (envelope, time.monotonic())
        asyncio.get_running_loop().call_later(LATE_ACK_SECONDS, self._waiting.pop, name, None)
        if self.line is None or not await self.line.send(envelope):
            return self._ended(envelope, Ack("dispatch_failed", reason="connection_failed"))
        try:
            said = await asyncio.wait_for(asyncio.shield(envelope.ack), self.ack_seconds)
        except TimeoutError:
            return self._ended(envelope, Ack("operation_timeout", reason="timeout"))
        except RefusedError:
            return self._ended(envelope, Ack("dispatch_failed", reason="http_error"))
        return self._ended(envelope, Ack("acked", said))

    def acked(self, name: str, said: Json) -> None:
        """The app acknowledged. A late one is written down, and changes nothing."""
        envelope, sent_at = self._waiting.pop(name, (None, 0.0))
        if envelope is None:
            return
        self._journal.changed(envelope.entry, ack_seconds=time.monotonic() - sent_at, ack=said)
        if not envelope.ack.done():
            envelope.ack.set_result(said)

    def refused(self, name: str) -> None:
        """The app answered with an error: no acknowledgement will come."""
        envelope, _ = self._waiting.get(name, (None, 0.0))
        if envelope is not None and not envelope.ack.done():
            envelope.ack.set_exception(RefusedError)

    def _ended(self, envelope: Envelope, ack: Ack) -> Ack:
        self._journal.changed(envelope.entry, outcome=ack.outcome)
        return ack

    # ---- events ------------------------------------------------------------------------------------------------------

    def event(self, subscription: str, event: Json, *, is_ext_shared: bool = False) -> None:
        """Tell the app of something, where its manifest asks for it. Nobody waits for that."""
        if subscription not in self._events:
            return
        times = 1
        if self.duplicates:
            self.duplicates, times = self.duplicates - 1, 2
        payload = self._callback(event, is_ext_shared=is_ext_shared)
        for _ in range(times):
            self.spawn(self._event(payload))

    def _callback(self, event: Json, *, is_ext_shared: bool) -> Json:
        workspace = self._workspace
        authorization = {
            "enterprise_id": None, "team_id": workspace.team, "user_id": workspace.bot_user, "is_bot": True,
            "is_enterprise_install": False,
        }  # fmt: skip
        return {
            "token": "local-verification-token", "team_id": workspace.team, "context_team_id": workspace.team,
            "context_enterprise_id": None, "api_app_id": workspace.app, "event": event, "type": "event_callback",
            "event_id": workspace.new_id("Ev"), "event_time": int(workspace.now()), "authorizations": [authorization],
            "is_ext_shared_channel": is_ext_shared, "event_context": uuid.uuid4().hex,
        }  # fmt: skip

    async def _event(self, payload: Json) -> None:
        ack = await self.send("events_api", payload)
        for attempt, pause_seconds in enumerate(self.pauses_seconds, start=1):
            if ack.is_good:
                return
            await asyncio.sleep(pause_seconds)
            ack = await self.send("events_api", payload, attempt=attempt, reason=ack.reason)
