"""What a sound section of a report looks like: types, lengths, and sums that must agree.

The shapes only. They must not know which report a section came from, nor what its values mean.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

Count = Annotated[int, Field(ge=0, le=2**63)]
Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e12)]
Text = Annotated[str, Field(max_length=1024)]
Name = Annotated[str, Field(max_length=80)]
Counts = Annotated[dict[Name, Count], Field(max_length=300)]
TargetRow = tuple[Name, Name, Annotated[int, Field(ge=0, le=65535)], Count]


class Section(BaseModel):
    """A part of a report: types are exact, what newer probes add is ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Node(Section):
    """The section "node"."""

    name: Name = ""
    kernel: Name = ""
    boot_id: Name = ""
    uptime: Seconds = 0.0
    time: Seconds = 0.0
    cpus: Count = 0
    netns: Count | None = None
    init_netns: bool | None = None
    addresses: Annotated[list[Name], Field(max_length=300)] = []
    gateway: Name | None = None


class Usage(Section):
    """The section "usage"."""

    entries: Count
    limit: Count
    buckets: Count | None = None
    entry_bytes: Count | None = None
    memory_total: Count | None = None
    memory_available: Count | None = None


class LogLine(Section):
    """One line of the section "kernel_log"."""

    at: Seconds
    text: Text
    netns: Count | None = None


class KernelLog(Section):
    """The section "kernel_log"."""

    lines: Annotated[list[LogLine], Field(max_length=100)] = []
    table_full: Count
    other_netns: Count = 0
    suppressed: Count = 0
    last_at: Seconds | None = None
    first_at: Seconds | None = None
    related: Counts = {}


class Ages(Section):
    """One state's ages, in the section "table"."""

    timeout: Annotated[int, Field(ge=1, le=2**32)]
    bucket_seconds: Annotated[FiniteFloat, Field(gt=0, le=1e9)]
    counts: Annotated[list[Count], Field(max_length=500)]


class Source(Section):
    """One source, in the section "table"."""

    address: Name
    entries: Count
    states: Counts = {}
    unreplied: Count = 0
    assured: Count = 0
    nat: Count = 0
    targets: Annotated[list[TargetRow], Field(max_length=100)] = []
    targets_distinct: Count = 0
    ages: dict[Name, Ages] = {}


class Table(Section):
    """The section "table"."""

    via: Name
    mode: Name
    read: Count
    whole: bool
    seconds: Seconds = 0.0
    unparsed: Count = 0
    protocols: Counts = {}
    families: Counts = {}
    states: Counts = {}
    zones: Counts = {}
    unreplied: Count = 0
    assured: Count = 0
    dnat: Count = 0
    snat: Count = 0
    offload: Count = 0
    sources: Annotated[list[Source], Field(max_length=2000)] = []
    sources_distinct: Count = 0
    sources_other: Count = 0
    destinations: Annotated[list[TargetRow], Field(max_length=500)] = []
    destinations_distinct: Count = 0
    destinations_other: Count = 0
    backends: Annotated[list[TargetRow], Field(max_length=500)] = []
    backends_distinct: Count = 0
    backends_other: Count = 0
    ages: dict[Name, Ages] = {}
    rows: Annotated[list[Text], Field(max_length=50)] = []

    @model_validator(mode="after")
    def _adds_up(self) -> Table:
        listed = sum(source.entries for source in self.sources) + self.sources_other
        if listed != self.read:
            raise ValueError(f"the sources' entries sum to {listed}, not to the {self.read} read")
        for source in self.sources:
            if sum(source.states.values()) > source.entries or max(source.unreplied, source.assured) > source.entries:
                raise ValueError(f"{source.address} has more states than entries")
        return self


class Ping(Section):
    """The part "ping" of the section "reach"."""

    address: Name
    what: Text = ""
    sent: Count
    answered: Count
    seconds: Annotated[list[Seconds], Field(max_length=500)] = []
    failed: Counts = {}


class Connects(Section):
    """The part "connect" of the section "reach"."""

    address: Name
    port: Annotated[int, Field(ge=0, le=65535)]
    what: Text = ""
    attempts: Count
    connected: Count
    seconds: Annotated[list[Seconds], Field(max_length=500)] = []
    failed: Counts = {}
    retransmitted: Count = 0

    @model_validator(mode="after")
    def _adds_up(self) -> Connects:
        if self.connected > self.attempts:
            raise ValueError("more connections than attempts")
        return self


class SocketOwner(Section):
    """One owner of sockets, in the section "owners"."""

    process: Name
    pid: Count
    pod_uid: Name | None = None
    container_id: Text | None = None
    sockets: Count
    states: Counts = {}
    targets: Annotated[list[TargetRow], Field(max_length=100)] = []


class OtherNamespace(Section):
    """One other namespace, in the section "owners"."""

    netns: Count
    entries: Count
    pod_uid: Name | None = None
    process: Name = ""
    drop: Count | None = None


class Owners(Section):
    """The section "owners"."""

    sockets: Annotated[list[SocketOwner], Field(max_length=1000)] = []
    sockets_other: Count = 0
    namespaces: Annotated[list[OtherNamespace], Field(max_length=1000)] = []
