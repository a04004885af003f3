"""The one door to the Kubernetes API: raw dicts in and out, own errors, a time limit on every call.

Objects stay dicts on purpose: the client's models refuse a whole list for one odd pod, raise after a change has been
made, and are thirty times slower. Nothing that changes is ever repeated here; a read is repeated once. It must not
know what is done with an answer, nor print anything.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diagnostics.cluster import connect
from diagnostics.cluster.faults import plain, refusal
from diagnostics.cluster.objects import mapping, name_of, namespace_of, objects, text, uid_of
from diagnostics.errors import ClusterError, TargetError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3.exceptions import HTTPError

CONNECT_SECONDS = 3.5  # the API server is near; two lost SYNs are survived, which are sent again after 1 s and 3 s
READ_SECONDS = 15.0  # more than the 10 s for which the server itself retries conflicts
LIST_SECONDS = 30.0  # 5,000 pods are some 35 MB
PAGE_ITEMS = 500  # what kubectl asks for
ADDRESSES_ASKED_SINGLY = 12  # beyond that, one list of all pods is cheaper than a question for each

Json = dict[str, Any]
Query = Sequence[tuple[str, str]]

# Names of nodes, namespaces and what we read in them (RFC 1123). What is no such name never reaches the server's path.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_ADDRESS = re.compile(r"[0-9a-fA-F:.]{2,45}")

# From the server's watch cache, whatever its age: no read from etcd. Old servers then ignore the limit.
_FROM_CACHE = ("resourceVersion", "0")


@dataclass(frozen=True, slots=True)
class _Question:
    """One HTTP request. ``what`` says it in a person's words, for the error: "read node a"."""

    what: str
    path: str
    query: Query = ()
    verb: str = "GET"
    body: Json | None = None
    read_seconds: float = READ_SECONDS

    @property
    def changes(self) -> bool:
        return self.verb != "GET" and ("dryRun", "All") not in self.query


class KubeApi:
    """One cluster's API. Safe to use from several threads."""

    def __init__(self, connect_to: Callable[[], connect.Connection]) -> None:
        self._connect = connect_to
        self._connection = connect_to()

    @classmethod
    def from_kubeconfig(cls, path: str | None = None, context: str | None = None) -> KubeApi:
        """The cluster of a kubeconfig's context. Raises ConfigurationError; falls back to nothing else."""
        return cls(lambda: connect.from_kubeconfig(path, context))

    @classmethod
    def in_cluster(cls) -> KubeApi:
        """The cluster this process runs in. Raises ConfigurationError; falls back to nothing else."""
        return cls(connect.in_cluster)

    @property
    def cluster(self) -> str:
        """The cluster's name for people: the kubeconfig's context."""
        return self._connection.cluster

    # ---- nodes ------------------------------------------------------------------------------------------------------

    def node(self, name: str) -> Json:
        """One node. Raises TargetError, with similar names, where the cluster knows no such node."""
        if not _NAME.fullmatch(name):
            raise TargetError(f"`{plain(name)}` cannot be the name of a node: small letters, digits, `-` and `.` can.")
        try:
            return self._get(f"/api/v1/nodes/{name}", f"read node {name}")
        except ClusterError as error:
            if error.kind != "not_found":
                raise
            raise self._no_such_node(name) from error

    def _no_such_node(self, name: str) -> TargetError:
        try:
            names = [name_of(node) for node in self.nodes()]
        except ClusterError:
            names = []
        closest = tuple(difflib.get_close_matches(name, names, n=3, cutoff=0.5))
        hint = f" Did you mean {' or '.join(f'`{one}`' for one in closest)}?" if closest else ""
        return TargetError(f"Cluster {self.cluster} has no node `{name}`.{hint}", closest)

    def nodes(self) -> list[Json]:
        """All nodes, each with its name and its status.addresses and nothing else: images alone are 10 kB a node."""
        return [
            {"metadata": {"name": name_of(node)}, "status": {"addresses": objects(node, "status", "addresses")}}
            for node in self._items("/api/v1/nodes", "list the nodes", [_FROM_CACHE])
        ]

    def node_lease(self, name: str) -> Json:
        """The lease that the node's kubelet renews every ten seconds while it reaches the API server."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{_checked(name)}"
        return self._get(path, f"read the lease of node {name}")

    # ---- pods and those around them ---------------------------------------------------------------------------------

    def pods_on_node(self, name: str) -> list[Json]:
        """The pods bound to a node, terminated ones included. The server has an index for this question."""
        query = [("fieldSelector", f"spec.nodeName={_checked(name)}"), _FROM_CACHE]
        return list(self._items("/api/v1/pods", f"list the pods of node {name}", query))

    def pods_by_address(self, addresses: Sequence[str]) -> Iterator[Json]:
        """The pods of any node that have one of these addresses. Of many addresses, all pods are read once instead."""
        wanted = [address for address in dict.fromkeys(addresses) if _ADDRESS.fullmatch(address)]
        if len(wanted) > ADDRESSES_ASKED_SINGLY:
            yield from (pod for pod in self.all_pods() if not set(wanted).isdisjoint(pod_addresses(pod)))
            return
        for address in wanted:
            query = [("fieldSelector", f"status.podIP={address}"), _FROM_CACHE]
            yield from self._items("/api/v1/pods", f"find the pod with address {address}", query)

    def all_pods(self) -> Iterator[Json]:
        """Every pod, a page at a time: whoever iterates keeps what is needed and lets the rest go."""
        return self._items("/api/v1/pods", "list all pods", [_FROM_CACHE])

    def pod(self, namespace: str, name: str) -> Json:
        """One pod, as it is now."""
        return self._get(_pod_path(namespace, name), f"read pod {namespace}/{name}")

    def pods_named(self, name: str) -> list[Json]:
        """The pods of this name, in whatever namespace."""
        query = [("fieldSelector", f"metadata.name={_checked(name)}"), _FROM_CACHE]
        return list(self._items("/api/v1/pods", f"find pod {name}", query))

    def services(self) -> list[Json]:
        """All Services."""
        return list(self._items("/api/v1/services", "list the Services", [_FROM_CACHE]))

    def api_service(self) -> Json:
        """The Service default/kubernetes: where pods reach the API server."""
        return self._get("/api/v1/namespaces/default/services/kubernetes", "read the API Service")

    def api_endpoints(self) -> Json:
        """The Endpoints of the Service default/kubernetes: where the API server really listens."""
        return self._get("/api/v1/namespaces/default/endpoints/kubernetes", "read the API Service's endpoints")

    def replicaset(self, namespace: str, name: str) -> Json:
        """One ReplicaSet, for its owner."""
        path = f"/apis/apps/v1/namespaces/{_checked(namespace)}/replicasets/{_checked(name)}"
        return self._get(path, f"read ReplicaSet {namespace}/{name}")

    def job(self, namespace: str, name: str) -> Json:
        """One Job, for its owner."""
        path = f"/apis/batch/v1/namespaces/{_checked(namespace)}/jobs/{_checked(name)}"
        return self._get(path, f"read Job {namespace}/{name}")

    def config_map(self, namespace: str, name: str) -> Json:
        """One ConfigMap. The bot's own role does not include it; an operator's often does."""
        path = f"/api/v1/namespaces/{_checked(namespace)}/configmaps/{_checked(name)}"
        return self._get(path, f"read ConfigMap {namespace}/{name}")

    def events_for(self, pod: Json) -> list[Json]:
        """The events about one pod."""
        namespace, name = namespace_of(pod), name_of(pod)
        query = [("fieldSelector", f"involvedObject.uid={uid_of(pod)}")]
        path = f"/api/v1/namespaces/{_checked(namespace)}/events"
        return list(self._items(path, f"list the events of pod {namespace}/{name}", query))

    # ---- debug pods -------------------------------------------------------------------------------------------------

    def create_pod(self, namespace: str, body: Json, *, dry_run: bool = False) -> Json:
        """Create a pod. With ``dry_run`` all admission is asked and nothing is kept."""
        query = (("dryRun", "All"),) if dry_run else ()
        path = f"/api/v1/namespaces/{_checked(namespace)}/pods"
        return self._ask(_Question(f"create a pod in namespace {namespace}", path, query, "POST", body))

    def delete_pod(self, namespace: str, name: str, uid: str | None) -> None:
        """Delete a pod at once; that it is gone already is fine, that another has its name is not (conflict)."""
        body: Json = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            what = f"delete pod {namespace}/{name}"
            self._ask(_Question(what, _pod_path(namespace, name), verb="DELETE", body=body))
        except ClusterError as error:
            if error.kind != "not_found":
                raise

    def list_probe_pods(self, namespace: str, label_selector: str) -> list[Json]:
        """The pods of a namespace that bear these labels."""
        path = f"/api/v1/namespaces/{_checked(namespace)}/pods"
        return list(self._items(path, f"list the pods of namespace {namespace}", [("labelSelector", label_selector)]))

    # ---- one request ------------------------------------------------------------------------------------------------

    def _items(self, path: str, what: str, query: Query) -> Iterator[Json]:
        """The items of a list, page after page. What is no object is passed over: ``items`` may be null."""
        limit = ("limit", str(PAGE_ITEMS))
        page = self._read(_Question(what, path, (*query, limit), read_seconds=LIST_SECONDS))
        while True:
            yield from (dict(item) for item in objects(page, "items"))
            rest = mapping(page, "metadata").get("continue")
            if not rest:
                return
            # A continuation holds its own resourceVersion, and the server refuses another one beside it.
            following = (*(pair for pair in query if pair != _FROM_CACHE), limit, ("continue", str(rest)))
            page = self._read(_Question(what, path, following, read_seconds=LIST_SECONDS))

    def _get(self, path: str, what: str) -> Json:
        return self._read(_Question(what, path))

    def _read(self, question: _Question) -> Json:
        try:
            return self._ask(question)
        except ClusterError as error:
            # A kept connection may have died in silence, and a replica of the server may just have gone: once more.
            if error.kind not in ("unreachable", "overloaded"):
                raise
            return self._ask(question)

    def _ask(self, question: _Question) -> Json:
        """One answer. On 401 the credentials are read anew, once: the server has done nothing, so that is safe."""
        status, raw = _send(self._connection.client, question)
        if status == 401:
            self._connection = self._connect()
            status, raw = _send(self._connection.client, question)
        if not 200 <= status <= 299:
            raise refusal(status, raw, question.what, changes=question.changes)
        try:
            reply = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise _garbled(question) from error
        if not isinstance(reply, dict):
            raise _garbled(question)
        return reply


def pod_addresses(pod: Mapping[str, Any]) -> list[str]:
    """A pod's addresses, both families."""
    status = mapping(pod, "status")
    listed = [text(one.get("ip")) for one in objects(status, "podIPs")]
    return [address for address in dict.fromkeys([text(status.get("podIP")), *listed]) if address]


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ClusterError(f"`{plain(name)}` cannot be the name of anything in Kubernetes.", kind="invalid")
    return name


def _pod_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{_checked(namespace)}/pods/{_checked(name)}"


def _send(client: ApiClient, question: _Question) -> tuple[int, bytes]:
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415 - loaded with the client
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - the same

    try:
        request = client.param_serialize(
            question.verb,
            question.path,
            query_params=list(question.query),
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=question.body,
            auth_settings=["BearerToken"],
        )
        response = client.call_api(*request, _request_timeout=(CONNECT_SECONDS, question.read_seconds))
        return response.status, response.read() or b""  # type: ignore[no-untyped-call]  # the client has no types here
    except HTTPError as error:
        raise _broken(error, question) from error
    except ConfigException as error:  # a login helper or a token file failed while the token was renewed
        raise ClusterError(
            f"Could not {question.what}: the credentials could not be renewed ({plain(error)}). Log in again.",
            kind="unauthorized",
        ) from error
    except OSError as error:
        raise ClusterError(
            f"Could not {question.what}: {plain(error)}. Check the certificates that the kubeconfig names.",
            kind="unreachable",
        ) from error


def _garbled(question: _Question) -> ClusterError:
    if question.changes:
        return ClusterError(
            f"The answer to the request to {question.what} is no JSON: it may have been done.", kind="ambiguous"
        )
    return ClusterError(
        f"Could not {question.what}: the answer is no JSON. Is a proxy or a login page in front of the API server?",
        kind="server",
    )


def _broken(error: HTTPError, question: _Question) -> ClusterError:
    """A request that got no answer: did it reach the server? That decides between a new try and a look at the state."""
    from urllib3 import exceptions as urllib3  # noqa: PLC0415 - loaded with the client

    what, why = question.what, plain(getattr(error, "reason", None) or error)
    if isinstance(error, urllib3.SSLError):
        return ClusterError(
            f"Could not {what}: no trusted connection to the API server ({why}). Check its certificate and address.",
            kind="unreachable",
        )
    unsent = (urllib3.NewConnectionError, urllib3.ConnectTimeoutError, urllib3.ProxyError, urllib3.LocationValueError)
    if isinstance(error, unsent):
        return ClusterError(
            f"Could not {what}: the API server cannot be reached ({why}). Check VPN, proxy and its address.",
            kind="unreachable",
        )
    if question.changes:
        return ClusterError(
            f"The connection broke after the request to {what} was sent ({why}): it may have been done.",
            kind="ambiguous",
        )
    if isinstance(error, urllib3.ReadTimeoutError):
        return ClusterError(f"Could not {what}: the API server did not answer in time.", kind="timeout")
    return ClusterError(f"Could not {what}: the connection to the API server broke ({why}).", kind="unreachable")
