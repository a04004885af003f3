from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.kubernetes import Cluster, Fault, Kubelet, Run, kubeconfig, serving
from diagnostics.cluster import KubeApi
from diagnostics.errors import ClusterError, PodError, TargetError
from diagnostics.probe.envelope import pack
from diagnostics.transport import Order, Report
from diagnostics.transport.pod import PodSettings, PodTransport, sweep
from diagnostics.transport.pod_spec import INCIDENT_LABEL, LABELS, probe_pod
from diagnostics.transport.pod_state import Answered, Failed, stage_state

SETTINGS = PodSettings(image="conntrack-bot@sha256:1", ack_seconds=0.2, start_seconds=0.2)


def report(stage: str) -> dict[str, Any]:
    return {"format": 1, "stage": stage, "usage": {"entries": 8000, "limit": 8000}}


def answer(stage: str, seconds: float = 0.0, exit_code: int = 0) -> Run:
    return Run(pack(report(stage), 4096).decode(), seconds, exit_code)


HEALTHY = Kubelet({"look": answer("look"), "watch": answer("watch"), "deep": answer("deep")})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diagnostics.transport.pod.POLL_SECONDS", 0.01)
    monkeypatch.setattr("diagnostics.transport.pod.STATUS_SECONDS", 0.2)


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.add_node("node-8", "10.90.0.8", HEALTHY)
    return cluster


@pytest.fixture
def api(cluster: Cluster, tmp_path: Path) -> Iterator[KubeApi]:
    with serving(cluster) as address:
        yield KubeApi.from_kubeconfig(kubeconfig(tmp_path, address))


def silent(says: str) -> None:
    """Nobody listens."""


def looked(api: KubeApi, node: str = "node-8", settings: PodSettings = SETTINGS, **order: Any) -> list[Report]:
    order = {"deadline_seconds": 0.2} | order
    return list(PodTransport(api, node, settings).look(Order(**order), silent))


def nothing_left(cluster: Cluster) -> bool:
    return cluster.of_kind("pods", SETTINGS.namespace) == []


# ---- the pod as an object -------------------------------------------------------------------------------------------


def spec(order: Order | None = None, **settings: Any) -> dict[str, Any]:
    pod = probe_pod(replace(SETTINGS, **settings), "node-8", order or Order(), name="x", node_uid="u")
    found: dict[str, Any] = pod["spec"]
    return found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nodeName", "node-8"),
        ("hostNetwork", True),
        ("hostPID", False),
        ("restartPolicy", "Never"),
        ("automountServiceAccountToken", False),
        ("enableServiceLinks", False),
        ("serviceAccountName", "probe"),
        ("priorityClassName", "conntrack-bot-probe"),
        ("tolerations", [{"operator": "Exists"}]),
        ("dnsPolicy", "Default"),
        ("securityContext", {"seccompProfile": {"type": "RuntimeDefault"}}),
    ],
)
def test_the_pod_needs_nothing_that_a_full_node_cannot_give(field: str, value: Any) -> None:
    assert spec()[field] == value


@pytest.mark.parametrize(
    ("profile", "rights", "sees_processes"),
    [
        (
            "standard",
            {
                "runAsUser": 0,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "SYSLOG"]},
            },
            False,
        ),
        (
            "minimal",
            {
                "runAsUser": 65532,
                "runAsGroup": 0,
                "runAsNonRoot": True,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            False,
        ),
        ("privileged", {"privileged": True, "runAsUser": 0, "readOnlyRootFilesystem": True}, True),
    ],
)
def test_a_profile_has_these_rights_and_no_others(profile: str, rights: dict[str, Any], sees_processes: bool) -> None:
    made = spec(profile=profile)
    assert [one["securityContext"] for one in [*made["initContainers"], *made["containers"]]] == [rights, rights]
    assert made["hostPID"] is sees_processes


@pytest.mark.parametrize("deep", [False, True], ids=["two stages", "three stages"])
def test_every_stage_is_a_container_with_a_whole_message_of_its_own(deep: bool) -> None:
    order = Order(deep=deep, watch_seconds=1.0)
    made = spec(order)
    containers = [*made["initContainers"], *made["containers"]]
    assert tuple(one["name"] for one in containers) == order.stages()
    assert len(made["containers"]) == 1
    assert 12288 // len(containers) >= 4096
    for one in containers:
        assert one["args"] == [*order.argv(one["name"], 4096), "--output", "/dev/termination-log"]
        assert one["terminationMessagePolicy"] == "FallbackToLogsOnError"
        assert one["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize(("deadline", "life"), [(30.0, 80), (1000.0, 300)], ids=["as long as it takes", "never long"])
def test_a_forgotten_pod_ends_by_itself(deadline: float, life: int) -> None:
    assert spec(Order(deadline_seconds=deadline), start_seconds=20.0)["activeDeadlineSeconds"] == life


@given(st.text(max_size=90))
def test_whatever_the_incident_is_called_its_label_is_valid(incident: str) -> None:
    labels = probe_pod(replace(SETTINGS, incident=incident), "n", Order(), name="x")["metadata"]["labels"]
    value = labels.get("conntrack-bot/incident", "a")
    assert value == value.strip("-_.")
    assert 0 < len(value) <= 63
    assert value.isascii()


DEPLOYED = Path(__file__).parents[3] / "deploy" / "kubernetes"


def test_the_manifests_make_what_the_pod_names() -> None:
    made = {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
        for path in DEPLOYED.glob("*.yaml")
        for one in yaml.safe_load_all(path.read_text())
        if one.get("metadata")
    }
    defaults = PodSettings(image="x")
    assert ("Namespace", "", defaults.namespace) in made
    assert ("ServiceAccount", defaults.namespace, defaults.service_account) in made
    assert ("PriorityClass", "", defaults.priority_class) in made


# ---- answers --------------------------------------------------------------------------------------------------------


def test_the_reports_arrive_in_order_and_nothing_is_left(api: KubeApi, cluster: Cluster) -> None:
    assert looked(api, deep=True) == [report("look"), report("watch"), report("deep")]
    assert nothing_left(cluster)


def test_the_first_report_does_not_wait_for_the_second(api: KubeApi, cluster: Cluster) -> None:
    cluster.kubelets["node-8"] = Kubelet({"look": answer("look"), "watch": answer("watch", seconds=0.3)})
    reports = PodTransport(api, "node-8", SETTINGS).look(Order(), silent)
    began = time.monotonic()
    assert next(reports) == report("look")
    assert time.monotonic() - began < 0.25
    assert [*reports] == [report("watch")]


def test_a_listener_who_leaves_early_leaves_nothing_behind(api: KubeApi, cluster: Cluster) -> None:
    reports = PodTransport(api, "node-8", SETTINGS).look(Order(), silent)
    next(reports)
    assert not nothing_left(cluster)
    reports.close()
    assert nothing_left(cluster)


def test_a_look_that_is_abandoned_while_it_waits_leaves_nothing_behind(api: KubeApi, cluster: Cluster) -> None:
    cluster.kubelets["node-8"] = Kubelet(acknowledges_after_seconds=None)

    def abandon(says: str) -> None:
        if not says:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(PodTransport(api, "node-8", SETTINGS).look(Order(), abandon))
    assert nothing_left(cluster)


def test_the_pod_is_deleted_by_its_uid_and_at_once(api: KubeApi, cluster: Cluster) -> None:
    """Had somebody put another pod in its place, that one would stay."""
    told: list[str] = []
    reports = PodTransport(api, "node-8", SETTINGS).look(Order(), told.append)
    next(reports)
    cluster.of_kind("pods", SETTINGS.namespace)[0]["metadata"]["uid"] = "another"
    list(reports)
    assert len(cluster.of_kind("pods", SETTINGS.namespace)) == 1
    assert "could not be deleted" in told[-1]


@pytest.mark.parametrize(
    ("asked", "watched"),
    [
        pytest.param(2.0, "1", id="less the gap"),
        pytest.param(5.0, "4", id="longer"),
        pytest.param(0.1, "0.1", id="short"),
    ],
)
def test_the_gap_between_the_containers_is_watched_time_too(asked: float, watched: str) -> None:
    """The counters of both are compared, so the time in which neither runs counts."""
    body = probe_pod(PodSettings(image="main:1"), "node-8", Order(watch_seconds=asked), name="probe-1")
    words = body["spec"]["containers"][0]["args"]
    assert words[words.index("--seconds") + 1] == watched


def test_a_report_counts_although_its_container_failed(api: KubeApi, cluster: Cluster) -> None:
    cluster.kubelets["node-8"] = Kubelet({"look": answer("look", exit_code=143), "watch": answer("watch")})
    reports = looked(api)
    assert reports[0] == report("look")
    assert reports[1] == {
        "stage": "watch",
        "unknown": {"watch": "the stage before it, `look`, ended with exit status 143."},
    }


@pytest.mark.parametrize(
    ("watch", "why"),
    [
        (Run("Traceback: boom", exit_code=1), "crashed with exit status 1. Its last words: Traceback: boom"),
        (Run("", seconds=9.0), "has not answered within"),
        (Run("half", exit_code=0), "without a whole report"),
        (Run("", exit_code=137, reason="OOMKilled"), "killed for want of memory"),
        (Run(pack(report("watch"), 4096).decode()[:60], exit_code=0), "without a whole report"),
    ],
    ids=["crash", "silence", "no report", "out of memory", "a report cut short"],
)
def test_a_later_stage_that_fails_is_said_beside_the_earlier_answer(
    api: KubeApi, cluster: Cluster, watch: Run, why: str
) -> None:
    cluster.kubelets["node-8"] = Kubelet({"look": answer("look"), "watch": watch})
    first, last = looked(api)
    assert first == report("look")
    assert set(last) == {"stage", "unknown"}
    assert why in last["unknown"]["watch"]
    assert nothing_left(cluster)


def test_words_of_the_runtime_around_a_report_do_no_harm(api: KubeApi, cluster: Cluster) -> None:
    around = Run("runtime: note\n" + pack(report("look"), 4000).decode() + "\n(end)")
    cluster.kubelets["node-8"] = Kubelet({"look": around, "watch": answer("watch")})
    assert looked(api)[0] == report("look")


def test_a_short_illness_of_the_api_is_sat_out(api: KubeApi, cluster: Cluster) -> None:
    cluster.faults = [
        Fault("GET", "/pods/", drop=True, times=3),
        Fault("GET", "/pods/", 503, "starting", times=3),
        Fault("GET", "/pods/", 500, "etcdserver: leader changed", times=2),
    ]
    assert looked(api, settings=replace(SETTINGS, ack_seconds=10.0)) == [report("look"), report("watch")]


# ---- every way a debug pod fails ------------------------------------------------------------------------------------

IMAGE = "Back-off pulling image"


@pytest.mark.parametrize(
    ("kubelet", "says"),
    [
        (
            Kubelet(acknowledges_after_seconds=None),
            "not acknowledged by the kubelet within 0.2 s (node Ready, last heartbeat",
        ),
        (
            Kubelet(waiting=("ErrImagePull", IMAGE)),
            "not on the node and cannot be had (ErrImagePull: Back-off pulling image)",
        ),
        (Kubelet(waiting=("ImagePullBackOff", IMAGE)), "install deploy/kubernetes/prepull"),
        (Kubelet(waiting=("ErrImageNeverPull", "")), "ErrImageNeverPull: no message"),
        (Kubelet(waiting=("InvalidImageName", "bad {name}")), "is no name of an image (bad {name})"),
        (Kubelet(waiting=("ContainerCreating", "")), "not started within 0.2 s (ContainerCreating"),
        (Kubelet(waiting=("CreateContainerConfigError", "no secret")), "refuses the debug pod's settings (no secret)"),
        (Kubelet(waiting=("CreateContainerError", "seccomp")), "runtime refuses the debug pod (seccomp)"),
        (Kubelet(waiting=("RunContainerError", "apparmor")), "profile `privileged`"),
        (Kubelet(refuses=("OutOfpods", "110 of 110")), "no room for the debug pod (OutOfpods: 110 of 110)"),
        (Kubelet(refuses=("OutOfmemory", "x")), "no room for the debug pod"),
        (Kubelet(refuses=("NodeAffinity", "x")), "node selector does not fit"),
        (Kubelet(refuses=("TaintToleration", "x")), "removed its tolerations"),
        (Kubelet(refuses=("UnexpectedAdmissionError", "x")), "kubelet's log has the reason"),
        (Kubelet(refuses=("Evicted", "low on resource: memory")), "evicted the debug pod, being short of a resource"),
        (Kubelet(refuses=("Preempting", "x")), "room for a critical one"),
        (Kubelet(refuses=("NodeShutdown", "x")), "shutting down"),
        (
            Kubelet({"look": Run(seconds=9)}, refuses=("DeadlineExceeded", "x"), refuses_after_seconds=0.1),
            "ran out of time",
        ),
        (Kubelet(refuses=("SomethingNew", "of 2031")), "ended the debug pod (SomethingNew: of 2031)"),
        (
            Kubelet({"look": Run("exec: python3: not found", exit_code=128, reason="StartError")}),
            "Is the image conntrack-bot's own?",
        ),
        (
            Kubelet({"look": Run("Traceback " + "x" * 900 + " ImportError: no module", exit_code=1)}),
            "ImportError: no module",
        ),
        (Kubelet({"look": Run("", exit_code=1)}), "it said nothing"),
        (Kubelet({"look": Run("", seconds=9)}), "runs, and has not answered within"),
        (Kubelet({"look": Run("hello")}), "Are bot and image of one version?"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
)
def test_a_pod_that_gives_no_answer_says_why_and_leaves_nothing(
    api: KubeApi, cluster: Cluster, kubelet: Kubelet, says: str
) -> None:
    cluster.kubelets["node-8"] = kubelet
    with pytest.raises(PodError, match=r"^Debug pod on node-8: ") as caught:
        looked(api)
    assert says in str(caught.value)
    assert nothing_left(cluster)


def test_a_kubelet_that_is_gone_is_told_by_its_node_and_its_lease(api: KubeApi, cluster: Cluster) -> None:
    cluster.add_node("node-8", "10.90.0.8", Kubelet(acknowledges_after_seconds=None), ready="Unknown")
    cluster.objects["leases", "kube-node-lease", "node-8"]["spec"]["renewTime"] = "2026-01-02T14:28:00.123456Z"
    with pytest.raises(PodError, match=r"\(node NotReady since 2026-01-02T14:29:00Z, last heartbeat \d+ s ago\)"):
        looked(api)


def test_a_slow_start_is_explained_by_the_last_warning(api: KubeApi, cluster: Cluster) -> None:
    cluster.kubelets["node-8"] = Kubelet(waiting=("ContainerCreating", ""))
    reports = PodTransport(api, "node-8", SETTINGS).look(Order(), lambda says: warn(cluster))
    with pytest.raises(PodError, match=r"\(ContainerCreating; MountVolume failed\)"):
        list(reports)


def warn(cluster: Cluster) -> None:
    for pod in cluster.of_kind("pods", SETTINGS.namespace):
        about = {"uid": pod["metadata"]["uid"]}
        cluster.add(
            "events", "e", SETTINGS.namespace, type="Warning", message="MountVolume failed", involvedObject=about
        )


def test_a_pod_that_somebody_deletes_is_said(api: KubeApi, cluster: Cluster) -> None:
    cluster.kubelets["node-8"] = Kubelet({"look": answer("look", seconds=9)})

    def delete(says: str) -> None:
        if "running" in says:
            cluster.objects = {key: one for key, one in cluster.objects.items() if key[0] != "pods"}

    with pytest.raises(PodError, match="somebody deleted the debug pod"):
        list(PodTransport(api, "node-8", SETTINGS).look(Order(), delete))


def test_a_forced_pull_is_told_and_explains_the_missing_image(api: KubeApi, cluster: Cluster) -> None:
    cluster.forces_pulls = True
    cluster.kubelets["node-8"] = Kubelet(waiting=("ImagePullBackOff", IMAGE))
    told: list[str] = []
    with pytest.raises(PodError, match="AlwaysPullImages forces a pull for every pod here"):
        list(PodTransport(api, "node-8", SETTINGS).look(Order(), told.append))
    assert "AlwaysPullImages" in told[0]


# ---- refused before it began ----------------------------------------------------------------------------------------


def test_an_unknown_node_is_a_wrong_target_and_no_pod_is_made(api: KubeApi, cluster: Cluster) -> None:
    with pytest.raises(TargetError, match=r"no node `node-9`\. Did you mean `node-8`"):
        looked(api, node="node-9")
    assert "POST" not in [verb for verb, _, _ in cluster.requests]


def test_a_node_that_may_not_be_read_can_still_be_looked_at(api: KubeApi, cluster: Cluster) -> None:
    cluster.forbidden = {("get", "nodes")}
    assert looked(api)[0] == report("look")


def test_a_refused_pod_is_a_sentence_and_no_deletion(api: KubeApi, cluster: Cluster) -> None:
    cluster.forbidden = {("create", "pods")}
    with pytest.raises(
        ClusterError, match=r"may not create pods in namespace conntrack-bot-probes.*--via ssh"
    ) as caught:
        looked(api)
    assert caught.value.kind == "forbidden"
    assert "DELETE" not in [verb for verb, _, _ in cluster.requests]


def test_without_the_right_to_read_pods_the_right_is_named(api: KubeApi, cluster: Cluster) -> None:
    cluster.forbidden = {("get", "pods")}
    with pytest.raises(ClusterError, match="may not get pods"):
        looked(api)
    assert nothing_left(cluster)


def test_a_lost_answer_to_the_creation_does_not_lose_the_pod(api: KubeApi, cluster: Cluster) -> None:
    cluster.faults = [Fault("POST", "/pods", drop_after=True)]
    assert looked(api) == [report("look"), report("watch")]
    assert nothing_left(cluster)


def test_a_creation_that_never_arrived_is_not_repeated(api: KubeApi, cluster: Cluster) -> None:
    cluster.faults = [Fault("POST", "/pods", drop=True)]
    with pytest.raises(ClusterError) as caught:
        looked(api)
    assert caught.value.kind == "ambiguous"
    assert [verb for verb, _, _ in cluster.requests].count("POST") == 1


def test_a_failed_deletion_is_told_and_the_answers_stay(api: KubeApi, cluster: Cluster) -> None:
    cluster.forbidden = {("delete", "pods")}
    told: list[str] = []
    reports = list(PodTransport(api, "node-8", SETTINGS).look(Order(), told.append))
    assert reports == [report("look"), report("watch")]
    assert "ends by itself, and a later sweep removes it" in told[-1]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("DELETE", "/pods", status=429, body="slow down", times=2), id="overloaded"),
        pytest.param(Fault("DELETE", "/pods", status=500, body="oh", times=2), id="a fault of the server"),
        pytest.param(Fault("DELETE", "/pods", drop=True, times=2), id="connections that break"),
        pytest.param(Fault("DELETE", "/pods", drop_after=True, times=1), id="a lost answer"),
    ],
)
def test_an_api_that_stumbles_at_the_deletion_leaves_nothing_behind(
    api: KubeApi, cluster: Cluster, fault: Fault
) -> None:
    cluster.faults = [fault]
    assert looked(api) == [report("look"), report("watch")]
    assert nothing_left(cluster)


@pytest.mark.parametrize(("phase", "swept"), [("Running", 0), ("Succeeded", 1), ("Failed", 1)])
def test_a_clock_that_is_ahead_takes_no_pod_that_is_in_use(
    api: KubeApi, cluster: Cluster, phase: str, swept: int
) -> None:
    created = datetime.fromtimestamp(time.time() - 1200, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts: dict[str, Any] = {"metadata": {"creationTimestamp": created, "labels": LABELS}, "status": {"phase": phase}}
    cluster.add("pods", "young", SETTINGS.namespace, **parts)
    assert sweep(api, SETTINGS) == swept


# ---- leftovers ------------------------------------------------------------------------------------------------------


def test_a_sweep_removes_old_debug_pods_and_nothing_else(api: KubeApi, cluster: Cluster) -> None:
    old = {"creationTimestamp": "2026-01-02T03:04:05Z"}
    cluster.add_pod("leftover", "node-8", "", SETTINGS.namespace, metadata=old | {"labels": LABELS})
    cluster.add_pod("in-use", "node-8", "", SETTINGS.namespace, metadata={"labels": LABELS})
    cluster.add_pod(
        "foreign", "node-8", "", SETTINGS.namespace, metadata=old | {"labels": {"conntrack-bot/kind": "probe"}}
    )
    cluster.add_pod("elsewhere", "node-8", "", "shop", metadata=old | {"labels": LABELS})
    assert sweep(api, SETTINGS) == 1
    assert sorted(pod["metadata"]["name"] for pod in cluster.of_kind("pods")) == ["elsewhere", "foreign", "in-use"]


@pytest.mark.parametrize(
    ("takes_over", "left"),
    [
        pytest.param(True, ["another-incident", "another-node"], id="its own look died"),
        pytest.param(False, ["another-incident", "another-node", "dead"], id="nobody died"),
    ],
)
def test_what_a_look_that_died_has_left_is_taken_away(
    api: KubeApi, cluster: Cluster, takes_over: bool, left: list[str]
) -> None:
    mine, other = LABELS | {INCIDENT_LABEL: "INC-7"}, LABELS | {INCIDENT_LABEL: "INC-77"}
    cluster.add_pod("dead", "node-8", "", SETTINGS.namespace, metadata={"labels": mine})
    cluster.add_pod("another-incident", "node-8", "", SETTINGS.namespace, metadata={"labels": other})
    cluster.add_pod("another-node", "node-1", "", SETTINGS.namespace, metadata={"labels": mine})
    settings = replace(SETTINGS, incident="INC-7", takes_over=takes_over)
    assert looked(api, settings=settings) == [report("look"), report("watch")]
    assert sorted(pod["metadata"]["name"] for pod in cluster.of_kind("pods", SETTINGS.namespace)) == left


def test_leftovers_that_cannot_be_listed_do_not_cost_the_look(api: KubeApi, cluster: Cluster) -> None:
    cluster.faults = [Fault("GET", "/pods$", status=403, body="no", times=1)]
    settings = replace(SETTINGS, incident="INC-7", takes_over=True)
    assert looked(api, settings=settings) == [report("look"), report("watch")]


def test_a_debug_pod_is_found_by_the_sweep(api: KubeApi, cluster: Cluster) -> None:
    reports = PodTransport(api, "node-8", SETTINGS).look(Order(), silent)
    next(reports)
    assert sweep(api, SETTINGS, older_than_seconds=-5) == 1
    assert nothing_left(cluster)
    reports.close()


# ---- hostile content ------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["initContainerStatuses", "name", "state", "terminated", "waiting", "reason", "message", "phase"]
            ),
            inner | st.just("look"),
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON))
def test_no_status_however_odd_stops_the_waiting(pod: dict[str, Any]) -> None:
    stage_state(pod, "look")


@given(cut=st.integers(0, 200), damage=st.integers(0, 255), place=st.integers(0, 150))
def test_a_message_that_was_cut_or_altered_is_never_taken_for_an_answer(cut: int, damage: int, place: int) -> None:
    whole = pack(report("look"), 4096)
    altered = bytearray(whole[: len(whole) - cut] if cut < len(whole) else b"")
    if place < len(altered):
        altered[place] = damage
    ended = {"exitCode": 0, "message": altered.decode("latin-1")}
    state = stage_state(
        {"status": {"initContainerStatuses": [{"name": "look", "state": {"terminated": ended}}]}}, "look"
    )
    assert isinstance(state, Failed) or (isinstance(state, Answered) and state.report == report("look"))
