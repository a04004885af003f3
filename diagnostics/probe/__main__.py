"""The order of the looks, their deadlines, and the output.

Usage and counters come first and the table after, because a dump removes expired entries and so changes the evidence.
What was read by a deadline or a signal is still told. This file must not know what any number means.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time

from diagnostics.probe import envelope, kernel, table

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Any, Callable

NICENESS = 10  # the node is in trouble: everything else comes first
# Between the two readings of the counters in a look; the watch takes its time. A kubelet looks once a second whether a
# container has ended (PLEG): with half a second in here every look was a second late, with this one in two is not.
QUIET_SECONDS = 0.25
SAVED_FOR_OUTPUT_SECONDS = 0.5
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)


class Stopped(BaseException):
    """The deadline or a signal came: tell what was read so far."""


class Options:
    """What the command line asks for; its names and defaults are the attributes."""

    def __init__(self, argv: list[str]) -> None:
        self.budget = 1 << 20  # largest answer in bytes
        self.deadline = 30.0  # seconds after which what is known is told
        self.output = ""  # file for the answer, instead of standard output
        self.exact = False  # read the whole table
        self.sample = table.SAMPLE_ENTRIES  # entries to read
        self.quiet = QUIET_SECONDS  # seconds between a look's two countings, 0 for one
        self.seconds = 2.0  # how long to watch the counters
        self.connect = ""  # HOST,PORT that is known to be served
        self.connect_what = ""  # what that is
        self.ping = ""  # address to ping instead of the node's gateway
        self.ping_what = ""  # what that is
        self.stage = argv[0] if argv else ""
        if self.stage not in STAGES:
            raise ValueError("a stage is wanted: %s" % ", ".join(sorted(STAGES)))
        rest = argv[1:]
        while rest:
            rest = self._take(rest)
        self.connect_to = _place(self.connect) if self.connect else None

    def _take(self, words: list[str]) -> list[str]:
        name = words[0][2:].replace("-", "_")
        default = getattr(self, name, None)
        if not words[0].startswith("--") or name == "stage" or default is None:
            raise ValueError("not an option: %s" % words[0])
        if default is False:
            setattr(self, name, True)
            return words[1:]
        if len(words) < 2:
            raise ValueError("%s wants a value" % words[0])
        setattr(self, name, type(default)(words[1]))
        return words[2:]


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(",")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("--connect wants HOST,PORT, not %r" % text)
    return host, int(port)


class Stage:
    """One stage's report while it grows. A section that cannot be read is noted with its reason, and costs no other."""

    def __init__(self, name: str, budget: int, output: str) -> None:
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
        except Exception as error:  # noqa: BLE001 (whatever one section stumbles over, it must cost no other)
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
        if self._output:
            with open(self._output, "wb") as file:
                file.write(self.packed())


def look(stage: Stage, options: Options, deadline: float) -> None:
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


def watch(stage: Stage, options: Options, _deadline: float) -> None:
    """Rates over some seconds, then what a new connection meets: our own attempts come after the counting."""
    import threading  # noqa: PLC0415 (only this stage pays for these)

    from diagnostics.probe import lookalikes, reach  # noqa: PLC0415 (the same)

    counted_at = time.monotonic()
    before = lookalikes.read()
    stage.add("counters", lambda: [kernel.counters()])
    _count_again(stage, counted_at + options.seconds)
    stage.add("usage", kernel.usage)
    after = lookalikes.read()
    stage.add("lookalikes", lambda: lookalikes.between(before, after, time.monotonic() - counted_at))
    for name, why in lookalikes.unknown(after).items():
        stage.unknown(name, why)
    stage.save()
    stage.report["reach"] = {}
    aside = Stage("watch", 0, "")  # the ping beside the connections: each may wait for answers that never come
    aside.report["reach"] = {}
    ping = threading.Thread(target=_reach, args=(aside, "ping", lambda: _ping(reach, options)), daemon=True)
    ping.start()
    if options.connect_to is not None:
        host, port = options.connect_to
        _reach(stage, "connect", lambda: reach.connect(host, port, options.connect_what))
    else:
        stage.unknown("reach.connect", "no address to try was given")
    ping.join()
    for section in ("reach", "unknown"):
        stage.report[section].update(aside.report[section])


def deep(stage: Stage, _options: Options, deadline: float) -> None:
    """Sockets of the node itself, and the tables of pods' own network namespaces."""
    from diagnostics.probe import owners  # noqa: PLC0415 (only the deep look needs it)

    stage.add("owners", lambda: owners.read(deadline))


STAGES: dict[str, Callable[[Stage, Options, float], None]] = {"look": look, "watch": watch, "deep": deep}


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
    except (kernel.Unreadable, OSError) as why:
        stage.unknown("reach." + part, str(why))


def _ping(reach: Any, options: Options) -> dict[str, Any]:
    address, what = options.ping, options.ping_what
    if not address:
        address, what = reach.default_gateway(), "the node's gateway"
    tried: dict[str, Any] = reach.ping(address, what)
    return tried


def _stop(number: int, _frame: Any) -> None:
    _ignore_signals()  # a second one must not interrupt the telling of what the first one has left
    raise Stopped("the deadline came" if number == signal.SIGALRM else "stopped by a signal")


def _ignore_signals() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def main(argv: list[str] | None = None) -> int:
    """Run one stage and answer. Exit status 0 if any fact was read: a failing init container would end the pod."""
    try:
        options = Options(sys.argv[1:] if argv is None else argv)
    except ValueError as error:
        sys.stderr.write("probe: %s\n" % error)
        return 2
    gc.disable()  # the program is over before there is any garbage
    stage = Stage(options.stage, options.budget, options.output)
    deadline = time.monotonic() + options.deadline - SAVED_FOR_OUTPUT_SECONDS
    try:
        os.nice(NICENESS)
    except OSError:
        pass
    for number in SIGNALS:
        signal.signal(number, _stop)
    signal.setitimer(signal.ITIMER_REAL, options.deadline)
    try:
        STAGES[options.stage](stage, options, deadline)
    except Stopped as why:
        stage.report["partial"] = True
        stage.unknown("stage", str(why))
    _ignore_signals()
    if options.output:
        stage.save()
    else:
        sys.stdout.write(stage.packed().decode("ascii") + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # to take the interpreter down in good order costs more than all facts but the table
