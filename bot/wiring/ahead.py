"""What only the Kubernetes API knows, asked beside the look and never waited for long.

Where the API is reached from a node, which node a host is; and debug pods that were left over are swept. It must not
know what is found on the node. A silent API must neither delay the look nor the program's end, so all of it happens in
a daemon thread.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field, replace
from typing import Any

from diagnostics.cluster import KubeApi
from diagnostics.cluster.objects import mapping, name_of, objects, text
from diagnostics.errors import ClusterError, ConfigurationError
from diagnostics.transport import Order
from diagnostics.transport.pod import sweep
from diagnostics.transport.pod_spec import PodSettings

PATIENCE_SECONDS = 3.0  # a look without new connections is better than one that waits longer for a silent API
API_SERVICE, API_SERVER = "the API Service", "the API server"

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ApiPlaces:
    """Where the API is reached from a node: at its Service, and at the server behind it. None: not known."""

    service: Place | None = None
    server: Place | None = None

    def completed(self, order: Order) -> Order:
        """The order with what it leaves open: where to open new connections, and whom to ping.

        New connections go to the Service, as a pod's do. The ping goes to the server behind it: a Service's address
        answers none under kube-proxy's iptables mode, nor under IPVS since 1.27 (kubernetes#47156, website#41002).
        """
        if order.connect is None and (self.service or self.server):
            what = API_SERVICE if self.service else API_SERVER
            order = replace(order, connect=self.service or self.server, connect_what=what)
        if order.ping is None and self.server:
            order = replace(order, ping=self.server[0], ping_what=API_SERVER)
        return order


@dataclass(frozen=True, slots=True)
class _Answers:
    """What was learnt about the cluster. ``node`` is the name of the node that the host is, "" where it is none."""

    api: KubeApi
    cluster: str
    places: ApiPlaces
    node: str


@dataclass
class Ahead:
    """Asks one cluster. ``host`` is an address or a name that may be one of its nodes."""

    open_cluster: Callable[[], tuple[str, KubeApi]]
    host: str = ""
    swept: PodSettings | None = None
    _answers: Future[_Answers | None] = field(default_factory=Future)
    _until: float = 0.0

    def start(self) -> None:
        """Ask, and go on."""
        self._until = time.monotonic() + PATIENCE_SECONDS
        threading.Thread(target=self._ask, name="ahead", daemon=True).start()

    def answers(self) -> _Answers | None:
        """What was learnt; None where the cluster could not be asked, or not in time."""
        try:
            return self._answers.result(timeout=max(0.0, self._until - time.monotonic()))
        except FutureTimeoutError:
            return None

    def completed(self, order: Order) -> Order:
        """The order with what is known about the API."""
        known = self.answers()
        return order if known is None else known.places.completed(order)

    def _ask(self) -> None:
        try:
            cluster, api = self.open_cluster()
            node = node_of(self.host, api.nodes()) if self.host else ""
            self._answers.set_result(_Answers(api, cluster, places(api), node))
        except (ClusterError, ConfigurationError):  # the rungs meet the same error, and say it
            self._answers.set_result(None)
            return
        if self.swept is None:
            return
        try:
            sweep(api, self.swept)
        except ClusterError:
            return  # leftovers end by themselves (activeDeadlineSeconds); the next look sweeps again


def node_of(host: str, nodes: list[dict[str, Any]]) -> str:
    """The name of the node that has this name or address; "" where none has."""
    for node in nodes:
        named = [name_of(node), *(text(one.get("address")) for one in objects(node, "status", "addresses"))]
        if _normal(host) in map(_normal, named):
            return name_of(node)
    return ""


def _normal(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


def places(api: KubeApi) -> ApiPlaces:
    """Where the API is reached. What may not be read is not known; raises ClusterError where the API is not there."""
    return ApiPlaces(_read(api.api_service, service_place), _read(api.api_endpoints, server_place))


def _read(ask: Callable[[], Mapping[str, Any]], find: Callable[[Any], Place | None]) -> Place | None:
    try:
        return find(ask())
    except ClusterError as error:
        if error.kind in ("forbidden", "not_found"):
            return None
        raise


def service_place(service: Any) -> Place | None:
    """The first address and port of a Service."""
    address = text(mapping(service, "spec").get("clusterIP"))
    ports = [port for one in objects(service, "spec", "ports") if (port := _port(one))]
    return (address, ports[0]) if _is_address(address) and ports else None


def server_place(endpoints: Any) -> Place | None:
    """The first address and port of Endpoints."""
    for subset in objects(endpoints, "subsets"):
        for address, port in zip(objects(subset, "addresses"), objects(subset, "ports"), strict=False):
            if _is_address(text(address.get("ip"))) and _port(port):
                return text(address.get("ip")), _port(port)
    return None


def _is_address(found: str) -> bool:
    """Neither empty nor "None", as a headless Service's is."""
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return False
    return True


def _port(listed: Mapping[str, Any]) -> int:
    """The number of a listed port; 0 for what is none."""
    found = listed.get("port")
    return found if isinstance(found, int) and 0 < found < 65536 else 0
