"""What is changed and deleted: versions, patches, preconditions, grace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.servers import (
    MERGE,
    OPERATIONS,
    STRATEGIC,
    Json,
    Said,
    Server,
    config_map,
    container,
    phase,
    pod,
    running,
)


def test_an_update_must_be_of_the_newest_version(server: Server, name: str) -> None:
    made = server.made("configmaps", config_map(name))
    path = server.of("configmaps", name)
    assert server.ask("PUT", path, made | {"data": {"k": "2"}}).code == 200
    said = server.ask("PUT", path, made | {"data": {"k": "3"}})
    says = "the object has been modified; please apply your changes to the latest version and try again"
    assert said.brief == (409, "Conflict", f'Operation cannot be fulfilled on configmaps "{name}": {says}')
    assert server.ask("GET", path).body["data"] == {"k": "2"}


def test_an_update_without_a_version_wins(server: Server, name: str) -> None:
    server.made("configmaps", config_map(name))
    said = server.ask("PUT", server.of("configmaps", name), config_map(name, data={"k": "2"}))
    assert (said.code, said.body["data"]) == (200, {"k": "2"})


def test_an_update_of_another_identity_is_a_conflict(server: Server, name: str) -> None:
    made = server.made("configmaps", config_map(name))
    made["metadata"] |= {"uid": "another"}
    del made["metadata"]["resourceVersion"]
    said = server.ask("PUT", server.of("configmaps", name), made)
    assert said.brief[:2] == (409, "Conflict")
    assert "Precondition failed: UID in precondition: another" in said.body["message"]


def test_an_object_cannot_be_renamed(server: Server, name: str) -> None:
    server.made("configmaps", config_map(name))
    said = server.ask("PUT", server.of("configmaps", name), config_map("other"))
    says = f"the name of the object (other) does not match the name on the URL ({name})"
    assert said.brief == (400, "BadRequest", says)


@pytest.mark.parametrize(
    ("kind", "patch", "after"),
    [
        pytest.param(MERGE, {"data": {"a": "b"}}, {"k": "v", "a": "b"}, id="merge"),
        pytest.param(MERGE, {"data": {"k": None, "a": "b"}}, {"a": "b"}, id="merge, null removes"),
        pytest.param(STRATEGIC, {"data": {"k": None, "a": "b"}}, {"a": "b"}, id="strategic"),
        pytest.param(OPERATIONS, [{"op": "add", "path": "/data/a", "value": "1"}], {"k": "v", "a": "1"}, id="add"),
        pytest.param(OPERATIONS, [{"op": "replace", "path": "/data/k", "value": "2"}], {"k": "2"}, id="replace"),
        pytest.param(
            OPERATIONS,
            [{"op": "test", "path": "/data/k", "value": "v"}, {"op": "move", "from": "/data/k", "path": "/data/n"}],
            {"n": "v"},
            id="test and move",
        ),
    ],
)
def test_a_patch_changes_what_it_names(server: Server, name: str, kind: str, patch: Any, after: Json) -> None:
    made = server.made("configmaps", config_map(name))
    said = server.ask("PATCH", server.of("configmaps", name), patch, kind)
    assert (said.code, said.body["data"]) == (200, after)
    assert said.body["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("kind", "patch", "refusal"),
    [
        pytest.param(MERGE, {"metadata": {"resourceVersion": "1"}, "data": {}}, (409, "Conflict"), id="an old version"),
        pytest.param(MERGE, {"metadata": {"uid": "1"}}, (422, "Invalid"), id="another identity"),
        pytest.param(MERGE, {"metadata": {"name": "other"}}, (400, "BadRequest"), id="another name"),
        pytest.param(OPERATIONS, [{"op": "remove", "path": "/data/no"}], (422, "Invalid"), id="nothing to remove"),
        pytest.param(
            OPERATIONS, [{"op": "test", "path": "/data/k", "value": "z"}], (422, "Invalid"), id="a test that fails"
        ),
        pytest.param("application/json", {"data": {}}, (415, "UnsupportedMediaType"), id="no kind of patch"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused(
    server: Server, name: str, kind: str, patch: Any, refusal: tuple[int, str]
) -> None:
    server.made("configmaps", config_map(name))
    said = server.ask("PATCH", server.of("configmaps", name), patch, kind)
    assert said.brief[:2] == refusal
    assert server.ask("GET", server.of("configmaps", name)).body["data"] == {"k": "v"}


def test_a_patch_in_a_dry_run_keeps_nothing(server: Server, name: str) -> None:
    server.made("configmaps", config_map(name))
    said = server.ask("PATCH", server.of("configmaps", name) + "?dryRun=All", {"data": {"k": "2"}}, MERGE)
    assert (said.code, said.body["data"]) == (200, {"k": "2"})
    assert server.ask("GET", server.of("configmaps", name)).body["data"] == {"k": "v"}


def test_a_pod_stays_where_it_is(server: Server, name: str) -> None:
    server.made("pods", pod(name))
    said = server.ask("PATCH", server.of("pods", name), {"spec": {"nodeName": "elsewhere"}}, STRATEGIC)
    assert said.brief[:2] == (422, "Invalid")
    assert "pod updates may not change fields other than" in said.body["message"]
    server.ask("DELETE", server.of("pods", name))


def test_a_cordoned_node_gets_its_taint_and_loses_it_again(server: Server, name: str) -> None:
    assert server.ask("POST", "/api/v1/nodes", {"metadata": {"name": name}}).code == 201
    path = f"/api/v1/nodes/{name}"
    taint = "node.kubernetes.io/unschedulable"

    def has_taint(said: Said) -> bool:
        return taint in [one["key"] for one in said.body["spec"].get("taints") or []]

    try:
        assert server.ask("PATCH", path, {"spec": {"unschedulable": True}}, STRATEGIC).code == 200
        server.until(path, has_taint)
        assert server.ask("PATCH", path, {"spec": {"unschedulable": None}}, STRATEGIC).code == 200
        server.until(path, lambda said: not has_taint(said))
    finally:
        assert server.ask("DELETE", path).code == 200


def test_a_deletion_tells_what_is_gone(server: Server, name: str) -> None:
    uid = server.made("configmaps", config_map(name))["metadata"]["uid"]
    said = server.ask("DELETE", server.of("configmaps", name))
    assert (said.code, said.body["status"]) == (200, "Success")
    assert said.body["details"] == {"name": name, "kind": "configmaps", "uid": uid}
    assert server.ask("DELETE", server.of("configmaps", name)).code == 404


@pytest.mark.parametrize(
    ("precondition", "says"),
    [
        ({"uid": "wrong"}, "the UID in the precondition (wrong) does not match the UID in record ("),
        (
            {"resourceVersion": "1"},
            "the ResourceVersion in the precondition (1) does not match the ResourceVersion in ",
        ),
    ],
    ids=["another identity", "another version"],
)
def test_a_deletion_means_one_object_only(server: Server, name: str, precondition: Json, says: str) -> None:
    server.made("configmaps", config_map(name))
    said = server.ask("DELETE", server.of("configmaps", name), {"preconditions": precondition})
    assert said.brief[:2] == (409, "Conflict")
    assert said.body["message"].startswith(f'Operation cannot be fulfilled on ConfigMap "{name}": {says}')
    assert server.ask("GET", server.of("configmaps", name)).code == 200


def test_a_deletion_in_a_dry_run_keeps_the_object(server: Server, name: str) -> None:
    server.made("configmaps", config_map(name))
    assert server.ask("DELETE", server.of("configmaps", name) + "?dryRun=All").code == 200
    assert server.ask("GET", server.of("configmaps", name)).code == 200


def test_a_selection_is_deleted_together(server: Server, name: str) -> None:
    for number in range(2):
        server.made("configmaps", {"metadata": {"name": f"{name}-{number}", "labels": {"set": name}}})
    query = f"?labelSelector=set%3D{name}"
    assert len(server.ask("DELETE", server.of("configmaps") + query).body["items"]) == 2
    assert server.ask("GET", server.of("configmaps") + query).body["items"] == []


def test_a_running_pod_is_given_time_to_end(server: Server, name: str) -> None:
    running(server, name)
    said = server.ask("DELETE", server.of("pods", name))
    assert (said.code, said.body["kind"]) == (200, "Pod")
    assert said.body["metadata"]["deletionGracePeriodSeconds"] == 1
    assert said.body["metadata"]["deletionTimestamp"]
    server.until(server.of("pods", name), lambda said: said.code == 404)


def test_a_pod_is_gone_at_once_without_grace(server: Server, name: str) -> None:
    uid = running(server, name)["metadata"]["uid"]
    options = {"gracePeriodSeconds": 0, "propagationPolicy": "Background", "preconditions": {"uid": uid}}
    assert server.ask("DELETE", server.of("pods", name), options).code == 200
    assert server.ask("GET", server.of("pods", name)).code == 404


def test_a_finished_pod_is_gone_at_once(server: Server, name: str) -> None:
    server.made("pods", pod(name, container("first")))
    server.until(server.of("pods", name), phase("Succeeded"))
    assert server.ask("DELETE", server.of("pods", name)).code == 200
    assert server.ask("GET", server.of("pods", name)).code == 404
