from __future__ import annotations

import pytest

from diagnostics.model import Suspect, SuspectKind, Unknown
from diagnostics.runbook.noisy import held, name, noisy
from tests.diagnostics.runbook.evidence import EXHAUSTED, HEALTHY, attribution, log, rest, seen, suspect, usage

UNKNOWN = SuspectKind.UNKNOWN


@pytest.mark.parametrize(
    ("suspects", "is_one", "words"),
    [
        pytest.param((suspect(0.97), rest(0.03)), True, "more than half of the table", id="nearly all"),
        pytest.param(
            (suspect(0.50), rest(0.49)), False, "The load is distributed", id="half, but perhaps a little less"
        ),
        pytest.param((suspect(0.50, share_low=0.50), rest(0.50)), True, "more than half", id="half for certain"),
        pytest.param((suspect(0.30), *[rest(0.07)] * 10), True, "three times as much as the next (7 %)", id="3 times"),
        pytest.param((suspect(0.12), *[rest(0.02)] * 44), False, "distributed", id="6 times the next, of little"),
        pytest.param((suspect(0.40), rest(0.35), rest(0.25)), False, "the next 35 %", id="two that share it"),
        pytest.param(
            (rest(0.6, kind=UNKNOWN, address=""), suspect(0.4)),
            False,
            "60 % of the entries could not be given to an owner; of the rest, shop/checkout",
            id="most has no owner",
        ),
        pytest.param(
            (rest(0.63, kind=UNKNOWN, address="10.244.8.4", node="", label=""), suspect(0.36)),
            True,
            "An unknown source (10.244.8.4) holds 63 %",
            id="an address without a name",
        ),
        pytest.param(
            (rest(1.0, kind=UNKNOWN, address=""),),
            False,
            "None of the entries could be given to an owner",
            id="none known",
        ),
        pytest.param((), False, "None of the entries", id="nobody"),
        pytest.param((suspect(1.0, share_high=1.0),), True, "holds 100 %", id="all"),
    ],
)
def test_one_source_is_noisy_by_a_stated_rule(suspects: tuple[Suspect, ...], *, is_one: bool, words: str) -> None:
    found, because = noisy(seen(EXHAUSTED, attribution=attribution(*suspects)))
    assert (found is not None, words) == (is_one, words if words in because else because)


def test_nobody_is_noisy_on_a_table_with_room() -> None:
    found, because = noisy(seen(HEALTHY, attribution=attribution(suspect(0.97), rest(0.03))))
    assert found is None
    assert because.startswith("The table is not under pressure, so it does not matter who holds it (shop/checkout")


def test_nobody_is_noisy_any_more_once_it_has_recovered() -> None:
    assert noisy(seen(kernel_log=log(age=60), attribution=attribution(suspect(0.97))))[0] is None


def test_shares_still_mean_something_where_usage_was_not_read() -> None:
    assert noisy(seen(EXHAUSTED, usage=Unknown("not read")))[0] is not None


def test_a_table_that_was_not_read_names_nobody_and_says_why() -> None:
    found, because = noisy(seen(attribution=None, table=Unknown("not permitted")))
    assert (found, because) == (None, "It is not known who holds the entries: not permitted.")


def test_a_table_that_was_not_attributed_says_so() -> None:
    assert noisy(seen(attribution=None))[1] == "It is not known who holds the entries: nothing was attributed."


@pytest.mark.parametrize(
    ("who", "says"),
    [
        pytest.param(suspect(0.9), "shop/checkout-7fff96c597-tsfl7", id="a pod"),
        pytest.param(rest(0.9), "the node itself (node-8)", id="the node"),
        pytest.param(rest(0.9, node="", label=""), "the node itself (10.90.0.8)", id="the node, without a name"),
        pytest.param(rest(0.9, node="node-9", label="node-9"), "another node (node-9)", id="another node"),
        pytest.param(
            rest(0.9, kind=UNKNOWN, address="10.244.8.77", label="10.244.8.77"),
            "a deleted pod (10.244.8.77)",
            id="a deleted pod",
        ),
        pytest.param(
            rest(0.9, kind=SuspectKind.EXTERNAL, address="203.0.113.7"), "an outside address (node-8)", id="outside"
        ),
        pytest.param(suspect(0.9, pod="", label=""), "a pod (10.244.8.11)", id="a pod without a name"),
        pytest.param(
            suspect(0.9, kind=UNKNOWN, pod="", label="", address="", node=""), "an unknown source", id="nothing at all"
        ),
        pytest.param(suspect(0.9, pod="a\x1b[31mb"), "shop/a\\x1b[31mb", id="a hostile name"),
    ],
)
def test_a_source_is_named_as_one_would_look_it_up(who: Suspect, says: str) -> None:
    assert name(who, "node-8") == says


def test_another_node_that_calls_in_is_not_taken_for_this_one() -> None:
    because = noisy(seen(EXHAUSTED, attribution=attribution(rest(0.9, node="node-9", label="node-9"))))[1]
    assert because.startswith("Another node (node-9) holds 90 %")


@pytest.mark.parametrize(
    ("who", "says"),
    [
        pytest.param(suspect(0.97), "97 % (± 1) of the entries, about 7,760", id="sampled"),
        pytest.param(suspect(0.5, share_low=0.5, share_high=0.5), "50 % of the entries, about 4,000", id="exact"),
    ],
)
def test_a_share_is_told_with_its_interval(who: Suspect, says: str) -> None:
    assert held(who) == says


def test_a_full_table_makes_the_same_share_matter() -> None:
    evidence = seen(attribution=attribution(suspect(0.97), rest(0.03)))
    assert [noisy(seen(evidence, usage=usage(n)))[0] is not None for n in (1_200, 8_000)] == [False, True]
