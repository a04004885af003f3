"""What an object must be like to be stored, and what the server adds to it. The rules the product can run into.

It must not know requests. What it lets pass, a real server may refuse; the conformance tests keep the two together.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from deploy.local.kubernetes import refusals
from deploy.local.kubernetes.resources import BY_PLURAL, Resource
from deploy.local.kubernetes.state import Cluster, Json, uid_of

NAMESPACES = BY_PLURAL["namespaces"]
_SUBDOMAIN = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_FREE_NAMES = frozenset({"clusterroles", "clusterrolebindings", "roles", "rolebindings"})
_CHANGEABLE = ("containers", "initContainers", "activeDeadlineSeconds", "tolerations")


def new_uid() -> str:
    """An identity that nothing else has."""
    return str(uuid.uuid4())


def check(cluster: Cluster, resource: Resource, thing: Json) -> None:
    """Raises Refusal where the server would not store this object."""
    name = thing["metadata"].get("name") or ""
    if not name:
        raise refusals.invalid(resource, "", "metadata.name", "Required value: name or generateName is required")
    if resource.plural not in _FREE_NAMES and not re.fullmatch(_SUBDOMAIN, name):
        raise refusals.invalid(resource, name, "metadata.name", f'Invalid value: "{name}": {_RULE}')
    if resource.plural == "pods":
        _admit_pod(cluster, resource, thing)
        _check_pod(resource, thing)


def _admit_pod(cluster: Cluster, resource: Resource, pod: Json) -> None:
    """The admission plugins ServiceAccount and Priority, which come before validation."""
    meta, spec = pod["metadata"], pod.get("spec") or {}
    account, priority = spec.get("serviceAccountName") or "default", spec.get("priorityClassName")
    namespace = meta["namespace"]
    if cluster.get("serviceaccounts", account, namespace) is None:
        why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
        raise refusals.forbidden(resource, meta["name"], why)
    if priority and not priority.startswith("system-") and cluster.get("priorityclasses", priority) is None:
        why = f"no PriorityClass with name {priority} was found"
        raise refusals.forbidden(resource, meta["name"], why)


def _check_pod(resource: Resource, pod: Json) -> None:
    name, spec = pod["metadata"]["name"], pod.get("spec") or {}
    if not spec.get("containers"):
        raise refusals.invalid(resource, name, "spec.containers", "Required value")
    for part in ("initContainers", "containers"):
        for place, container in enumerate(spec.get(part) or []):
            for field in ("name", "image"):
                if not container.get(field):
                    raise refusals.invalid(resource, name, f"spec.{part}[{place}].{field}", "Required value")


def complete(cluster: Cluster, resource: Resource, thing: Json) -> None:
    """What the server adds: defaults, and the status that only it may write."""
    if resource.plural == "pods":
        spec = thing["spec"]
        thing["status"] = {"phase": "Pending", "qosClass": "Burstable"}
        defaults: Json = {
            "restartPolicy": "Always",
            "serviceAccountName": "default",
            "schedulerName": "default-scheduler",
        }
        defaults |= {"terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst"}
        thing["spec"] = defaults | spec
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            container.setdefault("imagePullPolicy", "IfNotPresent")
            container.setdefault("terminationMessagePath", "/dev/termination-log")
            container.setdefault("terminationMessagePolicy", "File")
            if cluster.forces_pulls:
                container["imagePullPolicy"] = "Always"
    elif resource.plural == "nodes":
        thing.setdefault("spec", {})
        thing.setdefault("status", {})
    elif resource.plural == "namespaces":
        thing |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    elif resource.plural in ("poddisruptionbudgets", "deployments", "replicasets", "statefulsets", "daemonsets"):
        thing["metadata"]["generation"] = 1
        thing["status"] = {}


def check_change(resource: Resource, old: Json, new: Json) -> None:
    """Raises Refusal where a field cannot be changed."""
    if resource.plural != "pods":
        return
    fixed = [{key: part for key, part in one["spec"].items() if key not in _CHANGEABLE} for one in (old, new)]
    if fixed[0] != fixed[1]:
        says = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`, "
            "`spec.initContainers[*].image`, `spec.activeDeadlineSeconds` or `spec.tolerations` "
            "(only additions to existing tolerations)"
        )
        raise refusals.invalid(resource, old["metadata"]["name"], "spec", says)


def check_preconditions(resource: Resource, thing: Json, wanted: Mapping[str, Any]) -> None:
    """Raises Refusal where the object is no longer the one that was meant."""
    meta = thing["metadata"]
    for key, said, is_now in (
        ("uid", "UID", uid_of(thing)),
        ("resourceVersion", "ResourceVersion", str(meta["resourceVersion"])),
    ):
        if wanted.get(key, is_now) != is_now:
            raise refusals.precondition(resource, meta["name"], said, str(wanted[key]), is_now)
