"""The words of a diagnosis: values only, frozen, without I/O.

What could not be read is a value too (``Unknown``), and never counts as healthy. This module knows nothing of
Kubernetes clients, SSH, Slack or the terminal.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


# ---- readings -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known(Generic[T_co]):
    """A fact that was read."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be read, and why, in words a person understands."""

    why: str


Reading = Known[T_co] | Unknown


# ---- what the probe saw ---------------------------------------------------------------------------------------------


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


# ---- what the cluster knows -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workload:
    """The top of a pod's owner chain, such as Deployment checkout."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as attribution needs it. Times are Unix seconds; ``phase`` as in the API."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    host_network: bool
    addresses: tuple[str, ...]
    owner: Workload | None = None
    started: float | None = None
    finished: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Succeeded or Failed: it opens nothing any more, but its entries linger."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_probe(self) -> bool:
        """One of this project's own debug pods: it looks, and is not part of what is looked at."""
        return self.labels.get("conntrack-bot/kind") == "probe"


@dataclass(frozen=True, slots=True)
class Service:
    """A Service with the addresses it answers on, and (port number, port name) pairs."""

    namespace: str
    name: str
    addresses: tuple[str, ...]
    ports: tuple[tuple[int, str], ...] = ()
    kind: str = "ClusterIP"


@dataclass(frozen=True, slots=True)
class KubeNode:
    """A node object: identity, health and what it runs. ``conditions`` maps type to status."""

    name: str
    uid: str
    boot_id: str
    addresses: tuple[str, ...]
    pod_cidrs: tuple[str, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)
    unschedulable: bool = False
    kubelet_version: str = ""
    kube_proxy_version: str = ""
    os_image: str = ""
    runtime: str = ""
    provider: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    last_heartbeat: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What the API says about a node and those who talk on it. Missing parts are Unknown, never empty.

    ``pods`` are the pods of this node, and those of other nodes whose addresses the table named. ``proxy`` is how
    Services are implemented here: "iptables", "ipvs", "nftables", "cilium", … ``restarts`` counts container restarts
    on the node in the last hour.
    """

    cluster: str
    node: Reading[KubeNode]
    pods: Reading[tuple[Pod, ...]]
    services: Reading[tuple[Service, ...]]
    nodes: Reading[Mapping[str, str]]
    proxy: Reading[str]
    proxy_image: str = ""
    dns_addresses: tuple[str, ...] = ()
    restarts: int | None = None


class SuspectKind(enum.StrEnum):
    """Who may hold entries."""

    POD = "pod"
    NODE = "node"
    SERVICE = "service"
    EXTERNAL = "external"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Suspect:
    """Who holds which part of the table.

    ``share`` is out of all entries, with its interval at 95 % (``share_low``, ``share_high``); ``entries`` is the share
    times the table's entries, rounded. ``note`` says what a reader must know: shares the node's address, already
    terminated, address reused.
    """

    kind: SuspectKind
    share: float
    share_low: float
    share_high: float
    entries: int
    address: str = ""
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    node: str = ""
    owner: str = ""
    label: str = ""
    note: str = ""
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """A destination or backend with the name the cluster gives it ("Service shop/payments:80"), and its share."""

    target: Target
    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """The table's entries, given to their owners. The suspects' shares sum to 1."""

    suspects: tuple[Suspect, ...]
    destinations: tuple[NamedTarget, ...]
    backends: tuple[NamedTarget, ...]
    sampled: bool


# ---- what it means --------------------------------------------------------------------------------------------------


class VerdictKind(enum.StrEnum):
    """What is going on."""

    EXHAUSTED = "exhausted"
    EVICTING = "evicting"
    FILLING = "filling"
    RECOVERED = "recovered"
    HEALTHY = "healthy"
    LOOKALIKE = "lookalike"
    INCONCLUSIVE = "inconclusive"


class Status(enum.StrEnum):
    """What a step found. ``unknown`` ranks above ``warn``: it is never good news."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Shown:
    """A command a person would type, and the output they would see (as the probe saw it)."""

    command: str
    output: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One step of the runbook.

    ``says`` is what was seen, in one or two sentences with numbers; ``means`` what follows from it; ``correction`` is
    today's truth where the runbook's word is dated; ``evidence`` is what can be checked by hand.
    """

    step: str
    title: str
    status: Status
    says: str
    means: str = ""
    correction: str = ""
    evidence: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """One of the six triggers, with a score from 0 to 1 and the reasons for it."""

    name: str
    score: float
    because: str


@dataclass(frozen=True, slots=True)
class Lookalike:
    """Another cause with the same symptoms: "found", "ruled out" or "unknown"."""

    name: str
    status: str
    says: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would help (knowledge only). ``when`` is "now", "permanent" or "never"; ``commands`` what to type."""

    action: str
    when: str
    says: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one-line answer. ``lookalike`` names the other cause where the kind says so."""

    kind: VerdictKind
    headline: str
    lookalike: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """What follows from two readings of the counters, ``seconds`` apart. None where this kernel does not count it."""

    seconds: float
    drops: int | None
    early_drops: int | None
    insert_failed: int | None
    invalid: int | None
    chaintoolong: int | None
    growth_per_second: float | None
    seconds_to_full: float | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One rung of the ladder that was tried: ``says`` is "answered", or why it did not."""

    rung: str
    says: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Way:
    """How the answer came: the rung that answered, the others, and the seconds until the first answer."""

    rung: str
    tried: tuple[Attempt, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the judgement may look at."""

    target: str
    snapshot: Snapshot
    cluster: ClusterView | None
    attribution: Attribution | None
    rates: Reading[Rates]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is known about one node at one time, explained in the runbook's order."""

    node: str
    cluster: str
    verdict: Verdict
    usage: Reading[Usage]
    rates: Reading[Rates]
    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...]
    noisy: Suspect | None
    noisy_because: str
    triggers: tuple[Trigger, ...]
    lookalikes: tuple[Lookalike, ...]
    remedies: tuple[Remedy, ...]
    way: Way
    snapshot: Snapshot | None = None
    attribution: Attribution | None = None
    taken_at: float = 0.0
