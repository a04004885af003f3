"""Diagnosis to Report: the words, once, for every surface; to Picture; and, in ``document``, to JSON for scripts.

The order and the sentences of the steps are the runbook's; this file chooses what stands at the top and how numbers
join. It must not know colours, widths, Slack or HTML.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from bot.report.document import SCHEMA as SCHEMA
from bot.report.document import to_json as to_json
from diagnostics.model import (
    Ages,
    Connects,
    Diagnosis,
    Finding,
    Known,
    Lookalike,
    Remedy,
    Source,
    Status,
    Suspect,
    SuspectKind,
    Table,
    Target,
    VerdictKind,
    Way,
)
from diagnostics.runbook import measures
from diagnostics.runbook.case import PRESSED
from diagnostics.runbook.measures import part
from diagnostics.runbook.triggers import OUTSIDE
from diagnostics.runbook.words import LONGEST_FOREIGN_TEXT, count, filled, listed, percent, points, span, visible

RUNGS = {"pod": "debug pod", "ssh": "SSH", "local": "this machine", "replay": "recording"}
LOOKED = {"pod": "through a debug pod", "ssh": "over SSH", "local": "on this machine", "replay": "into a recording"}
TRIGGERS = {
    "high_request_rate": "a high request rate",
    "aggressive_retries": "aggressive retries",
    "short_lived_connections": "short-lived connections",
    "dns_storm": "a DNS storm",
    "load_test": "a load test",
    "idle_connections": "idle connections",
}
PIECE = LONGEST_FOREIGN_TEXT
OTHERS = "lookalikes."
# A step that could not look says why, and a ping that was not tried is nothing missed: once is enough.
NO_NEWS = (Status.UNKNOWN, Status.SKIPPED)
TOLD_BY = {
    "ping": ("reach.ping",),
    "new_connections": ("reach.connect",),
    "usage": ("usage", "counters"),
    "kernel_log": ("kernel_log",),
    "triggers": ("table",),
}
BADNESS = ("healthy", "recovered", "inconclusive", "lookalike", "filling", "evicting", "exhausted")
NAMED_HOLDERS = 6
NAMED_SHARE = 0.005  # Who holds less is one of the others.
LATELY_SECONDS = 120.0
COARSEST_SECONDS = 15.0  # Ages of open connections come in hours: they tell nothing of the last minutes.
WORTH_DRAWING = 0.05
FILLS_IT = 0.8  # The few others hardly change the table's ages.
# An entry's age is the time since its last packet, or since it was closed: what is counted is not when it was opened.
TELLS = {
    "TIME_WAIT": "connections closed",
    "SYN_SENT": "tries without an answer",
    "UDP": "UDP questions",
    "UDP_STREAM": "UDP flows last used",
    "ICMP": "pings",
}
EXPLAINS = 0.3  # a trigger that scores less is not named at the top; its reasons are in the trigger's step
# The verdict ends with its numbers in brackets: people get them on a line of their own.
BRACKETS = re.compile(r"(?P<says>.*\S) \((?P<numbers>[^()]*)\)\.?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Report:
    """What is said about a node, in the order it is read. Empty text: there is nothing to say there.

    ``who`` names who holds the table, ``first`` is the thing to do first and ``first_commands`` how; ``remedies`` are
    what helps, now and for good; ``gaps`` are what was not read or not listed; ``looked`` says which way it came.
    """

    kind: VerdictKind
    headline: str
    numbers: tuple[str, ...]
    who: str
    first: str
    first_commands: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    steps: tuple[Finding, ...]
    lookalikes: tuple[Lookalike, ...]
    gaps: tuple[str, ...]
    looked: str

    @property
    def is_quiet(self) -> bool:
        """Nothing is wrong, so that a few lines say it all."""
        return self.kind is VerdictKind.HEALTHY

    @property
    def is_about_the_table(self) -> bool:
        """The table is full, or fills: the whole runbook is the explanation."""
        return self.kind in PRESSED


@dataclass(frozen=True, slots=True)
class Picture:
    """What a chart of one snapshot shows: who holds the table, and what one holder opened lately.

    ``holders`` are labels and shares, the largest first, what is not named last; they sum to 1. ``opened`` are new
    entries a second by ``whose`` in steps of ``step_seconds``, the oldest first and now last; empty where the table's
    entries do not tell. ``what`` says what a step counts, since an entry tells only when it last changed. ``limit`` 0:
    none is set, or it was not read.
    """

    node: str
    taken_at: float
    entries: int
    limit: int
    holders: tuple[tuple[str, float], ...]
    opened: tuple[float, ...] = ()
    step_seconds: float = 0.0
    whose: str = ""
    what: str = "new connections"


def report(diagnosis: Diagnosis) -> Report:
    """The words for a diagnosis."""
    headline, numbers = _headline(diagnosis)
    remedies = tuple(remedy for remedy in diagnosis.remedies if remedy.when != "never")
    first = next((remedy for remedy in remedies if remedy.when == "now"), None)
    return Report(
        kind=diagnosis.verdict.kind,
        headline=headline,
        numbers=numbers,
        who=_who(diagnosis),
        first=visible_lines(first.says) if first else "",
        first_commands=first.commands if first else (),
        remedies=remedies,
        steps=diagnosis.findings,
        lookalikes=diagnosis.lookalikes,
        gaps=_gaps(diagnosis),
        looked=looked(diagnosis.way),
    )


def visible_lines(text: str) -> str:
    """Text whose line breaks are ours, and whose other control characters are somebody's mischief."""
    return "\n".join(_visible(line) for line in text.split("\n"))


def _visible(line: str) -> str:
    """In pieces, since ``visible`` cuts long text, and our own sentences may be long."""
    if line.isprintable():  # Nearly every line; letter by letter takes a second for megabytes of hostile output.
        return line
    return "".join(visible(line[at : at + PIECE]) for at in range(0, len(line), PIECE))


# ---- the head -------------------------------------------------------------------------------------------------------


def _headline(diagnosis: Diagnosis) -> tuple[str, tuple[str, ...]]:
    said = visible_lines(diagnosis.verdict.headline)
    split = BRACKETS.fullmatch(said)
    if split:
        return split["says"], tuple(split["numbers"].split(", "))
    return said, () if _speaks_of_usage(diagnosis) else _numbers(diagnosis)


def _speaks_of_usage(diagnosis: Diagnosis) -> bool:
    return " entries" in diagnosis.verdict.headline


def _numbers(diagnosis: Diagnosis) -> tuple[str, ...]:
    """The usage line, where the headline has none of it."""
    said = []
    if isinstance(diagnosis.usage, Known):
        usage = diagnosis.usage.value
        said.append(filled(usage.entries, usage.limit))
    if isinstance(diagnosis.rates, Known) and diagnosis.rates.value.drops is not None:
        said.append(f"{count(diagnosis.rates.value.drops)} packets dropped in {span(diagnosis.rates.value.seconds)}")
    connects = diagnosis.snapshot.connects if diagnosis.snapshot else None
    if isinstance(connects, Known):
        said.append(_tries(connects.value))
    return tuple(said)


def _tries(connects: Connects) -> str:
    return f"{count(connects.connected)} of {count(connects.attempts)} new connections work"


def _who(diagnosis: Diagnosis) -> str:
    """Who holds the table, with what; where nobody stands out, that. Nothing where it does not matter."""
    suspect = diagnosis.noisy
    if suspect is None:
        return visible_lines(diagnosis.noisy_because) if diagnosis.verdict.kind in PRESSED else ""
    trigger = diagnosis.triggers[0] if diagnosis.triggers and diagnosis.triggers[0].score >= EXPLAINS else None
    target = _target(diagnosis, suspect)
    what = [TRIGGERS.get(trigger.name, trigger.name)] if trigger else []
    if trigger and trigger.name == "aggressive_retries" and _never_answers(suspect):
        target = f"{target.removeprefix(OUTSIDE)}, an address that never answers" if target else ""
    what += [f"most to {target}"] if target else []
    note = f" ({visible(suspect.note)})" if suspect.note else ""
    with_what = f": {', '.join(what)}" if what else ""
    return f"{who(suspect)} holds {_held(suspect)}{with_what}{note}"


def _never_answers(suspect: Suspect) -> bool:
    return suspect.source is not None and measures.never_answers(suspect.source.unreplied, suspect.source.entries)


def who(suspect: Suspect) -> str:
    """A suspect's name for people: "shop/checkout-… (Deployment checkout)", "the node itself (node-8)"."""
    label = visible(suspect.label or suspect.address or "nobody known")
    if suspect.kind is SuspectKind.POD:
        return f"{label} ({visible(suspect.owner)})" if suspect.owner else label
    if suspect.kind is SuspectKind.NODE:
        return f"node {label}" if suspect.label else "the node itself"
    if suspect.kind is SuspectKind.UNKNOWN and suspect.node:  # Attribution knows that the address was a pod's.
        return f"a deleted pod ({label})"
    return {SuspectKind.SERVICE: f"Service {label}", SuspectKind.EXTERNAL: f"outside address {label}"}.get(
        suspect.kind, label
    )


def _held(suspect: Suspect) -> str:
    half = max(suspect.share_high - suspect.share, suspect.share - suspect.share_low)
    return f"{percent(suspect.share)}{f' ({points(half)})' if half > 0 else ''} of the table"


def _target(diagnosis: Diagnosis, suspect: Suspect) -> str:
    """What most of a suspect's entries go to, by its name where the cluster has one."""
    if suspect.source is None or not suspect.source.targets:
        return ""
    target = max(suspect.source.targets, key=lambda target: target.entries)
    named = diagnosis.attribution.destinations if diagnosis.attribution else ()
    return visible(next((one.name for one in named if _place(one.target) == _place(target)), _spelled(target)))


def _place(target: Target) -> tuple[str, str, int]:
    return target.protocol, target.address, target.port


def _spelled(target: Target) -> str:
    address = f"[{target.address}]" if ":" in target.address else target.address
    return f"{address}:{target.port}" if target.port else address


# ---- the foot -------------------------------------------------------------------------------------------------------


def _gaps(diagnosis: Diagnosis) -> tuple[str, ...]:
    """What was not read, and what did not fit into the answer."""
    snapshot = diagnosis.snapshot
    if snapshot is None:
        return ()
    statuses = {finding.step: finding.status for finding in diagnosis.findings}
    told = {read for step, reads in TOLD_BY.items() if statuses.get(step) in NO_NEWS for read in reads}
    unknown = {what: why for what, why in snapshot.unknown.items() if what not in told}
    said = [
        f"not read: {visible(what)} ({visible(why)})" for what, why in sorted(unknown.items()) if OTHERS not in what
    ]
    others = sorted(visible(what.removeprefix(OTHERS).replace("_", " ")) for what in unknown if OTHERS in what)
    if others and diagnosis.verdict.kind is VerdictKind.HEALTHY:  # Elsewhere the step about other causes names them.
        said.append(f"other causes that could not be checked: {listed(others)}")
    left_out = [f"{count(number)} {visible(what)}" for what, number in sorted(snapshot.left_out.items()) if number]
    said += [f"left out to keep the answer small: {listed(left_out)}"] if left_out else []
    return (*said, *(["the look was cut short by its deadline"] if snapshot.partial else []))


def looked(way: Way) -> str:
    """Which way the answer came, and what the other ways met."""
    by = LOOKED.get(way.rung, f"through {visible(way.rung) or 'nothing'}")
    others = [
        f"{RUNGS.get(one.rung, visible(one.rung))}: {visible(one.says)}" for one in way.tried if one.rung != way.rung
    ]
    after = f", first answer after {way.seconds:.1f} s" if way.rung != "replay" else ""
    return "; ".join((f"Looked {by}{after}", *others))


def so_far(diagnosis: Diagnosis) -> str:
    """What the first answer shows, while the counters are still being watched. A verdict would be too early."""
    said = []
    if isinstance(diagnosis.usage, Known):
        usage = diagnosis.usage.value
        said.append(filled(usage.entries, usage.limit))
    if diagnosis.suspects:
        first = diagnosis.suspects[0]
        said.append(f"{who(first)} holds {percent(first.share)}")
    return f"so far: {', '.join(said)}; watching the counters" if said else ""


# ---- for all of it -------------------------------------------------------------------------------------------------


def needs_attention(finding: Finding) -> bool:
    """A step that a person should read even where the node is healthy: also one that could not look."""
    return finding.status in (Status.WARN, Status.BAD, Status.UNKNOWN)


def badness(verdict: str) -> int:
    """How bad a verdict is, by its name: to tell what got worse. 0 for none, and for what is not known."""
    return BADNESS.index(verdict) if verdict in BADNESS else 0


def is_worse(now: str, before: str) -> bool:
    """Whether a verdict is news for everybody. The first one is not: it has its own card."""
    return bool(before) and badness(now) > badness(before)


# ---- for the chart --------------------------------------------------------------------------------------------------


def picture(diagnosis: Diagnosis) -> Picture | None:
    """What can be drawn of it; None where it is not known who holds the table."""
    if not diagnosis.suspects:
        return None
    usage = diagnosis.usage.value if isinstance(diagnosis.usage, Known) else None
    drawn = Picture(
        node=visible(diagnosis.node),
        taken_at=diagnosis.taken_at,
        entries=usage.entries if usage else sum(suspect.entries for suspect in diagnosis.suspects),
        limit=usage.limit if usage else 0,
        holders=_holders(diagnosis.suspects),
    )
    return _with_lately(drawn, diagnosis)


def _holders(suspects: tuple[Suspect, ...]) -> tuple[tuple[str, float], ...]:
    named = [suspect for suspect in suspects[:NAMED_HOLDERS] if suspect is suspects[0] or suspect.share >= NAMED_SHARE]
    shown = tuple((who(suspect), part(suspect.share, 1.0)) for suspect in named)
    rest = len(suspects) - len(named)
    others = f"{count(rest)} other{'' if rest == 1 else 's'}"
    return (*shown, (others, part(1.0 - sum(share for _, share in shown), 1.0))) if rest else shown


def _with_lately(drawn: Picture, diagnosis: Diagnosis) -> Picture:
    """What the noisy one, or the first, did lately, from the ages of the entries that tell most of it."""
    suspect = diagnosis.noisy or diagnosis.suspects[0]
    table = diagnosis.snapshot.table if diagnosis.snapshot else None
    if suspect.source is None or not isinstance(table, Known):
        return drawn
    state, ages = _telling(suspect.source, table.value)
    if ages is None:
        return drawn
    is_sample = not table.value.whole and table.value.read > 0
    each = min(max(1.0, min(drawn.entries, 1e12) / table.value.read), 1e6) if is_sample else 1.0
    latest = ages.counts[: math.ceil(LATELY_SECONDS / ages.bucket_seconds)]
    opened = tuple(min(max(0, number), 1e12) * each / ages.bucket_seconds for number in reversed(latest))
    return replace(drawn, opened=opened, step_seconds=ages.bucket_seconds, whose=who(suspect), what=TELLS[state])


def _telling(source: Source, table: Table) -> tuple[str, Ages | None]:
    """The state whose entries are the most of what a source holds, where their ages are fine enough to draw."""
    # A short answer leaves a source's ages out; those of a table that it fills tell the same.
    ages = source.ages or (table.ages if part(source.entries, table.read) >= FILLS_IT else {})
    fine = {state: one for state, one in ages.items() if state in TELLS and _is_fine(one)}
    state = max(fine, key=lambda state: sum(fine[state].counts), default="")
    is_much = bool(state) and part(sum(fine[state].counts), source.entries) >= WORTH_DRAWING
    return (state, fine[state]) if is_much else ("", None)


def _is_fine(ages: Ages) -> bool:
    return 0 < ages.bucket_seconds <= COARSEST_SECONDS and len(ages.counts) > 1
