"""What keeps it from coming back: in the workload, in kube-proxy's configuration, in the alerts. Knowledge only."""

from __future__ import annotations

from diagnostics.model import Remedy
from diagnostics.runbook import limits
from diagnostics.runbook.case import Case
from diagnostics.runbook.words import count, memory

PERMANENT = "permanent"

DROPS_RULE = (
    "rate(node_nf_conntrack_stat_drop[2m]) > 0 and node_nf_conntrack_entries / node_nf_conntrack_entries_limit > 0.95"
)
FILLING_RULE = "predict_linear(node_nf_conntrack_entries[15m], 1800) > node_nf_conntrack_entries_limit"


def remedies(case: Case) -> tuple[Remedy, ...]:
    """For good, the cause first."""
    chosen = (_cause(case), _node_local_dns(case), _kube_proxy_config(case), _separate(case), alert_rule(case))
    return tuple(remedy for remedy in chosen if remedy is not None)


def _cause(case: Case) -> Remedy | None:
    """What to change in the clients, by the trigger."""
    name = case.trigger.name if case.trigger is not None else ""
    if name in ("short_lived_connections", "high_request_rate", "load_test"):
        says = f"Keep-alive, or a connection pool, in {case.workload}: one connection for many requests is one entry."
        return Remedy("keep_alive", PERMANENT, says)
    if name == "idle_connections":
        says = f"Close idle connections in {case.workload}: a pool with a bound, an idle timeout, and no leak."
        return Remedy("keep_alive", PERMANENT, says)
    if name == "aggressive_retries":
        says = f"Limit the rate in {case.workload}: a retry budget, and exponential backoff with jitter."
        return Remedy("rate_limit", PERMANENT, says)
    if name == "dns_storm":
        says = f"Limit the rate in {case.workload}: keep answers for their TTL, and connections beyond a lookup."
        return Remedy("rate_limit", PERMANENT, says)
    return None


def _node_local_dns(case: Case) -> Remedy | None:
    if not case.explains("dns_storm"):
        return None
    says = "NodeLocal DNSCache: pods' lookups are not tracked at all. And ndots 1 or 2, or names that end with a dot."
    return Remedy("node_local_dns", PERMANENT, says)


def _kube_proxy_config(case: Case) -> Remedy | None:
    limit = limits.permanent_limit(case)
    price = f"{count(limit)} ({memory(limits.price_of(limit))} when full)"
    if case.evidence.cluster is None or case.proxy in (None, "cilium"):
        says = (
            f"A limit of {price} in /etc/sysctl.d, with nf_conntrack in /etc/modules-load.d; where kube-proxy runs, in "
            "its configuration, which otherwise overrides it."
        )
        command = f"echo net.netfilter.nf_conntrack_max={limit} > /etc/sysctl.d/99-conntrack.conf"
        return Remedy("kube_proxy_config", PERMANENT, says, (command,))
    says = f"A limit of {price} through kube-proxy's configuration: set conntrack.min to {limit} there (maxPerCore "
    says += "times the processors wins where it is more), and restart it."
    commands = (
        f"kubectl --namespace kube-system edit configmap kube-proxy   # conntrack: min: {limit}",
        "kubectl --namespace kube-system rollout restart daemonset kube-proxy",
    )
    return Remedy("kube_proxy_config", PERMANENT, says, commands)


def _separate(case: Case) -> Remedy | None:
    if case.noisy_pod is None:
        return None
    says = f"Give {case.workload} nodes of its own (a taint and a toleration)."
    return Remedy("separate_workload", PERMANENT, says)


def alert_rule(case: Case) -> Remedy:
    """What to watch. The drop counter proves it; the forecast comes before it hurts."""
    what = "this" if case.is_pressed else "a full table"
    says = f"Watch it: these two Prometheus rules tell of {what} early."
    return Remedy("alert_rule", PERMANENT, says, (DROPS_RULE, FILLING_RULE))
