"""What would help now, when it applies, what it costs, with this node's numbers. Knowledge only: nothing is run here.

The gentlest remedy that works comes first, and none is listed that cannot help this verdict. ``permanent`` has those
that take longer than a night. This file does not decide who may do what, and knows no action of the bot.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Callable

from diagnostics.model import Remedy, Source, Suspect, Table, VerdictKind
from diagnostics.runbook import limits, measures, noisy, permanent
from diagnostics.runbook.case import Case
from diagnostics.runbook.words import count, memory, percent, span, visible

NOW, NEVER = "now", "never"
THROTTLE_PER_SECOND = (
    20  # 20 a second for 120 s are 2,400 entries: room in any table, and the pod still works a little.
)
THROTTLED_BACK_SECONDS = 12  # Measured on a full table: 0 of 20 new connections, 20 of 20 after this.
KEPT = 0.3  # A state that holds less than this of the table is not worth a change of its timeout.


def remedies(case: Case) -> tuple[Remedy, ...]:
    """What helps here: now, for good, and what never does."""
    match case.verdict.kind:
        case VerdictKind.HEALTHY:
            return (permanent.alert_rule(case),)
        case VerdictKind.INCONCLUSIVE:
            return (_check_by_hand(case),)
        case VerdictKind.LOOKALIKE:
            says = "Raise the limit, flush entries or kill pods: the table is not what fails, so none of it helps."
            return (Remedy("raise_limit", NEVER, says),)
        case VerdictKind.RECOVERED:
            return (*permanent.remedies(case), *_never(case))
        case _:
            now = (remedy(case) for remedy in GENTLEST_FIRST)
            return (*(remedy for remedy in now if remedy is not None), *permanent.remedies(case), *_never(case))


# ---- now, gentlest first --------------------------------------------------------------------------------------------


def _throttle_pod(case: Case) -> Remedy | None:
    """A cap on new connections frees nothing where the entries are open connections: those stay."""
    pod, address = case.noisy_pod, _address(case.noisy_pod)
    if pod is None or address is None or case.noisy_is_over or _first_is(case, "idle_connections"):
        return None
    family = "ip6" if ":" in address else "ip"
    what, match = "connections", "tcp flags & (syn|ack) == syn"
    if _first_is(case, "dns_storm"):
        what, match = "DNS packets", "udp dport 53"
    rule = f"{family} saddr {address} {match} limit rate over {THROTTLE_PER_SECOND}/second drop"
    says = (
        f"Throttle {noisy.name(pod, case.node)} to {THROTTLE_PER_SECOND} new {what} a second: {_throttled(case)}, "
        "and the pod stays up."
    )
    chain = "'{ type filter hook prerouting priority raw ; }'"
    commands = (
        "nft add table inet conntrack_throttle",
        f"nft add chain inet conntrack_throttle new_connections {chain}",
        f"nft add rule inet conntrack_throttle new_connections {shlex.quote(rule)}",
        "nft delete table inet conntrack_throttle   # to take it away again",
    )
    return Remedy("throttle_pod", NOW, says, commands)


def _throttled(case: Case) -> str:
    """What was measured was a table that dropped."""
    if case.verdict.kind is VerdictKind.EXHAUSTED:
        return f"new connections work again in seconds (measured: {THROTTLED_BACK_SECONDS} s)"
    return "the table empties as its entries expire"


def _raise_limit(case: Case) -> Remedy | None:
    proposed = limits.proposal(case)
    if proposed is None:
        return None
    lasts = "and buys time only"
    if proposed.lasts_seconds is not None:
        lasts = f"full again in {span(proposed.lasts_seconds)} at this rate"
    says = (
        f"Raise the limit to {count(proposed.limit)}: works at once, costs {memory(proposed.price_bytes)} when full, "
        f"{lasts}. {limits.what_undoes_it(case)}"
    )
    commands = [f"sysctl -w net.netfilter.nf_conntrack_max={proposed.limit}"]
    if proposed.buckets is not None:
        commands.append(f"echo {proposed.buckets} > /sys/module/nf_conntrack/parameters/hashsize")
    return Remedy("raise_limit", NOW, says, tuple(commands))


# A shorter timeout counts for entries that enter the state from then on: (state, sysctl, kernel's or kube-proxy's
# default, proposed, what it costs).
_SHORTER = (
    ("TIME_WAIT", "tcp_timeout_time_wait", 120, 30, "late packets of closed connections count as invalid"),
    ("SYN_SENT", "tcp_timeout_syn_sent", 120, 20, "a connection that takes longer to open fails"),
    ("CLOSE_WAIT", "tcp_timeout_close_wait", 3600, 60, "half-closed connections are forgotten sooner"),
    ("UDP", "udp_timeout", 30, 10, "an answer that takes longer is lost"),
)


def _shorten_timeouts(case: Case) -> Remedy | None:
    held = _judged(case)
    if held is None or case.lingering is not None:
        return None
    read = held.read if isinstance(held, Table) else held.entries
    present = measures.known(case.evidence.snapshot.timeouts) or {}
    for state, sysctl, default, proposed, costs in _SHORTER:
        share = measures.share_of(held.states, (state,), read)
        timeout = present.get(sysctl.replace("_timeout", ""), default)
        if share >= KEPT and timeout > proposed:
            says = (
                f"Shorten the timeout of {state} ({percent(share)} of these entries) from {count(timeout)} to "
                f"{proposed} s: it counts for new entries, so relief takes up to {span(timeout)}; {costs}."
            )
            return Remedy("shorten_timeouts", NOW, says, (f"sysctl -w net.netfilter.nf_conntrack_{sysctl}={proposed}",))
    return None


def _judged(case: Case) -> Source | Table | None:
    source = case.noisy.source if case.noisy is not None else None
    return source or measures.known(case.evidence.snapshot.table)


def _kill_pod(case: Case) -> Remedy | None:
    pod = case.noisy_pod
    if pod is None or case.noisy_is_over:
        return None
    back = "a bare pod does not come back"
    if pod.owner.startswith("DaemonSet"):
        back = "a DaemonSet's pod is back on the same node within a second, so this hardly helps"
    elif pod.owner:
        back = f"{visible(pod.owner)} makes a new one: scale it down, or cordon the node first"
    says = (
        f"Kill {noisy.name(pod, case.node)}: its entries stay until their timeout, so judge after 2 to 3 minutes; "
        f"{back}."
    )
    command = f"kubectl --namespace {_quoted(pod.namespace)} delete pod {_quoted(pod.pod)}"
    return Remedy("kill_pod", NOW, says, (command,))


def _flush_lingering(case: Case) -> Remedy | None:
    """Where a pod is gone and only its entries are left there is nobody to throttle, to kill or to disturb."""
    gone, address = case.lingering, _address(case.lingering)
    if gone is None or address is None:
        return None
    timeouts = measures.known(case.evidence.snapshot.timeouts) or {}
    stay = measures.seconds_until_most_expired(gone.source, timeouts) if gone.source is not None else None
    alone = f"nine of ten expire within {span(stay)}" if stay is not None else "they expire by their timeouts"
    says = (
        f"Delete the entries of {noisy.name(gone, case.node)}: the pod is gone, so this disturbs nobody, and about "
        f"{count(gone.entries)} are free at once. Left alone, {alone}."
    )
    return _flush(says, address)


def _flush_entries(case: Case) -> Remedy | None:
    pod, address = case.noisy_pod, _address(case.noisy_pod)
    if pod is None or address is None or case.lingering is not None:
        return None
    after = "a kill" if _first_is(case, "idle_connections") else "a throttle or a kill"
    says = (
        f"Delete only the entries of {noisy.name(pod, case.node)}, after {after}: about {count(pod.entries)} are free "
        "at once; its open connections may break where several pods serve."
    )
    return _flush(says, address)


def _flush(says: str, address: str) -> Remedy:
    family = " --family ipv6" if ":" in address else ""
    return Remedy("flush_entries", NOW, says, (f"conntrack -D{family} --orig-src {address}",))


def _drain_node(case: Case) -> Remedy | None:
    if not case.is_failing or case.kube_node is None or case.lingering is not None:
        return None
    pod, here = case.noisy_pod, case.node
    if pod is not None and pod.node and pod.node != here:
        return None
    moves = (
        f"moves {noisy.name(pod, here)} and its trouble to another" if pod is not None else "moves the load elsewhere"
    )
    says = f"Drain the node, last: it {moves}, and every evicted pod reconnects at once."
    node = _quoted(here)
    return Remedy("drain_node", NOW, says, (f"kubectl cordon {node}", f"kubectl drain {node} --ignore-daemonsets"))


GENTLEST_FIRST: tuple[Callable[[Case], Remedy | None], ...] = (
    _flush_lingering,
    _throttle_pod,
    _raise_limit,
    _shorten_timeouts,
    _flush_entries,
    _kill_pod,
    _drain_node,
)


# ---- never, and when nothing is known -------------------------------------------------------------------------------


def _never(case: Case) -> tuple[Remedy, ...]:
    sysctl = "Rely on a sysctl alone: it does not last."
    if case.verdict.kind is VerdictKind.RECOVERED:  # Else the remedy that sets it says what undoes it.
        sysctl = f"{sysctl} {limits.what_undoes_it(case)}"
    return (
        Remedy("restart_everything", NEVER, "Restart all pods: it frees no entry at once, and all of them reconnect."),
        Remedy("scale_blindly", NEVER, "Scale the apps: more pods open more connections through the same table."),
        Remedy("blame_dns", NEVER, "Blame DNS or the load balancer: lookups need new entries too."),
        Remedy("flush_all", NEVER, "Flush the whole table (conntrack -F): every Service's connections break."),
        Remedy("sysctl_alone", NEVER, sysctl),
    )


def _check_by_hand(case: Case) -> Remedy:
    says = f"Read it on {visible(case.node)}'s console, and treat the table as full until you know that it is not."
    commands = (
        "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
        "cat /proc/net/stat/nf_conntrack; sleep 3; cat /proc/net/stat/nf_conntrack",
    )
    return Remedy("check_by_hand", NOW, says, commands)


def _first_is(case: Case, name: str) -> bool:
    return case.trigger is not None and case.trigger.name == name


def _address(suspect: Suspect | None) -> str | None:
    """The suspect's address, where it is one: it goes into a command."""
    try:
        return str(ipaddress.ip_address(suspect.address)) if suspect is not None else None
    except ValueError:
        return None


def _quoted(name: str) -> str:
    """A name as one word of a shell command; what would not be seen on a screen is made visible, and so harmless."""
    return shlex.quote(visible(name))
