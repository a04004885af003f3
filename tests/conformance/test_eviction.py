"""Evictions and budgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conformance.servers import (
    MERGE,
    Json,
    Said,
    Server,
    config_map,
    container,
    phase,
    pod,
    running,
)


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
