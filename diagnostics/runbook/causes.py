"""The runbook's second half: why it happens here. Kubernetes, the trigger, the silence, the churn.

Each function reads a case and says what was seen there; none decides anything.
"""

from __future__ import annotations

from diagnostics.model import NamedTarget, Shown, Status, Table, VerdictKind
from diagnostics.runbook import limits, measures
from diagnostics.runbook.case import Case
from diagnostics.runbook.lookalikes import FOUND, RULED_OUT, UNKNOWN, Group
from diagnostics.runbook.measures import part
from diagnostics.runbook.said import Said, not_seen
from diagnostics.runbook.words import count, counted, listed, percent, sentence, span, visible

TITLES = {
    "high_request_rate": "high request rate",
    "aggressive_retries": "aggressive retries",
    "short_lived_connections": "short-lived connections",
    "dns_storm": "DNS storm",
    "load_test": "load test",
    "idle_connections": "idle connections",
}
SHOWN_TARGETS = 5
SHOWN_UNKNOWN = 5  # More names than this tell only that little was read.
FAINT = 0.05  # A score below this is not worth a word.
FAINT_TARGET = 0.01  # A target with less of the table explains nothing.
COUNT_TARGETS = (
    r"conntrack -L | sed -nE 's/^(\S+) [^=]*src=\S+ (dst=\S+) sport=\S+ (dport=\S+) .*/\2 \3 \1/p'"
    " | sort | uniq -c | sort -rn"
)
CLOSED_LIFETIME_SECONDS = 120  # The kernel's default for TIME_WAIT, where the node's own was not read.
LOOKUP_LIFETIME_SECONDS = 30  # The kernel's default for UDP that was answered once (nf_conntrack_proto_udp.c).
NOT_REWRITTEN = "no entry was rewritten by a Service"
RESENT = 0.01  # TCP sends a little again on any network.
SILENT = {
    VerdictKind.EXHAUSTED: "Packets are dropped without a word: no reset, no ICMP error, so applications wait. Names "
    "fail first, because each lookup needs a new entry.",
    VerdictKind.EVICTING: "An eviction is silent: whoever lost the entry waits for an answer until it gives up.",
}


def kubernetes(case: Case) -> Said:
    """Why Kubernetes makes it worse here: every Service connection is rewritten, and tracked for it."""
    view = case.evidence.cluster
    table = measures.known(case.evidence.snapshot.table)
    if view is None and table is None:
        return Said(Status.UNKNOWN, "Neither the cluster nor the table could be asked.")
    parts = [_proxy(case)]
    if table is not None and table.read > 0:
        share = part(table.dnat, table.read)
        parts.append(f"{percent(share)} of the entries were rewritten by a Service" if share > 0 else NOT_REWRITTEN)
    restarts = view.restarts if view is not None else None
    if restarts:
        parts.append(f"{counted(restarts, 'container', 'containers')} restarted in the last hour")
    means = _price(case) if table is None or table.dnat > 0 else ""
    if restarts and case.is_failing:
        means += " Restarts may be a symptom: the kubelet's probes are new connections too."
    status = Status.WARN if case.is_pressed else Status.OK
    return Said(status, f"{'; '.join(parts)}.", means)


def _price(case: Case) -> str:
    timeouts = measures.known(case.evidence.snapshot.timeouts) or {}
    if case.trigger is not None and case.trigger.name == "dns_storm":
        lifetime = timeouts.get("udp", LOOKUP_LIFETIME_SECONDS)
        return f"Each lookup through a Service costs one entry, for {count(lifetime)} s after its answer."
    lifetime = timeouts.get("tcp_time_wait", CLOSED_LIFETIME_SECONDS)
    return f"Each connection to a Service costs one entry, for {count(lifetime)} s after it is closed."


def _proxy(case: Case) -> str:
    view = case.evidence.cluster
    if view is None:
        return "The cluster was not asked how Services work here"
    if case.proxy is None:
        return f"How Services work here is not known ({visible(measures.why_unknown(view.proxy))})"
    if case.proxy == "cilium":
        return "Services work through Cilium's eBPF maps, without kube-proxy"
    version = limits.kube_proxy_version(case)
    return f"kube-proxy{' ' + version if version else ''} in {visible(case.proxy)} mode"


# ---- the trigger ----------------------------------------------------------------------------------------------------


def triggers(case: Case) -> Said:
    """What fills the table, and who."""
    table = case.evidence.snapshot.table
    if measures.known(table) is None:
        return not_seen("The table was", table)
    if case.trigger is None or not case.is_pressed:
        most = "".join(
            f" The strongest sign is {TITLES[first.name]} (score {first.score:.2f})."
            for first in case.triggers[:1]
            if first.score >= FAINT
        )
        status = Status.WARN if case.is_pressed else Status.OK
        says = f"No trigger explains much of the limit.{most}"
        return Said(status, says, case.noisy_because, evidence=_targets(case))
    others = [f"{TITLES[other.name]} {other.score:.2f}" for other in case.triggers[1:] if other.score > 0]
    scored = f"{sentence(TITLES[case.trigger.name])} (score {case.trigger.score:.2f})"
    says = f"{scored}: {case.trigger.because} {case.noisy_because}"
    means = f"Behind it: {listed(others)}." if others else "Nothing else fits."
    return Said(Status.BAD if case.is_failing else Status.WARN, says, means, evidence=_targets(case))


def _targets(case: Case) -> tuple[Shown, ...]:
    """Who is called, with the names the cluster gives; the addresses alone where there is no cluster."""
    attribution = case.evidence.attribution
    if attribution is None or not attribution.destinations:
        return ()
    first, *others = attribution.destinations[:SHOWN_TARGETS]
    lines = [_target(first), *(_target(target) for target in others if target.share >= FAINT_TARGET)]
    return (Shown(f"{COUNT_TARGETS} | head -{len(lines)}", "\n".join(lines)),)


def _target(named: NamedTarget) -> str:
    target = named.target
    called = f"  ({visible(named.name)})" if named.name else ""
    return f"{target.entries} dst={visible(target.address)} dport={target.port} {visible(target.protocol)}{called}"


# ---- the silence ----------------------------------------------------------------------------------------------------


def silence(case: Case) -> Said:
    """Why it looks like a network problem: nothing answers, and everything stays green."""
    node = case.kube_node
    ready = node.conditions.get("Ready") if node is not None else None
    green = [] if ready is None else [f"the node is {'Ready' if ready == 'True' else 'not Ready'}"]
    green += _pods(case)
    seen = sentence(listed(green)) if green else "The cluster was not asked whether its checks are green"
    resent = _resent(case)
    is_found = any(other.status == FOUND for other in case.lookalikes)
    status = Status.WARN if is_found or case.is_failing else Status.OK
    return Said(status, f"{seen}{resent}. {_others(case)}", SILENT.get(case.verdict.kind, ""))


def _others(case: Case) -> str:
    """How many other causes were looked for, with the names of those found, and of those that nobody can rule out."""
    named = {
        status: [other.name.replace("_", " ") for other in case.lookalikes if other.status == status]
        for status in (FOUND, RULED_OUT, UNKNOWN)
    }
    parts = [f"{listed(named[FOUND])} found"] if named[FOUND] else []
    parts += [f"{count(len(named[RULED_OUT]))} ruled out"] if named[RULED_OUT] else []
    if named[UNKNOWN]:
        names = f" ({', '.join(named[UNKNOWN])})" if len(named[UNKNOWN]) <= SHOWN_UNKNOWN else ""
        parts.append(f"{count(len(named[UNKNOWN]))} could not be checked{names}")
    return f"Of {count(len(case.lookalikes))} other causes with the same symptoms: {', '.join(parts)}."


def _pods(case: Case) -> list[str]:
    here = case.pods_here
    running = sum(1 for pod in here if pod.phase == "Running")
    return [f"{count(running)} of {counted(len(here), 'pod is', 'pods are')} Running"] if here else []


def _resent(case: Case) -> str:
    read = measures.known(case.evidence.snapshot.other_counters)
    if read is None or "retransmits" not in read.groups:
        return ""
    group = Group(read.groups["retransmits"], read.seconds)
    segments, sent = group.grown("segments"), group.grown("sent")
    if segments is None or not sent or part(segments, sent) < RESENT:
        return ""
    return f"; the node sent {percent(part(segments, sent))} of its own TCP segments twice"


# ---- the churn ------------------------------------------------------------------------------------------------------


def churn(case: Case) -> Said:
    """The entries themselves."""
    table = measures.known(case.evidence.snapshot.table)
    if table is None:
        return not_seen("The table was", case.evidence.snapshot.table)
    read = "all entries" if table.whole else f"a sample of {count(table.read)} entries"
    states = sorted(table.states.items(), key=lambda state: -state[1])[:4]
    shares = listed(f"{percent(part(number, table.read))} {visible(name)}" for name, number in states if number > 0)
    says = f"In {read}: {shares or 'nothing'}{_rate(case, table)}."
    if table.unparsed > 0:
        says += f" {counted(table.unparsed, 'entry was', 'entries were')} not understood."
    rows = "\n".join(visible(row) for row in table.rows) or "(no rows were kept)"
    shown = (Shown(f"conntrack -L | head -{max(1, len(table.rows))}", rows),)
    evictable = measures.evictable_share(table)
    means = ""
    if case.is_failing and evictable is not None:
        means = f"{percent(evictable)} of the entries are not ASSURED: only those give way to a new connection."
        if not evictable:
            means = "All entries are ASSURED, so none gives way to a new connection."
    return Said(Status.BAD if case.is_failing else Status.OK, says, means, evidence=shown)


def _rate(case: Case, table: Table) -> str:
    closed = measures.entered_per_second(table, "TIME_WAIT", measures.scale(case.evidence, table))
    return f"; at the busiest about {count(closed)} connections closed a second" if closed >= 1 else ""


def refill(case: Case) -> str:
    """How long an emptied table lasts, as a sentence; nothing where the rate is not known."""
    seconds, rate = limits.seconds_until_full_again(case), measures.arrivals_per_second(case.evidence)
    if seconds is None or rate is None:
        return ""
    return f"At {count(rate)} new entries a second the table is full again {span(seconds)} after it is empty."
