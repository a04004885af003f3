from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.kubernetes import Cluster, Fault, kubeconfig, serving
from diagnostics.cluster import KubeApi, view
from diagnostics.cluster.owners import named_owner
from diagnostics.cluster.proxies import version
from diagnostics.cluster.view import dns_addresses, node_of, pod_of, restarts, service_of
from diagnostics.errors import TargetError
from diagnostics.model import Known, Unknown, Workload


def owned_by(kind: str, name: str, **labels: str) -> dict[str, Any]:
    return {"labels": labels, "ownerReferences": [{"kind": kind, "name": name, "controller": True}]}


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.add_node("node-7", "10.90.0.1")
    cluster.add_node("node-8", "10.90.0.8")
    owner = owned_by("ReplicaSet", "checkout-7fff96c597", **{"pod-template-hash": "7fff96c597"})
    cluster.add_pod("checkout-7fff96c597-x", "node-8", "10.244.8.5", metadata=owner)
    cluster.add_pod("payments-1", "node-7", "10.244.7.9", metadata=owned_by("StatefulSet", "payments"))
    cluster.add_pod("bystander", "node-7", "10.244.7.10")
    cluster.add(
        "services", "payments", "shop", spec={"clusterIP": "10.96.0.77", "ports": [{"port": 80, "name": "http"}]}
    )
    cluster.add(
        "services", "kube-dns", "kube-system", spec={"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10", "fd00::a"]}
    )
    return cluster


@pytest.fixture
def api(cluster: Cluster, tmp_path: Path) -> Iterator[KubeApi]:
    with serving(cluster) as address:
        yield KubeApi.from_kubeconfig(kubeconfig(tmp_path, address))


def names(reading: Any) -> list[str]:
    assert isinstance(reading, Known)
    return sorted(pod.name for pod in reading.value)


# ---- the whole view -------------------------------------------------------------------------------------------------


def test_the_view_has_the_nodes_pods_and_those_elsewhere_that_the_table_named(api: KubeApi) -> None:
    seen = view(api, "node-8", ["10.244.8.5", "10.96.0.77", "10.244.7.9", "10.90.0.1", "203.0.113.9"])
    assert names(seen.pods) == ["checkout-7fff96c597-x", "payments-1"]
    assert seen.nodes == Known({"10.90.0.1": "node-7", "10.90.0.8": "node-8"})
    assert seen.dns_addresses == ("10.96.0.10", "fd00::a")
    assert seen.cluster == "lab"
    assert isinstance(seen.node, Known)
    assert seen.node.value.boot_id == "boot-1"
    assert seen.node.value.last_heartbeat == pytest.approx(time.time(), abs=5)


def test_addresses_that_something_else_explains_are_not_asked_for(api: KubeApi, cluster: Cluster) -> None:
    view(api, "node-8", ["10.244.8.5", "10.96.0.77", "10.90.0.1"])
    assert not [query for _, _, query in cluster.requests if "status.podIP" in query.get("fieldSelector", "")]


def test_an_unknown_node_is_a_wrong_target(api: KubeApi) -> None:
    with pytest.raises(TargetError, match="no node `node-88`"):
        view(api, "node-88")


@pytest.mark.parametrize(
    ("verb", "resource", "part"),
    [("get", "nodes", "node"), ("list", "nodes", "nodes"), ("list", "pods", "pods"), ("list", "services", "services")],
)
def test_what_may_not_be_read_is_unknown_and_the_rest_is_known(
    api: KubeApi, cluster: Cluster, verb: str, resource: str, part: str
) -> None:
    cluster.forbidden = {(verb, resource)}
    seen = view(api, "node-8", ["10.244.8.5"])
    failed = {name for name in ("node", "pods", "services", "nodes") if isinstance(getattr(seen, name), Unknown)}
    assert failed == {part}
    assert f"may not {verb} {resource}" in getattr(seen, part).why


def test_without_the_pods_nothing_is_said_about_proxy_and_restarts(api: KubeApi, cluster: Cluster) -> None:
    cluster.forbidden = {("list", "pods")}
    seen = view(api, "node-8")
    assert isinstance(seen.proxy, Unknown)
    assert seen.restarts is None


def test_pods_elsewhere_that_cannot_be_found_leave_the_nodes_own(api: KubeApi, cluster: Cluster) -> None:
    cluster.faults = [
        Fault("GET", "^/api/v1/pods$", times=0),
        Fault("GET", "/services", 500, "gone", times=None),
    ]
    assert names(view(api, "node-8", ["10.244.7.9"]).pods) == ["checkout-7fff96c597-x", "payments-1"]


def test_a_silent_lease_leaves_the_conditions_heartbeat(api: KubeApi, cluster: Cluster) -> None:
    cluster.forbidden = {("get", "leases")}
    ready = cluster.objects["nodes", "", "node-8"]["status"]["conditions"][0]
    ready["lastHeartbeatTime"] = "2026-01-02T03:04:05Z"
    seen = view(api, "node-8").node
    assert isinstance(seen, Known)
    assert seen.value.last_heartbeat == 1767323045.0


# ---- owners ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        (owned_by("ReplicaSet", "web-5d4", **{"pod-template-hash": "5d4"}), Workload("Deployment", "web")),
        (owned_by("ReplicaSet", "web-5d4", **{"rollouts-pod-template-hash": "5d4"}), Workload("Rollout", "web")),
        (owned_by("ReplicaSet", "web-5d4"), Workload("ReplicaSet", "web-5d4")),
        (owned_by("ReplicaSet", "-5d4", **{"pod-template-hash": "5d4"}), Workload("ReplicaSet", "-5d4")),
        (owned_by("Job", "report-29061234"), Workload("CronJob", "report")),
        (owned_by("Job", "report-1611500400"), Workload("CronJob", "report")),
        (owned_by("Job", "report-20260131"), Workload("Job", "report-20260131")),
        (owned_by("Job", "migrate"), Workload("Job", "migrate")),
        (owned_by("DaemonSet", "agent"), Workload("DaemonSet", "agent")),
        (owned_by("Node", "node-8"), Workload("Node", "node-8")),
        ({"ownerReferences": [{"kind": "Deployment", "name": "x"}]}, None),
        ({"ownerReferences": None}, None),
        ({"ownerReferences": [None, "odd", {"controller": True, "name": 3}]}, None),
    ],
    ids=[
        "Deployment", "Argo rollout", "ReplicaSet without a label", "hash and nothing else", "CronJob",
        "CronJob before 1.21", "a Job with a date", "a Job", "DaemonSet", "static pod", "no controller", "null", "odd",
    ],
)  # fmt: skip
def test_names_tell_the_workload(metadata: dict[str, Any], owner: Workload | None) -> None:
    assert named_owner({"metadata": metadata}) == owner


def owner_seen(api: KubeApi) -> Workload | None:
    pods = view(api, "node-8", ["10.244.8.5"]).pods
    assert isinstance(pods, Known)
    return pods.value[0].owner


def test_an_important_pods_owner_is_looked_up(api: KubeApi, cluster: Cluster) -> None:
    owner = {"ownerReferences": [{"kind": "Canary", "name": "checkout-canary", "controller": True}]}
    cluster.add("replicasets", "checkout-7fff96c597", "shop", metadata=owner)
    assert owner_seen(api) == Workload("Canary", "checkout-canary")


@pytest.mark.parametrize("forbidden", [set(), {("get", "replicasets")}], ids=["gone", "forbidden"])
def test_an_owner_that_cannot_be_looked_up_follows_from_its_name(
    api: KubeApi, cluster: Cluster, forbidden: set[tuple[str, str]]
) -> None:
    cluster.forbidden = forbidden
    assert owner_seen(api) == Workload("Deployment", "checkout")


# ---- proxies --------------------------------------------------------------------------------------------------------


def proxy_pod(cluster: Cluster, *args: str, namespace: str = "kube-system", volumes: Any = None) -> None:
    container = {"name": "kube-proxy", "image": "k8s/kube-proxy:v1.29.3", "command": ["kube-proxy", *args]}
    spec = {"containers": [container], "hostNetwork": True, "volumes": volumes}
    cluster.add_pod(
        "kube-proxy-x", "node-8", "10.90.0.8", namespace, spec=spec, metadata={"labels": {"k8s-app": "kube-proxy"}}
    )


def mounted(cluster: Cluster, mode: str) -> None:
    cluster.add("configmaps", "kube-proxy", "kube-system", data={"config.conf": f"apiVersion: x\n{mode}\nudp: 1"})
    proxy_pod(
        cluster, "--config=/x/config.conf", volumes=[{"configMap": {"name": "kube-proxy"}}, {"hostPath": {}}, None]
    )


@pytest.mark.parametrize(
    ("prepare", "mode"),
    [
        (lambda c: proxy_pod(c, "--proxy-mode=ipvs"), Known("ipvs")),
        (lambda c: proxy_pod(c, "--proxy-mode", "nftables"), Known("nftables")),
        (proxy_pod, Known("iptables")),
        (lambda c: mounted(c, 'mode: ""'), Known("iptables")),
        (lambda c: mounted(c, "mode: ipvs  # fast"), Known("ipvs")),
        (lambda c: mounted(c, "nothing: here"), Unknown("kube-proxy's configuration file is not in a ConfigMap")),
        (
            lambda c: c.add_pod("c", "node-8", "10.90.0.8", "kube-system", metadata={"labels": {"k8s-app": "cilium"}}),
            Known("cilium"),
        ),
    ],
    ids=[
        "flag",
        "flag apart",
        "neither flag nor file",
        "file with the default",
        "file",
        "file without a mode",
        "Cilium alone",
    ],
)
def test_the_proxys_mode_is_told_by_the_pods(api: KubeApi, cluster: Cluster, prepare: Any, mode: Any) -> None:
    prepare(cluster)
    assert view(api, "node-8").proxy == mode


def test_a_forbidden_configuration_is_unknown_with_its_place(api: KubeApi, cluster: Cluster) -> None:
    mounted(cluster, "mode: ipvs")
    cluster.forbidden = {("get", "configmaps")}
    proxy = view(api, "node-8").proxy
    assert isinstance(proxy, Unknown)
    assert "ConfigMap kube-system/kube-proxy" in proxy.why


def test_anybodys_pod_called_kube_proxy_is_not_believed(api: KubeApi, cluster: Cluster) -> None:
    proxy_pod(cluster, "--proxy-mode=ipvs", namespace="shop")
    assert isinstance(view(api, "node-8").proxy, Unknown)


def test_the_running_image_tells_the_proxys_version(api: KubeApi, cluster: Cluster) -> None:
    proxy_pod(cluster)
    seen = view(api, "node-8")
    assert isinstance(seen.node, Known)
    assert seen.node.value.kube_proxy_version == "v1.29.3"
    assert seen.proxy_image == "k8s/kube-proxy:v1.29.3"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("host:5000/kube-proxy:v1.33.1@sha256:abc", "v1.33.1"),
        ("602401143452.example.com/eks/kube-proxy:v1.29.0-minimal-eksbuild.1", "v1.29.0-minimal-eksbuild.1"),
        ("host:5000/kube-proxy@sha256:abc", ""),
        ("kube-proxy", ""),
    ],
)
def test_a_version_is_read_from_an_images_tag(image: str, expected: str) -> None:
    assert version(image) == expected


# ---- objects as they come -------------------------------------------------------------------------------------------


def test_a_pod_that_is_over_says_when_it_ended() -> None:
    ended = {"state": {"terminated": {"finishedAt": "2026-01-02T03:04:05Z"}}}
    pod = pod_of({"status": {"phase": "Succeeded", "containerStatuses": [ended, {"state": None}]}})
    assert pod.is_over
    assert pod.finished == 1767323045.0
    assert pod_of({"status": {"phase": "Running", "containerStatuses": [ended]}}).finished is None


def test_restarts_of_the_last_hour_are_counted() -> None:
    def pod(*ends: str) -> dict[str, Any]:
        return {"status": {"containerStatuses": [{"lastState": {"terminated": {"finishedAt": end}}} for end in ends]}}

    now = 1767323045.0  # 2026-01-02T03:04:05Z
    assert restarts([pod("2026-01-02T03:00:00Z", "2026-01-02T01:00:00Z"), pod("nonsense"), {"status": None}], now) == 1


def test_a_service_answers_on_every_address_it_has_and_a_headless_one_on_none() -> None:
    spec = {
        "clusterIP": "10.96.0.1",
        "clusterIPs": ["10.96.0.1", "fd00::1"],
        "externalIPs": ["198.51.100.7"],
        "type": "LoadBalancer",
    }
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.5"}, {"hostname": "lb.example.com"}]}}
    assert service_of({"spec": spec, "status": status}).addresses == (
        "10.96.0.1",
        "fd00::1",
        "198.51.100.7",
        "203.0.113.5",
    )
    assert service_of({"spec": {"clusterIP": "None"}}).addresses == ()


def dns(namespace: str = "x", name: str = "x", labels: Any = None, ports: Any = None) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"clusterIP": "10.0.0.10", "ports": ports},
    }


@pytest.mark.parametrize(
    ("service", "is_dns"),
    [
        (dns("kube-system", "kube-dns"), True),
        (dns("kube-system", "coredns"), True),
        (dns(labels={"k8s-app": "kube-dns"}), True),
        (dns(ports=[{"port": 53, "protocol": "UDP", "name": "dns-default"}]), True),
        (dns(ports=[{"port": 53, "protocol": "TCP", "name": "dns-tcp"}]), False),
        (dns("shop", "kube-dns"), False),
    ],
    ids=["kube-dns", "coredns", "by label", "by port", "TCP only", "in another namespace"],
)
def test_the_name_service_is_recognised(service: dict[str, Any], is_dns: bool) -> None:
    assert dns_addresses([service]) == (("10.0.0.10",) if is_dns else ())


# fmt: off
WORDS = [
    "metadata", "name", "namespace", "labels", "ownerReferences", "kind", "controller", "spec", "containers",
    "ports", "port", "clusterIPs", "status", "podIPs", "ip", "containerStatuses", "state", "terminated",
    "finishedAt", "conditions", "type", "addresses", "address", "nodeInfo", "loadBalancer", "ingress", "phase",
]
# fmt: on
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON))
def test_no_object_however_odd_stops_the_reading(thing: dict[str, Any]) -> None:
    pod_of(thing)
    service_of(thing)
    node_of(thing, None)
    dns_addresses([thing])
    restarts([thing], 0.0)
