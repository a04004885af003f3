"""Holds a claim while a node is looked at, and says when the look has to end.

A claim that was lost is somebody else's look: two cards would disagree. It must not know what is looked at.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import structlog

from bot.errors import StoreError
from bot.store import Store

BEATS_IN_A_LEASE = 3  # two failed renewals are survived

log = structlog.get_logger()


class EndedError(Exception):
    """The look has to end now: not a failure to look, so no other way is tried."""


class LostError(EndedError):
    """Somebody else has taken up the look."""


class TooLongError(EndedError):
    """The look took longer than any should."""


class StoppedError(EndedError):
    """The bot stops."""


class Hold:
    """One claim, renewed by a thread of its own for as long as the ``with`` lasts."""

    def __init__(
        self,
        store: Store,
        incident: int,
        worker: str,
        *,
        lease_seconds: float,
        look_seconds: float,
        stop: threading.Event,
    ) -> None:
        self._store, self._incident, self._worker = store, incident, worker
        self._lease_seconds, self._stop = lease_seconds, stop
        self._held_until = time.monotonic() + lease_seconds
        self._deadline = time.monotonic() + look_seconds
        self._is_lost = False
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"hold-{incident}", daemon=True)

    def check(self) -> None:
        """Raises EndedError where the look has to end."""
        if self._is_lost or time.monotonic() > self._held_until:
            raise LostError
        if self._stop.is_set():
            raise StoppedError
        if time.monotonic() > self._deadline:
            raise TooLongError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._released.wait(self._lease_seconds / BEATS_IN_A_LEASE):
            began = time.monotonic()
            try:
                kept = self._store.renew(self._incident, self._worker, self._lease_seconds, time.time())
            except StoreError as error:  # the next beat tries again; the claim ends by itself if none succeeds
                log.warning("claim not renewed", incident=self._incident, why=str(error))
                continue
            if not kept:
                self._is_lost = True
                return
            self._held_until = began + self._lease_seconds
