from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kubernetes import Cluster, Fault, Kubelet, overloaded, running, serving
from deploy.local.kubernetes.access import ADMIN_TOKEN, BOT_TOKEN, Account

REMEDIATOR = "system:serviceaccount:conntrack-bot:remediator"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def address(cluster: Cluster) -> Iterator[str]:
    with serving(cluster) as address:
        yield address


def ask(
    address: str, path: str, body: Any = None, verb: str = "", token: str = ADMIN_TOKEN, **headers: str
) -> tuple[int, Any, Mapping[str, str]]:
    given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    given |= {key.replace("_", "-"): value for key, value in headers.items()}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(address + path, data, given, method=verb or ("POST" if data else "GET"))  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as said:  # noqa: S310 - the same
            return said.status, _parsed(said.read()), dict(said.headers)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, _parsed(refused.read()), dict(refused.headers)


def _parsed(raw: bytes) -> Any:
    return json.loads(raw) if raw[:1] in (b"{", b"[") and b"}\n{" not in raw else raw.decode()


# ---- what is not modelled -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "path", "code"),
    [
        pytest.param("GET", "/api/v1/pods?shiny=1", 501, id="a parameter"),
        pytest.param("GET", "/api/v1/nodes/n/proxy", 501, id="a part of a node"),
        pytest.param("GET", "/metrics", 404, id="a path"),
        pytest.param("POST", "/api/v1/nodes/n", 405, id="a method"),
    ],
)
def test_what_is_not_modelled_is_refused_and_written_down(
    cluster: Cluster, address: str, verb: str, path: str, code: int
) -> None:
    assert ask(address, path, {} if verb == "POST" else None)[0] == code
    assert cluster.not_modelled == [f"{verb} {path}"]


# ---- faults ---------------------------------------------------------------------------------------------------------


def test_an_overloaded_server_says_when_to_come_back(cluster: Cluster, address: str) -> None:
    cluster.faults.append(overloaded("GET", "/pods"))
    code, body, headers = ask(address, "/api/v1/pods")
    assert (code, body, headers["Retry-After"]) == (429, "Too many requests, please try again later.", "1")
    assert ask(address, "/api/v1/pods")[0] == 200


def test_a_lost_answer_is_to_a_request_that_was_carried_out(cluster: Cluster, address: str) -> None:
    cluster.faults.append(Fault("POST", "/configmaps", drop_after=True))
    with pytest.raises(OSError, match="closed connection"):
        ask(address, "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "x"}})
    assert cluster.get("configmaps", "x", "default") is not None


def test_a_slow_answer_is_late(cluster: Cluster, address: str) -> None:
    cluster.faults.append(Fault("GET", "/pods", delay_seconds=0.3))
    began = time.monotonic()
    assert ask(address, "/api/v1/pods")[0] == 200
    assert time.monotonic() - began > 0.3


def test_a_bug_of_this_server_is_loud(cluster: Cluster, address: str, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.objects["pods", "default", "odd"] = {}
    code, body, _ = ask(address, "/api/v1/pods")
    assert (code, body["message"]) == (501, "a bug of this local Kubernetes: KeyError('metadata')")
    assert cluster.not_modelled == ["GET /api/v1/pods"]
    assert "Traceback" in capfd.readouterr().err


# ---- who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "path", "code"),
    [
        pytest.param("GET", "/api/v1/nodes", 200, id="nodes"),
        pytest.param("GET", "/api/v1/pods", 200, id="pods"),
        pytest.param("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-8", 200, id="leases"),
        pytest.param("GET", "/api/v1/namespaces/default/configmaps", 403, id="no configuration"),
        pytest.param("DELETE", "/api/v1/namespaces/shop/pods/x", 403, id="no pod of others"),
        pytest.param("DELETE", "/api/v1/namespaces/conntrack-bot-probes/pods/x", 404, id="its own pods"),
        pytest.param("PATCH", "/api/v1/nodes/node-8", 403, id="no node"),
        pytest.param("GET", "/api/v1/namespaces/shop/pods/x/log", 403, id="no logs"),
    ],
)
def test_the_bots_account_may_what_the_shipped_roles_say(verb: str, path: str, code: int) -> None:
    with running({"node-8": "healthy"}) as kubernetes:
        assert ask(kubernetes.url, path, verb=verb, token=BOT_TOKEN)[0] == code


def allow(cluster: Cluster, name: str, *rules: dict[str, Any]) -> None:
    cluster.add("clusterroles", name, rules=list(rules))
    subject = {"kind": "ServiceAccount", "name": "conntrack-bot", "namespace": "conntrack-bot"}
    cluster.add("clusterrolebindings", name, roleRef={"kind": "ClusterRole", "name": name}, subjects=[subject])


def test_standing_in_for_somebody_needs_the_right_to_each_part(cluster: Cluster, address: str) -> None:
    as_remediator = {"Impersonate_User": REMEDIATOR, "Impersonate_Extra_approved_by": "U0BOB"}
    code, body, _ = ask(address, "/api/v1/nodes", token=BOT_TOKEN, **as_remediator)
    assert (code, body["details"]["kind"]) == (403, "serviceaccounts")
    allow(cluster, "a", {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]})
    assert ask(address, "/api/v1/nodes", token=BOT_TOKEN, **as_remediator)[0] == 403
    extras = {"apiGroups": ["authentication.k8s.io"], "resources": ["userextras/approved-by"], "verbs": ["impersonate"]}
    allow(cluster, "b", extras)
    code, body, _ = ask(address, "/api/v1/nodes", token=BOT_TOKEN, **as_remediator)
    assert f'User "{REMEDIATOR}" cannot list resource "nodes"' in body["message"]
    (said,) = cluster.impersonations
    assert (said["as"], said["extra"]) == (REMEDIATOR, {"approved-by": ["U0BOB"]})


def test_a_token_can_be_anybodys(cluster: Cluster, address: str) -> None:
    cluster.accounts["hers"] = Account("alice")
    assert 'User "alice" cannot list' in ask(address, "/api/v1/pods", token="hers")[1]["message"]


def test_who_gives_no_token_is_anonymous(address: str) -> None:
    code, body, _ = ask(address, "/api/v1/pods", token="")
    assert (code, 'User "system:anonymous" cannot' in body["message"]) == (403, True)


# ---- what only a long-lived server does -----------------------------------------------------------------------------


def test_a_watch_from_long_ago_is_told_to_begin_anew(cluster: Cluster, address: str) -> None:
    code, said, _ = ask(address, "/api/v1/pods?watch=1&resourceVersion=5&timeoutSeconds=1")
    assert code == 200
    assert (said["type"], said["object"]["code"], said["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_watch_ends_with_a_bookmark_where_one_is_wanted(cluster: Cluster, address: str) -> None:
    path = f"/api/v1/pods?watch=1&resourceVersion={cluster.newest}&timeoutSeconds=0&allowWatchBookmarks=true"
    said = ask(address, path)[1]
    assert (said["type"], said["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", str(cluster.newest))


def test_a_continuation_from_long_ago_is_expired(cluster: Cluster, address: str) -> None:
    token = ask(address, "/api/v1/namespaces?limit=1")[1]["metadata"]["continue"]
    cluster.pages.clear()
    code, body, _ = ask(address, f"/api/v1/namespaces?limit=1&continue={token}")
    assert (code, body["reason"]) == (410, "Expired")


def test_a_server_that_ends_ends_its_watches(cluster: Cluster) -> None:
    with serving(cluster) as address:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        request = urllib.request.Request(f"{address}/api/v1/pods?watch=1", headers=headers)  # noqa: S310 - loopback
        opened = urllib.request.urlopen(request, timeout=5)  # noqa: S310 - the same
    with opened:
        assert opened.read() == b""


# ---- kubelets -------------------------------------------------------------------------------------------------------


def logs(cluster: Cluster, address: str, kubelet: Kubelet) -> tuple[int, Any]:
    cluster.add_node("node-8", "10.90.0.8", kubelet)
    spec = {"nodeName": "node-8", "containers": [{"name": "main", "image": "main:1"}]}
    ask(address, "/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": spec})
    cluster.settle()
    return ask(address, "/api/v1/namespaces/default/pods/p/log")[:2]


def test_the_logs_of_a_node_that_takes_no_connections_are_an_error_of_the_server(
    cluster: Cluster, address: str
) -> None:
    code, body = logs(cluster, address, Kubelet(answers_logs=False))
    url = "https://10.90.0.8:10250/containerLogs/default/p/main"
    assert (code, body["message"]) == (500, f'Get "{url}": dial tcp 10.90.0.8:10250: i/o timeout')


def test_a_container_that_waits_has_no_logs(cluster: Cluster, address: str) -> None:
    code, body = logs(cluster, address, Kubelet(waiting=("ContainerCreating", "")))
    assert (code, body["message"]) == (400, 'container "main" in pod "p" is waiting to start: ContainerCreating')


def test_a_pod_on_a_node_that_is_silent_stays_terminating(cluster: Cluster, address: str) -> None:
    cluster.add_node("node-9", "10.90.0.9", Kubelet(acknowledges_after_seconds=None))
    cluster.add_pod("p", "node-9", "10.244.9.1", "default")
    assert ask(address, "/api/v1/namespaces/default/pods/p", verb="DELETE")[0] == 200
    assert ask(address, "/api/v1/namespaces/default/pods/p")[1]["metadata"]["deletionGracePeriodSeconds"] == 30


def test_the_kubeconfig_says_whose_it_is(tmp_path: Path) -> None:
    with running({"node-8": "healthy"}) as kubernetes:
        written = json.loads(kubernetes.kubeconfig(tmp_path).read_text())
    assert written["users"][0]["user"]["token"] == BOT_TOKEN
    assert written["current-context"] == "demo"
