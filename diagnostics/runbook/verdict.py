"""The one-line answer, as a ladder of rules: the first that speaks decides.

A verdict follows from what the counters did during the look, never from usage alone nor from an old line in the kernel
log. What was not read never counts as healthy; what was read may prove exhaustion even where the rest is missing.
This file knows nothing of who fills the table (``noisy``), nor of what to do about it (``remedies``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diagnostics.model import Connects, Evidence, Lookalike, Usage, Verdict, VerdictKind
from diagnostics.runbook import measures
from diagnostics.runbook.measures import Flow, known
from diagnostics.runbook.words import count, counted, filled, percent, span

FULL = 0.98  # The garbage collector frees entries in batches: a table at its limit reads a little below it.
AT_RISK = 0.75  # kube-prometheus warns at the same fill (NodeHighNumberConntrackEntriesUsed).
SOON_SECONDS = 60.0  # A table that fills this fast is filling, however empty it looks now.
FRESH_LOG_SECONDS = (
    30.0  # A "table full" line this young belongs to what is going on now: the look itself takes seconds.
)
RECOVERED_SECONDS = 300.0  # Older lines are history: they are shown in the kernel log's step, and decide nothing.
DROPS_AMONG_EVICTIONS = 0.01  # Fewer drops than this per eviction, and every new connection working, is not dropping.
EVICTABLE = 0.10  # With this part evictable and one bucket per entry, 4 of 5 new connections were measured to work.
HANDFUL = 2  # Drops that mean nothing by themselves: two packets of one clash.
LOST_OF_TWENTY = 1  # One lost of twenty is bad luck; more is a symptom.
OURS = "perhaps only our own tries"  # Little else may have been tried during the look; whoever did met the same table.
MINUTES_LONG_ENOUGH = 3600.0  # An estimate of "full in days" from seconds of growth says nothing.


@dataclass(frozen=True, slots=True)
class Signs:
    """What the rules look at, computed once."""

    node: str
    evidence: Evidence
    lookalikes: tuple[Lookalike, ...]
    usage: Usage | None
    entries: int
    fill: float | None
    flow: Flow | None
    connects: Connects | None
    lost: int | None
    log_age: float | None

    @property
    def is_full(self) -> bool:
        """At the limit, or as near as a table at its limit reads."""
        return self.fill is not None and self.fill >= FULL

    @property
    def table_drops(self) -> int:
        """Drops that only a full table explains; 0 where they were not counted."""
        return (self.flow.table_drops or 0) if self.flow is not None else 0

    @property
    def drops_unknown(self) -> bool:
        """Whether the counter that decides was not read twice."""
        return self.flow is None or self.flow.drops is None

    @property
    def log_is_fresh(self) -> bool:
        """Whether the kernel logged "table full" during the look, or just before it."""
        return self.log_age is not None and self.log_age <= FRESH_LOG_SECONDS

    @property
    def connects_fail(self) -> bool:
        """Whether more of our own new connections were lost than bad luck explains."""
        return bool(self.lost and self.connects and self.lost * 20 > self.connects.attempts * LOST_OF_TWENTY)

    @property
    def connects_work(self) -> bool:
        """Whether new connections were tried, and got through."""
        return self.lost is not None and not self.connects_fail


def signs(evidence: Evidence, lookalikes: tuple[Lookalike, ...] = ()) -> Signs:
    """The signs that the rules look at."""
    return Signs(
        node=measures.node_name(evidence),
        evidence=evidence,
        lookalikes=lookalikes,
        usage=measures.usage(evidence),
        entries=measures.peak_entries(evidence) or 0,
        fill=measures.fill(evidence),
        flow=measures.flow(evidence),
        connects=known(evidence.snapshot.connects),
        lost=measures.lost_connects(evidence),
        log_age=measures.log_age_seconds(evidence),
    )


def verdict(evidence: Evidence, lookalikes: tuple[Lookalike, ...] = ()) -> Verdict:
    """What is going on, in one line. ``lookalikes`` are those of ``lookalikes.lookalikes(evidence)``."""
    seen = signs(evidence, lookalikes)
    return next(answer for rule in RULES if (answer := rule(seen)) is not None)


def is_under_pressure(evidence: Evidence) -> bool:
    """Whether the table is at, or near, its limit, so that it matters who holds it."""
    seen = signs(evidence)
    return any(rule(seen) is not None for rule in (_dropping, _evicting, _full_unmeasured, _full_quiet, _filling))


# ---- the rules, first to last ---------------------------------------------------------------------------------------


def _dropping(seen: Signs) -> Verdict | None:
    if seen.table_drops == 0 or seen.flow is None or _evictions_carry_it(seen):
        return None
    dropped = f"{counted(seen.table_drops, 'packet', 'packets')} dropped in {span(seen.flow.seconds)}"
    if seen.is_full:
        ours = f": {OURS}" if _drops_are_ours(seen) else ""
        return _exhausted(seen, f"its conntrack table is full ({_filled(seen)}, {dropped}{ours}{_tries(seen)})")
    if seen.fill is None and seen.log_is_fresh:
        return _exhausted(seen, f"the kernel says its conntrack table is full ({dropped}; usage was not read)")
    near = seen.fill is not None and seen.fill >= AT_RISK
    if seen.log_is_fresh or (near and seen.table_drops > measures.own_lost_packets(seen.evidence)):
        return _exhausted(seen, f"its conntrack table keeps filling up ({dropped}, {_filled(seen)} now{_tries(seen)})")
    return None


def _evictions_carry_it(seen: Signs) -> bool:
    """Whether evictions let practically every new connection in, so that a stray drop is not the story."""
    evictions = (seen.flow.evictions or 0) if seen.flow is not None else 0
    return seen.connects_work and seen.table_drops <= evictions * DROPS_AMONG_EVICTIONS


def _evicting(seen: Signs) -> Verdict | None:
    if seen.flow is None or seen.fill is None or seen.fill < AT_RISK:
        return None
    if seen.flow.evictions:
        evicted = f"{counted(seen.flow.evictions, 'entry', 'entries')} evicted in {span(seen.flow.seconds)}"
        return _evict(seen, f"{evicted}, {_drops(seen.flow)}{_tries(seen)}")
    table = known(seen.evidence.snapshot.table)
    evictable = measures.evictable_share(table) if table is not None else None
    if not (seen.is_full and seen.flow.evictions is None and seen.flow.drops == 0 and seen.connects_work):
        return None
    if evictable is None or evictable < EVICTABLE:
        return None
    return _evict(
        seen, f"this kernel does not count evictions; {percent(evictable)} of the entries may be{_tries(seen)}"
    )


def _full_unmeasured(seen: Signs) -> Verdict | None:
    if not (seen.is_full and seen.drops_unknown):
        return None
    if seen.connects_fail:
        return _exhausted(seen, f"its conntrack table is full ({_filled(seen)}{_tries(seen)})")
    if seen.log_age is not None and seen.log_is_fresh:
        said = f"the kernel logged a drop {span(seen.log_age)} ago{_tries(seen)}"
        return _exhausted(seen, f"its conntrack table is full ({_filled(seen)}; {said})")
    return _inconclusive(
        seen, f"conntrack table is full ({_filled(seen)}), but the drop counter was not read twice: look again"
    )


def _full_quiet(seen: Signs) -> Verdict | None:
    """Full, and nothing dropped or evicted: nobody tried, or entries expire as fast as new ones come."""
    if not seen.is_full or seen.flow is None:
        return None
    quiet = f"conntrack table is full ({_filled(seen)}), and no packet was dropped for it in {span(seen.flow.seconds)}"
    if seen.connects_fail:
        return _inconclusive(seen, f"{quiet}, yet new connections fail{_tries(seen)}: look again in 10 s")
    return Verdict(VerdictKind.FILLING, f"{seen.node}'s {quiet}{_tries(seen)}: the next burst will be dropped")


def _lookalike_that_hurts(seen: Signs) -> Verdict | None:
    """Another cause was found, and new connections fail or conntrack drops for a reason other than a full table."""
    other_drops = seen.flow is not None and (seen.flow.drops or 0) > max(HANDFUL, seen.table_drops)
    return _lookalike(seen) if seen.connects_fail or other_drops else None


def _filling(seen: Signs) -> Verdict | None:
    if seen.fill is None:
        return None
    soon = _seconds_to_full(seen)
    if seen.fill < AT_RISK and not (soon is not None and soon <= SOON_SECONDS):
        return None
    if soon is not None:
        when = f"full in {span(soon)} at this rate"
    else:
        when = (
            "not growing" if seen.flow is not None and seen.flow.growth_per_second is not None else "growth not known"
        )
    measured = "" if not seen.drops_unknown else "; whether it drops was not counted"
    says = f"conntrack table is {percent(seen.fill)} full ({_filled(seen)}), {when}{_tries(seen)}{measured}"
    return Verdict(VerdictKind.FILLING, f"{seen.node}'s {says}")


def _not_looked(seen: Signs) -> Verdict | None:
    if seen.usage is not None:
        return None
    why = measures.why_unknown(seen.evidence.snapshot.usage) if not known(seen.evidence.snapshot.usage) else "absurd"
    return _inconclusive(seen, f"conntrack usage could not be read ({why}), so I do not know{_tries(seen)}")


def _another_table(seen: Signs) -> Verdict | None:
    """A nearly empty table proves nothing where the traffic is tracked somewhere else."""
    if any(other.name == "cilium" and other.status == "found" for other in seen.lookalikes):
        says = f"{seen.node} tracks its traffic in Cilium's eBPF maps, not in nf_conntrack ({_filled(seen)})"
        return Verdict(VerdictKind.LOOKALIKE, f"{says}: a low usage proves nothing, read Cilium's own maps", "cilium")
    if measures.is_elsewhere(seen.evidence):
        return _inconclusive(seen, f"own table was not seen: I looked in another network namespace ({_filled(seen)})")
    if seen.entries == 0 or (seen.entries <= measures.NEARLY_EMPTY and _pods_running(seen) > measures.NEARLY_EMPTY):
        held = counted(seen.entries, "entry", "entries")
        why = "nothing is tracked here, or this is not the node's network namespace, or the traffic runs through eBPF"
        return _inconclusive(seen, f"conntrack table holds {held}: {why}")
    return None


def _lookalike(seen: Signs) -> Verdict | None:
    found = [other for other in seen.lookalikes if other.status == "found" and other.name != "cilium"]
    if not found:
        return None
    says = f"{seen.node}'s conntrack table is not the cause ({_filled(seen)}{_tries(seen)}). {found[0].says}"
    return Verdict(VerdictKind.LOOKALIKE, says, found[0].name)


def _odd_drops(seen: Signs) -> Verdict | None:
    """Drops in a table with room, which no counter explains: a helper, a filter, or the table of a pod."""
    if seen.flow is None or (seen.flow.drops or 0) <= HANDFUL:
        return None
    dropped = f"{counted(seen.flow.drops or 0, 'packet', 'packets')} in {span(seen.flow.seconds)}"
    ours = f", {OURS}" if _drops_are_ours(seen) else ""
    says = f"conntrack dropped {dropped}{ours}, but the table has room ({_filled(seen)}): another cause"
    return _inconclusive(seen, f"{says}, not found yet{_tries(seen)}")


def _failing(seen: Signs) -> Verdict | None:
    if not seen.connects_fail:
        return None
    counted_or_not = "the drop counter was not read twice" if seen.drops_unknown else "no drops"
    return _inconclusive(
        seen,
        f"new connections fail{_tries(seen)}, and its conntrack table is not full ({_filled(seen)}, {counted_or_not})",
    )


def _recovered(seen: Signs) -> Verdict | None:
    if seen.drops_unknown or seen.log_age is None or seen.log_age > RECOVERED_SECONDS:
        return None
    says = f"accepts new connections again: its conntrack table was full {span(seen.log_age)} ago"
    return Verdict(VerdictKind.RECOVERED, f"{seen.node} {says}, now {_filled(seen)} and no drops{_tries(seen)}")


def _nothing_counted(seen: Signs) -> Verdict | None:
    if not seen.drops_unknown or seen.connects_work:
        return None
    return _inconclusive(
        seen, f"conntrack table has room ({_filled(seen)}), but neither drops nor new connections could be measured"
    )


def _healthy(seen: Signs) -> Verdict:
    if seen.flow is None or seen.flow.drops is None:
        drops = "drops not counted"
    elif seen.flow.drops:
        drops = f"{counted(seen.flow.drops, 'stray drop', 'stray drops')} in {span(seen.flow.seconds)}"
    else:
        drops = f"no drops in {span(seen.flow.seconds)}"
    return Verdict(
        VerdictKind.HEALTHY, f"{seen.node}'s conntrack table is fine: {_filled(seen)}, {drops}{_tries(seen)}"
    )


RULES: tuple[Callable[[Signs], Verdict | None], ...] = (
    _dropping,
    _evicting,
    _full_unmeasured,
    _full_quiet,
    _lookalike_that_hurts,
    _filling,
    _not_looked,
    _another_table,
    _lookalike,
    _odd_drops,
    _failing,
    _recovered,
    _nothing_counted,
    _healthy,
)


# ---- the words of a headline ----------------------------------------------------------------------------------------


def _exhausted(seen: Signs, why: str) -> Verdict:
    return Verdict(VerdictKind.EXHAUSTED, f"{seen.node} is dropping new connections: {why}")


def _evict(seen: Signs, how: str) -> Verdict:
    says = f"{seen.node}'s conntrack table is full: new connections evict half-open ones and DNS"
    return Verdict(VerdictKind.EVICTING, f"{says} ({_filled(seen)}, {how})")


def _inconclusive(seen: Signs, says: str) -> Verdict:
    """A headline that begins with the node, as its owner or as the subject."""
    joint = ":" if says.startswith(("new connections", "conntrack dropped")) else "'s"
    return Verdict(VerdictKind.INCONCLUSIVE, f"{seen.node}{joint} {says}")


def _filled(seen: Signs) -> str:
    return filled(seen.entries, seen.usage.limit if seen.usage is not None else 0)


def _tries(seen: Signs) -> str:
    """How our own new connections fared, as the last part of a list; nothing where none were tried."""
    if seen.connects is None or seen.lost is None:
        return ""
    if seen.lost == 0:
        return f", {count(seen.connects.attempts)} of {count(seen.connects.attempts)} new connections work"
    return f", {count(seen.lost)} of {count(seen.connects.attempts)} new connections failed"


def _drops(flow: Flow) -> str:
    if flow.drops is None:
        return "drops not counted"
    return f"{counted(flow.drops, 'packet', 'packets')} dropped" if flow.drops else "none dropped"


def _drops_are_ours(seen: Signs) -> bool:
    """Whether the probe's own attempts alone explain the drops: little else may have been tried."""
    drops = (seen.flow.drops or 0) if seen.flow is not None else 0
    return 0 < drops <= measures.own_lost_packets(seen.evidence)


def _seconds_to_full(seen: Signs) -> float | None:
    """The time left, where the table grows and the time is short enough to mean something."""
    if seen.flow is None or not (seen.flow.growth_per_second or 0) > 0:
        return None
    seconds = seen.flow.seconds_to_full
    return seconds if seconds is not None and seconds <= MINUTES_LONG_ENOUGH else None


def _pods_running(seen: Signs) -> int:
    view = seen.evidence.cluster
    pods = known(view.pods) if view is not None else None
    return sum(1 for pod in pods or () if not pod.host_network and not pod.is_over and not pod.is_probe)
