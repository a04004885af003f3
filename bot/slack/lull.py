"""Lets work wait for a lull: what Slack waits for comes first, and all of it shares one interpreter.

Two hundred commands at once are acknowledged in a third of the time while whoever looks, answers or writes gives way.
It must not know what the work is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LULL_SECONDS = 0.03  # nothing came or was acknowledged for so long: the rush is over, or there was none
AT_MOST_SECONDS = 1.0  # a rush without an end must not stop the work


class Lull:
    """``stir`` whenever Slack delivers something, and when it is acknowledged; work that can wait calls ``wait``."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._monotonic, self._sleep = monotonic, sleep
        self._began_at = self._stirred_at = float("-inf")
        self._lock = threading.Lock()

    def stir(self) -> None:
        """Something is going on."""
        with self._lock:
            now = self._monotonic()
            if now - self._stirred_at >= LULL_SECONDS:
                self._began_at = now
            self._stirred_at = now

    def wait(self) -> None:
        """Until nothing goes on, or for as long as a rush may hold up the work."""
        while (seconds := self._left()) > 0:
            self._sleep(seconds)

    def _left(self) -> float:
        with self._lock:
            quiet_at = min(self._stirred_at + LULL_SECONDS, self._began_at + AT_MOST_SECONDS)
            return quiet_at - self._monotonic()
