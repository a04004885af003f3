"""Lets work begin after a rush: what Slack waits for comes first, and all of it shares one interpreter.

Many commands at once are acknowledged sooner while nobody works on the first of them yet. It must not
know what the work is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LULL_SECONDS = 0.05  # nothing was asked for so long: the rush is over, or there was none
AT_MOST_SECONDS = 1.0  # a rush without an end must not stop the work


class Lull:
    """Calls ``call`` once for each ``ask``, when nothing more is asked."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._asked = 0
        self._asked_at = 0.0
        self._is_stopping = False
        self._is_due = threading.Condition()
        self._thread = threading.Thread(target=self._calling, name="slack lull", daemon=True)

    def start(self) -> None:
        """Begin to call."""
        self._thread.start()

    def stop(self) -> None:
        """Call for what was asked, then end."""
        with self._is_due:
            self._is_stopping = True
            self._is_due.notify()

    def ask(self) -> None:
        """There is something to do."""
        with self._is_due:
            self._asked += 1
            self._asked_at = time.monotonic()
            self._is_due.notify()

    def _calling(self) -> None:
        while True:
            with self._is_due:
                self._is_due.wait_for(lambda: self._asked or self._is_stopping)
                if not self._asked:
                    return
            self._rest()
            with self._is_due:
                asked, self._asked = self._asked, 0
            for _ in range(asked):
                self._call()

    def _rest(self) -> None:
        until = time.monotonic() + AT_MOST_SECONDS
        while (now := time.monotonic()) < until and now - self._asked_at < LULL_SECONDS:
            time.sleep(LULL_SECONDS / 4)
