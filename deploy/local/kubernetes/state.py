"""The state behind the API: objects, their versions, what changed when, and what is still to happen.

Nothing here runs by itself: ``settle`` lets everything happen that is due by now, and whoever asks or waits calls it
first. So there is one lock, no thread, and the order of events is the order of their times. Tests write the objects
directly, as other controllers would. It must not know HTTP.
"""

from __future__ import annotations

import copy
import heapq
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deploy.local.kubernetes.resources import BY_PLURAL

if TYPE_CHECKING:
    from deploy.local.kubernetes.access import Account
    from deploy.local.kubernetes.faults import Fault
    from deploy.local.kubernetes.kubelet import Kubelet

Json = dict[str, Any]
Query = dict[str, str]
Key = tuple[str, str, str]

REST_SECONDS = 0.1  # how long controllers that found nothing to do wait where nothing has changed
KEPT_CHANGES = 2000  # what a watch can go back to
PROBES = "conntrack-bot-probes"
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease", "conntrack-bot", PROBES)


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to an object. ``thing`` is a copy of how it is then, ``before`` of how it was."""

    version: int
    plural: str
    type: str
    thing: Json
    before: Json | None


@dataclass
class Cluster:
    """All there is. ``forbidden`` refuses (verb, resource) to everybody; ``not_modelled`` is what was asked in vain.

    ``forces_pulls`` is the admission plugin AlwaysPullImages; ``ignores_limits`` passes over the limit of lists from
    the cache, as old servers do; ``version`` is what the server says it is.
    """

    kubelets: dict[str, Kubelet] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    forbidden: set[tuple[str, str]] = field(default_factory=set)
    ignores_limits: bool = False
    forces_pulls: bool = False
    version: str = "v1.33.1"
    requests: list[tuple[str, str, Query]] = field(default_factory=list)
    impersonations: list[Json] = field(default_factory=list)
    not_modelled: list[str] = field(default_factory=list)
    objects: dict[Key, Json] = field(default_factory=dict)
    pages: dict[str, list[Json]] = field(default_factory=dict)
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=KEPT_CHANGES))
    moved: threading.Condition = field(default_factory=threading.Condition)
    controllers: list[Callable[[Cluster], None]] = field(default_factory=list)
    is_closing: bool = False
    newest: int = 100
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _shown: dict[Key, Json] = field(default_factory=dict)  # as the last change left it: tests write in place
    _entries: int = 0
    _is_settling: bool = False
    _rested_at: float = 0.0
    _rested_with: int = 0

    def __post_init__(self) -> None:
        for name in _NAMESPACES:
            self.add_namespace(name)
        self.add("serviceaccounts", "probe", PROBES)
        self.add("priorityclasses", "conntrack-bot-probe", value=1_000_000_000)

    @property
    def lock(self) -> threading.Condition:
        """Held by whoever reads or writes several things together."""
        return self.moved

    # ---- objects ----------------------------------------------------------------------------------------------------

    def add(self, plural: str, name: str, namespace: str = "", **parts: Any) -> Json:
        """Store an object, as another controller would."""
        meta = {"name": name, "uid": str(uuid.uuid4()), "creationTimestamp": now()}
        if namespace:
            meta["namespace"] = namespace
        resource = BY_PLURAL[plural]
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        thing: Json = {**head, "metadata": meta | parts.pop("metadata", {}), **parts}
        with self.lock:
            if namespace:
                self.add_namespace(namespace)
            self.put(plural, thing)
        return thing

    def put(self, plural: str, thing: Json) -> None:
        """Store an object as it is now, in the place of an older one of its name."""
        with self.lock:
            key = key_of(plural, thing)
            before = self._shown.get(key) if key in self.objects else None
            self.newest += 1
            thing["metadata"]["resourceVersion"] = str(self.newest)
            self.objects[key] = thing
            self._note(plural, "ADDED" if before is None else "MODIFIED", thing, before)

    def remove(self, plural: str, thing: Json) -> None:
        """An object is gone."""
        with self.lock:
            self.newest += 1
            gone = self.objects.pop(key_of(plural, thing), thing)
            gone["metadata"]["resourceVersion"] = str(self.newest)
            self._note(plural, "DELETED", gone, copy.deepcopy(gone))

    def _note(self, plural: str, kind: str, thing: Json, before: Json | None) -> None:
        shown = copy.deepcopy(thing)
        if kind == "DELETED":
            self._shown.pop(key_of(plural, thing), None)
        else:
            self._shown[key_of(plural, thing)] = shown
        self.changes.append(Change(self.newest, plural, kind, shown, before))
        self.moved.notify_all()

    def get(self, plural: str, name: str, namespace: str = "") -> Json | None:
        """An object, live."""
        return self.objects.get((plural, namespace, name))

    def of_kind(self, plural: str, namespace: str | None = None) -> list[Json]:
        """All objects of a kind, in one namespace or in all, in the order of their names."""
        with self.lock:
            self.settle()
            found = [(key, one) for key, one in self.objects.items() if key[0] == plural]
            return [one for key, one in sorted(found, key=lambda pair: pair[0]) if namespace in (None, key[1])]

    def by_uid(self, plural: str, uid: str) -> Json | None:
        """An object by its identity."""
        return next((one for key, one in self.objects.items() if key[0] == plural and uid_of(one) == uid), None)

    # ---- what people build clusters of ------------------------------------------------------------------------------

    def add_namespace(self, name: str) -> None:
        """A namespace with its default account, unless there is one."""
        if ("namespaces", "", name) not in self.objects:
            self.add("namespaces", name, spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
            self.add("serviceaccounts", "default", name)

    def add_node(self, name: str, address: str, kubelet: Kubelet | None = None, *, ready: str = "True") -> Json:
        """A node with a kubelet and a lease."""
        from deploy.local.kubernetes.kubelet import Kubelet  # noqa: PLC0415 - it knows this module

        self.kubelets[name] = kubelet or Kubelet()
        self.add("leases", name, "kube-node-lease", spec={"renewTime": now_exactly()})
        return self.add(
            "nodes",
            name,
            spec={"podCIDR": "10.244.8.0/24", "podCIDRs": ["10.244.8.0/24"], "providerID": "lab://" + name},
            status={
                "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
                "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-02T14:29:00Z"}],
                "nodeInfo": {"bootID": "boot-1", "kubeletVersion": self.version, "kubeProxyVersion": ""},
            },
        )

    def add_pod(self, name: str, node: str, address: str, namespace: str = "shop", **parts: Any) -> Json:
        """A running pod."""
        spec = {"nodeName": node, "containers": [{"name": "main", "image": "main:1"}]} | parts.pop("spec", {})
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready}
        status |= parts.pop("status", {})
        return self.add("pods", name, namespace, spec=spec, status=status, **parts)

    # ---- time -------------------------------------------------------------------------------------------------------

    def later(self, at: float, action: Callable[[], None]) -> None:
        """Let something happen at a time of the monotonic clock."""
        with self.lock:
            self._entries += 1
            heapq.heappush(self._agenda, (at, self._entries, action))
            self.moved.notify_all()

    def settle(self) -> None:
        """Let happen what is due by now, and let the controllers react to it."""
        with self.lock:
            if self._is_settling:
                return
            self._is_settling = True
            try:
                self._settle()
            finally:
                self._is_settling = False

    def _settle(self) -> None:
        while True:
            before = self.newest
            while self._agenda and self._agenda[0][0] <= time.monotonic():
                heapq.heappop(self._agenda)[2]()
            if self._rested_at > time.monotonic() - REST_SECONDS and self._rested_with == before == self.newest:
                return
            for controller in self.controllers:
                controller(self)
            if self.newest == before:
                self._rested_at, self._rested_with = time.monotonic(), before
                return

    def next_due(self) -> float:
        """When something happens next, on the monotonic clock."""
        return self._agenda[0][0] if self._agenda else float("inf")


def key_of(plural: str, thing: Mapping[str, Any]) -> Key:
    """Where an object is stored."""
    meta = thing["metadata"]
    return plural, meta.get("namespace") or "", meta["name"]


def uid_of(thing: Mapping[str, Any]) -> str:
    """An object's identity."""
    return str(thing["metadata"].get("uid") or "")


def now() -> str:
    """The time as the API writes it."""
    return written(time.time())


def now_exactly() -> str:
    """The same with microseconds, as in a lease."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def written(moment: float) -> str:
    """Unix seconds as the API writes them."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
