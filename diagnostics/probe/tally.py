"""Counts entries by who opened them, whom they call, who answers, and what state they are in.

Memory is bounded: where there are more sources or destinations than ``MOST``, the smallest are put together as "other",
and where all sources together have more targets and ages than ``MOST_DETAILS``, only the largest sources keep theirs.
So a table full of different addresses costs no more than one of few. What is said of the largest stays right: an
address with more than a thousandth of the entries is never among the smallest. This file knows nothing of netlink or
/proc.
"""

from __future__ import annotations

import socket

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Any

MOST = 2048  # sources, destinations and backends kept apart; twice as many are for a while
MOST_TARGETS = 64  # destinations kept apart for one source
MOST_DETAILS = 32768  # targets and ages of all sources together, some 7 MB
DETAILED = 64  # sources that keep theirs when there are more; each has some 240 at most
LISTED = 400  # sources in a report; the envelope cuts further
LISTED_TARGETS = 40
SHOWN_ROWS = 3
TARGETS_OF_A_SOURCE = 3
SOURCES_WITH_AGES = 3
SEEN_REPLY, ASSURED, SRC_NAT, DST_NAT, OFFLOAD = 0x2, 0x4, 0x10, 0x20, 0x4000
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmp", 132: "sctp", 136: "udplite"}
TCP_STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)
WELL_KNOWN, EPHEMERAL = 10000, 32768


class Entry:
    """One entry, or what several have in common. Addresses are packed bytes; other values are None if not known."""

    destination = b""
    port: int | None = None
    protocol = 0
    reply_destination = b""
    reply_port: int | None = None
    reply_source = b""
    reply_to: int | None = None
    source = b""
    source_port: int | None = None
    state: int | None = None
    status: int | None = None
    timeout: int | None = None
    zone: int | None = None

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def state_name(self) -> str:
        """The TCP state by name, or the kind of entry for protocols without states."""
        if self.protocol == 6 and self.state is not None:
            return TCP_STATES[self.state] if self.state < len(TCP_STATES) else "NONE"
        if self.protocol in (17, 136):
            return "UDP_STREAM" if (self.status or 0) & ASSURED else "UDP"
        return {1: "ICMP", 58: "ICMP", 132: "SCTP"}.get(self.protocol, "OTHER")

    def may_be_reversed(self) -> bool:
        """Whether it was perhaps picked up in mid-stream from the server's side; the source port decides."""
        if self.port is None or (self.status or 0) & SEEN_REPLY:
            return False
        if self.protocol == 6:  # an unanswered entry that is not opening was not seen from its beginning
            return self.state not in (None, 0, 1)
        return self.port >= EPHEMERAL

    def is_reversed(self) -> bool:
        """Picked up in mid-stream from the server's side: a well-known port calls a higher one, unanswered."""
        known = self.source_port is not None and self.source_port < WELL_KNOWN
        return known and self.may_be_reversed() and (self.source_port or 0) < (self.port or 0)

    def turned(self) -> Entry:
        """The same connection as its opener would have made it."""
        turned = Entry(**vars(self))
        turned.source, turned.destination = self.destination, self.source
        turned.source_port, turned.port = self.port, self.source_port
        turned.reply_source, turned.reply_destination = self.reply_destination, self.reply_source
        turned.reply_port, turned.reply_to = self.reply_to, self.reply_port
        return turned


class Tally:
    """All counts of one table."""

    def __init__(self, timeouts: dict[str, int]) -> None:
        self.read = self.unparsed = 0
        self.ended_early = False
        self.rows: list[str] = []
        self._timeouts = timeouts
        self._names: dict[str, dict[str, int]] = {}
        self._flags = {"unreplied": 0, "assured": 0, "dnat": 0, "snat": 0, "offload": 0}
        self._sources: dict[bytes, Source] = {}
        self._targets = {"destinations": Ranking(MOST), "backends": Ranking(MOST)}
        self._sources_gone = 0
        self._details = 0
        self._ages: dict[str, dict[int, int]] = {}

    def count(self, entry: Entry, count: int) -> None:
        """Add ``count`` entries like this one."""
        protocol = PROTOCOLS.get(entry.protocol, str(entry.protocol))
        state, flags = entry.state_name(), _flags(entry)
        for group, name in (
            ("protocols", protocol),
            ("families", "ipv4" if len(entry.source) == 4 else "ipv6"),
            ("states", state),
            ("zones", str(entry.zone or 0)),
        ):
            names = self._names.setdefault(group, {})
            names[name] = names.get(name, 0) + count
        for flag in flags:
            self._flags[flag] += count
        target = (protocol, entry.destination, entry.port or 0)
        self._targets["destinations"].add(target, count)
        self._targets["backends"].add((protocol, entry.reply_source, entry.reply_port or 0), count)
        self._details += self._source(entry.source).add(state, flags, target, count)
        if self._details > MOST_DETAILS:
            self._forget_small_details()

    def count_one(self, entry: Entry) -> None:
        """Add one entry with all that is known of it, turned round where it was picked up from the server's side."""
        self.show(entry)
        entry = entry.turned() if entry.is_reversed() else entry
        self.count(entry, 1)
        if entry.timeout is not None:
            self.age(entry, entry.timeout, 1)

    def show(self, entry: Entry) -> None:
        """Keep the first entries as people read them."""
        if len(self.rows) < SHOWN_ROWS:
            self.rows.append(row(entry))

    def age(self, entry: Entry, left: int, count: int) -> None:
        """Add ``count`` entries of this source and state with about ``left`` seconds to live."""
        state = entry.state_name()
        timeout = self._timeouts.get(_timeout_name(state), 0)
        if timeout > 0:
            bucket = bucket_of(left, timeout)
            add_age(self._ages, state, bucket, count)
            self._details += add_age(self._source(entry.source).ages, state, bucket, count)

    def _source(self, address: bytes) -> Source:
        found = self._sources.get(address)
        if found is None:
            if len(self._sources) >= 2 * MOST:
                self._forget_small_sources()
            found = self._sources[address] = Source()
        return found

    def _forget_small_sources(self) -> None:
        ranked = sorted(self._sources.items(), key=lambda item: -item[1].entries)
        self._sources = dict(ranked[:MOST])
        self._sources_gone += len(ranked) - MOST

    def _forget_small_details(self) -> None:
        ranked = sorted(self._sources.values(), key=lambda source: -source.entries)
        for source in ranked[DETAILED:]:
            source.forget_details()
        self._details = sum(source.details() for source in ranked[:DETAILED])

    def section(self) -> dict[str, Any]:
        """The counts as the report's section "table", the largest first."""
        section: dict[str, Any] = {"read": self.read, "unparsed": self.unparsed, "rows": self.rows}
        section.update(self._flags)
        for group in ("protocols", "families", "states", "zones"):
            section[group] = dict(sorted(self._names.get(group, {}).items(), key=lambda item: -item[1]))
        if set(section["zones"]) <= {"0"}:
            del section["zones"]
        for name, ranking in self._targets.items():
            rows, other = ranking.rows(LISTED_TARGETS, self.read)
            section[name] = rows
            section[name + "_other"], section[name + "_distinct"] = other, ranking.distinct()
        section.update(self._source_section())
        section["ages"] = self._histograms(self._ages)
        if self.ended_early:
            section["ended_early"] = True
        return section

    def _source_section(self) -> dict[str, Any]:
        ranked = sorted(self._sources.items(), key=lambda item: (-item[1].entries, item[0]))
        ranked = [(address, source) for address, source in ranked if source.entries]
        listed: list[dict[str, Any]] = []
        for address, source in ranked[:LISTED]:
            one = source.section()
            one["address"] = text(address)
            if len(listed) < SOURCES_WITH_AGES:
                one["ages"] = self._histograms(source.ages)
            listed.append(one)
        other = self.read - sum(one["entries"] for one in listed)
        return {"sources": listed, "sources_other": other, "sources_distinct": len(ranked) + self._sources_gone}

    def _histograms(self, ages: dict[str, dict[int, int]]) -> dict[str, Any]:
        return {state: histogram(counts, self._timeouts[_timeout_name(state)]) for state, counts in ages.items()}


class Source:
    """The entries that one address opened."""

    __slots__ = ("ages", "entries", "flags", "states", "targets")

    def __init__(self) -> None:
        self.entries = 0
        self.states: dict[str, int] = {}
        self.flags = {"unreplied": 0, "assured": 0, "nat": 0}
        self.targets = Ranking(MOST_TARGETS)
        self.ages: dict[str, dict[int, int]] = {}

    def add(self, state: str, flags: list[str], target: tuple[str, bytes, int], count: int) -> bool:
        """Add ``count`` entries of one state to one target; whether the target is a new one."""
        self.entries += count
        self.states[state] = self.states.get(state, 0) + count
        for flag in ("unreplied", "assured"):
            if flag in flags:
                self.flags[flag] += count
        if "dnat" in flags or "snat" in flags:
            self.flags["nat"] += count
        return self.targets.add(target, count)

    def details(self) -> int:
        """How many targets and ages are kept."""
        return len(self.targets) + sum(len(counts) for counts in self.ages.values())

    def forget_details(self) -> None:
        """Let go of targets and ages: what is counted of them from now on is a part only."""
        self.targets.keep(0)
        self.ages = {}

    def section(self) -> dict[str, Any]:
        """The counts as the report has them."""
        section: dict[str, Any] = {"entries": self.entries, "targets_distinct": self.targets.distinct()}
        section["states"] = dict(sorted(self.states.items(), key=lambda item: -item[1]))
        section.update({name: count for name, count in self.flags.items() if count})
        section["targets"] = self.targets.rows(TARGETS_OF_A_SOURCE, self.entries)[0]
        return section


class Ranking:
    """The most frequent of many (protocol, address, port), in bounded memory."""

    __slots__ = ("_counts", "_gone", "_most")

    def __init__(self, most: int) -> None:
        self._counts: dict[tuple[str, bytes, int], int] = {}
        self._gone = 0
        self._most = most

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, target: tuple[str, bytes, int], count: int) -> bool:
        """Count a target; whether it is a new one."""
        before = self._counts.get(target, 0)
        self._counts[target] = before + count
        if len(self._counts) > 2 * self._most:
            self.keep(self._most)
        return not before

    def keep(self, most: int) -> None:
        """Let go of all but the largest."""
        ranked = sorted(self._counts.items(), key=lambda item: -item[1])
        self._counts = dict(ranked[:most])
        self._gone += len(ranked) - len(self._counts)

    def distinct(self) -> int:
        """How many different targets there were, or somewhat more where small ones came back after being dropped."""
        return len(self._counts) + self._gone

    def rows(self, most: int, total: int) -> tuple[list[list[Any]], int]:
        """The largest as [protocol, address, port, entries], and the entries of all others."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:most]
        rows: list[list[Any]] = [[protocol, text(address), port, count] for (protocol, address, port), count in ranked]
        return rows, total - sum(count for _, count in ranked)


def add_age(ages: dict[str, dict[int, int]], state: str, bucket: int, count: int) -> bool:
    """Add entries to a bucket of a state; whether the bucket is a new one."""
    counts = ages.setdefault(state, {})
    before = counts.get(bucket, 0)
    counts[bucket] = before + count
    return not before


def bucket_seconds(timeout: int) -> int:
    """How much time one bucket of a state's ages spans."""
    return 10 if timeout <= 600 else (timeout + 23) // 24


def bucket_of(left: int, timeout: int) -> int:
    """The bucket of an entry by the time since it last changed: the timeout less what remains of it."""
    return min(max(0, timeout - 1 - left), timeout - 1) // bucket_seconds(timeout)


def histogram(counts: dict[int, int], timeout: int) -> dict[str, Any]:
    """The counts by bucket as the report has them: all buckets, the newest first."""
    width = bucket_seconds(timeout)
    buckets = (timeout + width - 1) // width
    return {
        "timeout": timeout,
        "bucket_seconds": width,
        "counts": [counts.get(bucket, 0) for bucket in range(buckets)],
    }


def text(address: bytes) -> str:
    """A packed address as people write it."""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def row(entry: Entry) -> str:
    """An entry as ``conntrack -L`` prints it."""
    name = PROTOCOLS.get(entry.protocol, "unknown")
    state = entry.state_name() + " " if entry.protocol == 6 and entry.state is not None else ""
    status = entry.status or 0
    parts = ["%-8s %d %s %s" % (name, entry.protocol, "" if entry.timeout is None else entry.timeout, state)]
    parts.append(_side(entry.source, entry.destination, entry.source_port, entry.port))
    if not status & SEEN_REPLY:
        parts.append("[UNREPLIED]")
    parts.append(_side(entry.reply_source, entry.reply_destination, entry.reply_port, entry.reply_to))
    if status & ASSURED:
        parts.append("[ASSURED]")
    if entry.zone:
        parts.append("zone=%d" % entry.zone)
    return " ".join(part.strip() for part in parts)


def _side(source: bytes, destination: bytes, source_port: int | None, port: int | None) -> str:
    ports = "" if source_port is None or port is None else " sport=%d dport=%d" % (source_port, port)
    return "src=%s dst=%s%s" % (text(source), text(destination), ports)


def _flags(entry: Entry) -> list[str]:
    """What is true of an entry. NAT shows in the tuples: the status bits may be missing (ctnetlink-made entries)."""
    status = entry.status or 0
    flags = []
    if not status & SEEN_REPLY:
        flags.append("unreplied")
    if status & ASSURED:
        flags.append("assured")
    if status & DST_NAT or entry.reply_source != entry.destination or (entry.reply_port or 0) != (entry.port or 0):
        flags.append("dnat")
    if status & SRC_NAT or entry.reply_destination != entry.source:
        flags.append("snat")
    if status & OFFLOAD:
        flags.append("offload")
    return flags


def _timeout_name(state: str) -> str:
    """The report's name of the timeout that a state starts with."""
    names = {"UDP": "udp", "UDP_STREAM": "udp_stream", "ICMP": "icmp", "SCTP": "sctp_established", "OTHER": "generic"}
    names["SYN_SENT2"] = "tcp_syn_sent"
    return names.get(state, "tcp_" + state.lower())
