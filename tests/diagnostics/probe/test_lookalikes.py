from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe import ethtool, lookalikes, netlink, netstat, sockets
from diagnostics.probe.procfs import Unreadable

LITTLE = struct.pack("=H", 1) == struct.pack("<H", 1)
SOCKETS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 900 1 0 100 0 0 10 0
   1: 0800000A:9C40 0C00600A:0050 01 00000000:00000000 02:00000000 00000000     0        0 901 1 0 20 4 30 10 -1
   2: 0800000A:9C41 0C00600A:0050 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0
   3: 0800000A:9C42 0D00600A:0050 01 00000000:00000000 02:00000000 00000000     0        0 902 1 0 20 4 30 10 -1
   4: 0800000A:0016 0C00600A:9C40 01 00000000:00000000 02:00000000 00000000     0        0 903 1 0 20 4 30 10 -1
 bad: line
"""
NODE = {
    "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
    "proc/sys/net/ipv4/ip_local_reserved_ports": "8080,40000-40009\n",
    "proc/net/tcp": SOCKETS,
    "proc/net/sockstat": "sockets: used 9\nTCP: inuse 4 orphan 2 tw 1 alloc 5 mem 77\nUDP: inuse 0 mem 0\n",
    "proc/sys/net/ipv4/tcp_mem": "100\t200\t300\n",
    "proc/sys/net/ipv4/tcp_max_orphans": "1024\n",
    "proc/net/stat/arp_cache": "entries allocs table_fulls\n000003ff 0 5\n000003ff 0 1\n",
    "proc/sys/net/ipv4/neigh/default/gc_thresh3": "1024\n",
    "proc/net/netstat": "TcpExt: ListenOverflows ListenDrops SyncookiesSent TCPReqQFullDoCookies TCPReqQFullDrop"
    " TCPMemoryPressures\nTcpExt: 6 7 1 2 3 4\nIpExt: InNoRoutes\nIpExt: 9\n",
    "proc/net/snmp": "Ip: Forwarding FragFails\nIp: 1 2\nIcmp: InMsgs InDestUnreachs\nIcmp: 9 3\n"
    "Tcp: MaxConn OutSegs RetransSegs\nTcp: -1 1000 10\nUdp: InDatagrams RcvbufErrors SndbufErrors\nUdp: 1 4 5\n",
    "proc/net/snmp6": "Ip6FragFails   1\nIcmp6InPktTooBigs   2\nUdp6RcvbufErrors  3\n",
    "proc/net/softnet_stat": "0000a576 00000001 00000002 0\n0000a9c1 00000010 00000003 0\n",
    "proc/net/route": "Iface Destination Gateway Flags RefCnt Use Metric Mask\n"
    "bond0 00000000 0101A8C0 0003 0 0 0 00000000\nveth1 0000F40A 00000000 1 0 0 0 0000FFFF\n",
    "proc/net/dev": "Inter-| Receive\n face |bytes\n    lo: 1 1 9 9 0 0 0 0 1 1 9 9 0 0 0 0\n"
    "  eth0:1 1 1 2 0 0 0 0 1 1 3 4 0 0 0 0\n bond0: 1 1 1 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
    " veth1: 1 1 7 7 0 0 0 0 1 1 7 7 0 0 0 0\ncilium_host: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
    "sys/class/net/eth0/device/vendor": "0x1d0f\n",
    "sys/fs/bpf/tc/globals/cilium_ct4_global": "",
    "proc/net/ip_vs_stats": "   Total Incoming\n   Conns  Packets\n     1F4        0        0\n",
}


def machine(root: Path, files: dict[str, str]) -> str:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(root)


def section(root: str) -> dict[str, Any]:
    return lookalikes.between(lookalikes.read(root), lookalikes.read(root), 2.0)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (
            "ephemeral_ports",
            {"low": 32768, "high": 60999, "busiest": 2, "sockets": 4, "time_wait": 1, "reserved": 10},
        ),
        ("neighbour_table", {"entries": 1023, "gc_thresh3": 1024, "table_fulls": [6, 6]}),
        ("listen_queue", {"overflows": [6, 6], "drops": [7, 7]}),
        ("softnet", {"dropped": [17, 17], "squeezed": [5, 5]}),
        (
            "tcp_memory",
            {"pages": 77, "pages_limit": 300, "orphans": 2, "orphans_limit": 1024, "pressures": [4, 4]},
        ),
        ("syn_cookies", {"sent": [1, 1], "full_cookies": [2, 2], "full_drops": [3, 3]}),
        ("links", {"interfaces": 2, "dropped": [6, 6], "errors": [5, 5]}),
        ("path_mtu", {"fragment_fails": [3, 3], "unreachable_received": [5, 5]}),
        ("udp_buffers", {"receive_errors": [7, 7], "send_errors": [5, 5]}),
        ("retransmits", {"segments": [10, 10], "sent": [1000, 1000]}),
        ("cilium", {"present": 1, "maps": 1}),
        ("ipvs", {"present": 1, "connections": [500, 500]}),
        ("node_local_dns", {"present": 0}),
        ("proxy", {"kube_ipvs0": 0}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_group_is_read_as_the_kernel_prints_it(group: str, expected: dict[str, Any], tmp_path: Path) -> None:
    assert section(machine(tmp_path, NODE))[group] == expected


def test_a_counter_that_moved_shows_both_readings(tmp_path: Path) -> None:
    root = machine(tmp_path, NODE)
    before = lookalikes.read(root)
    machine(tmp_path, {"proc/net/netstat": NODE["proc/net/netstat"].replace("6 7 1", "16 17 1")})
    found = lookalikes.between(before, lookalikes.read(root), 2.5)
    assert found["seconds"] == 2.5
    assert found["listen_queue"] == {"overflows": [6, 16], "drops": [7, 17]}


@pytest.mark.parametrize(
    ("missing", "group"),
    [
        ("proc/net/netstat", "listen_queue"),
        ("proc/net/softnet_stat", "softnet"),
        ("proc/net/stat/arp_cache", "neighbour_table"),
        ("proc/net/snmp", "retransmits"),
        ("proc/sys/net/ipv4/ip_local_port_range", "ephemeral_ports"),
    ],
)
def test_a_group_that_cannot_be_read_is_unknown_and_costs_no_other(missing: str, group: str, tmp_path: Path) -> None:
    root = machine(tmp_path, {name: content for name, content in NODE.items() if name != missing})
    reading = lookalikes.read(root)
    found = lookalikes.between(reading, reading, 1.0)
    assert group not in found
    assert f"/{missing}: not there" in lookalikes.unknown(reading)[f"lookalikes.{group}"]
    assert "links" in found


def test_a_kernel_that_does_not_count_something_is_not_said_to_count_zero(tmp_path: Path) -> None:
    root = machine(tmp_path, {**NODE, "proc/net/netstat": "TcpExt: ListenDrops\nTcpExt: 5\n"})
    assert "does not count ListenOverflows" in lookalikes.unknown(lookalikes.read(root))["lookalikes.listen_queue"]


def test_an_empty_machine_has_no_group_that_looks_healthy(tmp_path: Path) -> None:
    found = section(machine(tmp_path, {"proc/version": "x"}))
    assert set(found) <= {"seconds", "ipvs"}


@given(st.text(max_size=400))
def test_random_text_never_crashes_the_parsers(text: str) -> None:
    netstat.pairs_of(text, "Tcp")
    netstat.sockstat_of(text)
    netstat.statistics_of(text)
    netstat.devices_of(text)
    netstat.default_route_interfaces(text)
    netstat.ipvs_connections_of(text)
    netstat.snmp6_of(text)
    assert netstat.ports_within(text, 32768, 60999) >= 0
    assert sockets.row_of("tcp", text) is None or text.split()[1]
    sockets.address(text)


@given(st.binary(max_size=300))
def test_random_netlink_and_driver_answers_never_crash(answer: bytes) -> None:
    lookalikes.services_of(list(netlink.messages(answer)))
    assert len(ethtool.names_of(answer.ljust(12, b"\0"))) <= len(answer) // 32


def test_a_port_range_is_counted_within_the_bounds() -> None:
    assert netstat.ports_within("1-100,150,190-300,x,9-", 90, 200) == 11 + 1 + 11


def test_services_are_counted_by_their_chains() -> None:
    def chain(table: bytes, name: bytes) -> tuple[int, bytes]:
        body = b""
        for kind, value in ((1, table + b"\0"), (3, name + b"\0")):
            body += struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)
        return 0xA03, b"\2\0\0\0" + body

    answer = [
        chain(b"nat", b"KUBE-SVC-ABC"),
        chain(b"nat", b"KUBE-SEP-ABC"),
        chain(b"filter", b"KUBE-SVC-ABC"),
        chain(b"kube-proxy", b"service-2QRHZV4L-shop/payments/tcp/80"),
    ]
    assert lookalikes.services_of(answer) == {"iptables_services": 1, "nftables_services": 1}


def test_a_clouds_own_limits_are_summed_over_its_interfaces() -> None:
    ena = {"conntrack_allowance_exceeded": 4, "conntrack_allowance_available": 900, "bw_in_allowance_exceeded": 1}
    counters, gauges = ethtool.sums_of([ena, {"tx_packets": 4}, {**ena, "bw_out_allowance_exceeded": 2}])
    assert counters == {"exceeded": 8, "bandwidth_exceeded": 4}
    assert gauges == {"interfaces": 2, "available": 1800}


def test_no_driver_with_such_limits_is_unknown_not_zero() -> None:
    with pytest.raises(Unreadable):
        ethtool.sums_of([{"tx_packets": 4}])


def test_the_names_of_a_drivers_counters_are_cut_at_their_end() -> None:
    names = b"rx_drops".ljust(32, b"\0") + b"conntrack_allowance_exceeded".ljust(32, b"\0")
    assert ethtool.names_of(struct.pack("=III", 0x1B, 1, 2) + names) == ["rx_drops", "conntrack_allowance_exceeded"]


@pytest.mark.skipif(not LITTLE, reason="the sample is of a little-endian machine")
@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("0C00600A", "10.96.0.12"),
        ("0000000000000000FFFF00000C00600A", "10.96.0.12"),
        ("000000FD000000000000000001000000", "fd00::1"),
        ("zz", None),
        ("00", None),
    ],
    ids=["IPv4", "IPv4 within IPv6", "IPv6", "garbage", "short"],
)
def test_addresses_are_shown_as_people_write_them(printed: str, shown: str | None) -> None:
    assert sockets.address(printed) == shown


def test_a_deadline_ends_the_reading_of_sockets(tmp_path: Path) -> None:
    root = machine(tmp_path, NODE)
    assert len(list(sockets.rows(root, "/proc/net/tcp", time.monotonic() + 5))) == 5
    assert not list(sockets.rows(root, "/proc/net/tcp", time.monotonic()))
