"""Up a pod's owner chain to the workload that people know: ReplicaSet to Deployment, Job to CronJob.

Names tell it for nothing; a look-up per pod confirms it where that matters. It must not know why one asks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from diagnostics.cluster.api import KubeApi
from diagnostics.cluster.objects import label, namespace_of, objects, text
from diagnostics.errors import ClusterError
from diagnostics.model import Workload

# The label with which the owner of a ReplicaSet marks its pods; the ReplicaSet's name ends with the label's value.
_HASH_LABELS = (("pod-template-hash", "Deployment"), ("rollouts-pod-template-hash", "Rollout"))

# A CronJob names its Jobs by the planned time: minutes since 1970, in versions before 1.21 seconds. A date such as
# 20260131 lies outside of both ranges, so that a person's Job with a date in its name is not taken for a CronJob's.
_PLANNED = re.compile(r"(?P<stem>.+)-(?P<time>\d{8}|\d{10})")
_MINUTES = range(25_000_000, 40_000_000)
_SECONDS = range(1_500_000_000, 2_400_000_000)


def named_owner(pod: Mapping[str, Any]) -> Workload | None:
    """The top of the owner chain as far as names tell; None for a pod without a controller."""
    owner = _controller(pod)
    if owner is None:
        return None
    if owner.kind == "ReplicaSet":
        return _by_template_hash(pod, owner)
    if owner.kind == "Job":
        return _by_planned_time(owner)
    return owner


def confirmed_owner(api: KubeApi, pod: Mapping[str, Any]) -> Workload | None:
    """The top of the owner chain, looked up; as names tell where it may not be looked up or is gone."""
    owner = _controller(pod)
    look_up = {"ReplicaSet": api.replicaset, "Job": api.job}.get(owner.kind) if owner else None
    if owner is None or look_up is None:
        return owner
    try:
        return _controller(look_up(namespace_of(pod), owner.name)) or owner
    except ClusterError:
        return named_owner(pod)


def _controller(thing: Mapping[str, Any]) -> Workload | None:
    for reference in objects(thing, "metadata", "ownerReferences"):
        if reference.get("controller") is True and text(reference.get("name")):
            return Workload(kind=text(reference.get("kind")), name=text(reference.get("name")))
    return None


def _by_template_hash(pod: Mapping[str, Any], owner: Workload) -> Workload:
    for key, kind in _HASH_LABELS:
        suffix = f"-{label(pod, key)}"
        if len(suffix) > 1 and owner.name.endswith(suffix) and owner.name != suffix:
            return Workload(kind=kind, name=owner.name.removesuffix(suffix))
    return owner


def _by_planned_time(owner: Workload) -> Workload:
    found = _PLANNED.fullmatch(owner.name)
    if found and (int(found["time"]) in _MINUTES or int(found["time"]) in _SECONDS):
        return Workload(kind="CronJob", name=found["stem"])
    return owner
