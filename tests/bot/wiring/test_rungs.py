from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.wiring.ahead import Ahead
from bot.wiring.rungs import Host, SshByName
from deploy.local.kubernetes import Cluster, kubeconfig, serving
from diagnostics.cluster import KubeApi
from diagnostics.errors import TargetError
from diagnostics.transport import Order, Report, Tell, Transport


@dataclass
class Machine:
    """A way to a machine that answers at once, and remembers what it was asked."""

    boot_id: str = "boot-1"
    orders: list[Order] = field(default_factory=list)
    rung: str = "ssh"

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        self.orders.append(order)
        yield {"stage": "look", "node": {"boot_id": self.boot_id}}
        yield {"stage": "watch"}


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.add_node("node-8", "10.90.0.8")
    cluster.add("services", "kubernetes", "default", spec={"clusterIP": "10.96.0.1", "ports": [{"port": 443}]})
    cluster.add_pod("checkout-1", "node-8", "10.244.8.2")
    return cluster


@pytest.fixture
def api(cluster: Cluster, tmp_path: Path) -> Iterator[KubeApi]:
    with serving(cluster) as address:
        yield KubeApi.from_kubeconfig(kubeconfig(tmp_path, address))


def looked_at(machine: Machine, api: KubeApi, host: str) -> Host:
    found = Host(machine, Ahead(lambda: ("prod", api), host=host))
    found.ahead.start()
    assert [report["stage"] for report in found.look(Order(), lambda _: None)] == ["look", "watch"]
    return found


def test_a_host_that_is_a_node_is_told_by_the_clusters_names(api: KubeApi) -> None:
    machine = Machine()
    seen = looked_at(machine, api, "10.90.0.8").view(("10.244.8.2",))
    assert seen is not None
    assert seen.cluster == "prod"
    assert machine.orders[0].connect == ("10.96.0.1", 443)


@pytest.mark.parametrize(
    ("host", "boot_id"),
    [
        pytest.param("10.90.0.8", "boot-2", id="another machine with a node's address"),
        pytest.param("10.90.0.8", "", id="no boot ID was read"),
        pytest.param("192.0.2.1", "boot-1", id="no node has the address"),
    ],
)
def test_a_host_that_is_no_node_of_the_cluster_gets_no_names_from_it(api: KubeApi, host: str, boot_id: str) -> None:
    assert looked_at(Machine(boot_id), api, host).view(()) is None


def test_a_host_outside_of_the_cluster_is_not_asked_to_reach_the_clusters_api(api: KubeApi) -> None:
    machine = Machine()
    looked_at(machine, api, "192.0.2.1")
    assert machine.orders == [Order()]


@pytest.mark.parametrize(
    ("configured", "host"),
    [
        pytest.param("admin@bastion:2222", "admin@bastion:2222", id="configured"),
        pytest.param("", "10.90.0.8", id="not"),
    ],
)
def test_ssh_goes_to_the_configured_host_or_to_the_nodes_address(api: KubeApi, configured: str, host: str) -> None:
    hosts: list[str] = []

    def log_in(to: str) -> Transport:
        hosts.append(to)
        return Machine()

    list(SshByName("node-8", configured, api, log_in).look(Order(), lambda _: None))
    assert hosts == [host]


def test_ssh_to_a_node_that_the_cluster_does_not_know_is_a_wrong_target(api: KubeApi) -> None:
    with pytest.raises(TargetError, match="no node `node-9`"):
        list(SshByName("node-9", "", api, lambda _: Machine()).look(Order(), lambda _: None))
