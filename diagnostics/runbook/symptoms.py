"""The runbook's first half: what people see, and what the kernel says. Ping, new connections, usage, the kernel log.

Each function reads a case and says what was seen there; none decides anything. Where the runbook's word is dated, and
it matters here, the step says the runbook's word and today's truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from diagnostics.model import Connects, KernelLog, Shown, Status, Usage, VerdictKind
from diagnostics.runbook import measures
from diagnostics.runbook.case import Case
from diagnostics.runbook.lookalikes import FOUND
from diagnostics.runbook.said import Said, not_seen
from diagnostics.runbook.verdict import AT_RISK, FRESH_LOG_SECONDS, FULL, LOST_OF_TWENTY
from diagnostics.runbook.words import count, counted, is_over, milliseconds, percent, span, visible

DECIDING = ("drop", "early_drop", "insert_failed")


# The probe's words for a ping that was never sent, and what a person is told instead.
NOT_TRIED = {
    "not permitted": "the look goes without the right to ping, on purpose",
    "no default gateway": "this node has no default gateway to ping",
}
FAILURES = {
    "timeout": "timed out",
    "refused": "refused",
    "EPERM": "refused by the kernel",
    "EHOSTUNREACH": "without a way to the host",
    "ENETUNREACH": "without a way to the network",
}


def ping(case: Case) -> Said:
    """The misleading check."""
    seen = measures.known(case.evidence.snapshot.ping)
    if seen is None or seen.sent <= 0:
        return _no_ping(case)
    what = visible(seen.what or seen.address)
    answered = f"{count(seen.answered)} of {count(seen.sent)} new pings to {what} were answered"
    fastest = f", the fastest after {milliseconds(min(seen.seconds))}" if seen.seconds else ""
    failed = f" ({_reasons(seen.failed)})" if seen.failed else ""
    correction = (
        "The runbook's ping succeeds on a full table. Only one that ran before does: each new one needs a new entry."
    )
    return Said(
        status=Status.OK if seen.answered >= seen.sent else Status.WARN,
        says=f"{answered}{fastest}{failed}.",
        means="It tells nothing of new TCP connections.",
        correction=correction if case.is_failing else "",
        evidence=(
            Shown(f"ping -c {seen.sent} {visible(seen.address)}", f"{seen.sent} sent, {seen.answered} received"),
        ),
    )


def _no_ping(case: Case) -> Said:
    """A ping that could not be tried is no gap: its answer would have decided nothing."""
    why = measures.why_unknown(case.evidence.snapshot.ping)
    for words, reason in NOT_TRIED.items():
        if words in why:
            says = f"Not tried: {reason}. It would have told nothing of new TCP connections, either way."
            return Said(Status.SKIPPED, says)
    return not_seen("A ping", case.evidence.snapshot.ping)


def new_connections(case: Case) -> Said:
    """The real symptom."""
    seen = measures.known(case.evidence.snapshot.connects)
    lost = measures.lost_connects(case.evidence)
    if seen is None or lost is None:
        return not_seen("New connections were", case.evidence.snapshot.connects)
    where = visible(seen.what or f"{seen.address} port {seen.port}")
    command = f"curl --max-time 1 --output /dev/null telnet://{_host(seen)}:{seen.port}"
    shown = Shown(f"for i in $(seq {seen.attempts}); do {command}; done", _tally(seen))
    if lost == 0:
        works = (
            f"{count(seen.attempts)} of {count(seen.attempts)} new connections to {where} got an answer{_speed(seen)}"
        )
        return Said(_after_loss(seen), f"{works}{_again(seen)}.", _if_all_work(case), evidence=(shown,))
    says = f"{count(lost)} of {count(seen.attempts)} new connections to {where} failed ({_reasons(seen.failed)})"
    refused = seen.failed.get("refused", 0)
    says += f"; {count(refused)} more were refused, which is an answer" if refused > 0 else ""
    bad = lost * 20 > seen.attempts * LOST_OF_TWENTY
    means = "Connections that are already open still work"
    means += ": that is the randomness." if lost >= seen.attempts else ", and some new ones: that is the randomness."
    if not case.is_failing:
        means = "The table does not explain it: see the look-alikes."
    return Said(Status.BAD if bad else Status.WARN, f"{says}{_again(seen)}.", means, evidence=(shown,))


def _after_loss(seen: Connects) -> Status:
    return Status.WARN if seen.retransmitted > 0 else Status.OK


def _if_all_work(case: Case) -> str:
    if case.verdict.kind is VerdictKind.EVICTING:
        return "Each one pushed out the entry of a half-open connection or of a lookup, which then fails instead."
    return "The others may still see failures in bursts." if case.verdict.kind is VerdictKind.EXHAUSTED else ""


def _speed(seen: Connects) -> str:
    return f", the slowest after {milliseconds(max(seen.seconds))}" if seen.seconds else ""


def _again(seen: Connects) -> str:
    if seen.retransmitted <= 0:
        return ""
    return f"; {count(seen.retransmitted)} only after their first packet was lost and sent again"


def _reasons(failed: Mapping[str, int]) -> str:
    """The reasons for failures, most frequent first. A refusal is an answer, not a failure."""
    most = sorted(((name, number) for name, number in failed.items() if name != "refused"), key=lambda one: -one[1])
    if not most:
        return "no reason given"
    if len(most) == 1:
        return f"all {_failure(most[0][0])}"
    return ", ".join(f"{count(number)} {_failure(name)}" for name, number in most[:3])


def _failure(name: str) -> str:
    return FAILURES.get(name, visible(str(name)))


def _host(seen: Connects) -> str:
    address = visible(seen.address)
    return f"[{address}]" if ":" in address else address


def _tally(seen: Connects) -> str:
    failed = ", ".join(f"{count(number)} {_failure(name)}" for name, number in seen.failed.items())
    return f"{count(seen.connected)} of {count(seen.attempts)} connected{', ' if failed else ''}{failed}"


# ---- usage ----------------------------------------------------------------------------------------------------------


def usage(case: Case) -> Said:
    """The source of truth: the fill, and what the counters did."""
    evidence = case.evidence
    read, fill = measures.usage(evidence), measures.fill(evidence)
    if read is None or fill is None:
        return not_seen("The table's usage was", evidence.snapshot.usage)
    full = fill >= FULL
    says = f"nf_conntrack_count {count(read.entries)}, nf_conntrack_max {_limit(read)}: {_fill(read, fill)}."
    correction = ""
    if full and case.verdict.kind is not VerdictKind.EXHAUSTED:
        correction = (
            "The runbook says that a full table drops. It first evicts entries that are not ASSURED: "
            "the counters, not the fill, tell whether it drops."
        )
    return Said(
        _usage_status(case, fill), f"{says} {_counters(case)}", _room(case, read), correction, _usage_shown(case, read)
    )


def _usage_status(case: Case, fill: float) -> Status:
    if case.is_failing or fill >= FULL:
        return Status.BAD
    if fill >= AT_RISK or case.is_pressed:
        return Status.WARN
    untrusted = case.verdict.kind is VerdictKind.INCONCLUSIVE and not measures.lost_connects(case.evidence)
    return Status.UNKNOWN if untrusted else Status.OK


def _limit(read: Usage) -> str:
    return count(read.limit) if read.limit else "0 (no limit)"


def _fill(read: Usage, fill: float) -> str:
    if read.limit == 0:
        return "it cannot be full"
    if is_over(read.entries, read.limit):
        return f"full, and {count(read.entries - read.limit)} over the limit"
    if fill >= 1:
        return "full"
    return f"{percent(fill)} full"


def _counters(case: Case) -> str:
    flow = measures.flow(case.evidence)
    if flow is None:
        return f"What the kernel drops now is not known: {visible(measures.why_unknown(case.evidence.rates))}."
    parts = [
        _counted(flow.drops, "dropped", "packet", "packets"),
        _counted(flow.evictions, "evicted", "entry", "entries"),
    ]
    said = f"In {span(flow.seconds)} the kernel {' and '.join(parts)}"
    if flow.drops and flow.table_drops is not None and flow.table_drops < flow.drops:
        said += f" ({count(flow.drops - flow.table_drops)} of the drops have another cause: the insert failed)"
    own = measures.own_lost_packets(case.evidence)
    if flow.drops and flow.drops <= own:
        said += "; our own attempts alone explain them"
    return f"{said}."


def _counted(number: int | None, verb: str, one: str, many: str) -> str:
    return f"{verb} {counted(number, one, many)}" if number is not None else f"does not say how many {many} it {verb}"


def _room(case: Case, read: Usage) -> str:
    """What follows: how fast it grows, and whether its parts fit each other."""
    flow = measures.flow(case.evidence)
    growth = flow.growth_per_second if flow is not None else None
    parts = []
    if is_over(read.entries, read.limit):
        above = count(read.entries - read.limit)
        parts.append(
            f"The limit was lowered below what was there: until {above} entries are gone, "
            "each new connection evicts another, or is dropped"
        )
    elif growth is not None and abs(growth) >= 1 and read.entries < read.limit:
        way = "grows" if growth > 0 else "shrinks"
        parts.append(f"It {way} by {counted(round(abs(growth)), 'entry', 'entries')} a second")
    if read.buckets is not None and read.buckets > 0 and read.limit > 4 * read.buckets:
        parts.append(f"{count(read.buckets)} hash buckets are too few for this limit (a quarter of it is the rule)")
    return "; ".join(parts) + "." if parts else ""


def _usage_shown(case: Case, read: Usage) -> tuple[Shown, ...]:
    shown = Shown(
        "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
        f"net.netfilter.nf_conntrack_count = {read.entries}\nnet.netfilter.nf_conntrack_max = {read.limit}",
    )
    samples = measures.known(case.evidence.snapshot.counters) or ()
    if len(samples) < 2:
        return (shown,)
    seconds = samples[-1].at - samples[0].at
    lines = [_telling(sample.counts) for sample in samples]
    command = f"conntrack -S; sleep {seconds:.0f}; conntrack -S" if 0 < seconds < 1000 else "conntrack -S"
    return (shown, Shown(command, "\n".join(visible(line) for line in (lines[0], lines[-1]))))


def _telling(counts: Mapping[str, int]) -> str:
    """The counters that decide, and those that ever counted something."""
    first = {name: counts[name] for name in DECIDING if name in counts}
    rest = {name: number for name, number in sorted(counts.items()) if number and name not in DECIDING}
    return " ".join(f"{name}={number}" for name, number in (first | rest).items())


# ---- the kernel log -------------------------------------------------------------------------------------------------


def kernel_log(case: Case) -> Said:
    """What the kernel says of it: a hint with an age, never the proof."""
    log = measures.known(case.evidence.snapshot.kernel_log)
    if log is None:
        return not_seen("The kernel log was", case.evidence.snapshot.kernel_log)
    age = measures.log_age_seconds(case.evidence)
    correction = ""
    if log.table_full > 0 or case.is_failing:
        correction = (
            "The runbook calls this line definitive proof. It is rate-limited and stays for days: "
            "the drop counter is the proof."
        )
    shown = (Shown("dmesg | grep -iE 'conntrack.*table full|net_ratelimit'", _lines(case, log)),)
    return Said(_log_status(case, log, age), _log_says(case, log, age), _log_means(case, log, age), correction, shown)


def _log_status(case: Case, log: KernelLog, age: float | None) -> Status:
    if log.table_full > 0 and age is not None and age <= FRESH_LOG_SECONDS:
        return Status.BAD if case.is_failing else Status.WARN
    return Status.WARN if log.table_full > 0 or _is_a_pods(case) else Status.OK


def _is_a_pods(case: Case) -> bool:
    """Whether it is a pod's own table that is full."""
    return any(other.name == "other_namespace" and other.status == FOUND for other in case.lookalikes)


def _lines(case: Case, log: KernelLog) -> str:
    """The lines about the node's own table, equal ones once; a pod's only where that pod's table is the matter."""
    own = case.evidence.snapshot.node.netns
    kept = [line.text for line in log.lines if line.netns in (None, own) or _is_a_pods(case)]
    said = []
    for text, alike in Counter(kept).items():
        more = f" ({count(alike - 1)} more like it)" if alike > 1 else ""
        said.append(f"{visible(text)}{more}")
    return "\n".join(said) or "(no such line)"


def _log_says(case: Case, log: KernelLog, age: float | None) -> str:
    if log.table_full <= 0:
        says = f"No line says that the node's table is full{_since(case, log)}"
    else:
        when = f", the last {span(age)} ago" if age is not None else ", of unknown age"
        says = f"{counted(log.table_full, 'line says', 'lines say')} that the table is full{when}"
    if log.suppressed > 0:
        says += f", {count(log.suppressed)} more suppressed"
    if log.other_netns > 0:
        says += f"; {counted(log.other_netns, 'line is', 'lines are')} about a pod's own table"
    return f"{says}."


def _since(case: Case, log: KernelLog) -> str:
    age = case.evidence.snapshot.node.uptime - log.first_at if log.first_at is not None else -1.0
    return f" (the log reaches back {span(age)})" if age > 0 else ""


def _log_means(case: Case, log: KernelLog, age: float | None) -> str:
    if case.is_failing and log.table_full <= 0:
        return "A silent log fits: the line is rate-limited, and evictions print none."
    if log.table_full > 0 and age is not None and age > FRESH_LOG_SECONDS:
        return "That is old: the table was full then, which says nothing of now."
    return ""
