"""The whole judgement: what always holds, whatever a node answers."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diagnostics.model import (
    Ages,
    Change,
    Counters,
    Evidence,
    KernelLog,
    LogLine,
    OtherCounters,
    OtherNamespace,
    Owners,
    Rates,
    Snapshot,
    Source,
    SuspectKind,
    Unknown,
    Usage,
    VerdictKind,
)
from diagnostics.runbook import RUNBOOK, judge
from diagnostics.runbook.triggers import SIGNATURES
from tests.diagnostics.runbook.evidence import (
    EXHAUSTED,
    HEALTHY,
    QUIET_GROUPS,
    WAY,
    attribution,
    cluster,
    connects,
    ping,
    rest,
    seen,
    suspect,
    table,
)

STEPS = (
    "ping",
    "new_connections",
    "usage",
    "kernel_log",
    "kubernetes",
    "triggers",
    "silence",
    "churn",
    "restarts",
    "do_not",
    "remedies",
    "pattern",
)
READINGS = [field.name for field in fields(Snapshot) if "Reading" in str(field.type)]

number = st.integers(-(2**80), 2**80)
real = st.one_of(st.floats(), st.floats(0, 1e6))
words = st.text(max_size=12)
counts = st.dictionaries(st.sampled_from(["TIME_WAIT", "ESTABLISHED", "UDP", "SYN_SENT", "CLOSE", "ODD"]), number)
histograms = st.dictionaries(
    st.sampled_from(["TIME_WAIT", "ESTABLISHED", "UDP"]),
    st.builds(Ages, timeout=number, bucket_seconds=real, counts=st.lists(number, max_size=20).map(tuple)),
)
targets = st.lists(
    st.builds(
        replace,
        st.just(HEALTHY.attribution.destinations[0].target if HEALTHY.attribution else None),
        protocol=st.sampled_from(["udp", "tcp", "\x1b"]),
        address=words,
        port=st.sampled_from([53, 80]),
        entries=number,
    ),
    max_size=3,
).map(tuple)
sources = st.builds(
    Source,
    address=words,
    entries=number,
    states=counts,
    unreplied=number,
    targets=targets,
    targets_distinct=number,
    ages=histograms,
)
tables = st.builds(
    lambda **changed: replace(table({}), **changed),
    read=number,
    whole=st.booleans(),
    states=counts,
    destinations=targets,
    ages=histograms,
    sources=st.lists(sources, max_size=2).map(tuple),
    assured=number,
    dnat=number,
    rows=st.lists(words, max_size=2).map(tuple),
)
groups = st.dictionaries(
    st.sampled_from(sorted(QUIET_GROUPS)),
    st.dictionaries(
        st.sampled_from(sorted({name for group in QUIET_GROUPS.values() for name in group})),
        st.one_of(real, number, st.builds(Change, number, number)),
    ),
)
READ: dict[str, st.SearchStrategy[Any]] = {
    "usage": st.builds(Usage, number, number, st.none() | number, st.none() | number, number, st.none() | number),
    "timeouts": st.dictionaries(st.sampled_from(["tcp_time_wait", "udp"]), number),
    "counters": st.lists(
        st.builds(
            Counters, at=real, entries=st.none() | number, counts=st.dictionaries(st.sampled_from(["drop"]), number)
        ),
        max_size=3,
    ).map(tuple),
    "kernel_log": st.builds(
        KernelLog,
        lines=st.lists(st.builds(LogLine, real, words, st.none() | number), max_size=2).map(tuple),
        table_full=number,
        other_netns=number,
        suppressed=number,
        last_at=st.none() | real,
        first_at=st.none() | real,
    ),
    "table": tables,
    "ping": st.builds(
        lambda **changed: replace(ping(), **changed), sent=number, answered=number, seconds=st.tuples(real, real)
    ),
    "connects": st.builds(
        lambda **changed: replace(connects(), **changed),
        attempts=number,
        connected=number,
        seconds=st.tuples(real, real),
        failed=st.dictionaries(words, number, max_size=3),
        retransmitted=number,
        address=words,
    ),
    "other_counters": st.builds(OtherCounters, seconds=real, groups=groups),
    "owners": st.builds(
        Owners,
        st.just(()),
        number,
        st.lists(st.builds(OtherNamespace, number, number, st.none(), words), max_size=2).map(tuple),
    ),
    "rates": st.builds(
        Rates,
        real,
        st.none() | number,
        st.none() | number,
        st.none() | number,
        st.none() | number,
        st.none() | number,
        st.none() | real,
        st.none() | real,
    ),
}
suspects = st.builds(
    lambda **changed: replace(suspect(0.5), **changed),
    share=real,
    kind=st.sampled_from(SuspectKind),
    share_low=real,
    share_high=real,
    entries=number,
    address=words,
    pod=words,
    owner=words,
    source=st.none() | sources,
)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """An exhausted or a healthy node, of which anything may be absurd or unknown."""
    start = draw(st.sampled_from([EXHAUSTED, HEALTHY]))
    changed = {
        name: draw(absurd | st.builds(Unknown, words)) for name, absurd in READ.items() if draw(st.integers(0, 2)) == 0
    }
    if draw(st.booleans()):
        changed["node"] = replace(
            start.snapshot.node, uptime=draw(real), init_netns=draw(st.sampled_from([None, False]))
        )
    if draw(st.booleans()):
        changed["attribution"] = attribution(*draw(st.lists(suspects, max_size=3)))
    if draw(st.booleans()):
        changed["cluster"] = draw(st.sampled_from([None, cluster(pods=Unknown("no"), node=Unknown("no"))]))
    return seen(start, **changed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(evidences())
def test_a_judgement_is_whole_whatever_the_node_answered(evidence: Evidence) -> None:
    judged = judge(evidence, WAY)
    assert tuple(finding.step for finding in judged.findings) == STEPS
    assert all(finding.says and finding.title for finding in judged.findings)
    assert judged.suspects == (evidence.attribution.suspects if evidence.attribution else ())
    assert {trigger.name for trigger in judged.triggers} == set(SIGNATURES)
    assert all(0 <= trigger.score <= 1 for trigger in judged.triggers)
    assert [t.score for t in judged.triggers] == sorted((t.score for t in judged.triggers), reverse=True)
    assert judged.verdict.headline
    assert (judged.verdict.lookalike != "") == (judged.verdict.kind is VerdictKind.LOOKALIKE)
    assert all(remedy.when in ("now", "permanent", "never") for remedy in judged.remedies)


def test_the_runbook_has_its_steps_in_order() -> None:
    assert tuple(step.name for step in RUNBOOK) == STEPS


@pytest.mark.parametrize("name", READINGS)
def test_any_one_reading_may_be_missing_on_an_exhausted_node(name: str) -> None:
    judged = judge(seen(EXHAUSTED, **{name: Unknown("the deadline came first")}), WAY)
    assert judged.verdict.kind is VerdictKind.EXHAUSTED


def test_hostile_names_cannot_move_the_cursor() -> None:
    hostile = suspect(0.97, namespace="a\nb", pod="c\x1b[2J\u202e", owner="Deployment \x07", source=None)
    judged = judge(seen(EXHAUSTED, attribution=attribution(hostile, rest(0.03))), WAY)
    text = " ".join([judged.noisy_because, *(f.says + f.means for f in judged.findings)])
    text += " ".join(remedy.says + " ".join(remedy.commands) for remedy in judged.remedies)
    assert not {"\x1b", "\u202e", "\x07"} & set(text)
    assert "a\nb" not in text
    assert "c\\x1b[2J\\u202e" in text


def test_the_diagnosis_names_node_cluster_and_way() -> None:
    judged = judge(EXHAUSTED, WAY)
    assert (judged.node, judged.cluster, judged.way) == ("node-8", "lab", WAY)
    assert judged.taken_at == EXHAUSTED.snapshot.node.time
