"""The debug pod on a real cluster: KUBECONFIG names it, deploy/kubernetes is applied, and its nodes have the image.

CLUSTER_NODE is the node to look at, PROBE_IMAGE the image. Where CLUSTER_TOOLS has the test cluster's tools (`noisy`),
the node's table is really filled; run nothing else on that machine meanwhile.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diagnostics.cluster import KubeApi, view
from diagnostics.errors import ClusterError, PodError, TargetError
from diagnostics.model import Known
from diagnostics.transport import Order, Report
from diagnostics.transport.pod import PodSettings, PodTransport, sweep
from diagnostics.transport.pod_spec import LABEL_SELECTOR, Profile, probe_pod

KUBECONFIG = os.environ.get("KUBECONFIG", "")
TOOLS = os.environ.get("CLUSTER_TOOLS", "")
NODE = os.environ.get("CLUSTER_NODE", "node-8")
IMAGE = os.environ.get("PROBE_IMAGE", "localhost/conntrack-bot:dev")
SETTINGS = PodSettings(image=IMAGE)
FULL = 8000

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not KUBECONFIG, reason="needs a real Kubernetes, named by KUBECONFIG"),
]


@pytest.fixture(scope="module")
def api() -> KubeApi:
    return KubeApi.from_kubeconfig(KUBECONFIG)


@pytest.fixture(autouse=True)
def _nothing_left(api: KubeApi) -> Iterator[None]:
    yield
    assert api.list_probe_pods(SETTINGS.namespace, LABEL_SELECTOR) == []


def kubectl(*args: str) -> str:
    return subprocess.run(["kubectl", *args], check=True, capture_output=True, text=True, timeout=60).stdout


def as_account(name: str, folder: Path) -> KubeApi:
    """The API as a service account of namespace conntrack-bot sees it."""
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    config["users"][0]["user"] = {"token": _token(name)}
    (folder / name).write_text(json.dumps(config))
    return KubeApi.from_kubeconfig(str(folder / name))


def _token(account: str) -> str:
    """By request, or from the account's secret where the cluster is older than 1.24 and makes one by itself."""
    request = subprocess.run(
        ["kubectl", "-n", "conntrack-bot", "create", "token", account], check=False, capture_output=True, text=True
    )
    if request.returncode == 0:
        return request.stdout.strip()
    secrets = json.loads(kubectl("-n", "conntrack-bot", "get", "secrets", "-o", "json"))["items"]
    key = "kubernetes.io/service-account.name"
    mine = [one for one in secrets if (one["metadata"].get("annotations") or {}).get(key) == account]
    return base64.b64decode(mine[0]["data"]["token"]).decode()


def looked(
    api: KubeApi, node: str = NODE, settings: PodSettings = SETTINGS, **order: Any
) -> tuple[list[Report], float, float]:
    """The reports, and the seconds until the first and until the last."""
    began, first, reports = time.monotonic(), 0.0, []
    for report in PodTransport(api, node, settings).look(Order(**order), lambda says: None):
        first = first or time.monotonic() - began
        reports.append(report)
    return reports, first, time.monotonic() - began


@pytest.mark.parametrize("profile", ["standard", "minimal", "privileged"])
def test_a_healthy_node_answers_within_seconds(api: KubeApi, profile: Profile) -> None:
    reports, first, last = looked(api, settings=replace(SETTINGS, profile=profile))
    assert [report["stage"] for report in reports] == ["look", "watch"]
    assert reports[0]["usage"]["limit"] > 0
    assert ("kernel_log" in reports[0]) is (profile != "minimal")
    assert first < 4
    assert last < 10


def test_the_deep_stage_answers_too(api: KubeApi) -> None:
    reports, _, _ = looked(api, settings=replace(SETTINGS, profile="privileged"), deep=True)
    assert [report["stage"] for report in reports] == ["look", "watch", "deep"]
    assert "owners" in reports[2]


def test_the_bots_own_account_has_the_rights_it_needs(tmp_path: Path) -> None:
    bot = as_account("conntrack-bot", tmp_path)
    assert len(looked(bot)[0]) == 2
    assert sweep(bot, SETTINGS) == 0
    seen = view(bot, NODE, ["10.96.0.1"])
    assert all(isinstance(part, Known) for part in (seen.node, seen.pods, seen.services, seen.nodes))


def test_an_account_without_rights_is_told_which_one_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"conntrack-bot:default` may not create pods.*Grant it: kubectl apply"):
        looked(as_account("default", tmp_path))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": "localhost/nothing:1"}, "the image localhost/nothing:1 is not on the node"),
        ({"image": "localhost/nothing:1", "pull_policy": "Never"}, "ErrImageNeverPull"),
        ({"image": "Not An Image"}, "is no name of an image"),
        ({"command": ("/nothing",)}, "could not be started"),
        ({"command": ("python3", "-c", "exit('no such stage')")}, "exit status 1. Its last words: no such stage"),
        ({"command": ("python3", "-c", "print('hello')")}, "without a whole report"),
    ],
    ids=["image missing", "image never pulled", "no image name", "no such program", "crash", "no report"],
)  # fmt: skip
def test_a_debug_pod_that_cannot_answer_says_why(api: KubeApi, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(PodError) as caught:
        looked(api, settings=replace(SETTINGS, **changes))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"namespace": "conntrack-bot-nothing"}, "namespace `conntrack-bot-nothing` does not exist"),
        ({"service_account": "nobody"}, "service account `nobody` is missing"),
        ({"priority_class": "nothing"}, "PriorityClass `nothing` is missing"),
    ],
    ids=["no namespace", "no service account", "no priority class"],
)
def test_a_refused_debug_pod_names_what_is_missing(api: KubeApi, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ClusterError) as caught:
        looked(api, settings=replace(SETTINGS, **changes))
    assert says in str(caught.value)


def test_an_unknown_node_is_a_wrong_target(api: KubeApi) -> None:
    with pytest.raises(TargetError, match=f"no node `{NODE}x`.*{NODE}"):
        looked(api, node=f"{NODE}x")


def test_a_dry_run_is_admitted_and_leaves_nothing(api: KubeApi) -> None:
    body = probe_pod(SETTINGS, NODE, Order(deep=True), name="conntrack-bot-probe-dry")
    api.create_pod(SETTINGS.namespace, body, dry_run=True)


@pytest.fixture
def full_table() -> Iterator[None]:
    """The node's table full, by a real pod that presses on."""
    noisy = str(Path(TOOLS) / "noisy")
    try:
        subprocess.run([noisy, "churn", NODE, "800"], check=True, timeout=120)
        subprocess.run([noisy, "limit", str(FULL)], check=True, timeout=30)
        time.sleep(20)  # 800 new entries a second fill 8,000 in 10 s
        yield
    finally:
        subprocess.run([noisy, "stop"], check=True, timeout=180)


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.skipif(not TOOLS, reason="needs the test cluster's tools, named by CLUSTER_TOOLS")
@pytest.mark.usefixtures("full_table")
def test_a_full_node_answers_twenty_times_of_twenty(api: KubeApi) -> None:
    for _ in range(20):
        reports, first, last = looked(api, connect=("10.96.0.1", 443), connect_what="the API Service")
        assert [report["stage"] for report in reports] == ["look", "watch"]
        assert reports[0]["usage"]["entries"] >= 0.99 * FULL
        assert first < 4
        assert last < 10
