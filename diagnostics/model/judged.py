"""What it means: findings, verdict, triggers, look-alikes, remedies, and the way the answer came."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from diagnostics.model.owned import Attribution, ClusterView, Suspect
from diagnostics.model.readings import Reading
from diagnostics.model.seen import Snapshot, Usage


class VerdictKind(enum.StrEnum):
    """What is going on."""

    EXHAUSTED = "exhausted"
    EVICTING = "evicting"
    FILLING = "filling"
    RECOVERED = "recovered"
    HEALTHY = "healthy"
    LOOKALIKE = "lookalike"
    INCONCLUSIVE = "inconclusive"


class Status(enum.StrEnum):
    """What a step found. ``unknown`` ranks above ``warn``: it is never good news."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Shown:
    """A command a person would type, and the output they would see (as the probe saw it)."""

    command: str
    output: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One step of the runbook.

    ``says`` is what was seen, in one or two sentences with numbers; ``means`` what follows from it; ``correction`` is
    today's truth where the runbook's word is dated; ``evidence`` is what can be checked by hand.
    """

    step: str
    title: str
    status: Status
    says: str
    means: str = ""
    correction: str = ""
    evidence: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """One of the six triggers, with a score from 0 to 1 and the reasons for it."""

    name: str
    score: float
    because: str


@dataclass(frozen=True, slots=True)
class Lookalike:
    """Another cause with the same symptoms: "found", "ruled out" or "unknown"."""

    name: str
    status: str
    says: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would help (knowledge only). ``when`` is "now", "permanent" or "never"; ``commands`` what to type."""

    action: str
    when: str
    says: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one-line answer. ``lookalike`` names the other cause where the kind says so."""

    kind: VerdictKind
    headline: str
    lookalike: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """What follows from two readings of the counters, ``seconds`` apart. None where this kernel does not count it."""

    seconds: float
    drops: int | None
    early_drops: int | None
    insert_failed: int | None
    invalid: int | None
    chaintoolong: int | None
    growth_per_second: float | None
    seconds_to_full: float | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One rung of the ladder that was tried: ``says`` is "answered", or why it did not."""

    rung: str
    says: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Way:
    """How the answer came: the rung that answered, the others, and the seconds until the first answer."""

    rung: str
    tried: tuple[Attempt, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the judgement may look at."""

    target: str
    snapshot: Snapshot
    cluster: ClusterView | None
    attribution: Attribution | None
    rates: Reading[Rates]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is known about one node at one time, explained in the runbook's order."""

    node: str
    cluster: str
    verdict: Verdict
    usage: Reading[Usage]
    rates: Reading[Rates]
    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...]
    noisy: Suspect | None
    noisy_because: str
    triggers: tuple[Trigger, ...]
    lookalikes: tuple[Lookalike, ...]
    remedies: tuple[Remedy, ...]
    way: Way
    snapshot: Snapshot | None = None
    attribution: Attribution | None = None
    taken_at: float = 0.0
