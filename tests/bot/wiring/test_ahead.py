from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.wiring import ahead
from bot.wiring.ahead import Ahead, ApiPlaces, node_of, server_place, service_place
from deploy.local.kubernetes import Cluster, Fault, kubeconfig, serving
from diagnostics.cluster import KubeApi
from diagnostics.errors import ConfigurationError
from diagnostics.transport import Order
from diagnostics.transport.pod_spec import LABELS, PodSettings

SERVICE = {"spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}}
ENDPOINTS = {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 6443}]}]}
PLACES = ApiPlaces(("10.96.0.1", 443), ("10.0.0.1", 6443))


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.add_node("node-8", "10.90.0.8")
    cluster.add("services", "kubernetes", "default", **SERVICE)
    cluster.add("endpoints", "kubernetes", "default", **ENDPOINTS)
    return cluster


@pytest.fixture
def api(cluster: Cluster, tmp_path: Path) -> Iterator[KubeApi]:
    with serving(cluster) as address:
        yield KubeApi.from_kubeconfig(kubeconfig(tmp_path, address))


def asked(api: KubeApi, **more: Any) -> Ahead:
    question = Ahead(lambda: ("lab", api), **more)
    question.start()
    return question


def test_new_connections_go_to_the_service_and_the_ping_to_the_server_behind_it(api: KubeApi) -> None:
    order = asked(api).completed(Order())
    assert (order.connect, order.connect_what) == (("10.96.0.1", 443), "the API Service")
    assert (order.ping, order.ping_what) == ("10.0.0.1", "the API server")


def test_what_was_set_stays(api: KubeApi) -> None:
    order = asked(api).completed(Order(connect=("192.0.2.1", 80), connect_what="ours", ping="192.0.2.2"))
    assert (order.connect, order.connect_what, order.ping) == (("192.0.2.1", 80), "ours", "192.0.2.2")


@pytest.mark.parametrize(
    ("forbidden", "connect", "what", "ping"),
    [
        pytest.param("services", ("10.0.0.1", 6443), "the API server", "10.0.0.1", id="the Service"),
        pytest.param("endpoints", ("10.96.0.1", 443), "the API Service", None, id="the endpoints"),
    ],
)
def test_what_may_not_be_read_is_done_without(
    cluster: Cluster, api: KubeApi, forbidden: str, connect: tuple[str, int], what: str, ping: str | None
) -> None:
    cluster.forbidden.add(("get", forbidden))
    order = asked(api).completed(Order())
    assert (order.connect, order.connect_what, order.ping) == (connect, what, ping)


def test_a_silent_api_is_waited_for_once_and_not_for_long(
    cluster: Cluster, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "PATIENCE_SECONDS", 0.3)
    cluster.faults.append(Fault("GET", "kubernetes", delay_seconds=2.0))
    question, began = asked(api), time.monotonic()
    assert question.completed(Order()) == Order()
    assert question.completed(Order()) == Order()
    assert time.monotonic() - began < 1.0


def test_a_cluster_that_cannot_be_opened_leaves_the_order_as_it_is() -> None:
    def none() -> tuple[str, KubeApi]:
        raise ConfigurationError("There is no kubeconfig.")

    question = Ahead(none, host="10.90.0.8")
    question.start()
    assert question.completed(Order()) == Order()


def test_debug_pods_that_were_left_over_are_swept(cluster: Cluster, api: KubeApi) -> None:
    old = {"labels": LABELS, "creationTimestamp": "2026-01-02T03:04:05Z"}
    cluster.add_pod("left", "node-8", "10.90.0.8", "probes", metadata=old)
    asked(api, swept=PodSettings(image="main:1", namespace="probes")).completed(Order())
    end = time.monotonic() + 5
    while cluster.of_kind("pods") and time.monotonic() < end:
        time.sleep(0.01)
    assert cluster.of_kind("pods") == []


@pytest.mark.parametrize(
    ("endpoints", "place"),
    [
        pytest.param(ENDPOINTS, ("10.0.0.1", 6443), id="one"),
        pytest.param({"subsets": None}, None, id="null"),
        pytest.param({"subsets": [{"addresses": [{"ip": 1}], "ports": [{"port": "x"}]}]}, None, id="odd"),
        pytest.param([], None, id="another kind"),
    ],
)
def test_the_servers_place_is_its_first_endpoint(endpoints: Any, place: tuple[str, int] | None) -> None:
    assert server_place(endpoints) == place


@pytest.mark.parametrize(
    ("service", "place"),
    [
        pytest.param(SERVICE, ("10.96.0.1", 443), id="one"),
        pytest.param({"spec": {"clusterIP": "None", "ports": [{"port": 443}]}}, None, id="headless"),
        pytest.param({"spec": {"clusterIP": "10.96.0.1", "ports": None}}, None, id="no ports"),
        pytest.param({"spec": {"clusterIP": "fd00::1", "ports": [{"port": 0}]}}, None, id="no port"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_the_services_place_is_its_address_and_first_port(service: Any, place: tuple[str, int] | None) -> None:
    assert service_place(service) == place


NODES = [
    {"metadata": {"name": "node-7"}, "status": {"addresses": [{"type": "InternalIP", "address": "fd00::7"}]}},
    {"metadata": {"name": "node-8"}, "status": {"addresses": [{"type": "Hostname", "address": "eight.example"}]}},
]


@pytest.mark.parametrize(
    ("host", "node"),
    [
        pytest.param("fd00:0::7", "node-7", id="an address in another spelling"),
        pytest.param("NODE-8", "node-8", id="its name"),
        pytest.param("eight.example", "node-8", id="its host name"),
        pytest.param("10.0.0.1", "", id="none of them"),
    ],
)
def test_a_host_is_the_node_that_has_its_name_or_address(host: str, node: str) -> None:
    assert node_of(host, NODES) == node
