"""The running bot: joins the store, Slack, the nodes and the workflow, and runs them until it is told to stop.

It must not know what any of them does; the order in which they begin and end is what it knows.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import stamina
import structlog

from bot.charts.apart import Easel
from bot.config import Settings
from bot.errors import ChatError
from bot.slack.app import Slack
from bot.slack.tokens import tokens
from bot.store import Store, usual_address
from bot.web import Web, application
from bot.wiring import logs
from bot.wiring.nodes import Clusters
from bot.workflow import Workflow
from bot.workflow.keeper import Keeper
from diagnostics.errors import ConfigurationError

OK, UNREACHABLE = 0, 1
DAY_SECONDS = 86_400.0
CONNECT_SECONDS = 60.0  # Slack stumbles for seconds; after a minute whoever supervises the bot should hear of it
DEAF_SECONDS = 300.0  # the sockets renew themselves; if they did not for so long, only a new process will
LAST_WORDS_SECONDS = 10.0  # for the cards of the looks that the stop has interrupted
# Who waits for Slack's next byte or for the database gets the interpreter back within this time for each thread that
# computes meanwhile. Python's own five milliseconds made acknowledgements three times as slow with every looker busy.
SWITCH_SECONDS = 0.000_5
LOOKS_DEADLINES = 4.0  # a look has three stages, and time to begin and to clean up

log = structlog.get_logger()


def serve(settings: Settings, version: str = "") -> int:
    """Run the bot until SIGTERM or Ctrl-C; the exit status. ``version`` is what it says of itself.

    Raises ConfigurationError, StoreError, and ChatError where Slack refuses the bot or does not answer for a minute.
    """
    logs.set_up()
    secrets = tokens(settings.slack)
    stop, easel = _Stop(), Easel()
    sys.setswitchinterval(SWITCH_SECONDS)
    store = Store.open(settings.store.url or usual_address())
    try:
        with stop.heard():
            slack = Slack(settings.slack, secrets, store, version, draw=easel.draw)
            web = Web(settings.serve.bind, application(slack, store, secrets.signing_secret))
            threading.Thread(target=easel.ready, name="easel", daemon=True).start()
            return _served(settings, store, slack, web, stop)
    except _StoppedError:  # before there was anything to end
        return OK
    finally:
        easel.close()
        store.close()


def _served(settings: Settings, store: Store, slack: Slack, web: Web, stop: _Stop) -> int:
    nodes = Clusters(settings)
    look_seconds = LOOKS_DEADLINES * settings.look.deadline_seconds
    workflow = Workflow(store, nodes, slack.gate, slack.voice, settings.serve, look_seconds, slack.give_way)
    keeper = Keeper(store, settings.store.keep_days * DAY_SECONDS)
    threading.Thread(target=_warm_up, args=(nodes,), name="warm-up", daemon=True).start()
    web.start()
    try:
        with stop.at_once():
            _connect(lambda: slack.connect(workflow.nudge))
        workflow.start()
        keeper.start()
        gc.collect()
        gc.freeze()  # modules live as long as the bot: to look for garbage among them stops every thread for 80 ms
        log.info("ready", lookers=settings.serve.lookers, web=web.url)
        return _watched(slack, stop)
    finally:
        log.info("stopping")
        web.stop()
        slack.deafen()
        keeper.stop()
        if not workflow.stop(settings.serve.stop_seconds):
            log.warning("some looks did not end; they are told as interrupted after the next start")
        slack.close(LAST_WORDS_SECONDS)
        log.info("stopped")


def _watched(slack: Slack, stop: _Stop) -> int:
    """Until the stop, or until Slack was out of reach for too long."""
    heard_at = time.monotonic()
    while not stop.wait(1.0):
        if slack.is_healthy:
            heard_at = time.monotonic()
        elif time.monotonic() - heard_at > DEAF_SECONDS:
            log.error("deaf", seconds=DEAF_SECONDS, so="Slack was not heard for so long: a new process may be luckier.")
            return UNREACHABLE
    return OK


def _connect(connect: Callable[[], None]) -> None:
    """Connect, and try again while Slack only stumbles. Raises ChatError."""
    attempts = stamina.retry_context(
        on=_may_pass, attempts=None, timeout=CONNECT_SECONDS, wait_initial=0.5, wait_max=10.0
    )
    for attempt in attempts:
        with attempt:
            connect()


def _may_pass(error: Exception) -> bool:
    return isinstance(error, ChatError) and error.retry_after_seconds is not None


def _warm_up(nodes: Clusters) -> None:
    """What takes a second when it is first used, before the first person waits for it."""
    try:
        nodes.open_default()
    except ConfigurationError as error:
        log.warning("no cluster yet", why=str(error))


class _StoppedError(BaseException):
    """Asked to stop while nothing was begun. No ``except Exception`` on the way may take it for a failure."""


class _Stop:
    """The wish to stop: the first signal ends cleanly, a second one at once."""

    def __init__(self) -> None:
        self._wished = threading.Event()
        self._is_at_once = False

    def wait(self, seconds: float) -> bool:
        """Whether it was wished, after so long at the most."""
        return self._wished.wait(seconds)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear SIGTERM and Ctrl-C, in the main thread."""
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, usual in before.items():
                signal.signal(number, usual)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Meanwhile a wish is an error: the main thread may be asleep between two attempts."""
        if self._wished.is_set():
            raise _StoppedError
        self._is_at_once = True
        try:
            yield
        finally:
            self._is_at_once = False

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self._wished.is_set():
            os._exit(128 + number)  # what is written down is all there is to save
        self._wished.set()
        if self._is_at_once:
            raise _StoppedError
