"""Evidence for the judgement's tests: a healthy node, and what differs from it.

Every builder gives frozen values; a test changes what it is about with ``dataclasses.replace`` or ``seen``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diagnostics.model import (
    Ages,
    Attribution,
    Change,
    ClusterView,
    Connects,
    Counters,
    Evidence,
    KernelLog,
    Known,
    KubeNode,
    LogLine,
    NamedTarget,
    NodeFacts,
    OtherCounters,
    Ping,
    Pod,
    Rates,
    Reading,
    Snapshot,
    Source,
    Suspect,
    SuspectKind,
    Table,
    Target,
    Unknown,
    Usage,
    Way,
)

UPTIME = 10_000.0
CHECKOUT = "10.244.8.11"
PAYMENTS = Target("tcp", "10.96.0.12", 80, 7760)
KUBE_DNS = "10.96.0.10"
GIB = 2**30

WAY = Way(rung="pod", tried=(), seconds=1.1)

NODE = NodeFacts(
    name="node-8",
    kernel="6.18.44",
    boot_id="b",
    uptime=UPTIME,
    time=1_790_000_000.0,
    cpus=2,
    netns=4026531840,
    init_netns=True,
    addresses=("10.90.0.8",),
)

QUIET_GROUPS: Mapping[str, Mapping[str, Change | float]] = {
    "ephemeral_ports": {"low": 32768, "high": 60999, "sockets": 40, "time_wait": 3, "busiest": 12, "reserved": 0},
    "neighbour_table": {"entries": 20, "gc_thresh3": 1024, "table_fulls": Change(0, 0)},
    "listen_queue": {"overflows": Change(7, 7), "drops": Change(7, 7)},
    "softnet": {"dropped": Change(0, 0), "squeezed": Change(3, 4)},
    "tcp_memory": {"pages": 40, "pages_limit": 90_000, "orphans": 0, "orphans_limit": 8192, "pressures": Change(0, 0)},
    "syn_cookies": {"sent": Change(0, 0), "full_cookies": Change(0, 0), "full_drops": Change(0, 0)},
    "cloud_allowance": {"exceeded": Change(5, 5), "available": 40_000},
    "links": {"dropped": Change(10, 10), "errors": Change(0, 0)},
    "path_mtu": {"fragment_fails": Change(0, 0), "unreachable_received": Change(1, 1)},
    "udp_buffers": {"receive_errors": Change(0, 0), "send_errors": Change(0, 0)},
    "retransmits": {"segments": Change(10, 11), "sent": Change(1000, 1100)},
    "cilium": {"present": 0, "maps": 0},
    "ipvs": {"present": 0, "connections": Change(0, 0)},
    "node_local_dns": {"present": 0},
}


def usage(entries: int = 1_200, limit: int = 8_000, buckets: int | None = 262_144) -> Usage:
    return Usage(entries, limit, buckets, 256, 8 * GIB, 4 * GIB)


def rates(seconds: float = 3.0, **changed: Any) -> Rates:
    calm = Rates(seconds, 0, 0, 0, 0, 0, 0.0, None)
    return replace(calm, **changed)


def connects(lost: int = 0, attempts: int = 20, **changed: Any) -> Connects:
    failed = {"timeout": lost} if lost else {}
    tried = Connects("10.96.0.1", 443, "the API Service", attempts, attempts - lost, (0.001,), failed)
    return replace(tried, **changed)


def ping(answered: int = 3) -> Ping:
    failed = {"timeout": 3 - answered} if answered < 3 else {}
    return Ping("10.90.0.1", "the node's gateway", 3, answered, (0.0004,) * answered, failed)


def log(age: float | None = None, lines: int = 1, **changed: Any) -> KernelLog:
    """The kernel log, with "table full" ``age`` seconds ago; without such a line where that is None."""
    if age is None:
        return replace(KernelLog((), 0, first_at=10.0), **changed)
    text = "nf_conntrack: nf_conntrack: table full, dropping packet"
    line = LogLine(UPTIME - age, text)
    return replace(KernelLog((line,), lines, suppressed=1203, last_at=UPTIME - age, first_at=10.0), **changed)


def ages(per_second: int, seconds: int = 60, timeout: int = 120) -> Ages:
    """``per_second`` entries that came in each of the last ``seconds``."""
    return Ages(timeout, 1.0, (per_second,) * seconds + (0,) * (timeout - seconds))


def table(states: Mapping[str, int], targets: tuple[Target, ...] = (), **changed: Any) -> Table:
    read = sum(states.values())
    built = Table(
        via="ctnetlink",
        mode="sample",
        read=read,
        whole=True,
        states=states,
        destinations=targets,
        destinations_distinct=len(targets),
        dnat=read * 94 // 100,
        assured=sum(states.get(name, 0) for name in ("TIME_WAIT", "ESTABLISHED", "CLOSE_WAIT", "UDP_STREAM")),
        unreplied=states.get("SYN_SENT", 0),
        rows=("tcp      6 31 TIME_WAIT src=10.244.8.11 dst=10.96.0.12 sport=28655 dport=80 [ASSURED] mark=0 use=1",),
    )
    return replace(built, **changed)


def source(states: Mapping[str, int], targets: tuple[Target, ...] = (), **changed: Any) -> Source:
    built = Source(
        address=CHECKOUT,
        entries=sum(states.values()),
        states=states,
        unreplied=states.get("SYN_SENT", 0),
        targets=targets,
        targets_distinct=len(targets),
    )
    return replace(built, **changed)


def suspect(share: float, **changed: Any) -> Suspect:
    built = Suspect(
        kind=SuspectKind.POD,
        share=share,
        share_low=max(0.0, share - 0.01),
        share_high=min(1.0, share + 0.01),
        entries=round(share * 8000),
        address=CHECKOUT,
        namespace="shop",
        pod="checkout-7fff96c597-tsfl7",
        pod_uid="uid-checkout",
        node="node-8",
        owner="Deployment checkout",
        label="shop/checkout-7fff96c597-tsfl7",
    )
    return replace(built, **changed)


def rest(share: float, **changed: Any) -> Suspect:
    """Another holder of entries: the node itself."""
    changed = {
        "kind": SuspectKind.NODE,
        "address": "10.90.0.8",
        "pod": "",
        "pod_uid": "",
        "owner": "",
        "label": "node-8",
    } | changed
    return suspect(share, **changed)


def attribution(*suspects: Suspect) -> Attribution:
    payments = NamedTarget(PAYMENTS, "Service shop/payments:80", 0.97)
    return Attribution(suspects, (payments,), (), sampled=True)


CHECKOUT_POD = Pod(
    "shop", "checkout-7fff96c597-tsfl7", "uid-checkout", "node-8", "Running", host_network=False, addresses=(CHECKOUT,)
)
PODS = (
    CHECKOUT_POD,
    *(
        Pod("shop", f"web-{n}", f"uid-{n}", "node-8", "Running", host_network=False, addresses=(f"10.244.8.{n}",))
        for n in range(20, 28)
    ),
)


def cluster(**changed: Any) -> ClusterView:
    node = KubeNode("node-8", "u", "b", ("10.90.0.8",), conditions={"Ready": "True"}, kube_proxy_version="v1.20.2")
    view = ClusterView("lab", Known(node), Known(PODS), Known(()), Known({}), Known("iptables"))
    return replace(view, **changed)


def counters(*drops: int, entries: int | None = None) -> tuple[Counters, ...]:
    return tuple(
        Counters(UPTIME - 3 + 3 * n, entries, {"drop": drop, "early_drop": 0, "insert_failed": 0})
        for n, drop in enumerate(drops)
    )


CALM_STATES = {"ESTABLISHED": 700, "TIME_WAIT": 300, "UDP": 200}

HEALTHY = Evidence(
    target="node-8",
    snapshot=Snapshot(
        node=NODE,
        stages=("look", "watch"),
        usage=Known(usage()),
        timeouts=Known({"tcp_time_wait": 120, "udp": 30}),
        settings=Known({}),
        counters=Known(counters(7, 7)),
        kernel_log=Known(log()),
        table=Known(table(CALM_STATES)),
        ping=Known(ping()),
        connects=Known(connects()),
        other_counters=Known(OtherCounters(3.0, QUIET_GROUPS)),
        owners=Unknown("not asked"),
    ),
    cluster=cluster(),
    attribution=attribution(suspect(0.3), rest(0.7)),
    rates=Known(rates()),
)


OUTER = ("target", "cluster", "attribution")
PLAIN = ("node", "stages", "unknown", "left_out", "partial")


def seen(evidence: Evidence = HEALTHY, /, **changed: Any) -> Evidence:
    """The evidence with other readings: plain values become Known. ``rates``, ``cluster``, … change the evidence."""
    outer: dict[str, Any] = {name: changed.pop(name) for name in OUTER if name in changed}
    if "rates" in changed:
        outer["rates"] = _reading(changed.pop("rates"))
    inner: dict[str, Any] = {name: value if name in PLAIN else _reading(value) for name, value in changed.items()}
    return replace(evidence, snapshot=replace(evidence.snapshot, **inner), **outer)


def groups(evidence: Evidence = HEALTHY, /, **changed: Mapping[str, Change | float] | None) -> Evidence:
    """The evidence with other look-alikes' counters; a group that is None is missing."""
    merged = {name: group for name, group in {**QUIET_GROUPS, **changed}.items() if group is not None}
    return seen(evidence, other_counters=OtherCounters(3.0, merged))


def _reading(value: Any) -> Reading[Any]:
    return value if isinstance(value, Known | Unknown) else Known(value)


CHURN_STATES = {"TIME_WAIT": 7600, "ESTABLISHED": 100, "FIN_WAIT": 60}
CHURN = source(CHURN_STATES, (PAYMENTS,), ages={"TIME_WAIT": ages(730, 10)})

EXHAUSTED = seen(
    usage=usage(8_000),
    rates=rates(drops=4310, early_drops=2, growth_per_second=0.0),
    connects=connects(lost=20),
    ping=ping(answered=0),
    kernel_log=log(age=2),
    table=table({**CHURN_STATES, "UDP": 240}, (PAYMENTS,), ages={"TIME_WAIT": ages(730, 10)}, sources=(CHURN,)),
    attribution=attribution(suspect(0.97, source=CHURN), rest(0.03)),
    counters=counters(100, 4410, entries=8_000),
)
