"""The real command, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
COMMAND = BIN / "conntrack-bot"
LONGEST_SECONDS = 120


@dataclass(frozen=True)
class Ran:
    """How it ended."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def diagnosis(self) -> dict[str, Any]:
        """What ``--json`` printed; what went wrong where it printed nothing."""
        assert self.status == 0, f"exit status {self.status} after {self.seconds:.1f} s: {self.err}"
        diagnosis: dict[str, Any] = json.loads(self.out)
        assert diagnosis["schema"] == "conntrack-diagnosis/1"
        return diagnosis

    @property
    def said(self) -> str:
        """Standard error on one line, as sentences are looked for."""
        return " ".join(self.err.split())


def run(argv: list[str], environment: dict[str, str] | None = None) -> Ran:
    """Run a command to its end. An empty value takes a variable away."""
    changed = {**os.environ, **(environment or {})}
    kept = {key: value for key, value in changed.items() if value}
    began = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False, env=kept)
    return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def diagnose(*words: str, environment: dict[str, str] | None = None) -> Ran:
    """``conntrack-bot diagnose … --json``."""
    return run([str(COMMAND), "diagnose", *words, "--json"], environment)
