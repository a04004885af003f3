"""A question to the kernel through netlink, and its answer: messages in, payloads out.

``ask`` is for small answers (statistics, addresses, names of tables). The conntrack table itself is read elsewhere, by
fixed offsets; sockets, requests and the walk along attributes are the same. This module must not know what an
attribute means.
"""

from __future__ import annotations

import os
import socket
import struct
import time

from diagnostics.probe.procfs import Unreadable, why

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Tuple

    Message = Tuple[int, bytes]

NETFILTER = 12
ROUTE = 0
DUMP = 0x300  # NLM_F_ROOT | NLM_F_MATCH
TIMEOUT_SECONDS = 2.0
LARGEST_ANSWER_BYTES = 4 * 1024 * 1024

ERROR, DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: what is dumped changed its shape meanwhile, so parts may be missing or twice
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_RECEIVE_BYTES = 32768  # the kernel fills at most this much of a reader's buffer
_SEQUENCE = 7  # arbitrary: one question per socket


def ask(family: int, kind: int, payload: bytes, dump: bool, timeout_seconds: float = TIMEOUT_SECONDS) -> List[Message]:
    """Send one request; the (type, payload) messages of the answer."""
    try:
        with asking(family, kind, payload, dump, timeout_seconds) as asked:
            return _answer(asked, dump, time.monotonic() + timeout_seconds)
    except OSError as error:
        raise Unreadable("netlink: %s" % why(error)) from error


def asking(family: int, kind: int, payload: bytes, dump: bool, timeout_seconds: float) -> socket.socket:
    """A socket on which one request has been sent, and whose answer has not been read."""
    asked = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family)
    try:
        asked.settimeout(timeout_seconds)
        asked.bind((0, 0))
        asked.send(_HEADER.pack(_HEADER.size + len(payload), kind, 1 | (DUMP if dump else 0), _SEQUENCE, 0) + payload)
    except OSError:
        asked.close()
        raise
    return asked


def _answer(asked: socket.socket, dump: bool, end: float) -> List[Message]:
    found = []  # type: List[Message]
    read = 0
    while read < LARGEST_ANSWER_BYTES and time.monotonic() < end:
        datagram = asked.recv(_RECEIVE_BYTES)
        read += len(datagram)
        for kind, payload in messages(datagram):
            if kind == DONE:
                return found
            if kind == ERROR:
                _raise_unless_zero(payload)
                return found
            found.append((kind, payload))
        if not dump:
            return found
    raise Unreadable("netlink: the answer has no end")


def _raise_unless_zero(payload: bytes) -> None:
    number = -struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
    if number > 0:
        raise OSError(number, os.strerror(number))


def messages(datagram: bytes) -> Iterator[Message]:
    """The messages of one datagram; what does not parse ends it."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind = _HEADER.unpack_from(datagram, at)[:2]
        if length < _HEADER.size or at + length > len(datagram):
            return
        yield kind, datagram[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def walk(data: bytes, start: int, end: int) -> Iterator[Tuple[int, int, int]]:
    """The attributes between two offsets: (type, start of the value, end of the value).

    The type comes without NLA_F_NESTED and NLA_F_NET_BYTEORDER. Raises struct.error where one reaches past the end.
    """
    while start + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, start)
        if length < 4 or start + length > end:
            raise struct.error("an attribute reaches past its end")
        yield kind & 0x3FFF, start + 4, start + length
        start += (length + 3) & ~3


def attributes(payload: bytes, start: int) -> Dict[int, bytes]:
    """The attributes of a message from offset ``start`` on, by number; what does not parse ends them."""
    found = {}  # type: Dict[int, bytes]
    try:
        for kind, value, value_end in walk(payload, start, len(payload)):
            found[kind] = payload[value:value_end]
    except struct.error:
        pass
    return found
