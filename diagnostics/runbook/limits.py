"""Which limit to propose, what it costs, how long it lasts, and what would undo it, with this node's numbers.

This file knows kube-proxy's and the kernel's rules about nf_conntrack_max, and no words of the explanation.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from diagnostics.model import Usage
from diagnostics.runbook.case import Case
from diagnostics.runbook.measures import arrivals_per_second, peak_entries, usage

ENTRY_BYTES = 384  # Measured on Linux 6.18 over 60,000 NATed flows: 256 of the slab, 128 of extensions.
BUCKET_BYTES = 8
ENTRIES_PER_BUCKET = 4  # kube-proxy's own rule: hashsize = max / 4 where it is smaller.
LARGEST_LIMIT = 1_048_576  # More should be a decision, not a proposal; kube-proxy 1.36 caps its own value here too.
MEMORY_SHARE = 0.05  # The table is unswappable: at most a twentieth of what is free.
KUBE_PROXY_MINIMUM = 131_072  # kube-proxy's default conntrack.min: a permanent limit below it makes no sense.
HEADROOM = 2.0  # A permanent limit holds twice what this node's traffic needs.
SHORT_LIFETIME_SECONDS = 120.0  # TIME_WAIT: what a short connection costs after it is closed.
MOST_PER_SECOND = 1e9  # Beyond this a rate is a misreading, and the arithmetic would leave the integers.


@dataclass(frozen=True, slots=True)
class Proposal:
    """A limit to set now. ``buckets`` is None where the present ones suffice. ``lasts_seconds``: until full again."""

    limit: int
    buckets: int | None
    price_bytes: int
    lasts_seconds: float | None


def proposal(case: Case) -> Proposal | None:
    """Twice the limit, or what holds the present entries; None where the memory does not allow more than there is."""
    read, entries = usage(case.evidence), peak_entries(case.evidence)
    if read is None or entries is None or read.limit == 0:
        return None
    wanted = 2 * max(read.limit, min(entries, LARGEST_LIMIT))
    limit = min(wanted, _affordable(read), max(LARGEST_LIMIT, read.limit))
    if limit <= max(read.limit, entries):
        return None
    rate = _rate(case)
    return Proposal(
        limit=limit,
        buckets=_buckets(limit, read.buckets),
        price_bytes=_price(limit, read),
        lasts_seconds=(limit - max(read.limit, entries)) / rate if rate else None,
    )


def permanent_limit(case: Case) -> int:
    """A limit with room for this node's traffic: a power of two, at least kube-proxy's own minimum."""
    rate = min(_rate(case) or 0.0, MOST_PER_SECOND)
    read = usage(case.evidence)
    now = min(read.limit, LARGEST_LIMIT) if read is not None else 0
    needed = max(rate * SHORT_LIFETIME_SECONDS * HEADROOM, KUBE_PROXY_MINIMUM, now * HEADROOM, 1)
    return min(1 << math.ceil(math.log2(needed)), LARGEST_LIMIT)


def price_of(limit: int) -> int:
    """What a full table of this limit holds in memory."""
    return limit * ENTRY_BYTES + limit // ENTRIES_PER_BUCKET * BUCKET_BYTES


def seconds_until_full_again(case: Case) -> float | None:
    """How long an emptied table lasts at this rate."""
    read, rate = usage(case.evidence), _rate(case)
    if read is None or read.limit == 0 or not rate:
        return None
    return min(read.limit, 2**62) / rate


def _rate(case: Case) -> float | None:
    """New entries a second from now on; not known where those in the table are a pod's that opens no more."""
    return None if case.lingering is not None else arrivals_per_second(case.evidence)


def _affordable(read: Usage) -> int:
    if read.memory_available is None:
        return LARGEST_LIMIT
    more = max(0, read.memory_available) * MEMORY_SHARE / (ENTRY_BYTES + BUCKET_BYTES / ENTRIES_PER_BUCKET)
    return read.limit + int(min(more, LARGEST_LIMIT))


def _buckets(limit: int, present: int | None) -> int | None:
    needed = -(-limit // ENTRIES_PER_BUCKET)
    return needed if present is None or present < needed else None


def _price(limit: int, read: Usage) -> int:
    buckets = _buckets(limit, read.buckets) or 0
    more_buckets = max(0, buckets - (read.buckets or 0)) if buckets else 0
    return (limit - read.limit) * ENTRY_BYTES + more_buckets * BUCKET_BYTES


# ---- what undoes a sysctl -------------------------------------------------------------------------------------------

# kube-proxy writes nf_conntrack_max once, when it starts (its server.go and conntrack.go). What it does to a higher
# value that somebody set by hand changed with kubernetes #103174, #120448 and #137002.
SETS_EXACTLY, ONLY_RAISES, MAY_LOWER = "sets it exactly", "only ever raises it", "may lower it"
BY_MINOR_VERSION = ((22, SETS_EXACTLY), (29, ONLY_RAISES), (36, SETS_EXACTLY))


def kube_proxy_version(case: Case) -> str:
    """The running kube-proxy's version, "1.20.2"; empty where it is not known."""
    view, node = case.evidence.cluster, case.kube_node
    image = view.proxy_image if view is not None else ""
    for text in (image.rsplit(":", 1)[-1] if ":" in image else "", node.kube_proxy_version if node is not None else ""):
        found = re.match(r"v?(1\.\d{1,3}(?:\.\d{1,3})?)", text)
        if found is not None:
            return found.group(1)
    return ""


def what_undoes_it(case: Case) -> str:
    """What a kube-proxy restart does to a limit set by hand, in a sentence."""
    if case.proxy is None and case.evidence.cluster is None:
        return "A reboot undoes it; so may a restart of kube-proxy where it runs."
    if case.proxy == "cilium":
        return "A reboot undoes it; Cilium does not touch it."
    version = kube_proxy_version(case)
    if not version:
        return "A restart of kube-proxy may undo it, and a reboot does: its version is not known."
    minor = int(version.split(".")[1])
    does = next((does for below, does in BY_MINOR_VERSION if minor < below), MAY_LOWER)
    if does == ONLY_RAISES:
        return f"kube-proxy {version} {does} when it starts; a reboot undoes it."
    return f"A restart of kube-proxy undoes it: version {version} {does} when it starts."
