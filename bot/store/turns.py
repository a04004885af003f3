"""A lock that is given to who has waited longest. It must not know what for.

``threading.Lock`` goes to whoever asks at the right moment: of 32 threads that write at once some waited for all the
others, and ``receive`` took 60 milliseconds at worst instead of ten.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """One at a time, in the order of asking."""

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._door:
            if not self._is_taken:
                self._is_taken = True
                return
            turn = threading.Lock()
            turn.acquire()  # Who goes before releases it.
            self._waiting.append(turn)
        try:
            turn.acquire()
        except BaseException:  # Ctrl-C, while waiting: nobody may be left waiting for this one.
            self._leave(turn)
            raise

    def __exit__(self, *_: object) -> None:
        self._pass_on()

    def _leave(self, turn: threading.Lock) -> None:
        with self._door:
            is_still_waiting = turn in self._waiting
            if is_still_waiting:
                self._waiting.remove(turn)
        if not is_still_waiting:
            self._pass_on()

    def _pass_on(self) -> None:
        with self._door:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
