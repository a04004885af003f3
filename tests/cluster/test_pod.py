"""The debug pod on a real cluster: what it answers on an idle node, and what is said where it cannot answer."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.wiring.ahead import places
from diagnostics.cluster import KubeApi, view
from diagnostics.errors import ClusterError, PodError, TargetError
from diagnostics.model import Known
from diagnostics.transport import Order, Report
from diagnostics.transport.pod import PodSettings, PodTransport, sweep
from diagnostics.transport.pod_spec import Profile, probe_pod
from tests.cluster.lab import IMAGE, KUBECONFIG, NEEDS_CLUSTER, NODE, kubeconfig_of

SETTINGS = PodSettings(image=IMAGE)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),  # with the wait for others who fill tables on this machine
    pytest.mark.skipif(not KUBECONFIG, reason=NEEDS_CLUSTER),
    pytest.mark.usefixtures("quiet"),
]


@pytest.fixture(scope="module")
def api() -> KubeApi:
    return KubeApi.from_kubeconfig(KUBECONFIG)


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
    bot = KubeApi.from_kubeconfig(str(kubeconfig_of("conntrack-bot", tmp_path)))
    assert len(looked(bot)[0]) == 2
    assert sweep(bot, SETTINGS) == 0
    seen = view(bot, NODE, ["10.96.0.1"])
    assert all(isinstance(part, Known) for part in (seen.node, seen.pods, seen.services, seen.nodes))
    found = places(bot)
    assert None not in (found.service, found.server)


def test_an_account_without_rights_is_told_which_one_is_missing(tmp_path: Path) -> None:
    stranger = KubeApi.from_kubeconfig(str(kubeconfig_of("default", tmp_path)))
    with pytest.raises(ClusterError, match=r"conntrack-bot:default` may not create pods.*Grant it: kubectl apply"):
        looked(stranger)


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
