"""Sources to suspects: one per owner, with what a reader must know about it, and the rest that nobody is named for.

It must not know shares or samples: it counts entries that were read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from diagnostics.attribution.book import Book, is_address, latest_first, normal
from diagnostics.model import Ages, Pod, Source, Suspect, SuspectKind, Table, Target, Workload

SHOWN_SHARERS = 3
SHOWN_TARGETS = 10  # what a merged source keeps; the probe itself lists fewer


def holders(table: Table, book: Book) -> list[Suspect]:
    """One suspect per owner, its sources merged, and the rest. Each has its ``source``; shares are still missing."""
    merged: dict[tuple[str, ...], Suspect] = {}
    for source in table.sources:
        if source.entries <= 0:
            continue
        found = _suspect(source, book)
        key = (found.kind, found.pod_uid or f"{found.namespace}/{found.pod}", found.node, found.label)
        merged[key] = _joined(merged[key], found) if key in merged else found
    listed = sum(source.entries for source in table.sources if source.entries > 0)
    others = max(0, table.sources_other, table.read - listed)
    return [*merged.values(), *([_rest(table, others)] if others or not merged else [])]


def _joined(one: Suspect, other: Suspect) -> Suspect:
    """The same owner under two addresses, IPv4 and IPv6 for example."""
    if one.source is None or other.source is None:
        return one
    source = _sum(one.source, other.source)
    notes = dict.fromkeys(note for note in (one.note, other.note) if note)
    return replace(one, source=source, address=source.address, note="; ".join(notes))


def _suspect(source: Source, book: Book) -> Suspect:
    """Whose address a source is: the node's own, a pod's, a Service's, another node's, or nobody's we know."""
    address = normal(source.address)
    blank = Suspect(SuspectKind.UNKNOWN, 0.0, 0.0, 1.0, 0, address=address, label=address, source=source)
    if book.is_own(address):
        return replace(blank, kind=SuspectKind.NODE, node=book.node, label=book.node, note=_shared(book))
    if address in book.pods:
        return _pod_suspect(blank, source, book.pods[address], book)
    if address in book.services:
        service = book.services[address]
        label = f"{service.namespace}/{service.name}"
        return replace(
            blank, kind=SuspectKind.SERVICE, namespace=service.namespace, owner=f"Service {service.name}", label=label
        )
    if address in book.nodes:
        name = book.nodes[address]
        return replace(blank, kind=SuspectKind.NODE, node=name, label=name, note="another node, calling in")
    return _stranger(blank, book)


def _stranger(blank: Suspect, book: Book) -> Suspect:
    """An address that is in no list: outside, unless the list is missing or the address must have been a pod's."""
    if not is_address(blank.address):
        return replace(blank, note="not an address")
    if book.not_looked_up:
        return replace(blank, note=f"not looked up: {book.not_looked_up}")
    if book.is_in_pod_range(blank.address):
        note = "no pod has this address now; its entries linger"
        return replace(blank, node=book.node, note=note)
    return replace(blank, kind=SuspectKind.EXTERNAL)


def _pod_suspect(blank: Suspect, source: Source, pods: tuple[Pod, ...], book: Book) -> Suspect:
    pod, note = _who_made(source, pods, book.now)
    remote = f"runs on node {pod.node}, and calls in" if pod.node and book.node and pod.node != book.node else ""
    return replace(
        blank,
        kind=SuspectKind.POD,
        namespace=pod.namespace,
        pod=pod.name,
        pod_uid=pod.uid,
        node=pod.node,
        owner=_owner(pod.owner),
        label=f"{pod.namespace}/{pod.name}",
        note="; ".join(filter(None, (remote, note))),
    )


def _owner(owner: Workload | None) -> str:
    return f"{owner.kind} {owner.name}" if owner else ""


def _who_made(source: Source, pods: tuple[Pod, ...], now: float) -> tuple[Pod, str]:
    """Which of the pods that have or had an address made its entries, and what a reader must know about it.

    The running one, unless most of the entries last changed before it started: then those are its predecessor's.
    """
    pod, *former = latest_first(pods)
    if pod.is_over:
        return pod, _lingers(pod, now)
    older, aged = _older_than(source.ages, now - pod.started) if pod.started and now else (0, 0)
    mostly_older = older * 2 > aged
    if former and mostly_older:
        note = f"{_lingers(former[0], now)}; the address now belongs to {pod.namespace}/{pod.name}"
        return former[0], note
    if former:
        return pod, f"address reused: before, it belonged to {former[0].namespace}/{former[0].name}"
    if mostly_older:
        return pod, f"{older:,} of {aged:,} entries are older than this pod: an earlier pod had this address"
    return pod, ""


def _lingers(pod: Pod, now: float) -> str:
    if not pod.is_over:
        return "replaced; its entries linger"
    ago = f" {_span(now - pod.finished)} ago" if pod.finished and now > pod.finished else ""
    return f"terminated{ago}; its entries linger"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _older_than(ages: Mapping[str, Ages], seconds: float) -> tuple[int, int]:
    """How many entries last changed more than ``seconds`` ago, and of how many that is known."""
    older = aged = 0
    for age in ages.values():
        aged += sum(age.counts)
        older += sum(count for at, count in enumerate(age.counts) if at * age.bucket_seconds >= seconds)
    return older, aged


def _shared(book: Book) -> str:
    """Who else has the node's address: pods with hostNetwork, and the busiest process where the deep look ran."""
    parts = []
    if book.sharers:
        names = [f"{pod.namespace}/{pod.name}" for pod in book.sharers[:SHOWN_SHARERS]]
        more = len(book.sharers) - len(names)
        parts.append("the node's address, shared by " + ", ".join(names) + (f" and {more} more" if more else ""))
    top = max(book.owners.sockets, key=lambda owner: owner.sockets, default=None) if book.owners else None
    if top is not None and book.owners is not None:
        pod = next((pod for pod in book.sharers if pod.uid and pod.uid == top.pod_uid), None)
        whose = f" of pod {pod.namespace}/{pod.name}" if pod else ""
        all_sockets = sum(owner.sockets for owner in book.owners.sockets) + book.owners.sockets_other
        parts.append(f"most sockets: process {top.process}{whose}, {top.sockets:,} of {all_sockets:,}")
    return "; ".join(parts)


def _rest(table: Table, entries: int) -> Suspect:
    """The part that nobody is named for, so that the shares sum to 1."""
    hidden = max(0, table.sources_distinct - len(table.sources))
    notes = [f"{table.unparsed:,} entries could not be parsed"] if table.unparsed > 0 else []
    if table.read <= 0 and not table.sources:
        label, notes = "nobody: no entry was read", []
    elif hidden:
        label = f"{hidden:,} sources too small to list"
    else:
        label = "sources that were not listed"
    source = Source("", max(0, entries))
    return Suspect(SuspectKind.UNKNOWN, 0.0, 0.0, 1.0, 0, label=label, note="; ".join(notes), source=source)


# ---- merging ---------------------------------------------------------------------------------------------------------


def _sum(one: Source, other: Source) -> Source:
    """Two addresses of one owner as one source, under the address with more entries."""
    first = one if one.entries >= other.entries else other
    return Source(
        address=normal(first.address),
        entries=one.entries + other.entries,
        states=_sums(one.states, other.states),
        unreplied=one.unreplied + other.unreplied,
        assured=one.assured + other.assured,
        nat=one.nat + other.nat,
        targets=_merged_targets(one.targets + other.targets),
        targets_distinct=one.targets_distinct + other.targets_distinct,
        ages=_merged_ages(one.ages, other.ages),
    )


def _sums(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *other)}


def _merged_targets(targets: Iterable[Target]) -> tuple[Target, ...]:
    counts: Counter[tuple[str, str, int]] = Counter()
    for target in targets:
        counts[target.protocol, normal(target.address), target.port] += target.entries
    return tuple(Target(*key, entries) for key, entries in counts.most_common(SHOWN_TARGETS))


def _merged_ages(one: Mapping[str, Ages], other: Mapping[str, Ages]) -> Mapping[str, Ages]:
    merged = dict(one)
    for state, ages in other.items():
        known = merged.get(state)
        if known is None or sum(known.counts) == 0:
            merged[state] = ages
        elif known.bucket_seconds == ages.bucket_seconds:
            size = max(len(known.counts), len(ages.counts))
            pairs = zip(_padded(known.counts, size), _padded(ages.counts, size), strict=True)
            merged[state] = replace(known, counts=tuple(a + b for a, b in pairs))
        # Buckets of different widths cannot be added; one look uses one width per state, so this is hostile input.
    return merged


def _padded(counts: tuple[int, ...], size: int) -> tuple[int, ...]:
    return counts + (0,) * (size - len(counts))
