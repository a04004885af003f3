from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.attribution import addresses, attribute
from diagnostics.attribution.book import normal
from diagnostics.attribution.shares import interval
from diagnostics.model import (
    Ages,
    ClusterView,
    Known,
    KubeNode,
    Owners,
    Pod,
    Service,
    SocketOwner,
    Source,
    Suspect,
    SuspectKind,
    Table,
    Target,
    Unknown,
    Workload,
)

NOW = 1_800_000_000.0
NODE = KubeNode("node-8", "n8", "b", ("10.90.0.8",), pod_cidrs=("10.244.8.0/24", "fd00:8::/64"))


def pod(name: str, *found: str, **more: Any) -> Pod:
    given = {"namespace": "shop", "uid": f"uid-{name}", "node": "node-8", "phase": "Running", "host_network": False}
    return Pod(name=name, addresses=found, **{**given, **more})


CHECKOUT = pod("checkout-7fff96c597-tsfl7", "10.244.8.5", "fd00:8::5", owner=Workload("Deployment", "checkout"))
PAYMENTS = Service("shop", "payments", ("10.96.3.4",), ((80, "http"),))


def view(*pods: Pod, **more: Any) -> ClusterView:
    parts: dict[str, Any] = {
        "node": Known(NODE),
        "pods": Known(pods or (CHECKOUT,)),
        "services": Known((PAYMENTS,)),
        "nodes": Known({"10.90.0.1": "node-7", "10.90.0.8": "node-8"}),
        "proxy": Known("iptables"),
    }
    return ClusterView(cluster="test", **{**parts, **more})


def table(*sources: Source, **more: Any) -> Table:
    read = more.pop("read", sum(source.entries for source in sources) + more.get("sources_other", 0))
    return Table(via="ctnetlink", mode="sample", read=read, sources=sources, **{"whole": True, **more})


def only(seen: Table, cluster: ClusterView | None, **more: Any) -> Suspect:
    found = attribute(seen, seen.read, cluster, ("10.90.0.8", "10.244.8.1"), now=NOW, **more).suspects
    assert len(found) == 1
    return found[0]


# ---- whose address it is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "kind", "label"),
    [
        pytest.param("10.244.8.5", SuspectKind.POD, "shop/checkout-7fff96c597-tsfl7", id="a pod of this node"),
        pytest.param("::ffff:10.244.8.5", SuspectKind.POD, "shop/checkout-7fff96c597-tsfl7", id="IPv4 spelled as IPv6"),
        pytest.param("FD00:0008:0::5", SuspectKind.POD, "shop/checkout-7fff96c597-tsfl7", id="IPv6 spelled otherwise"),
        pytest.param("10.90.0.8", SuspectKind.NODE, "node-8", id="the node's address"),
        pytest.param("10.244.8.1", SuspectKind.NODE, "node-8", id="the node's address on the pods' bridge"),
        pytest.param("127.0.0.1", SuspectKind.NODE, "node-8", id="loopback"),
        pytest.param("::1", SuspectKind.NODE, "node-8", id="IPv6 loopback"),
        pytest.param("169.254.20.10", SuspectKind.NODE, "node-8", id="link-local"),
        pytest.param("fe80::1%eth0", SuspectKind.NODE, "node-8", id="IPv6 link-local with its interface"),
        pytest.param("10.90.0.1", SuspectKind.NODE, "node-7", id="another node"),
        pytest.param("10.96.3.4", SuspectKind.SERVICE, "shop/payments", id="a Service"),
        pytest.param("203.0.113.7", SuspectKind.EXTERNAL, "203.0.113.7", id="the outside"),
        pytest.param("10.244.8.77", SuspectKind.UNKNOWN, "10.244.8.77", id="in the pod range, but nobody's"),
        pytest.param("gibberish", SuspectKind.UNKNOWN, "gibberish", id="no address at all"),
    ],
)
def test_a_source_is_given_to_its_owner(address: str, kind: SuspectKind, label: str) -> None:
    found = only(table(Source(address, 10)), view())
    assert (found.kind, found.label) == (kind, label)


def test_a_pod_is_named_with_its_workload_and_node() -> None:
    found = only(table(Source("10.244.8.5", 10)), view())
    assert (found.namespace, found.pod, found.owner, found.node, found.note) == (
        "shop",
        "checkout-7fff96c597-tsfl7",
        "Deployment checkout",
        "node-8",
        "",
    )


def test_a_pod_of_another_node_is_said_to_call_in() -> None:
    found = only(table(Source("10.244.7.3", 10)), view(pod("web", "10.244.7.3", node="node-7")))
    assert (found.kind, found.node) == (SuspectKind.POD, "node-7")
    assert found.note == "runs on node node-7, and calls in"


def test_what_shares_the_nodes_address_is_listed_and_not_blamed() -> None:
    sharers = [pod(f"agent-{i}", "10.90.0.8", host_network=True, namespace="kube-system") for i in range(5)]
    elsewhere = pod("proxy", "10.90.0.1", host_network=True, node="node-7")
    found = only(table(Source("10.90.0.8", 10)), view(*sharers, elsewhere))
    assert found.kind is SuspectKind.NODE
    assert found.pod == ""
    assert "kube-system/agent-0" in found.note
    assert "and 2 more" in found.note
    assert "proxy" not in found.note


def test_the_probe_that_looks_is_not_listed_among_them() -> None:
    probe = pod("probe", "10.90.0.8", host_network=True, labels={"conntrack-bot/kind": "probe"})
    assert only(table(Source("10.90.0.8", 10)), view(probe)).note == ""


def test_the_deep_look_names_the_busiest_process_behind_the_nodes_address() -> None:
    agent = pod("agent", "10.90.0.8", host_network=True)
    owners = Owners((SocketOwner("sshd", 1, None, None, 5), SocketOwner("python3", 7, agent.uid, "c", 90)), 5, ())
    found = only(table(Source("10.90.0.8", 10)), view(agent), owners=owners)
    assert "most sockets: process python3 of pod shop/agent, 90 of 100" in found.note


def test_a_deep_look_without_sockets_says_nothing_of_processes() -> None:
    found = only(table(Source("10.90.0.8", 10)), view(), owners=Owners((), 0, ()))
    assert found.note == ""


@pytest.mark.parametrize(
    ("cluster", "why"),
    [
        pytest.param(None, "no cluster was asked", id="no cluster"),
        pytest.param(view(pods=Unknown("403 forbidden")), "the pods could not be listed: 403 forbidden", id="no list"),
    ],
)
def test_an_address_that_could_not_be_looked_up_is_unknown_and_never_outside(
    cluster: ClusterView | None, why: str
) -> None:
    found = only(table(Source("203.0.113.7", 10)), cluster)
    assert (found.kind, found.note) == (SuspectKind.UNKNOWN, f"not looked up: {why}")


def test_two_addresses_of_one_pod_are_one_suspect() -> None:
    target = Target("tcp", "10.96.3.4", 80, 3)
    four = Source(
        "10.244.8.5",
        3,
        {"TIME_WAIT": 3},
        1,
        2,
        3,
        (target,),
        1,
        {"TIME_WAIT": Ages(120, 1.0, (1, 2)), "UDP": Ages(30, 1.0, (0,))},
    )
    six = Source(
        "fd00:8::5",
        4,
        {"TIME_WAIT": 1, "UDP": 3},
        2,
        1,
        0,
        (target, Target("udp", "fd00::a", 53, 9)),
        2,
        {"TIME_WAIT": Ages(120, 1.0, (1, 0, 5)), "UDP": Ages(30, 1.0, (3,)), "CLOSE": Ages(10, 1.0, (1,))},
    )
    source = only(table(four, six), view()).source
    assert source is not None
    assert source == Source(
        "fd00:8::5",
        7,
        {"TIME_WAIT": 4, "UDP": 3},
        3,
        3,
        3,
        (Target("udp", "fd00::a", 53, 9), Target("tcp", "10.96.3.4", 80, 6)),
        3,
        {"TIME_WAIT": Ages(120, 1.0, (2, 2, 5)), "UDP": Ages(30, 1.0, (3,)), "CLOSE": Ages(10, 1.0, (1,))},
    )


def test_ages_in_buckets_of_different_widths_are_not_added() -> None:
    one = Source("10.244.8.5", 3, ages={"UDP": Ages(30, 1.0, (3,))})
    other = Source("fd00:8::5", 2, ages={"UDP": Ages(30, 2.0, (2,))})
    source = only(table(one, other), view()).source
    assert source is not None
    assert source.ages == {"UDP": Ages(30, 1.0, (3,))}


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        pytest.param("10.244.8.77", SuspectKind.UNKNOWN, id="beside a pod of this node"),
        pytest.param("fd00:8::77", SuspectKind.UNKNOWN, id="beside a pod of this node, IPv6"),
        pytest.param("10.244.7.77", SuspectKind.EXTERNAL, id="beside a pod of another node only"),
        pytest.param("10.90.0.77", SuspectKind.EXTERNAL, id="beside a pod that has the node's address"),
    ],
)
def test_a_deleted_pods_address_is_not_called_outside_where_the_node_has_no_pod_cidr(
    address: str, kind: SuspectKind
) -> None:
    pods = (CHECKOUT, pod("web", "10.244.7.3", node="node-7"), pod("agent", "10.90.0.8", host_network=True))
    found = only(table(Source(address, 10)), view(*pods, node=Unknown("forbidden")), node="node-8")
    assert found.kind is kind


def test_a_deleted_pods_entries_are_said_to_linger() -> None:
    assert only(table(Source("10.244.8.77", 10)), view()).note == ("no pod has this address now; its entries linger")


# ---- pods that are gone, addresses that are reused ------------------------------------------------------------------

OLD = {"TIME_WAIT": Ages(120, 1.0, (0,) * 60 + (5,) * 20)}  # last changed 60 to 80 s ago
YOUNG = {"TIME_WAIT": Ages(120, 1.0, (5,) * 20)}
GONE = pod("gone", "10.244.8.5", phase="Succeeded", started=NOW - 500, finished=NOW - 40)
FRESH = pod("fresh", "10.244.8.5", started=NOW - 30)


@pytest.mark.parametrize(
    ("pods", "ages", "name", "note"),
    [
        pytest.param((GONE,), YOUNG, "gone", "terminated 40 s ago; its entries linger", id="terminated"),
        pytest.param(
            (pod("gone", "10.244.8.5", phase="Failed"),),
            YOUNG,
            "gone",
            "terminated; its entries linger",
            id="terminated, nobody knows when",
        ),
        pytest.param(
            (GONE, FRESH), YOUNG, "fresh", "address reused: before, it belonged to shop/gone", id="the running one wins"
        ),
        pytest.param(
            (FRESH, GONE),
            OLD,
            "gone",
            "terminated 40 s ago; its entries linger; the address now belongs to shop/fresh",
            id="unless the entries are older than it",
        ),
        pytest.param(
            (FRESH, pod("before", "10.244.8.5", started=NOW - 900)),
            OLD,
            "before",
            "replaced; its entries linger; the address now belongs to shop/fresh",
            id="the one before is still listed as running",
        ),
        pytest.param(
            (FRESH,),
            OLD,
            "fresh",
            "100 of 100 entries are older than this pod: an earlier pod had this address",
            id="the one before is no longer listed",
        ),
        pytest.param((FRESH,), YOUNG, "fresh", "", id="its own entries"),
        pytest.param((pod("fresh", "10.244.8.5"),), OLD, "fresh", "", id="nobody knows when it started"),
    ],
)
def test_entries_go_to_the_pod_that_can_have_made_them(
    pods: tuple[Pod, ...], ages: dict[str, Ages], name: str, note: str
) -> None:
    found = only(table(Source("10.244.8.5", 100, ages=ages)), view(*pods))
    assert (found.pod, found.note) == (name, note)


@pytest.mark.parametrize(("ago", "said"), [(90, "90 s"), (600, "10 min"), (10_000, "3 h")])
def test_the_time_since_a_pod_ended_is_said_in_its_unit(ago: int, said: str) -> None:
    ended = pod("gone", "10.244.8.5", phase="Succeeded", finished=NOW - ago)
    assert only(table(Source("10.244.8.5", 1)), view(ended)).note.startswith(f"terminated {said} ago")


# ---- shares ---------------------------------------------------------------------------------------------------------


def test_suspects_come_largest_first_and_the_rest_is_explicit() -> None:
    seen = table(
        Source("203.0.113.7", 10),
        Source("10.244.8.5", 60),
        sources_other=20,
        sources_distinct=50,
        unparsed=10,
        read=100,
    )
    found = attribute(seen, 100, view(), node="node-8").suspects
    assert [(one.kind, one.share, one.entries) for one in found] == [
        (SuspectKind.POD, 0.6, 60),
        (SuspectKind.UNKNOWN, 0.3, 30),
        (SuspectKind.EXTERNAL, 0.1, 10),
    ]
    assert found[1].label == "48 sources too small to list"
    assert found[1].note == "10 entries could not be parsed"
    assert found[1].source is None


def test_an_empty_table_is_nobodys() -> None:
    (found,) = attribute(table(), 0, None).suspects
    assert (found.kind, found.share, found.share_low, found.share_high) == (SuspectKind.UNKNOWN, 1.0, 0.0, 1.0)
    assert found.label == "nobody: no entry was read"


def test_a_whole_table_has_no_interval() -> None:
    found = only(table(Source("10.244.8.5", 60)), view())
    assert found.share_low == found.share == found.share_high == 1.0


def test_a_sample_stands_for_the_table_with_an_interval() -> None:
    seen = table(Source("10.244.8.5", 7760), sources_other=240, whole=False)
    result = attribute(seen, 262_144, view())
    found = result.suspects[0]
    assert result.sampled
    assert found.entries == round(0.97 * 262_144)
    assert found.share_low == pytest.approx(0.966, abs=0.001)
    assert found.share_high == pytest.approx(0.9735, abs=0.001)


def test_the_interval_matches_wilsons_published_example() -> None:
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662."""
    low, high = interval(81, 263, 10**12)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_a_sample_of_most_of_the_table_is_surer_than_a_small_one() -> None:
    small, large = interval(500, 1000, 262_144), interval(500, 1000, 1100)
    assert large[1] - large[0] < (small[1] - small[0]) / 3
    assert interval(500, 1000, 1000) == (0.5, 0.5)


# ---- names of targets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "name"),
    [
        pytest.param(Target("tcp", "10.96.3.4", 80, 1), "Service shop/payments:80", id="a Service"),
        pytest.param(Target("udp", "10.244.8.5", 53, 1), "pod shop/checkout-7fff96c597-tsfl7:53/udp", id="a pod"),
        pytest.param(Target("tcp", "203.0.113.7", 443, 1), "outside 203.0.113.7:443", id="outside"),
        pytest.param(Target("tcp", "2001:db8::1", 443, 1), "outside [2001:db8::1]:443", id="outside, IPv6"),
        pytest.param(Target("tcp", "10.90.0.8", 10250, 1), "node node-8:10250", id="this node"),
        pytest.param(Target("icmp", "10.90.0.1", 0, 1), "node node-7/icmp", id="another node, no port"),
        pytest.param(Target("tcp", "10.244.8.99", 80, 1), "10.244.8.99:80", id="a pod that is gone"),
    ],
)
def test_targets_are_named_as_the_cluster_knows_them(target: Target, name: str) -> None:
    seen = table(Source("10.244.8.5", 4), destinations=(target,), backends=(target,))
    found = attribute(seen, 4, view())
    assert [(one.name, one.share) for one in (*found.destinations, *found.backends)] == [(name, 0.25)] * 2


def test_targets_without_a_cluster_are_addresses_and_not_called_outside() -> None:
    seen = table(
        Source("10.0.0.5", 1), destinations=(Target("tcp", "1.2.3.4", 80, 1), Target("tcp", "127.0.0.1", 80, 1))
    )
    assert [one.name for one in attribute(seen, 1, None).destinations] == ["1.2.3.4:80", "the node itself:80"]


def test_all_addresses_that_will_be_named_are_asked_for_once() -> None:
    target = Target("tcp", "10.96.3.4", 80, 1)
    seen = table(
        Source("10.244.8.5", 4, targets=(target,)), destinations=(target,), backends=(Target("tcp", "10.9.9.9", 1, 1),)
    )
    assert addresses(seen) == ("10.244.8.5", "10.96.3.4", "10.9.9.9")


# ---- whatever comes -------------------------------------------------------------------------------------------------

ADDRESSES = st.one_of(
    st.sampled_from(["10.244.8.5", "fd00:8::5", "127.0.0.1", "10.90.0.8", "10.244.8.9", ""]),
    st.ip_addresses().map(str),
    st.text(max_size=8),
)
COUNTS = st.integers(-5, 10**7)
AGES = st.builds(Ages, COUNTS, st.floats(allow_nan=True), st.lists(COUNTS, max_size=5).map(tuple))
TARGETS = st.lists(st.builds(Target, st.text(max_size=4), ADDRESSES, COUNTS, COUNTS), max_size=3).map(tuple)
SOURCES = st.builds(
    Source, address=ADDRESSES, entries=COUNTS, targets=TARGETS, ages=st.dictionaries(st.just("UDP"), AGES)
)
TABLES = st.builds(
    Table,
    via=st.just(""),
    mode=st.just(""),
    read=COUNTS,
    whole=st.booleans(),
    unparsed=COUNTS,
    sources=st.lists(SOURCES, max_size=6).map(tuple),
    sources_distinct=COUNTS,
    sources_other=COUNTS,
    destinations=TARGETS,
    backends=TARGETS,
)
VIEWS = st.sampled_from([None, view(), view(GONE, FRESH), view(pods=Unknown("no"), node=Unknown("no"))])


@given(TABLES, COUNTS, VIEWS)
def test_whatever_comes_the_shares_sum_to_one_within_their_intervals(
    seen: Table, entries: int, cluster: ClusterView | None
) -> None:
    found = attribute(seen, entries, cluster, ("10.90.0.8",), now=NOW)
    assert sum(one.share for one in found.suspects) == pytest.approx(1.0, abs=1e-9)
    assert all(0 <= one.share_low <= one.share <= one.share_high <= 1 for one in found.suspects)
    assert [one.share for one in found.suspects] == sorted((one.share for one in found.suspects), reverse=True)
    assert all(0 <= one.share <= 1 for one in (*found.destinations, *found.backends))


@given(st.text())
def test_any_text_has_one_normal_spelling(text: str) -> None:
    assert normal(normal(text)) == normal(text)


def test_five_thousand_pods_cost_milliseconds() -> None:
    pods = tuple(pod(f"p{i}", f"10.{i >> 8}.{i & 255}.9", f"fd00::{i:x}:1", node="node-7") for i in range(5000))
    sources = tuple(Source(f"10.{i >> 8}.{i & 255}.9", 10) for i in range(0, 4000, 10))
    seen, cluster = table(*sources), view(*pods)
    began = time.process_time()
    found = attribute(seen, 4000, cluster)
    assert time.process_time() - began < 0.25  # measured: 0.02; the rest is for a busy machine
    assert len(found.suspects) == 400
