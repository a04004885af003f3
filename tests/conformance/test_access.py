"""Who may what, and whether the server is well."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping

import pytest

from tests.conformance.servers import (
    PATIENCE_SECONDS,
    Server,
    pod,
)

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
SOMEBODY = {"Impersonate-User": "somebody"}


def test_a_token_that_nobody_has_is_refused(server: Server) -> None:
    if server.trust is not None:
        server = Server(server.address, server.namespace, {}, _nobodys(server.trust))
    said = server.ask("GET", server.of("pods"), headers={"Authorization": "Bearer wrong"})
    assert said.brief == (401, "Unauthorized", "Unauthorized")


def _nobodys(trust: ssl.SSLContext) -> ssl.SSLContext:
    """The same trust without the client's certificate."""
    bare = ssl.create_default_context()
    bare.check_hostname = False
    for authority in trust.get_ca_certs(binary_form=True):
        bare.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(authority))
    return bare


IN_NAMESPACE = 'in the namespace "{ns}"'


@pytest.mark.parametrize(
    ("verb", "path", "named", "wish", "group", "where"),
    [
        ("GET", "/api/v1/nodes", "nodes", ("list", "nodes"), "", "at the cluster scope"),
        ("GET", "/api/v1/nodes/n", 'nodes "n"', ("get", "nodes"), "", "at the cluster scope"),
        ("POST", "{base}/pods", "pods", ("create", "pods"), "", IN_NAMESPACE),
        ("POST", "{base}/pods/p/eviction", 'pods "p"', ("create", "pods/eviction"), "", IN_NAMESPACE),
        ("GET", "{base}/pods/p/log", 'pods "p"', ("get", "pods/log"), "", IN_NAMESPACE),
        (
            "GET",
            "/apis/apps/v1/namespaces/{ns}/replicasets/y",
            'replicasets.apps "y"',
            ("get", "replicasets"),
            "apps",
            IN_NAMESPACE,
        ),
    ],
    ids=["list", "get", "create", "a part", "logs", "in a group"],
)
def test_who_has_no_role_may_nothing(
    server: Server, verb: str, path: str, named: str, wish: tuple[str, str], group: str, where: str
) -> None:
    path = path.format(ns=server.namespace, base=f"/api/v1/namespaces/{server.namespace}")
    said = server.ask(verb, path, {} if verb == "POST" else None, headers=SOMEBODY)
    cannot = f'cannot {wish[0]} resource "{wish[1]}" in API group "{group}" {where.format(ns=server.namespace)}'
    assert said.brief == (403, "Forbidden", f'{named} is forbidden: User "somebody" {cannot}')


@pytest.mark.parametrize(("headers", "allowed"), [({}, True), (SOMEBODY, False)], ids=["an admin", "somebody"])
def test_one_may_ask_what_one_may(server: Server, headers: Mapping[str, str], allowed: bool) -> None:
    body = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "x"}}}
    said = server.ask("POST", REVIEWS, body, headers=headers)
    assert (said.code, said.body["status"]["allowed"]) == (201, allowed)


@pytest.fixture
def reader(server: Server, name: str) -> Mapping[str, str]:
    """Headers of an account that may list pods here, and read one ConfigMap."""
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["mine"]},
    ]
    group = "apis/rbac.authorization.k8s.io/v1"
    server.made("roles", {"metadata": {"name": name}, "rules": rules}, group)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": server.namespace}
    server.made("rolebindings", {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}, group)
    return {"Impersonate-User": f"system:serviceaccount:{server.namespace}:{name}"}


def test_a_role_permits_what_it_names_and_nothing_else(server: Server, reader: Mapping[str, str]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS  # the server learns of a new role by a watch of its own
    while server.ask("GET", server.of("pods"), headers=reader).code != 200:
        assert time.monotonic() < end
    assert server.ask("GET", server.of("configmaps", "mine"), headers=reader).code == 404
    assert server.ask("GET", server.of("configmaps", "yours"), headers=reader).code == 403
    assert server.ask("POST", server.of("pods"), pod("x"), headers=reader).code == 403
    assert server.ask("GET", "/api/v1/pods", headers=reader).code == 403


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/livez"])
def test_the_server_says_that_it_is_well(server: Server, path: str) -> None:
    assert server.ask("GET", path).body == "ok"
