"""Parsers of the kernel's statistics files under /proc/net: text in, numbers out.

Pure. By the names in a file's heading wherever it has one, for kernels differ in their columns; a number that is none
is left out. It must not know what the numbers are wanted for.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from diagnostics.probe.procfs import LARGEST_NUMBER, Unreadable, whole_number

Numbers = Dict[str, int]


def _named(names: Sequence[str], words: Sequence[str], base: int = 10) -> Numbers:
    pairs = [(name, whole_number(word, base)) for name, word in zip(names, words)]  # noqa: B905  # not in Python 3.7
    return {name: value for name, value in pairs if value is not None}


def pairs_of(stat: str, protocol: str) -> Numbers:
    """One protocol of /proc/net/snmp or netstat: a line of names, then a line of numbers."""
    lines = [line.split() for line in stat.splitlines() if line.startswith(protocol + ":")]
    if len(lines) < 2:
        return {}
    return _named(lines[0][1:], lines[1][1:])


def sockstat_of(stat: str) -> Numbers:
    """The TCP line of /proc/net/sockstat: names and numbers in turn."""
    for line in stat.splitlines():
        words = line.split()
        if words and words[0] == "TCP:":
            return _named(words[1::2], words[2::2])
    return {}


def statistics_of(stat: str) -> Tuple[Numbers, Numbers]:
    """A file of /proc/net/stat, by the names of its heading: the first CPU's numbers, and the sums over all CPUs."""
    rows = [line.split() for line in stat.splitlines() if line.strip()]
    first, total = {}, {}  # type: Numbers, Numbers
    for row in rows[1:]:
        for name, value in _named(rows[0], row, 16).items():
            first.setdefault(name, value)
            total[name] = min(total.get(name, 0) + value, LARGEST_NUMBER)
    return first, total


def softnet_of(stat: str) -> Numbers:
    """/proc/net/softnet_stat: a line per CPU, hexadecimal; the second word is dropped, the third time_squeeze."""
    found = {"dropped": 0, "squeezed": 0}
    lines = [line.split() for line in stat.splitlines()]
    lines = [words for words in lines if len(words) >= 3]
    if not lines:
        raise Unreadable("/proc/net/softnet_stat: no counters in it")
    for words in lines:
        found["dropped"] += whole_number(words[1], 16) or 0
        found["squeezed"] += whole_number(words[2], 16) or 0
    return found


def devices_of(dev: str) -> Dict[str, Numbers]:
    """/proc/net/dev: errors and drops by interface, both directions."""
    found = {}  # type: Dict[str, Numbers]
    for line in dev.splitlines():
        name, colon, rest = line.rpartition(":")
        values = [whole_number(word) or 0 for word in rest.split()]
        if colon and len(values) >= 12 and "/" not in name and name.strip() not in ("", ".", ".."):
            found[name.strip()] = {"errors": values[2] + values[10], "dropped": values[3] + values[11]}
    return found


def default_route_interfaces(routes: str) -> List[str]:
    """The interfaces of the default routes in /proc/net/route."""
    rows = [line.split() for line in routes.splitlines()[1:]]
    return [words[0] for words in rows if len(words) > 7 and words[1] == words[7] == "00000000"]


def ipvs_connections_of(stats: str) -> Optional[int]:
    """Connections since boot in /proc/net/ip_vs_stats: the first word of the first line after the two headings."""
    rows = [line.split() for line in stats.splitlines()[2:3]]
    return whole_number(rows[0][0], 16) if rows and rows[0] else None


def ports_within(ranges: str, low: int, high: int) -> int:
    """How many ports of "8080,9000-9010" lie between ``low`` and ``high``."""
    total = 0
    for part in ranges.strip().split(","):
        first, _, last = part.partition("-")
        start, end = whole_number(first), whole_number(last or first)
        if start is not None and end is not None:
            total += max(0, min(end, high) - max(start, low) + 1)
    return total


def snmp6_of(stat: str) -> Numbers:
    """/proc/net/snmp6: a name and a number a line."""
    rows = [line.split() for line in stat.splitlines()]
    return _named([words[0] for words in rows if len(words) == 2], [words[1] for words in rows if len(words) == 2])
