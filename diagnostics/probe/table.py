"""The conntrack table, sampled or whole: over ctnetlink, or from /proc where that is refused.

The kernel walks its hash table, whose order is a keyed hash: the first entries of a dump are a fair sample of all
(measured on Linux 6.18). The section "table" of a report:

    via         "ctnetlink" | "proc"
    mode        "sample" | "exact"
    read        entries looked at; every count below is out of these
    whole       true where these are all entries
    ended_early true where the deadline came first, absent otherwise
    unparsed    entries that could not be understood
    seconds     how long it took
    protocols, families, zones (absent where all are in zone 0)    {name: entries}
    states      {"TIME_WAIT": entries, …}: TCP states, and UDP (one-shot), UDP_STREAM (assured), ICMP, SCTP, OTHER
    unreplied, assured, dnat, snat, offload    entries
    sources     [{address, entries, states, unreplied, assured, nat, targets: [[protocol, address, port, entries], …],
                targets_distinct, ages (of the first three)}, …]: who opened them; sources_other, sources_distinct
    destinations, backends    [[protocol, address, port, entries], …]: who is called, and who really answers;
                each with …_other and …_distinct
    ages        {state: {timeout, bucket_seconds, counts: [entries that last changed 0, 1, 2 … buckets ago]}}
    rows        the first entries as ``conntrack -L`` prints them
"""

from __future__ import annotations

import os
import re
import socket
import time

from diagnostics.probe import ctnetlink
from diagnostics.probe.kernel import Unreadable, require_conntrack
from diagnostics.probe.tally import ASSURED, OFFLOAD, SEEN_REPLY, TCP_STATES, Entry, Tally

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Any

SAMPLE_ENTRIES = 8000
LONGEST_LINE = 4096
NOT_PERMITTED = (1, 13)  # EPERM, EACCES

# Compiled when a line needs them: over ctnetlink none does, and patterns cost start time.
_TUPLE = rb"src=(\S+) dst=(\S+)(?: sport=(\d{1,5}) dport=(\d{1,5}))?"
_FRONT = rb"\s*(?:ipv[46]\s+\d+\s+)?(\S+)\s+(\d{1,3})\s+(?:(\d{1,10})\s+)?(?:([A-Z][A-Z0-9_]*)\s+)?"
_ZONE = rb" zone=(\d{1,5})"


def read(
    timeouts: dict[str, int],
    most: int | None = SAMPLE_ENTRIES,
    deadline: float | None = None,
    root: str = "/",
) -> dict[str, Any]:
    """The section "table": about ``most`` entries, or all of them where that is None.

    ``timeouts`` are the report's, ``deadline`` is a time of ``time.monotonic()``; what was counted by then is returned.
    Raises Unreadable where neither ctnetlink nor /proc can be read, and where the kernel tracks nothing: to ask it
    would load nf_conntrack.
    """
    require_conntrack(root)
    began = time.monotonic()
    tally = Tally(timeouts)
    try:
        whole = ctnetlink.dump(tally, most, deadline)
        via = "ctnetlink"
    except OSError as refused:
        tally = Tally(timeouts)
        via = "proc"
        try:
            whole = _read_proc(tally, most, deadline, os.path.join(root, "proc/net/nf_conntrack"))
        except OSError as missing:
            raise Unreadable(_why(refused, missing)) from missing
    section = tally.section()
    section.update({"via": via, "mode": "exact" if most is None else "sample", "whole": whole})
    section["seconds"] = round(time.monotonic() - began, 4)
    return section


def parse_proc_line(line: bytes) -> Entry | None:
    """One line of /proc/net/nf_conntrack or of ``conntrack -L``, or None where it is not understood."""
    front, tuples = re.match(_FRONT, line), re.findall(_TUPLE, line)
    if front is None or len(tuples) != 2:
        return None
    (source, destination, source_port, port), (reply_source, reply_destination, reply_port, reply_to) = tuples
    zone = re.search(_ZONE, line)
    state = front.group(4)
    entry = Entry(
        protocol=int(front.group(2)),
        timeout=int(front.group(3)) if front.group(3) else None,
        state=TCP_STATES.index(state.decode()) if state and state.decode() in TCP_STATES else None,
        status=(0 if b"[UNREPLIED]" in line else SEEN_REPLY)
        | (ASSURED if b"[ASSURED]" in line else 0)
        | (OFFLOAD if b"OFFLOAD]" in line else 0),
        source_port=_port(source_port),
        port=_port(port),
        reply_port=_port(reply_port),
        reply_to=_port(reply_to),
        zone=int(zone.group(1)) if zone else 0,
    )
    try:
        entry.source, entry.destination = _packed(source), _packed(destination)
        entry.reply_source, entry.reply_destination = _packed(reply_source), _packed(reply_destination)
    except (OSError, ValueError):
        return None
    return entry


def _port(digits: bytes) -> int | None:
    return int(digits) & 0xFFFF if digits else None


def _packed(address: bytes) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if b":" in address else socket.AF_INET, address.decode("ascii"))


def _read_proc(tally: Tally, most: int | None, deadline: float | None, path: str) -> bool:
    """Count the entries of /proc/net/nf_conntrack line by line; true where all were read."""
    with open(path, "rb") as lines:
        while True:
            line = lines.readline(LONGEST_LINE)
            if not line:
                return True
            entry = parse_proc_line(line)
            if entry is None:
                tally.unparsed += 1
            else:
                tally.read += 1
                tally.count_one(entry)
            if most is not None and tally.read + tally.unparsed >= most:
                return False
            if deadline is not None and tally.read % 256 == 0 and time.monotonic() >= deadline:
                tally.ended_early = True
                return False


def _why(refused: OSError, missing: OSError) -> str:
    """Why neither way could be read, in words."""
    by_netlink = "not permitted, it needs CAP_NET_ADMIN" if refused.errno in NOT_PERMITTED else _words(refused)
    by_proc = "not in this kernel" if missing.errno == 2 else _words(missing)
    return "ctnetlink: %s; /proc/net/nf_conntrack: %s" % (by_netlink, by_proc)


def _words(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
