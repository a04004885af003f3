"""Every row of the verdict table, and the numbers that have fooled other tools."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from diagnostics.model import Change, Evidence, Known, OtherNamespace, Owners, Unknown, VerdictKind
from diagnostics.runbook import lookalikes
from diagnostics.runbook.verdict import is_under_pressure, verdict
from tests.diagnostics.runbook.evidence import (
    CALM_STATES,
    EXHAUSTED,
    HEALTHY,
    NODE,
    UPTIME,
    cluster,
    connects,
    groups,
    log,
    rates,
    seen,
    table,
    usage,
)

UNREAD = Unknown("the deadline came first")
FULL = seen(usage=usage(8_000), connects=UNREAD)
DNS_TABLE = table({"UDP": 7000, "ESTABLISHED": 1000})


def judged(evidence: Evidence) -> tuple[VerdictKind, str, str]:
    answer = verdict(evidence, lookalikes.lookalikes(evidence))
    return answer.kind, answer.headline, answer.lookalike


ROWS: dict[str, tuple[Evidence, VerdictKind, str]] = {
    # ---- the table itself
    "full and dropping is exhausted": (
        EXHAUSTED,
        VerdictKind.EXHAUSTED,
        "8,000 of 8,000 entries, 4,310 packets dropped in 3 s, 20 of 20 new connections failed",
    ),
    "full and dropping is exhausted, without any line in the log": (
        seen(FULL, rates=rates(drops=50)),
        VerdictKind.EXHAUSTED,
        "50 packets dropped in 3 s",
    ),
    "full, dropping and evicting is exhausted": (
        seen(FULL, rates=rates(drops=50, early_drops=700)),
        VerdictKind.EXHAUSTED,
        "50 packets dropped",
    ),
    "full and evicting without a drop is evicting": (
        seen(FULL, rates=rates(early_drops=700)),
        VerdictKind.EVICTING,
        "700 entries evicted in 3 s, none dropped",
    ),
    "a stray drop among thousands of evictions, while all new connections work, is evicting": (
        seen(FULL, rates=rates(drops=3, early_drops=5_000), connects=connects()),
        VerdictKind.EVICTING,
        "5,000 entries evicted in 3 s, 3 packets dropped, 20 of 20 new connections work",
    ),
    "a stray drop among thousands of evictions is exhausted while connections fail": (
        seen(FULL, rates=rates(drops=3, early_drops=5_000), connects=connects(lost=9)),
        VerdictKind.EXHAUSTED,
        "9 of 20 new connections failed",
    ),
    "full but idle is filling: the next burst will be dropped": (
        seen(FULL, connects=connects()),
        VerdictKind.FILLING,
        "no packet was dropped for it in 3 s, 20 of 20 new connections work: the next burst",
    ),
    "full and idle, with our own connections failing, is inconclusive": (
        seen(FULL, connects=connects(lost=20)),
        VerdictKind.INCONCLUSIVE,
        "yet new connections fail, 20 of 20 new connections failed",
    ),
    "75 to 98 % is filling, with the time until full": (
        seen(usage=usage(7_000), rates=rates(growth_per_second=50.0, seconds_to_full=20.0)),
        VerdictKind.FILLING,
        "88 % full (7,000 of 8,000 entries), full in 20 s at this rate",
    ),
    "75 to 98 % and not growing is filling, and says so": (
        seen(usage=usage(7_000)),
        VerdictKind.FILLING,
        "not growing",
    ),
    "75 to 98 % with no counters is filling, and says what was not counted": (
        seen(usage=usage(7_000), rates=UNREAD),
        VerdictKind.FILLING,
        "growth not known, 20 of 20 new connections work; whether it drops was not counted",
    ),
    "an estimate of days is no estimate": (
        seen(usage=usage(7_000), rates=rates(growth_per_second=0.001, seconds_to_full=1e6)),
        VerdictKind.FILLING,
        "not growing",
    ),
    "low, but full within a minute at this rate, is filling": (
        seen(usage=usage(1_200), rates=rates(growth_per_second=700.0, seconds_to_full=9.7)),
        VerdictKind.FILLING,
        "15 % full (1,200 of 8,000 entries), full in 10 s",
    ),
    "low, drops only by failed inserts: SNAT ports": (
        seen(rates=rates(drops=5, insert_failed=5)),
        VerdictKind.LOOKALIKE,
        "not the cause (1,200 of 8,000 entries, 20 of 20 new connections work). 5 failed inserts and 5 drops",
    ),
    "low, drops that nothing explains, is inconclusive": (
        seen(rates=rates(drops=90)),
        VerdictKind.INCONCLUSIVE,
        "conntrack dropped 90 packets in 3 s, but the table has room (1,200 of 8,000 entries): another cause",
    ),
    "low and calm after a recent line in the log has recovered": (
        seen(kernel_log=log(age=130)),
        VerdictKind.RECOVERED,
        "was full 2 min ago, now 1,200 of 8,000 entries and no drops, 20 of 20 new connections work",
    ),
    "low and calm after an old line in the log is healthy": (
        seen(kernel_log=log(age=4_000)),
        VerdictKind.HEALTHY,
        "no drops in 3 s",
    ),
    "low and calm is healthy": (
        HEALTHY,
        VerdictKind.HEALTHY,
        "node-8's conntrack table is fine: 1,200 of 8,000 entries, no drops in 3 s, 20 of 20 new connections work",
    ),
    "no entries at all on a node is inconclusive": (seen(usage=usage(0)), VerdictKind.INCONCLUSIVE, "holds 0 entries"),
    "three entries beside nine running pods is inconclusive": (
        seen(usage=usage(3)),
        VerdictKind.INCONCLUSIVE,
        "or the traffic runs through eBPF",
    ),
    "three entries and no pods is healthy": (seen(usage=usage(3), cluster=None), VerdictKind.HEALTHY, "3 of 8,000"),
    # ---- what was not read
    "usage unknown is inconclusive": (seen(usage=UNREAD), VerdictKind.INCONCLUSIVE, "the deadline came first"),
    "usage that cannot be true is inconclusive": (
        seen(usage=usage(entries=-5)),
        VerdictKind.INCONCLUSIVE,
        "could not be read (absurd)",
    ),
    "usage unknown, but drops and a fresh line: exhausted": (
        seen(usage=UNREAD, rates=rates(drops=90), kernel_log=log(age=1)),
        VerdictKind.EXHAUSTED,
        "the kernel says its conntrack table is full (90 packets dropped in 3 s; usage was not read)",
    ),
    "usage unknown, drops, and an old line: inconclusive": (
        seen(usage=UNREAD, rates=rates(drops=90), kernel_log=log(age=3_000)),
        VerdictKind.INCONCLUSIVE,
        "could not be read",
    ),
    "full, counters unknown, nothing else: inconclusive": (
        seen(FULL, rates=UNREAD),
        VerdictKind.INCONCLUSIVE,
        "but the drop counter was not read twice",
    ),
    "full, counters unknown, new connections fail: exhausted": (
        seen(FULL, rates=UNREAD, connects=connects(lost=20)),
        VerdictKind.EXHAUSTED,
        "20 of 20 new connections failed",
    ),
    "full, counters unknown, a line of just now: exhausted": (
        seen(FULL, rates=UNREAD, kernel_log=log(age=3)),
        VerdictKind.EXHAUSTED,
        "the kernel logged a drop 3 s ago",
    ),
    "full, counters unknown, an old line: inconclusive": (
        seen(FULL, rates=UNREAD, kernel_log=log(age=400)),
        VerdictKind.INCONCLUSIVE,
        "look again",
    ),
    "low, counters and connections unknown: inconclusive, never healthy": (
        seen(rates=UNREAD, connects=UNREAD),
        VerdictKind.INCONCLUSIVE,
        "neither drops nor new connections could be measured",
    ),
    "low, counters unknown, new connections work: healthy, and says what was not counted": (
        seen(rates=UNREAD),
        VerdictKind.HEALTHY,
        "drops not counted, 20 of 20 new connections work",
    ),
    "low, counters unknown, a recent line: not called recovered": (
        seen(rates=UNREAD, connects=UNREAD, kernel_log=log(age=60)),
        VerdictKind.INCONCLUSIVE,
        "neither drops nor",
    ),
    # ---- other causes
    "listen queues overflow on a calm table: a look-alike": (
        groups(listen_queue={"overflows": Change(1, 9), "drops": Change(1, 9)}),
        VerdictKind.LOOKALIKE,
        "8 overflows",
    ),
    "listen queues overflow at 80 % while connections fail: a look-alike before filling": (
        seen(
            groups(listen_queue={"overflows": Change(1, 9), "drops": Change(1, 9)}),
            usage=usage(6_500),
            connects=connects(lost=12),
        ),
        VerdictKind.LOOKALIKE,
        "8 overflows",
    ),
    "listen queues overflow on an exhausted node: still exhausted": (
        seen(groups(EXHAUSTED, listen_queue={"overflows": Change(1, 9), "drops": Change(1, 9)})),
        VerdictKind.EXHAUSTED,
        "is dropping new connections",
    ),
    "a pod's own table is full: a look-alike": (
        seen(owners=Owners((), 0, (OtherNamespace(4026532246, 8_000, "uid", "envoy"),))),
        VerdictKind.LOOKALIKE,
        "envoy (network namespace 4026532246) is full: 8,000 of 8,000",
    ),
    "Cilium without kube-proxy: a low usage proves nothing": (
        seen(cluster=cluster(proxy=Known("cilium"))),
        VerdictKind.LOOKALIKE,
        "tracks its traffic in Cilium's eBPF maps",
    ),
    "another network namespace is inconclusive, never healthy": (
        seen(node=replace(NODE, init_netns=False, addresses=("10.244.8.77",))),
        VerdictKind.INCONCLUSIVE,
        "I looked in another network namespace",
    ),
    "a node that lives in a namespace of its own is healthy": (
        seen(node=replace(NODE, init_netns=False)),
        VerdictKind.HEALTHY,
        "is fine",
    ),
    "a node in a namespace, asked for by its address, is healthy without a cluster": (
        seen(node=replace(NODE, init_netns=False), cluster=None, target="ssh://root@10.90.0.8:2208"),
        VerdictKind.HEALTHY,
        "is fine",
    ),
    "a node in a namespace whose addresses were left out is given the benefit": (
        seen(node=replace(NODE, init_netns=False, addresses=("10.244.8.1",)), left_out={"node.addresses": 9}),
        VerdictKind.HEALTHY,
        "is fine",
    ),
    "a full table in whatever namespace is exhausted": (
        seen(EXHAUSTED, node=replace(NODE, init_netns=False, addresses=())),
        VerdictKind.EXHAUSTED,
        "is dropping",
    ),
}


@pytest.mark.parametrize(("evidence", "kind", "words"), ROWS.values(), ids=ROWS.keys())
def test_verdict(evidence: Evidence, kind: VerdictKind, words: str) -> None:
    said, headline, _ = judged(evidence)
    assert (said, words) == (kind, words if words in headline else headline)


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        pytest.param(ROWS["low, drops only by failed inserts: SNAT ports"][0], "snat_ports", id="SNAT ports"),
        pytest.param(ROWS["a pod's own table is full: a look-alike"][0], "other_namespace", id="a pod's own table"),
        pytest.param(ROWS["Cilium without kube-proxy: a low usage proves nothing"][0], "cilium", id="Cilium"),
        pytest.param(seen(rates=rates(chaintoolong=4, drops=4)), "chain_too_long", id="chains too long"),
    ],
)
def test_a_lookalike_verdict_names_it(evidence: Evidence, name: str) -> None:
    assert judged(evidence)[2] == name


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"usage": UNREAD}, id="usage"),
        pytest.param({"rates": UNREAD, "connects": UNREAD}, id="counters and connections"),
        pytest.param({"usage": UNREAD, "rates": UNREAD, "connects": UNREAD, "table": UNREAD}, id="all that decides"),
    ],
)
def test_what_was_not_read_is_never_healthy(changed: dict[str, Any]) -> None:
    assert judged(seen(**changed))[0] is VerdictKind.INCONCLUSIVE


@pytest.mark.parametrize(
    ("evidence", "pressed"),
    [
        pytest.param(EXHAUSTED, True, id="exhausted"),
        pytest.param(ROWS["full and evicting without a drop is evicting"][0], True, id="evicting"),
        pytest.param(ROWS["full, counters unknown, nothing else: inconclusive"][0], True, id="full and not counted"),
        pytest.param(ROWS["low, but full within a minute at this rate, is filling"][0], True, id="filling fast"),
        pytest.param(HEALTHY, False, id="healthy"),
        pytest.param(seen(kernel_log=log(age=60)), False, id="recovered"),
    ],
)
def test_a_table_is_under_pressure_at_its_limit_and_on_the_way_there(evidence: Evidence, *, pressed: bool) -> None:
    assert is_under_pressure(evidence) is pressed


def test_the_node_is_named_as_it_was_asked_for_where_there_is_no_cluster() -> None:
    assert judged(seen(cluster=None, target="node-7"))[1].startswith("node-7's")


def test_the_machine_names_itself_where_the_target_is_a_path() -> None:
    assert judged(seen(cluster=None, target="nodes/full"))[1].startswith("node-8's")


def test_a_table_without_entries_in_its_rows_is_no_reason_to_call_it_evicting() -> None:
    empty = seen(FULL, rates=rates(early_drops=None), connects=connects(), table=table({}))
    assert judged(empty)[0] is VerdictKind.FILLING


def test_a_line_from_the_future_counts_as_now() -> None:
    ahead = seen(FULL, rates=UNREAD, kernel_log=replace(log(age=0), last_at=UPTIME + 5))
    assert judged(ahead)[0] is VerdictKind.EXHAUSTED


def test_calm_states_are_those_of_a_calm_table() -> None:
    assert judged(seen(table=table(CALM_STATES)))[0] is VerdictKind.HEALTHY
