"""Two servers to hold to the same claims, the small Kubernetes API and the real one; and what is sent to them."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from deploy.local.kubernetes import Cluster, Kubelet, Run, controllers, serving
from deploy.local.kubernetes.access import ADMIN_TOKEN
from tests.cluster.lab import KUBECONFIG, NODE

Json = dict[str, Any]

IMAGE = os.environ.get("CONFORMANCE_IMAGE", "localhost/base:1")
PATIENCE_SECONDS = 30.0
MERGE, STRATEGIC, OPERATIONS = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
)


@dataclass(frozen=True)
class Said:
    """An answer."""

    code: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def brief(self) -> tuple[int, str, str]:
        """Code, reason and message of a refusal."""
        return self.code, self.body.get("reason", ""), self.body["message"]


@dataclass(frozen=True)
class Server:
    """One of the two servers, and the namespace to work in."""

    address: str
    namespace: str
    headers: Mapping[str, str]
    trust: ssl.SSLContext | None = None

    def ask(
        self,
        verb: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        with self.opened(verb, path, body, kind, headers) as said:
            raw = said.read()
            is_json = raw[:1] in (b"{", b"[") and "json" in (said.getheader("Content-Type") or "")
            return Said(said.status, json.loads(raw) if is_json else raw.decode(), dict(said.getheaders()))

    @contextmanager
    def opened(
        self,
        verb: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        host = urlsplit(self.address)
        connection = (
            http.client.HTTPSConnection(host.hostname or "", host.port, timeout=60, context=self.trust)
            if self.trust
            else http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
        )
        sent = {"Content-Type": kind, "Accept": "application/json"} | dict(self.headers) | dict(headers or {})
        with closing(connection):
            connection.request(verb, path, json.dumps(body) if body is not None else None, sent)
            with connection.getresponse() as said:
                yield said

    def of(self, plural: str, name: str = "", part: str = "", group: str = "api/v1") -> str:
        """A path in the namespace."""
        return "/".join(filter(None, (f"/{group}/namespaces/{self.namespace}", plural, name, part)))

    def made(self, plural: str, body: Json, group: str = "api/v1") -> Json:
        said = self.ask("POST", self.of(plural, group=group), body)
        assert said.code == 201, said
        thing: Json = said.body
        return thing

    def until(self, path: str, is_so: Callable[[Said], bool]) -> Said:
        """Ask until it is so."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not is_so(said := self.ask("GET", path)):
            assert time.monotonic() < end, f"{path} is still {said}"
            time.sleep(0.05)
        return said


# ---- the two servers ------------------------------------------------------------------------------------------------

SCRIPTS = {
    "first": ("printf A > /dev/termination-log", Run("A", 0.3)),
    "second": ("sleep 1; printf B > /dev/termination-log", Run("B", 0.5)),
    "fails": ("printf why > /dev/termination-log; exit 3", Run("why", exit_code=3)),
    "long": ("printf '%01000d%04096d' 0 1 > /dev/termination-log", Run("0" * 1000 + "0" * 4095 + "1")),
    "quarter-0": ("printf '%04096d' 1 > /dev/termination-log", Run("0" * 4095 + "1")),
    "quarter-1": ("printf '%04096d' 1 > /dev/termination-log", Run("0" * 4095 + "1")),
    "quarter-2": ("printf '%04096d' 1 > /dev/termination-log", Run("0" * 4095 + "1")),
    "quarter-3": ("printf '%04096d' 1 > /dev/termination-log", Run("0" * 4095 + "1")),
    "stays": ("sleep 600", None),
}


@contextmanager
def local() -> Iterator[Server]:
    cluster = Cluster(version="v1.20.2", controllers=list(controllers.ALL))
    runs = {name: run for name, (_, run) in SCRIPTS.items() if run is not None}
    cluster.add_node(NODE, "10.90.0.8", Kubelet(runs, acknowledges_after_seconds=0.05, images=frozenset({IMAGE})))
    with serving(cluster) as address:
        yield Server(address, "conformance", {"Authorization": f"Bearer {ADMIN_TOKEN}"})
        assert not [one for one in cluster.not_modelled if "nothing" not in one], "the suite asked in vain"


@contextmanager
def real(folder: Path) -> Iterator[Server]:
    config = yaml.safe_load(Path(KUBECONFIG).read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    trust.check_hostname = False  # the lab's certificate is for other names than its loopback address
    if "client-certificate-data" in user:
        for name in ("client-certificate", "client-key"):
            (folder / name).write_bytes(base64.b64decode(user[f"{name}-data"]))
        trust.load_cert_chain(folder / "client-certificate", folder / "client-key")
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    yield Server(cluster["server"], f"conformance-{secrets.token_hex(3)}", headers, trust)


# ---- what is sent --------------------------------------------------------------------------------------------------


def config_map(name: str, **parts: Any) -> Json:
    return {"metadata": {"name": name, "labels": {"app": name}}, "data": {"k": "v"}} | parts


def container(name: str, **parts: Any) -> Json:
    script = SCRIPTS[name][0]
    return {"name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script]} | parts


def pod(name: str, *containers: Json, inits: tuple[Json, ...] = (), **spec: Any) -> Json:
    spec = {
        "nodeName": NODE,
        "hostNetwork": True,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "initContainers": list(inits),
        "containers": list(containers) or [container("stays")],
    } | spec
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def phase(wanted: str) -> Callable[[Said], bool]:
    return lambda said: said.code == 200 and said.body["status"].get("phase") == wanted


def running(server: Server, name: str) -> Json:
    """A pod that runs and is ready."""
    server.made("pods", pod(name))
    return dict(server.until(server.of("pods", name), is_ready).body)


def is_ready(said: Said) -> bool:
    conditions = said.body["status"].get("conditions", []) if said.code == 200 else []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
