"""What the probe saw on a node. Nothing here knows of pods' names, nor of what the numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diagnostics.model.readings import Reading


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The machine that answered. ``uptime`` is in seconds at the time of the answer."""

    name: str
    kernel: str = ""
    boot_id: str = ""
    uptime: float = 0.0
    time: float = 0.0
    cpus: int = 0
    netns: int | None = None
    init_netns: bool | None = None
    addresses: tuple[str, ...] = ()
    gateway: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """The table's fill. ``limit`` 0 means that the kernel sets none. Memory in bytes."""

    entries: int
    limit: int
    buckets: int | None = None
    entry_bytes: int | None = None
    memory_total: int | None = None
    memory_available: int | None = None

    @property
    def ratio(self) -> float:
        """Entries per limit; 0 where there is no limit."""
        return self.entries / self.limit if self.limit > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Counters:
    """The kernel's conntrack counters since boot, at ``at`` seconds of uptime. A name this kernel lacks is missing."""

    at: float
    entries: int | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One kernel log line, ``at`` seconds of uptime. ``netns`` is the inode the line names, if it names one."""

    at: float
    text: str
    netns: int | None = None


@dataclass(frozen=True, slots=True)
class KernelLog:
    """The kernel log's lines about conntrack; ``first_at`` is the oldest line still in the buffer."""

    lines: tuple[LogLine, ...]
    table_full: int
    other_netns: int = 0
    suppressed: int = 0
    last_at: float | None = None
    first_at: float | None = None
    related: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """Who is called (original direction) or who serves (reply direction), with the entries that were read."""

    protocol: str
    address: str
    port: int
    entries: int


@dataclass(frozen=True, slots=True)
class Ages:
    """Entries of one state by the time since they last changed: ``counts[i]`` within bucket i of ``bucket_seconds``."""

    timeout: int
    bucket_seconds: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Entries opened by one address (original direction). ``states`` as in ``Table.states``."""

    address: str
    entries: int
    states: Mapping[str, int] = field(default_factory=dict)
    unreplied: int = 0
    assured: int = 0
    nat: int = 0
    targets: tuple[Target, ...] = ()
    targets_distinct: int = 0
    ages: Mapping[str, Ages] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """The conntrack table, sampled or whole.

    ``read`` is the number of entries looked at; every count below is out of it. ``states`` has TCP states by name
    ("TIME_WAIT"), and "UDP" (one-shot), "UDP_STREAM" (assured), "ICMP", "SCTP", "OTHER". ``*_other`` are the entries of
    what is not listed, so that list and rest sum to ``read``.
    """

    via: str
    mode: str
    read: int
    whole: bool
    seconds: float = 0.0
    unparsed: int = 0
    protocols: Mapping[str, int] = field(default_factory=dict)
    families: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, int] = field(default_factory=dict)
    zones: Mapping[str, int] = field(default_factory=dict)
    unreplied: int = 0
    assured: int = 0
    dnat: int = 0
    snat: int = 0
    offload: int = 0
    sources: tuple[Source, ...] = ()
    sources_distinct: int = 0
    sources_other: int = 0
    destinations: tuple[Target, ...] = ()
    destinations_distinct: int = 0
    destinations_other: int = 0
    backends: tuple[Target, ...] = ()
    backends_distinct: int = 0
    backends_other: int = 0
    ages: Mapping[str, Ages] = field(default_factory=dict)
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """An ICMP echo. ``failed`` counts by reason ("timeout", "EPERM")."""

    address: str
    what: str
    sent: int
    answered: int
    seconds: tuple[float, ...] = ()
    failed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connects:
    """New TCP connections to an address known to be served. ``retransmitted`` succeeded only after a lost SYN."""

    address: str
    port: int
    what: str
    attempts: int
    connected: int
    seconds: tuple[float, ...] = ()
    failed: Mapping[str, int] = field(default_factory=dict)
    retransmitted: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """A counter read twice."""

    before: int
    after: int

    @property
    def delta(self) -> int:
        """The growth between the two readings; 0 where the counter went back (it was reset)."""
        return max(0, self.after - self.before)


@dataclass(frozen=True, slots=True)
class OtherCounters:
    """The counters of look-alike causes: ``groups[name][counter]`` is a Change over ``seconds``, or a gauge."""

    seconds: float
    groups: Mapping[str, Mapping[str, Change | float]]


@dataclass(frozen=True, slots=True)
class SocketOwner:
    """Sockets of the node's own network namespace, by process: who, among those that share the node's address."""

    process: str
    pid: int
    pod_uid: str | None
    container_id: str | None
    sockets: int
    states: Mapping[str, int] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherNamespace:
    """A pod's own conntrack table (sidecars redirect there), against the same limit."""

    netns: int
    entries: int
    pod_uid: str | None
    process: str
    drop: int | None = None


@dataclass(frozen=True, slots=True)
class Owners:
    """What the deep look saw."""

    sockets: tuple[SocketOwner, ...]
    sockets_other: int
    namespaces: tuple[OtherNamespace, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was read from one node, in one look. ``stages`` names the stages whose answers arrived."""

    node: NodeFacts
    stages: tuple[str, ...]
    usage: Reading[Usage]
    timeouts: Reading[Mapping[str, int]]
    settings: Reading[Mapping[str, int]]
    counters: Reading[tuple[Counters, ...]]
    kernel_log: Reading[KernelLog]
    table: Reading[Table]
    ping: Reading[Ping]
    connects: Reading[Connects]
    other_counters: Reading[OtherCounters]
    owners: Reading[Owners]
    unknown: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    partial: bool = False
