"""The rung "local": the probe as a process of its own on this machine.

A process and not a call: its low priority, its deadline and its signals must not become ours. It must not know what a
report means.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import diagnostics
from diagnostics.errors import LookError
from diagnostics.probe import envelope
from diagnostics.transport import Order, Report, Tell

BUDGET_BYTES = 65536
SECONDS_BEYOND_THE_DEADLINE = 5.0
HEARTBEAT_SECONDS = 0.5
NOT_ROOT = "not root on this machine: the table and the kernel log need root, so run this with sudo"


class LocalTransport:
    """Looks at the machine it runs on. ``module`` is the program, for tests that bring their own."""

    rung = "local"

    def __init__(self, module: str = "diagnostics.probe", python: str = sys.executable) -> None:
        self._command = (python, "-P", "-m", module)

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        """Run the stages one after the other."""
        note = "" if os.geteuid() == 0 else NOT_ROOT
        tell(note or "looking at this machine")
        has_answered = False
        for stage in order.stages():
            try:
                report = self._stage(order, stage, tell)
            except LookError as error:
                if not has_answered:
                    raise
                report = {"stage": stage, "unknown": {"stage": str(error)}}
            has_answered = True
            yield report if not note else {**report, "unknown": {**report.get("unknown", {}), "transport": note}}

    def _stage(self, order: Order, stage: str, tell: Tell) -> Report:
        seconds = order.deadline_seconds + SECONDS_BEYOND_THE_DEADLINE
        # The probe's own folder first, wherever the person stands: -P keeps the current folder out of the path.
        environment = {**os.environ, "PYTHONPATH": str(Path(diagnostics.__file__).parents[1])}
        command = (*self._command, *order.argv(stage, BUDGET_BYTES))
        try:
            ran = _ran(command, environment, seconds, tell)
        except subprocess.TimeoutExpired as error:
            raise LookError(f"The probe on this machine gave no answer within {seconds:.0f} s.") from error
        except OSError as error:
            raise LookError(f"The probe cannot be started on this machine ({error}).") from error
        try:
            return envelope.unpack(ran.stdout.decode("ascii", "replace"))
        except envelope.DamagedEnvelopeError as error:
            said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
            why = f"{error}; exit status {ran.returncode}{': ' + said[-1][:160] if said else ''}"
            raise LookError(f"The probe on this machine gave no whole answer ({why}).") from error


def _ran(
    command: Sequence[str], environment: Mapping[str, str], seconds: float, tell: Tell
) -> subprocess.CompletedProcess[bytes]:
    """What a program said; it is killed where it takes longer than ``seconds``, or nobody waits for it any more."""
    end, pipe = time.monotonic() + seconds, subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment) as program:
        try:
            while True:
                try:
                    said = program.communicate(timeout=max(0.0, min(HEARTBEAT_SECONDS, end - time.monotonic())))
                    return subprocess.CompletedProcess(command, program.returncode, *said)
                except subprocess.TimeoutExpired:
                    if time.monotonic() >= end:
                        raise
                tell("")
        except BaseException:
            program.kill()
            raise
