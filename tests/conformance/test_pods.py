"""What lives: pods on a node, and the workloads that bring them back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.lab import NODE
from tests.conformance.servers import (
    Json,
    Said,
    Server,
    container,
    phase,
    pod,
)

MERGE, STRATEGIC, OPERATIONS = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
)


def states(said: Said) -> dict[str, Json]:
    status = said.body["status"]
    listed = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return {one["name"]: one["state"] for one in listed}


def message(said: Said, name: str) -> str:
    return str(states(said)[name]["terminated"]["message"])


def test_a_new_pod_is_pending_and_then_acknowledged(server: Server, name: str) -> None:
    made = server.made("pods", pod(name))
    assert made["status"]["phase"] == "Pending"
    assert "startTime" not in made["status"]
    server.until(server.of("pods", name), lambda said: "startTime" in said.body["status"])
    server.ask("DELETE", server.of("pods", name))


def test_an_init_containers_message_is_there_while_the_next_one_runs(server: Server, name: str) -> None:
    server.made("pods", pod(name, container("second"), inits=(container("first"),)))
    path = server.of("pods", name)
    early = server.until(path, lambda said: "running" in states(said).get("second", {}))
    assert message(early, "first") == "A"
    assert states(early)["first"]["terminated"]["reason"] == "Completed"
    assert early.body["status"]["phase"] == "Running"
    late = server.until(path, phase("Succeeded"))
    assert message(late, "second") == "B"


def test_a_container_waits_for_the_one_before_it(server: Server, name: str) -> None:
    server.made("pods", pod(name, container("first"), inits=(container("second"),)))
    early = server.until(server.of("pods", name), lambda said: "running" in states(said).get("second", {}))
    assert states(early)["first"] == {"waiting": {"reason": "PodInitializing"}}
    assert early.body["status"]["phase"] == "Pending"


def test_a_failed_init_container_ends_the_pod(server: Server, name: str) -> None:
    server.made("pods", pod(name, container("first"), inits=(container("fails"),)))
    said = server.until(server.of("pods", name), phase("Failed"))
    ended = states(said)["fails"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "why")
    assert "waiting" in states(said)["first"]


def test_of_a_long_message_the_end_is_kept(server: Server, name: str) -> None:
    server.made("pods", pod(name, container("long")))
    said = server.until(server.of("pods", name), phase("Succeeded"))
    assert message(said, "long") == "0" * 4095 + "1"


def test_four_containers_share_what_a_pod_may_say(server: Server, name: str) -> None:
    server.made("pods", pod(name, *(container(f"quarter-{number}") for number in range(4))))
    said = server.until(server.of("pods", name), phase("Succeeded"))
    assert [message(said, f"quarter-{number}") for number in range(4)] == ["0" * 3072] * 4


@pytest.mark.parametrize(
    ("parts", "reasons"),
    [
        pytest.param({"image": "localhost/nothing:1"}, {"ErrImagePull", "ImagePullBackOff"}, id="missing"),
        pytest.param(
            {"image": "localhost/nothing:1", "imagePullPolicy": "Never"},
            {"ErrImageNeverPull"},
            id="missing, not pulled",
        ),
        pytest.param({"image": "Not An Image"}, {"InvalidImageName"}, id="no image's name"),
    ],
)
def test_a_pod_without_an_image_waits_and_says_why(server: Server, name: str, parts: Json, reasons: set[str]) -> None:
    server.made("pods", pod(name, container("first", **parts)))
    path = server.of("pods", name)
    said = server.until(path, lambda said: states(said).get("first", {}).get("waiting", {}).get("reason") in reasons)
    assert said.body["status"]["phase"] == "Pending"
    server.ask("DELETE", path, {"gracePeriodSeconds": 0})


def test_a_pod_that_no_scheduler_takes_can_be_bound(server: Server, name: str) -> None:
    server.made("pods", pod(name, nodeName="", schedulerName="nobody"))
    target = {"target": {"kind": "Node", "name": NODE}}
    assert server.ask("POST", server.of("pods", name, "binding"), target).code == 400
    bound = server.ask("POST", server.of("pods", name, "binding"), target | {"metadata": {"name": name}})
    assert (bound.code, bound.body["status"]) == (201, "Success")
    server.until(server.of("pods", name), phase("Running"))
    server.ask("DELETE", server.of("pods", name))


@pytest.fixture
def deployment(server: Server, name: str) -> Iterator[str]:
    labels = {"app": name}
    spec = {key: value for key, value in pod(name)["spec"].items() if key != "restartPolicy"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    wanted = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    server.made("deployments", {"metadata": {"name": name}, "spec": wanted}, "apis/apps/v1")
    yield name
    server.ask("DELETE", server.of("deployments", name, group="apis/apps/v1"), {"propagationPolicy": "Background"})


def pods_of(server: Server, app: str, count: int, *, but: str = "") -> list[Json]:
    """The pods with this label, once there are so many that are not on their way out."""
    path = server.of("pods") + f"?labelSelector=app%3D{app}"

    def kept(said: Said) -> list[Json]:
        alive = [one for one in said.body["items"] if not one["metadata"].get("deletionTimestamp")]
        return [one for one in alive if one["metadata"]["name"] != but]

    return kept(server.until(path, lambda said: len(kept(said)) == count))


def test_a_deployments_pod_comes_back_under_a_new_name(server: Server, deployment: str) -> None:
    (old,) = pods_of(server, deployment, 1)
    owner = old["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["controller"]) == ("ReplicaSet", True)
    above = server.ask("GET", server.of("replicasets", owner["name"], group="apis/apps/v1")).body
    assert above["metadata"]["ownerReferences"][0]["name"] == deployment
    assert owner["name"] == f"{deployment}-{old['metadata']['labels']['pod-template-hash']}"
    server.ask("DELETE", server.of("pods", old["metadata"]["name"]))
    (new,) = pods_of(server, deployment, 1, but=old["metadata"]["name"])
    assert new["metadata"]["name"].startswith(owner["name"])
    assert new["metadata"]["uid"] != old["metadata"]["uid"]


def test_a_deployment_is_scaled_by_its_part(server: Server, deployment: str) -> None:
    pods_of(server, deployment, 1)
    path = server.of("deployments", deployment, "scale", group="apis/apps/v1")
    assert server.ask("GET", path).body["spec"] == {"replicas": 1}
    said = server.ask("PATCH", path, {"spec": {"replicas": 0}}, MERGE)
    assert (said.code, said.body["kind"]) == (200, "Scale")
    pods_of(server, deployment, 0)


def test_a_pod_that_changes_its_label_is_released_and_replaced(server: Server, deployment: str) -> None:
    (old,) = pods_of(server, deployment, 1)
    path = server.of("pods", old["metadata"]["name"])
    assert server.ask("PATCH", path, {"metadata": {"labels": {"app": "quarantine"}}}, MERGE).code == 200
    pods_of(server, deployment, 1, but=old["metadata"]["name"])
    server.until(path, lambda said: not said.body["metadata"].get("ownerReferences"))
    server.ask("DELETE", path)
