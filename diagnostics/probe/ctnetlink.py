"""Reads a ctnetlink dump of the conntrack table fast: no object per entry, constant memory.

Messages of one layout differ only in their values. So a layout is learnt once, from its first message; further
messages of it are put together, side by side, and read in one go at fixed distances, after a check that all attribute
headers are the same. What is counted is ``tally``'s business; this file knows only where the values lie.

Sources: include/uapi/linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_conntrack_netlink.c (ctnetlink_fill_info).
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections import Counter

from diagnostics.probe import netlink
from diagnostics.probe.tally import SEEN_REPLY, Entry, Tally

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Any, Iterator

CT_NEW, CT_GET = 1 << 8, (1 << 8) | 1
ALL_FAMILIES = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)  # struct nfgenmsg
RECEIVE_BYTES = 65536  # the kernel fills at most 32 KiB per message
SILENCE_SECONDS = 5.0
MOST_KEYS = 12000  # different keys kept before they are folded into the tally: some 5 MB
MOST_HEADS = 256  # a handful is usual; security contexts of many lengths make more
MOST_LAYOUTS = 8  # of one head; one is usual
BATCH_BYTES = 1 << 19
MOST_WAITING_BYTES = 1 << 21
HEAD_BYTES = 32  # both netlink headers, and the headers of the first tuple, of its addresses, of the source address

TUPLE_ORIG, TUPLE_REPLY, STATUS, PROTOINFO, TIMEOUT, ZONE = 1, 2, 3, 4, 7, 18
IP, PROTO = 1, 2
ADDRESSES = {1: "source", 2: "destination", 3: "source", 4: "destination"}  # V4_SRC, V4_DST, V6_SRC, V6_DST
NUM = 1
PORTS = {2: "source_port", 3: "port", 10: "source_port"}  # SRC_PORT, DST_PORT
REPLY = {"source": "reply_source", "destination": "reply_destination", "source_port": "reply_port", "port": "reply_to"}
STATES = {6: (1, 1), 33: (2, 1), 132: (3, 1)}  # protocol -> (nest, attribute) of the state: TCP, DCCP, SCTP
COUNTED_BY = frozenset(
    ("source", "destination", "port", "reply_source", "reply_destination", "reply_port", "status", "state", "zone")
)
NEEDED = frozenset(("source", "destination", "reply_source", "reply_destination", "protocol", "status"))


class _Places:
    """Where the values and the attribute headers of one message lie, relative to its start.

    Raises struct.error where the message is no whole entry.
    """

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.values: dict[str, tuple[int, str]] = {}
        self.headers: list[tuple[int, int]] = []
        self._data, self._start = data, start
        for kind, at, stop in self._attributes(start + 20, end):
            if kind in (TUPLE_ORIG, TUPLE_REPLY):
                self._tuple(at, stop, REPLY if kind == TUPLE_REPLY else None)
            elif kind == PROTOINFO:
                self._state(at, stop)
            elif kind in (STATUS, TIMEOUT) and stop - at == 4:
                self.values["status" if kind == STATUS else "timeout"] = (at - start, "I")
            elif kind == ZONE and stop - at == 2:
                self.values["zone"] = (at - start, "H")
        if NEEDED - set(self.values):
            raise struct.error("not an entry")

    def _attributes(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The attributes between two offsets, their headers noted."""
        for kind, value, value_end in netlink.walk(self._data, start, end):
            self.headers.append((value - 4 - self._start, 4))
            yield kind, value, value_end

    def _tuple(self, start: int, end: int, names: dict[str, str] | None) -> None:
        for nest, at, stop in self._attributes(start, end):
            for kind, value, value_end in self._attributes(at, stop):
                size, name, form = value_end - value, "", "B"
                if nest == IP and size in (4, 16):
                    name, form = ADDRESSES.get(kind, ""), "%ds" % size
                elif nest == PROTO and size == 2:
                    name, form = PORTS.get(kind, ""), "H"
                elif nest == PROTO and kind == NUM and size == 1:
                    self.headers.append((value - self._start, 1))
                    name = "" if names else "protocol"
                if name:
                    self.values[names[name] if names else name] = (value - self._start, form)

    def _state(self, start: int, end: int) -> None:
        if "protocol" not in self.values:
            raise struct.error("a state without a protocol")
        wanted = STATES.get(self._data[self._start + self.values["protocol"][0]])
        for nest, at, stop in self._attributes(start, end):
            for kind, value, value_end in self._attributes(at, stop):
                if (nest, kind) == wanted and value_end - value == 1:
                    self.values["state"] = (value - self._start, "B")


def _struct(length: int, fields: list[tuple[int, str]]) -> struct.Struct:
    """Big-endian fields at their offsets, in the order of the offsets, in ``length`` bytes."""
    form, position = ">", 0
    for at, kind in sorted(fields):
        form += "%dx%s" % (at - position, kind)
        position = at + struct.calcsize(">" + kind)
    return struct.Struct(form + "%dx" % (length - position))


class Layout:
    """Messages whose values lie at the same offsets, and what was counted of them.

    ``names`` says what ``key`` yields, which is what entries are counted by.
    """

    def __init__(self, message: bytes) -> None:
        found = _Places(message, 0, len(message))
        self._places = found.values
        self._step = len(message)
        self._fixed = [
            (at + byte, message[at + byte : at + byte + 1]) for at, size in found.headers for byte in range(size)
        ]
        self._check = _struct(self._step, [(at, "%ds" % size) for at, size in found.headers]).unpack
        self._expected = self._check(message)
        self.protocol = message[self._places["protocol"][0]]
        keyed = sorted((place, name) for name, place in self._places.items() if name in COUNTED_BY)
        self.names = tuple(name for _, name in keyed)
        self._status_at = self.names.index("status")
        self._key = _struct(self._step, [place for place, _ in keyed])
        timed = ["source", "status", "timeout"] + (["state"] if "state" in self._places else [])
        self._timed = _struct(self._step, [self._places[name] for name in timed]) if "timeout" in self._places else None
        self._turns = {"port", "source_port"} <= set(self._places)
        self.counts: Counter[tuple[Any, ...]] = Counter()
        self.ages: Counter[tuple[Any, ...]] = Counter()

    def fits_all(self, messages: bytes) -> bool:
        """Whether all of these messages, side by side, have this layout: the same attribute headers and protocol."""
        count = len(messages) // self._step
        return all(messages[at :: self._step] == byte * count for at, byte in self._fixed)

    def separate(self, messages: bytes) -> tuple[bytes, bytes]:
        """Those of the messages that have this layout, and the others."""
        ours: list[bytes] = []
        others: list[bytes] = []
        for message in _split(messages, self._step):
            (ours if self._check(message) == self._expected else others).append(message)
        return b"".join(ours), b"".join(others)

    def count(self, messages: bytes, tally: Tally) -> None:
        """Count messages of this layout, side by side."""
        counts = Counter(self._key.iter_unpack(messages))
        if self._turns and any(self._may_be_reversed(key) for key in counts):
            messages = self._count_reversed(messages, tally)
            counts = Counter(self._key.iter_unpack(messages))
        self.counts.update(counts)
        if self._timed is not None:
            for key, count in Counter(self._timed.iter_unpack(messages)).items():
                # Coarse, so that few different keys arise: seconds matter for what closes within minutes only.
                left = key[2]
                self.ages[(key[0], key[1], left - left % (5 if left < 600 else 300), key[3:])] += count

    def _may_be_reversed(self, key: tuple[Any, ...]) -> bool:
        return not key[self._status_at] & SEEN_REPLY and self._entry(key).may_be_reversed()

    def _entry(self, key: tuple[Any, ...]) -> Entry:
        return Entry(protocol=self.protocol, **dict(zip(self.names, key)))  # noqa: B905 (Python 3.7 has no strict)

    def _count_reversed(self, messages: bytes, tally: Tally) -> bytes:
        """Count what was picked up from the server's side, one by one, and return the other messages."""
        others = []
        for message in _split(messages, self._step):
            entry = self.whole(message)
            if entry.is_reversed():
                tally.count_one(entry)
            else:
                others.append(message)
        return b"".join(others)

    def fold(self, tally: Tally) -> None:
        """Bring the counts into the tally."""
        for key, count in self.counts.items():
            tally.count(self._entry(key), count)
        for (source, status, left, state), count in self.ages.items():
            entry = Entry(protocol=self.protocol, source=source, status=status, state=state[0] if state else None)
            tally.age(entry, left, count)
        self.counts.clear()
        self.ages.clear()

    def whole(self, message: bytes) -> Entry:
        """One message with all its values, those too that nothing is counted by."""
        values = {name: struct.unpack_from(">" + form, message, at)[0] for name, (at, form) in self._places.items()}
        return Entry(**values)


def _split(messages: bytes, step: int) -> list[bytes]:
    return [messages[at : at + step] for at in range(0, len(messages), step)]


class Head:
    """Messages that begin alike, so that they have one length and, but for rare attributes, one layout."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.waiting: list[bytes] = []
        self.waiting_bytes = 0
        self.layouts: list[Layout] = []

    def count(self, tally: Tally) -> None:
        """Count what waits."""
        messages = b"".join(self.waiting)
        self.waiting, self.waiting_bytes = [], 0
        while messages:
            layout = self._layout(messages[: self.step], tally)
            if layout is None:
                tally.unparsed += 1
                messages = messages[self.step :]
                continue
            ours, messages = (messages, b"") if layout.fits_all(messages) else layout.separate(messages)
            tally.read += len(ours) // self.step
            layout.count(ours, tally)

    def _layout(self, message: bytes, tally: Tally) -> Layout | None:
        """The layout of a message, learnt if it is new; None where it is no entry."""
        for layout in self.layouts:
            if layout.fits_all(message):
                return layout
        try:
            layout = Layout(message)
        except struct.error:
            return None
        if len(self.layouts) >= MOST_LAYOUTS:
            self.layouts.pop(0).fold(tally)
        self.layouts.append(layout)
        tally.show(layout.whole(message))
        return layout


class Reader:
    """Counts the entries of a dump, buffer by buffer, into a tally."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.seen = 0
        self.done = False
        self.error = 0
        self.is_interrupted = False
        self._heads: dict[bytes, Head] = {}

    def feed(self, data: bytes) -> None:
        """Take in one received buffer. What is not an entry, or is cut, is counted as unparsed."""
        heads, offset, end = self._heads, 0, len(data)
        while offset < end:
            start = data[offset : offset + HEAD_BYTES]
            head = heads.get(start)
            if head is None:
                offset = self._meet(data, offset)
                continue
            step, stop = head.step, offset + head.step
            while data[stop : stop + HEAD_BYTES] == start:
                stop += step
            if stop > end:
                self.tally.unparsed += 1
                stop -= step
            head.waiting.append(data[offset:stop])
            head.waiting_bytes += stop - offset
            self.seen += (stop - offset) // step
            if head.waiting_bytes > BATCH_BYTES:
                head.count(self.tally)
            offset = stop if stop > offset else end
        self._stay_small()

    def _meet(self, data: bytes, offset: int) -> int:
        """A message that begins as none before: remember its beginning, or step over it. Returns where to go on."""
        length = kind = flags = 0
        if offset + 16 <= len(data):
            length, kind, flags = struct.unpack_from("=IHH", data, offset)
        end = offset + length
        if length < 16 or end > len(data):
            self.tally.unparsed += 1
            return len(data)
        after: int = (end + 3) & ~3
        self.is_interrupted = self.is_interrupted or bool(flags & netlink.INTERRUPTED)
        if kind in (netlink.DONE, netlink.ERROR):
            self.done = True
            self.error = -struct.unpack_from("=i", data, offset + 16)[0] if length >= 20 else 0
            return after
        if kind != CT_NEW:
            return after
        if length < HEAD_BYTES or length % 4:
            self.tally.unparsed += 1
            return after
        self._heads[data[offset : offset + HEAD_BYTES]] = Head(length)
        return offset

    def _stay_small(self) -> None:
        heads = self._heads.values()
        if len(heads) > MOST_HEADS or sum(head.waiting_bytes for head in heads) > MOST_WAITING_BYTES:
            for head in heads:
                head.count(self.tally)
        layouts = [layout for head in heads for layout in head.layouts]
        if len(heads) > MOST_HEADS or sum(len(layout.counts) + len(layout.ages) for layout in layouts) > MOST_KEYS:
            for layout in layouts:
                layout.fold(self.tally)
        if len(heads) > MOST_HEADS:
            self._heads.clear()

    def finish(self) -> None:
        """Bring all that waits, and all counts, into the tally."""
        for head in self._heads.values():
            head.count(self.tally)
            for layout in head.layouts:
                layout.fold(self.tally)


def dump(tally: Tally, most: int | None, deadline: float | None) -> bool:
    """Count about ``most`` entries of both address families, or all; true where the dump came whole to its end.

    ``deadline`` is a time of ``time.monotonic()``. Raises OSError where the kernel refuses (EPERM: CAP_NET_ADMIN).
    """
    reader = Reader(tally)
    with netlink.asking(netlink.NETFILTER, CT_GET, ALL_FAMILIES, dump=True, timeout_seconds=SILENCE_SECONDS) as asked:
        receive(asked, reader, most, deadline)
    if reader.error and not reader.seen:
        raise OSError(reader.error, os.strerror(reader.error))
    reader.finish()
    return reader.done and not reader.error and not reader.is_interrupted


def receive(asked: socket.socket, reader: Reader, most: int | None, deadline: float | None) -> None:
    """Feed the reader until the dump, the sample or the time is over, or the kernel falls silent or runs short."""
    while not reader.done:
        try:
            reader.feed(asked.recv(RECEIVE_BYTES))
        except OSError as error:  # silence too. ENOBUFS: the kernel had no memory for the next part
            if not isinstance(error, socket.timeout) and not reader.seen:
                raise
            reader.tally.ended_early = True
            return
        if most is not None and reader.seen >= most:
            return
        if deadline is not None and time.monotonic() >= deadline:
            reader.tally.ended_early = True
            return
