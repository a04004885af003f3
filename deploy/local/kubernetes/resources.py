"""Which kinds of objects this API has: their groups, versions, paths and selectable fields. A table and nothing else.

It must not know how any of them is stored or answered. What is not listed here does not exist, as with a real server.
"""

from __future__ import annotations

from dataclasses import dataclass

ALWAYS_SELECTABLE = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object. ``plural`` is its name in paths, and its key in the store."""

    plural: str
    kind: str
    group: str = ""
    versions: tuple[str, ...] = ("v1",)
    is_namespaced: bool = True
    selectable: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """As it stands in an object."""
        return f"{self.group}/{self.versions[0]}" if self.group else self.versions[0]

    @property
    def said(self) -> str:
        """As the server calls it in its messages: "replicasets.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_POD_FIELDS = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "reason",
    "source",
    "type",
)
_POD_PARTS = ("status", "log", "eviction", "binding")
_SCALED = ("status", "scale")
_RBAC = "rbac.authorization.k8s.io"

RESOURCES = (
    Resource("namespaces", "Namespace", is_namespaced=False, selectable=("status.phase",)),
    Resource(
        "nodes", "Node", is_namespaced=False, selectable=("spec.unschedulable",), subresources=("status", "proxy")
    ),
    Resource("pods", "Pod", selectable=_POD_FIELDS, subresources=_POD_PARTS),
    Resource("services", "Service"),
    Resource("endpoints", "Endpoints"),
    Resource("configmaps", "ConfigMap"),
    Resource("serviceaccounts", "ServiceAccount"),
    Resource("events", "Event", selectable=_EVENT_FIELDS),
    Resource("leases", "Lease", "coordination.k8s.io"),
    Resource("deployments", "Deployment", "apps", subresources=_SCALED),
    Resource("replicasets", "ReplicaSet", "apps", subresources=_SCALED, selectable=("status.replicas",)),
    Resource("statefulsets", "StatefulSet", "apps", subresources=_SCALED),
    Resource("daemonsets", "DaemonSet", "apps", subresources=("status",)),
    Resource("jobs", "Job", "batch", subresources=("status",), selectable=("status.successful",)),
    Resource("poddisruptionbudgets", "PodDisruptionBudget", "policy", ("v1", "v1beta1"), subresources=("status",)),
    Resource("horizontalpodautoscalers", "HorizontalPodAutoscaler", "autoscaling"),
    Resource("priorityclasses", "PriorityClass", "scheduling.k8s.io", is_namespaced=False),
    Resource("clusterroles", "ClusterRole", _RBAC, is_namespaced=False),
    Resource("clusterrolebindings", "ClusterRoleBinding", _RBAC, is_namespaced=False),
    Resource("roles", "Role", _RBAC),
    Resource("rolebindings", "RoleBinding", _RBAC),
)
BY_PLURAL = {resource.plural: resource for resource in RESOURCES}
BY_KIND = {resource.kind: resource for resource in RESOURCES}
GROUP_VERSIONS = {(resource.group, version) for resource in RESOURCES for version in resource.versions} | {
    ("authorization.k8s.io", "v1")
}


def found(group: str, version: str, plural: str) -> Resource | None:
    """The resource at a path; None where this server has none there."""
    resource = BY_PLURAL.get(plural)
    return resource if resource and resource.group == group and version in resource.versions else None
