"""The six triggers, each scored from 0 to 1: how much of the table's limit this way of using connections explains.

A score is the share of the entries that show the trigger's signature, times how full the table is (a table at 75 % or
more counts as full). So mixes come out in the order of their shares, and on a calm node every score is low. Judged is
the noisy source's part of the table where there is one, else the whole table. No peer publishes thresholds; ours are
named here. This file does not know whose entries these are, beyond their names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, pstdev

from diagnostics.model import Ages, Evidence, Source, Suspect, Table, Target, Trigger
from diagnostics.runbook import measures
from diagnostics.runbook.measures import part, share_of
from diagnostics.runbook.verdict import AT_RISK
from diagnostics.runbook.words import count, counted, percent, visible

OUTSIDE = "outside "  # Attribution's word for an address that nobody here has: too much said of one that is dead.
CLOSED = ("TIME_WAIT", "FIN_WAIT", "LAST_ACK")  # A connection that was used and closed properly.
OPEN = ("ESTABLISHED", "CLOSE_WAIT")  # A connection that somebody still holds.
HALF_OPEN = ("SYN_SENT", "SYN_RECV")  # A connection that nobody answered yet.
DATAGRAMS = ("UDP", "UDP_STREAM")

BUSY_PER_SECOND = 200.0  # 200 new a second for 120 s are 24,000 entries: no ordinary pod opens as many.
RATE_ALONE = 0.5  # A high rate without concurrency is better called short-lived connections: half the score.
FOCUSED = 0.5  # Half of the entries to three targets: somebody calls the same thing again and again.
UNFOCUSED = 0.6  # SYNs to many targets are a scan, or a network that swallows all: less typical of retries.
RESETS = 0.10  # CLOSE lives 10 s only, so a tenth of the entries in it are many refused connections.
RECENT_SECONDS = 10.0  # An open connection with a packet this recently is in use.
IN_USE = 0.4  # A connection in use still holds its entry: it counts less as idle, not as nothing.
MANY_TARGETS = 1000  # So many different ones are a scanner's or a crawler's.
STEADY = 0.25  # A load generator's rate varies less than this (standard deviation per mean); people's traffic more.
ONE_TARGET = 0.9  # A load test calls one thing.
YOUNG_SECONDS = 60.0  # Buckets older than this are empty: it started just now.
FILLS_IT = 0.8  # Of the table: the few others hardly change its histogram.
NAMED_LOAD_TEST, LOAD_TEST_HINT = 0.7, 0.1  # A name says it; the other signs only hint at it, three of them.
LOAD_TEST_NAMES = frozenset(
    {"artillery", "bench", "benchmark", "fortio", "gatling", "hey", "jmeter", "k6", "loadgen", "loadgenerator"}
    | {"loadtest", "locust", "perftest", "siege", "stress", "tsung", "vegeta", "wrk", "wrk2"}
)


@dataclass(frozen=True, slots=True)
class Crowd:
    """The entries that are judged, as they were read; ``each`` is how many of the table's entries one stands for.

    ``coupled`` is the share of entries whose opener both holds and closes connections, in equal parts.
    """

    read: int
    each: float
    states: Mapping[str, int]
    unreplied: int
    targets: tuple[Target, ...]
    targets_distinct: int
    ages: Mapping[str, Ages]
    closed_per_second: float
    coupled: float
    names: str
    services: Mapping[tuple[str, int], str]
    pressure: float

    def share(self, states: tuple[str, ...]) -> float:
        """The part of the entries in these states."""
        return share_of(self.states, states, self.read)

    def focus(self, targets: int) -> float:
        """The part of the entries that goes to the largest few targets; 0 where no target is known."""
        return part(sum(sorted((max(0, target.entries) for target in self.targets), reverse=True)[:targets]), self.read)


def triggers(evidence: Evidence, noisy: Suspect | None) -> tuple[Trigger, ...]:
    """All six, highest score first."""
    crowd = _crowd(evidence, noisy)
    if crowd is None:
        why = f"The table was not read: {visible(measures.why_unknown(evidence.snapshot.table))}."
        return tuple(Trigger(name, 0.0, why) for name in SIGNATURES)
    scored = [_scored(name, *signature(crowd), crowd) for name, signature in SIGNATURES.items()]
    return tuple(sorted(scored, key=lambda trigger: -trigger.score))


def _scored(name: str, score: float, because: str, crowd: Crowd) -> Trigger:
    return Trigger(name, round(part(score, 1.0) * crowd.pressure, 3), because)


# ---- who is judged --------------------------------------------------------------------------------------------------


def _crowd(evidence: Evidence, noisy: Suspect | None) -> Crowd | None:
    table = measures.known(evidence.snapshot.table)
    source = noisy.source if noisy is not None else None
    held: Table | Source | None = source or table
    each = measures.scale(evidence, table) if table is not None else 1.0
    if held is None:
        return None
    read = held.read if isinstance(held, Table) else held.entries
    fills_it = table is not None and source is not None and part(source.entries, table.read) >= FILLS_IT
    # A short answer leaves a source's ages out; those of a table that it fills tell the same.
    ages = table.ages if table is not None and fills_it and not held.ages else held.ages
    return Crowd(
        read=max(0, read),
        each=each,
        states=held.states,
        unreplied=max(0, held.unreplied),
        targets=held.destinations if isinstance(held, Table) else held.targets,
        targets_distinct=held.destinations_distinct if isinstance(held, Table) else held.targets_distinct,
        ages=ages,
        closed_per_second=_per_second(ages, held.states, "TIME_WAIT", each),
        coupled=_coupled(held.sources if isinstance(held, Table) else (held,), read),
        names=_names(noisy),
        services=_services(evidence),
        pressure=_pressure(evidence),
    )


def _per_second(ages: Mapping[str, Ages], states: Mapping[str, int], state: str, each: float) -> float:
    return measures.entered_per_second(Source("", 0, states=states, ages=ages), state, each)


def _coupled(sources: Iterable[Source], read: int) -> float:
    """Counted for each opener by itself: one that only holds, beside one that only closes, is two triggers."""
    both = (2 * min(_number(source, OPEN[:1]), _number(source, CLOSED)) for source in sources)
    return part(sum(both), read)


def _number(source: Source, states: tuple[str, ...]) -> int:
    return sum(max(0, source.states.get(state, 0)) for state in states)


def _names(noisy: Suspect | None) -> str:
    return f"{noisy.namespace} {noisy.pod} {noisy.owner} {noisy.label}" if noisy is not None else ""


def _services(evidence: Evidence) -> Mapping[tuple[str, int], str]:
    """The names that the cluster gives to targets."""
    attribution = evidence.attribution
    named = attribution.destinations if attribution is not None else ()
    return {(each.target.address, each.target.port): each.name for each in named if each.name}


def _pressure(evidence: Evidence) -> float:
    fill = measures.fill(evidence)
    return 1.0 if fill is None else part(fill, AT_RISK)


# ---- the signatures: a score and the reason for it ------------------------------------------------------------------


def _short_lived_connections(crowd: Crowd) -> tuple[float, str]:
    closed = crowd.share(CLOSED)
    says = f"{percent(closed)} of the entries are closed connections that wait for their timeout"
    if crowd.closed_per_second >= 1:
        says += f", at the busiest about {count(crowd.closed_per_second)} closed a second"
    still_open = f"; {percent(crowd.share(OPEN))} are open" if crowd.share(OPEN) > 0 else ""
    return closed, f"{says}{_main_target(crowd)}{still_open}."


def _high_request_rate(crowd: Crowd) -> tuple[float, str]:
    closed, rate = crowd.share(CLOSED), crowd.closed_per_second
    alone = RATE_ALONE * closed if rate >= BUSY_PER_SECOND else 0.0
    says = f"{percent(crowd.coupled)} of the entries come from openers that hold and close connections in equal parts"
    return max(crowd.coupled, alone), f"{says}; at the busiest about {count(rate)} closed a second."


def _aggressive_retries(crowd: Crowd) -> tuple[float, str]:
    waiting, reset = crowd.share(HALF_OPEN), crowd.share(("CLOSE",))
    focused = crowd.focus(3) >= FOCUSED
    score = waiting * (1.0 if focused else UNFOCUSED) + (reset if reset >= RESETS else 0.0)
    says = f"{percent(waiting)} of the entries are half-open connections without an answer"
    if focused and waiting > 0:
        says += _main_target(crowd)
        says += ", an address that never answers" if measures.never_answers(crowd.unreplied, crowd.read) else ""
    return score, f"{says}; {percent(reset)} were reset." if reset > 0 else f"{says}."


def _dns_storm(crowd: Crowd) -> tuple[float, str]:
    dns = [target for target in crowd.targets if measures.is_dns(target)]
    entries = sum(max(0, target.entries) for target in dns)
    share = min(part(entries, crowd.read), crowd.share(DATAGRAMS))
    if not dns:
        return 0.0, f"No name server is among the targets; {percent(crowd.share(DATAGRAMS))} of the entries are UDP."
    rate = _per_second(crowd.ages, crowd.states, "UDP", crowd.each)
    says = (
        f"{percent(share)} of the entries are UDP to port 53, most to {visible(_name(dns[0], crowd) or dns[0].address)}"
    )
    says += f"; at the busiest about {count(rate)} UDP exchanges a second" if rate >= 1 else ""
    return share, f"{says}."


def _load_test(crowd: Crowd) -> tuple[float, str]:
    words = set(re.split(r"[^a-z0-9]+", crowd.names.lower()))
    named = words & LOAD_TEST_NAMES or ({"load", "test"} & words if {"load", "test"} <= words else set())
    hints = {
        "one target": crowd.focus(1) >= ONE_TARGET,
        "a steady rate": _is_steady(crowd),
        "started within the last minute": _is_young(crowd),
    }
    seen = [hint for hint, is_seen in hints.items() if is_seen]
    busy = crowd.closed_per_second >= BUSY_PER_SECOND
    score = (NAMED_LOAD_TEST if named else 0.0) + (LOAD_TEST_HINT * len(seen) if named or busy else 0.0)
    called = f"The name says so ({', '.join(sorted(named))})" if named else "No name says so"
    return score, f"{called}; signs of one: {', '.join(seen) or 'none'}."


def _idle_connections(crowd: Crowd) -> tuple[float, str]:
    held, half_closed, recent = (
        crowd.share(OPEN),
        crowd.share(("CLOSE_WAIT",)),
        _recent_part(crowd.ages.get("ESTABLISHED")),
    )
    in_use = 0.0 if recent is None else recent
    # What a closer holds open between two requests is the other trigger's, and was counted there.
    score = max(0.0, held - crowd.coupled / 2) * (1.0 - IN_USE * in_use)
    says = f"{percent(held)} of the entries are connections held open"
    if recent is not None:
        says += f", {percent(1 - recent)} of them without a packet for {RECENT_SECONDS:.0f} s"
    says += f"; {percent(half_closed)} are half-closed by the other side" if half_closed > 0 else ""
    if crowd.targets_distinct >= MANY_TARGETS:
        says += f"; they go to {count(crowd.targets_distinct)} different targets, as a scanner's do"
    return score, f"{says}{_main_target(crowd) if held > 0 else ''}."


SIGNATURES: Mapping[str, Callable[[Crowd], tuple[float, str]]] = {
    "short_lived_connections": _short_lived_connections,
    "high_request_rate": _high_request_rate,
    "aggressive_retries": _aggressive_retries,
    "dns_storm": _dns_storm,
    "load_test": _load_test,
    "idle_connections": _idle_connections,
}


# ---- what the ages tell ---------------------------------------------------------------------------------------------


def _recent_part(ages: Ages | None) -> float | None:
    """The part of the entries that changed within the last seconds; None where the buckets are too wide to tell."""
    if ages is None or not 0 < ages.bucket_seconds <= RECENT_SECONDS:
        return None
    recent = math.ceil(min(RECENT_SECONDS / ages.bucket_seconds, 1e6))
    counts = [max(0, number) for number in ages.counts]
    return part(sum(counts[:recent]), sum(counts)) if sum(counts) else None


def _closes(crowd: Crowd) -> tuple[list[int], float]:
    """Closes per bucket, from the first bucket that has any to the last, and when the oldest of them was."""
    ages = crowd.ages.get("TIME_WAIT")
    if ages is None or not 0 < ages.bucket_seconds < math.inf:
        return [], 0.0
    used = [index for index, number in enumerate(ages.counts) if number > 0]
    if not used:
        return [], 0.0
    return list(ages.counts[used[0] : used[-1] + 1]), (used[-1] + 1) * ages.bucket_seconds


def _is_steady(crowd: Crowd) -> bool:
    closes = [
        min(max(0, number), 2**62) for number in _closes(crowd)[0][1:-1]
    ]  # The ends are cut by the look, and the start.
    return len(closes) >= 3 and pstdev(closes) <= STEADY * fmean(closes)


def _is_young(crowd: Crowd) -> bool:
    closes, oldest = _closes(crowd)
    return bool(closes) and oldest <= YOUNG_SECONDS


def _main_target(crowd: Crowd) -> str:
    target = max(crowd.targets, key=lambda target: target.entries, default=None)
    if target is None or crowd.read <= 0:
        return ""
    name = _name(target, crowd) or f"{target.address} port {target.port}"
    if measures.never_answers(crowd.unreplied, crowd.read):
        name = name.removeprefix(OUTSIDE)
    share = part(target.entries, crowd.read)
    if share >= 1:
        return f", all to {visible(name)}"
    others = f" (of {counted(crowd.targets_distinct, 'target', 'targets')})" if crowd.targets_distinct > 1 else ""
    return f", {percent(share)} to {visible(name)}{others}"


def _name(target: Target, crowd: Crowd) -> str:
    return crowd.services.get((target.address, target.port), "")
