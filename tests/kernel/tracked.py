"""A namespace that tracks connections, programs that run there, and the machine's limit under the machine's lock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.namespaces import LIMIT, LOCK, Namespace, namespace

PROJECT = Path(__file__).parents[2]
ENTRIES = 2000
SERVER = """
import socket
served = socket.create_server(("127.0.0.1", 8080), backlog=128)
print("ready", flush=True)
while True:
    served.accept()[0].close()
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes network namespaces")
needs_limit = pytest.mark.skipif(
    not os.access(LIMIT, os.W_OK),
    reason="needs a writable nf_conntrack_max: root, in the machine's own network namespace",
)


class Tracked(Namespace):
    """A namespace whose kernel tracks connections."""

    @property
    def inode(self) -> int:
        """The number that kernel log lines give."""
        return Path(f"/run/netns/{self.name}").stat().st_ino

    def python(self, code: str) -> list[str]:
        """The command that runs ``code`` there, with the project in reach."""
        return self.argv(sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n{code}")

    def ask(self, code: str) -> Any:
        """What ``code`` prints there as JSON."""
        done = subprocess.run(self.python(code), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def fill(self, count: int = ENTRIES) -> None:
        """Add established entries, which the kernel evicts for no one."""
        group = {"count": count, "source": "10.244.1.11", "to": "10.96.0.12", "state": "ESTABLISHED"}
        self.write([{**group, "timeout_low": 600}])

    @contextlib.contextmanager
    def running(self, code: str) -> Iterator[subprocess.Popen[str]]:
        """A program there, from the moment it prints its first line."""
        with subprocess.Popen(self.python(code), stdout=subprocess.PIPE, text=True) as started:
            assert started.stdout is not None
            try:
                assert started.stdout.readline()
                yield started
            finally:
                started.kill()


@contextlib.contextmanager
def tracked() -> Iterator[Tracked]:
    """A new namespace with a rule that asks for a connection's state, which makes the kernel track them."""
    with namespace() as made:
        made.run("iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT")
        yield Tracked(made.name)


@contextlib.contextmanager
def limit(entries: int = ENTRIES) -> Iterator[None]:
    """Lower the limit for a moment. It is every namespace's: whoever does so holds the lock, and puts it back."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = LIMIT.read_text()
        LIMIT.write_text(str(entries))
        try:
            yield
        finally:
            LIMIT.write_text(before)
