"""Diagnosis to Report: the words, once, for every surface; and the JSON that scripts read.

The order and the sentences of the steps are the runbook's; this file chooses what stands at the top and how numbers
join. It must not know colours, widths, Slack or HTML.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from diagnostics.model import (
    Connects,
    Diagnosis,
    Finding,
    Known,
    Lookalike,
    Remedy,
    Status,
    Suspect,
    SuspectKind,
    Target,
    Trigger,
    Unknown,
    Usage,
    VerdictKind,
    Way,
)
from diagnostics.runbook import measures
from diagnostics.runbook.case import PRESSED
from diagnostics.runbook.triggers import OUTSIDE
from diagnostics.runbook.words import LONGEST_FOREIGN_TEXT, count, filled, listed, percent, points, span, visible

SCHEMA = "conntrack-diagnosis/1"
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
    connections a second by ``whose`` in steps of ``step_seconds``, the oldest first and now last; empty where the
    table's entries do not tell.
    """

    node: str
    taken_at: float
    entries: int
    limit: int
    holders: tuple[tuple[str, float], ...]
    opened: tuple[float, ...] = ()
    step_seconds: float = 0.0
    whose: str = ""


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


# ---- for scripts ----------------------------------------------------------------------------------------------------


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The contract ``conntrack-diagnosis/1``. All of it, however quiet the node; every number is finite."""
    document = {
        "schema": SCHEMA,
        "node": diagnosis.node,
        "cluster": diagnosis.cluster,
        "taken_at": round(diagnosis.taken_at, 3),
        "verdict": {"kind": diagnosis.verdict.kind.value, "headline": diagnosis.verdict.headline},
        "usage": _usage_json(diagnosis),
        "rates": _rates_json(diagnosis),
        "findings": [_finding_json(finding) for finding in diagnosis.findings],
        "suspects": [_suspect_json(suspect) for suspect in diagnosis.suspects],
        "noisy": None if diagnosis.noisy is None else _suspect_json(diagnosis.noisy),
        "noisy_because": diagnosis.noisy_because,
        "triggers": [_trigger_json(trigger) for trigger in diagnosis.triggers],
        "lookalikes": [{"name": one.name, "status": one.status, "says": one.says} for one in diagnosis.lookalikes],
        "remedies": [_remedy_json(remedy) for remedy in diagnosis.remedies],
        "transport": _way_json(diagnosis.way),
        "unknown": dict(diagnosis.snapshot.unknown) if diagnosis.snapshot else {},
        "left_out": dict(diagnosis.snapshot.left_out) if diagnosis.snapshot else {},
    }
    finite: dict[str, Any] = _finite(document)
    return finite


def _usage_json(diagnosis: Diagnosis) -> dict[str, Any]:
    if isinstance(diagnosis.usage, Unknown):
        return {"entries": None, "limit": None, "buckets": None, "ratio": None, "unknown": diagnosis.usage.why}
    usage: Usage = diagnosis.usage.value
    return {
        "entries": usage.entries,
        "limit": usage.limit,
        "buckets": usage.buckets,
        "ratio": round(usage.ratio, 4),
    }


def _rates_json(diagnosis: Diagnosis) -> dict[str, Any]:
    if isinstance(diagnosis.rates, Unknown):
        return {"unknown": diagnosis.rates.why}
    rates = diagnosis.rates.value
    return {
        "seconds": round(rates.seconds, 3),
        "drops": rates.drops,
        "early_drops": rates.early_drops,
        "insert_failed": rates.insert_failed,
        "invalid": rates.invalid,
        "growth_per_second": _rounded(rates.growth_per_second),
        "seconds_to_full": _rounded(rates.seconds_to_full),
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "step": finding.step,
        "title": finding.title,
        "status": finding.status.value,
        "says": finding.says,
        "means": finding.means,
        "correction": finding.correction,
        "evidence": [{"command": shown.command, "output": shown.output} for shown in finding.evidence],
    }


def _suspect_json(suspect: Suspect) -> dict[str, Any]:
    return {
        "kind": suspect.kind.value,
        "namespace": suspect.namespace,
        "pod": suspect.pod,
        "owner": suspect.owner,
        "node": suspect.node,
        "address": suspect.address,
        "label": suspect.label,
        "share": round(suspect.share, 9),  # 500 of these still sum to 1 within a millionth
        "share_low": round(suspect.share_low, 9),
        "share_high": round(suspect.share_high, 9),
        "entries": suspect.entries,
        "note": suspect.note,
    }


def _trigger_json(trigger: Trigger) -> dict[str, Any]:
    return {"name": trigger.name, "score": round(trigger.score, 3), "because": trigger.because}


def _remedy_json(remedy: Remedy) -> dict[str, Any]:
    return {"action": remedy.action, "when": remedy.when, "says": remedy.says, "commands": list(remedy.commands)}


def _way_json(way: Way) -> dict[str, Any]:
    tried = [{"rung": one.rung, "says": one.says, "seconds": round(one.seconds, 3)} for one in way.tried]
    return {"rung": way.rung, "tried": tried, "seconds": round(way.seconds, 3)}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity; a script gets null where a foreign machine sent one."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value


def needs_attention(finding: Finding) -> bool:
    """A step that a person should read even where the node is healthy: also one that could not look."""
    return finding.status in (Status.WARN, Status.BAD, Status.UNKNOWN)
