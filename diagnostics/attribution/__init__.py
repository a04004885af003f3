"""Gives the table's entries to their owners: pods, Services, the node itself, the outside, and an honest rest.

Pure: it reads a ``Table`` and a ``ClusterView`` and asks nobody. What nobody could look up is a suspect of kind
``unknown``, so that the shares always sum to 1. Whether a large share is bad is for the runbook to judge.
"""

from __future__ import annotations

from collections.abc import Iterable

from diagnostics.attribution.book import Book, addresses
from diagnostics.attribution.shares import measured
from diagnostics.attribution.suspects import holders
from diagnostics.model import Attribution, ClusterView, NamedTarget, Owners, Table, Target

__all__ = ["addresses", "attribute"]


def attribute(
    table: Table,
    entries: int,
    cluster: ClusterView | None,
    node_addresses: Iterable[str] = (),
    *,
    node: str = "",
    now: float = 0.0,
    owners: Owners | None = None,
) -> Attribution:
    """Who holds the table.

    ``entries`` is the table's fill, of which ``table`` read a part. ``node`` names the node that was looked at (taken
    from ``cluster`` where it is empty), ``now`` is the Unix time of the look (0: not known), ``owners`` the deep look.
    ``cluster`` should know the ``addresses`` of the table; None where there is no cluster to ask.
    """
    book = Book.of(table, cluster, node_addresses, node, now, owners)
    found = holders(table, book)
    total = sum(holder.source.entries for holder in found if holder.source is not None)
    suspects = (measured(holder, total, max(entries, 0), exact=table.whole) for holder in found)
    return Attribution(
        suspects=tuple(sorted(suspects, key=lambda suspect: (-suspect.share, suspect.kind, suspect.address))),
        destinations=_named(table.destinations, book, total),
        backends=_named(table.backends, book, total),
        sampled=not table.whole,
    )


def _named(targets: Iterable[Target], book: Book, total: int) -> tuple[NamedTarget, ...]:
    return tuple(
        NamedTarget(target, book.name(target), min(1.0, max(0, target.entries) / max(1, total))) for target in targets
    )
