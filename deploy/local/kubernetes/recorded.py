"""Recorded nodes that answer as nodes of this cluster: their reports, and the objects around them.

A recording is told again as another node: names, addresses and identities are rewritten alike in the reports and in the
objects, so that what the probe saw and what the API says fit together; times are moved to now. It must not know what
any of it means: it moves text.
"""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.kubernetes.kubelet import Kubelet, Run, Runs
from deploy.local.kubernetes.state import Cluster, Json, written
from diagnostics.probe.envelope import TERMINATION_MESSAGE_BYTES, pack

RECORDINGS = Path(__file__).parents[3] / "tests" / "nodes"
# As long as the real stages take, from the start of a container to its answer.
STAGE_SECONDS = {"look": 0.5, "watch": 2.0, "deep": 1.0}
ACKNOWLEDGED_SECONDS = 0.1
HIGHEST_NUMBER = 250  # of a node's address, and of its pods' network
PROBE_LABEL = "conntrack-bot/kind"
_POD_NETWORK = re.compile(r"(?<![\d.])10\.244\.(\d+)\.(\d+)(?!\d)")
_WORD = r"(?<![\w.-])(?:{})(?![\w-]|\.\w)"


@dataclass(frozen=True, slots=True)
class Recording:
    """One look at one node, as it lies in a folder."""

    node: str
    taken_at: float
    reports: tuple[Json, ...]
    view: Json | None


def read(folder: Path | str) -> Recording:
    """The recording in a folder; a bare name is one of those that the tests use."""
    path = Path(folder) if Path(folder).is_dir() else RECORDINGS / folder
    manifest = json.loads((path / "recording.json").read_text(encoding="utf-8"))
    reports = tuple(json.loads((path / "reports" / name).read_text(encoding="utf-8")) for name in manifest["reports"])
    view = path / "cluster.json"
    seen = json.loads(view.read_text(encoding="utf-8")) if view.exists() else None
    return Recording(manifest["node"], manifest["taken_at"], reports, seen)


def told_as(recording: Recording, node: str, address: str, neighbour: str) -> Recording:
    """The recording as another node's. ``neighbour`` is the address of the node that the other one becomes."""
    names = _new_names(recording, node, address, neighbour)
    words = re.compile(_WORD.format("|".join(map(re.escape, sorted(names, key=len, reverse=True)))))
    network = address.rpartition(".")[2]

    def retold(part: Any) -> Any:
        text = words.sub(lambda found: names[found[0]], json.dumps(part))
        return json.loads(_POD_NETWORK.sub(rf"10.244.{network}.\2", text))

    reports = tuple(retold(one) for one in recording.reports)
    for report in reports:
        if "name" in (report.get("node") or {}):
            report["node"]["name"] = node
    return Recording(node, recording.taken_at, reports, retold(recording.view))


def _new_names(recording: Recording, node: str, address: str, neighbour: str) -> dict[str, str]:
    """What every word of the recording that names something becomes."""
    view = recording.view or {}
    seen = _known(view, "node") or {}
    names = {recording.node: node, seen.get("boot_id", ""): _uid(node, "boot"), seen.get("uid", ""): _uid(node, "node")}
    for old, name in (_known(view, "nodes") or {}).items():
        is_control_plane = recording.node != "node-7" and name == "node-7"  # where the lab's API server was
        if not is_control_plane:
            names[old] = address if name == recording.node else neighbour
    for pod in _known(view, "pods") or []:
        names[pod["uid"]] = _uid(node, pod["uid"])
        names[pod["name"]] = _pod_name(node, pod)
    for service in _known(view, "services") or []:
        names |= dict.fromkeys(service["addresses"][:1], _service_address(service))
    names.pop("", None)
    return names


def _known(view: Mapping[str, Any], part: str) -> Any:
    return (view.get(part) or {}).get("value")


def _uid(node: str, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{node}/{what}"))


def _pod_name(node: str, pod: Json) -> str:
    """Another random end: the same Deployment has pods on several nodes."""
    stem, dash, end = pod["name"].rpartition("-")
    letters = hashlib.sha256(f"{node}/{pod['name']}".encode()).hexdigest().translate(_LETTERS)
    return f"{stem}-{letters[: len(end)]}" if pod["owner"] and dash else pod["name"]


_LETTERS = str.maketrans("0123456789abcdef", "bcdfghjkmnqrstvz")


def _service_address(service: Json) -> str:
    """One address for a Service, whichever recording it comes from."""
    fixed = {"kubernetes": "10.96.0.1", "kube-dns": "10.96.0.10"}.get(service["name"])
    digest = hashlib.sha256(service["name"].encode()).digest()
    return fixed or str(ipaddress.ip_address("10.96.64.0") + digest[0] * 16 + digest[1] % 16)


# ---- the answers ----------------------------------------------------------------------------------------------------


@dataclass
class RecordedNode:
    """A node that answers with a recording. Another ``recording`` from some moment on, and it answers as that."""

    recording: Recording
    began: float = field(default_factory=time.monotonic)

    def runs(self, pod: Json) -> Runs:
        """What the containers of a pod do here: those of a debug pod answer, and any other one runs for ever."""
        if (pod["metadata"].get("labels") or {}).get(PROBE_LABEL) != "probe":
            return {}
        reports = {str(one.get("stage")): self._fresh(one) for one in self.recording.reports}
        reports.setdefault("deep", {"format": 1, "stage": "deep", "unknown": {"deep": "not recorded on this node"}})
        return {stage: _answer(stage, report) for stage, report in reports.items()}

    def _fresh(self, report: Json) -> Json:
        """The report as if it were made now: the node's clocks went on since the cluster began."""
        fresh, on = copy.deepcopy(report), time.monotonic() - self.began
        node, log = fresh.get("node"), fresh.get("kernel_log")
        if isinstance(node, dict):
            node |= {"time": time.time()} if "time" in node else {}
            _move(node, on, "uptime")
        for counters in _listed(fresh, "counters"):
            _move(counters, on, "at")
        if isinstance(log, dict):
            _move(log, on, "first_at", "last_at")
            for line in _listed(log, "lines"):
                _move(line, on, "at")
        return fresh


def _listed(holder: Json, key: str) -> list[Json]:
    found = holder.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _move(holder: Json, seconds: float, *keys: str) -> None:
    for key in keys:
        if isinstance(holder.get(key), int | float):
            holder[key] = round(holder[key] + seconds, 6)


def _answer(stage: str, report: Json) -> Run:
    return Run(pack(report, TERMINATION_MESSAGE_BYTES).decode(), STAGE_SECONDS.get(stage, 1.0))


# ---- the objects ----------------------------------------------------------------------------------------------------


def settle_in(cluster: Cluster, recording: Recording, address: str) -> RecordedNode:
    """Make the node, its pods, their owners and the Services of a recording that was told as this cluster's."""
    node, view = RecordedNode(recording), recording.view or {}
    cluster.add_node(recording.node, address, Kubelet(node.runs, acknowledges_after_seconds=ACKNOWLEDGED_SECONDS))
    _describe(cluster, recording, _known(view, "node") or {}, address)
    moved = time.time() - recording.taken_at
    for service in _known(view, "services") or []:
        _add_service(cluster, service)
    for pod in _known(view, "pods") or []:
        if pod["node"] == recording.node and pod["labels"].get(PROBE_LABEL) != "probe":
            _add_pod(cluster, pod, moved)
    return node


def _describe(cluster: Cluster, recording: Recording, seen: Json, address: str) -> None:
    """The node as the recording's cluster saw it."""
    node = cluster.objects["nodes", "", recording.node]
    network = f"10.244.{address.rpartition('.')[2]}.0/24"
    boot = next((one["node"]["boot_id"] for one in recording.reports if (one.get("node") or {}).get("boot_id")), "")
    node["metadata"] |= {"labels": seen.get("labels") or {}} | ({"uid": seen["uid"]} if seen else {})
    node["spec"] |= {"podCIDR": network, "podCIDRs": [network], "providerID": seen.get("provider") or ""}
    node["status"]["nodeInfo"] = {
        "bootID": seen.get("boot_id") or boot,
        "kubeletVersion": seen.get("kubelet_version") or cluster.version,
        "kubeProxyVersion": seen.get("kube_proxy_version") or "",
        "osImage": seen.get("os_image") or "Debian GNU/Linux 12 (bookworm)",
        "containerRuntimeVersion": seen.get("runtime") or "",
    }
    for name, is_so in (seen.get("conditions") or {}).items():
        if name != "Ready":
            node["status"]["conditions"].append({"type": name, "status": is_so})
    cluster.put("nodes", node)


def _add_service(cluster: Cluster, service: Json) -> None:
    """A Service, once. The lab's name service lived among the shop's pods."""
    namespace = "kube-system" if service["name"] == "kube-dns" else service["namespace"]
    if cluster.get("services", service["name"], namespace) is not None:
        return
    ports = [
        {"port": port, "name": name, "protocol": "UDP" if port == 53 else "TCP"} for port, name in service["ports"]
    ]
    addresses = (
        {"clusterIP": service["addresses"][0], "clusterIPs": service["addresses"]} if service["addresses"] else {}
    )
    cluster.add("services", service["name"], namespace, spec={"type": service["kind"], "ports": ports, **addresses})


def _add_pod(cluster: Cluster, pod: Json, moved_seconds: float) -> None:
    owners = [_owner(cluster, pod)] if pod["owner"] else []
    spec: Json = {"hostNetwork": True} if pod["host_network"] else {}
    name = (pod["owner"] or {}).get("name", pod["name"])
    spec["containers"] = [{"name": "main", "image": f"{name}:1"}]
    status: Json = {"phase": pod["phase"]}
    if pod["started"] is not None:
        status["startTime"] = written(pod["started"] + moved_seconds)
    if pod["finished"] is not None:
        ended = {"exitCode": 0, "finishedAt": written(pod["finished"] + moved_seconds)}
        status["containerStatuses"] = [{"name": "main", "state": {"terminated": ended}}]
    meta = {"uid": pod["uid"], "labels": pod["labels"], "ownerReferences": owners}
    address = next(iter(pod["addresses"]), "")
    cluster.add_pod(pod["name"], pod["node"], address, pod["namespace"], spec=spec, status=status, metadata=meta)


def _owner(cluster: Cluster, pod: Json) -> Json:
    """A reference to the pod's controller, which is made, or told to want one pod more."""
    owner, namespace = pod["owner"], pod["namespace"]
    if owner["kind"] == "Deployment":
        name, plural = pod["name"].rpartition("-")[0], "replicasets"
        above = [_reference(_wanting(cluster, "deployments", owner["name"], pod))]
    else:
        name, plural, above = owner["name"], f"{owner['kind'].lower()}s", []
    thing = _wanting(cluster, plural, name, pod)
    if above:
        thing["metadata"]["ownerReferences"] = above
    return _reference(cluster.objects[plural, namespace, name])


def _wanting(cluster: Cluster, plural: str, name: str, pod: Json) -> Json:
    """A workload that wants the pods it has."""
    thing = cluster.get(plural, name, pod["namespace"])
    if thing is None:
        selector = {"matchLabels": {"app": pod["labels"].get("app", name)}}
        containers = [{"name": "main", "image": f"{pod['owner']['name']}:1"}]
        template = {"metadata": {"labels": pod["labels"]}, "spec": {"containers": containers}}
        spec = {"replicas": 0, "selector": selector, "template": template}
        thing = cluster.add(plural, name, pod["namespace"], spec=spec, metadata={"labels": pod["labels"]})
    thing["spec"]["replicas"] += 1
    cluster.put(plural, thing)
    return thing


def _reference(thing: Json) -> Json:
    meta = thing["metadata"]
    head = {"apiVersion": thing["apiVersion"], "kind": thing["kind"]}
    return {**head, "name": meta["name"], "uid": meta["uid"], "controller": True, "blockOwnerDeletion": True}


def numbered(nodes: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Each node's name, its address, and that of the next one; its number is that of its name, where it has one."""
    numbers: dict[str, int] = {}
    free = set(range(1, HIGHEST_NUMBER + 1))
    # Those whose names have a number choose first, so that node-7 is 10.90.1.7 whoever else is there.
    for name in sorted(nodes, key=lambda one: not _number(one)):
        numbers[name] = _number(name) if _number(name) in free else max(free)
        free.remove(numbers[name])
    numbers = {name: numbers[name] for name in nodes}
    listed = list(numbers.items())
    for (name, number), (_, following) in zip(listed, [*listed[1:], *listed[:1]], strict=True):
        yield name, f"10.90.1.{number}", f"10.90.1.{following}"


def _number(name: str) -> int:
    """The number at the end of a node's name; 0 where there is none."""
    end = name.rpartition("-")[2]
    return int(end) if end.isdecimal() and end.isascii() else 0
