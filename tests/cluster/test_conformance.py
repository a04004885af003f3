"""One suite for two servers: the small Kubernetes API of the demo, and the real one where KUBECONFIG names it.

What the product relies on is claimed here, and holds for both; so the tests that use the small one prove something. The
codes and texts are those of 1.20.2. On the real server everything happens in a namespace of its own, which is removed.
"""

from __future__ import annotations

import json
import re
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.cluster.lab import KUBECONFIG, NEEDS_CLUSTER, NODE
from tests.cluster.servers import (
    PATIENCE_SECONDS,
    Json,
    Said,
    Server,
    config_map,
    container,
    local,
    phase,
    pod,
    real,
    running,
)

MERGE, STRATEGIC, OPERATIONS = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
)
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SOMEBODY = {"Impersonate-User": "somebody"}


@pytest.fixture(
    scope="module",
    params=[
        "local",
        pytest.param("real", marks=[pytest.mark.cluster, pytest.mark.skipif(not KUBECONFIG, reason=NEEDS_CLUSTER)]),
    ],
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with local() if request.param == "local" else real(tmp_path_factory.mktemp("keys")) as server:
        said = server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": server.namespace}})
        assert said.code == 201, said
        server.until(server.of("serviceaccounts", "default"), lambda said: said.code == 200)
        try:
            yield server
        finally:
            server.ask("DELETE", f"/api/v1/namespaces/{server.namespace}")


@pytest.fixture
def name() -> str:
    return f"it-{secrets.token_hex(4)}"


# ---- create ---------------------------------------------------------------------------------------------------------


def test_a_created_object_has_an_identity_and_can_be_read(server: Server, name: str) -> None:
    made = server.made("configmaps", config_map(name))
    assert re.fullmatch(r"[0-9a-f-]{36}", made["metadata"]["uid"])
    assert made["metadata"]["resourceVersion"].isdecimal()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made["metadata"]["creationTimestamp"])
    assert (made["kind"], made["apiVersion"], made["metadata"]["namespace"]) == ("ConfigMap", "v1", server.namespace)
    assert server.ask("GET", server.of("configmaps", name)).body["data"] == {"k": "v"}


def test_a_name_is_taken_once(server: Server, name: str) -> None:
    server.made("configmaps", config_map(name))
    said = server.ask("POST", server.of("configmaps"), config_map(name))
    assert said.brief == (409, "AlreadyExists", f'configmaps "{name}" already exists')
    assert said.body["details"] == {"name": name, "kind": "configmaps"}


def test_a_generated_name_begins_as_was_asked(server: Server, name: str) -> None:
    made = server.made("configmaps", {"metadata": {"generateName": f"{name}-"}})
    assert re.fullmatch(rf"{name}-[a-z0-9]{{5}}", made["metadata"]["name"])


@pytest.mark.parametrize(
    ("plural", "body", "field", "reason", "message"),
    [
        pytest.param(
            "configmaps", {}, "metadata.name", "FieldValueRequired", "name or generateName is req", id="no name"
        ),
        pytest.param(
            "configmaps", config_map("Not_A_Name"), "metadata.name", "FieldValueInvalid", "RFC 1123", id="no such name"
        ),
        pytest.param(
            "pods",
            {"metadata": {"name": "p"}},
            "spec.containers",
            "FieldValueRequired",
            "Required value",
            id="an empty pod",
        ),
        pytest.param(
            "pods",
            {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}},
            "spec.containers[0].image",
            "FieldValueRequired",
            "Required value",
            id="no image",
        ),
    ],
)
def test_an_invalid_object_is_refused_with_the_field(
    server: Server, plural: str, body: Json, field: str, reason: str, message: str
) -> None:
    said = server.ask("POST", server.of(plural), body)
    assert (said.code, said.body["reason"]) == (422, "Invalid")
    cause = next(one for one in said.body["details"]["causes"] if one["field"] == field)
    assert cause["reason"] == reason
    assert message in cause["message"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"serviceAccountName": "nobody"}, 'serviceaccount "nobody" not found'),
        ({"priorityClassName": "nothing"}, "no PriorityClass with name nothing was found"),
    ],
    ids=["no account", "no priority class"],
)
def test_admission_refuses_what_is_missing(server: Server, name: str, spec: Json, says: str) -> None:
    said = server.ask("POST", server.of("pods"), pod(name, **spec))
    assert (said.code, said.body["reason"]) == (403, "Forbidden")
    assert f'pods "{name}" is forbidden: ' in said.body["message"]
    assert says in said.body["message"]


def test_a_namespace_must_exist(server: Server, name: str) -> None:
    said = server.ask("POST", "/api/v1/namespaces/nowhere-at-all/configmaps", config_map(name))
    assert said.brief == (404, "NotFound", 'namespaces "nowhere-at-all" not found')


def test_the_namespace_of_the_object_is_that_of_the_path(server: Server) -> None:
    said = server.ask("POST", server.of("configmaps"), {"metadata": {"name": "z", "namespace": "other"}})
    says = "the namespace of the provided object does not match the namespace sent on the request"
    assert said.brief == (400, "BadRequest", says)


def test_a_dry_run_says_what_would_be_and_keeps_nothing(server: Server, name: str) -> None:
    said = server.ask("POST", server.of("configmaps") + "?dryRun=All", config_map(name))
    assert said.code == 201
    assert "uid" in said.body["metadata"]
    assert "resourceVersion" not in said.body["metadata"]
    assert server.ask("GET", server.of("configmaps", name)).code == 404


def test_another_dry_run_than_all_is_refused(server: Server, name: str) -> None:
    said = server.ask("POST", server.of("configmaps") + "?dryRun=Some", config_map(name))
    assert said.brief[:2] == (422, "Invalid")


# ---- read -----------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_not_found(server: Server) -> None:
    said = server.ask("GET", server.of("configmaps", "nothing"))
    assert said.brief == (404, "NotFound", 'configmaps "nothing" not found')
    assert said.body["details"] == {"name": "nothing", "kind": "configmaps"}


def test_a_resource_of_a_group_is_called_by_both(server: Server) -> None:
    said = server.ask("GET", server.of("replicasets", "nothing", group="apis/apps/v1"))
    assert said.brief == (404, "NotFound", 'replicasets.apps "nothing" not found')
    assert said.body["details"] == {"name": "nothing", "group": "apps", "kind": "replicasets"}


@pytest.mark.parametrize(
    ("verb", "path", "code", "says"),
    [
        ("GET", "/api/v1/nothings", 404, "the server could not find the requested resource"),
        ("POST", "/api/v1/nodes/nothing", 405, "the server does not allow this method on the requested resource"),
        ("GET", "/apis/nothing.example/v1/things", 404, "404 page not found"),
    ],
    ids=["no such resource", "no such method", "no such group"],
)
def test_a_path_that_leads_nowhere_is_refused(server: Server, verb: str, path: str, code: int, says: str) -> None:
    said = server.ask(verb, path, {} if verb == "POST" else None)
    assert said.code == code
    assert says in (said.body if isinstance(said.body, str) else said.body["message"])


@pytest.fixture(scope="module")
def three(server: Server) -> str:
    """Three ConfigMaps with labels; what their names begin with."""
    stem = f"of-three-{secrets.token_hex(3)}"
    for letter in "abc":
        labels = {"set": stem, "letter": letter} | ({"last": ""} if letter == "c" else {})
        server.made("configmaps", {"metadata": {"name": f"{stem}-{letter}", "labels": labels}})
    return stem


@pytest.mark.parametrize(
    ("selector", "letters"),
    [
        ("", "abc"),
        ("letter=a", "a"),
        ("letter==b", "b"),
        ("letter!=a", "bc"),
        ("letter in (a, c)", "ac"),
        ("letter notin (a,c)", "b"),
        ("last", "c"),
        ("!last", "ab"),
        ("letter,!last,letter!=b", "a"),
        ("letter=z", ""),
    ],
)
def test_labels_select(server: Server, three: str, selector: str, letters: str) -> None:
    terms = ",".join(filter(None, [f"set={three}", selector]))
    said = server.ask("GET", server.of("configmaps") + f"?labelSelector={quote(terms)}")
    assert [one["metadata"]["name"][-1] for one in said.body["items"]] == list(letters)


@pytest.mark.parametrize(
    ("selector", "letters"),
    [
        ("metadata.name={}-a", "a"),
        ("metadata.name!={}-a", "bc"),
        ("metadata.name={}-a,metadata.name={}-b", ""),
        ("metadata.namespace=default", ""),
    ],
)
def test_fields_select(server: Server, three: str, selector: str, letters: str) -> None:
    query = f"?labelSelector=set%3D{three}&fieldSelector={quote(selector.replace('{}', three))}"
    said = server.ask("GET", server.of("configmaps") + query)
    assert [one["metadata"]["name"][-1] for one in said.body["items"]] == list(letters)


@pytest.mark.parametrize(
    ("plural", "query", "says"),
    [
        ("pods", "fieldSelector=spec.foo%3Dbar", "field label not supported: spec.foo"),
        (
            "configmaps",
            "fieldSelector=spec.nodeName%3Dbar",
            '"spec.nodeName" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        (
            "configmaps",
            "labelSelector=a%20b%20c",
            "unable to parse requirement: found 'b', expected: '=', '!=', '==', 'in', notin'",
        ),
        ("configmaps", "limit=1&continue=garbage", "invalid continue token: continue key is not valid"),
    ],
    ids=["a pod's field", "another's field", "no selector", "no continuation"],
)
def test_a_selection_that_makes_no_sense_is_refused(server: Server, plural: str, query: str, says: str) -> None:
    said = server.ask("GET", f"{server.of(plural)}?{query}")
    assert (said.code, said.body["reason"]) == (400, "BadRequest")
    assert says in said.body["message"]


def test_pods_of_a_node_are_selected_by_the_server(server: Server, name: str) -> None:
    server.made("pods", pod(name))
    for node, there in ((NODE, True), ("node-0", False)):
        said = server.ask("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")
        assert (name in [one["metadata"]["name"] for one in said.body["items"]]) is there
    server.ask("DELETE", server.of("pods", name))


def test_a_list_comes_in_pages_of_one_moment(server: Server, three: str) -> None:
    path = server.of("configmaps") + "?limit=1"
    first = server.ask("GET", path).body
    assert first["metadata"]["remainingItemCount"] > 0
    added = server.made("configmaps", {"metadata": {"name": f"{three}-zz"}})["metadata"]["name"]
    names, page = [first["items"][0]["metadata"]["name"]], first
    while page["metadata"].get("continue"):
        page = server.ask("GET", f"{path}&continue={page['metadata']['continue']}").body
        names += [one["metadata"]["name"] for one in page["items"]]
    assert names == sorted(names)
    assert {f"{three}-{letter}" for letter in "abc"} < set(names)
    assert added not in names
    server.ask("DELETE", server.of("configmaps", added))


def test_items_of_a_list_leave_out_what_the_list_says(server: Server, three: str) -> None:
    said = server.ask("GET", server.of("configmaps") + f"?labelSelector=set%3D{three}").body
    assert (said["kind"], said["apiVersion"]) == ("ConfigMapList", "v1")
    assert all("kind" not in one and "apiVersion" not in one for one in said["items"])


# ---- change ---------------------------------------------------------------------------------------------------------


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


# ---- delete ---------------------------------------------------------------------------------------------------------


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


# ---- the life of a pod ----------------------------------------------------------------------------------------------


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


# ---- workloads ------------------------------------------------------------------------------------------------------


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


# ---- eviction -------------------------------------------------------------------------------------------------------


def evicted(server: Server, name: str, **options: Any) -> Said:
    body: Json = {"metadata": {"name": name}} | ({"deleteOptions": options} if options else {})
    return server.ask("POST", server.of("pods", name, "eviction"), body)


@pytest.fixture
def budgets(server: Server, name: str) -> Iterator[Callable[[int], None]]:
    """Makes so many budgets that each forbid to disturb the one pod."""
    made: list[str] = []

    def make(count: int) -> None:
        for number in range(count):
            wanted = {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}
            body = {"metadata": {"name": f"{name}-{number}"}, "spec": wanted}
            made.append(server.made("poddisruptionbudgets", body, "apis/policy/v1beta1")["metadata"]["name"])
            path = server.of("poddisruptionbudgets", made[-1], group="apis/policy/v1beta1")
            server.until(path, lambda said: said.body["status"].get("expectedPods") == 1)

    yield make
    for one in made:
        server.ask("DELETE", server.of("poddisruptionbudgets", one, group="apis/policy/v1beta1"))
    server.ask("DELETE", server.of("pods", name))


def test_an_eviction_ends_the_pod_and_may_be_repeated(server: Server, name: str) -> None:
    running(server, name)
    for _ in range(2):
        said = evicted(server, name)
        assert (said.code, said.body["status"]) == (201, "Success")
    server.until(server.of("pods", name), lambda said: said.code == 404)


@pytest.mark.parametrize("options", [{}, {"dryRun": ["All"]}], ids=["in earnest", "in a dry run"])
def test_an_exhausted_budget_refuses(server: Server, name: str, budgets: Callable[[int], None], options: Json) -> None:
    running(server, name)
    budgets(1)
    said = evicted(server, name, **options)
    says = "Cannot evict pod as it would violate the pod's disruption budget."
    assert said.brief == (429, "TooManyRequests", says)
    needs = f"The disruption budget {name}-0 needs 1 healthy pods and has 1 currently"
    assert said.body["details"]["causes"] == [{"reason": "DisruptionBudget", "message": needs}]
    assert "Retry-After" not in said.headers


def test_two_budgets_are_an_error_of_the_server(server: Server, name: str, budgets: Callable[[int], None]) -> None:
    running(server, name)
    budgets(2)
    said = evicted(server, name)
    says = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    assert (said.code, said.body["message"]) == (500, says)


def test_a_finished_pod_needs_no_budget(server: Server, name: str, budgets: Callable[[int], None]) -> None:
    server.made("pods", pod(name, container("first")))
    server.until(server.of("pods", name), phase("Succeeded"))
    wanted = {"minAvailable": 1, "selector": {"matchLabels": {"app": name}}}
    server.made("poddisruptionbudgets", {"metadata": {"name": name}, "spec": wanted}, "apis/policy/v1beta1")
    assert evicted(server, name).code == 201
    assert server.ask("GET", server.of("pods", name)).code == 404
    server.ask("DELETE", server.of("poddisruptionbudgets", name, group="apis/policy/v1beta1"))


def test_an_eviction_means_one_pod_only(server: Server, name: str) -> None:
    running(server, name)
    said = evicted(server, name, preconditions={"uid": "wrong"})
    assert said.brief[:2] == (409, "Conflict")
    assert f'on Pod "{name}": the UID in the precondition (wrong) does not match' in said.body["message"]
    server.ask("DELETE", server.of("pods", name))


def test_an_eviction_in_a_dry_run_leaves_the_pod(server: Server, name: str) -> None:
    running(server, name)
    assert evicted(server, name, dryRun=["All"]).code == 201
    assert "deletionTimestamp" not in server.ask("GET", server.of("pods", name)).body["metadata"]
    server.ask("DELETE", server.of("pods", name))


def test_nobody_can_be_evicted_who_is_not_there(server: Server) -> None:
    assert evicted(server, "nothing").brief == (404, "NotFound", 'pods "nothing" not found')


def test_a_version_that_this_server_does_not_know_is_refused(server: Server, name: str) -> None:
    running(server, name)
    minor = int(re.sub(r"\D", "", server.ask("GET", "/version").body["minor"]))
    unknown = "policy/v1" if minor < 22 else "policy/v1beta1"
    if 22 <= minor < 25:
        pytest.skip("this server knows both versions")
    body = {"apiVersion": unknown, "kind": "Eviction", "metadata": {"name": name}}
    said = server.ask("POST", server.of("pods", name, "eviction"), body)
    assert said.brief[:2] == (400, "BadRequest")
    assert f'no kind "Eviction" is registered for version "{unknown}"' in said.body["message"]
    server.ask("DELETE", server.of("pods", name))


def test_a_namespace_that_ends_takes_nothing_new_and_evicts_nobody(server: Server, name: str) -> None:
    assert server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).code == 201
    base = f"/api/v1/namespaces/{name}"
    server.until(f"{base}/serviceaccounts/default", lambda said: said.code == 200)
    held = pod("held") | {"metadata": {"name": "held", "finalizers": ["conformance.example/held"]}}
    assert server.ask("POST", f"{base}/pods", held).code == 201
    assert server.ask("DELETE", base).body["status"]["phase"] == "Terminating"
    try:
        for path, body in (
            (f"{base}/configmaps", config_map("late")),
            (f"{base}/pods/held/eviction", {"metadata": {"name": "held"}}),
        ):
            said = server.ask("POST", path, body)
            assert said.brief[:2] == (403, "Forbidden")
            assert said.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    finally:
        server.ask("PATCH", f"{base}/pods/held", {"metadata": {"finalizers": None}}, MERGE)
    server.until(base, lambda said: said.code == 404)


# ---- watches --------------------------------------------------------------------------------------------------------


def watched(server: Server, path: str, **query: Any) -> list[tuple[str, str]]:
    """What a watch told until it ended: (type, name)."""
    words = "".join(f"&{key}={value}" for key, value in query.items())
    with server.opened("GET", f"{path}?watch=true{words}") as said:
        assert said.status == 200
        lines = [json.loads(line) for line in said.read().splitlines()]
    return [(one["type"], one["object"]["metadata"].get("name", "")) for one in lines]


def test_a_watch_without_a_version_first_tells_what_is_there(server: Server, three: str) -> None:
    began = time.monotonic()
    told = watched(server, server.of("configmaps"), labelSelector=f"set%3D{three}", timeoutSeconds=1)
    assert sorted(told) == [("ADDED", f"{three}-{letter}") for letter in "abc"]
    assert 0.5 < time.monotonic() - began < 5


def test_a_watch_tells_what_happened_since_a_version(server: Server, name: str) -> None:
    since = server.ask("GET", server.of("configmaps") + "?limit=1").body["metadata"]["resourceVersion"]
    path = server.of("configmaps", name)
    server.made("configmaps", config_map(name))
    server.ask("PATCH", path, {"data": {"k": "2"}}, MERGE)
    server.ask("DELETE", path)
    told = watched(
        server, server.of("configmaps"), resourceVersion=since, labelSelector=f"app%3D{name}", timeoutSeconds=1
    )
    assert told == [("ADDED", name), ("MODIFIED", name), ("DELETED", name)]


def test_what_leaves_a_selection_is_deleted_for_its_watch(server: Server, name: str) -> None:
    since = server.made("configmaps", config_map(name))["metadata"]["resourceVersion"]
    server.ask("PATCH", server.of("configmaps", name), {"metadata": {"labels": {"app": "other"}}}, MERGE)
    server.ask("PATCH", server.of("configmaps", name), {"metadata": {"labels": {"app": name}}}, MERGE)
    told = watched(
        server, server.of("configmaps"), resourceVersion=since, labelSelector=f"app%3D{name}", timeoutSeconds=1
    )
    assert told == [("DELETED", name), ("ADDED", name)]


def test_a_watch_tells_a_pods_life_as_it_happens(server: Server, name: str) -> None:
    server.made("pods", pod(name, container("first")))
    seen: list[str] = []
    path = server.of("pods") + f"?watch=true&timeoutSeconds=20&fieldSelector=metadata.name%3D{name}"
    with server.opened("GET", path) as said:
        for line in said:
            seen.append(json.loads(line)["object"]["status"]["phase"])
            if seen[-1] == "Succeeded":
                break
    assert seen[0] in ("Pending", "Running")
    assert seen[-1] == "Succeeded"


# ---- who may --------------------------------------------------------------------------------------------------------


def test_a_token_that_nobody_has_is_refused(server: Server) -> None:
    if server.trust is not None:
        server = Server(server.address, server.namespace, {}, _nobodys(server.trust))
    said = server.ask("GET", server.of("pods"), headers={"Authorization": "Bearer wrong"})
    assert said.brief == (401, "Unauthorized", "Unauthorized")


def _nobodys(trust: ssl.SSLContext) -> ssl.SSLContext:
    """The same trust without the client's certificate."""
    bare = ssl.create_default_context()
    bare.check_hostname = False
    for authority in trust.get_ca_certs(binary_form=True):
        bare.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(authority))
    return bare


IN_NAMESPACE = 'in the namespace "{ns}"'


@pytest.mark.parametrize(
    ("verb", "path", "named", "wish", "group", "where"),
    [
        ("GET", "/api/v1/nodes", "nodes", ("list", "nodes"), "", "at the cluster scope"),
        ("GET", "/api/v1/nodes/n", 'nodes "n"', ("get", "nodes"), "", "at the cluster scope"),
        ("POST", "{base}/pods", "pods", ("create", "pods"), "", IN_NAMESPACE),
        ("POST", "{base}/pods/p/eviction", 'pods "p"', ("create", "pods/eviction"), "", IN_NAMESPACE),
        ("GET", "{base}/pods/p/log", 'pods "p"', ("get", "pods/log"), "", IN_NAMESPACE),
        (
            "GET",
            "/apis/apps/v1/namespaces/{ns}/replicasets/y",
            'replicasets.apps "y"',
            ("get", "replicasets"),
            "apps",
            IN_NAMESPACE,
        ),
    ],
    ids=["list", "get", "create", "a part", "logs", "in a group"],
)
def test_who_has_no_role_may_nothing(
    server: Server, verb: str, path: str, named: str, wish: tuple[str, str], group: str, where: str
) -> None:
    path = path.format(ns=server.namespace, base=f"/api/v1/namespaces/{server.namespace}")
    said = server.ask(verb, path, {} if verb == "POST" else None, headers=SOMEBODY)
    cannot = f'cannot {wish[0]} resource "{wish[1]}" in API group "{group}" {where.format(ns=server.namespace)}'
    assert said.brief == (403, "Forbidden", f'{named} is forbidden: User "somebody" {cannot}')


@pytest.mark.parametrize(("headers", "allowed"), [({}, True), (SOMEBODY, False)], ids=["an admin", "somebody"])
def test_one_may_ask_what_one_may(server: Server, headers: Mapping[str, str], allowed: bool) -> None:
    body = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "x"}}}
    said = server.ask("POST", REVIEWS, body, headers=headers)
    assert (said.code, said.body["status"]["allowed"]) == (201, allowed)


@pytest.fixture
def reader(server: Server, name: str) -> Mapping[str, str]:
    """Headers of an account that may list pods here, and read one ConfigMap."""
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["mine"]},
    ]
    group = "apis/rbac.authorization.k8s.io/v1"
    server.made("roles", {"metadata": {"name": name}, "rules": rules}, group)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": server.namespace}
    server.made("rolebindings", {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}, group)
    return {"Impersonate-User": f"system:serviceaccount:{server.namespace}:{name}"}


def test_a_role_permits_what_it_names_and_nothing_else(server: Server, reader: Mapping[str, str]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS  # the server learns of a new role by a watch of its own
    while server.ask("GET", server.of("pods"), headers=reader).code != 200:
        assert time.monotonic() < end
    assert server.ask("GET", server.of("configmaps", "mine"), headers=reader).code == 404
    assert server.ask("GET", server.of("configmaps", "yours"), headers=reader).code == 403
    assert server.ask("POST", server.of("pods"), pod("x"), headers=reader).code == 403
    assert server.ask("GET", "/api/v1/pods", headers=reader).code == 403


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/livez"])
def test_the_server_says_that_it_is_well(server: Server, path: str) -> None:
    assert server.ask("GET", path).body == "ok"
