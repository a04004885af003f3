"""Draws in a process of its own: half a second of drawing is half a second in which nothing else in this one runs.

The child reads pictures as JSON, one a line, and answers each with a length and a PNG; it ends when its input does,
however its parent ended. It must not know what a picture shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import IO

from bot import charts
from bot.report import Picture

LONGEST_SECONDS = 30.0  # arbitrary: a chart takes half a second
LENGTH_BYTES = 8
PROGRAM = Path(__file__).parents[2]
SECRETS = "CONNTRACK_BOT_"  # no part of the bot that needs none is given any


class NotDrawnError(Exception):
    """The child has ended, or was ended because it took too long."""


class Easel:
    """One child, begun when it is needed first; another after one that broke. Safe to use from several threads."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def ready(self) -> None:
        """Have the child begun."""
        with self._turn:
            self._begun()

    def draw(self, picture: Picture) -> bytes:
        """The picture as a PNG. Raises NotDrawnError."""
        with self._turn:
            child = self._begun()
            patience = threading.Timer(LONGEST_SECONDS, child.kill)
            patience.start()
            try:
                return _asked(child, picture)
            except (OSError, EOFError) as error:
                self._end()
                raise NotDrawnError(f"The chart's process ended, with status {child.returncode}.") from error
            finally:
                patience.cancel()

    def close(self) -> None:
        """End the child."""
        with self._turn:
            self._end()

    def _begun(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = subprocess.Popen(
                [sys.executable, "-m", __name__],
                cwd=PROGRAM,
                env={key: value for key, value in os.environ.items() if not key.startswith(SECRETS)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the bot, which closes this one in its turn
            )
        return self._child

    def _end(self) -> None:
        if self._child is None:
            return
        self._child.kill()
        self._child.communicate()
        self._child = None


def _asked(child: subprocess.Popen[bytes], picture: Picture) -> bytes:
    if child.stdin is None or child.stdout is None:
        raise EOFError
    child.stdin.write(json.dumps(asdict(picture)).encode() + b"\n")
    child.stdin.flush()
    length = int.from_bytes(_all(child.stdout, LENGTH_BYTES), "big")
    return _all(child.stdout, length)


def _all(pipe: IO[bytes], length: int) -> bytes:
    read = pipe.read(length)
    if len(read) < length:
        raise EOFError
    return read


# ---- the child ------------------------------------------------------------------------------------------------------


def main() -> None:
    """Draw what is asked for, until nobody can ask any more."""
    os.nice(5)  # who waits for an answer goes before who waits for a picture
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may get between the answers
    for line in sys.stdin.buffer:
        drawn = charts.draw(_picture(line))
        answers.write(len(drawn).to_bytes(LENGTH_BYTES, "big") + drawn)
        answers.flush()


def _picture(line: bytes) -> Picture:
    told = json.loads(line)
    holders = tuple((label, share) for label, share in told.pop("holders"))
    return Picture(holders=holders, opened=tuple(told.pop("opened")), **told)


if __name__ == "__main__":
    main()
