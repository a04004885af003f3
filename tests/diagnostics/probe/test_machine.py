from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe import machine
from diagnostics.probe.procfs import Unreadable

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t0201A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
void0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""
ROUTES6 = (
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 "
    "00000001 00000000 00450003     eth0\n"
    "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 "
    "00000001 00000000 00000001     eth0\n"
)


def address_row(family: int, packed: bytes, scope: int = 0, interface: int = 2, attribute: int = 2) -> bytes:
    body = struct.pack("=HH", 4 + len(packed), attribute) + packed
    return struct.pack("=BBBBI", family, 24, 0, scope, interface) + body


@pytest.mark.skipif(struct.pack("=H", 1) != struct.pack("<H", 1), reason="the sample is of a little-endian machine")
def test_the_gateway_is_that_of_the_default_route_with_the_least_metric() -> None:
    assert machine.gateway4_of(ROUTES) == "192.168.1.1"


def test_a_link_local_gateway_names_its_interface() -> None:
    assert machine.gateway6_of(ROUTES6) == "fe80::1%eth0"


@pytest.mark.parametrize("routes", ["", "Iface\n", "a b c\nd e f g h i j k\n"], ids=["empty", "heading", "garbage"])
def test_without_a_default_route_there_is_no_gateway(routes: str) -> None:
    assert machine.gateway4_of(routes) is None
    assert machine.gateway6_of(routes) is None


def test_addresses_are_the_nodes_own_global_ones_first() -> None:
    four, six = int(socket.AF_INET), int(socket.AF_INET6)
    rows = [
        address_row(four, bytes([127, 0, 0, 1]), scope=254, interface=1),
        address_row(six, socket.inet_pton(six, "fe80::1"), scope=253, attribute=1),
        address_row(four, bytes([10, 96, 0, 1]), interface=9),
        address_row(four, bytes([10, 0, 0, 8])),
        address_row(six, socket.inet_pton(six, "fd00::8"), attribute=1),
        address_row(four, bytes([10, 0, 0, 8])),
    ]
    assert machine.addresses_of(rows, without_interface=9) == ["10.0.0.8", "fd00::8", "fe80::1"]


@given(st.lists(st.binary(max_size=64), max_size=5))
def test_random_address_rows_never_crash(rows: list[bytes]) -> None:
    assert len(machine.addresses_of(rows)) <= len(rows)


@given(st.text(max_size=300))
def test_random_routes_and_releases_never_crash(text: str) -> None:
    machine.gateway4_of(text)
    machine.gateway6_of(text)
    assert machine.version(text) >= (0, 0)


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.18.44-fc", (6, 18)), ("5.4.0-1029-aws", (5, 4)), ("6.1-rc3", (6, 1)), ("odd", (0, 0)), ("3.10.0", (3, 10))],
)
def test_a_release_is_read_as_major_and_minor(release: str, version: tuple[int, int]) -> None:
    assert machine.version(release) == version


@pytest.mark.parametrize(
    ("sysctl", "netns", "release", "expected"),
    [
        ("core/netdev_max_backlog", 1, "5.4.0", True),
        ("nf_conntrack_max", 1, "5.4.0", True),
        ("core/somaxconn", machine.INITIAL_NETNS_FIXED, "6.18.1", False),
        (None, machine.INITIAL_NETNS_FIXED, "6.18.1", True),
        (None, 4026531992, "5.4.0", True),
        (None, 4026532177, "6.18.1", False),
        (None, 4026532177, "5.4.0", None),
        (None, None, "6.18.1", None),
    ],
    ids=["core", "alias", "neither", "fixed inode", "common inode", "other inode", "old kernel", "nothing"],
)
def test_the_machines_own_namespace_is_known_by_its_sysctls_then_by_its_inode(
    sysctl: str | None, netns: int | None, release: str, expected: bool | None, tmp_path: Path
) -> None:
    if sysctl is not None:
        (tmp_path / "proc/sys/net/core").mkdir(parents=True)
        (tmp_path / "proc/sys/net" / sysctl).write_text("1\n")
    assert machine.is_init_netns(str(tmp_path), netns, release) is expected


def test_this_machine_tells_its_name_time_and_addresses() -> None:
    found = machine.node()
    assert found["name"] == socket.gethostname()
    assert found["uptime"] > 0
    assert found["netns"] == Path("/proc/self/ns/net").stat().st_ino
    assert "127.0.0.1" not in found["addresses"]


def test_no_uptime_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text("soon")
    with pytest.raises(Unreadable):
        machine.uptime(str(tmp_path))
