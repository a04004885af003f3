"""What is read: single objects, selections, pages."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.cluster.lab import NODE
from tests.conformance.servers import (
    Server,
    pod,
)


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
