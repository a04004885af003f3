"""How fast something may be said: a bucket of tokens for each key, filled by the clock.

It must not know what is paced.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """At most ``burst`` at once, and ``per_second`` on the average, for each key."""

    def __init__(self, per_second: float, burst: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._interval_seconds = 1.0 / per_second
        self._burst = burst
        self._monotonic = monotonic
        # When the bucket of a key will be full again: one number says how many tokens it holds.
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """One was said."""
        with self._lock:
            now = self._monotonic()
            self._full_at[key] = max(self._full_at.get(key, now), now) + self._interval_seconds

    def hold(self, key: str, seconds: float) -> None:
        """Say nothing for so long."""
        with self._lock:
            empty = (self._burst - 1) * self._interval_seconds
            self._full_at[key] = max(self._full_at.get(key, 0.0), self._monotonic() + seconds + empty)

    def wait_seconds(self, key: str) -> float:
        """How long until one more may be said; 0 for now."""
        with self._lock:
            return self._wait(self._full_at.get(key, 0.0), self._monotonic())

    def waiting(self) -> frozenset[str]:
        """The keys of which none may be said now."""
        with self._lock:
            now = self._monotonic()
            self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
            return frozenset(key for key, full_at in self._full_at.items() if self._wait(full_at, now) > 0)

    def _wait(self, full_at: float, now: float) -> float:
        return max(0.0, full_at - now - (self._burst - 1) * self._interval_seconds)
