"""A whole small cluster on loopback, for the demo and for tests: recorded nodes, the shipped roles, controllers.

    with running({"node-7": "exhausted-by-short-connections", "node-8": "healthy", "node-9": None}) as kubernetes:
        kubernetes.kubeconfig(folder)

It joins the parts and knows none of them closely.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.local.kubernetes import controllers, recorded
from deploy.local.kubernetes.access import ADMIN_TOKEN, BOT_TOKEN
from deploy.local.kubernetes.faults import Fault
from deploy.local.kubernetes.kubelet import Kubelet
from deploy.local.kubernetes.recorded import RecordedNode
from deploy.local.kubernetes.resources import BY_KIND
from deploy.local.kubernetes.server import serving
from deploy.local.kubernetes.state import Cluster, written

CONTEXT = "demo"
SHIPPED = Path(__file__).parents[2] / "kubernetes"
CONTROL_PLANE = ("10.90.0.1", 16443)  # where the recorded nodes reached their API server
SILENT_SECONDS = 240.0

FLEET: Mapping[str, str | None] = {
    "node-1": "healthy",
    "node-2": "healthy",
    "node-3": "evicting-by-a-dns-storm",
    "node-4": "lookalike-snat-ports",
    "node-5": "filling",
    "node-6": "recovered-a-while-ago",
    "node-7": "exhausted-by-short-connections",
    "node-8": "healthy",
    "node-9": None,
}
"""The demo's nodes. None: its kubelet has been silent for some minutes."""


@dataclass(frozen=True, slots=True)
class LocalKubernetes:
    """The running API. ``state`` and ``nodes`` may be changed while it runs, under ``state.lock``."""

    url: str
    state: Cluster
    nodes: Mapping[str, RecordedNode]

    @property
    def faults(self) -> list[Fault]:
        """How the API is ill: append to it."""
        return self.state.faults

    def kubeconfig(self, folder: Path, token: str = BOT_TOKEN) -> Path:
        """A kubeconfig, for the bot's own account with the rights that deploy/kubernetes gives it."""
        return Path(kubeconfig(folder, self.url, token, CONTEXT))


@contextmanager
def running(nodes: Mapping[str, str | Path | None] = FLEET, port: int = 0) -> Iterator[LocalKubernetes]:
    """Serve a cluster of these nodes: the name, or the folder, of a recording for each; None for a silent kubelet."""
    cluster = Cluster()
    apply(cluster, SHIPPED)
    address, api_port = CONTROL_PLANE
    service = {"type": "ClusterIP", "clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}
    cluster.add("services", "kubernetes", "default", spec=service)
    there = {"addresses": [{"ip": address}], "ports": [{"name": "https", "port": api_port}]}
    cluster.add("endpoints", "kubernetes", "default", subsets=[there])
    answering = dict(_settled(cluster, nodes))
    cluster.controllers = list(controllers.ALL)
    with serving(cluster, port) as url:
        yield LocalKubernetes(url, cluster, answering)


def _settled(cluster: Cluster, nodes: Mapping[str, str | Path | None]) -> Iterator[tuple[str, RecordedNode]]:
    for name, address, neighbour in recorded.numbered(nodes):
        folder = nodes[name]
        if folder is None:
            _add_silent(cluster, name, address)
            continue
        recording = recorded.told_as(recorded.read(folder), name, address, neighbour)
        yield name, recorded.settle_in(cluster, recording, address)


def _add_silent(cluster: Cluster, name: str, address: str) -> None:
    """A node whose kubelet has lost the API server: what is created there stays unseen."""
    node = cluster.add_node(name, address, Kubelet(acknowledges_after_seconds=None), ready="Unknown")
    since = written(time.time() - SILENT_SECONDS)
    condition = node["status"]["conditions"][0]
    condition |= {"lastTransitionTime": since, "reason": "NodeStatusUnknown"}
    lease = cluster.objects["leases", "kube-node-lease", name]
    lease["spec"]["renewTime"] = since
    cluster.put("nodes", node)


def apply(cluster: Cluster, folder: Path) -> None:
    """Store the objects of the manifests in a folder, as `kubectl apply` would; what is not modelled is passed over."""
    for file in sorted(folder.glob("*.yaml")):
        for thing in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            resource = BY_KIND.get((thing or {}).get("kind", ""))
            if resource is None:
                continue
            meta = thing.pop("metadata")
            parts = {key: part for key, part in thing.items() if key not in ("kind", "apiVersion")}
            if resource.plural == "namespaces":
                parts = {"status": {"phase": "Active"}}
            cluster.add(resource.plural, meta["name"], meta.get("namespace", ""), metadata=meta, **parts)


def kubeconfig(folder: Path, address: str, token: str = ADMIN_TOKEN, context: str = "lab") -> str:
    """A kubeconfig for an API on loopback."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": "me"}}],
    }
    path.write_text(json.dumps(config))
    return str(path)
