"""The connections over which Slack delivers, and a watch that notices when one only looks alive.

The SDK takes a half-open connection for a living one for as long as a minute, so neither its word nor its log is
trusted: what counts is when something was last heard. It must not know what is delivered.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from slack_bolt import App
from slack_bolt.adapter.socket_mode.builtin import SocketModeHandler
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from bot.errors import ChatError

log = logging.getLogger(__name__)

PING_SECONDS = 2.0
SILENT_SECONDS = 8.0  # four pongs in a row did not come
WATCH_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 60.0  # events were seen to stop until any Web API call: slackapi/bolt-python#1529
SLOW_SECONDS = 1.0  # Slack gives three
AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0)  # between attempts: apps.connections.open allows few a minute
CLOSE_SECONDS = 2.0  # for an attempt to connect that is under way
DELIVERIES_AT_ONCE = 2  # a listener of ours takes a millisecond, and more threads only fight over it


class Sockets:
    """Several connections of one app; Slack picks any of them for each delivery."""

    def __init__(
        self,
        app: App,
        app_token: str,
        count: int,
        keep_alive: Callable[[], object],
        stir: Callable[[], None] = lambda: None,
    ) -> None:
        """``stir`` hears of each delivery, when it comes and when it is acknowledged."""
        self._lines = tuple(_Line(app, app_token, number, count, stir) for number in range(1, count + 1))
        self._keep_alive = keep_alive
        self._is_closed = threading.Event()
        self._keeper = threading.Thread(target=self._keeping, name="slack keep-alive", daemon=True)

    def connect(self) -> None:
        """Open all. Raises ChatError where the first one cannot be opened; the watch sees to the others."""
        first, *others = self._lines
        first.connect()
        for line in others:
            with contextlib.suppress(ChatError):
                line.connect()
        for line in self._lines:
            line.watch()
        self._keeper.start()

    def close(self) -> None:
        """Nothing is delivered any more. What is being delivered is answered first."""
        if self._is_closed.is_set():
            return
        self._is_closed.set()
        # The SDK takes a second and a half to end the threads of each.
        closing = [threading.Thread(target=line.close, name="slack closing") for line in self._lines]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()

    @property
    def alive(self) -> int:
        """How many connections were heard lately."""
        return sum(line.is_alive for line in self._lines)

    @property
    def wanted(self) -> int:
        """How many there should be."""
        return len(self._lines)

    def _keeping(self) -> None:
        while not self._is_closed.wait(KEEP_ALIVE_SECONDS):
            try:
                self._keep_alive()
            except ChatError as error:
                log.warning("Slack does not answer auth.test: %s", error)
            except Exception:
                log.exception("Slack's answer to auth.test was not understood.")


class _Line(SocketModeHandler):
    """One connection: Bolt's handler, which listens to its own heart."""

    def __init__(self, app: App, app_token: str, number: int, count: int, stir: Callable[[], None]) -> None:
        super().__init__(app, app_token, ping_interval=PING_SECONDS, concurrency=DELIVERIES_AT_ONCE)
        self._number = number
        self._count = count
        self._stir = stir
        self._heard_at = float("-inf")
        self._pong: float | None = None
        self._is_broken = False
        self._is_closed = threading.Event()
        self._watcher = threading.Thread(target=self._watching, name=f"slack watch {number}", daemon=True)
        self.client.on_message_listeners.append(self._hear)
        self.client.on_error_listeners.append(self._break)
        self.client.message_listeners.append(self._greet)

    # ---- what Bolt calls --------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Open it. Raises ChatError with what Slack said."""
        try:
            super().connect()  # type: ignore[no-untyped-call] # Bolt does not say
        except SlackApiError as error:
            code = str(error.response.get("error", "no_answer"))
            raise ChatError(f"Slack does not open a socket: {code}.", code) from error
        except (SlackClientError, OSError) as error:
            raise ChatError(f"Slack does not open a socket: {error}.", "no_answer", 1.0) from error
        self._hear("")

    def handle(self, client: BaseSocketModeClient, req: SocketModeRequest) -> None:
        """Deliver one, and say when that took long."""
        began = time.monotonic()
        super().handle(client, req)  # type: ignore[arg-type] # the handler narrows what its own base declares
        self._stir()
        seconds = time.monotonic() - began
        if seconds > SLOW_SECONDS:
            log.warning("Slack waited %.1f s for the acknowledgement of %s.", seconds, req.type)

    def close(self) -> None:
        """For good. The watch first: what it opens in the meantime would stay open."""
        self._is_closed.set()
        if self._watcher.is_alive():
            self._watcher.join(CLOSE_SECONDS)
        # The SDK's reader would wait a second for the next message before it saw that it is to end.
        self.client.closed = True
        self.client.message_queue.put(None)
        with contextlib.suppress(AttributeError):
            # The SDK's threads may both close a socket, and the second finds none: then the rest is still to be closed.
            super().close()  # type: ignore[no-untyped-call] # Bolt does not say
            return
        super().close()  # type: ignore[no-untyped-call] # Bolt does not say

    # ---- what is heard ----------------------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        return self.client.is_connected() and time.monotonic() - self._heard_at < SILENT_SECONDS

    def _hear(self, frame: str) -> None:
        self._heard_at = time.monotonic()
        if "envelope_id" in frame:
            self._stir()

    def _break(self, error: Exception) -> None:
        log.info("Connection %d to Slack broke: %s", self._number, error)
        self._is_broken = True

    def _greet(self, _client: object, message: dict[str, object], _raw: str | None = None) -> None:
        """Slack says how many connections this app has. More than we opened are somebody's who takes deliveries."""
        there = message.get("num_connections") if message.get("type") == "hello" else None
        if isinstance(there, int) and there > self._count:
            log.warning(
                "Slack counts %d connections of this app, and this program opens %d: unless there are other replicas, "
                "an old process takes a share of the commands.",
                there,
                self._count,
            )

    # ---- the watch --------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Open the connection again whenever it is silent."""
        self._watcher.start()

    def _watching(self) -> None:
        failures = 0
        while not self._is_closed.wait(WATCH_SECONDS):
            self._hear_pong()
            if self.is_alive and not self._is_broken:
                failures = 0
                continue
            try:
                self._open_again()
            except Exception:
                # Without this thread the connection would stay silent for ever, and nothing would show it.
                log.exception("Connection %d to Slack could not be opened.", self._number)
            if not self.is_alive:
                self._is_closed.wait(AGAIN_SECONDS[min(failures, len(AGAIN_SECONDS) - 1)])
                failures += 1

    def _hear_pong(self) -> None:
        """The SDK keeps the wall-clock time of the ping that was answered: what counts here is that it changes."""
        session = self.client.current_session
        pong = session.last_ping_pong_time if session else None
        if pong is not None and pong != self._pong:
            self._pong = pong
            self._hear("")

    def _open_again(self) -> None:
        silent = time.monotonic() - self._heard_at
        log.warning("Connection %d to Slack is opened again; it was silent for %.1f s.", self._number, silent)
        self._is_broken = False
        try:
            self.client.connect_to_new_endpoint(force=True)
        except (SlackApiError, SlackClientError, OSError, AttributeError) as error:  # the last one as in close
            log.warning("Connection %d to Slack could not be opened: %s", self._number, error)
            return
        if self._is_closed.is_set():
            self.client.disconnect()
        elif self.client.is_connected():
            self._hear("")
