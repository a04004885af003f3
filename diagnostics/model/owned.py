"""What the cluster knows, and whose the table's entries are by that."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from diagnostics.model.readings import Reading
from diagnostics.model.seen import Source, Target


@dataclass(frozen=True, slots=True)
class Workload:
    """The top of a pod's owner chain, such as Deployment checkout."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as attribution needs it. Times are Unix seconds; ``phase`` as in the API."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    host_network: bool
    addresses: tuple[str, ...]
    owner: Workload | None = None
    started: float | None = None
    finished: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Succeeded or Failed: it opens nothing any more, but its entries linger."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_probe(self) -> bool:
        """One of this project's own debug pods: it looks, and is not part of what is looked at."""
        return self.labels.get("conntrack-bot/kind") == "probe"


@dataclass(frozen=True, slots=True)
class Service:
    """A Service with the addresses it answers on, and (port number, port name) pairs."""

    namespace: str
    name: str
    addresses: tuple[str, ...]
    ports: tuple[tuple[int, str], ...] = ()
    kind: str = "ClusterIP"


@dataclass(frozen=True, slots=True)
class KubeNode:
    """A node object: identity, health and what it runs. ``conditions`` maps type to status."""

    name: str
    uid: str
    boot_id: str
    addresses: tuple[str, ...]
    pod_cidrs: tuple[str, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)
    unschedulable: bool = False
    kubelet_version: str = ""
    kube_proxy_version: str = ""
    os_image: str = ""
    runtime: str = ""
    provider: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    last_heartbeat: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What the API says about a node and those who talk on it. Missing parts are Unknown, never empty.

    ``pods`` are the pods of this node, and those of other nodes whose addresses the table named. ``proxy`` is how
    Services are implemented here: "iptables", "ipvs", "nftables", "cilium", … ``restarts`` counts container restarts
    on the node in the last hour.
    """

    cluster: str
    node: Reading[KubeNode]
    pods: Reading[tuple[Pod, ...]]
    services: Reading[tuple[Service, ...]]
    nodes: Reading[Mapping[str, str]]
    proxy: Reading[str]
    proxy_image: str = ""
    dns_addresses: tuple[str, ...] = ()
    restarts: int | None = None


class SuspectKind(enum.StrEnum):
    """Who may hold entries."""

    POD = "pod"
    NODE = "node"
    SERVICE = "service"
    EXTERNAL = "external"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Suspect:
    """Who holds which part of the table.

    ``share`` is out of all entries, with its interval at 95 % (``share_low``, ``share_high``); ``entries`` is the share
    times the table's entries, rounded. ``note`` says what a reader must know: shares the node's address, already
    terminated, address reused.
    """

    kind: SuspectKind
    share: float
    share_low: float
    share_high: float
    entries: int
    address: str = ""
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    node: str = ""
    owner: str = ""
    label: str = ""
    note: str = ""
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """A destination or backend with the name the cluster gives it ("Service shop/payments:80"), and its share."""

    target: Target
    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """The table's entries, given to their owners. The suspects' shares sum to 1."""

    suspects: tuple[Suspect, ...]
    destinations: tuple[NamedTarget, ...]
    backends: tuple[NamedTarget, ...]
    sampled: bool
