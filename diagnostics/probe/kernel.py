"""What the kernel says about itself and its conntrack table, apart from the table's entries and the kernel log.

Limits, fill, timeouts, counters, the machine's memory and addresses. Only reads. It must not know what the numbers
mean for a verdict, and it loads no kernel module: where nf_conntrack is not loaded, it says so and asks nothing more.
"""

import os
import socket
import struct
import time
from typing import Any, Dict, List, Optional, Tuple

from diagnostics.probe import netlink, ring
from diagnostics.probe.procfs import LARGEST_NUMBER, Unreadable, names, number, place, text, whole_number

__all__ = [
    "Unreadable",
    "addresses",
    "counters",
    "gateway",
    "kernel_log",
    "node",
    "settings",
    "timeouts",
    "usage",
]

SYSCTLS = "/proc/sys/net/netfilter"
NOT_LOADED = "nf_conntrack is not loaded"
MOST_SYSCTLS = 200  # a kernel has about 60
MOST_ADDRESSES = 64
MOST_CPUS = 4096

# The inode of the initial network namespace is fixed since 6.18 (NET_NS_INIT_INO, include/uapi/linux/nsfs.h). Before,
# it is the first free number at boot: these are the common ones, seen on distributions' kernels.
INITIAL_NETNS_FIXED = 0xEFFFFFF9
INITIAL_NETNS_COMMON = (4026531840, 4026531956, 4026531957, 4026531968, 4026531969, 4026531992, 4026532008)

# "table full in netns N" for all namespaces but the initial one: measured on 6.18, older kernels name none.
KERNELS_THAT_NAME_THE_NETNS = (6, 18)

# enum ctattr_stats_cpu, include/uapi/linux/netfilter/nfnetlink_conntrack.h. What the kernel no longer counts (searched,
# new, ignore, delete, delete_list) is left out.
STATS_CPU = {
    2: "found",
    4: "invalid",
    8: "insert",
    9: "insert_failed",
    10: "drop",
    11: "early_drop",
    12: "icmp_error",
    13: "search_restart",
    14: "clash_resolve",
    15: "chaintoolong",
}
# The same counters by the names of /proc/net/stat/nf_conntrack (ct_cpu_seq_show, nf_conntrack_standalone.c): the column
# "chainlength" prints chaintoolong since 5.15, "clashres" prints clash_resolve since 5.9.
STATS_COLUMNS = {
    "found": "found",
    "invalid": "invalid",
    "insert": "insert",
    "insert_failed": "insert_failed",
    "drop": "drop",
    "early_drop": "early_drop",
    "icmp_error": "icmp_error",
    "search_restart": "search_restart",
    "clashres": "clash_resolve",
    "chainlength": "chaintoolong",
}
PER_CPU = ("drop", "early_drop")
_GET_STATS_CPU, _GET_STATS = 0x104, 0x105  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS_CPU, …_GET_STATS
_NFGEN = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)

PerCpu = Dict[str, List[int]]


# ---- the machine ----------------------------------------------------------------------------------------------------


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
    rows = netlink.ask(netlink.ROUTE, 22, struct.pack("=BBBBi", 0, 0, 0, 0, 0), dump=True)  # RTM_GETADDR
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


# ---- the table's fill and its settings ------------------------------------------------------------------------------


def usage(root: str = "/") -> Dict[str, Any]:
    """Entries against the limit, of this network namespace, and what an entry costs.

    ``entry_bytes`` is the kernel's object alone; an entry rewritten by a Service holds some 128 bytes more.
    """
    entries, limit = number(root, SYSCTLS + "/nf_conntrack_count"), number(root, SYSCTLS + "/nf_conntrack_max")
    if entries is None or limit is None:
        require_conntrack(root)
        entries, limit = conntrack_fill()
    memory = _memory(root)
    buckets = number(root, SYSCTLS + "/nf_conntrack_buckets")
    if buckets is None:
        buckets = number(root, "/sys/module/nf_conntrack/parameters/hashsize")
    return {
        "entries": entries,
        "limit": limit,
        "buckets": buckets,
        "entry_bytes": _entry_bytes(root),
        "memory_total": memory.get("MemTotal"),
        "memory_available": memory.get("MemAvailable"),
    }


def require_conntrack(root: str) -> None:
    """Raise where the kernel tracks nothing: a netlink question would make it load the module."""
    signs = (SYSCTLS + "/nf_conntrack_count", "/proc/net/stat/nf_conntrack", "/sys/module/nf_conntrack")
    if not any(os.path.exists(place(root, sign)) for sign in signs):
        raise Unreadable(NOT_LOADED)


def conntrack_fill() -> Tuple[int, int]:
    """(entries, limit) of the network namespace this thread is in, through ctnetlink."""
    return fill_of(netlink.ask(netlink.NETFILTER, _GET_STATS, _NFGEN, dump=False))


def fill_of(answer: List[netlink.Message]) -> Tuple[int, int]:
    """(entries, limit) out of the answer to GET_STATS: CTA_STATS_GLOBAL_ENTRIES and …_MAX_ENTRIES, big-endian."""
    for _, payload in answer:
        values = netlink.attributes(payload, 4)
        if len(values.get(1, b"")) == 4 and len(values.get(2, b"")) == 4:
            return struct.unpack("!I", values[1])[0], struct.unpack("!I", values[2])[0]
    raise Unreadable("the kernel's answer names no count and no limit")


def _memory(root: str) -> Dict[str, int]:
    try:
        return memory_of(text(root, "/proc/meminfo"))
    except Unreadable:
        return {}


def memory_of(meminfo: str) -> Dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}  # type: Dict[str, int]
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        kilobytes = whole_number(words[0]) if words else None
        if kilobytes is not None and kilobytes <= LARGEST_NUMBER // 1024:
            found[name] = kilobytes * 1024
    return found


def _entry_bytes(root: str) -> Optional[int]:
    try:
        return entry_bytes_of(text(root, "/proc/slabinfo", 262144))
    except Unreadable:
        return None


def entry_bytes_of(slabinfo: str) -> Optional[int]:
    """The size of one entry's object: the fourth column. Kernels before 4.7 have a cache per network namespace."""
    for line in slabinfo.splitlines():
        words = line.split()
        if len(words) > 3 and (words[0] == "nf_conntrack" or words[0].startswith("nf_conntrack_ffff")):
            return whole_number(words[3])
    return None


def timeouts(root: str = "/") -> Dict[str, int]:
    """The conntrack timeouts in seconds by state, as ``tcp_time_wait`` or ``udp``."""
    found = {name: value for name, value in _sysctls(root).items() if "timeout" in name}
    return {name.replace("_timeout", "", 1): value for name, value in found.items()}


def settings(root: str = "/") -> Dict[str, int]:
    """The other conntrack sysctls that are numbers, without what ``usage`` tells."""
    told = ("count", "max", "buckets")
    return {name: value for name, value in _sysctls(root).items() if "timeout" not in name and name not in told}


def _sysctls(root: str) -> Dict[str, int]:
    prefix = "nf_conntrack_"
    try:
        files = [name for name in names(root, SYSCTLS) if name.startswith(prefix)]
    except Unreadable:
        files = []
    if not files:
        require_conntrack(root)
        raise Unreadable("%s: not there" % SYSCTLS)
    read = {name[len(prefix) :]: number(root, "%s/%s" % (SYSCTLS, name)) for name in files[:MOST_SYSCTLS]}
    return {name: value for name, value in read.items() if value is not None}


# ---- the kernel log -------------------------------------------------------------------------------------------------


def kernel_log(root: str = "/") -> Dict[str, Any]:
    """The kernel log's lines about conntrack. Raises Unreadable where the log may not be read."""
    netns, release = own_netns(root), os.uname().release
    names_netns = version(release) >= KERNELS_THAT_NAME_THE_NETNS
    return ring.summary(ring.lines(root), netns, is_init_netns(root, netns, release), names_netns)


# ---- the counters ---------------------------------------------------------------------------------------------------


def counters(root: str = "/") -> Dict[str, Any]:
    """One reading of the conntrack counters of this network namespace, since boot, summed over the CPUs."""
    require_conntrack(root)
    at = uptime(root)
    try:
        per_cpu = conntrack_counters()
    except Unreadable:
        per_cpu = columns_of(text(root, "/proc/net/stat/nf_conntrack", 1048576))
    sample = {name: sum(values) for name, values in per_cpu.items()}  # type: Dict[str, Any]
    sample["at"] = at
    entries = number(root, SYSCTLS + "/nf_conntrack_count")
    if entries is not None:
        sample["entries"] = entries
    sample["per_cpu"] = {name: per_cpu[name] for name in PER_CPU if name in per_cpu}
    return sample


def conntrack_counters() -> PerCpu:
    """The counters of the network namespace this thread is in, through ctnetlink: it counts more than /proc shows."""
    return per_cpu_of(netlink.ask(netlink.NETFILTER, _GET_STATS_CPU, _NFGEN, dump=True))


def per_cpu_of(answer: List[netlink.Message]) -> PerCpu:
    """The counters out of the answer to GET_STATS_CPU: one message per CPU, whose number is in ``res_id``."""
    rows = {}  # type: Dict[int, Dict[int, bytes]]
    for _, payload in answer[:MOST_CPUS]:
        if len(payload) >= 4:
            rows[struct.unpack_from("!H", payload, 2)[0]] = netlink.attributes(payload, 4)
    found = {}  # type: PerCpu
    for attribute, name in STATS_CPU.items():
        values = [rows[cpu].get(attribute, b"") for cpu in sorted(rows)]
        if any(len(value) == 4 for value in values):
            found[name] = [struct.unpack("!I", value)[0] if len(value) == 4 else 0 for value in values]
    if not found:
        raise Unreadable("the kernel's answer names no counters")
    return found


def columns_of(stat: str) -> PerCpu:
    """The counters out of /proc/net/stat/nf_conntrack, by the header's names: kernels differ in their columns."""
    rows = [line.split() for line in stat.splitlines() if line.strip()]
    if len(rows) < 2:
        raise Unreadable("/proc/net/stat/nf_conntrack: no counters in it")
    found = {}  # type: PerCpu
    for column, heading in enumerate(rows[0]):
        if heading not in STATS_COLUMNS:
            continue
        values = [whole_number(row[column], 16) if column < len(row) else None for row in rows[1 : MOST_CPUS + 1]]
        if all(value is not None for value in values):
            found[STATS_COLUMNS[heading]] = [value for value in values if value is not None]
    if not found:
        raise Unreadable("/proc/net/stat/nf_conntrack: no known column in it")
    return found
