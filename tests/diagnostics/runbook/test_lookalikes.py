from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from diagnostics.model import Change, Evidence, Known, Lookalike, OtherNamespace, Owners, Target, Unknown
from diagnostics.runbook.lookalikes import CHECKS, FOUND, RULED_OUT, UNKNOWN, lookalikes
from tests.diagnostics.runbook.evidence import (
    EXHAUSTED,
    HEALTHY,
    NODE,
    QUIET_GROUPS,
    UPTIME,
    cluster,
    groups,
    log,
    rates,
    seen,
    table,
    usage,
)

NAMES = tuple(check.__name__ for check in CHECKS)
DNS = table({"UDP": 700, "ESTABLISHED": 300}, (Target("udp", "10.96.0.10", 53, 700),))
DEAD = table({"SYN_SENT": 1_400, "ESTABLISHED": 600}, (Target("tcp", "10.99.0.9", 80, 1_380),))
SCATTERED = table({"SYN_SENT": 1_400, "ESTABLISHED": 600}, (Target("tcp", "10.99.0.9", 80, 3),))
CLASHES = rates(drops=5, insert_failed=5)
UNREAD = Unknown("the deadline came first")


def found(evidence: Evidence, name: str) -> Lookalike:
    return next(other for other in lookalikes(evidence) if other.name == name)


def other_line(age: float) -> Evidence:
    lines = log(age=age)
    line = replace(lines.lines[0], netns=4026532246)
    return seen(kernel_log=replace(lines, lines=(line,), table_full=0, other_netns=1, last_at=None))


def grown(name: str, **counters: int) -> Evidence:
    changed: Mapping[str, Change | float] = {key: Change(3, 3 + by) for key, by in counters.items()}
    return groups(**{name: {**QUIET_GROUPS[name], **changed}})


CASES: dict[str, tuple[Evidence, str, str, str]] = {
    "drops and failed inserts rise together": (
        seen(rates=CLASHES),
        "snat_ports",
        FOUND,
        "5 failed inserts and 5 drops in 3 s",
    ),
    "failed inserts without drops": (
        seen(rates=rates(insert_failed=5)),
        "snat_ports",
        RULED_OUT,
        "do not rise together",
    ),
    "drops without failed inserts": (EXHAUSTED, "snat_ports", RULED_OUT, "4,310 drops"),
    "clashes on a full table": (seen(EXHAUSTED, rates=CLASHES), "snat_ports", UNKNOWN, "is not known to have room"),
    "clashes among lookups are no SNAT": (
        seen(rates=CLASHES, table=DNS),
        "snat_ports",
        RULED_OUT,
        "70 % of the entries are DNS",
    ),
    "clashes not counted": (seen(rates=rates(insert_failed=None)), "snat_ports", UNKNOWN, "not read"),
    "clashes among lookups": (seen(rates=CLASHES, table=DNS), "dns_race", FOUND, "wait 5 s"),
    "clashes without lookups": (seen(rates=CLASHES), "dns_race", RULED_OUT, "but 0 % of the entries are DNS"),
    "clashes, table not read": (seen(rates=CLASHES, table=UNREAD), "dns_race", UNKNOWN, "the table was not read"),
    "no clashes": (HEALTHY, "dns_race", RULED_OUT, "0 failed inserts in 3 s."),
    "rates not read": (seen(rates=UNREAD), "dns_race", UNKNOWN, "the deadline came first"),
    "local ports used up": (
        groups(ephemeral_ports={"low": 32768, "high": 33767, "busiest": 950, "reserved": 0}),
        "ephemeral_ports",
        FOUND,
        "950 of 1,000 local ports",
    ),
    "reserved ports count as used": (
        groups(ephemeral_ports={"low": 32768, "high": 33767, "busiest": 500, "reserved": 450}),
        "ephemeral_ports",
        FOUND,
        "500 of 550 local ports",
    ),
    "local ports free": (HEALTHY, "ephemeral_ports", RULED_OUT, "12 of 28,232 local ports"),
    "a port range that makes no sense": (
        groups(ephemeral_ports={"low": 5, "high": 1, "busiest": 950}),
        "ephemeral_ports",
        RULED_OUT,
        "950 of -3",
    ),
    "a port range that is missing": (groups(ephemeral_ports={"busiest": 9}), "ephemeral_ports", UNKNOWN, "is missing"),
    "listen queues overflow": (
        grown("listen_queue", overflows=6, drops=6),
        "listen_queue",
        FOUND,
        "6 overflows and 6 drops",
    ),
    "listen queues drop": (grown("listen_queue", drops=6), "listen_queue", FOUND, "0 overflows and 6 drops"),
    "listen queues long ago": (HEALTHY, "listen_queue", RULED_OUT, "0 overflows"),
    "listen queues not counted": (groups(listen_queue={}), "listen_queue", UNKNOWN, "counter is missing"),
    "SYNs that nobody answers": (
        seen(table=DEAD),
        "dead_backend",
        FOUND,
        "1,400 entries wait for an answer (70 % of those",
    ),
    "SYNs to everywhere": (seen(table=SCATTERED), "dead_backend", UNKNOWN, "spread over many destinations"),
    "SYNs to nowhere known": (seen(table=replace(DEAD, destinations=())), "dead_backend", UNKNOWN, "spread"),
    "few SYNs, as our own knocking leaves": (
        seen(table=table({"SYN_SENT": 800})),
        "dead_backend",
        RULED_OUT,
        "800 entries",
    ),
    "SYNs, table not read": (seen(table=UNREAD), "dead_backend", UNKNOWN, "the deadline came first"),
    "many invalid packets": (seen(rates=rates(invalid=60)), "invalid_drops", FOUND, "60 invalid packets in 3 s"),
    "some invalid packets": (seen(rates=rates(invalid=59)), "invalid_drops", RULED_OUT, "59 invalid packets"),
    "invalid packets not counted": (seen(rates=rates(invalid=None)), "invalid_drops", UNKNOWN, "not read"),
    "neighbours refused": (grown("neighbour_table", table_fulls=4), "neighbour_table", FOUND, "4 refused"),
    "as many neighbours as fit": (
        groups(neighbour_table={"entries": 1024, "gc_thresh3": 1024, "table_fulls": Change(0, 0)}),
        "neighbour_table",
        FOUND,
        "1,024 of 1,024",
    ),
    "few neighbours": (HEALTHY, "neighbour_table", RULED_OUT, "20 of 1,024"),
    "neighbours without a limit": (groups(neighbour_table={"entries": 4}), "neighbour_table", UNKNOWN, "is missing"),
    "packets lost in the queues": (grown("softnet", dropped=9), "softnet", FOUND, "3 packets a second"),
    "packets lost at the interfaces": (grown("links", dropped=90, errors=9), "softnet", FOUND, "33 at the interfaces"),
    "an unwanted multicast": (grown("links", dropped=9), "softnet", RULED_OUT, "3 at the interfaces"),
    "packets lost, no interface read": (groups(links=None), "softnet", RULED_OUT, "0 at the interfaces"),
    "queues not counted": (groups(softnet={"dropped": 4}), "softnet", UNKNOWN, "counter is missing"),
    "packets too large": (grown("path_mtu", fragment_fails=30), "path_mtu", FOUND, "30 packets too large"),
    "one packet too large": (grown("path_mtu", fragment_fails=1), "path_mtu", RULED_OUT, "1 packet too large"),
    "packet sizes not counted": (groups(path_mtu={}), "path_mtu", UNKNOWN, "counter is missing"),
    "TCP memory used up": (
        groups(tcp_memory={"pages": 90_000, "pages_limit": 90_000}),
        "tcp_memory",
        FOUND,
        "90,000 of 90,000 pages",
    ),
    "TCP under pressure": (grown("tcp_memory", pressures=1), "tcp_memory", FOUND, "1 time under pressure"),
    "too many orphans": (
        groups(tcp_memory={"pages": 4, "pages_limit": 90_000, "orphans": 8192, "orphans_limit": 8192}),
        "tcp_memory",
        FOUND,
        "8,192 orphans",
    ),
    "TCP memory free": (HEALTHY, "tcp_memory", RULED_OUT, "40 of 90,000 pages"),
    "TCP memory without a limit": (groups(tcp_memory={"pages": 40}), "tcp_memory", UNKNOWN, "limit is missing"),
    "SYN cookies": (grown("syn_cookies", full_cookies=5), "syn_cookies", FOUND, "5 cookies sent"),
    "SYNs dropped": (grown("syn_cookies", full_drops=5), "syn_cookies", FOUND, "5 SYNs dropped"),
    "no SYN flood": (HEALTHY, "syn_cookies", RULED_OUT, "0 cookies"),
    "SYN queues not counted": (groups(syn_cookies={}), "syn_cookies", UNKNOWN, "are missing"),
    "the instance's allowance exceeded": (
        grown("cloud_allowance", exceeded=5),
        "cloud_allowance",
        FOUND,
        "exceeded 5 times",
    ),
    "the instance's allowance kept": (HEALTHY, "cloud_allowance", RULED_OUT, "40,000 left"),
    "no allowance counted": (
        groups(cloud_allowance={"available": 4}),
        "cloud_allowance",
        UNKNOWN,
        "no interface counts",
    ),
    "Cilium does the Services": (
        seen(cluster=cluster(proxy=Known("cilium"))),
        "cilium",
        FOUND,
        "cilium_bpf_map_pressure",
    ),
    "Cilium, and no word of a proxy": (
        groups(seen(cluster=None), cilium={"present": 1}),
        "cilium",
        FOUND,
        "as well as",
    ),
    "Cilium beside kube-proxy": (
        groups(cilium={"present": 1, "maps": 9}),
        "cilium",
        UNKNOWN,
        "beside kube-proxy (iptables)",
    ),
    "no Cilium": (HEALTHY, "cilium", RULED_OUT, "No Cilium on this node"),
    "Cilium not looked for, kube-proxy seen": (groups(cilium=None), "cilium", RULED_OUT, "kube-proxy in iptables mode"),
    "Cilium not looked for, no proxy known": (groups(seen(cluster=None), cilium=None), "cilium", UNKNOWN, "not read"),
    "chains too long": (
        seen(rates=rates(chaintoolong=4)),
        "chain_too_long",
        FOUND,
        "4 entries refused for a long chain in 3 s, 262,144",
    ),
    "chains too long, buckets not read": (
        seen(rates=rates(chaintoolong=4), usage=UNREAD),
        "chain_too_long",
        FOUND,
        "in 3 s: raise",
    ),
    "chains not counted": (seen(rates=rates(chaintoolong=None)), "chain_too_long", UNKNOWN, "not read"),
    "a pod's table is full": (
        seen(owners=Owners((), 0, (OtherNamespace(7, 7_900, "uid", "envoy"),))),
        "other_namespace",
        FOUND,
        "The table of envoy (network namespace 7) is full: 7,900 of 8,000",
    ),
    "a pod's table has room": (
        seen(owners=Owners((), 0, (OtherNamespace(7, 400, "uid", "envoy"),))),
        "other_namespace",
        RULED_OUT,
        "0 lines",
    ),
    "a pod's table, no limit": (
        seen(owners=Owners((), 0, (OtherNamespace(7, 400, "u", "envoy"),)), usage=usage(limit=0)),
        "other_namespace",
        RULED_OUT,
        "0 lines",
    ),
    "a line of now about another namespace": (
        other_line(age=8),
        "other_namespace",
        FOUND,
        "network namespace 4026532246 is full, 8 s ago",
    ),
    "an old line about another namespace": (
        other_line(age=900),
        "other_namespace",
        RULED_OUT,
        "1 line about other namespaces, none of now",
    ),
    "a line about the node itself": (seen(kernel_log=log(age=3)), "other_namespace", RULED_OUT, "0 lines"),
    "the log not read": (seen(kernel_log=Unknown("needs CAP_SYSLOG")), "other_namespace", UNKNOWN, "needs CAP_SYSLOG"),
}


@pytest.mark.parametrize(("evidence", "name", "status", "words"), CASES.values(), ids=CASES.keys())
def test_a_check_says(evidence: Evidence, name: str, status: str, words: str) -> None:
    other = found(evidence, name)
    assert (other.status, words) == (status, words if words in other.says else other.says)


def test_every_cause_is_checked_and_can_be_found_ruled_out_and_unknown() -> None:
    reached = {(name, status) for _, name, status, _ in CASES.values()}
    assert {(name, status) for name in NAMES for status in (FOUND, RULED_OUT)} - reached == {
        ("chain_too_long", RULED_OUT)
    }
    assert found(HEALTHY, "chain_too_long").status == RULED_OUT


def test_nothing_is_found_on_a_healthy_node() -> None:
    assert {other.status for other in lookalikes(HEALTHY)} == {RULED_OUT}


@pytest.mark.parametrize("name", [name for name in NAMES if name in QUIET_GROUPS and name != "cilium"])
def test_a_group_that_was_not_read_is_unknown_with_its_reason(name: str) -> None:
    missing = seen(groups(**{name: None}), unknown={f"lookalikes.{name}": "no such file"})
    assert (found(missing, name).status, "no such file" in found(missing, name).says) == (UNKNOWN, True)


def test_without_any_counters_every_group_is_unknown() -> None:
    blind = seen(other_counters=UNREAD, cluster=None)
    assert {name for name in NAMES if name in QUIET_GROUPS and found(blind, name).status != UNKNOWN} == set()


def test_a_counter_that_was_reset_is_no_growth() -> None:
    assert (
        found(groups(listen_queue={"overflows": Change(900, 2), "drops": Change(900, 2)}), "listen_queue").status
        == RULED_OUT
    )


def test_the_lines_age_needs_the_uptime() -> None:
    assert found(seen(other_line(8), node=replace(NODE, uptime=UPTIME + 3600)), "other_namespace").status == RULED_OUT
