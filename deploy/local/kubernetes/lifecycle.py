"""What becomes of a pod: a node's kubelet takes it up, its containers run, it is stopped and gone.

The kubelet says what a status is and when it changes; here that becomes state at its time. It must not know requests.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from deploy.local.kubernetes.kubelet import Kubelet, Runs
from deploy.local.kubernetes.state import Cluster, Json, key_of, now, uid_of, written

DEFAULT_GRACE_SECONDS = 30
ROUNDING_SECONDS = 1e-6  # an age counts as reached at its own moment, whatever floating point says


def begin(cluster: Cluster, pod: Json) -> None:
    """A pod has been bound to a node: the kubelet there takes it up, if it can."""
    kubelet = cluster.kubelets.get(pod["spec"].get("nodeName") or "")
    if kubelet is None:
        return
    started, created = time.monotonic(), time.time()
    uid, runs = uid_of(pod), kubelet.runs_of(pod)
    for moment in kubelet.moments(pod, runs):
        _at(cluster, uid, kubelet, runs, started, created, moment)


def _at(
    cluster: Cluster, uid: str, kubelet: Kubelet, runs: Runs, started: float, created: float, moment: float
) -> None:
    def reach() -> None:
        pod = cluster.by_uid("pods", uid)
        if pod is not None:
            status = kubelet.status(pod, runs, moment + ROUNDING_SECONDS, created)
            pod["status"] = status | _addresses(cluster, pod)
            cluster.put("pods", pod)

    cluster.later(started + moment, reach)


def _addresses(cluster: Cluster, pod: Json) -> Json:
    """A pod's addresses: its node's, or the next one of the node's range, which it then keeps."""
    node = cluster.get("nodes", pod["spec"]["nodeName"]) or {}
    listed = (node.get("status") or {}).get("addresses") or []
    host = next((one["address"] for one in listed if one["type"] == "InternalIP"), "")
    if pod["spec"].get("hostNetwork"):
        address = host
    else:
        address = (pod.get("status") or {}).get("podIP") or _free_address(cluster, node)
    return {"hostIP": host, "podIP": address, "podIPs": [{"ip": address}]}


def _free_address(cluster: Cluster, node: Json) -> str:
    network = (node.get("spec") or {}).get("podCIDR", "10.244.0.0/24").rpartition(".")[0]
    taken = {(pod.get("status") or {}).get("podIP") for key, pod in cluster.objects.items() if key[0] == "pods"}
    return next(address for last in range(2, 254) if (address := f"{network}.{last}") not in taken)


# ---- the end --------------------------------------------------------------------------------------------------------


def grace_seconds(pod: Json, asked: int | None) -> int:
    """registry/core/pod: ``CheckGracefulDelete``. What is not bound, or has ended, is not waited for."""
    spec = pod.get("spec") or {}
    if not spec.get("nodeName") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return int(spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)) if asked is None else asked


def stop(cluster: Cluster, pod: Json, asked: int | None) -> None:
    """A pod is to go: at once, or when its kubelet has stopped it. One whose kubelet is silent stays, terminating."""
    grace = grace_seconds(pod, asked)
    if grace == 0:
        vanish(cluster, "pods", pod)
        return
    meta = pod["metadata"]
    if meta.get("deletionTimestamp") and meta.get("deletionGracePeriodSeconds", 0) <= grace:
        return
    meta |= {"deletionTimestamp": written(time.time() + grace), "deletionGracePeriodSeconds": grace}
    cluster.put("pods", pod)
    kubelet = cluster.kubelets.get(pod["spec"]["nodeName"])
    if kubelet is not None and kubelet.acknowledges_after_seconds is not None:
        uid = uid_of(pod)
        cluster.later(time.monotonic() + min(grace, kubelet.stops_after_seconds), lambda: _stopped(cluster, uid))


def _stopped(cluster: Cluster, uid: str) -> None:
    pod = cluster.by_uid("pods", uid)
    if pod is not None:
        vanish(cluster, "pods", pod)


def vanish(cluster: Cluster, plural: str, thing: Json) -> None:
    """Remove an object and what it owns; one with finalizers is only marked."""
    meta = thing["metadata"]
    if meta.get("finalizers"):
        if not meta.get("deletionTimestamp"):
            meta["deletionTimestamp"] = now()
            cluster.put(plural, thing)
        return
    if cluster.objects.get(key_of(plural, thing)) is None:
        return
    cluster.remove(plural, thing)
    uid = uid_of(thing)
    for key, owned in list(cluster.objects.items()):
        if any(one.get("uid") == uid for one in owned["metadata"].get("ownerReferences") or []):
            end(cluster, key[0], owned)


def end(cluster: Cluster, plural: str, thing: Json, grace: int | None = None) -> None:
    """Remove an object in the way of its kind: pods are stopped first."""
    if plural == "pods":
        stop(cluster, thing, grace)
    else:
        vanish(cluster, plural, thing)


def ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod counts as healthy."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def age_seconds(moment: str) -> float:
    """How long ago the API's time is."""
    return time.time() - datetime.fromisoformat(moment).timestamp()
