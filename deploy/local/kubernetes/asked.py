"""What a request asks for: a path and a query become a resource, a name and a verb. Pure.

It must not know whether that exists, or who may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.local.kubernetes import refusals
from deploy.local.kubernetes.access import Wish
from deploy.local.kubernetes.resources import GROUP_VERSIONS, Resource, found

_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?"
)
_VERBS = {
    "GET": ("get", "list"),
    "POST": ("create", "create"),
    "PUT": ("update", ""),
    "PATCH": ("patch", ""),
    "DELETE": ("delete", "deletecollection"),
}
# What a request may say beside its path; anything else would be passed over in silence.
_KNOWN = frozenset({
    "allowWatchBookmarks", "container", "continue", "dryRun", "fieldManager", "fieldSelector", "fieldValidation",
    "gracePeriodSeconds", "labelSelector", "limit", "pretty", "propagationPolicy", "resourceVersion",
    "resourceVersionMatch", "tailLines", "timeout", "timeoutSeconds", "watch",
})  # fmt: skip
_FLAGS = ("1", "true", "True")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``verb`` is RBAC's; ``subresource`` is "" for the object itself."""

    verb: str
    resource: Resource
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]
    version: str
    body: Any = None
    content_type: str = ""

    @property
    def is_dry(self) -> bool:
        """Whether everything is checked and nothing kept."""
        return bool(self.query.get("dryRun"))

    @property
    def wish(self) -> Wish:
        """The same, as a role permits it."""
        resource = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        return Wish(self.verb, self.resource.group, resource, self.namespace, self.name)


def understood(method: str, path: str, query: Mapping[str, str], body: Any = None, content_type: str = "") -> Asked:
    """Raises Refusal where the server has no such thing."""
    parts = _PATH.fullmatch(path)
    if parts is None:
        raise refusals.no_such_group()
    group, version = parts["group"] or "", parts["core"] or parts["version"]
    if (group, version) not in GROUP_VERSIONS:
        raise refusals.no_such_group()
    resource = found(group, version, parts["plural"])
    name, sub, namespace = parts["name"] or "", parts["sub"] or "", parts["namespace"] or ""
    if resource is None or (sub and sub not in resource.subresources) or (namespace and not resource.is_namespaced):
        raise refusals.no_such_path()
    _check_query(query)
    return Asked(_verb(method, name, sub, query), resource, namespace, name, sub, query, version, body, content_type)


def _verb(method: str, name: str, sub: str, query: Mapping[str, str]) -> str:
    verb = _VERBS.get(method, ("", ""))[0 if name else 1]
    if method == "POST" and name and not sub:
        verb = ""
    if sub in ("log", "eviction", "binding") and verb != ("get" if sub == "log" else "create"):
        verb = ""
    if not verb:
        raise refusals.wrong_method()
    return "watch" if verb == "list" and query.get("watch") in _FLAGS else verb


def _check_query(query: Mapping[str, str]) -> None:
    for key in query:
        if key not in _KNOWN:
            raise refusals.not_modelled(f"the parameter `{key}`")
    dry = query.get("dryRun")
    if dry and dry != "All":
        options = Resource("", "CreateOptions.meta.k8s.io", "meta.k8s.io")
        raise refusals.invalid(
            options, "", "dryRun", f'Unsupported value: []string{{"{dry}"}}: supported values: "All"'
        )
