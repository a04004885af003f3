"""A small Kubernetes API on loopback, with state: objects, selectors, pages, preconditions, dry runs, and a kubelet.

It behaves like the real server where the product relies on it (codes and texts of 1.20.2), and can be told to be ill:
``Illness`` answers some requests with something else, late, or not at all. It refuses what it does not know, so that
a test never passes because of something that is not modelled.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.kubelet import Kubelet

Json = dict[str, Any]
Query = dict[str, str]

TOKEN = "made-up-token"

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[a-z0-9.]+)/v1)"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+))?"
)
# What the product asks for.
_KINDS = frozenset({"nodes", "pods", "services", "endpoints", "configmaps", "events", "leases", "replicasets", "jobs"})


@dataclass
class Illness:
    """How requests that match are answered instead. ``times`` counts down; None never ends.

    ``status`` and ``body`` answer; ``drop`` closes the connection without a word, ``drop_after`` after having carried
    the request out; ``delay_seconds`` comes first.
    """

    verb: str
    path: str
    status: int = 0
    body: Json | str = ""
    drop: bool = False
    drop_after: bool = False
    delay_seconds: float = 0.0
    times: int | None = 1


@dataclass
class Cluster:
    """The state behind the API. Tests write it directly and read it afterwards."""

    kubelets: dict[str, Kubelet] = field(default_factory=dict)
    illnesses: list[Illness] = field(default_factory=list)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    ignores_limits: bool = False
    forces_pulls: bool = False
    requests: list[tuple[str, str, Query]] = field(default_factory=list)
    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, kind: str, name: str, namespace: str = "", **parts: Any) -> Json:
        """Store an object, as another controller would."""
        meta = {"name": name, "uid": str(uuid.uuid4()), "creationTimestamp": _now()}
        if namespace:
            meta["namespace"] = namespace
        thing: Json = {"metadata": meta | parts.pop("metadata", {}), **parts}
        with self.lock:
            self.objects[kind, namespace, name] = thing
        return thing

    def add_node(self, name: str, address: str, kubelet: Kubelet | None = None, *, ready: str = "True") -> Json:
        """A node with a kubelet and a lease."""
        self.kubelets[name] = kubelet or Kubelet()
        self.add("leases", name, "kube-node-lease", spec={"renewTime": _now()})
        return self.add(
            "nodes",
            name,
            spec={"podCIDR": "10.244.8.0/24", "podCIDRs": ["10.244.8.0/24"], "providerID": "lab://" + name},
            status={
                "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
                "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-02T14:29:00Z"}],
                "nodeInfo": {"bootID": "boot-1", "kubeletVersion": "v1.33.1", "kubeProxyVersion": ""},
            },
        )

    def add_pod(self, name: str, node: str, address: str, namespace: str = "shop", **parts: Any) -> Json:
        """A running pod."""
        spec = {"nodeName": node, "containers": [{"name": "main", "image": "main:1"}]} | parts.pop("spec", {})
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]} | parts.pop("status", {})
        return self.add("pods", name, namespace, spec=spec, status=status, **parts)

    def of_kind(self, kind: str, namespace: str | None = None) -> list[Json]:
        """All objects of a kind, in one namespace or in all."""
        with self.lock:
            return [one for (k, ns, _), one in self.objects.items() if k == kind and namespace in (None, ns)]


@contextmanager
def serving(cluster: Cluster) -> Iterator[str]:
    """Serve the cluster on loopback; the address of the API."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.cluster = cluster
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(folder: Path, address: str, token: str = TOKEN) -> str:
    """A kubeconfig for the API, with one context called "lab"."""
    path = folder / "kubeconfig"
    config = {
        "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
    }
    path.write_text(json.dumps(config))
    return str(path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a test's illness may still be asleep
    cluster: Cluster


class _Refusal(Exception):  # noqa: N818 - it is an answer, not an error
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two writes, and the second would wait 40 ms for an acknowledgement
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, verb: str) -> None:
        cluster, parts = self.server.cluster, urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        with cluster.lock:
            cluster.requests.append((verb, parts.path, query))
            illness = _illness(cluster, verb, parts.path)
        if illness is not None:
            time.sleep(illness.delay_seconds)
            if illness.status:
                return self._answer(illness.status, illness.body)
            if illness.drop:
                return self._hang_up()
        try:
            self._authorise(cluster)
            with cluster.lock:
                answer = _answer(cluster, verb, parts.path, query, body)
        except _Refusal as refusal:
            return self._answer(refusal.status, refusal.body)
        if illness is not None and illness.drop_after:
            return self._hang_up()
        return self._answer(201 if verb == "POST" else 200, answer)

    def _authorise(self, cluster: Cluster) -> None:
        given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if given not in cluster.tokens:
            raise _Refusal(401, "Unauthorized", "Unauthorized")

    def _answer(self, status: int, body: Json | str) -> None:
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        with suppress(ConnectionError):  # whoever asked may have gone
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    def _hang_up(self) -> None:
        self.close_connection = True


def _illness(cluster: Cluster, verb: str, path: str) -> Illness | None:
    for illness in cluster.illnesses:
        if illness.verb == verb and re.search(illness.path, path) and illness.times != 0:
            if illness.times is not None:
                illness.times -= 1
            return illness
    return None


def _answer(cluster: Cluster, verb: str, path: str, query: Query, body: Json) -> Json:
    found = _PATH.fullmatch(path)
    if found is None or found["kind"] not in _KINDS:
        raise _Refusal(404, "NotFound", "the server could not find the requested resource")
    kind, namespace, name = found["kind"], found["namespace"] or "", found["name"]
    asked = {"GET": "get" if name else "list", "POST": "create", "DELETE": "delete"}[verb]
    if (asked, kind) in cluster.forbidden:
        where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
        who = 'User "system:serviceaccount:conntrack-bot:conntrack-bot"'
        group = f'API group "{found["group"] or ""}"'
        raise _Refusal(
            403, "Forbidden", f'{kind} is forbidden: {who} cannot {asked} resource "{kind}" in {group}{where}'
        )
    if verb == "POST":
        return _create(cluster, kind, namespace, query, body)
    if name is None:
        return _list(cluster, kind, namespace, query)
    thing = cluster.objects.get((kind, namespace, name))
    if thing is None:
        raise _Refusal(404, "NotFound", f'{kind} "{name}" not found')
    return _delete(cluster, kind, namespace, thing, body) if verb == "DELETE" else _seen(cluster, kind, thing)


def _create(cluster: Cluster, kind: str, namespace: str, query: Query, body: Json) -> Json:
    name = body["metadata"]["name"]
    if kind != "pods" or body["metadata"].get("namespace", namespace) != namespace:
        raise _Refusal(400, "BadRequest", "this server creates pods only, in the namespace they name")
    if (kind, namespace, name) in cluster.objects:
        raise _Refusal(409, "AlreadyExists", f'pods "{name}" already exists')
    pod: Json = json.loads(json.dumps(body))
    pod["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now(), "namespace": namespace}
    pod["status"] = {"phase": "Pending", "qosClass": "Burstable"}
    pod["_created"] = time.monotonic()
    for container in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]:
        container["imagePullPolicy"] = "Always" if cluster.forces_pulls else container["imagePullPolicy"]
    if query.get("dryRun") != "All":
        cluster.objects[kind, namespace, name] = pod
    return _seen(cluster, kind, pod)


def _delete(cluster: Cluster, kind: str, namespace: str, thing: Json, body: Json) -> Json:
    name, uid = thing["metadata"]["name"], thing["metadata"]["uid"]
    wanted = (body.get("preconditions") or {}).get("uid", uid)
    if wanted != uid:
        message = f"the UID in the precondition ({wanted}) does not match the UID in record ({uid})"
        raise _Refusal(409, "Conflict", f'Operation cannot be fulfilled on pods "{name}": {message}')
    if body.get("gracePeriodSeconds") == 0:
        del cluster.objects[kind, namespace, name]
    else:
        thing["metadata"]["deletionTimestamp"] = _now()
    return _seen(cluster, kind, thing)


def _seen(cluster: Cluster, kind: str, thing: Json) -> Json:
    """The object as it is now: a pod that was created here has the status that its node's kubelet gives it."""
    shown = {key: part for key, part in thing.items() if key != "_created"}
    kubelet = cluster.kubelets.get((thing.get("spec") or {}).get("nodeName", "")) if "_created" in thing else None
    if kubelet is not None:
        shown["status"] = kubelet.status(thing, time.monotonic() - thing["_created"])
    return shown


# ---- lists ----------------------------------------------------------------------------------------------------------


def _list(cluster: Cluster, kind: str, namespace: str, query: Query) -> Json:
    if "continue" in query and "resourceVersion" in query:
        raise _Refusal(400, "BadRequest", "specifying resource version is not allowed when using continue")
    things = [_seen(cluster, kind, one) for one in cluster.of_kind(kind, namespace or None)]
    things = [one for one in things if _selected(one, query)]
    start, limit = int(query.get("continue") or 0), int(query.get("limit") or 0)
    # Old servers pass over the limit where the list may come from their cache.
    if not limit or (cluster.ignores_limits and query.get("resourceVersion") == "0"):
        return {"kind": "List", "metadata": {}, "items": things}
    rest = str(start + limit) if start + limit < len(things) else ""
    return {"kind": "List", "metadata": {"continue": rest}, "items": things[start : start + limit]}


def _selected(thing: Json, query: Query) -> bool:
    for term in filter(None, (query.get("fieldSelector") or "").split(",")):
        path, _, value = term.partition("=")
        if path not in ("spec.nodeName", "metadata.name", "status.podIP", "involvedObject.uid"):
            raise _Refusal(400, "BadRequest", f"field label not supported: {path}")
        found: Any = thing
        for key in path.split("."):
            found = (found or {}).get(key)
        if found != value:
            return False
    labels = thing["metadata"].get("labels") or {}
    terms = [term.partition("=") for term in filter(None, (query.get("labelSelector") or "").split(","))]
    return all(labels.get(key) == value for key, _, value in terms)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
