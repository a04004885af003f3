"""What the API says about a node, as the values of ``model``: a ClusterView whose failed parts are Unknown.

Objects come from foreign hands: every field may be null, missing or of another kind, and one odd pod must not cost the
others. It must not know how requests are made, nor judge what it sees.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from diagnostics.cluster import proxies
from diagnostics.cluster.api import Json, KubeApi, pod_addresses
from diagnostics.cluster.objects import label, mapping, name_of, namespace_of, objects, seconds, text, texts, uid_of
from diagnostics.cluster.owners import confirmed_owner, named_owner
from diagnostics.errors import ClusterError
from diagnostics.model import ClusterView, Known, KubeNode, Pod, Reading, Service, Unknown, Workload

T = TypeVar("T")

OWNERS_CONFIRMED = 8  # the pods whose owners are looked up; the others' follow from their names
RESTARTS_WITHIN_SECONDS = 3600.0


def view(api: KubeApi, node: str, addresses: Sequence[str] = ()) -> ClusterView:
    """What the API says about ``node``, and about the pods elsewhere with one of ``addresses``.

    The addresses come in order of importance: the owners of the first few are looked up, the others' follow from names.
    Raises TargetError where the cluster knows no such node; every other failure is an Unknown in the view.
    """
    with ThreadPoolExecutor(max_workers=5, thread_name_prefix="cluster-view") as threads:
        asked_node = threads.submit(_node, api, node)
        asked_pods = threads.submit(api.pods_on_node, node)
        asked_services = threads.submit(api.services)
        asked_nodes = threads.submit(lambda: _node_addresses(api.nodes()))
        local, services, nodes = _reading(asked_pods), _reading(asked_services), _reading(asked_nodes)
        remote = _remote_pods(api, local, services, nodes, addresses)
        here = local.value if isinstance(local, Known) else []
        return ClusterView(
            cluster=api.cluster,
            node=_with_proxy_version(_reading(asked_node), here),
            pods=_pods(api, local, remote, addresses, threads),
            services=Known(tuple(map(service_of, services.value))) if isinstance(services, Known) else services,
            nodes=nodes,
            proxy=proxies.mode(api, here) if isinstance(local, Known) else local,
            proxy_image=proxies.image(here),
            dns_addresses=dns_addresses(services.value) if isinstance(services, Known) else (),
            restarts=restarts(here, time.time()) if isinstance(local, Known) else None,
        )


def _reading(asked: Future[T]) -> Reading[T]:
    try:
        return Known(asked.result())
    except ClusterError as error:
        return Unknown(str(error))


# ---- pods -----------------------------------------------------------------------------------------------------------


def pod_of(raw: Mapping[str, Any], owner: Workload | None = None) -> Pod:
    """A pod object as attribution needs it; its owner as its name tells, where none is given."""
    meta, spec, status = mapping(raw, "metadata"), mapping(raw, "spec"), mapping(raw, "status")
    phase = text(status.get("phase")) or "Unknown"
    return Pod(
        namespace=text(meta.get("namespace")),
        name=text(meta.get("name")),
        uid=text(meta.get("uid")),
        node=text(spec.get("nodeName")),
        phase=phase,
        host_network=spec.get("hostNetwork") is True,
        addresses=tuple(pod_addresses(raw)),
        owner=owner or named_owner(raw),
        started=seconds(status.get("startTime")),
        finished=_finished(status) if phase in ("Succeeded", "Failed") else None,
        labels={key: text(value) for key, value in mapping(meta, "labels").items()},
    )


def _finished(status: Mapping[str, Any]) -> float | None:
    ends = [seconds(mapping(one, "state", "terminated").get("finishedAt")) for one in _containers(status)]
    return max((end for end in ends if end is not None), default=None)


def _containers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return objects(status, "initContainerStatuses") + objects(status, "containerStatuses")


def restarts(pods: Iterable[Mapping[str, Any]], now: float) -> int:
    """Containers whose last end lies within the last hour. The API keeps the last end only, so it is at least that."""
    ends = (
        seconds(mapping(container, "lastState", "terminated").get("finishedAt"))
        for pod in pods
        for container in _containers(mapping(pod, "status"))
    )
    return sum(1 for end in ends if end is not None and now - end <= RESTARTS_WITHIN_SECONDS)


def _remote_pods(
    api: KubeApi,
    local: Reading[list[Json]],
    services: Reading[list[Json]],
    nodes: Reading[Mapping[str, str]],
    addresses: Sequence[str],
) -> Reading[list[Json]]:
    """The pods elsewhere that the table named: asked only for addresses that nothing else explains."""
    explained: set[str] = set(nodes.value) if isinstance(nodes, Known) else set()
    for pod in local.value if isinstance(local, Known) else ():
        explained.update(pod_addresses(pod))
    for service in services.value if isinstance(services, Known) else ():
        explained.update(service_of(service).addresses)
    try:
        return Known(list(api.pods_by_address([one for one in addresses if one not in explained])))
    except ClusterError as error:
        return Unknown(str(error))


def _pods(
    api: KubeApi,
    local: Reading[list[Json]],
    remote: Reading[list[Json]],
    addresses: Sequence[str],
    threads: ThreadPoolExecutor,
) -> Reading[tuple[Pod, ...]]:
    """Pods of the node and those elsewhere. Where only the pods elsewhere could not be read, the node's remain."""
    if isinstance(local, Unknown):
        return local
    distinct = {uid_of(raw): raw for raw in [*(remote.value if isinstance(remote, Known) else ()), *local.value]}
    important = _important(distinct.values(), addresses)
    found = threads.map(lambda raw: confirmed_owner(api, raw), important)
    owners = {uid_of(raw): owner for raw, owner in zip(important, found, strict=True)}
    return Known(tuple(pod_of(raw, owners.get(uid)) for uid, raw in distinct.items()))


def _important(raws: Iterable[Json], addresses: Sequence[str]) -> list[Json]:
    """The pods that the first of the addresses belong to. Pods with the node's address are too many to be meant."""
    of_address = {
        address: raw
        for raw in raws
        if mapping(raw, "spec").get("hostNetwork") is not True
        for address in pod_addresses(raw)
    }
    return [of_address[address] for address in addresses if address in of_address][:OWNERS_CONFIRMED]


# ---- Services -------------------------------------------------------------------------------------------------------


def service_of(raw: Mapping[str, Any]) -> Service:
    """A Service with every address it answers on. A headless one has none: its names lead to the pods themselves."""
    spec = mapping(raw, "spec")
    ingress = objects(raw, "status", "loadBalancer", "ingress")
    addresses = [
        text(spec.get("clusterIP")),
        *texts(spec, "clusterIPs"),
        *texts(spec, "externalIPs"),
        *(text(one.get("ip")) for one in ingress),
    ]
    ports = [(one.get("port"), text(one.get("name"))) for one in objects(spec, "ports")]
    return Service(
        namespace=namespace_of(raw),
        name=name_of(raw),
        addresses=tuple(one for one in dict.fromkeys(addresses) if one and one != "None"),
        ports=tuple((port, name) for port, name in ports if isinstance(port, int)),
        kind=text(spec.get("type")) or "ClusterIP",
    )


def dns_addresses(raws: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The addresses of the cluster's name service, by name, by label, or by a port 53/UDP that is called dns."""
    found = (address for raw in raws if _is_dns(raw) for address in service_of(raw).addresses)
    return tuple(dict.fromkeys(found))


def _is_dns(raw: Mapping[str, Any]) -> bool:
    if label(raw, "k8s-app") == "kube-dns":
        return True
    if namespace_of(raw) == "kube-system" and name_of(raw) in ("kube-dns", "coredns"):
        return True
    return any(
        port.get("port") == 53 and port.get("protocol") == "UDP" and text(port.get("name")).startswith("dns")
        for port in objects(raw, "spec", "ports")
    )


# ---- nodes ----------------------------------------------------------------------------------------------------------


def node_of(raw: Mapping[str, Any], last_heartbeat: float | None) -> KubeNode:
    """A node object: who it is, how it is, what it runs."""
    spec, status, runs = mapping(raw, "spec"), mapping(raw, "status"), mapping(raw, "status", "nodeInfo")
    return KubeNode(
        name=name_of(raw),
        uid=uid_of(raw),
        boot_id=text(runs.get("bootID")),
        addresses=_addresses(raw),
        pod_cidrs=tuple(texts(spec, "podCIDRs")) or tuple(filter(None, [text(spec.get("podCIDR"))])),
        conditions={text(one.get("type")): text(one.get("status")) for one in objects(status, "conditions")},
        unschedulable=spec.get("unschedulable") is True,
        kubelet_version=text(runs.get("kubeletVersion")),
        kube_proxy_version=text(runs.get("kubeProxyVersion")),
        os_image=text(runs.get("osImage")),
        runtime=text(runs.get("containerRuntimeVersion")),
        provider=text(spec.get("providerID")),
        labels={key: text(value) for key, value in mapping(raw, "metadata", "labels").items()},
        last_heartbeat=last_heartbeat,
    )


def _node(api: KubeApi, name: str) -> KubeNode:
    raw = api.node(name)
    try:
        renewed = seconds(mapping(api.node_lease(name), "spec").get("renewTime"))
    except ClusterError:  # no right to leases: the node's own condition is renewed every five minutes at least
        ready = [one for one in objects(raw, "status", "conditions") if one.get("type") == "Ready"]
        renewed = seconds(ready[0].get("lastHeartbeatTime")) if ready else None
    return node_of(raw, renewed)


def _with_proxy_version(node: Reading[KubeNode], pods: Sequence[Mapping[str, Any]]) -> Reading[KubeNode]:
    """The tag of the image that runs is surer than the node's field, which newer kubelets leave empty or wrong."""
    running = proxies.version(proxies.image(pods))
    return Known(replace(node.value, kube_proxy_version=running)) if isinstance(node, Known) and running else node


def _addresses(raw: Mapping[str, Any]) -> tuple[str, ...]:
    listed = objects(raw, "status", "addresses")
    return tuple(text(one.get("address")) for one in listed if text(one.get("type")).endswith("IP"))


def _node_addresses(raws: Iterable[Mapping[str, Any]]) -> Mapping[str, str]:
    return {address: name_of(raw) for raw in raws for address in _addresses(raw)}
