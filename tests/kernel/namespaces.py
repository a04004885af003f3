"""Network namespaces with real conntrack tables, and the machine's one limit, put back when done."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITER = Path(__file__).with_name("tables.py")
LIMIT = Path("/proc/sys/net/netfilter/nf_conntrack_max")
LOCK = Path(os.environ.get("CONNTRACK_MACHINE_LOCK", "/tmp/conntrack-machine.lock"))
BUCKETS = Path("/sys/module/nf_conntrack/parameters/hashsize")

_serial = itertools.count()


@dataclass(frozen=True)
class Namespace:
    """A network namespace by name."""

    name: str

    def argv(self, *argv: str) -> list[str]:
        """A command that runs there."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv: str, seconds: float = 120) -> str:
        """What a command there prints; an error where it fails."""
        done = subprocess.run(self.argv(*argv), capture_output=True, text=True, timeout=seconds, check=False)
        if done.returncode:
            raise RuntimeError(f"{argv}: {done.stderr[-500:]}")
        return done.stdout

    def write(self, groups: list[dict[str, Any]]) -> None:
        """Add entries to this namespace's table."""
        self.run(sys.executable, str(WRITER), json.dumps(groups))


@contextlib.contextmanager
def namespace(groups: list[dict[str, Any]] | None = None) -> Iterator[Namespace]:
    """A new namespace whose table holds these entries, removed when done."""
    made = Namespace(f"ctbot-{os.getpid()}-{next(_serial)}")
    subprocess.run(["ip", "netns", "add", made.name], check=True)
    try:
        made.run("ip", "link", "set", "lo", "up")
        if groups:
            made.write(groups)
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.name], check=True)


def _set_limit(entries: int) -> None:
    LIMIT.write_text(str(entries))


@contextlib.contextmanager
def conntrack_limit(limit: int) -> Iterator[Callable[[int], None]]:
    """Set nf_conntrack_max and the hash size, which are the whole machine's, and put both back when done.

    Yields a function that sets the limit again. Whoever does so holds the machine's lock meanwhile.
    """
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = LIMIT.read_text(), BUCKETS.read_text()
        try:
            _set_limit(limit)
            BUCKETS.write_text(str(limit))
            yield _set_limit
        finally:
            LIMIT.write_text(before[0])
            BUCKETS.write_text(before[1])
