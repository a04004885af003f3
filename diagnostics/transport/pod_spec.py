"""The debug pod as an object: everything about it that matters on a node whose conntrack table is full.

Pure: settings and an order go in, a dict comes out. It must not know how the pod is created or what its answers mean.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from diagnostics.probe.envelope import TERMINATION_MESSAGE_BYTES
from diagnostics.transport import Order

Profile = Literal["standard", "privileged", "minimal"]

LABELS = {"app.kubernetes.io/managed-by": "conntrack-bot", "conntrack-bot/kind": "probe"}
INCIDENT_LABEL = "conntrack-bot/incident"
LABEL_SELECTOR = ",".join(f"{key}={value}" for key, value in LABELS.items())

# Between the end of one container and the start of the next (measured: 0.9 to 1.5 s, because the kubelet looks at its
# containers once a second). The counters of both are compared, so the gap is watched too.
GAP_SECONDS = 1.0
SHORTEST_WATCH_SECONDS = 1.0
LONGEST_LIFE_SECONDS = 300  # a forgotten debug pod ends by itself; the admission policy allows no more
TERMINATION_LOG = "/dev/termination-log"
NOBODY = 65532  # the image's own user

# A label's value: what is not allowed in it becomes a dash.
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class PodSettings:
    """How debug pods are made here.

    ``profile``: "standard" has uid 0 with NET_ADMIN and SYSLOG; "privileged" sees the host's processes too; "minimal"
    has no capability, and reads the fill, the counters, and the table where the kernel shows it as a file.
    ``ack_seconds`` is the patience until the kubelet has seen the pod, ``start_seconds`` until its first container
    runs. ``command`` is the probe, to which arguments are added. ``takes_over``: whoever looked for this incident
    before has died in the middle, so that its debug pods on the node are nobody's any more.
    """

    image: str
    namespace: str = "conntrack-bot-probes"
    pull_policy: Literal["IfNotPresent", "Never"] = "IfNotPresent"
    profile: Profile = "standard"
    service_account: str = "probe"
    priority_class: str = "conntrack-bot-probe"
    image_pull_secrets: tuple[str, ...] = ()
    requested_by: str = ""
    incident: str = ""
    takes_over: bool = False
    ack_seconds: float = 15.0
    start_seconds: float = 20.0
    command: tuple[str, ...] = ("python3", "-m", "diagnostics.probe")


def probe_pod(settings: PodSettings, node: str, order: Order, *, name: str, node_uid: str = "") -> dict[str, Any]:
    """The pod that runs the stages of ``order`` on ``node``, one container after the other.

    Every stage but the last is an init container, so that each answer is readable while the next stage runs. Three
    containers are the most that have 4,096 bytes each (kubelet: MaxPodTerminationMessageLogLength is 12 KiB a pod).
    """
    stages = order.stages()
    containers = [_container(settings, order, stage) for stage in stages]
    spec: dict[str, Any] = {
        # Past the scheduler: it works for a cordoned node, and while the scheduler is away.
        "nodeName": node,
        # No call of the network plugin, which would open new connections; and the node's own /proc/net is what we read.
        "hostNetwork": True,
        "hostPID": settings.profile == "privileged",
        "dnsPolicy": "Default",
        "restartPolicy": "Never",
        "activeDeadlineSeconds": _life_seconds(settings, order),
        "terminationGracePeriodSeconds": 1,
        # A token would need a TokenRequest and a volume before the pod may start, and the probe asks the API nothing.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "serviceAccountName": settings.service_account,
        # NoExecute too: the kubelet looks again, and the taint manager would delete the pod.
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": containers[:-1],
        "containers": containers[-1:],
    }
    if settings.priority_class:
        spec["priorityClassName"] = settings.priority_class
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": secret} for secret in settings.image_pull_secrets]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(settings, name, node_uid), "spec": spec}


def _metadata(settings: PodSettings, name: str, node_uid: str) -> dict[str, Any]:
    incident = incident_label(settings)
    labels = LABELS | ({INCIDENT_LABEL: incident} if incident else {})
    notes = {"conntrack-bot/requested-by": settings.requested_by, "conntrack-bot/node-uid": node_uid}
    return {
        "name": name,
        "namespace": settings.namespace,
        "labels": labels,
        "annotations": {key: value for key, value in notes.items() if value},
    }


def incident_label(settings: PodSettings) -> str:
    """The incident as a label's value; "" where there is none."""
    return _NOT_IN_LABELS.sub("-", settings.incident)[:63].strip("-_.")


def _life_seconds(settings: PodSettings, order: Order) -> int:
    """From the kubelet's acknowledgement on: the start, and every stage to its own deadline."""
    wanted = settings.start_seconds + order.deadline_seconds * len(order.stages())
    return min(math.ceil(wanted), LONGEST_LIFE_SECONDS)


def _container(settings: PodSettings, order: Order, stage: str) -> dict[str, Any]:
    budget = TERMINATION_MESSAGE_BYTES
    shorter = max(order.watch_seconds - GAP_SECONDS, min(order.watch_seconds, SHORTEST_WATCH_SECONDS))
    order = replace(order, watch_seconds=shorter)
    return {
        "name": stage,
        "image": settings.image,
        # A pull is a new connection and a name to resolve, both of which the node may be dropping.
        "imagePullPolicy": settings.pull_policy,
        "command": list(settings.command),
        "args": [*order.argv(stage, budget), "--output", TERMINATION_LOG],
        "terminationMessagePath": TERMINATION_LOG,
        # Where the probe died before it wrote a word, its last log lines say why.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # Not BestEffort, which is evicted first and killed first when memory is short.
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": _rights(settings.profile),
    }


def _rights(profile: Profile) -> dict[str, Any]:
    if profile == "privileged":
        return {"privileged": True, "runAsUser": 0, "readOnlyRootFilesystem": True}
    rights: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    if profile == "minimal":
        # Group 0 may read /proc/net/nf_conntrack (mode 0440), where the kernel still has that file.
        return rights | {"runAsNonRoot": True, "runAsUser": NOBODY, "runAsGroup": 0}
    # Kubernetes gives a user other than root no ambient capabilities, so the two that are added need uid 0.
    return rights | {"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "SYSLOG"]}}
