"""Numbers that have fooled other tools, and what the verdict makes of them."""

from __future__ import annotations

import pytest

from diagnostics.model import Evidence, Unknown, VerdictKind
from diagnostics.runbook import lookalikes
from diagnostics.runbook.verdict import verdict
from tests.diagnostics.runbook.evidence import connects, counters, log, ping, rates, seen, table, usage

UNREAD = Unknown("the deadline came first")
FULL = seen(usage=usage(8_000), connects=UNREAD)
DNS_TABLE = table({"UDP": 7000, "ESTABLISHED": 1000})

ROWS: dict[str, tuple[Evidence, VerdictKind, str]] = {
    "no limit is never full": (
        seen(usage=usage(900_000, limit=0)),
        VerdictKind.HEALTHY,
        "900,000 entries, the kernel sets no limit",
    ),
    "a limit below the count is full": (
        seen(usage=usage(8_000, limit=4_000), rates=rates(drops=9), connects=UNREAD),
        VerdictKind.EXHAUSTED,
        "8,000 entries where 4,000 are allowed",
    ),
    "an absurd count is full, not an error": (
        seen(usage=usage(2**63, limit=1), rates=rates(drops=9)),
        VerdictKind.EXHAUSTED,
        "absurdly many entries where 1 are allowed",
    ),
    "a table that breathes at its limit is exhausted, whatever the trough": (
        seen(usage=usage(6_500), counters=counters(0, 900, entries=8_000), rates=rates(drops=900)),
        VerdictKind.EXHAUSTED,
        "8,000 of 8,000",
    ),
    "drops at 80 %, more than our own: it keeps filling up": (
        seen(usage=usage(6_500), rates=rates(drops=900)),
        VerdictKind.EXHAUSTED,
        "keeps filling up (900 packets dropped in 3 s, 6,500 of 8,000 entries now",
    ),
    "drops at 20 % with a line of just now: it keeps filling up": (
        seen(rates=rates(drops=900), kernel_log=log(age=1)),
        VerdictKind.EXHAUSTED,
        "keeps filling up",
    ),
    "drops at 80 % that our own lost connections explain prove nothing": (
        seen(usage=usage(6_500), rates=rates(drops=40), connects=connects(lost=20)),
        VerdictKind.FILLING,
        "20 of 20 new connections failed",
    ),
    "our own drops on a full table still prove it": (
        seen(FULL, rates=rates(drops=40), connects=connects(lost=20), ping=ping(0)),
        VerdictKind.EXHAUSTED,
        "40 packets dropped in 3 s: perhaps only our own tries, 20 of 20",
    ),
    "drops at 20 % that our own attempts explain are inconclusive": (
        seen(rates=rates(drops=30), connects=connects(lost=15)),
        VerdictKind.INCONCLUSIVE,
        "perhaps only our own tries, but the table has room",
    ),
    "two stray drops are healthy": (seen(rates=rates(drops=2)), VerdictKind.HEALTHY, "2 stray drops in 3 s"),
    "one stray drop is healthy": (seen(rates=rates(drops=1)), VerdictKind.HEALTHY, "1 stray drop in 3 s"),
    "counters that go backwards are unknown: healthy only because connections work": (
        seen(counters=counters(9_000, 3)),
        VerdictKind.HEALTHY,
        "drops not counted",
    ),
    "counters that go backwards on a full table are no proof of calm": (
        seen(FULL, counters=counters(9_000, 3)),
        VerdictKind.INCONCLUSIVE,
        "was not read twice",
    ),
    "negative rates are unknown": (seen(FULL, rates=rates(drops=-5)), VerdictKind.INCONCLUSIVE, "was not read twice"),
    "a window of no time is unknown": (
        seen(FULL, rates=rates(0.0, drops=5)),
        VerdictKind.INCONCLUSIVE,
        "not read twice",
    ),
    "a kernel without early_drop, full of what may be evicted, while connections work: evicting": (
        seen(FULL, rates=rates(early_drops=None), connects=connects(), table=DNS_TABLE),
        VerdictKind.EVICTING,
        "this kernel does not count evictions; 88 % of the entries may be",
    ),
    "a kernel without early_drop, full of what may not be evicted: filling": (
        seen(FULL, rates=rates(early_drops=None), connects=connects(), table=table({"ESTABLISHED": 8_000})),
        VerdictKind.FILLING,
        "the next burst",
    ),
    "a kernel without early_drop and a table not read: filling": (
        seen(FULL, rates=rates(early_drops=None), connects=connects(), table=UNREAD),
        VerdictKind.FILLING,
        "the next burst",
    ),
    "a kernel without early_drop that drops is exhausted": (
        seen(FULL, rates=rates(drops=8, early_drops=None)),
        VerdictKind.EXHAUSTED,
        "8 packets dropped",
    ),
    "evictions on a kernel whose drops are unknown are evicting": (
        seen(FULL, rates=rates(drops=None, early_drops=60)),
        VerdictKind.EVICTING,
        "drops not counted",
    ),
    "evictions just below the limit are evicting": (
        seen(usage=usage(7_000), rates=rates(early_drops=1)),
        VerdictKind.EVICTING,
        "1 entry evicted",
    ),
    "full, and all drops are failed inserts: not the table's drops": (
        seen(FULL, rates=rates(drops=5, insert_failed=5)),
        VerdictKind.FILLING,
        "no packet was dropped for it",
    ),
    "a refused connection is an answer": (
        seen(connects=connects(lost=20, failed={"refused": 20})),
        VerdictKind.HEALTHY,
        "20 of 20 new connections work",
    ),
    "one lost connection of twenty is bad luck": (
        seen(connects=connects(lost=1)),
        VerdictKind.HEALTHY,
        "1 of 20 new connections failed",
    ),
    "connections fail and nothing else is wrong: inconclusive": (
        seen(connects=connects(lost=12)),
        VerdictKind.INCONCLUSIVE,
        "node-8: new connections fail, 12 of 20 new connections failed, and its conntrack table is not full (1,200 of",
    ),
    "connections fail, counters unknown: inconclusive": (
        seen(connects=connects(lost=12), rates=UNREAD),
        VerdictKind.INCONCLUSIVE,
        "the drop counter was not read twice",
    ),
}


@pytest.mark.parametrize(("evidence", "kind", "words"), ROWS.values(), ids=ROWS.keys())
def test_no_number_fools_the_verdict(evidence: Evidence, kind: VerdictKind, words: str) -> None:
    answer = verdict(evidence, lookalikes.lookalikes(evidence))
    assert (answer.kind, words) == (kind, words if words in answer.headline else answer.headline)
