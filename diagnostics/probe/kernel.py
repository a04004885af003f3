"""What the kernel says about its conntrack table, apart from the entries: fill, limit, timeouts, log lines, counters.

Only reads. It must not know what the numbers mean for a verdict. Where nf_conntrack is not loaded it says so and asks
nothing more: a question would make the kernel load it. (Where it is loaded, its netlink half may be loaded by a
question, as by ``conntrack -L``; that half tracks nothing.)
"""

from __future__ import annotations

import os
import socket
import struct

from diagnostics.probe import netlink, ring
from diagnostics.probe.machine import is_init_netns, node, own_netns, uptime, version
from diagnostics.probe.procfs import LARGEST_NUMBER, Unreadable, names, number, place, text, whole_number

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    PerCpu = Dict[str, List[int]]

__all__ = ["Unreadable", "counters", "kernel_log", "node", "settings", "timeouts", "usage"]

SYSCTLS = "/proc/sys/net/netfilter"
SIGNS = (
    SYSCTLS + "/nf_conntrack_count",
    "/proc/net/stat/nf_conntrack",
    "/proc/net/nf_conntrack",
    "/sys/module/nf_conntrack",
)
NOT_LOADED = "nf_conntrack is not loaded"
MOST_SYSCTLS = 200  # a kernel has about 60
MOST_CPUS = 4096

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
    if not any(os.path.exists(place(root, sign)) for sign in SIGNS):
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
    return timeouts_of(_sysctls(root))


def timeouts_of(sysctls: Dict[str, int]) -> Dict[str, int]:
    """The timeouts among the nf_conntrack_* sysctls, whose names come without that."""
    found = {name: value for name, value in sysctls.items() if "timeout" in name}
    return {name.replace("_timeout", "", 1): value for name, value in found.items()}


def settings(root: str = "/") -> Dict[str, int]:
    """The other conntrack sysctls that are numbers, without what ``usage`` tells."""
    return settings_of(_sysctls(root))


def settings_of(sysctls: Dict[str, int]) -> Dict[str, int]:
    """The others among the nf_conntrack_* sysctls."""
    told = ("count", "max", "buckets")
    return {name: value for name, value in sysctls.items() if "timeout" not in name and name not in told}


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
    return reading_of(per_cpu, at, number(root, SYSCTLS + "/nf_conntrack_count"))


def reading_of(per_cpu: PerCpu, at: float, entries: Optional[int]) -> Dict[str, Any]:
    """One reading of the counters as the report has it."""
    sample = {name: sum(values) for name, values in per_cpu.items()}  # type: Dict[str, Any]
    sample["at"] = at
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
