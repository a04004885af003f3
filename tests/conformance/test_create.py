"""What is made: identities, names, refusals, dry runs."""

from __future__ import annotations

import re

import pytest

from tests.conformance.servers import (
    Json,
    Server,
    config_map,
    pod,
)


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
