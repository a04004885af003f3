"""What the numbers amount to: fill, drops net of other causes, rates that follow from the age histogram.

Arithmetic only. It must not know what a number is good or bad for (``verdict`` does), nor how it is told (``words``
does). A number that was not read, or cannot be true, comes out as None, never as 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from diagnostics.model import Ages, Evidence, KernelLog, Known, Rates, Reading, Source, Table, Target, Unknown, Usage

T = TypeVar("T")

RATE_WINDOW_SECONDS = 10.0  # Measured to give 99.8 closes a second where 100.0 were true.
LIFETIME_SECONDS = {"TIME_WAIT": 120.0, "SYN_SENT": 120.0, "CLOSE": 10.0, "UDP": 30.0, "ICMP": 30.0}
"""The kernel's default timeouts of the states that a connection ends in, or never leaves (nf_conntrack_proto_*.c)."""
OWN_SYNS_PER_LOST_CONNECT = (
    2  # The probe waits 1.2 s for each connection: a first SYN, and one retransmission after 1 s.
)
MOST = 0.9  # Of entries: the last tenth may be others', or connections that stay open for days, and matters little.
NEARLY_EMPTY = 3  # The kubelet's connection to the API server and the probe's own already make more on a node.


def known(reading: Reading[T] | None) -> T | None:
    """The value, or None where it was not read."""
    return reading.value if isinstance(reading, Known) else None


def why_unknown(reading: Reading[T] | None) -> str:
    """Why it was not read, in words."""
    return reading.why if isinstance(reading, Unknown) else "not asked"


def part(some: float, whole: float) -> float:
    """``some`` of ``whole``, between 0 and 1; 0 where the numbers make no sense."""
    try:
        share = some / whole
    except (ZeroDivisionError, OverflowError):
        return 0.0
    return min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0


def usage(evidence: Evidence) -> Usage | None:
    """The table's fill, or None where it was not read or cannot be true."""
    read = known(evidence.snapshot.usage)
    return read if read is not None and read.entries >= 0 and read.limit >= 0 else None


def peak_entries(evidence: Evidence) -> int | None:
    """The most entries seen during the look: a table at its limit breathes, and one reading may hit the trough."""
    read = usage(evidence)
    samples = known(evidence.snapshot.counters) or ()
    seen = [sample.entries for sample in samples if sample.entries is not None]
    return max([read.entries, *seen]) if read is not None else None


def fill(evidence: Evidence) -> float | None:
    """The most entries seen per limit, 1.0 and more being full; 0 where the kernel sets no limit; None: not read."""
    read, peak = usage(evidence), peak_entries(evidence)
    if read is None or peak is None:
        return None
    if read.limit == 0:
        return 0.0
    return peak / read.limit if peak < read.limit * 1000 else 1000.0


@dataclass(frozen=True, slots=True)
class Flow:
    """The counters' growth over ``seconds``. ``table_drops`` are the drops that no other counted cause explains."""

    seconds: float
    drops: int | None
    evictions: int | None
    insert_failed: int | None
    table_drops: int | None
    growth_per_second: float | None
    seconds_to_full: float | None


def flow(evidence: Evidence) -> Flow | None:
    """What the counters did during the look, or None where they were not read twice."""
    rates = known(evidence.rates)
    if rates is None or not rates.seconds > 0:
        return None
    drops = _grown(evidence, "drop", rates.drops)
    insert_failed = _grown(evidence, "insert_failed", rates.insert_failed)
    # An entry that clashes, finds no NAT port or a too long chain counts as a drop as well (nf_conntrack_core.c).
    elsewhere = max(insert_failed or 0, _grown(evidence, "chaintoolong", rates.chaintoolong) or 0)
    return Flow(
        seconds=rates.seconds,
        drops=drops,
        evictions=_grown(evidence, "early_drop", rates.early_drops),
        insert_failed=insert_failed,
        table_drops=None if drops is None else max(0, drops - elsewhere),
        growth_per_second=_finite(rates.growth_per_second),
        seconds_to_full=_seconds_to_full(rates),
    )


def _grown(evidence: Evidence, name: str, change: int | None) -> int | None:
    """A counter's growth; None where it went backwards in between, because then the difference means nothing."""
    if change is None or change < 0:
        return None
    seen = [sample.counts[name] for sample in known(evidence.snapshot.counters) or () if name in sample.counts]
    return None if any(later < earlier for earlier, later in pairwise(seen)) else change


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def _seconds_to_full(rates: Rates) -> float | None:
    seconds = _finite(rates.seconds_to_full)
    return seconds if seconds is not None and seconds >= 0 else None


def lost_connects(evidence: Evidence) -> int | None:
    """New connections of our own that got no answer. A refusal is an answer: the packets passed."""
    tried = known(evidence.snapshot.connects)
    if tried is None or tried.attempts <= 0:
        return None
    return max(0, tried.attempts - tried.connected - tried.failed.get("refused", 0))


def own_lost_packets(evidence: Evidence) -> int:
    """How many packets of our own probe may be among the drops counted."""
    ping, connects = known(evidence.snapshot.ping), known(evidence.snapshot.connects)
    packets = OWN_SYNS_PER_LOST_CONNECT * (lost_connects(evidence) or 0)
    packets += max(0, connects.retransmitted) if connects is not None else 0
    return packets + (max(0, ping.sent - ping.answered) if ping is not None else 0)


def log_age_seconds(evidence: Evidence) -> float | None:
    """Seconds since the node's own namespace last logged "table full"; None where there is no such line."""
    log: KernelLog | None = known(evidence.snapshot.kernel_log)
    now = evidence.snapshot.node.uptime
    if log is None or log.last_at is None or not now > 0 or not math.isfinite(now - log.last_at):
        return None
    return max(0.0, now - log.last_at)


def scale(evidence: Evidence, table: Table) -> float:
    """How many entries of the whole table one entry that was read stands for."""
    entries = peak_entries(evidence)
    if table.whole or entries is None or table.read <= 0 or entries <= table.read:
        return 1.0
    return entries / table.read if entries < table.read * 10**9 else 1.0


def busiest_per_second(ages: Ages | None, each: float = 1.0) -> float:
    """The most entries that came into a state per second, over any ten seconds the histogram covers.

    The busiest ten, not the latest: once a table is full nothing new comes in, and the last seconds look calm.
    """
    if ages is None or not 0 < ages.bucket_seconds < math.inf:
        return 0.0
    counts = [max(0, number) for number in ages.counts]
    buckets = max(1, min(len(counts), round(min(RATE_WINDOW_SECONDS / ages.bucket_seconds, 1e6))))
    sums = [sum(counts[start : start + buckets]) for start in range(len(counts) - buckets + 1)]
    rate = max(sums, default=0) / (buckets * ages.bucket_seconds) * each
    return rate if math.isfinite(rate) else 0.0


def entered_per_second(held: Table | Source, state: str, each: float) -> float:
    """New entries of a state per second: from the ages where they are there, else from Little's law."""
    rate = busiest_per_second(held.ages.get(state), each)
    if rate > 0 or state in held.ages:
        return rate
    lifetime = LIFETIME_SECONDS.get(state)
    return max(0, held.states.get(state, 0)) * each / lifetime if lifetime is not None else 0.0


def arrivals_per_second(evidence: Evidence) -> float | None:
    """New entries per second, at the busiest; None where neither the ages nor the growth tell."""
    table, counted = known(evidence.snapshot.table), flow(evidence)
    rate = 0.0
    if table is not None:
        each = scale(evidence, table)
        rate = sum(entered_per_second(table, state, each) for state in LIFETIME_SECONDS)
    growth = counted.growth_per_second if counted is not None else None
    rate = max(rate, growth or 0.0)
    return rate if rate > 0 and math.isfinite(rate) else None


def seconds_until_most_expired(source: Source, timeouts: Mapping[str, int]) -> float | None:
    """How long nine of ten of the entries stay if nothing touches them; None where their timeouts are not known."""
    left: list[tuple[float, int]] = []
    for state, number in source.states.items():
        ages = source.ages.get(state)
        if ages is not None and sum(ages.counts) > 0:
            left += [(ages.timeout - at * ages.bucket_seconds, counted) for at, counted in enumerate(ages.counts)]
        else:
            left.append((_timeout(state, timeouts), number))
    gone, wanted = 0, MOST * sum(number for _, number in left)
    for seconds, number in sorted(left):
        gone += max(0, number)
        if gone and gone >= wanted:
            return max(0.0, seconds) if math.isfinite(seconds) else None
    return None


def _timeout(state: str, timeouts: Mapping[str, int]) -> float:
    name = state.lower()
    return timeouts.get(name, timeouts.get(f"tcp_{name}", LIFETIME_SECONDS.get(state, math.inf)))


def share_of(held: Mapping[str, int], names: tuple[str, ...], whole: int) -> float:
    """The part of ``whole`` that the named states hold."""
    return part(sum(max(0, held.get(name, 0)) for name in names), whole)


def never_answers(unreplied: int, entries: int) -> bool:
    """Whether next to nothing of what was asked got an answer."""
    return part(unreplied, entries) >= MOST


def is_dns(target: Target) -> bool:
    """Whether a target is a name server, over UDP."""
    return target.port == 53 and target.protocol.lower() in ("udp", "17")


def evictable_share(table: Table) -> float | None:
    """The part of the entries that the kernel may evict for a new one: those that are not ASSURED."""
    return 1.0 - part(table.assured, table.read) if table.read > 0 else None


def is_elsewhere(evidence: Evidence) -> bool:
    """Whether the look happened in a network namespace that is not the node's.

    A node's address on a local interface proves the right place even where the namespace is not the initial one: a
    node may itself live in a namespace (kind, nested clusters).
    """
    node = evidence.snapshot.node
    if node.init_netns is not False:
        return False
    view = evidence.cluster
    kube_node = known(view.node) if view is not None else None
    expected = set(kube_node.addresses) if kube_node is not None else set()
    here = set(node.addresses)
    if "node.addresses" in evidence.snapshot.left_out and not expected & here:
        return False
    return not (expected & here) and not any(address and address in evidence.target for address in here)


def node_name(evidence: Evidence) -> str:
    """The node's name: as the cluster has it, else as it was asked for, else as the machine calls itself."""
    view = evidence.cluster
    kube_node = known(view.node) if view is not None else None
    if kube_node is not None and kube_node.name:
        return kube_node.name
    if evidence.target and evidence.target != "local" and "/" not in evidence.target:
        return evidence.target
    return evidence.snapshot.node.name or evidence.target or "this node"
