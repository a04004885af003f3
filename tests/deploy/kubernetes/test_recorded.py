from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.kubernetes import FLEET, recorded, running
from deploy.local.kubernetes.access import BOT_TOKEN
from deploy.local.kubernetes.recorded import RECORDINGS, RecordedNode, Recording
from diagnostics.cluster import KubeApi, view
from diagnostics.diagnose import Plan, diagnose
from diagnostics.errors import PodError
from diagnostics.model import Diagnosis, Known
from diagnostics.probe.envelope import unpack
from diagnostics.transport import Order
from diagnostics.transport.pod import PodSettings, PodTransport

FULL = "exhausted-by-short-connections"
SETTINGS = PodSettings(image="localhost/conntrack-bot:dev", ack_seconds=0.5)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "STAGE_SECONDS", {"look": 0.05, "watch": 0.05, "deep": 0.05})
    monkeypatch.setattr("diagnostics.transport.pod.POLL_SECONDS", 0.02)


def asked(kubernetes: Any, folder: Path) -> KubeApi:
    return KubeApi.from_kubeconfig(str(kubernetes.kubeconfig(folder, BOT_TOKEN)))


def diagnosed(api: KubeApi, node: str) -> Diagnosis:
    way = PodTransport(api, node, SETTINGS)
    return diagnose(
        Plan(node, node, "demo", (way,), Order(), view=lambda named: view(api, node, named)), lambda says: None
    )


@pytest.mark.parametrize("folder", sorted(one.name for one in RECORDINGS.iterdir() if (one / "expected.json").exists()))
def test_a_recorded_node_is_diagnosed_as_what_it_was(folder: str, tmp_path: Path) -> None:
    expected = json.loads((RECORDINGS / folder / "expected.json").read_text())
    with running({"node-5": folder}) as kubernetes:
        diagnosis = diagnosed(asked(kubernetes, tmp_path), "node-5")
        assert kubernetes.state.not_modelled == []
    assert str(diagnosis.verdict.kind) == expected["verdict"]


def test_the_pod_that_fills_the_table_is_one_of_the_cluster(tmp_path: Path) -> None:
    with running({"node-7": FULL, "node-8": FULL}) as kubernetes:
        api = asked(kubernetes, tmp_path)
        suspects = {node: diagnosed(api, node).suspects[0] for node in ("node-7", "node-8")}
        for node, suspect in suspects.items():
            assert (suspect.kind, suspect.namespace) == ("pod", "shop")
            assert kubernetes.state.get("pods", suspect.pod, "shop") is not None
            assert api.pod("shop", suspect.pod)["spec"]["nodeName"] == node
    assert suspects["node-7"].pod != suspects["node-8"].pod
    assert suspects["node-7"].owner == suspects["node-8"].owner


def test_nothing_of_the_recordings_own_node_is_left() -> None:
    original = recorded.read(FULL)
    told = json.dumps(recorded.told_as(original, "node-3", "10.90.1.3", "10.90.1.4").reports) + json.dumps(
        recorded.told_as(original, "node-3", "10.90.1.3", "10.90.1.4").view
    )
    view_of = original.view or {}
    old = [view_of["node"]["value"]["boot_id"], view_of["node"]["value"]["uid"], "10.90.0.8", "10.244.8.", '"node-8"']
    assert [one for one in old if one in told] == []
    assert "10.90.1.3" in told


def test_two_looks_are_of_one_machine_whose_clocks_went_on() -> None:
    node = RecordedNode(recorded.read(FULL), began=time.monotonic() - 100)
    pod = {"metadata": {"labels": {"conntrack-bot/kind": "probe"}}}
    report = unpack(node.runs(pod)["look"].message)
    (original, _) = node.recording.reports
    assert abs(report["node"]["time"] - time.time()) < 5
    moved = report["node"]["uptime"] - original["node"]["uptime"]
    assert moved == pytest.approx(100, abs=2)
    assert report["counters"][0]["at"] - original["counters"][0]["at"] == pytest.approx(moved, abs=0.01)
    assert report["kernel_log"]["last_at"] - original["kernel_log"]["last_at"] == pytest.approx(moved, abs=0.01)


def test_a_node_answers_as_its_state_is(tmp_path: Path) -> None:
    with running({"node-7": FULL}) as kubernetes:
        api = asked(kubernetes, tmp_path)
        assert str(diagnosed(api, "node-7").verdict.kind) == "exhausted"
        kubernetes.nodes["node-7"].recording = recorded.told_as(
            recorded.read("healthy"), "node-7", "10.90.1.7", "10.90.1.7"
        )
        assert str(diagnosed(api, "node-7").verdict.kind) == "healthy"


def test_a_deep_look_at_a_recorded_node_says_that_it_was_not_recorded(tmp_path: Path) -> None:
    with running({"node-7": FULL}) as kubernetes:
        way = PodTransport(asked(kubernetes, tmp_path), "node-7", SETTINGS)
        reports = list(way.look(Order(deep=True), lambda says: None))
    assert reports[-1]["unknown"] == {"deep": "not recorded on this node"}


def test_a_silent_kubelet_leaves_the_debug_pod_unseen(tmp_path: Path) -> None:
    with running({"node-9": None}) as kubernetes:
        with pytest.raises(
            PodError, match=r"not acknowledged .* \(node NotReady since .*, last heartbeat 2\d\d s ago\)"
        ):
            list(PodTransport(asked(kubernetes, tmp_path), "node-9", SETTINGS).look(Order(), lambda says: None))
        assert kubernetes.state.of_kind("pods", SETTINGS.namespace) == []


def test_a_deleted_noisy_pod_comes_back_under_a_new_name() -> None:
    with running({"node-7": FULL}) as kubernetes:
        state = kubernetes.state
        (old,) = [one for one in state.of_kind("pods", "shop") if one["metadata"]["name"].startswith("checkout-")]
        state.remove("pods", old)
        (new,) = [one for one in state.of_kind("pods", "shop") if one["metadata"]["name"].startswith("checkout-")]
    assert new["metadata"]["name"].rpartition("-")[0] == old["metadata"]["name"].rpartition("-")[0]
    assert new["metadata"]["name"] != old["metadata"]["name"]


def test_the_whole_fleet_is_one_cluster(tmp_path: Path) -> None:
    with running() as kubernetes:
        api = asked(kubernetes, tmp_path)
        seen = view(api, "node-7")
        assert isinstance(seen.nodes, Known)
        assert set(seen.nodes.value.values()) == set(FLEET)
        assert isinstance(seen.services, Known)
        addresses = [address for service in seen.services.value for address in service.addresses]
        assert len(addresses) == len(set(addresses))


NAMES = st.one_of(
    st.integers(0, 400).map("node-{}".format), st.integers(0, 99).map("ip-10-0-{}".format), st.sampled_from("abcdef")
)


@given(names=st.lists(NAMES, unique=True, min_size=1, max_size=60))
def test_every_node_has_an_address_of_its_own(names: list[str]) -> None:
    numbered = list(recorded.numbered(dict.fromkeys(names)))
    assert [name for name, _, _ in numbered] == names
    assert len({address for _, address, _ in numbered}) == len(names)


def test_names_are_told_as_words_and_not_within_words() -> None:
    nodes = {"value": {"10.90.0.8": "node-8"}}
    reports = ({"stage": "look", "says": ["node-8", "node-80", "10.90.0.80", "src=10.90.0.8 x"]},)
    told = recorded.told_as(Recording("node-8", 0.0, reports, {"nodes": nodes}), "node-2", "10.90.1.2", "10.90.1.3")
    assert told.reports[0]["says"] == ["node-2", "node-80", "10.90.0.80", "src=10.90.1.2 x"]
