"""Report to terminal: the answer first, then the runbook's steps, in 80 columns, with and without colour.

Foreign text is never markup here, and its control characters are visible. Commands are not wrapped, so that they can
be copied. It must not know why something is said, nor how a node is looked at.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TextIO

from rich.console import Console
from rich.text import Text

from bot.report import Report, needs_attention, visible_lines
from diagnostics.model import Finding, Shown, Status, VerdictKind

WIDTH = 80
WIDEST = 100  # longer lines are hard to read, however wide the window
OUTPUT_LINES = 8  # of one command, unless all is asked for
STEPS_THAT_SCROLL = 5  # more of them push the answer out of a small window, so it is said again below them
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
    _Page(stream, everything=everything).report(report)


class _Page:
    """Lines on a console: a lead in a column of its own, and the text hanging beside it."""

    def __init__(self, stream: TextIO, *, everything: bool) -> None:
        self._console = Console(file=stream, markup=False, emoji=False, highlight=False)
        self._width = min(self._console.width, WIDEST) if self._console.is_terminal else WIDTH
        self._everything = everything

    def report(self, report: Report) -> None:
        """The whole page: the answer, the steps, what else was looked at, and the answer again where it is far away."""
        self._answer(report, in_full=True)
        shown = [step for step in report.steps if self._is_shown(step, report)]
        for number, step in enumerate(report.steps, 1):
            if step in shown:
                self._gap()
                self._step(number, step, report)
        self._gap()
        self._foot(report, [step for step in report.steps if step not in shown])
        if len(shown) > STEPS_THAT_SCROLL:
            self._gap()
            self._answer(report)

    def _is_shown(self, step: Finding, report: Report) -> bool:
        if self._everything:
            return True
        return step.status is not Status.SKIPPED if report.is_about_the_table else needs_attention(step)

    def _answer(self, report: Report, *, in_full: bool = False) -> None:
        mark, style = MARKS[VERDICTS[report.kind]]
        self._hanging(Text(mark, style), Text(report.headline, style))
        for line in self._joined(report.numbers) if in_full else ():
            self._line(line, 2)
        first = report.first if in_full or not report.first else f"{_briefly(report.first)}."
        for name, said in (("Who", report.who), ("Do first", first)):
            if said:
                self._hanging(Text(f"  {name:<8}", "bold"), Text(said))
        for command in report.first_commands if in_full else ():
            self._command(command, 11)

    def _joined(self, numbers: tuple[str, ...]) -> list[str]:
        """The numbers side by side, none broken in the middle where a line holds it."""
        lines: list[str] = []
        for number in numbers:
            longer = f"{lines[-1]} · {number}" if lines else ""
            if longer and len(longer) <= self._width - 2:
                lines[-1] = longer
            else:
                lines.append(number)
        return lines

    def _step(self, number: int, step: Finding, report: Report) -> None:
        mark, style = MARKS[step.status]
        self._hanging(Text.assemble(f"{number:>2} ", (mark, style)), Text(visible_lines(step.title), "bold"))
        if step.step == "remedies" and report.remedies:
            self._remedies(report)
        else:
            self._said(step.says)
        if step.means:
            self._line(visible_lines(step.means), 5)
        if step.correction:
            self._hanging(Text("     Note:", "cyan"), Text(visible_lines(step.correction)))
        for shown in step.evidence if step.step != "remedies" else ():
            self._shown(shown)

    def _said(self, says: str) -> None:
        """Sentences, of which some are items of a list."""
        for line in visible_lines(says).split("\n"):
            item, dot, rest = line.partition(". ")
            if dot and item.isdigit():
                self._hanging(Text(f"     {item}."), Text(rest))
            else:
                self._line(line, 5)

    def _remedies(self, report: Report) -> None:
        """Each remedy with the commands that carry it out; the first one's stand at the top of the page."""
        for when, title in (("now", "Now"), ("permanent", "For good")):
            chosen = [remedy for remedy in report.remedies if remedy.when == when]
            if chosen:
                self._line(f"{title}, gentlest first:" if when == "now" and len(chosen) > 1 else f"{title}:", 5)
            for number, remedy in enumerate(chosen, 1):
                is_above = when == "now" and number == 1 and not self._everything
                says = f"{_briefly(remedy.says)} (see above)." if is_above else remedy.says
                self._hanging(Text(f"     {number}."), Text(visible_lines(says)))
                for command in remedy.commands if self._everything or (when == "now" and not is_above) else ():
                    self._command(command, 8)
        if not self._everything and any(remedy.when == "permanent" and remedy.commands for remedy in report.remedies):
            self._line("The commands for good: --verbose.", 5, "dim")

    def _shown(self, shown: Shown) -> None:
        self._command(shown.command, 5)
        lines = visible_lines(shown.output).split("\n") if shown.output else []
        kept = lines if self._everything else lines[:OUTPUT_LINES]
        for line in kept:
            self._line(line, 7, "dim")
        if len(lines) > len(kept):
            self._line(f"… {len(lines) - len(kept)} more lines: --verbose", 7, "dim")

    def _foot(self, report: Report, hidden: list[Finding]) -> None:
        if not report.is_quiet or self._everything:
            self._lookalikes(report)
        for gap in report.gaps:
            self._hanging(Text("?", MARKS[Status.UNKNOWN][1]), Text(gap))
        if hidden and not report.is_about_the_table:
            self._line(
                f"{len(hidden)} of {len(report.steps)} steps have nothing to report; --verbose shows them.", 2, "dim"
            )
        elif hidden:
            titles = "; ".join(visible_lines(step.title) for step in hidden)
            self._line(f"Skipped (--verbose says why): {titles}.", 2, "dim")
        self._line(f"{report.looked}.", 2, "dim")

    def _lookalikes(self, report: Report) -> None:
        """Other causes that were found, unless the headline says so; a step has counted the rest already."""
        for other in report.lookalikes:
            is_news = other.status == "found" and visible_lines(other.says) not in report.headline
            if is_news or self._everything:
                mark, style = MARKS[Status.WARN if other.status == "found" else Status.SKIPPED]
                name = visible_lines(other.name.replace("_", " "))
                says = Text.assemble((f"{name}, {visible_lines(other.status)}: ", "bold"), visible_lines(other.says))
                self._hanging(Text(mark, style), says)

    def _line(self, text: str, indent: int, style: str = "") -> None:
        self._hanging(Text(" " * (indent - 1)), Text(text, style))

    def _hanging(self, lead: Text, text: Text) -> None:
        """Broken here and not by rich's tables, which fill each line with blanks up to the edge."""
        column = lead.cell_len + 1
        for number, line in enumerate(text.wrap(self._console, self._width - column, overflow="fold") or [text]):
            line.rstrip()
            start = lead if number == 0 else Text(" " * (column - 1))
            self._print(Text.assemble(start, " ", line))  # Not by adding, which gives the whole line the lead's style.

    def _command(self, command: str, indent: int) -> None:
        """Never wrapped, so that it can be copied; a terminal folds it without adding line breaks."""
        self._print(Text.assemble(" " * indent + "$ ", (visible_lines(command), "cyan")))

    def _gap(self) -> None:
        self._print(Text())

    def _print(self, line: Text) -> None:
        self._console.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)


def _briefly(says: str) -> str:
    """What to do, without the why and the price."""
    return says.partition(": ")[0].removesuffix(".")


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
