"""Counts to shares: how large, how sure, and how many entries of the table that stands for."""

from __future__ import annotations

import math
from dataclasses import replace

from diagnostics.model import Suspect

Z_95 = 1.959964  # two-sided 95 % quantile of the normal distribution


def measured(holder: Suspect, total: int, entries: int, *, exact: bool) -> Suspect:
    """A suspect with its share, the share's interval, and the entries that it stands for."""
    if total <= 0 or holder.source is None:
        return replace(holder, share=1.0, share_low=0.0, share_high=1.0, entries=entries, source=None)
    counted = holder.source.entries
    share = counted / total
    low, high = (share, share) if exact else interval(counted, total, entries)
    is_rest = not holder.source.address
    return replace(
        holder,
        share=share,
        share_low=min(low, share),
        share_high=max(high, share),
        entries=round(share * max(entries, total if exact else 0)),
        source=None if is_rest else holder.source,
    )


def interval(counted: int, read: int, entries: int) -> tuple[float, float]:
    """Wilson's 95 % interval for ``counted`` of ``read``, a sample without replacement out of ``entries``.

    The finite population correction acts through the sample's effective size: a sample of the whole is exact.
    """
    share = counted / read
    if entries <= read:
        return share, share
    effective = read * max(1, entries - 1) / (entries - read)
    square = Z_95 * Z_95
    centre = (share + square / (2 * effective)) / (1 + square / effective)
    spread = math.sqrt(max(0.0, share * (1 - share) / effective + square / (4 * effective * effective)))
    half = Z_95 * spread / (1 + square / effective)
    return max(0.0, centre - half), min(1.0, centre + half)
