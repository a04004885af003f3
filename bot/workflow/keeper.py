"""Lets go of what is old, once an hour. It must not know what that is: the store does."""

from __future__ import annotations

import threading
import time

import structlog

from bot.errors import StoreError
from bot.store import Store

EVERY_SECONDS = 3600.0
BREATHE_SECONDS = 0.1  # between two steps: whoever has something to write goes first

log = structlog.get_logger()


class Keeper:
    """What is older than ``keep_seconds`` is let go, from a thread of its own."""

    def __init__(self, store: Store, keep_seconds: float) -> None:
        self._store = store
        self._keep_seconds = keep_seconds
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._keeping, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the step that is being taken."""
        self._is_stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _keeping(self) -> None:
        while True:
            try:
                rest_seconds = BREATHE_SECONDS if self._step() else EVERY_SECONDS
            except StoreError as error:  # nothing is lost: it is only kept for longer
                log.warning("old things not let go", why=str(error))
                rest_seconds = EVERY_SECONDS
            except Exception:
                log.exception("old things not let go")
                rest_seconds = EVERY_SECONDS
            if self._is_stopping.wait(rest_seconds):
                return

    def _step(self) -> int:
        now = time.time()
        return self._store.forget(now - self._keep_seconds, now)
