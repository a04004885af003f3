"""Other causes with the same symptoms, and the one check that separates each from a full table.

One pure function per cause, in the order in which a person should believe them. Each says "found", "ruled out" or
"unknown", with the numbers; "found" needs growth during the look, for a counter since boot tells nothing of now.
This file must not know the verdict: the verdict asks it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from diagnostics.model import Change, Evidence, Lookalike
from diagnostics.runbook import measures
from diagnostics.runbook.measures import known, part
from diagnostics.runbook.words import count, counted, percent, span, visible

FOUND, RULED_OUT, UNKNOWN = "found", "ruled out", "unknown"

CLASHES = 3  # Fewer failed inserts in seconds are everyday races between two packets of one flow.
SAME = 0.9  # Drops and failed inserts rise together, give or take those counted between two reads.
DNS_SHARE = 0.3  # A clash is a DNS race only where DNS is a good part of the traffic.
DEAD_SHARE, DEAD_ENTRIES = 0.3, 1_000  # Our own knocking at a full node leaves up to 800 unanswered SYNs behind.
INVALID_PER_SECOND = 20.0  # Late packets of closed connections are invalid too, some a second on any busy node.
NIC_DROPS_PER_SECOND = 10.0  # Interfaces count multicast that nobody wants as dropped; that is a few a second.
SOFTNET_DROPS_PER_SECOND = 1.0  # A healthy node has none.
FRAGMENT_FAILS_PER_SECOND = 5.0  # One big packet that meets a small link is path MTU discovery at work.
NEARLY_ALL = 0.9  # Of a range of ports: the search for a free one fails for some before all are used.
NEW_OTHER_NAMESPACE_SECONDS = 60.0  # An older line about a pod's table does not explain what people see now.
OLD_TABLE_FULL = 0.98  # The same fill at which the node's own table counts as full.


def lookalikes(evidence: Evidence) -> tuple[Lookalike, ...]:
    """Every look-alike, checked, most telling first."""
    return tuple(check(evidence) for check in CHECKS)


# ---- reading the counters -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """The counters of one cause. A counter that is missing, or went backwards, reads as None."""

    counters: Mapping[str, Change | float]
    seconds: float

    def grown(self, name: str) -> int | None:
        """The growth of a counter during the look."""
        read = self.counters.get(name)
        return read.delta if isinstance(read, Change) else None

    def gauge(self, name: str) -> float | None:
        """A value as it is now."""
        read = self.counters.get(name)
        now = read.after if isinstance(read, Change) else read
        return now if now is not None and (isinstance(now, int) or math.isfinite(now)) else None

    def per_second(self, name: str) -> float | None:
        """The growth of a counter per second."""
        grown = self.grown(name)
        if grown is None or not self.seconds > 0:
            return None
        return min(grown, 2**62) / self.seconds


def _group(evidence: Evidence, name: str) -> Group | str:
    """The counters of a group, or why there are none."""
    snapshot = evidence.snapshot
    read = known(snapshot.other_counters)
    if read is None:
        return measures.why_unknown(snapshot.other_counters)
    if name not in read.groups:
        return snapshot.unknown.get(f"lookalikes.{name}", "not read")
    return Group(read.groups[name], read.seconds)


def _unknown(name: str, what: str, why: str) -> Lookalike:
    return Lookalike(name, UNKNOWN, f"{what} not read: {visible(why)}.")


def _found(name: str, says: str) -> Lookalike:
    return Lookalike(name, FOUND, says)


def _ruled_out(name: str, says: str) -> Lookalike:
    return Lookalike(name, RULED_OUT, says)


# ---- the checks -----------------------------------------------------------------------------------------------------


def snat_ports(evidence: Evidence) -> Lookalike:
    """No free source port for one destination: the insert fails, and the packet counts as dropped, in step."""
    name, flow, fill = "snat_ports", measures.flow(evidence), measures.fill(evidence)
    if flow is None or flow.drops is None or flow.insert_failed is None:
        return _unknown(name, "Drops and failed inserts", measures.why_unknown(evidence.rates))
    both = f"{count(flow.insert_failed)} failed inserts and {counted(flow.drops, 'drop', 'drops')}"
    both += f" in {span(flow.seconds)}"
    together = flow.insert_failed >= CLASHES and SAME * flow.insert_failed <= flow.drops <= flow.insert_failed / SAME
    if not together:
        return _ruled_out(name, f"{both}: they do not rise together.")
    if fill is None or fill >= OLD_TABLE_FULL:
        return Lookalike(name, UNKNOWN, f"{both} rise together, and the table is not known to have room.")
    if _dns_share(evidence) >= DNS_SHARE:
        return _ruled_out(name, f"{both} rise together, and {percent(_dns_share(evidence))} of the entries are DNS.")
    return _found(
        name, f"{both} rise together: no free source port towards one destination (SNAT). More entries do not help."
    )


def dns_race(evidence: Evidence) -> Lookalike:
    """Two DNS packets of one socket race for the same entry; one is lost, and the client waits five seconds."""
    name, flow = "dns_race", measures.flow(evidence)
    if flow is None or flow.insert_failed is None:
        return _unknown(name, "Failed inserts", measures.why_unknown(evidence.rates))
    failed = f"{counted(flow.insert_failed, 'failed insert', 'failed inserts')} in {span(flow.seconds)}"
    if flow.insert_failed < CLASHES:
        return _ruled_out(name, f"{failed}.")
    if known(evidence.snapshot.table) is None:
        return Lookalike(name, UNKNOWN, f"{failed}, and the table was not read.")
    dns = f"{percent(_dns_share(evidence))} of the entries are DNS"
    if _dns_share(evidence) < DNS_SHARE:
        return _ruled_out(name, f"{failed}, but {dns}.")
    return _found(name, f"{failed}, and {dns}: lookups race for one entry, and wait 5 s. NodeLocal DNSCache ends it.")


def _dns_share(evidence: Evidence) -> float:
    table = known(evidence.snapshot.table)
    if table is None:
        return 0.0
    return part(sum(max(0, target.entries) for target in table.destinations if measures.is_dns(target)), table.read)


def ephemeral_ports(evidence: Evidence) -> Lookalike:
    """The node's own processes run out of source ports; a pod's ports are its own, and are not seen here."""
    name, group = "ephemeral_ports", _group(evidence, "ephemeral_ports")
    if isinstance(group, str):
        return _unknown(name, "The node's local ports", group)
    low, high, busiest = group.gauge("low"), group.gauge("high"), group.gauge("busiest")
    if low is None or high is None or busiest is None:
        return _unknown(name, "The node's local ports", "the range or its use is missing")
    ports = high - low + 1 - (group.gauge("reserved") or 0)
    used = f"{count(busiest)} of {count(ports)} local ports in use towards one address"
    if ports > 0 and busiest >= NEARLY_ALL * ports:
        return _found(
            name, f"{used}: processes on the node itself get EADDRNOTAVAIL. Widen net.ipv4.ip_local_port_range."
        )
    return _ruled_out(name, f"{used} (the node's own; each pod has its own ports).")


def listen_queue(evidence: Evidence) -> Lookalike:
    """A server accepts too slowly: only it times out. A pod's queue counts in the pod's own namespace."""
    name, group = "listen_queue", _group(evidence, "listen_queue")
    if isinstance(group, str):
        return _unknown(name, "Listen queues", group)
    overflows, drops = group.grown("overflows"), group.grown("drops")
    if overflows is None:
        return _unknown(name, "Listen queue overflows", "this counter is missing")
    grew = f"{counted(overflows, 'overflow', 'overflows')} and {count(drops or 0)} drops in {span(group.seconds)}"
    if overflows > 0 or (drops or 0) >= CLASHES:
        return _found(name, f"Listen queues of the node's own servers: {grew}. A server accepts too slowly.")
    return _ruled_out(name, f"Listen queues of the node's own servers: {grew}.")


def dead_backend(evidence: Evidence) -> Lookalike:
    """One address swallows SYNs: many SYN_SENT without a reply to one destination."""
    name, table = "dead_backend", known(evidence.snapshot.table)
    if table is None:
        return _unknown(name, "Unanswered connections", measures.why_unknown(evidence.snapshot.table))
    waiting = max(0, table.states.get("SYN_SENT", 0))
    share = part(waiting, table.read)
    says = f"{counted(waiting, 'entry waits', 'entries wait')} for an answer ({percent(share)} of those read)"
    if share < DEAD_SHARE or waiting < DEAD_ENTRIES:
        return _ruled_out(name, f"{says}.")
    dead = max(table.destinations, key=lambda target: target.entries, default=None)
    if dead is None or dead.entries < waiting / 2:
        return Lookalike(name, UNKNOWN, f"{says}, spread over many destinations.")
    return _found(name, f"{says}, most to {visible(dead.address)} port {dead.port}: nothing answers there.")


def invalid_drops(evidence: Evidence) -> Lookalike:
    """Packets that fit no connection: kube-proxy's rules drop them, and long connections hang or reset."""
    name, rates = "invalid_drops", known(evidence.rates)
    if rates is None or rates.invalid is None or rates.invalid < 0 or not rates.seconds > 0:
        return _unknown(name, "Invalid packets", measures.why_unknown(evidence.rates))
    says = f"{counted(rates.invalid, 'invalid packet', 'invalid packets')} in {span(rates.seconds)}"
    if min(rates.invalid, 2**62) / rates.seconds >= INVALID_PER_SECOND:
        return _found(
            name, f"{says}: kube-proxy drops them. Its tcpBeLiberal, or nf_conntrack_log_invalid, tells more."
        )
    return _ruled_out(name, f"{says}.")


def neighbour_table(evidence: Evidence) -> Lookalike:
    """No room for another neighbour: new peers cannot be reached, old ones can."""
    name, group = "neighbour_table", _group(evidence, "neighbour_table")
    if isinstance(group, str):
        return _unknown(name, "The neighbour table", group)
    entries, limit, fulls = group.gauge("entries"), group.gauge("gc_thresh3"), group.grown("table_fulls")
    if entries is None or not limit or limit < 0:
        return _unknown(name, "The neighbour table", "its size or limit is missing")
    says = f"{count(entries)} of {count(limit)} neighbours, {count(fulls or 0)} refused in {span(group.seconds)}"
    if entries >= limit or fulls:
        return _found(name, f"{says}: raise net.ipv4.neigh.default.gc_thresh3.")
    return _ruled_out(name, f"{says}.")


def softnet(evidence: Evidence) -> Lookalike:
    """Packets lost before any table is asked: existing connections suffer as well as new ones."""
    name, queue, links = "softnet", _group(evidence, "softnet"), _group(evidence, "links")
    if isinstance(queue, str):
        return _unknown(name, "Packet queues", queue)
    dropped = queue.per_second("dropped")
    if dropped is None:
        return _unknown(name, "Packet queues", "this counter is missing")
    at_links = 0.0 if isinstance(links, str) else (links.per_second("dropped") or 0) + (links.per_second("errors") or 0)
    says = f"{count(dropped)} packets a second lost in the processors' queues, {count(at_links)} at the interfaces"
    if dropped >= SOFTNET_DROPS_PER_SECOND or at_links >= NIC_DROPS_PER_SECOND:
        return _found(name, f"{says}: all connections lose packets, not only new ones.")
    return _ruled_out(name, f"{says}.")


def path_mtu(evidence: Evidence) -> Lookalike:
    """Packets too large for the path: connections open, and large answers hang."""
    name, group = "path_mtu", _group(evidence, "path_mtu")
    if isinstance(group, str):
        return _unknown(name, "Fragmentation failures", group)
    fails = group.per_second("fragment_fails")
    if fails is None:
        return _unknown(name, "Fragmentation failures", "this counter is missing")
    says = f"{counted(group.grown('fragment_fails') or 0, 'packet', 'packets')} too large in {span(group.seconds)}"
    if fails >= FRAGMENT_FAILS_PER_SECOND:
        return _found(name, f"{says}: connections open, and large answers hang. Compare the interfaces' MTU.")
    return _ruled_out(name, f"{says}.")


def tcp_memory(evidence: Evidence) -> Lookalike:
    """TCP's memory is used up: everything is slow, and resets."""
    name, group = "tcp_memory", _group(evidence, "tcp_memory")
    if isinstance(group, str):
        return _unknown(name, "TCP's memory", group)
    pages, limit, pressures = group.gauge("pages"), group.gauge("pages_limit"), group.grown("pressures")
    if pages is None or not limit or limit < 0:
        return _unknown(name, "TCP's memory", "its use or limit is missing")
    orphans, orphans_limit = group.gauge("orphans") or 0, group.gauge("orphans_limit") or math.inf
    says = f"{count(pages)} of {count(limit)} pages, {counted(pressures or 0, 'time', 'times')} under pressure"
    if pages >= limit or pressures or orphans >= orphans_limit:
        return _found(name, f"TCP's memory: {says}, {count(orphans)} orphans. See net.ipv4.tcp_mem.")
    return _ruled_out(name, f"TCP's memory: {says}.")


def syn_cookies(evidence: Evidence) -> Lookalike:
    """A server's queue of half-open connections is full, by a flood or by load."""
    name, group = "syn_cookies", _group(evidence, "syn_cookies")
    if isinstance(group, str):
        return _unknown(name, "SYN queues", group)
    cookies, drops = group.grown("full_cookies"), group.grown("full_drops")
    if cookies is None and drops is None:
        return _unknown(name, "SYN queues", "these counters are missing")
    says = f"SYN queues full: {count(cookies or 0)} cookies sent and {count(drops or 0)} SYNs dropped"
    says += f" in {span(group.seconds)}"
    return _found(name, f"{says}.") if cookies or drops else _ruled_out(name, f"{says}.")


def cloud_allowance(evidence: Evidence) -> Lookalike:
    """The cloud instance's own limit of connections, outside the kernel."""
    name, group = "cloud_allowance", _group(evidence, "cloud_allowance")
    if isinstance(group, str):
        return _unknown(name, "The instance's connection allowance", group)
    exceeded, left = group.grown("exceeded"), group.gauge("available")
    if exceeded is None:
        return _unknown(name, "The instance's connection allowance", "no interface counts it")
    says = f"The instance's connection allowance was exceeded {counted(exceeded, 'time', 'times')}"
    says += f" in {span(group.seconds)}" + (f", {count(left)} left" if left is not None else "")
    if exceeded:
        return _found(name, f"{says}: no sysctl changes it. A larger instance, or shorter idle timeouts, do.")
    return _ruled_out(name, f"{says}.")


def cilium(evidence: Evidence) -> Lookalike:
    """Cilium without kube-proxy: connections are tracked in eBPF maps, and nf_conntrack hardly matters."""
    name, view = "cilium", evidence.cluster
    proxy = known(view.proxy) if view is not None else None
    if proxy == "cilium":
        return _found(name, "Services run through Cilium's eBPF maps: check cilium_bpf_map_pressure, not nf_conntrack.")
    group = _group(evidence, "cilium")
    if isinstance(group, str):
        ruled_out = _ruled_out(name, f"Services run through kube-proxy in {visible(str(proxy))} mode.")
        return ruled_out if proxy else _unknown(name, "Cilium's presence", group)
    if not group.gauge("present"):
        return _ruled_out(name, "No Cilium on this node.")
    if proxy:
        says = f"Cilium runs here beside kube-proxy ({visible(proxy)}): its own maps were not read."
        return Lookalike(name, UNKNOWN, says)
    return _found(name, "Cilium runs here: check cilium_bpf_map_pressure as well as nf_conntrack.")


def chain_too_long(evidence: Evidence) -> Lookalike:
    """Too few hash buckets: an entry is refused because its chain is too long, with room in the table."""
    name, rates, used = "chain_too_long", known(evidence.rates), measures.usage(evidence)
    if rates is None or rates.chaintoolong is None or rates.chaintoolong < 0:
        return _unknown(name, "Chains that are too long", measures.why_unknown(evidence.rates))
    buckets = f", {count(used.buckets)} buckets" if used is not None and used.buckets is not None else ""
    says = (
        f"{counted(rates.chaintoolong, 'entry', 'entries')} refused for a long chain in {span(rates.seconds)}{buckets}"
    )
    if rates.chaintoolong:
        return _found(name, f"{says}: raise the buckets to at least a quarter of the limit; no reboot is needed.")
    return _ruled_out(name, f"{says}.")


def other_namespace(evidence: Evidence) -> Lookalike:
    """A pod's own table is full (sidecars redirect there): the same log line, and only that pod suffers."""
    name, owners, used = "other_namespace", known(evidence.snapshot.owners), measures.usage(evidence)
    limit = used.limit if used is not None else 0
    full = [space for space in owners.namespaces if limit and space.entries >= OLD_TABLE_FULL * limit] if owners else []
    if full:
        who = f"{visible(full[0].process)} (network namespace {full[0].netns})"
        return _found(name, f"The table of {who} is full: {count(full[0].entries)} of {count(limit)} entries.")
    log, now = known(evidence.snapshot.kernel_log), evidence.snapshot.node.uptime
    if log is None:
        return _unknown(name, "The kernel log", measures.why_unknown(evidence.snapshot.kernel_log))
    own = evidence.snapshot.node.netns
    lines = [line for line in log.lines if line.netns is not None and line.netns != own]
    fresh = [line for line in lines if now - line.at <= NEW_OTHER_NAMESPACE_SECONDS]
    if fresh and log.other_netns > 0:
        says = f"The kernel log says that the table of network namespace {fresh[-1].netns} is full"
        return _found(name, f"{says}, {span(now - fresh[-1].at)} ago: a pod's own table, not the node's.")
    return _ruled_out(name, f"{counted(max(0, log.other_netns), 'line', 'lines')} about other namespaces, none of now.")


CHECKS: tuple[Callable[[Evidence], Lookalike], ...] = (
    snat_ports,
    dns_race,
    ephemeral_ports,
    listen_queue,
    dead_backend,
    invalid_drops,
    neighbour_table,
    softnet,
    path_mtu,
    tcp_memory,
    syn_cookies,
    cloud_allowance,
    cilium,
    chain_too_long,
    other_namespace,
)
