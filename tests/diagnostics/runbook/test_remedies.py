from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from diagnostics.model import Ages, Evidence, Known, Remedy, SuspectKind, Target, Unknown, Usage
from diagnostics.runbook import conclude, limits, measures
from diagnostics.runbook.remedies import remedies
from tests.diagnostics.runbook.evidence import (
    CHECKOUT_POD,
    CHURN,
    CHURN_STATES,
    EXHAUSTED,
    GIB,
    HEALTHY,
    ages,
    attribution,
    cluster,
    connects,
    log,
    rates,
    rest,
    seen,
    source,
    suspect,
    table,
    usage,
)

NEVER = ["restart_everything", "scale_blindly", "blame_dns", "flush_all", "sysctl_alone"]
PERMANENT = ["keep_alive", "kube_proxy_config", "separate_workload", "alert_rule"]
DNS = source({"UDP": 7_800}, (Target("udp", "10.96.0.10", 53, 7_800),))
LEAK = source({"ESTABLISHED": 7_800}, (Target("tcp", "10.96.0.12", 80, 7_800),))
RETRY = source({"SYN_SENT": 7_800}, (Target("tcp", "10.99.0.9", 80, 7_800),))
HALF_CLOSED = source({"CLOSE_WAIT": 7_800}, (Target("tcp", "10.96.0.12", 80, 7_800),))
DELETED = {"kind": SuspectKind.UNKNOWN, "pod": "", "pod_uid": "", "namespace": "", "owner": "", "label": "10.244.8.11"}
LOAD = attribution(suspect(0.3), rest(0.4), rest(0.3))


def of(evidence: Evidence) -> tuple[Remedy, ...]:
    return remedies(conclude(evidence))


def actions(evidence: Evidence, when: str) -> list[str]:
    return [remedy.action for remedy in of(evidence) if remedy.when == when]


def one(evidence: Evidence, action: str, when: str = "now") -> Remedy:
    return next(remedy for remedy in of(evidence) if (remedy.action, remedy.when) == (action, when))


def held_by(held: Any, **changed: Any) -> Evidence:
    """An exhausted node whose table is one source's."""
    whole = table(held.states, held.targets, sources=(held,))
    return seen(EXHAUSTED, table=whole, attribution=attribution(suspect(0.97, source=held, **changed), rest(0.03)))


def usage_of(**changed: Any) -> Evidence:
    return seen(EXHAUSTED, usage=replace(usage(8_000), **changed))


NOW: dict[str, tuple[Evidence, list[str]]] = {
    "healthy: none": (HEALTHY, []),
    "recovered: none now": (seen(kernel_log=log(60)), []),
    "a look-alike: none": (seen(rates=rates(drops=5, insert_failed=5)), []),
    "inconclusive: read it by hand": (seen(usage=Unknown("no answer")), ["check_by_hand"]),
    "churn: the gentlest first": (
        EXHAUSTED,
        ["throttle_pod", "raise_limit", "shorten_timeouts", "flush_entries", "kill_pod", "drain_node"],
    ),
    "no noisy pod: no pod is throttled, flushed or killed": (
        seen(EXHAUSTED, attribution=LOAD),
        ["raise_limit", "shorten_timeouts", "drain_node"],
    ),
    "a leak: a throttle frees nothing": (held_by(LEAK), ["raise_limit", "flush_entries", "kill_pod", "drain_node"]),
    "the node itself: neither killed nor flushed": (
        held_by(CHURN, kind=SuspectKind.NODE),
        ["raise_limit", "shorten_timeouts", "drain_node"],
    ),
    "a pod that has ended: only its entries are left": (
        seen(EXHAUSTED, cluster=cluster(pods=Known((replace(CHECKOUT_POD, phase="Succeeded"),)))),
        ["flush_entries", "raise_limit"],
    ),
    "a deleted pod's entries: nobody to throttle, to kill or to move": (
        held_by(CHURN, **DELETED),
        ["flush_entries", "raise_limit"],
    ),
    "an unknown address that may be anybody's is not flushed": (
        held_by(CHURN, **DELETED | {"node": ""}),
        ["raise_limit", "shorten_timeouts", "drain_node"],
    ),
    "a pod of another node: a drain here does not move it": (
        held_by(CHURN, node="node-9"),
        ["throttle_pod", "raise_limit", "shorten_timeouts", "flush_entries", "kill_pod"],
    ),
    "a pod whose identity is not known is taken as running": (
        held_by(CHURN, pod_uid=""),
        ["throttle_pod", "raise_limit", "shorten_timeouts", "flush_entries", "kill_pod", "drain_node"],
    ),
    "an address that is none goes into no command": (
        held_by(CHURN, address="; reboot"),
        ["raise_limit", "shorten_timeouts", "kill_pod", "drain_node"],
    ),
    "filling: no drain yet": (
        seen(
            EXHAUSTED, usage=usage(7_000), counters=Unknown("no"), rates=rates(), connects=connects(), kernel_log=log()
        ),
        ["throttle_pod", "raise_limit", "shorten_timeouts", "flush_entries", "kill_pod"],
    ),
    "no cluster: no drain": (
        seen(EXHAUSTED, cluster=None),
        ["throttle_pod", "raise_limit", "shorten_timeouts", "flush_entries", "kill_pod"],
    ),
    "no memory: no higher limit": (
        usage_of(memory_available=0),
        ["throttle_pod", "shorten_timeouts", "flush_entries", "kill_pod", "drain_node"],
    ),
    "table not read: what needs no table": (
        seen(EXHAUSTED, table=Unknown("no"), attribution=None),
        ["raise_limit", "drain_node"],
    ),
}


@pytest.mark.parametrize(("evidence", "expected"), NOW.values(), ids=NOW.keys())
def test_now_helps(evidence: Evidence, expected: list[str]) -> None:
    assert actions(evidence, "now") == expected


@pytest.mark.parametrize(
    ("evidence", "permanent", "never"),
    [
        pytest.param(HEALTHY, ["alert_rule"], [], id="healthy: watch"),
        pytest.param(EXHAUSTED, PERMANENT, NEVER, id="churn"),
        pytest.param(seen(kernel_log=log(60)), ["kube_proxy_config", "alert_rule"], NEVER, id="recovered"),
        pytest.param(
            held_by(DNS),
            ["rate_limit", "node_local_dns", "kube_proxy_config", "separate_workload", "alert_rule"],
            NEVER,
            id="DNS",
        ),
        pytest.param(
            held_by(RETRY), ["rate_limit", "kube_proxy_config", "separate_workload", "alert_rule"], NEVER, id="retries"
        ),
        pytest.param(held_by(LEAK), PERMANENT, NEVER, id="leak"),
        pytest.param(seen(rates=rates(chaintoolong=9)), [], ["raise_limit"], id="a look-alike"),
        pytest.param(seen(usage=Unknown("no")), [], [], id="inconclusive"),
    ],
)
def test_for_good_and_never(evidence: Evidence, permanent: list[str], never: list[str]) -> None:
    assert (actions(evidence, "permanent"), actions(evidence, "never")) == (permanent, never)


# ---- the numbers ----------------------------------------------------------------------------------------------------


def test_a_raise_says_its_price_how_long_it_lasts_and_what_undoes_it() -> None:
    remedy = one(EXHAUSTED, "raise_limit")
    assert remedy.says == (
        "Raise the limit to 16,000: works at once, costs 3 MiB when full, full again in 11 s at this rate. "
        "A restart of kube-proxy undoes it: version 1.20.2 sets it exactly when it starts."
    )
    assert remedy.commands == ("sysctl -w net.netfilter.nf_conntrack_max=16000",)


LIMITS: dict[str, tuple[Usage, int | None, int | None]] = {
    "doubled": (usage(262_144, 262_144, 262_144), 524_288, None),
    "with buckets of a quarter": (usage(262_144, 262_144, 65_536), 524_288, 131_072),
    "with buckets where they are not known": (usage(262_144, 262_144, None), 524_288, 131_072),
    "a limit below the entries": (usage(9_000, 4_000), 18_000, None),
    "a million at most": (usage(600_000, 600_000), 1_048_576, None),
    "not above a million": (usage(1_048_576, 1_048_576), None, None),
    "bounded by a twentieth of the memory": (
        replace(usage(262_144, 262_144), memory_available=GIB),
        262_144 + int(GIB * 0.05 / 386),
        None,
    ),
    "no memory": (replace(usage(262_144, 262_144), memory_available=0), None, None),
    "memory not known": (replace(usage(8_000), memory_available=None), 16_000, None),
    "no limit": (usage(262_144, 0), None, None),
    "absurdly many entries": (usage(2**70, 8_000), None, None),
}


@pytest.mark.parametrize(("read", "limit", "buckets"), LIMITS.values(), ids=LIMITS.keys())
def test_the_proposed_limit_is(read: Usage, limit: int | None, buckets: int | None) -> None:
    proposed = limits.proposal(conclude(seen(EXHAUSTED, usage=read, counters=Unknown("no"))))
    assert (proposed and proposed.limit, proposed and proposed.buckets) == (limit, buckets)


def test_the_hash_size_is_raised_while_running() -> None:
    assert (
        "echo 131072 > /sys/module/nf_conntrack/parameters/hashsize"
        in one(seen(EXHAUSTED, usage=usage(262_144, 262_144, 65_536)), "raise_limit").commands
    )


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("v1.20.2", "A restart of kube-proxy undoes it: version 1.20.2 sets it exactly"),
        ("v1.22.0", "kube-proxy 1.22.0 only ever raises it when it starts; a reboot undoes it."),
        ("v1.28.9", "only ever raises it"),
        ("v1.29.0", "version 1.29.0 sets it exactly"),
        ("v1.35.1", "sets it exactly"),
        ("v1.36.0", "version 1.36.0 may lower it"),
        ("v1.38", "may lower it"),
        ("", "its version is not known"),
        ("garbage", "its version is not known"),
    ],
)
def test_what_undoes_a_sysctl_follows_from_kube_proxys_version(version: str, words: str) -> None:
    view = cluster()
    assert isinstance(view.node, Known)
    node = replace(view.node.value, kube_proxy_version=version)
    assert words in limits.what_undoes_it(conclude(seen(EXHAUSTED, cluster=cluster(node=Known(node)))))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"cluster": None}, "so may a restart of kube-proxy where it runs", id="no cluster"),
        pytest.param({"cluster": cluster(proxy=Known("cilium"))}, "Cilium does not touch it", id="Cilium"),
        pytest.param(
            {"cluster": cluster(proxy_image="kube-proxy:v1.29.3-eks")}, "version 1.29.3", id="the image's tag"
        ),
        pytest.param({"cluster": cluster(proxy_image="kube-proxy")}, "version 1.20.2", id="an image without a tag"),
        pytest.param({"cluster": cluster(node=Unknown("no"))}, "its version is not known", id="no node object"),
    ],
)
def test_what_undoes_a_sysctl(changed: dict[str, Any], words: str) -> None:
    assert words in limits.what_undoes_it(conclude(seen(EXHAUSTED, **changed)))


@pytest.mark.parametrize(
    ("evidence", "limit"),
    [
        pytest.param(EXHAUSTED, 262_144, id="738 a second for 120 s, twice"),
        pytest.param(HEALTHY, 131_072, id="never below kube-proxy's own minimum"),
        pytest.param(seen(EXHAUSTED, usage=usage(2**60, 2**60)), 1_048_576, id="never above a million"),
        pytest.param(
            seen(EXHAUSTED, table=table(CHURN_STATES, ages={"TIME_WAIT": ages(10**30)})), 1_048_576, id="an absurd rate"
        ),
        pytest.param(seen(usage=Unknown("no"), table=Unknown("no"), rates=Unknown("no")), 131_072, id="nothing known"),
    ],
)
def test_the_permanent_limit_has_room_for_this_nodes_traffic(evidence: Evidence, limit: int) -> None:
    assert limits.permanent_limit(conclude(evidence)) == limit


@pytest.mark.parametrize(
    ("held", "command"),
    [
        pytest.param(CHURN, "nf_conntrack_tcp_timeout_time_wait=30", id="TIME_WAIT"),
        pytest.param(RETRY, "nf_conntrack_tcp_timeout_syn_sent=20", id="SYN_SENT"),
        pytest.param(DNS, "nf_conntrack_udp_timeout=10", id="UDP"),
        pytest.param(HALF_CLOSED, "nf_conntrack_tcp_timeout_close_wait=60", id="CLOSE_WAIT"),
    ],
)
def test_the_timeout_that_holds_the_entries_is_shortened(held: Any, command: str) -> None:
    assert one(held_by(held), "shorten_timeouts").commands == (f"sysctl -w net.netfilter.{command}",)


def test_a_timeout_that_is_short_already_is_left_alone() -> None:
    assert "shorten_timeouts" not in actions(seen(EXHAUSTED, timeouts={"tcp_time_wait": 30}), "now")


@pytest.mark.parametrize(
    ("held", "changed", "rule"),
    [
        pytest.param(
            CHURN, {}, "ip saddr 10.244.8.11 tcp flags & (syn|ack) == syn limit rate over 20/second drop", id="TCP"
        ),
        pytest.param(DNS, {}, "ip saddr 10.244.8.11 udp dport 53 limit rate over 20/second drop", id="DNS"),
        pytest.param(CHURN, {"address": "fd00::11"}, "ip6 saddr fd00::11 tcp flags & (syn|ack) == syn", id="IPv6"),
    ],
)
def test_a_throttle_caps_what_the_pod_opens_anew(held: Any, changed: dict[str, Any], rule: str) -> None:
    commands = one(held_by(held, **changed), "throttle_pod").commands
    assert rule in shlex.split(commands[2])[-1]
    assert commands[-1].startswith("nft delete table inet conntrack_throttle")


def test_an_ipv6_pods_entries_are_flushed_as_such() -> None:
    commands = one(held_by(CHURN, address="FD00::11"), "flush_entries").commands
    assert commands == ("conntrack -D --family ipv6 --orig-src fd00::11",)


def test_a_hostile_name_stays_one_word_of_a_command() -> None:
    hostile = held_by(CHURN, namespace="shop; rm -rf /", pod="$(reboot)\n`x`")
    words = shlex.split(one(hostile, "kill_pod").commands[0])
    assert words == ["kubectl", "--namespace", "shop; rm -rf /", "delete", "pod", "$(reboot)\\x0a`x`"]


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        pytest.param("Deployment checkout", "Deployment checkout makes a new one", id="a deployment"),
        pytest.param("DaemonSet agent", "back on the same node within a second", id="a daemon set"),
        pytest.param("", "a bare pod does not come back", id="a bare pod"),
    ],
)
def test_a_kill_says_what_comes_back(owner: str, words: str) -> None:
    assert words in one(held_by(CHURN, owner=owner), "kill_pod").says


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        pytest.param(EXHAUSTED, "set conntrack.min to 262144 there", id="through kube-proxy"),
        pytest.param(seen(EXHAUSTED, cluster=None), "in /etc/sysctl.d", id="without a cluster"),
        pytest.param(seen(EXHAUSTED, cluster=cluster(proxy=Unknown("no"))), "in /etc/sysctl.d", id="proxy unknown"),
    ],
)
def test_a_permanent_limit_is_set_where_it_lasts(evidence: Evidence, words: str) -> None:
    assert words in one(evidence, "kube_proxy_config", "permanent").says


def test_the_workload_to_change_is_named() -> None:
    assert "in Deployment checkout" in one(EXHAUSTED, "keep_alive", "permanent").says
    assert "in the clients that open them" in one(seen(EXHAUSTED, attribution=LOAD), "keep_alive", "permanent").says


def test_how_soon_it_is_full_again_is_told_only_where_it_is_known() -> None:
    blind = seen(EXHAUSTED, table=Unknown("no"), rates=rates(drops=99))
    assert "and buys time only" in one(blind, "raise_limit").says
    assert "full again in 11 s at this rate" in one(EXHAUSTED, "raise_limit").says


def test_lingering_entries_are_told_from_their_pod_and_when_they_go_by_themselves() -> None:
    remedy = one(held_by(CHURN, **DELETED), "flush_entries")
    assert remedy.says == (
        "Delete the entries of a deleted pod (10.244.8.11): the pod is gone, so this disturbs nobody, and about 7,760 "
        "are free at once. Left alone, nine of ten expire within 2 min."
    )
    assert remedy.commands == ("conntrack -D --orig-src 10.244.8.11",)


def test_a_pod_that_is_gone_fills_no_table_again() -> None:
    gone = held_by(CHURN, **DELETED)
    assert "and buys time only" in one(gone, "raise_limit").says
    assert limits.seconds_until_full_again(conclude(gone)) is None


def test_lingering_entries_whose_source_was_not_kept_go_by_their_timeouts() -> None:
    gone = suspect(0.97, **DELETED, source=None)
    assert (
        "they expire by their timeouts"
        in one(seen(EXHAUSTED, attribution=attribution(gone, rest(0.03))), "flush_entries").says
    )


@pytest.mark.parametrize(
    ("held", "seconds"),
    [
        pytest.param(source({"TIME_WAIT": 100}), 120.0, id="no ages: the whole timeout"),
        pytest.param(
            source({"TIME_WAIT": 100}, ages={"TIME_WAIT": Ages(120, 10.0, (0, 0, 0, 100))}), 90.0, id="30 s old"
        ),
        pytest.param(
            source({"TIME_WAIT": 95, "ESTABLISHED": 5}, ages={"TIME_WAIT": Ages(120, 10.0, (0, 95))}),
            110.0,
            id="a few open connections do not count",
        ),
        pytest.param(source({"TIME_WAIT": 50, "ESTABLISHED": 50}), 432_000.0, id="half are open connections"),
        pytest.param(source({"ODD": 100}), None, id="a state without a timeout"),
        pytest.param(source({}), None, id="nothing"),
        pytest.param(source({"UDP": 9}, ages={"UDP": Ages(30, float("inf"), (0, 9))}), None, id="absurd ages"),
    ],
)
def test_how_long_entries_stay_follows_from_their_ages(held: Any, seconds: float | None) -> None:
    assert measures.seconds_until_most_expired(held, {"tcp_established": 432_000}) == seconds


def test_a_throttle_promises_what_was_measured_only_where_the_table_drops() -> None:
    assert "(measured: 12 s)" in one(EXHAUSTED, "throttle_pod").says
    evicting = seen(EXHAUSTED, rates=rates(early_drops=700), connects=connects())
    assert "the table empties as its entries expire" in one(evicting, "throttle_pod").says


def test_a_limit_below_the_entries_is_raised_above_them() -> None:
    assert "Raise the limit to 17,054" in one(seen(EXHAUSTED, usage=usage(8_527)), "raise_limit").says
