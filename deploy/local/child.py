"""The bot as a child of the demo: started with a configuration, watched, stopped.

It is a process of its own, as anywhere else; nothing of it is imported. It must not know what the configuration says.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
STOP_SECONDS = 15.0  # more than it is told to take itself
LAST_LINES = 15
# What would lead the bot to a real cluster, a real Slack, or through somebody's proxy: never by accident.
_LEFT_OUT = ("KUBECONFIG", "CONNTRACK_BOT_", "SLACK_")
_LOOPBACK = "127.0.0.1,localhost"


@dataclass(frozen=True, slots=True)
class Bot:
    """The running bot."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """The end of its log."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return "".join(deque(lines, LAST_LINES))


@contextmanager
def started(config: Path, log: Path, secrets: Mapping[str, str]) -> Iterator[Bot]:
    """The bot, for as long as the block lasts."""
    command = [sys.executable, "-m", "bot", "serve", "--config", str(config)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env={**environment(os.environ), **secrets},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the demo, which stops the bot in its turn
        )
    try:
        yield Bot(process, log)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; insist where it does not."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """This environment without what leads elsewhere; loopback is reached directly."""
    kept = {key: value for key, value in given.items() if not key.startswith(_LEFT_OUT)}
    around = ",".join(filter(None, (given.get("NO_PROXY") or given.get("no_proxy"), _LOOPBACK)))
    return kept | {"NO_PROXY": around, "no_proxy": around, "PYTHONUNBUFFERED": "1"}
