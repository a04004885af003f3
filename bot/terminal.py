"""Report to terminal: the answer first, then the runbook's steps, in 80 columns, with and without colour.

Foreign text is never markup here, and its control characters are visible. Commands are not wrapped, so that they can
be copied. It must not know why something is said, nor how a node is looked at.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bot.report import Report, needs_attention, visible_lines
from diagnostics.model import Finding, Shown, Status, VerdictKind

WIDTH = 80
WIDEST = 100  # longer lines are hard to read, however wide the window
OUTPUT_LINES = 8  # of one command, unless all is asked for
MARKS = {
    Status.OK: ("✓", "green"),
    Status.WARN: ("!", "yellow"),
    Status.BAD: ("✗", "bold red"),
    Status.UNKNOWN: ("?", "magenta"),
    Status.SKIPPED: ("-", "dim"),
}
VERDICTS = {
    VerdictKind.EXHAUSTED: Status.BAD,
    VerdictKind.EVICTING: Status.BAD,
    VerdictKind.FILLING: Status.WARN,
    VerdictKind.RECOVERED: Status.WARN,
    VerdictKind.HEALTHY: Status.OK,
    VerdictKind.LOOKALIKE: Status.WARN,
    VerdictKind.INCONCLUSIVE: Status.UNKNOWN,
}


def show(report: Report, stream: TextIO, *, everything: bool = False) -> None:
    """Print a report. ``everything`` expands what is collapsed: a healthy node's steps, long output, skipped steps."""
    console = _console(stream)
    for part in _parts(report, everything=everything):
        console.print(part)


def _console(stream: TextIO) -> Console:
    """A console that interprets nothing: no markup, no emoji names, no highlighting of numbers."""
    console = Console(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=False)
    console.width = min(console.width, WIDEST) if console.is_terminal else WIDTH
    return console


def _parts(report: Report, *, everything: bool) -> Iterable[RenderableType]:
    yield from _head(report)
    shown = [step for step in report.steps if _is_shown(step, report, everything=everything)]
    for number, step in enumerate(report.steps, 1):
        if step in shown:
            yield Text()
            yield from _step(number, step, everything=everything)
    yield Text()
    yield from _foot(report, hidden=[step for step in report.steps if step not in shown], everything=everything)


def _is_shown(step: Finding, report: Report, *, everything: bool) -> bool:
    if everything:
        return True
    return needs_attention(step) if report.is_quiet else step.status is not Status.SKIPPED


# ---- the head -------------------------------------------------------------------------------------------------------


def _head(report: Report) -> Iterable[RenderableType]:
    mark, style = MARKS[VERDICTS[report.kind]]
    yield _marked(Text(mark, style), Text(report.headline, "bold" if report.is_quiet else style))
    if report.numbers:
        yield _indented(Text(" · ".join(report.numbers)))
    rows = [("Who", report.who), ("Do first", report.first)]
    if any(said for _, said in rows):
        yield Text()
    for name, said in rows:
        if said:
            yield _marked(Text(name, "bold"), Text(said), width=9)
    for command in report.first_commands:
        yield _command(command, indent=12)


# ---- the steps ------------------------------------------------------------------------------------------------------


def _step(number: int, step: Finding, *, everything: bool) -> Iterable[RenderableType]:
    mark, style = MARKS[step.status]
    title = Text.assemble((f"{number:>2} ", "bold"), (mark, style), " ", (visible_lines(step.title), "bold"))
    yield title
    for line in visible_lines(step.says).split("\n"):
        yield _line(line)
    if step.means:
        yield _indented(Text(visible_lines(step.means)), 5)
    if step.correction:
        yield _marked(Text("Note", "cyan"), Text(visible_lines(step.correction)), width=5, indent=5)
    for shown in step.evidence:
        yield from _shown(shown, everything=everything)


def _line(line: str) -> RenderableType:
    """A line of what was seen. The numbered ones of a list hang behind their number."""
    number, dot, rest = line.partition(". ")
    if dot and number.isdigit():
        return _marked(Text(f"{number}."), Text(rest), width=3, indent=5)
    return _indented(Text(line), 5)


def _shown(shown: Shown, *, everything: bool) -> Iterable[RenderableType]:
    yield _command(shown.command, indent=5)
    lines = visible_lines(shown.output).split("\n") if shown.output else []
    kept = lines if everything else lines[:OUTPUT_LINES]
    for line in kept:
        yield _indented(Text(line, "dim", overflow="fold"), 7)
    if len(lines) > len(kept):
        yield _indented(Text(f"… {len(lines) - len(kept)} more lines: --verbose", "dim"), 7)


def _command(command: str, indent: int) -> RenderableType:
    """Never wrapped, so that it can be copied; a terminal folds it without adding line breaks."""
    return Text(" " * indent + "$ " + visible_lines(command), "cyan", no_wrap=True, overflow="ignore")


# ---- the foot -------------------------------------------------------------------------------------------------------


def _foot(report: Report, hidden: list[Finding], *, everything: bool) -> Iterable[RenderableType]:
    if not report.is_quiet or everything:
        yield from _lookalikes(report, everything=everything)
    for gap in report.gaps:
        yield _marked(Text("?", MARKS[Status.UNKNOWN][1]), Text(gap))
    if hidden:
        titles = ", ".join(visible_lines(step.title) for step in hidden)
        what = "nothing to report on" if report.is_quiet else "not asked here"
        yield _indented(Text(f"{what}: {titles} (--verbose shows all)", "dim"))
    yield _indented(Text(f"{report.looked}.", "dim"))


def _lookalikes(report: Report, *, everything: bool) -> Iterable[RenderableType]:
    """Other causes: those found in full, those that could not be checked by name, the others counted."""
    if not report.lookalikes:
        return
    by_status: dict[str, list[str]] = {}
    for other in report.lookalikes:
        name = visible_lines(other.name.replace("_", " "))
        by_status.setdefault(other.status, []).append(name)
        if other.status == "found" or everything:
            mark, style = MARKS[Status.WARN if other.status == "found" else Status.SKIPPED]
            says = visible_lines(other.says)
            yield _marked(Text(mark, style), Text.assemble((f"{name} ({other.status}): ", "bold"), says))
    if not everything:
        said = [f"{len(names)} other causes {status}: {', '.join(names)}" for status, names in _rest(by_status)]
        for line in said:
            yield _indented(Text(line, "dim"))


def _rest(by_status: dict[str, list[str]]) -> Iterable[tuple[str, list[str]]]:
    named = {"unknown": "could not be checked"}
    return ((named.get(status, status), names) for status, names in by_status.items() if status != "found")


# ---- layout ---------------------------------------------------------------------------------------------------------


def _indented(text: Text, columns: int = 2) -> Padding:
    return Padding(text, (0, 0, 0, columns))


def _marked(mark: Text, text: Text, width: int = 1, indent: int = 0) -> RenderableType:
    """A mark or a name in a column of its own, and the text hanging beside it."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(mark, text)
    return Padding(grid, (0, 0, 0, indent if width == 1 or indent else 2))


# ---- while it looks -------------------------------------------------------------------------------------------------


class Progress:
    """What is going on, on standard error: one line that is rewritten on a terminal, plain lines elsewhere.

    Called from several threads. An empty text is a sign of life: it moves the clock on, and says nothing.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rewrites = stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._said = ""

    def tell(self, says: str) -> None:
        """Say what is going on."""
        with self._lock:
            news = bool(says) and says != self._said
            self._said = says or self._said
            if self._rewrites:
                self._write(f"\r\x1b[K{self._clipped(f'{self._seconds():.0f} s  {visible_lines(self._said)}')}")
            elif news:
                self._write(f"{self._seconds():.1f} s  {visible_lines(says)}\n")

    def end(self) -> None:
        """Clear the line, so that the answer stands alone."""
        with self._lock:
            if self._rewrites:
                self._write("\r\x1b[K")

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _clipped(self, line: str) -> str:
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = WIDTH
        return line.replace("\n", " ")[: max(10, columns - 1)]

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
