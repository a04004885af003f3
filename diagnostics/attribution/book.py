"""The address book: whose address it is.

Indexed for the addresses that the table names and no others, so that a cluster of 5,000 pods costs milliseconds.
Addresses are compared by value, never by spelling: "::ffff:10.0.0.1", "10.0.0.1" and "FE80::1%eth0" are understood.
It must not know how many entries an address holds.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from diagnostics.model import ClusterView, Known, Owners, Pod, Service, Table, Target, Unknown

MAPPED = b"\0" * 10 + b"\xff\xff"  # RFC 4291 2.5.5.2: an IPv4 address spelled as IPv6


def addresses(table: Table) -> tuple[str, ...]:
    """The addresses whose names are wanted, so that the caller asks the cluster for those and no more."""
    targets = (*table.destinations, *table.backends, *(target for source in table.sources for target in source.targets))
    wanted = dict.fromkeys(source.address for source in table.sources)
    wanted.update(dict.fromkeys(target.address for target in targets))
    return tuple(wanted)


# ---- addresses ------------------------------------------------------------------------------------------------------


def normal(address: str) -> str:
    """One spelling for one address; what is no address stays as it is."""
    packed = _packed(address)
    if not packed:
        return address
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _packed(address: str) -> bytes:
    """The address as 4 or 16 bytes, IPv4 spelled as IPv6 as 4; nothing for what is no address.

    The C library's parser, since ``ipaddress`` would cost 5,000 pods some tens of milliseconds.
    """
    text = address.partition("%")[0]
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, text)
        except (OSError, ValueError):  # ValueError: a NUL, or a character that no encoding has
            continue
        return packed[12:] if len(packed) == 16 and packed.startswith(MAPPED) else packed
    return b""


def is_address(address: str) -> bool:
    """An IP address, in whatever spelling."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _is_local(address: str) -> bool:
    """Loopback, link-local or unspecified: such an address opens connections on its own machine only."""
    try:
        value = ipaddress.ip_address(address)
    except ValueError:
        return False
    return value.is_loopback or value.is_link_local or value.is_unspecified


def _is_within(address: str, cidrs: Iterable[str]) -> bool:
    try:
        value = ipaddress.ip_address(address)
        return any(value in ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)
    except ValueError:
        return False


# ---- the book -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Book:
    """Whose address it is. Indexed for the addresses the table names, and no others."""

    node: str
    now: float
    own: frozenset[str]
    pods: Mapping[str, tuple[Pod, ...]]
    services: Mapping[str, Service]
    nodes: Mapping[str, str]
    pod_cidrs: tuple[str, ...]
    neighbourhoods: frozenset[bytes]
    sharers: tuple[Pod, ...]
    owners: Owners | None
    not_looked_up: str

    @classmethod
    def of(
        cls,
        table: Table,
        cluster: ClusterView | None,
        node_addresses: Iterable[str],
        node: str,
        now: float,
        owners: Owners | None,
    ) -> Book:
        """The book for one table. ``node`` and the rest as ``attribute`` takes them."""
        wanted = frozenset(normal(address) for address in addresses(table))
        kube_node = cluster.node.value if cluster and isinstance(cluster.node, Known) else None
        pods = cluster.pods.value if cluster and isinstance(cluster.pods, Known) else ()
        name = node or (kube_node.name if kube_node else "")
        own = (*node_addresses, *(kube_node.addresses if kube_node else ()))
        return cls(
            node=name,
            now=now,
            own=frozenset(normal(address) for address in own),
            pods=_pods_by_address(pods, wanted),
            services=_services_by_address(cluster, wanted),
            nodes=_nodes_by_address(cluster),
            pod_cidrs=kube_node.pod_cidrs if kube_node else (),
            neighbourhoods=_neighbourhoods(pods, name),
            sharers=tuple(pod for pod in pods if _shares(pod, name)),
            owners=owners,
            not_looked_up=_why_not_looked_up(cluster),
        )

    def is_own(self, address: str) -> bool:
        """Opened on this machine itself: by a process of the node, or by a pod that shares the node's address."""
        return address in self.own or _is_local(address)

    def is_in_pod_range(self, address: str) -> bool:
        """Where this node's pods have their addresses: in its pod CIDRs, or beside a pod.

        Many network plugins leave the node's pod CIDRs empty (those with an address management of their own).
        """
        return _is_within(address, self.pod_cidrs) or _neighbourhood(address) in self.neighbourhoods

    def name(self, target: Target) -> str:
        """Who is called, in words: "Service shop/payments:80", "pod shop/web-1:8080", "outside 203.0.113.7:443"."""
        port = f":{target.port}" if target.port else ""
        kind = "" if target.protocol.lower() == "tcp" else f"/{target.protocol.lower()}"
        return f"{self._who(normal(target.address))}{port}{kind}"

    def _who(self, address: str) -> str:
        spelled = f"[{address}]" if ":" in address else address
        if address in self.services:
            return f"Service {self.services[address].namespace}/{self.services[address].name}"
        if address in self.pods:
            pod = latest_first(self.pods[address])[0]
            return f"pod {pod.namespace}/{pod.name}"
        if self.is_own(address):
            return f"node {self.node}" if self.node else "the node itself"
        if address in self.nodes:
            return f"node {self.nodes[address]}"
        return spelled if self.not_looked_up or self.is_in_pod_range(address) else f"outside {spelled}"


def latest_first(pods: Iterable[Pod]) -> list[Pod]:
    """Pods that had one address in turn: the one that has it now comes first."""
    return sorted(pods, key=lambda pod: (not pod.is_over, pod.started or 0.0, pod.uid), reverse=True)


def _shares(pod: Pod, node: str) -> bool:
    """Whether a pod opens connections from the node's address. The probe that looked is not worth a line."""
    return pod.host_network and not pod.is_over and node in ("", pod.node) and not pod.is_probe


def _pods_by_address(pods: Iterable[Pod], wanted: frozenset[str]) -> Mapping[str, tuple[Pod, ...]]:
    found: dict[str, tuple[Pod, ...]] = {}
    for pod in pods:
        if pod.host_network:  # its address is the node's
            continue
        for address in pod.addresses:
            key = normal(address)
            if key in wanted and pod not in found.get(key, ()):
                found[key] = (*found.get(key, ()), pod)
    return found


def _neighbourhoods(pods: Iterable[Pod], node: str) -> frozenset[bytes]:
    here = (pod for pod in pods if not pod.host_network and pod.node and pod.node == node)
    return frozenset(_neighbourhood(address) for pod in here for address in pod.addresses) - {b""}


def _neighbourhood(address: str) -> bytes:
    """The /24 or /64 around an address, usual sizes for the pods of one node; empty for what is no address."""
    packed = _packed(address)
    return packed[:3] if len(packed) == 4 else packed[:8]


def _services_by_address(cluster: ClusterView | None, wanted: frozenset[str]) -> Mapping[str, Service]:
    services = cluster.services.value if cluster and isinstance(cluster.services, Known) else ()
    named = ((normal(address), service) for service in services for address in service.addresses)
    return {key: service for key, service in named if key in wanted}


def _nodes_by_address(cluster: ClusterView | None) -> Mapping[str, str]:
    nodes = cluster.nodes.value if cluster and isinstance(cluster.nodes, Known) else {}
    return {normal(address): name for address, name in nodes.items()}


def _why_not_looked_up(cluster: ClusterView | None) -> str:
    """Why an address that is in no list may still be a pod's; empty where the list of pods is there."""
    if cluster is None:
        return "no cluster was asked"
    return f"the pods could not be listed: {cluster.pods.why}" if isinstance(cluster.pods, Unknown) else ""
