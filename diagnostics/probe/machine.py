"""The machine that answers: its name, kernel, network namespace, addresses and gateway.

Without starting another program. It must not know anything of conntrack, but for one sysctl that only the machine's own
namespace has.
"""

from __future__ import annotations

import os
import socket
import struct
import time

from diagnostics.probe import netlink
from diagnostics.probe.procfs import Unreadable, place, text, whole_number

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

MOST_ADDRESSES = 64
_RTM_GETADDR = 22

# The inode of the initial network namespace is fixed since 6.18 (NET_NS_INIT_INO, include/uapi/linux/nsfs.h). Before,
# it is the first free number at boot: these are the common ones, seen on distributions' kernels.
INITIAL_NETNS_FIXED = 0xEFFFFFF9
INITIAL_NETNS_COMMON = (4026531840, 4026531956, 4026531957, 4026531968, 4026531969, 4026531992, 4026532008)


def node(root: str = "/") -> Dict[str, Any]:
    """Who answers, and from which network namespace."""
    netns = own_netns(root)
    return {
        "name": socket.gethostname(),
        "kernel": os.uname().release,
        "boot_id": _or_empty(root, "/proc/sys/kernel/random/boot_id"),
        "uptime": uptime(root),
        "time": time.time(),
        "cpus": os.cpu_count() or 0,
        "netns": netns,
        "init_netns": is_init_netns(root, netns, os.uname().release),
        "addresses": _or_none_known(),
        "gateway": gateway(root),
    }


def uptime(root: str = "/") -> float:
    """Seconds since boot."""
    words = text(root, "/proc/uptime").split()
    try:
        return float(words[0])
    except (IndexError, ValueError) as error:
        raise Unreadable("/proc/uptime: no number") from error


def own_netns(root: str = "/") -> Optional[int]:
    """The inode of this process's network namespace, the number that kernel log lines give."""
    try:
        return os.stat(place(root, "/proc/self/ns/net")).st_ino
    except OSError:
        return None


def is_init_netns(root: str, netns: Optional[int], release: str) -> Optional[bool]:
    """Whether this process is in the machine's own network namespace. None where nothing tells.

    Comparing with /proc/1 misleads in a container, whose process 1 is its own. Some sysctls exist in the initial
    namespace only: net.core.netdev_max_backlog (net_core_table, net/core/sysctl_net_core.c) and net.nf_conntrack_max
    (nf_ct_netfilter_table, nf_conntrack_standalone.c).
    """
    if os.path.isdir(place(root, "/proc/sys/net/core")):
        only_initial = ("/proc/sys/net/core/netdev_max_backlog", "/proc/sys/net/nf_conntrack_max")
        return any(os.path.exists(place(root, path)) for path in only_initial)
    if netns == INITIAL_NETNS_FIXED or netns in INITIAL_NETNS_COMMON:
        return True
    return False if netns is not None and version(release) >= (6, 18) else None


def version(release: str) -> Tuple[int, int]:
    """A kernel release as (major, minor); (0, 0) where it cannot be read."""
    parts = release.split(".")
    if len(parts) < 2:
        return (0, 0)
    minor = parts[1][: len(parts[1]) - len(parts[1].lstrip("0123456789"))]
    return (whole_number(parts[0]) or 0, whole_number(minor) or 0)


def gateway(root: str = "/") -> Optional[str]:
    """The default gateway, IPv4 first; None where there is none."""
    for path, parse in (("/proc/net/route", gateway4_of), ("/proc/net/ipv6_route", gateway6_of)):
        try:
            found = parse(text(root, path))
        except Unreadable:
            continue
        if found:
            return found
    return None


def gateway4_of(routes: str) -> Optional[str]:
    """The gateway of the default route with the least metric in /proc/net/route (addresses in host byte order)."""
    best = None  # type: Optional[Tuple[int, str]]
    for line in routes.splitlines()[1:]:
        words = line.split()
        if len(words) < 8 or words[1] != "00000000" or words[7] != "00000000":
            continue
        through, metric = whole_number(words[2], 16), whole_number(words[6])
        if not through or metric is None or through > 0xFFFFFFFF:
            continue
        if best is None or metric < best[0]:
            best = (metric, socket.inet_ntoa(struct.pack("=I", through)))
    return best[1] if best else None


def gateway6_of(routes: str) -> Optional[str]:
    """The gateway of the IPv6 default route with the least metric in /proc/net/ipv6_route."""
    best = None  # type: Optional[Tuple[int, str]]
    for line in routes.splitlines():
        words = line.split()
        if len(words) < 10 or words[1] != "00" or words[0].strip("0") or not words[4].strip("0"):
            continue
        metric = whole_number(words[5], 16)
        try:
            through = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[4]))
        except ValueError:
            continue
        if metric is not None and (best is None or metric < best[0]):
            zone = "%" + words[9] if through.startswith("fe80:") else ""
            best = (metric, through + zone)
    return best[1] if best else None


def _or_none_known() -> List[str]:
    try:
        return addresses()
    except Unreadable:
        return []


def addresses() -> List[str]:
    """The node's own addresses, global ones first, without loopback.

    The Service addresses that kube-proxy's IPVS mode puts on ``kube-ipvs0`` are not the node's, and may be thousands.
    Asked through netlink: /proc/net/fib_trie grows with the routes, and knows no interface.
    """
    rows = netlink.ask(netlink.ROUTE, _RTM_GETADDR, struct.pack("=BBBBi", 0, 0, 0, 0, 0), dump=True)
    return addresses_of([payload for _, payload in rows], _ipvs_interface())


def _ipvs_interface() -> int:
    try:
        return socket.if_nametoindex("kube-ipvs0")
    except OSError:
        return 0


def addresses_of(rows: List[bytes], without_interface: int = 0) -> List[str]:
    """Addresses out of RTM_NEWADDR payloads, global ones before link-local ones, each once."""
    found = []  # type: List[Tuple[int, int, str]]
    for row in rows:
        if len(row) < 8:
            continue
        family, _, _, scope, interface = struct.unpack_from("=BBBBI", row)
        values = netlink.attributes(row, 8)
        packed = values.get(2, values.get(1, b""))  # IFA_LOCAL, else IFA_ADDRESS
        size = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}.get(family)
        if len(packed) != size or scope == 254 or (without_interface and interface == without_interface):
            continue  # scope 254 is RT_SCOPE_HOST: loopback
        found.append((scope, interface, socket.inet_ntop(family, packed)))
    found.sort(key=lambda each: each[:2])
    return list(dict.fromkeys(address for _, _, address in found))[:MOST_ADDRESSES]


def _or_empty(root: str, path: str) -> str:
    try:
        return text(root, path).strip()
    except Unreadable:
        return ""
