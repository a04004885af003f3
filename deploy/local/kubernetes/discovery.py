"""What the server says about itself: its version, its health, which groups and resources it has.

Enough for kubectl and for clients that look before they ask. It must not know any object.
"""

from __future__ import annotations

import re

from deploy.local.kubernetes.resources import GROUP_VERSIONS, RESOURCES, Resource
from deploy.local.kubernetes.state import Cluster, Json

_HEALTH = ("/healthz", "/livez", "/readyz")
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def told(cluster: Cluster, path: str) -> Json | str | None:
    """The answer to a question about the server itself; None where the path is none."""
    if path in _HEALTH:
        return "ok"
    if path == "/version":
        major, minor, _ = cluster.version.removeprefix("v").split(".")
        return {"major": major, "minor": minor, "gitVersion": cluster.version, "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        groups = sorted({group for group, _ in GROUP_VERSIONS if group})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in groups]}
    found = re.fullmatch(r"/api/(?P<core>v1)|/apis/(?P<group>[^/]+)/(?P<version>[^/]+)", path)
    if found and (found["group"] or "", found["core"] or found["version"]) in GROUP_VERSIONS:
        return _resources(found["group"] or "", found["core"] or found["version"])
    return None


def _group(name: str) -> Json:
    versions = sorted(version for group, version in GROUP_VERSIONS if group == name)
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _resources(group: str, version: str) -> Json:
    listed = [entry for one in RESOURCES if one.group == group and version in one.versions for entry in _entries(one)]
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": listed}


def _entries(resource: Resource) -> list[Json]:
    one = {"name": resource.plural, "singularName": "", "namespaced": resource.is_namespaced, "kind": resource.kind}
    parts = [
        {"name": f"{resource.plural}/{part}", "singularName": "", "namespaced": resource.is_namespaced}
        | {"kind": "Eviction" if part == "eviction" else resource.kind, "verbs": ["create", "get"]}
        for part in resource.subresources
    ]
    return [one | {"verbs": _VERBS}, *parts]
