"""What each step of the runbook says, and that it says so where it could not look."""

from __future__ import annotations

from pathlib import Path

import pytest

from diagnostics.model import Counters, Evidence, KernelLog, Known, LogLine, Pod, Status, Target, Unknown
from diagnostics.probe.procfs import Unreadable
from diagnostics.probe.reach import PING_NOT_PERMITTED, default_gateway
from diagnostics.runbook import judge
from tests.diagnostics.runbook.evidence import (
    EXHAUSTED,
    HEALTHY,
    PODS,
    WAY,
    cluster,
    connects,
    groups,
    log,
    ping,
    rates,
    seen,
    table,
    usage,
)

PROBE = Pod(
    "probes",
    "conntrack-bot-probe-1",
    "uid-probe",
    "node-8",
    "Pending",
    host_network=True,
    addresses=(),
    labels={"app.kubernetes.io/managed-by": "conntrack-bot", "conntrack-bot/kind": "probe"},
)
FINISHED = Pod("shop", "migration", "uid-done", "node-8", "Succeeded", host_network=False, addresses=())


@pytest.mark.parametrize(
    ("reading", "step"),
    [
        ("ping", "ping"),
        ("connects", "new_connections"),
        ("usage", "usage"),
        ("kernel_log", "kernel_log"),
        ("table", "triggers"),
        ("table", "churn"),
    ],
)
def test_a_step_that_could_not_look_is_unknown_and_says_why(reading: str, step: str) -> None:
    judged = judge(seen(EXHAUSTED, **{reading: Unknown("needs CAP_SYSLOG")}), WAY)
    finding = next(finding for finding in judged.findings if finding.step == step)
    assert finding.status is Status.UNKNOWN
    assert "needs CAP_SYSLOG" in finding.says


def test_the_probe_calls_a_ping_without_an_address_what_the_step_expects(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no default gateway"):
        default_gateway(str(tmp_path))


def says(evidence: Evidence, step: str) -> str:
    finding = next(finding for finding in judge(evidence, WAY).findings if finding.step == step)
    shown = "\n".join(f"$ {each.command}\n{each.output}" for each in finding.evidence)
    return f"{finding.status} {finding.says} / {finding.means} / {finding.correction} / {shown}"


SPOKEN = {
    "a lost ping proves nothing": (EXHAUSTED, "ping", "warn 0 of 3 new pings to the node's gateway were answered"),
    "an answered ping proves nothing": (HEALTHY, "ping", "the fastest after 0.4 ms. / It tells nothing of new TCP"),
    "all connections fail": (
        EXHAUSTED,
        "new_connections",
        "bad 20 of 20 new connections to the API Service failed (all timed out).",
    ),
    "some connections fail, for several reasons": (
        seen(EXHAUSTED, connects=connects(lost=15, failed={"refused": 2, "timeout": 11, "EPERM": 1, "EPROTO": 1})),
        "new_connections",
        (
            "13 of 20 new connections to the API Service failed (11 timed out, 1 refused by the kernel, 1 "
            "EPROTO); 2 more were refused, which is an answer. / Connections that are already open "
            "still work, and some new ones"
        ),
    ),
    "connections work after a lost packet": (
        seen(connects=connects(retransmitted=4)),
        "new_connections",
        "warn 20 of 20 new connections to the API Service got an answer, the slowest after 1.0 ms; 4 only after",
    ),
    "connections fail for another reason": (
        seen(connects=connects(lost=9)),
        "new_connections",
        "The table does not explain it",
    ),
    "connections that evict": (
        seen(EXHAUSTED, rates=rates(early_drops=50), connects=connects()),
        "new_connections",
        "Each one pushed out the entry of a half-open connection",
    ),
    "usage, the counters and the dated word": (
        EXHAUSTED,
        "usage",
        "In 3 s the kernel dropped 4,310 packets and evicted 2",
    ),
    "usage at the limit is not by itself dropping": (
        seen(EXHAUSTED, rates=rates(early_drops=50), connects=connects()),
        "usage",
        "the counters, not the fill, tell whether",
    ),
    "usage without a limit": (seen(usage=usage(limit=0)), "usage", "nf_conntrack_max 0 (no limit): it cannot be full"),
    "usage above a lowered limit": (
        seen(EXHAUSTED, usage=usage(8_527)),
        "usage",
        (
            "nf_conntrack_max 8,000: full, and 527 over the limit. In 3 s the kernel dropped 4,310 packets and evicted "
            "2 entries. / The limit was lowered below what was there: until 527 entries are gone, each new connection"
        ),
    ),
    "an entry or two above the limit wait to be freed": (
        seen(EXHAUSTED, usage=usage(8_002)),
        "usage",
        "nf_conntrack_count 8,002, nf_conntrack_max 8,000: full. In 3 s",
    ),
    "too few buckets": (
        seen(usage=usage(100_000, 262_144, 16_384)),
        "usage",
        "16,384 hash buckets are too few for this limit",
    ),
    "drops of another cause": (
        seen(rates=rates(drops=9, insert_failed=9)),
        "usage",
        "(9 of the drops have another cause: the insert failed)",
    ),
    "our own drops": (
        seen(EXHAUSTED, rates=rates(drops=20)),
        "usage",
        "dropped 20 packets and evicted 0 entries; our own attempts alone explain them.",
    ),
    "growth": (seen(rates=rates(growth_per_second=730.0)), "usage", "It grows by 730 entries a second."),
    "a table that shrinks": (seen(rates=rates(growth_per_second=-1.2)), "usage", "It shrinks by 1 entry a second."),
    "counters that decide come first": (
        seen(counters=(Counters(1.0, 5, {"a": 3, "b": 0, "drop": 1, "early_drop": 0}),) * 2),
        "usage",
        "\ndrop=1 early_drop=0 a=3\n",
    ),
    "a kernel without early_drop": (
        seen(rates=rates(early_drops=None)),
        "usage",
        "dropped 0 packets and does not say how many entries it evicted",
    ),
    "counters not read": (
        seen(rates=Unknown("read once")),
        "usage",
        "What the kernel drops now is not known: read once",
    ),
    "a fresh line": (EXHAUSTED, "kernel_log", "bad 1 line says that the table is full, the last 2 s ago, 1,203 more"),
    "no line on an exhausted node": (
        seen(EXHAUSTED, kernel_log=log()),
        "kernel_log",
        "ok No line says that the node's table is full (the log reaches back 3 h). / A silent log fits",
    ),
    "an old line": (
        seen(kernel_log=log(9_000, 3)),
        "kernel_log",
        "warn 3 lines say that the table is full, the last 2 h ago",
    ),
    "a line without an age": (
        seen(kernel_log=log(5, last_at=None)),
        "kernel_log",
        "1 line says that the table is full, of unknown age",
    ),
    "equal lines are told once": (
        seen(kernel_log=KernelLog((LogLine(9_990.0, "table full"),) * 5, 5, last_at=9_990.0)),
        "kernel_log",
        "net_ratelimit'\ntable full (4 more like it)",
    ),
    "a pod's lines are counted, not shown, on a healthy node": (
        seen(kernel_log=KernelLog((LogLine(5.0, "full in netns 7", 7),), 0, other_netns=1)),
        "kernel_log",
        (
            "ok No line says that the node's table is full; 1 line is about a pod's own table. /  /  / "
            "$ dmesg | grep -iE 'conntrack.*table full|net_ratelimit'\n(no such line)"
        ),
    ),
    "a pod's lines are shown where that pod's table is the matter": (
        seen(kernel_log=KernelLog((LogLine(9_990.0, "full in netns 7", 7),), 0, other_netns=1)),
        "kernel_log",
        "net_ratelimit'\nfull in netns 7",
    ),
    "lines about a pod's table": (
        seen(kernel_log=log(other_netns=2)),
        "kernel_log",
        "2 lines are about a pod's own table",
    ),
    "a hostile line": (
        seen(kernel_log=KernelLog((LogLine(5.0, "a\x1b[2Jb"),), 1, last_at=5.0)),
        "kernel_log",
        "a\\x1b[2Jb",
    ),
    "kube-proxy and its share": (
        EXHAUSTED,
        "kubernetes",
        "warn kube-proxy 1.20.2 in iptables mode; 94 % of the entries were rewritten by a Service.",
    ),
    "no cluster": (seen(cluster=None), "kubernetes", "The cluster was not asked how Services work here"),
    "a proxy that is not known": (
        seen(cluster=cluster(proxy=Unknown("no kube-proxy pod"))),
        "kubernetes",
        "not known (no kube-proxy pod)",
    ),
    "restarts as a symptom": (
        seen(EXHAUSTED, cluster=cluster(restarts=7)),
        "kubernetes",
        "7 containers restarted in the last hour. / Each connection to a Service costs one entry, for 120 s after",
    ),
    "Cilium without kube-proxy": (
        seen(cluster=cluster(proxy=Known("cilium"))),
        "kubernetes",
        "Services work through Cilium's eBPF maps, without kube-proxy",
    ),
    "nobody attributed": (seen(EXHAUSTED, attribution=None), "triggers", "It is not known who holds the entries"),
    "retransmits not counted": (groups(retransmits={}), "silence", "pods are Running. Of 15 other causes"),
    "a failure without a reason": (
        seen(connects=connects(lost=9, failed={})),
        "new_connections",
        "failed (no reason given)",
    ),
    "a table that is filling": (seen(usage=usage(7_000)), "usage", "warn nf_conntrack_count 7,000"),
    "usage in another namespace": (seen(usage=usage(0)), "usage", "unknown nf_conntrack_count 0"),
    "neither cluster nor table": (
        seen(cluster=None, table=Unknown("no")),
        "kubernetes",
        "unknown Neither the cluster nor the table could be asked",
    ),
    "the trigger, and who": (
        EXHAUSTED,
        "triggers",
        "730 closed a second, all to Service shop/payments:80; 1 % are open. shop/checkout-7fff96c597-tsfl7 holds 97 %",
    ),
    "no trigger on a healthy node": (HEALTHY, "triggers", "ok No trigger explains much of the limit."),
    "green checks": (EXHAUSTED, "silence", "The node is Ready and 9 of 9 pods are Running"),
    "other causes, none": (HEALTHY, "silence", "Of 15 other causes with the same symptoms: 15 ruled out. /"),
    "other causes, one": (
        seen(rates=rates(chaintoolong=9)),
        "silence",
        "symptoms: chain too long found, 14 ruled out.",
    ),
    "other causes, some not known": (
        groups(cloud_allowance=None),
        "silence",
        "symptoms: 14 ruled out, 1 could not be checked (cloud allowance).",
    ),
    "other causes, little known": (
        seen(other_counters=Unknown("no answer"), rates=Unknown("no")),
        "silence",
        "3 ruled out, 12 could not be checked. /",
    ),
    "no cluster to be green": (seen(cluster=None), "silence", "The cluster was not asked whether its checks are green"),
    "rows as conntrack prints them": (
        EXHAUSTED,
        "churn",
        "$ conntrack -L | head -1\ntcp      6 31 TIME_WAIT src=10.244.8.11",
    ),
    "a sample says so": (
        seen(table=table({"UDP": 8_000}, whole=False)),
        "churn",
        "In a sample of 8,000 entries: 100 % UDP.",
    ),
    "entries not understood": (seen(table=table({"UDP": 8}, unparsed=2)), "churn", "2 entries were not understood"),
    "an empty table": (seen(table=table({}, rows=())), "churn", "In all entries: nothing."),
    "full again in seconds": (EXHAUSTED, "restarts", "the table is full again 11 s after it is empty"),
    "restarts do not matter here": (HEALTHY, "restarts", "skipped"),
    "do not": (EXHAUSTED, "do_not", "4. Flush the whole table (conntrack -F)"),
    "nothing to avoid": (HEALTHY, "do_not", "skipped"),
    "hash size needs no reboot": (
        seen(EXHAUSTED, usage=usage(8_000, buckets=1_024)),
        "remedies",
        "a larger hash size needs a reboot: it takes effect at once",
    ),
    "a kill frees nothing at once": (EXHAUSTED, "remedies", "its entries stay until their timeout, so judge after 2"),
    "a ping without the right to it was not tried": (
        seen(EXHAUSTED, ping=Unknown(PING_NOT_PERMITTED)),
        "ping",
        "skipped Not tried: the look goes without the right to ping, on purpose. It would have told nothing of new TCP",
    ),
    "a ping without an address was not tried": (
        seen(EXHAUSTED, ping=Unknown("no default gateway")),
        "ping",
        "skipped Not tried: this node has no default gateway to ping.",
    ),
    "our own debug pod, and finished ones, are not the node's pods": (
        seen(EXHAUSTED, cluster=cluster(pods=Known((*PODS, PROBE, FINISHED)))),
        "silence",
        "9 of 9 pods are Running",
    ),
    "one pod": (seen(cluster=cluster(pods=Known((*PODS[:1], PROBE)))), "silence", "1 of 1 pod is Running"),
    "only our own debug pod": (
        seen(cluster=cluster(pods=Known((PROBE,)))),
        "silence",
        "ok The node is Ready; the node sent 1 % of its own TCP segments twice",
    ),
    "a pending debug pod does not stop the pods from running": (
        seen(EXHAUSTED, cluster=cluster(pods=Known((*PODS, PROBE)))),
        "pattern",
        "☑ pods running",
    ),
    "dropped without a word": (EXHAUSTED, "silence", "no reset, no ICMP error, so applications wait."),
    "an eviction is no drop": (
        seen(EXHAUSTED, rates=rates(early_drops=50), connects=connects()),
        "silence",
        "/ An eviction is silent",
    ),
    "all are ASSURED": (
        seen(EXHAUSTED, table=table({"TIME_WAIT": 8_000})),
        "churn",
        "All entries are ASSURED, so none gives way",
    ),
    "a lookup's price": (
        seen(EXHAUSTED, table=table({"UDP": 8_000}, (Target("udp", "10.96.0.10", 53, 8_000),)), attribution=None),
        "kubernetes",
        "Each lookup through a Service costs one entry, for 30 s after its answer.",
    ),
    "no Service is involved": (
        seen(EXHAUSTED, table=table({"SYN_SENT": 8_000}, dnat=0)),
        "kubernetes",
        "no entry was rewritten by a Service. /  /",
    ),
    "nothing helps a look-alike": (seen(rates=rates(chaintoolong=9)), "remedies", "skipped Nothing about conntrack"),
    "only watching helps a healthy node": (HEALTHY, "remedies", "ok For good:\n1. Watch it"),
    "the pattern, ticked": (
        EXHAUSTED,
        "pattern",
        "☐ retries increase  ☑ table full  ☑ kernel drops\nNot known: network reachable. / This is conntrack",
    ),
    "the pattern of a healthy node": (
        HEALTHY,
        "pattern",
        "ok ☑ pods running  ☑ network reachable  ☐ random timeouts  ☐ retries increase  ☐ table full",
    ),
    "the pattern of a node that could not be seen": (
        seen(
            **dict.fromkeys(("usage", "rates", "table", "ping", "connects"), Unknown("no answer")),
            cluster=None,
        ),
        "pattern",
        "unknown Not known: pods running, network reachable, random timeouts, retries increase, table full, kernel",
    ),
    "a network that answers nothing": (
        seen(ping=ping(0), connects=connects(lost=20)),
        "pattern",
        "☐ network reachable  ☑ random timeouts",
    ),
}


@pytest.mark.parametrize(("evidence", "step", "claim"), SPOKEN.values(), ids=SPOKEN.keys())
def test_a_step_says(evidence: Evidence, step: str, claim: str) -> None:
    spoken = says(evidence, step)
    assert claim in spoken, spoken
