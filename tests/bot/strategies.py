"""Diagnoses, looks and incidents as hostile and as huge as a node, a cluster and a bad day can make them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from bot.model import Incident, Look, Person, State
from bot.report import picture, report, to_json
from diagnostics.model import (
    Ages,
    Attempt,
    Diagnosis,
    Finding,
    Known,
    Lookalike,
    Rates,
    Reading,
    Remedy,
    Shown,
    Status,
    Suspect,
    SuspectKind,
    Trigger,
    Unknown,
    Usage,
    Verdict,
    VerdictKind,
    Way,
)
from diagnostics.runbook import RUNBOOK, judge
from tests.diagnostics.runbook.evidence import CHURN, EXHAUSTED, seen, table

HOSTILE = (
    "",
    "<!channel>",
    "<!here|everyone>",
    "<@U0123456789>",
    "<https://evil.example|runbook>",
    "*x*",
    "_x_ ~y~ `z`",
    "```",
    "a`b",
    ":fire: @here @channel",
    "&amp; &lt;!channel&gt;",
    "$x^2$ \\frac{1}{2} $",
    "\x1b[2J\x00\x07",
    "\u202eevil\u200b\u2066",
    "שלום مرحبا 日本語 🔥\U0001f9d1\u200d\U0001f692",
    "\ud800",
    "> quote\n> quote",
    "shop/checkout-7fff96c597-tsfl7",
    "fd00:10:244::1",
    "1. x\n2. y",
)

times = st.floats(min_value=-1e3, max_value=1e11)
shares = st.floats(min_value=0, max_value=1)
counts = st.integers(min_value=0, max_value=2**40)


@st.composite
def texts(draw: st.DrawFn, largest: int = 5_000) -> str:
    """Anything from nothing to ``largest`` characters of mischief."""
    piece = draw(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20)))
    size = draw(st.sampled_from((1, 1, 1, 3, largest)))
    return (piece * size)[:largest]


@st.composite
def ages(draw: st.DrawFn) -> Ages:
    width = draw(st.sampled_from((0.0, 1.0, 10.0, 3600.0)))
    return Ages(120, width, tuple(draw(st.lists(counts, max_size=24))))


@st.composite
def suspects(draw: st.DrawFn) -> tuple[Suspect, ...]:
    source = replace(CHURN, ages=draw(st.dictionaries(st.sampled_from(("TIME_WAIT", "UDP", "X")), ages(), max_size=2)))
    share = draw(shares)
    one = Suspect(
        kind=draw(st.sampled_from(SuspectKind)),
        share=share,
        share_low=max(0.0, share - 0.1),
        share_high=min(1.0, share + 0.1),
        entries=draw(counts),
        address=draw(texts(200)),
        label=draw(texts()),
        owner=draw(texts()),
        node="node-8",
        note=draw(texts()),
        source=draw(st.sampled_from((None, source))),
    )
    number = draw(st.sampled_from((0, 1, 2, 2, 500)))
    return tuple(replace(one, label=f"{one.label}{at}", share=share / number) for at in range(number))


@st.composite
def findings(draw: st.DrawFn) -> tuple[Finding, ...]:
    """The runbook's steps, each with something else wrong."""
    shown = Shown(draw(texts(2_000)), draw(texts(100_000)))
    said, means, correction = draw(texts(20_000)), draw(texts()), draw(texts())
    statuses = draw(st.lists(st.sampled_from(Status), min_size=len(RUNBOOK), max_size=len(RUNBOOK)))
    number = draw(st.sampled_from((0, 1, 9)))
    steps = zip(RUNBOOK, statuses, strict=True)
    return tuple(Finding(one.name, one.title, is_, said, means, correction, (shown,) * number) for one, is_ in steps)


@st.composite
def remedies(draw: st.DrawFn) -> tuple[Remedy, ...]:
    one = Remedy(
        action="kill_pod",
        when="now",
        says=draw(texts()),
        commands=(draw(texts(2_000)),) * draw(st.sampled_from((0, 1, 40))),
    )
    number = draw(st.sampled_from((0, 1, 30)))
    return tuple(replace(one, when=("now", "permanent", "never")[at % 3]) for at in range(number))


@st.composite
def diagnoses(draw: st.DrawFn) -> Diagnosis:
    held = draw(suspects())
    unknown = Unknown("no")
    usages: tuple[Reading[Usage], ...] = (unknown, Known(Usage(draw(counts), draw(counts))))
    rates: tuple[Reading[Rates], ...] = (unknown, Known(Rates(3.0, 9, 0, 0, 0, 0, None, None)))
    is_found = draw(st.booleans())
    snapshot = seen(
        EXHAUSTED,
        table=table({"TIME_WAIT": 7_600}, ages=draw(st.dictionaries(st.just("TIME_WAIT"), ages())), whole=False),
        unknown=draw(st.dictionaries(texts(50), texts(), max_size=9)),
        left_out=draw(st.dictionaries(texts(50), counts, max_size=3)),
        partial=draw(st.booleans()),
    ).snapshot
    return replace(
        judge(EXHAUSTED, Way("pod", (), 1.1)),
        node=draw(texts(300)),
        verdict=Verdict(draw(st.sampled_from(VerdictKind)), draw(texts())),
        usage=draw(st.sampled_from(usages)),
        rates=draw(st.sampled_from(rates)),
        findings=draw(st.one_of(findings(), st.just(()))),
        suspects=held,
        noisy=held[0] if held and is_found else None,
        noisy_because=draw(texts()),
        triggers=(Trigger("short_lived_connections", draw(shares), draw(texts())),),
        lookalikes=(
            Lookalike(draw(texts(200)), draw(st.sampled_from(("found", "ruled out", "unknown"))), draw(texts())),
        )
        * draw(st.sampled_from((0, 1, 15))),
        remedies=draw(remedies()),
        way=Way("pod", (Attempt("ssh", draw(texts()), 1.0),) * draw(st.sampled_from((0, 1, 5))), 1.1),
        snapshot=draw(st.sampled_from((None, snapshot))),
        taken_at=draw(times),
    )


@st.composite
def incidents(draw: st.DrawFn) -> Incident:
    return Incident(
        id=draw(st.integers(min_value=1, max_value=2**40)),
        cluster=draw(texts(300)),
        node=draw(texts(1_000)),
        channel="C1",
        thread="",
        asked_by=Person(draw(st.sampled_from(("U0123ABCD", "<!channel>", "")))),
        asked_at=draw(times),
        opened_at=draw(times),
        state=draw(st.sampled_from(State)),
        looks=draw(st.integers(min_value=0, max_value=9)),
        note=draw(texts(1_000)),
        verdict=draw(st.sampled_from(("", *VerdictKind, "of tomorrow"))),
        headline=draw(texts(1_000)),
        looked_at=draw(st.one_of(st.none(), times)),
    )


@st.composite
def looks(draw: st.DrawFn, *, documented: bool = False) -> Look:
    found = draw(st.one_of(st.none(), diagnoses()))
    return Look(
        incident=12,
        number=draw(st.integers(min_value=1, max_value=3)),
        state=draw(st.sampled_from((State.DIAGNOSED, State.NOT_SEEN, State.INTERRUPTED))),
        started_at=draw(times),
        ended_at=draw(times),
        report=report(found) if found else None,
        picture=picture(found) if found else None,
        why=draw(texts()),
        document=to_json(found) if found and documented else {},
    )
