"""The order of the looks, their deadlines, and the output.

Usage and counters come first and the table after, because a dump removes expired entries and so changes the evidence.
What was read by a deadline or a signal is still told. This file must not know what any number means.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from typing import Any, Callable

from diagnostics.probe import envelope, kernel, lookalikes, reach, table

NICENESS = 10  # the node is in trouble: everything else comes first
QUIET_SECONDS = 0.5  # between the two readings of the counters in a look
SAVED_FOR_OUTPUT_SECONDS = 0.5


class Stopped(BaseException):
    """The deadline or a signal came: tell what was read so far."""


class Stage:
    """One stage's report while it grows. A section that cannot be read is noted with its reason, and costs no other."""

    def __init__(self, name: str, budget: int, output: str | None) -> None:
        self.report: dict[str, Any] = {"format": 1, "stage": name, "unknown": {}}
        self._began = time.monotonic()
        self._budget = budget
        self._output = output

    def add(self, section: str, read: Callable[[], Any]) -> None:
        """Read one section, or note why it cannot be read."""
        try:
            self.report[section] = read()
        except kernel.Unreadable as why:
            self.unknown(section, str(why))
        except (OSError, ValueError, OverflowError, MemoryError) as error:
            self.unknown(section, "%s: %s" % (type(error).__name__, error))

    def unknown(self, section: str, why: str) -> None:
        """Note why something cannot be read."""
        self.report["unknown"][section] = why[:200]

    def packed(self) -> bytes:
        """The report so far, within the budget."""
        report = {key: value for key, value in self.report.items() if value != {} or key != "unknown"}
        report["seconds"] = round(time.monotonic() - self._began, 3)
        return envelope.pack(report, self._budget)

    def save(self) -> None:
        """Write the report so far where the kubelet will find it, should the end come early."""
        if self._output is not None:
            with open(self._output, "wb") as file:
                file.write(self.packed())


def look(stage: Stage, options: argparse.Namespace, deadline: float) -> None:
    """Instant facts, then the table."""
    stage.add("node", kernel.node)
    stage.add("usage", kernel.usage)
    counted_at = time.monotonic()
    stage.add("counters", lambda: [kernel.counters()])
    stage.add("timeouts", kernel.timeouts)
    stage.add("settings", kernel.settings)
    stage.add("kernel_log", kernel.kernel_log)
    stage.save()
    if options.quiet > 0:
        _count_again(stage, counted_at + options.quiet)
    timeouts = stage.report.get("timeouts", {})
    most = None if options.exact else options.sample
    stage.add("table", lambda: table.read(timeouts, most, deadline))


def watch(stage: Stage, options: argparse.Namespace, _deadline: float) -> None:
    """Rates over some seconds, then what a new connection meets: our own attempts come after the counting."""
    counted_at = time.monotonic()
    before = lookalikes.read()
    stage.add("counters", lambda: [kernel.counters()])
    _count_again(stage, counted_at + options.seconds)
    stage.add("usage", kernel.usage)
    stage.add("lookalikes", lambda: lookalikes.between(before, lookalikes.read(), time.monotonic() - counted_at))
    stage.save()
    stage.report["reach"] = {}
    if options.connect:
        host, port = options.connect
        _reach(stage, "connect", lambda: reach.connect(host, port, options.connect_what))
    else:
        stage.unknown("reach.connect", "no address to try was given")
    stage.save()
    _reach(stage, "ping", lambda: _ping(options))


def deep(stage: Stage, _options: argparse.Namespace, deadline: float) -> None:
    """Sockets of the node itself, and the tables of pods' own network namespaces."""
    from diagnostics.probe import owners  # noqa: PLC0415 (only the deep look needs it)

    stage.add("owners", lambda: owners.read(deadline))


STAGES: dict[str, Callable[[Stage, argparse.Namespace, float], None]] = {"look": look, "watch": watch, "deep": deep}


def _count_again(stage: Stage, at: float) -> None:
    counters = stage.report.get("counters")
    if counters is None:
        return
    time.sleep(max(0.0, at - time.monotonic()))
    try:
        counters.append(kernel.counters())
    except (kernel.Unreadable, OSError) as why:
        stage.unknown("counters.again", str(why))


def _reach(stage: Stage, part: str, tried: Callable[[], Any]) -> None:
    try:
        stage.report["reach"][part] = tried()
    except kernel.Unreadable as why:
        stage.unknown("reach." + part, str(why))
    except OSError as error:
        stage.unknown("reach." + part, str(error))


def _ping(options: argparse.Namespace) -> dict[str, Any]:
    address, what = options.ping, options.ping_what
    if address is None:
        address, what = reach.default_gateway(), "the node's gateway"
    return reach.ping(address, what)


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(",")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError("HOST,PORT is wanted, not %r" % text)
    return host, int(port)


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="probe", description="Reads a node's conntrack state; changes nothing.")
    parser.add_argument("stage", choices=sorted(STAGES))
    parser.add_argument("--budget", type=int, default=1 << 20, help="largest answer in bytes")
    parser.add_argument("--deadline", type=float, default=30.0, help="seconds after which what is known is told")
    parser.add_argument("--output", help="file for the answer, instead of standard output")
    parser.add_argument("--exact", action="store_true", help="read the whole table")
    parser.add_argument("--sample", type=int, default=table.SAMPLE_ENTRIES, help="entries to read")
    parser.add_argument("--quiet", type=float, default=QUIET_SECONDS, help="seconds between a look's two countings")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to watch the counters")
    parser.add_argument("--connect", type=_place, help="HOST,PORT that is known to be served")
    parser.add_argument("--connect-what", default="", help="what that is")
    parser.add_argument("--ping", help="address to ping instead of the node's gateway")
    parser.add_argument("--ping-what", default="", help="what that is")
    return parser.parse_args(argv)


def _stop(number: int, _frame: Any) -> None:
    raise Stopped("the deadline came" if number == signal.SIGALRM else "stopped by a signal")


def main(argv: list[str] | None = None) -> int:
    """Run one stage and answer. Exit status 0 if any fact was read: a failing init container would end the pod."""
    options = _options(sys.argv[1:] if argv is None else argv)
    stage = Stage(options.stage, options.budget, options.output)
    deadline = time.monotonic() + options.deadline - SAVED_FOR_OUTPUT_SECONDS
    try:
        os.nice(NICENESS)
    except OSError:
        pass
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _stop)
    signal.setitimer(signal.ITIMER_REAL, options.deadline)
    try:
        STAGES[options.stage](stage, options, deadline)
    except Stopped as why:
        stage.report["partial"] = True
        stage.unknown("stage", str(why))
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if options.output is not None:
        stage.save()
    else:
        sys.stdout.write(stage.packed().decode("ascii") + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
