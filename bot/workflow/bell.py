"""Wakes workers when there is work, one for each ring, so that a crowd does not run for one request.

It must not know what the work is: who is woken looks into the store, and polling would find it too, only later.
"""

from __future__ import annotations

import threading


class Bell:
    """Rings are remembered while everybody is busy, up to ``workers``: who comes back looks again before resting."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._rings = 0
        self._changed = threading.Condition()

    def ring(self) -> None:
        """Wake one."""
        with self._changed:
            self._rings = min(self._workers, self._rings + 1)
            self._changed.notify()

    def ring_all(self) -> None:
        """Wake everybody."""
        with self._changed:
            self._rings = self._workers
            self._changed.notify_all()

    def rest(self, seconds: float) -> None:
        """Until it rings, or for so long."""
        with self._changed:
            if self._changed.wait_for(lambda: self._rings > 0, seconds):
                self._rings -= 1
