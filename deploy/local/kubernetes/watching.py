"""Watches: the changes of a kind of objects, one line of JSON each, until the time is up.

A change that makes an object leave a selection is its deletion for whoever watches that selection, as with a real
server. It must not know HTTP: lines are handed to a function.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from deploy.local.kubernetes import refusals
from deploy.local.kubernetes.asked import Asked
from deploy.local.kubernetes.selection import Claim, selects
from deploy.local.kubernetes.state import Change, Cluster, Json

DEFAULT_SECONDS = 1800.0  # apiserver: MinRequestTimeout, at least
BREATH_SECONDS = 0.5  # how soon a watch notices that the server is to end


def watch(cluster: Cluster, asked: Asked, send: Callable[[str], None]) -> None:
    """Tell the changes since the version that was named, or first all there is, and then what happens."""
    end = time.monotonic() + float(asked.query.get("timeoutSeconds") or DEFAULT_SECONDS)
    is_meant = _meant(asked)
    with cluster.lock:
        cluster.settle()
        since, lines = _first(cluster, asked, is_meant)
    while True:
        for line in lines:
            send(json.dumps(line) + "\n")
        if cluster.is_closing or time.monotonic() >= end or any(line["type"] == "ERROR" for line in lines):
            break
        with cluster.lock:
            since, lines = _wait(cluster, asked, is_meant, since, end)
    if asked.query.get("allowWatchBookmarks") in ("1", "true"):
        head = {"kind": asked.resource.kind, "apiVersion": asked.resource.api_version}
        send(json.dumps(_event("BOOKMARK", head | {"metadata": {"resourceVersion": str(since)}})) + "\n")


def _meant(asked: Asked) -> Claim:
    chosen = selects(asked.resource, asked.query)
    namespace, name = asked.namespace, asked.name
    return lambda thing: (
        chosen(thing)
        and (not namespace or thing["metadata"].get("namespace") == namespace)
        and (not name or thing["metadata"]["name"] == name)
    )


def _first(cluster: Cluster, asked: Asked, is_meant: Claim) -> tuple[int, list[Json]]:
    since = asked.query.get("resourceVersion") or "0"
    if since == "0":
        there = [one for one in cluster.of_kind(asked.resource.plural) if is_meant(one)]
        return cluster.newest, [_event("ADDED", json.loads(json.dumps(one))) for one in there]
    oldest = cluster.changes[0].version if cluster.changes else cluster.newest
    if int(since) < oldest - 1:
        # The server says it within the stream, with status 200.
        says = f"too old resource version: {since} ({oldest})"
        return int(since), [_event("ERROR", refusals.status(410, "Expired", says))]
    return int(since), []


def _wait(cluster: Cluster, asked: Asked, is_meant: Claim, since: int, end: float) -> tuple[int, list[Json]]:
    """The changes since then; waits for one, though not for long at a time."""
    cluster.settle()
    if cluster.newest <= since:
        pause = min(end, cluster.next_due()) - time.monotonic()
        cluster.moved.wait(max(0.0, min(pause, BREATH_SECONDS)))
        cluster.settle()
    news = [change for change in cluster.changes if change.version > since and change.plural == asked.resource.plural]
    lines = [line for change in news if (line := _line(change, is_meant))]
    return max(since, cluster.newest), lines


def _line(change: Change, is_meant: Claim) -> Json | None:
    is_in = change.type != "DELETED" and is_meant(change.thing)
    was_in = change.before is not None and is_meant(change.before)
    if not is_in and not was_in:
        return None
    kind = "MODIFIED" if is_in and was_in else "ADDED" if is_in else "DELETED"
    return _event(kind, change.thing)


def _event(kind: str, thing: Any) -> Json:
    return {"type": kind, "object": thing}
