"""Counters of the other causes with the same symptoms: read twice, so that what moves can be told from what is old.

Only reads, and only numbers: it must not know which of them is a cause. A group that cannot be read is left out, and
``unknown`` says why. The groups, with their counters (since boot) and gauges (now):

    ephemeral_ports   gauges low, high, reserved, sockets, time_wait, busiest (most sockets to one remote
                      address and port)
    neighbour_table   counter table_fulls; gauges entries, gc_thresh3: of the fuller one of IPv4's and IPv6's
    listen_queue      counters overflows, drops
    softnet           counters dropped, squeezed
    tcp_memory        counter pressures; gauges pages, pages_limit, orphans, orphans_limit
    syn_cookies       counters sent, full_cookies, full_drops
    cloud_allowance   counters exceeded (tracked connections), packets_exceeded, bandwidth_exceeded,
                      link_local_exceeded; gauges interfaces, available: of the cloud instance's own limits (AWS ENA)
    links             counters dropped, errors; gauge interfaces: those with hardware, or with a default route
    path_mtu          counters fragment_fails, unreachable_received
    udp_buffers       counters receive_errors, send_errors
    retransmits       counters segments (sent again), sent
    cilium            gauges present, maps
    ipvs              counter connections; gauge present
    node_local_dns    gauge present
    proxy             gauges kube_ipvs0, iptables_legacy_nat, iptables_services, nftables_services: how Services are
                      done
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, NamedTuple, Tuple

from diagnostics.probe import ethtool, machine, netlink, netstat, procfs, sockets
from diagnostics.probe.netstat import Numbers
from diagnostics.probe.procfs import LARGEST_NUMBER, Unreadable, whole_number

SOCKETS_SECONDS = 1.0
MOST_TARGETS = 65536  # remote addresses and ports that are counted one by one; a port range holds no more
NODE_LOCAL_DNS = "169.254.20.10"  # the address that NodeLocal DNSCache's manifest proposes


class Group(NamedTuple):
    """What one look gave."""

    counters: Numbers
    gauges: Numbers


# ---- the two readings -----------------------------------------------------------------------------------------------


def read(root: str = "/") -> Dict[str, Any]:
    """One reading of all groups: {"groups": {name: Group}, "unknown": {name: why}}. Give two of them to ``between``."""
    groups, unknown = {}, {}  # type: Dict[str, Group], Dict[str, str]
    for name, look in _LOOKS:
        try:
            groups[name] = look(root)
        except Unreadable as error:
            unknown[name] = str(error)
        except Exception as error:  # noqa: BLE001 (whatever one group stumbles over, it must cost no other)
            unknown[name] = "%s: %s" % (type(error).__name__, error)
    return {"groups": groups, "unknown": unknown}


def between(before: Dict[str, Any], after: Dict[str, Any], seconds: float) -> Dict[str, Any]:
    """The report's section: counters as [before, after], gauges as they were last."""
    section = {"seconds": round(seconds, 3)}  # type: Dict[str, Any]
    for name, last in after["groups"].items():
        first = before["groups"].get(name)
        values = dict(last.gauges)  # type: Dict[str, Any]
        if first is not None:
            values.update(
                {each: [first.counters[each], last.counters[each]] for each in last.counters if each in first.counters}
            )
        section[name] = values
    return section


def unknown(after: Dict[str, Any]) -> Dict[str, str]:
    """Why groups are missing, as the report's ``unknown`` has it."""
    return {"lookalikes." + name: why for name, why in after["unknown"].items()}


# ---- the looks ------------------------------------------------------------------------------------------------------


def _ephemeral_ports(root: str) -> Group:
    words = procfs.text(root, "/proc/sys/net/ipv4/ip_local_port_range", 64).split()
    bounds = [whole_number(word) for word in words]
    if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
        raise Unreadable("/proc/sys/net/ipv4/ip_local_port_range: not two numbers")
    low, high = bounds[0], bounds[1]
    tcp = _sockstat(root)
    gauges = {"low": low, "high": high, "busiest": _busiest(root, low, high)}
    gauges.update(_some(tcp, {"sockets": "inuse", "time_wait": "tw"}))
    try:
        gauges["reserved"] = netstat.ports_within(
            procfs.text(root, "/proc/sys/net/ipv4/ip_local_reserved_ports"), low, high
        )
    except Unreadable:
        pass  # before 2.6.35 there are no reserved ports
    return Group({}, gauges)


def _busiest(root: str, low: int, high: int) -> int:
    """The most sockets of the port range that one local address has to one remote address and port."""
    counts: Dict[Tuple[str, str, int], int] = {}
    deadline = time.monotonic() + SOCKETS_SECONDS
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            for row in sockets.rows(root, path, deadline):
                if row.remote_port and low <= row.local_port <= high:
                    key = (row.local, row.remote, row.remote_port)
                    if key in counts or len(counts) < MOST_TARGETS:
                        counts[key] = counts.get(key, 0) + 1
        except Unreadable:
            continue  # a machine without IPv6 has no tcp6
    return max(counts.values()) if counts else 0


def _neighbour_table(root: str) -> Group:
    fulls, fullest = 0, {}  # type: int, Numbers
    for stat, family in (("arp_cache", "ipv4"), ("ndisc_cache", "ipv6")):
        try:
            first, total = netstat.statistics_of(procfs.text(root, "/proc/net/stat/" + stat, 1048576))
        except Unreadable:
            if family == "ipv4":
                raise
            continue
        fulls += total.get("table_fulls", 0)
        limit = procfs.number(root, "/proc/sys/net/%s/neigh/default/gc_thresh3" % family)
        now = {"entries": first.get("entries", 0)}
        if limit is not None:
            now["gc_thresh3"] = limit
        if not fullest or _fill(now) > _fill(fullest):
            fullest = now
    return Group({"table_fulls": fulls}, fullest)


def _fill(neighbours: Numbers) -> float:
    return neighbours["entries"] / max(1, neighbours.get("gc_thresh3", LARGEST_NUMBER))


def _listen_queue(root: str) -> Group:
    return Group(_required(_netstat(root), {"overflows": "ListenOverflows", "drops": "ListenDrops"}), {})


def _softnet(root: str) -> Group:
    return Group(netstat.softnet_of(procfs.text(root, "/proc/net/softnet_stat", 1048576)), {})


def _tcp_memory(root: str) -> Group:
    gauges = _some(_sockstat(root), {"pages": "mem", "orphans": "orphan"})
    try:
        limits = [whole_number(word) for word in procfs.text(root, "/proc/sys/net/ipv4/tcp_mem", 128).split()]
    except Unreadable:
        limits = []  # only in the machine's own network namespace
    if len(limits) == 3 and limits[2] is not None:
        gauges["pages_limit"] = limits[2]
    orphans = procfs.number(root, "/proc/sys/net/ipv4/tcp_max_orphans")
    if orphans is not None:
        gauges["orphans_limit"] = orphans
    return Group(_some(_netstat(root), {"pressures": "TCPMemoryPressures"}), gauges)


def _syn_cookies(root: str) -> Group:
    wanted = {"sent": "SyncookiesSent", "full_cookies": "TCPReqQFullDoCookies", "full_drops": "TCPReqQFullDrop"}
    return Group(_required(_netstat(root), wanted), {})


def _cloud_allowance(root: str) -> Group:
    if root != "/":
        raise Unreadable("not this machine's interfaces")
    return Group(*ethtool.allowances(outward(root)))


def _links(root: str) -> Group:
    wanted, devices = outward(root), _devices(root)
    rows = [devices[name] for name in wanted if name in devices]
    if not rows:
        raise Unreadable("no interface with hardware or a default route")
    return Group(
        {"dropped": sum(row["dropped"] for row in rows), "errors": sum(row["errors"] for row in rows)},
        {"interfaces": len(rows)},
    )


def outward(root: str) -> List[str]:
    """The interfaces that lead out of the machine: those with hardware behind them, or with a default route."""
    try:
        routed = netstat.default_route_interfaces(procfs.text(root, "/proc/net/route"))
    except Unreadable:
        routed = []
    found = []
    for name in _devices(root):
        try:
            procfs.names(root, "/sys/class/net/%s/device" % name)
            found.append(name)
        except Unreadable:
            if name in routed:
                found.append(name)
    return found


def _devices(root: str) -> Dict[str, Numbers]:
    return netstat.devices_of(procfs.text(root, "/proc/net/dev", 1048576))


def _path_mtu(root: str) -> Group:
    ip, icmp = _snmp(root, "Ip"), _snmp(root, "Icmp")
    found = _required(ip, {"fragment_fails": "FragFails"})
    found.update(_required(icmp, {"unreachable_received": "InDestUnreachs"}))
    six = _snmp6(root)
    found["fragment_fails"] += six.get("Ip6FragFails", 0)
    found["unreachable_received"] += six.get("Icmp6InPktTooBigs", 0)
    return Group(found, {})


def _udp_buffers(root: str) -> Group:
    found = _required(_snmp(root, "Udp"), {"receive_errors": "RcvbufErrors", "send_errors": "SndbufErrors"})
    six = _snmp6(root)
    found["receive_errors"] += six.get("Udp6RcvbufErrors", 0)
    found["send_errors"] += six.get("Udp6SndbufErrors", 0)
    return Group(found, {})


def _retransmits(root: str) -> Group:
    return Group(_required(_snmp(root, "Tcp"), {"segments": "RetransSegs", "sent": "OutSegs"}), {})


def _cilium(root: str) -> Group:
    present = any(name in ("cilium_host", "cilium_net") for name in _devices(root))
    try:
        maps = [name for name in procfs.names(root, "/sys/fs/bpf/tc/globals") if name.startswith("cilium")]
    except Unreadable:
        return Group({}, {"present": int(present)})  # in a container without this mount nothing follows from it
    return Group({}, {"present": int(present or bool(maps)), "maps": len(maps)})


def _ipvs(root: str) -> Group:
    try:
        stats = procfs.text(root, "/proc/net/ip_vs_stats")
    except Unreadable as error:
        if str(error).endswith("not there"):
            return Group({}, {"present": 0})
        raise
    connections = netstat.ipvs_connections_of(stats)
    return Group({} if connections is None else {"connections": connections}, {"present": 1})


def _node_local_dns(root: str) -> Group:
    present = "nodelocaldns" in _devices(root)
    if not present and root == "/":
        present = NODE_LOCAL_DNS in machine.addresses()
    return Group({}, {"present": int(present)})


def _proxy(root: str) -> Group:
    gauges = {"kube_ipvs0": int("kube-ipvs0" in _devices(root))}
    try:
        gauges["iptables_legacy_nat"] = int("nat" in procfs.text(root, "/proc/net/ip_tables_names").split())
    except Unreadable:
        pass  # readable by root only, and missing where no legacy iptables is used
    if root == "/" and _has_nf_tables(root):
        try:
            gauges.update(services_of(netlink.ask(netlink.NETFILTER, _NFT_GETCHAIN, b"\0\0\0\0", dump=True)))
        except Unreadable:
            pass  # needs CAP_NET_ADMIN
    return Group({}, gauges)


_NFT_GETCHAIN = 10 << 8 | 4  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETCHAIN
_CHAIN_TABLE, _CHAIN_NAME = 1, 3  # NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME


def _has_nf_tables(root: str) -> bool:
    """Whether nf_tables may be asked: a question to a module that is not loaded would make the kernel load it."""
    try:
        return any(line.startswith("nf_tables ") for line in procfs.lines(root, "/proc/modules", 262144))
    except Unreadable:
        return True  # a kernel without modules has nothing to load


def services_of(answer: List[netlink.Message]) -> Numbers:
    """How many Services kube-proxy has written, out of a dump of the chains: a chain each.

    Iptables mode (iptables-nft): KUBE-SVC-… in table nat. Nftables mode: service-… in table kube-proxy.
    """
    found = {"iptables_services": 0, "nftables_services": 0}
    for _, payload in answer:
        chain = netlink.attributes(payload, 4)
        table, name = chain.get(_CHAIN_TABLE, b"").rstrip(b"\0"), chain.get(_CHAIN_NAME, b"")
        found["iptables_services"] += int(table == b"nat" and name.startswith(b"KUBE-SVC-"))
        found["nftables_services"] += int(table == b"kube-proxy" and name.startswith(b"service-"))
    return found


_LOOKS = (
    ("ephemeral_ports", _ephemeral_ports),
    ("neighbour_table", _neighbour_table),
    ("listen_queue", _listen_queue),
    ("softnet", _softnet),
    ("tcp_memory", _tcp_memory),
    ("syn_cookies", _syn_cookies),
    ("cloud_allowance", _cloud_allowance),
    ("links", _links),
    ("path_mtu", _path_mtu),
    ("udp_buffers", _udp_buffers),
    ("retransmits", _retransmits),
    ("cilium", _cilium),
    ("ipvs", _ipvs),
    ("node_local_dns", _node_local_dns),
    ("proxy", _proxy),
)


# ---- files that several looks share ---------------------------------------------------------------------------------


def _netstat(root: str) -> Numbers:
    return netstat.pairs_of(procfs.text(root, "/proc/net/netstat"), "TcpExt")


def _snmp(root: str, protocol: str) -> Numbers:
    return netstat.pairs_of(procfs.text(root, "/proc/net/snmp"), protocol)


def _snmp6(root: str) -> Numbers:
    try:
        return netstat.snmp6_of(procfs.text(root, "/proc/net/snmp6"))
    except Unreadable:
        return {}  # a machine without IPv6


def _sockstat(root: str) -> Numbers:
    return netstat.sockstat_of(procfs.text(root, "/proc/net/sockstat"))


def _some(found: Numbers, wanted: Dict[str, str]) -> Numbers:
    return {ours: found[kernels] for ours, kernels in wanted.items() if kernels in found}


def _required(found: Numbers, wanted: Dict[str, str]) -> Numbers:
    missing = [kernels for kernels in wanted.values() if kernels not in found]
    if missing:
        raise Unreadable("this kernel does not count " + ", ".join(missing))
    return _some(found, wanted)
