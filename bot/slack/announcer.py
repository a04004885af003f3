"""Makes Slack agree with the outbox: what has no ``ts`` is posted, what has one is edited, the newest text only.

One writer for each channel, in all programs, so that nothing overtakes, at the pace that Slack allows. It must not
know what a message means, nor decide what is said; the store must not know Slack's errors, which are judged here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from bot.errors import ChatError, StoreError
from bot.model import Kind, Lane, Letter
from bot.slack.chat import Chat
from bot.slack.courier import Courier
from bot.slack.pace import Pace
from bot.store import Store

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # how late a retry may be; what is new is nudged
IDLE_SECONDS = 30.0  # a writer without letters ends: a thread costs less than waiting for one to start
BACKOFF_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
TRIES_DESPITE_A_DEFECT = 5  # a defect of ours that met this message so often will meet it for ever


class Announcer:
    """The outbox's way to Slack. ``given_up`` is told of what nobody will read, so that somebody is told."""

    def __init__(
        self,
        store: Store,
        chat: Chat,
        given_up: Callable[[Letter, ChatError], None] = lambda _letter, _error: None,
        now: Callable[[], float] = time.time,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._given_up = given_up
        self._now = now
        self._give_way = give_way
        self._courier = Courier(chat)
        self._edits = Pace(per_second=1.0, burst=3)  # by message
        self._posts = Pace(per_second=1.0, burst=3)  # by channel: Slack's "one a second, short bursts"
        self._writers: dict[str, _Writer] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._watching, name="announcer", daemon=True)
        self._ends_at = float("inf")

    def start(self) -> None:
        """Begin with what an earlier process has left."""
        self._watch.start()

    def stop(self, seconds: float) -> None:
        """Say what is due, for at most so many seconds, then end."""
        self._ends_at = time.monotonic() + seconds
        self._stopping.set()
        if self._watch.is_alive():
            self._watch.join(seconds)
        with self._lock:
            writers = list(self._writers.values())
        for writer in writers:
            writer.nudge()
        for writer in writers:
            writer.thread.join(max(0.0, self._ends_at - time.monotonic()))

    def nudge(self, channel: str) -> None:
        """Something is new in a channel."""
        with self._lock:
            writer = self._writers.get(channel)
            if writer is None or writer.has_ended:
                writer = _Writer(channel, self._write)
                writer.thread.start()  # first: a writer that could not start must not be taken for one that writes
                self._writers[channel] = writer
            writer.nudge()

    # ---- threads ----------------------------------------------------------------------------------------------------

    def _watching(self) -> None:
        """What is due without a nudge: retries, and what an earlier process has left."""
        while True:
            try:
                for channel in self._store.channels(self._now()):
                    self.nudge(channel)
            except Exception:
                # Without this thread no retry would ever be made, and nothing would show it.
                log.exception("The outbox could not be read; trying again.")
            if self._stopping.wait(POLL_SECONDS):
                return

    def _write(self, writer: _Writer) -> None:
        """A writer's life: letters until none is due, then wait for a nudge."""
        while time.monotonic() < self._ends_at:
            pause = self._written(writer.channel)
            if pause is not None and self._stopping.is_set() and pause > 1.0:
                break
            if pause is not None and not writer.waited(pause) and pause >= IDLE_SECONDS:
                with self._lock:
                    if writer.may_end():
                        self._hush(writer.channel)
                        break

    def _written(self, channel: str) -> float | None:
        """Deliver one letter; None where there may be more, otherwise how long nothing is due at the most."""
        self._give_way()
        try:
            if not self._store.may_speak(channel):
                return IDLE_SECONDS  # another program does, and hears of what is due by itself
            letter, pause = self._next(channel)
            if letter is None:
                return pause
            return self._deliver(letter)
        except StoreError:
            log.exception("The outbox could not be read or written; trying again.")
            return POLL_SECONDS
        except Exception:
            log.exception("Something broke in the writer of %s; going on.", channel)
            return POLL_SECONDS

    def _hush(self, channel: str) -> None:
        """Before another writer of this channel can begin, so under the lock."""
        try:
            self._store.hush(channel)
        except StoreError:
            log.exception("The floor of %s could not be given back.", channel)

    def _next(self, channel: str) -> tuple[Letter | None, float]:
        """Edits first: what is wrong on the screen is worse than what is not there yet. Then whispers, then posts."""
        now = self._now()
        held = self._edits.waiting()
        letter = self._store.next_letter(channel, now, lane=Lane.EDIT, held=held)
        letter = letter or self._store.next_letter(channel, now, lane=Lane.WHISPER)
        wait = self._posts.wait_seconds(channel)
        if letter is None and wait <= 0:
            letter = self._store.next_letter(channel, now, lane=Lane.POST)
            wait = IDLE_SECONDS
        return letter, min(wait, *(self._edits.wait_seconds(key) for key in held), IDLE_SECONDS)

    # ---- one letter -------------------------------------------------------------------------------------------------

    def _deliver(self, letter: Letter) -> float | None:
        message = letter.message
        if letter.ts:
            self._edits.take(message.key)
        elif message.kind is not Kind.WHISPER:
            self._posts.take(message.channel)
        try:
            ts = self._courier.deliver(letter)
        except ChatError as error:
            return self._failed(letter, error)
        except Exception as error:
            # A defect here must cost this letter, not the channel's voice: the others go on meanwhile.
            log.exception("%s could not be delivered.", message.key)
            again = BACKOFF_SECONDS[0] if letter.attempts + 1 < TRIES_DESPITE_A_DEFECT else None
            return self._failed(letter, ChatError(f"Something broke on my side: {type(error).__name__}.", "", again))
        self._store.delivered(message.key, letter.version, ts)
        return None

    def _failed(self, letter: Letter, error: ChatError) -> float | None:
        message = letter.message
        if error.retry_after_seconds is None:
            log.error("%s in %s was given up: %s", message.key, message.channel, error)
            self._store.undelivered(message.key, letter.version, str(error), None)
            self._given_up(letter, error)
            return None
        backoff = BACKOFF_SECONDS[min(letter.attempts, len(BACKOFF_SECONDS) - 1)]
        wait = max(error.retry_after_seconds, backoff)
        log.warning("%s in %s waits %.0f s: %s", message.key, message.channel, wait, error)
        # Without an answer it may be there already, and is looked for. A whisper cannot be: better twice than never.
        is_doubtful = error.code != "ratelimited" and message.kind is not Kind.WHISPER
        retry_at = self._now() + wait
        self._store.undelivered(message.key, letter.version, str(error), retry_at, is_doubtful=is_doubtful)
        if error.code == "ratelimited":
            self._posts.hold(message.channel, error.retry_after_seconds)
            return error.retry_after_seconds
        return None


class _Writer:
    """The thread of a channel, and what wakes it."""

    def __init__(self, channel: str, write: Callable[[_Writer], None]) -> None:
        self.channel = channel
        self.has_ended = False
        self.thread = threading.Thread(target=write, args=(self,), name=f"writer {channel}", daemon=True)
        self._is_due = threading.Event()

    def nudge(self) -> None:
        self._is_due.set()

    def waited(self, seconds: float) -> bool:
        """Wait for a nudge; whether there was one."""
        was_nudged = self._is_due.wait(seconds)
        self._is_due.clear()
        return was_nudged

    def may_end(self) -> bool:
        """Under the announcer's lock, so that no nudge is lost."""
        self.has_ended = not self._is_due.is_set()
        return self.has_ended
