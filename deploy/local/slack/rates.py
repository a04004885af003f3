"""How often Slack lets a method be called: buckets that fill with time.

Tiers are calls a minute per method and workspace; a channel takes about one message a second, with short bursts
(docs.slack.dev, "Rate limits"). How large a burst may be is not documented: those here are a guess on the strict side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

TIER_1, TIER_2, TIER_3, TIER_4 = 1, 20, 50, 100
SPECIAL = 600  # posting is limited per channel; this is the cap of the whole workspace, which is not documented
MESSAGES_A_SECOND = 1.0
MESSAGES_AT_ONCE = 4


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rates:
    """Says how long a caller must wait. ``is_on`` is for benchmarks that measure something else."""

    def __init__(self, now: Callable[[], float], *, is_on: bool = True) -> None:
        self._now = now
        self._buckets: dict[str, _Bucket] = {}
        self.is_on = is_on

    def method(self, name: str, per_minute: int) -> int:
        """Seconds to wait before the method may be called again, 0 where it may be called now."""
        return self._take(name, per_minute / 60, per_minute)

    def post(self, channel: str) -> int:
        """The same for a message in a channel."""
        return self._take(f"post {channel}", MESSAGES_A_SECOND, MESSAGES_AT_ONCE)

    def _take(self, key: str, per_second: float, at_once: float) -> int:
        if not self.is_on:
            return 0
        now = self._now()
        bucket = self._buckets.setdefault(key, _Bucket(at_once, now))
        bucket.left = min(at_once, bucket.left + (now - bucket.at) * per_second)
        bucket.at = now
        if bucket.left < 1:
            return max(1, math.ceil((1 - bucket.left) / per_second))
        bucket.left -= 1
        return 0
