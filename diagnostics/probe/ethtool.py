"""The counters that a network card's driver keeps, by the ethtool ioctl, without the tool.

Used for the limits of a cloud instance: AWS drops what is above them outside the kernel, where no sysctl helps, and
only its driver (ena) tells. Needs no capability. It must not know what a counter means for a verdict.
"""

from __future__ import annotations

import array
import socket
import struct
from typing import Dict, List, Tuple

from diagnostics.probe.procfs import LARGEST_NUMBER, Unreadable

# include/uapi/linux/ethtool.h and sockios.h
_SIOCETHTOOL = 0x8946
_GDRVINFO, _GSTRINGS, _GSTATS = 0x03, 0x1B, 0x1D
_SS_STATS = 1
_DRVINFO_BYTES, _N_STATS_OFFSET, _NAME_BYTES = 196, 180, 32
_MOST_STATS = 16384
_MOST_INTERFACES = 16
# The kernel writes as many names as the driver has at that moment, whatever room was offered: a driver that got more
# queues since it was asked for their number must not write past the end.
_SPARE_STATS = 4096

# AWS ENA's names: "conntrack_allowance_exceeded" and others (EC2 guide, "Monitor network performance").
_COUNTERS = {
    "conntrack_allowance_exceeded": "exceeded",
    "pps_allowance_exceeded": "packets_exceeded",
    "bw_in_allowance_exceeded": "bandwidth_exceeded",
    "bw_out_allowance_exceeded": "bandwidth_exceeded",
    "linklocal_allowance_exceeded": "link_local_exceeded",
}
_GAUGES = {"conntrack_allowance_available": "available"}

Numbers = Dict[str, int]


def allowances(interfaces: List[str]) -> Tuple[Numbers, Numbers]:
    """(counters, gauges) of the cloud's limits, summed over the interfaces. Raises Unreadable where no driver tells."""
    found = []  # type: List[Numbers]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for name in interfaces[:_MOST_INTERFACES]:
            try:
                found.append(_wanted_statistics(asked, name))
            except OSError:
                continue  # a driver without statistics
    return sums_of(found)


def sums_of(found: List[Numbers]) -> Tuple[Numbers, Numbers]:
    """The drivers' names in ours, over all interfaces that keep such counters."""
    found = [each for each in found if any(name in each for name in _COUNTERS)]
    if not found:
        raise Unreadable("no driver here tells a cloud's limits")
    counters, gauges = {}, {"interfaces": len(found)}  # type: Numbers, Numbers
    for each in found:
        for names, sums in ((_COUNTERS, counters), (_GAUGES, gauges)):
            for theirs, ours in names.items():
                if theirs in each:
                    sums[ours] = min(sums.get(ours, 0) + each[theirs], LARGEST_NUMBER)
    return counters, gauges


def _wanted_statistics(asked: socket.socket, interface: str) -> Numbers:
    """The counters of one interface that have a name of ours. Their values are asked for only if there are any."""
    drvinfo = _call(asked, interface, struct.pack("=I", _GDRVINFO), _DRVINFO_BYTES)
    count = struct.unpack_from("=I", drvinfo, _N_STATS_OFFSET)[0]
    if not 0 < count <= _MOST_STATS:
        return {}
    room = count + _SPARE_STATS
    names = names_of(_call(asked, interface, struct.pack("=III", _GSTRINGS, _SS_STATS, count), 12 + room * _NAME_BYTES))
    wanted = [(position, name) for position, name in enumerate(names) if name in _COUNTERS or name in _GAUGES]
    if not wanted:
        return {}
    values = _call(asked, interface, struct.pack("=II", _GSTATS, len(names)), 8 + room * 8)
    return {name: struct.unpack_from("=Q", values, 8 + 8 * position)[0] for position, name in wanted}


def names_of(gstrings: bytes) -> List[str]:
    """The names in an answer to ETHTOOL_GSTRINGS: command, set, count, then 32 bytes each."""
    count = min(struct.unpack_from("=I", gstrings, 8)[0], (len(gstrings) - 12) // _NAME_BYTES)
    starts = range(12, 12 + count * _NAME_BYTES, _NAME_BYTES)
    return [gstrings[at : at + _NAME_BYTES].split(b"\0")[0].decode("ascii", "replace").strip() for at in starts]


def _call(asked: socket.socket, interface: str, command: bytes, size: int) -> bytes:
    """One ethtool command: struct ifreq holds the interface's name and the address of a buffer."""
    import fcntl  # noqa: PLC0415  # costs start time, and is needed here only

    room = array.array("B", command + b"\0" * (size - len(command)))
    request = struct.pack("16sP16x", interface.encode("ascii", "replace")[:15], room.buffer_info()[0])
    fcntl.ioctl(asked.fileno(), _SIOCETHTOOL, request)
    return room.tobytes()
