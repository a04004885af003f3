"""What still gets through: pings, and new TCP connections, each from a socket of its own.

On a full table a retransmitted packet meets the same fate as the first; a new socket draws again. So many short
attempts with fresh sockets show the rate at which new connections fail, and one long attempt shows nothing. Bounded in
number and time. It must not know what a failure means for a verdict.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import struct
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from diagnostics.probe import machine
from diagnostics.probe.procfs import Unreadable

ATTEMPTS = 20
SPREAD_SECONDS = 0.4  # so that a burst of drops does not decide for all attempts
MOST_ATTEMPTS = 100
# The kernel sends a SYN again after one second (TCP_TIMEOUT_INIT, include/net/tcp.h). Its timer counts in ticks of up
# to ten milliseconds. An attempt waits a little longer than that, so that one lost SYN is seen as such.
RETRANSMIT_SECONDS = 1.0
TICK_SECONDS = 0.01
LATE_SECONDS = 0.2
PING_NOT_PERMITTED = "not permitted: needs CAP_NET_RAW or net.ipv4.ping_group_range"
_ICMP_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}  # request and reply types
_PAYLOAD = b"conntrack-bot" + b"\0" * 43  # 56 bytes, as ping sends

Started = Tuple[socket.socket, Callable[[], bool]]  # a socket that waits, and whether what came is its answer
Outcome = Tuple[Optional[float], str]  # seconds of a success, or the reason of a failure


def default_gateway(root: str = "/") -> str:
    """The node's default gateway: what to ping where the caller names nothing."""
    found = machine.gateway(root)
    if found is None:
        raise Unreadable("no default gateway")
    return found


# ---- ping -----------------------------------------------------------------------------------------------------------


def ping(
    address: str, what: str, count: int = 3, timeout_seconds: float = 1.0, deadline: Optional[float] = None
) -> Dict[str, Any]:
    """ICMP echoes, each from a new socket: its new id makes a new conntrack entry.

    ``deadline`` is a time of ``time.monotonic()``. A send that the kernel refuses (EPERM on a full table) counts as its
    own failure. Raises Unreadable where this process may not ping at all.
    """
    family, where = _place(address, 0)
    _require_ping(family)
    outcomes = _spread_out(
        lambda number: _echo(family, where, number), count, timeout_seconds, deadline, selectors.EVENT_READ
    )
    seconds = [took for took, _ in outcomes if took is not None]
    return {
        "address": address,
        "what": what,
        "sent": len(outcomes),
        "answered": len(seconds),
        "seconds": _rounded(seconds),
        "failed": _counted(outcomes),
    }


def _require_ping(family: int) -> None:
    try:
        _icmp_socket(family)[0].close()
    except PermissionError as error:
        raise Unreadable(PING_NOT_PERMITTED) from error
    except OSError as error:
        raise Unreadable("no ICMP socket: %s" % error.strerror) from error


def _icmp_socket(family: int) -> Tuple[socket.socket, bool]:
    """A socket for ICMP, and whether it is a raw one: without privileges if the kernel lets this group, else raw."""
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    try:
        return socket.socket(family, socket.SOCK_DGRAM, protocol), False
    except OSError:
        return socket.socket(family, socket.SOCK_RAW, protocol), True


def _echo(family: int, where: Any, number: int) -> Started:
    """Send one echo request."""
    opened, is_raw = _icmp_socket(family)
    try:
        opened.setblocking(False)
        identity = struct.unpack("=H", os.urandom(2))[0]
        opened.sendto(echo_request(family, identity, number), where)
    except OSError:
        opened.close()
        raise

    def is_answered() -> bool:
        packet = opened.recv(2048)
        return echo_answers(packet, family, is_raw, identity if is_raw else None, number)

    return opened, is_answered


def echo_request(family: int, identity: int, number: int) -> bytes:
    """An echo request. The kernel fills in the checksum of IPv6, and the id where the socket is not raw."""
    kind = _ICMP_ECHO[socket.AddressFamily(family)][0]
    head = struct.pack("!BBHHH", kind, 0, 0, identity, number)
    if family == socket.AF_INET6:
        return head + _PAYLOAD
    return struct.pack("!BBHHH", kind, 0, checksum(head + _PAYLOAD), identity, number) + _PAYLOAD


def checksum(packet: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    packet += b"\0" * (len(packet) % 2)
    total = sum(struct.unpack("!%dH" % (len(packet) // 2), packet))  # type: int
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def echo_answers(packet: bytes, family: int, is_raw: bool, identity: Optional[int], number: int) -> bool:
    """Whether a received packet answers the request with this id (None: the kernel has checked it) and number."""
    if is_raw and family == socket.AF_INET:  # a raw IPv4 socket gives the IP header too
        packet = packet[(packet[0] & 0x0F) * 4 :] if packet else b""
    if len(packet) < 8:
        return False
    kind, _, _, its_identity, its_number = struct.unpack_from("!BBHHH", packet)
    is_reply = kind == _ICMP_ECHO[socket.AddressFamily(family)][1]
    return is_reply and its_number == number and identity in (None, its_identity)


# ---- new connections ------------------------------------------------------------------------------------------------


def connect(
    address: str,
    port: int,
    what: str,
    attempts: int = ATTEMPTS,
    timeout_seconds: float = RETRANSMIT_SECONDS,
    deadline: Optional[float] = None,
) -> Dict[str, Any]:
    """New TCP connections to a served address, started over SPREAD_SECONDS.

    Each gets LATE_SECONDS more than ``timeout_seconds``: one that succeeds later than RETRANSMIT_SECONDS has lost its
    first SYN, and is counted in ``retransmitted``. ``deadline`` is a time of ``time.monotonic()``; what it cuts short
    is not counted, for it has not failed.
    """
    family, where = _place(address, port)
    outcomes = _spread_out(
        lambda _: _knock(family, where), attempts, timeout_seconds + LATE_SECONDS, deadline, selectors.EVENT_WRITE
    )
    seconds = [took for took, _ in outcomes if took is not None]
    return {
        "address": address,
        "port": port,
        "what": what,
        "attempts": len(outcomes),
        "connected": len(seconds),
        "seconds": _rounded(seconds),
        "failed": _counted(outcomes),
        "retransmitted": sum(1 for took in seconds if took >= RETRANSMIT_SECONDS - TICK_SECONDS),
    }


def _knock(family: int, where: Any) -> Started:
    """Start one connection."""
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setblocking(False)
    # Closed by a reset, the connection's entry lives for 10 s on a node whose table may be full, and not for 120.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    number = opened.connect_ex(where)
    if number not in (0, errno.EINPROGRESS):
        opened.close()
        raise OSError(number, os.strerror(number))

    def is_connected() -> bool:
        number = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
        return True

    return opened, is_connected


# ---- both -----------------------------------------------------------------------------------------------------------


def _place(address: str, port: int) -> Tuple[int, Any]:
    """The family and the socket address. Only numbers are taken: a name would need the network that is in doubt."""
    plain, _, zone = address.partition("%")
    try:
        struct.pack("!H", port)  # refuses what is no port
        family = socket.AF_INET6 if ":" in plain else socket.AF_INET
        socket.inet_pton(family, plain)  # refuses what is no address
        scope = socket.if_nametoindex(zone) if zone else 0
    except (ValueError, OSError, struct.error) as error:
        raise Unreadable("no address to reach: %.60s port %d" % (address, port)) from error
    return family, (plain, port) if family == socket.AF_INET else (plain, port, 0, scope)


class _Trial:
    """Attempts under way in one loop: none waits for another."""

    def __init__(self, events: int) -> None:
        self.outcomes = []  # type: List[Outcome]
        self._events = events
        self._waiting = selectors.DefaultSelector()

    def start(self, begin: Callable[[int], Started], number: int, timeout_seconds: float) -> None:
        started = time.monotonic()
        try:
            opened, is_answered = begin(number)
        except OSError as error:
            self.outcomes.append((None, reason(error)))
            return
        self._waiting.register(opened, self._events, (started, started + timeout_seconds, is_answered))

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting.get_map())

    def wait(self, until: float) -> None:
        """Take what comes until ``until``, and give up what has waited long enough."""
        soonest = min([key.data[1] for key in self._waiting.get_map().values()] + [until])
        for key, _ in self._waiting.select(max(0.0, soonest - time.monotonic())):
            started, _, is_answered = key.data
            try:
                if is_answered():
                    self._end(key, (time.monotonic() - started, ""))
            except BlockingIOError:
                pass  # the kernel woke us for a packet that it then threw away
            except OSError as error:
                self._end(key, (None, reason(error)))
        now = time.monotonic()
        for key in [each for each in self._waiting.get_map().values() if each.data[1] <= now]:
            self._end(key, (None, "timeout"))

    def _end(self, key: selectors.SelectorKey, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._waiting.unregister(key.fileobj)
        key.fileobj.close()  # type: ignore[union-attr]  # only sockets are registered

    def close(self) -> None:
        for key in list(self._waiting.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # only sockets are registered
        self._waiting.close()


def _spread_out(
    begin: Callable[[int], Started], attempts: int, timeout_seconds: float, deadline: Optional[float], events: int
) -> List[Outcome]:
    """Begin all attempts, spread over SPREAD_SECONDS, and take their outcomes as they come."""
    attempts = max(0, min(attempts, MOST_ATTEMPTS))
    first = time.monotonic()
    end = first + SPREAD_SECONDS + timeout_seconds + 1.0 if deadline is None else deadline
    trial = _Trial(events)
    try:
        for number in range(attempts):
            due = min(first + SPREAD_SECONDS * number / attempts, end)
            while time.monotonic() < due:
                trial.wait(due)
            if time.monotonic() >= end:
                break
            trial.start(begin, number + 1, timeout_seconds)
        while trial.is_waiting and time.monotonic() < end:
            trial.wait(end)
        return trial.outcomes
    finally:
        trial.close()


def reason(error: OSError) -> str:
    """A failure as the report names it: "timeout", "refused", or the errno's name."""
    known = {errno.ETIMEDOUT: "timeout", errno.ECONNREFUSED: "refused"}
    number = error.errno or 0
    return known.get(number) or errno.errorcode.get(number, "error %d" % number)


def _rounded(seconds: List[float]) -> List[float]:
    return [round(each, 4) for each in seconds]


def _counted(outcomes: List[Outcome]) -> Dict[str, int]:
    failed = {}  # type: Dict[str, int]
    for took, why in outcomes:
        if took is None:
            failed[why] = failed.get(why, 0) + 1
    return failed
