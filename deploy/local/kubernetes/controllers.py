"""What a control plane does by itself: replaces pods, places them, renews leases, counts what a budget allows.

Each controller looks at the state and moves it a step towards what is wanted; ``Cluster.settle`` repeats them until
nothing moves. So a deleted pod of a Deployment comes back under a new name. It must not know requests.
"""

from __future__ import annotations

import copy
import math
import secrets
from typing import Any

from deploy.local.kubernetes import lifecycle
from deploy.local.kubernetes.selection import chosen
from deploy.local.kubernetes.state import Cluster, Json, now, now_exactly, uid_of

LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's rand: no vowels, no words
RENEWED_AFTER_SECONDS = 10
DEFAULT_SCHEDULER = "default-scheduler"
_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def suffix(length: int = 5) -> str:
    """The random end of a generated name."""
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def _named(cluster: Cluster, plural: str) -> list[Json]:
    return [one for key, one in list(cluster.objects.items()) if key[0] == plural]


def _owned(cluster: Cluster, plural: str, owner: Json) -> list[Json]:
    """What an object owns and keeps: nothing that is on its way out, nothing that has ended."""
    uid = uid_of(owner)
    return [
        one
        for one in _named(cluster, plural)
        if not one["metadata"].get("deletionTimestamp")
        and (one.get("status") or {}).get("phase") != "Failed"
        and any(ref.get("uid") == uid for ref in one["metadata"].get("ownerReferences") or [])
    ]


def _make(cluster: Cluster, plural: str, name: str, owner: Json, template: Json) -> Json:
    """An object from a template, which its owner controls."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    template = copy.deepcopy(template)
    meta = template.pop("metadata", {}) | {"ownerReferences": [reference]}
    return cluster.add(plural, name, owner["metadata"].get("namespace", ""), metadata=meta, **template)


# ---- workloads ------------------------------------------------------------------------------------------------------


def deployments(cluster: Cluster) -> None:
    """A Deployment has one ReplicaSet here: rollouts are not modelled."""
    for one in _named(cluster, "deployments"):
        spec, sets = one["spec"], _owned(cluster, "replicasets", one)
        replicas = spec.get("replicas", 1)
        if not sets:
            digest = suffix(9)
            labels = (spec["template"].get("metadata") or {}).get("labels", {}) | {"pod-template-hash": digest}
            template = copy.deepcopy(spec["template"])
            template.setdefault("metadata", {})["labels"] = labels
            wanted = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
            body = {"metadata": {"labels": labels}, "spec": wanted}
            _make(cluster, "replicasets", f"{one['metadata']['name']}-{digest}", one, body)
        elif len(sets) == 1 and sets[0]["spec"].get("replicas", 1) != replicas:
            sets[0]["spec"]["replicas"] = replicas
            cluster.put("replicasets", sets[0])


def replicasets(cluster: Cluster) -> None:
    """As many pods as are wanted, under new names; of too many the youngest go."""
    for one in _named(cluster, "replicasets"):
        pods, wanted = _kept(cluster, one), one["spec"].get("replicas", 1)
        for _ in range(wanted - len(pods)):
            _pod(cluster, f"{one['metadata']['name']}-{suffix()}", one)
        for pod in pods[wanted:] if wanted < len(pods) else ():
            lifecycle.stop(cluster, pod, None)
        _tell(cluster, "replicasets", one, {"replicas": wanted, "readyReplicas": sum(map(lifecycle.ready, pods))})


def _kept(cluster: Cluster, owner: Json) -> list[Json]:
    """The pods of a ReplicaSet; one whose labels no longer fit is released, and lives on without an owner."""
    pods = _owned(cluster, "pods", owner)
    released = [pod for pod in pods if not chosen(owner["spec"].get("selector"), pod["metadata"].get("labels") or {})]
    for pod in released:
        del pod["metadata"]["ownerReferences"]
        cluster.put("pods", pod)
    return [pod for pod in pods if pod not in released]


def statefulsets(cluster: Cluster) -> None:
    """Pods with numbers for names, each of which comes back under its own."""
    for one in _named(cluster, "statefulsets"):
        there = {pod["metadata"]["name"] for pod in _named(cluster, "pods")}
        for number in range(one["spec"].get("replicas", 1)):
            name = f"{one['metadata']['name']}-{number}"
            if name not in there:
                _pod(cluster, name, one)


def daemonsets(cluster: Cluster) -> None:
    """A pod on every node, and back on the same one: cordons and taints are no reason for a daemon here."""
    for one in _named(cluster, "daemonsets"):
        placed = {pod["spec"].get("nodeName") for pod in _owned(cluster, "pods", one)}
        for node in _named(cluster, "nodes"):
            name = node["metadata"]["name"]
            if name not in placed:
                _pod(cluster, f"{one['metadata']['name']}-{suffix()}", one, node=name)


def jobs(cluster: Cluster) -> None:
    """A Job's first pod. Retries are not modelled."""
    for one in _named(cluster, "jobs"):
        if not _owned(cluster, "pods", one) and not (one.get("status") or {}).get("startTime"):
            _pod(cluster, f"{one['metadata']['name']}-{suffix()}", one)
            _tell(cluster, "jobs", one, {"startTime": now(), "active": 1})


def _pod(cluster: Cluster, name: str, owner: Json, node: str = "") -> None:
    template = copy.deepcopy(owner["spec"].get("template") or {})
    template.setdefault("spec", {}).setdefault("containers", [{"name": "main", "image": "main:1"}])
    template["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    if node:
        template["spec"]["nodeName"] = node
    pod = _make(cluster, "pods", name, owner, template)
    if node:
        lifecycle.begin(cluster, pod)


def _tell(cluster: Cluster, plural: str, thing: Json, status: Json) -> None:
    if (thing.get("status") or {}) | status != (thing.get("status") or {}):
        thing["status"] = (thing.get("status") or {}) | status
        cluster.put(plural, thing)


# ---- nodes ----------------------------------------------------------------------------------------------------------


def scheduler(cluster: Cluster) -> None:
    """Pods that are bound to no node go to the schedulable one with the fewest pods."""
    for pod in _named(cluster, "pods"):
        spec = pod.get("spec") or {}
        is_ours = spec.get("schedulerName", DEFAULT_SCHEDULER) == DEFAULT_SCHEDULER
        if not is_ours or spec.get("nodeName") or pod["metadata"].get("deletionTimestamp"):
            continue
        open_to_all = [node for node in _named(cluster, "nodes") if _takes_pods(node)]
        if open_to_all:
            node = min(open_to_all, key=lambda one: _load(cluster, one["metadata"]["name"]))
            bind(cluster, pod, node["metadata"]["name"])


def bind(cluster: Cluster, pod: Json, node: str) -> None:
    """Place a pod on a node."""
    pod["spec"]["nodeName"] = node
    cluster.put("pods", pod)
    lifecycle.begin(cluster, pod)


def _takes_pods(node: Json) -> bool:
    taints = node["spec"].get("taints") or []
    is_closed = node["spec"].get("unschedulable") or any(one.get("effect") != "PreferNoSchedule" for one in taints)
    return lifecycle.ready(node) and not is_closed


def _load(cluster: Cluster, node: str) -> int:
    return sum(1 for pod in _named(cluster, "pods") if pod["spec"].get("nodeName") == node)


def nodes(cluster: Cluster) -> None:
    """A cordoned node has its taint; the leases of kubelets that reach the server are fresh."""
    for node in _named(cluster, "nodes"):
        spec = node.setdefault("spec", {})
        taints = [one for one in spec.get("taints") or [] if one.get("key") != _UNSCHEDULABLE["key"]]
        taints += [dict(_UNSCHEDULABLE)] if spec.get("unschedulable") else []
        if taints != (spec.get("taints") or []):
            spec["taints"] = taints
            cluster.put("nodes", node)
        _renew(cluster, node["metadata"]["name"])


def _renew(cluster: Cluster, node: str) -> None:
    kubelet, lease = cluster.kubelets.get(node), cluster.get("leases", node, "kube-node-lease")
    if kubelet is None or lease is None or kubelet.acknowledges_after_seconds is None:
        return
    if lifecycle.age_seconds(lease["spec"]["renewTime"]) >= RENEWED_AFTER_SECONDS:
        lease["spec"]["renewTime"] = now_exactly()
        cluster.put("leases", lease)


# ---- budgets and namespaces -----------------------------------------------------------------------------------------


def budgets(cluster: Cluster) -> None:
    """What each PodDisruptionBudget allows now (pkg/controller/disruption)."""
    for one in _named(cluster, "poddisruptionbudgets"):
        spec = one.get("spec") or {}
        covered = [pod for pod in covered_by(cluster, one) if (pod["status"].get("phase") or "") not in _ENDED]
        expected, healthy = len(covered), sum(map(lifecycle.ready, covered))
        if "maxUnavailable" in spec:
            wanted = max(0, expected - _count(spec["maxUnavailable"], expected))
        else:
            wanted = _count(spec.get("minAvailable", 1), expected)
        counted = {"currentHealthy": healthy, "desiredHealthy": wanted, "expectedPods": expected}
        allowed = {"disruptionsAllowed": max(0, healthy - wanted) if expected else 0}
        observed = {"observedGeneration": one["metadata"].get("generation", 1)}
        _tell(cluster, "poddisruptionbudgets", one, counted | allowed | observed)


_ENDED = ("Succeeded", "Failed")


def covered_by(cluster: Cluster, budget: Json) -> list[Json]:
    """The pods that a budget is for."""
    namespace, selector = budget["metadata"]["namespace"], (budget.get("spec") or {}).get("selector")
    return [
        pod
        for key, pod in cluster.objects.items()
        if key[:2] == ("pods", namespace) and chosen(selector, pod["metadata"].get("labels") or {})
    ]


def _count(wanted: Any, of: int) -> int:
    return math.ceil(int(wanted.rstrip("%")) * of / 100) if isinstance(wanted, str) else int(wanted)


def namespaces(cluster: Cluster) -> None:
    """A namespace that is to go takes all that is in it along."""
    for one in _named(cluster, "namespaces"):
        if (one.get("status") or {}).get("phase") != "Terminating":
            continue
        inside = [(key, thing) for key, thing in cluster.objects.items() if key[1] == one["metadata"]["name"]]
        for key, thing in inside:
            lifecycle.end(cluster, key[0], thing)
        if not inside:
            cluster.remove("namespaces", one)


ALL = (deployments, replicasets, statefulsets, daemonsets, jobs, scheduler, nodes, budgets, namespaces)
"""Every controller of a whole control plane, in the order in which one feeds the next."""
