from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kubernetes import Cluster, Fault, kubeconfig, serving
from diagnostics.cluster import KubeApi, connect
from diagnostics.errors import ClusterError, ConfigurationError, TargetError


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.add_namespace("probes")
    cluster.add_node("node-7", "10.90.0.1")
    cluster.add_node("node-8", "10.90.0.8")
    return cluster


@pytest.fixture
def address(cluster: Cluster) -> Iterator[str]:
    with serving(cluster) as address:
        yield address


@pytest.fixture
def api(address: str, tmp_path: Path) -> KubeApi:
    return KubeApi.from_kubeconfig(kubeconfig(tmp_path, address))


POD = {
    "metadata": {"name": "p", "namespace": "probes"},
    "spec": {"containers": [{"name": "a", "image": "a:1", "imagePullPolicy": "Never"}]},
}


def verbs(cluster: Cluster) -> list[str]:
    return [verb for verb, _, _ in cluster.requests]


# ---- reading --------------------------------------------------------------------------------------------------------


def test_the_cluster_is_named_as_the_kubeconfigs_context(api: KubeApi) -> None:
    assert api.cluster == "lab"


def test_an_unknown_node_is_a_wrong_target_and_similar_names_are_offered(api: KubeApi) -> None:
    with pytest.raises(TargetError, match=r"no node `nod-7`\. Did you mean `node-7`") as caught:
        api.node("nod-7")
    assert caught.value.closest[0] == "node-7"


@pytest.mark.parametrize("name", ["../pods", "..", "a/b", "Node", "", "a?b", "ä", "a b", "a%2e", "x" * 300])
def test_what_cannot_be_a_name_never_reaches_the_server(api: KubeApi, cluster: Cluster, name: str) -> None:
    with pytest.raises(TargetError, match="cannot be the name of a node"):
        api.node(name)
    with pytest.raises(ClusterError, match="cannot be the name of anything"):
        api.pod("probes", name)
    assert cluster.requests == []


@pytest.mark.parametrize("ignores_limits", [False, True], ids=["a server that pages", "a server that does not"])
def test_every_pod_of_a_long_list_is_read(api: KubeApi, cluster: Cluster, ignores_limits: bool) -> None:
    cluster.ignores_limits = ignores_limits
    for i in range(1203):
        cluster.add_pod(f"p-{i}", "node-8" if i % 2 else "node-7", f"10.0.{i // 250}.{i % 250}")
    assert len(list(api.all_pods())) == 1203
    assert len(api.pods_on_node("node-8")) == 601


def test_a_few_addresses_are_asked_for_singly_and_many_by_one_list(api: KubeApi, cluster: Cluster) -> None:
    for i in range(40):
        cluster.add_pod(f"p-{i}", "node-7", f"10.0.0.{i}")
    few = [pod["metadata"]["name"] for pod in api.pods_by_address(["10.0.0.3", "10.0.0.3", "10.0.0.9", "no address"])]
    assert few == ["p-3", "p-9"]
    assert len(cluster.requests) == 2
    many = list(api.pods_by_address([f"10.0.0.{i}" for i in range(10, 30)]))
    assert len(many) == 20
    assert len(cluster.requests) == 3


def test_a_list_without_items_or_with_odd_ones_is_read_as_far_as_it_goes(api: KubeApi, cluster: Cluster) -> None:
    cluster.faults = [
        Fault("GET", "/services", 200, {"items": None}),
        Fault("GET", "/pods", 200, {"items": [None, 3, {}]}),
    ]
    assert api.services() == []
    assert list(api.all_pods()) == [{}]


# ---- errors ---------------------------------------------------------------------------------------------------------


def status(code: int, message: str, **details: Any) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "message": message, "code": code, "details": details}


BUDGET = status(429, "Cannot evict pod", causes=[{"reason": "DisruptionBudget", "message": "needs 1"}])


@pytest.mark.parametrize(
    ("code", "body", "kind", "says"),
    [
        (
            403,
            status(403, 'User "me" cannot list resource "services" in API group "" at the cluster scope'),
            "forbidden",
            "`me` may not list services. Grant it",
        ),
        (403, status(403, "no"), "forbidden", "refused to list the Services: no."),
        (401, status(401, "Unauthorized"), "unauthorized", "Log in again"),
        (
            404,
            status(404, "the server could not find the requested resource"),
            "not_found",
            "Could not list the Services",
        ),
        (410, status(410, "too old resource version"), "conflict", "read it again"),
        (429, status(429, "too many requests"), "overloaded", "try again in some seconds"),
        (429, BUDGET, "budget", "PodDisruptionBudget protects it"),
        (500, status(500, "etcdserver: leader changed"), "server", "its log has the reason"),
        (503, "<html>upstream gone</html>", "overloaded", "<html>upstream gone</html>"),
        (504, status(504, "timed out"), "timeout", "control plane"),
        (422, status(422, "Invalid value"), "invalid", "does not suit this cluster"),
        (500, '{"message": {"odd": 1}}', "server", "odd"),
        (200, "<html>log in</html>", "server", "login page"),
        (200, "[]", "server", "is no JSON"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_answer_that_is_no_success_says_what_to_do(
    api: KubeApi, cluster: Cluster, code: int, body: Any, kind: str, says: str
) -> None:
    cluster.faults = [Fault("GET", "/services", code, body, times=None)]
    with pytest.raises(ClusterError) as caught:
        api.services()
    assert caught.value.kind == kind
    assert says in str(caught.value)


PREFIX = 'pods "conntrack-bot-probe-1" is forbidden: '


@pytest.mark.parametrize(
    ("code", "message", "says"),
    [
        (
            403,
            PREFIX + 'violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)',
            "only `restricted:latest`",
        ),
        (
            403,
            PREFIX + "exceeded quota: probes, requested: pods=1, used: pods=10, limited: pods=10",
            "ResourceQuota `probes`",
        ),
        (
            403,
            PREFIX + "ValidatingAdmissionPolicy 'no-host' with binding 'b' denied request: no host network",
            "`no-host` denied it (no host network)",
        ),
        (
            400,
            'admission webhook "validate.kyverno.svc" denied the request: no {root}',
            "`validate.kyverno.svc` denied it (no {root})",
        ),
        (
            500,
            'Internal error occurred: failed calling webhook "v.example.com": Post: dial tcp: i/o timeout',
            "`v.example.com` did not answer",
        ),
        (403, PREFIX + "unable to validate against any security context constraint: []", "SecurityContextConstraints"),
        (
            403,
            PREFIX + "no PriorityClass with name conntrack-bot-probe was found",
            "PriorityClass `conntrack-bot-probe` is missing",
        ),
        (
            403,
            PREFIX + 'error looking up service account probes/probe: serviceaccount "probe" not found',
            "service account `probe` is missing",
        ),
        (404, 'namespaces "probes" not found', "namespace `probes` does not exist"),
        (
            403,
            PREFIX + "unable to create new content in namespace probes because it is being terminated",
            "being deleted",
        ),
        (
            403,
            PREFIX + "PodSecurityPolicy: unable to admit pod: [hostNetwork: Host network is not allowed]",
            "PodSecurityPolicy",
        ),
        (
            403,
            'pods is forbidden: User "me" cannot create resource "pods" in API group "" in the namespace "probes"',
            "`me` may not create pods in namespace probes",
        ),
    ],
    ids=lambda value: str(value)[38:70],
)
def test_whoever_refuses_a_pod_is_named(api: KubeApi, cluster: Cluster, code: int, message: str, says: str) -> None:
    cluster.faults = [Fault("POST", "/pods", code, status(code, message))]
    with pytest.raises(ClusterError) as caught:
        api.create_pod("probes", POD)
    assert says in str(caught.value)
    assert "The API server refused to create a pod in namespace probes" in str(caught.value)


def test_a_servers_text_is_shown_on_one_line_without_control_characters(api: KubeApi, cluster: Cluster) -> None:
    cluster.faults = [Fault("GET", "/services", 422, status(422, "evil\x1b[31m\r\nline " + "x" * 5000))]
    with pytest.raises(ClusterError) as caught:
        api.services()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


def test_a_broken_read_is_asked_once_more(api: KubeApi, cluster: Cluster) -> None:
    cluster.faults = [Fault("GET", "/nodes/node-8", drop=True)]
    assert api.node("node-8")["metadata"]["name"] == "node-8"
    assert verbs(cluster) == ["GET", "GET"]


def test_a_read_that_breaks_twice_is_an_error(api: KubeApi, cluster: Cluster) -> None:
    cluster.faults = [Fault("GET", "/nodes/node-8", drop=True, times=None)]
    with pytest.raises(ClusterError, match="connection to the API server broke") as caught:
        api.node("node-8")
    assert caught.value.kind == "unreachable"
    assert verbs(cluster) == ["GET", "GET"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", "/pods", drop=True),
        Fault("POST", "/pods", drop_after=True),
        Fault("POST", "/pods", 504, "gone"),
        Fault("POST", "/pods", 201, "no JSON"),
    ],
    ids=["dropped before", "dropped after", "gateway gave up", "garbled"],
)
def test_a_change_without_an_answer_is_ambiguous_and_never_repeated(
    api: KubeApi, cluster: Cluster, fault: Fault
) -> None:
    cluster.faults = [fault]
    with pytest.raises(ClusterError) as caught:
        api.create_pod("probes", POD)
    assert caught.value.kind == "ambiguous"
    assert verbs(cluster) == ["POST"]


def test_a_slow_read_ends_in_time(api: KubeApi, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diagnostics.cluster.api.LIST_SECONDS", 0.2)
    cluster.faults = [Fault("GET", "/services", delay_seconds=1.0, times=None)]
    with pytest.raises(ClusterError, match="did not answer in time") as caught:
        api.services()
    assert caught.value.kind == "timeout"


def test_an_api_that_nobody_serves_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        api = KubeApi.from_kubeconfig(kubeconfig(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}"))
        with pytest.raises(ClusterError, match="cannot be reached") as caught:
            api.services()
    assert caught.value.kind == "unreachable"


def test_a_renewed_token_is_read_after_a_401(cluster: Cluster, address: str, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, address, token="old")
    api = KubeApi.from_kubeconfig(path)
    kubeconfig(tmp_path, address)
    assert api.create_pod("probes", POD)["metadata"]["name"] == "p"
    assert verbs(cluster) == ["POST", "POST"]


# ---- debug pods -----------------------------------------------------------------------------------------------------


def test_a_dry_run_leaves_nothing(api: KubeApi, cluster: Cluster) -> None:
    api.create_pod("probes", POD, dry_run=True)
    assert cluster.of_kind("pods") == []


def test_a_pod_that_is_gone_counts_as_deleted(api: KubeApi) -> None:
    api.delete_pod("probes", "nobody", None)


def test_a_pod_of_the_same_name_with_another_uid_is_left_alone(api: KubeApi, cluster: Cluster) -> None:
    api.create_pod("probes", POD)
    with pytest.raises(ClusterError) as caught:
        api.delete_pod("probes", "p", "another")
    assert caught.value.kind == "conflict"
    assert len(cluster.of_kind("pods")) == 1


def test_threads_may_share_one_api(api: KubeApi) -> None:
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.append(api.node("node-8")["metadata"]["name"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["node-8"] * 8


# ---- where the cluster comes from -----------------------------------------------------------------------------------


def test_a_missing_kubeconfig_is_said_and_the_service_account_is_not_tried(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There is no kubeconfig at"):
        KubeApi.from_kubeconfig(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", "current-context: nobody", json.dumps({"contexts": None, "current-context": "x"}), "\0"],
    ids=["empty", "a list", "no YAML", "no such context", "nulls", "binary"],
)
def test_a_kubeconfig_that_makes_no_sense_is_a_setting_to_correct(tmp_path: Path, content: str) -> None:
    (tmp_path / "kubeconfig").write_text(content)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        KubeApi.from_kubeconfig(str(tmp_path / "kubeconfig"))


def test_an_unknown_context_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="with context `prod` cannot be used"):
        KubeApi.from_kubeconfig(kubeconfig(tmp_path, "http://127.0.0.1:1"), context="prod")


def test_the_environments_kubeconfig_is_the_default(
    cluster: Cluster, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, address))
    assert KubeApi.from_kubeconfig().node("node-7")["metadata"]["name"] == "node-7"


def test_outside_a_pod_there_is_no_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError, match="Outside a pod, name a kubeconfig"):
        connect.in_cluster()
