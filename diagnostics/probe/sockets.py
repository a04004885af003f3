"""The sockets of one network namespace, streamed out of /proc/net/tcp, tcp6, udp and udp6.

Bounded in bytes and time, a row at a time. It must not know who owns a socket, nor what many of them mean.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from typing import Iterator, NamedTuple, Optional, Tuple

from diagnostics.probe import procfs

MOST_BYTES = 48 * 1024 * 1024  # of each file: 300,000 sockets at 150 bytes; the deadline usually comes first
_SWAP = sys.byteorder == "little"  # addresses are printed as words in the machine's byte order
_CLOCK_ROWS = 256  # how many rows between two looks at the clock

# include/net/tcp_states.h. A UDP socket is 07 unless it is connected (01).
TCP_STATES = {
    "01": "ESTABLISHED",
    "02": "SYN_SENT",
    "03": "SYN_RECV",
    "04": "FIN_WAIT1",
    "05": "FIN_WAIT2",
    "06": "TIME_WAIT",
    "07": "CLOSE",
    "08": "CLOSE_WAIT",
    "09": "LAST_ACK",
    "0A": "LISTEN",
    "0B": "CLOSING",
    "0C": "SYN_RECV",
}


class Row(NamedTuple):
    """One socket. Addresses stay as the kernel prints them until someone shows them: ``address`` converts."""

    protocol: str
    state: str
    local: str
    local_port: int
    remote: str
    remote_port: int
    inode: int


def rows(root: str, path: str, deadline: float) -> Iterator[Row]:
    """The sockets in ``/proc/net/tcp`` and the like, until ``deadline`` (``time.monotonic()``)."""
    protocol = path.rsplit("/", 1)[-1].rstrip("6")
    for number, line in enumerate(procfs.lines(root, path, MOST_BYTES)):
        if number % _CLOCK_ROWS == 0 and time.monotonic() >= deadline:
            return
        row = row_of(protocol, line)
        if row is not None:
            yield row


def row_of(protocol: str, line: str) -> Optional[Row]:
    """One line; None for the heading and for what does not parse."""
    words = line.split(None, 10)
    if len(words) < 10:
        return None
    local, _, local_port = words[1].partition(":")
    remote, _, remote_port = words[2].partition(":")
    numbers = (procfs.whole_number(local_port, 16), procfs.whole_number(remote_port, 16), procfs.whole_number(words[9]))
    if None in numbers or len(local) not in (8, 32) or len(remote) != len(local):
        return None
    state = "UDP" if protocol == "udp" else TCP_STATES.get(words[3], "OTHER")
    return Row(protocol, state, local, numbers[0] or 0, remote, numbers[1] or 0, numbers[2] or 0)


def address(printed: str) -> Optional[str]:
    """An address as /proc/net prints it, for people; an IPv4 address within IPv6 as IPv4."""
    try:
        packed = bytes.fromhex(printed)
        if _SWAP:
            packed = struct.pack("<%dI" % (len(packed) // 4), *struct.unpack(">%dI" % (len(packed) // 4), packed))
        if packed[:12] == b"\0" * 10 + b"\xff\xff":
            packed = packed[12:]
        return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    except (ValueError, struct.error):
        return None


def is_unset(printed: str) -> bool:
    """Whether an address is all zeros, as the remote side of a listening socket is."""
    return not printed.strip("0")


Target = Tuple[str, str, int]  # protocol, remote address as printed, remote port
