"""Watches: what happens, as it happens."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.conformance.servers import (
    Server,
    config_map,
    container,
    pod,
)

MERGE, STRATEGIC, OPERATIONS = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
)


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
