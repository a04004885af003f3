from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from diagnostics.model import Ages, Evidence, Source, Suspect, Target, Trigger, Unknown
from diagnostics.runbook.triggers import SIGNATURES, triggers
from tests.diagnostics.runbook.evidence import (
    CHURN,
    EXHAUSTED,
    KUBE_DNS,
    PAYMENTS,
    UPTIME,
    ages,
    attribution,
    rest,
    seen,
    source,
    suspect,
    table,
    usage,
)

DEAD = Target("tcp", "10.99.0.9", 80, 7700)
DNS = Target("udp", KUBE_DNS, 53, 7800)
API = Target("tcp", "10.96.0.1", 443, 3900)


def judged(held: Source, **changed: Any) -> tuple[Trigger, ...]:
    """The triggers of a full table that one source fills."""
    noisy = suspect(0.97, source=held, **changed)
    whole = table(held.states, held.targets)
    evidence = seen(EXHAUSTED, table=whole, attribution=attribution(noisy, rest(0.03)))
    return triggers(evidence, noisy)


def scores(found: tuple[Trigger, ...]) -> Mapping[str, float]:
    return {trigger.name: trigger.score for trigger in found}


def because(found: tuple[Trigger, ...], name: str) -> str:
    return next(trigger.because for trigger in found if trigger.name == name)


LEAK = source({"ESTABLISHED": 7_700, "TIME_WAIT": 40}, (PAYMENTS,))
RETRY = source({"SYN_SENT": 7_700}, (DEAD,), ages={"SYN_SENT": ages(100, 77)})
STORM = source({"UDP": 7_800}, (DNS,), unreplied=7_800, ages={"UDP": ages(400, 20, 30)})

REAL = {
    "churn: nearly all in TIME_WAIT to one port": (CHURN, "short_lived_connections"),
    "churn without ages": (replace(CHURN, ages={}), "short_lived_connections"),
    "leak: thousands open and idle": (LEAK, "idle_connections"),
    "leak that has just opened": (
        replace(LEAK, ages={"ESTABLISHED": Ages(86_400, 1.0, (800,) * 9)}),
        "idle_connections",
    ),
    "leak seen through wide buckets": (
        replace(LEAK, ages={"ESTABLISHED": Ages(86_400, 720.0, (7_700,))}),
        "idle_connections",
    ),
    "half-closed by the server": (source({"CLOSE_WAIT": 4_000, "ESTABLISHED": 100}, (PAYMENTS,)), "idle_connections"),
    "retries to an address that never answers": (RETRY, "aggressive_retries"),
    "retries that are refused": (source({"CLOSE": 5_000, "SYN_SENT": 100}, (DEAD,)), "aggressive_retries"),
    "one-shot lookups": (STORM, "dns_storm"),
    "a busy client with a pool that is too small": (
        source({"TIME_WAIT": 4_000, "ESTABLISHED": 3_800}, (PAYMENTS, API)),
        "high_request_rate",
    ),
}


@pytest.mark.parametrize(("held", "name"), REAL.values(), ids=REAL.keys())
def test_each_kind_of_noise_comes_out_first(held: Source, name: str) -> None:
    found = judged(held)
    assert found[0].name == name, found
    assert found[0].score >= 0.5


def test_all_six_are_always_there_highest_first() -> None:
    found = judged(CHURN)
    assert {trigger.name for trigger in found} == set(SIGNATURES)
    assert [trigger.score for trigger in found] == sorted((trigger.score for trigger in found), reverse=True)


def test_a_table_that_was_not_read_scores_nothing_and_says_why() -> None:
    found = triggers(seen(table=Unknown("not permitted: needs CAP_NET_ADMIN")), None)
    assert scores(found) == dict.fromkeys(SIGNATURES, 0.0)
    assert because(found, "dns_storm") == "The table was not read: not permitted: needs CAP_NET_ADMIN."


@pytest.mark.parametrize(
    ("entries", "score"),
    [
        pytest.param(8_000, 0.987, id="full"),
        pytest.param(6_000, 0.987, id="at 75 %"),
        pytest.param(600, 0.099, id="at 7.5 %: a tenth of what is at risk"),
    ],
)
def test_the_score_says_how_much_of_the_limit_is_explained(entries: int, score: float) -> None:
    noisy = suspect(0.97, source=CHURN)
    evidence = seen(EXHAUSTED, usage=usage(entries), counters=Unknown("not read"))
    assert scores(triggers(evidence, noisy))["short_lived_connections"] == pytest.approx(score, abs=0.001)


def test_unread_usage_lowers_no_score() -> None:
    evidence = seen(EXHAUSTED, usage=Unknown("not read"))
    assert scores(triggers(evidence, suspect(0.97, source=CHURN)))["short_lived_connections"] > 0.9


# ---- mixes: the whole table, where nobody is noisy alone ------------------------------------------------------------


def mixed(*held: Source) -> tuple[Trigger, ...]:
    states: dict[str, int] = {}
    for one in held:
        for name, number in one.states.items():
            states[name] = states.get(name, 0) + number
    targets = tuple(target for one in held for target in one.targets)
    return triggers(seen(EXHAUSTED, table=table(states, targets, sources=held, sources_distinct=len(held))), None)


def test_a_mix_scores_both_in_the_order_of_their_shares() -> None:
    lookups = source({"UDP": 3_000}, (replace(DNS, entries=3_000),))
    found = mixed(replace(CHURN, address="a"), replace(lookups, address="b"))
    assert [trigger.name for trigger in found[:2]] == ["short_lived_connections", "dns_storm"]
    assert scores(found)["short_lived_connections"] == pytest.approx(0.71, abs=0.01)
    assert scores(found)["dns_storm"] == pytest.approx(0.28, abs=0.01)


def test_one_that_holds_beside_one_that_closes_is_no_high_request_rate() -> None:
    closes, holds = source({"TIME_WAIT": 4_000}, (PAYMENTS,)), source({"ESTABLISHED": 4_000}, (API,))
    found = scores(mixed(replace(closes, address="a"), replace(holds, address="b")))
    assert found["short_lived_connections"] == found["idle_connections"] == 0.5
    assert found["high_request_rate"] == 0.0


# ---- reasons --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "name", "words"),
    [
        pytest.param(CHURN, "short_lived_connections", "about 730 closed a second", id="the rate, from the ages"),
        pytest.param(CHURN, "short_lived_connections", "all to Service shop/payments:80", id="the Service's name"),
        pytest.param(RETRY, "aggressive_retries", "all to 10.99.0.9 port 80", id="an address without a name"),
        pytest.param(
            RETRY,
            "aggressive_retries",
            "10.99.0.9 port 80, an address that never answers.",
            id="an address that is dead",
        ),
        pytest.param(
            replace(RETRY, unreplied=RETRY.entries // 2),
            "aggressive_retries",
            "all to 10.99.0.9 port 80.",
            id="half dead",
        ),
        pytest.param(CHURN, "dns_storm", "No name server is among the targets", id="no name server"),
        pytest.param(STORM, "dns_storm", "100 % of the entries are UDP to port 53, most to 10.96.0.10", id="lookups"),
        pytest.param(STORM, "dns_storm", "about 400 UDP exchanges a second", id="lookups a second"),
        pytest.param(replace(STORM, ages={"UDP": ages(0)}), "dns_storm", "most to 10.96.0.10.", id="lookups of old"),
        pytest.param(
            replace(LEAK, targets_distinct=4_000),
            "idle_connections",
            "4,000 different targets, as a scanner's do",
            id="a scanner",
        ),
        pytest.param(
            replace(LEAK, ages={"ESTABLISHED": Ages(86_400, 5.0, (70, 70, 560))}),
            "idle_connections",
            "80 % of them without a packet for 10 s",
            id="how many are idle",
        ),
        pytest.param(
            source({"CLOSE_WAIT": 3_000, "ESTABLISHED": 1_000}, (PAYMENTS, API), targets_distinct=2),
            "idle_connections",
            "75 % are half-closed by the other side",
            id="half-closed",
        ),
        pytest.param(
            source({"TIME_WAIT": 8_000}, (PAYMENTS, API), targets_distinct=9),
            "short_lived_connections",
            "97 % to Service shop/payments:80 (of 9 targets)",
            id="several targets",
        ),
        pytest.param(
            source({"TIME_WAIT": 60, "UDP": 9_000}),
            "short_lived_connections",
            "wait for their timeout.",
            id="no target",
        ),
        pytest.param(
            source({"TIME_WAIT": 1_200}),
            "short_lived_connections",
            "about 10 closed a second",
            id="no ages: the timeout",
        ),
    ],
)
def test_the_reason_has_the_numbers(held: Source, name: str, words: str) -> None:
    assert words in because(judged(held), name)


def test_a_rate_is_scaled_to_the_table_that_was_sampled() -> None:
    sampled = table({"TIME_WAIT": 8_000}, ages={"TIME_WAIT": ages(100, 80)}, whole=False)
    found = triggers(seen(EXHAUSTED, usage=usage(262_144, 262_144), table=sampled), None)
    assert "about 3,277 closed a second" in because(found, "short_lived_connections")


def test_the_busiest_seconds_count_where_the_table_is_full_and_nothing_new_gets_in() -> None:
    stuck = replace(CHURN, ages={"TIME_WAIT": Ages(120, 1.0, (0,) * 30 + (760,) * 10 + (0,) * 80)})
    assert "about 760 closed a second" in because(judged(stuck), "short_lived_connections")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(Ages(120, 0.0, (5, 5)), id="buckets of no time"),
        pytest.param(Ages(120, float("nan"), (5, 5)), id="buckets of nonsense"),
        pytest.param(Ages(120, 1.0, ()), id="no buckets"),
        pytest.param(Ages(120, 1.0, (-5, -5)), id="negative buckets"),
    ],
)
def test_broken_ages_give_no_rate(broken: Ages) -> None:
    held = replace(CHURN, ages={"TIME_WAIT": broken, "ESTABLISHED": broken})
    assert "closed a second" not in because(judged(held), "short_lived_connections")


# ---- load tests -----------------------------------------------------------------------------------------------------


STEADY = replace(CHURN, ages={"TIME_WAIT": ages(300, 26)})
RAGGED = replace(CHURN, ages={"TIME_WAIT": Ages(120, 1.0, (20, 700, 10, 900, 5, 800, 1, 700) * 12)})


@pytest.mark.parametrize(
    ("held", "names", "score"),
    [
        pytest.param(STEADY, {"pod": "k6-runner-4x"}, 1.0, id="named, steady, one target, young"),
        pytest.param(STEADY, {"owner": "Job load-test-7"}, 1.0, id="named in two words"),
        pytest.param(RAGGED, {"namespace": "locust"}, 0.8, id="named and ragged"),
        pytest.param(STEADY, {}, 0.3, id="not named"),
        pytest.param(STEADY, {"pod": "they-wrkd-load"}, 0.3, id="a name that only resembles one"),
        pytest.param(RAGGED, {}, 0.1, id="not named and ragged"),
        pytest.param(LEAK, {}, 0.0, id="a leak"),
    ],
)
def test_a_load_test_is_known_by_its_name_and_hinted_at_by_its_rate(
    held: Source, names: dict[str, str], score: float
) -> None:
    assert scores(judged(held, **names))["load_test"] == pytest.approx(score)


def test_an_unnamed_load_test_never_hides_what_it_does() -> None:
    assert judged(STEADY)[0].name == "short_lived_connections"


# ---- whose entries --------------------------------------------------------------------------------------------------


def of(noisy: Suspect | None, **changed: Any) -> tuple[Trigger, ...]:
    evidence: Evidence = seen(EXHAUSTED, **changed)
    return triggers(evidence, noisy)


def test_a_noisy_source_without_details_is_judged_by_the_table() -> None:
    assert of(suspect(0.97))[0].name == "short_lived_connections"


def test_a_noisy_source_is_judged_even_where_the_table_is_gone() -> None:
    assert of(suspect(0.97, source=STORM), table=Unknown("left out"))[0].name == "dns_storm"


def test_an_empty_source_scores_nothing() -> None:
    assert set(scores(of(suspect(0.0, source=Source("", 0)))).values()) == {0.0}


def test_without_attribution_the_address_is_the_name() -> None:
    assert "all to 10.96.0.12 port 80" in because(
        of(suspect(0.97, source=CHURN), attribution=None), "short_lived_connections"
    )


def test_a_noisy_source_without_ages_has_those_of_the_table_it_fills() -> None:
    assert "about 730 closed a second" in because(
        of(suspect(0.97, source=replace(CHURN, ages={}))), "short_lived_connections"
    )


def test_a_source_that_does_not_fill_the_table_has_not_its_ages() -> None:
    few = source({"TIME_WAIT": 2_400})
    assert "about 20 closed a second" in because(of(suspect(0.3, source=few)), "short_lived_connections")


def test_uptime_plays_no_part() -> None:
    older = replace(EXHAUSTED.snapshot.node, uptime=UPTIME * 50)
    assert scores(of(None, node=older)) == scores(of(None))
