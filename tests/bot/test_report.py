from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.report import Report, is_worse, looked, picture, report, so_far, to_json, who
from diagnostics.model import (
    Ages,
    Attempt,
    Diagnosis,
    Known,
    NamedTarget,
    Rates,
    Suspect,
    SuspectKind,
    Target,
    Unknown,
    Verdict,
    VerdictKind,
    Way,
)
from diagnostics.runbook import judge
from tests.diagnostics.runbook.evidence import (
    EXHAUSTED,
    HEALTHY,
    attribution,
    rates,
    rest,
    seen,
    source,
    suspect,
    table,
    usage,
)

WAY = Way("ssh", (Attempt("pod", "no kubelet\x1b[2J answers", 4.0), Attempt("ssh", "answered", 5.14)), 5.14)
SICK = judge(EXHAUSTED, WAY)
WELL = judge(HEALTHY, WAY)


def said(diagnosis: Diagnosis = SICK, **changed: Any) -> Report:
    return report(replace(diagnosis, **changed))


def test_the_answer_comes_first_and_its_numbers_stand_on_their_own_line() -> None:
    found = said()
    assert found.headline == "node-8 is dropping new connections: its conntrack table is full"
    assert found.numbers[:2] == ("8,000 of 8,000 entries", "4,310 packets dropped in 3 s")


def test_a_headline_without_numbers_gets_them_from_the_readings() -> None:
    found = said(verdict=Verdict(VerdictKind.EXHAUSTED, "node-8 drops"))
    assert found.numbers == (
        "8,000 of 8,000 entries",
        "4,310 packets dropped in 3 s",
        "0 of 20 new connections work",
    )


def test_what_was_not_read_leaves_no_number_behind() -> None:
    nothing = Unknown("no")
    snapshot = seen(HEALTHY, connects=nothing).snapshot
    found = said(
        verdict=Verdict(VerdictKind.INCONCLUSIVE, "who knows"), usage=nothing, rates=nothing, snapshot=snapshot
    )
    assert found.numbers == ()


def test_who_fills_the_table_is_named_with_its_workload_its_share_and_what_it_calls() -> None:
    assert said().who == (
        "shop/checkout-7fff96c597-tsfl7 (Deployment checkout) holds 97 % (± 1) of the table: "
        "short-lived connections, most to Service shop/payments:80"
    )


def test_retries_are_told_to_go_to_an_address_that_never_answers() -> None:
    dead = Target("tcp", "10.99.0.1", 80, 7_760)
    held = source({"SYN_SENT": 7_760}, (dead,))
    holds = replace(
        attribution(suspect(0.97, source=held)), destinations=(NamedTarget(dead, "outside 10.99.0.1:80", 0.97),)
    )
    evidence = seen(EXHAUSTED, table=table(held.states, (dead,), sources=(held,)), attribution=holds)
    assert report(judge(evidence, WAY)).who.endswith(
        "aggressive retries, most to 10.99.0.1:80, an address that never answers"
    )
    unnamed = replace(held, targets=())
    nowhere = seen(evidence, attribution=replace(holds, suspects=(suspect(0.97, source=unnamed),)))
    assert report(judge(nowhere, WAY)).who.endswith("of the table: aggressive retries")


def test_a_table_above_its_limit_reads_as_such() -> None:
    over = judge(seen(EXHAUSTED, usage=usage(8_527)), WAY)
    assert report(over).numbers[0] == "8,527 entries where 8,000 are allowed"
    assert so_far(over).startswith("so far: 8,527 entries where 8,000 are allowed, ")
    assert to_json(over)["usage"]["ratio"] == 1.0659


def test_where_nobody_stands_out_that_is_said() -> None:
    assert said(noisy=None, noisy_because="The load is distributed.").who == "The load is distributed."


def test_where_nothing_is_wrong_nobody_is_named() -> None:
    assert said(WELL).who == ""
    assert said(WELL).is_quiet
    assert not said().is_quiet


def test_the_first_thing_to_do_is_the_gentlest_that_works_now() -> None:
    found = said()
    assert found.first.startswith("Throttle shop/checkout")
    assert found.first_commands[0].startswith("nft ")
    assert said(WELL).first == ""


@pytest.mark.parametrize(
    ("one", "name"),
    [
        pytest.param(suspect(0.5), "shop/checkout-7fff96c597-tsfl7 (Deployment checkout)", id="a pod"),
        pytest.param(suspect(0.5, owner=""), "shop/checkout-7fff96c597-tsfl7", id="a bare pod"),
        pytest.param(rest(0.5), "node node-8", id="a node"),
        pytest.param(replace(rest(0.5), label=""), "the node itself", id="the node, without a name"),
        pytest.param(Suspect(SuspectKind.SERVICE, 1, 1, 1, 1, label="shop/web"), "Service shop/web", id="a Service"),
        pytest.param(
            Suspect(SuspectKind.EXTERNAL, 1, 1, 1, 1, label="203.0.113.7"), "outside address 203.0.113.7", id="outside"
        ),
        pytest.param(Suspect(SuspectKind.UNKNOWN, 1, 1, 1, 1, address="10.0.0.1"), "10.0.0.1", id="unknown"),
        pytest.param(
            Suspect(SuspectKind.UNKNOWN, 1, 1, 1, 1, address="10.0.0.1", node="node-8"),
            "a deleted pod (10.0.0.1)",
            id="a deleted pod",
        ),
        pytest.param(Suspect(SuspectKind.UNKNOWN, 1, 1, 1, 1), "nobody known", id="nothing known"),
    ],
)
def test_every_kind_of_suspect_has_a_name(one: Suspect, name: str) -> None:
    assert who(one) == name


def test_the_way_and_what_the_other_ways_met_are_told_without_control_characters() -> None:
    assert looked(WAY) == r"Looked over SSH, first answer after 5.1 s; debug pod: no kubelet\x1b[2J answers"
    assert looked(Way("replay", (), 0.0)) == "Looked into a recording"


def test_gaps_are_said_as_plainly_as_what_was_seen() -> None:
    snapshot = replace(
        HEALTHY.snapshot, unknown={"kernel_log": "not permitted"}, left_out={"sources": 12, "rows": 0}, partial=True
    )
    assert said(WELL, snapshot=snapshot).gaps == (
        "not read: kernel_log (not permitted)",
        "left out to keep the answer small: 12 sources",
        "the look was cut short by its deadline",
    )
    assert said(WELL, snapshot=None).gaps == ()


def test_a_ping_that_could_not_be_made_is_said_by_its_step_alone() -> None:
    untried = seen(EXHAUSTED, ping=Unknown("no default gateway"), unknown={"reach.ping": "no default gateway"})
    assert report(judge(untried, WAY)).gaps == ()
    broken = seen(EXHAUSTED, ping=Unknown("no ICMP socket"), unknown={"reach.ping": "no ICMP socket"})
    assert report(judge(broken, WAY)).gaps == ()


def test_what_a_step_says_it_could_not_read_is_not_said_again() -> None:
    why = {"table": "needs CAP_NET_ADMIN", "owners": "not asked"}
    blind = seen(EXHAUSTED, table=Unknown("needs CAP_NET_ADMIN"), attribution=None, unknown=why)
    assert report(judge(blind, WAY)).gaps == ("not read: owners (not asked)",)


def test_other_causes_that_could_not_be_checked_are_named_where_their_step_is_not_shown() -> None:
    why = {"lookalikes.cloud_allowance": "no driver", "lookalikes.tcp_memory": "no"}
    assert report(judge(seen(HEALTHY, unknown=why), WAY)).gaps == (
        "other causes that could not be checked: cloud allowance and tcp memory",
    )
    assert report(judge(seen(EXHAUSTED, unknown=why), WAY)).gaps == ()


def test_drops_that_may_all_be_our_own_are_told_so() -> None:
    quiet = judge(seen(EXHAUSTED, rates=rates(drops=7)), WAY)
    assert report(quiet).numbers == (
        "8,000 of 8,000 entries",
        "7 packets dropped in 3 s: perhaps only our own tries",
        "20 of 20 new connections failed",
    )


def test_the_first_answer_gives_numbers_and_no_verdict() -> None:
    assert so_far(SICK) == (
        "so far: 8,000 of 8,000 entries, shop/checkout-7fff96c597-tsfl7 (Deployment checkout) holds 97 %; "
        "watching the counters"
    )
    assert so_far(replace(SICK, usage=Unknown("no"), suspects=())) == ""


# ---- JSON -----------------------------------------------------------------------------------------------------------


def test_the_json_keeps_the_contract() -> None:
    document = to_json(SICK)
    assert document["schema"] == "conntrack-diagnosis/1"
    assert document["node"] == "node-8"
    assert document["verdict"]["kind"] == "exhausted"
    assert document["usage"] == {"entries": 8000, "limit": 8000, "buckets": 262144, "ratio": 1.0}
    assert [finding["step"] for finding in document["findings"]] == [
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
    ]
    first = document["suspects"][0]
    wanted = {"kind", "namespace", "pod", "owner", "address", "share", "share_low", "share_high", "entries"}
    assert wanted <= first.keys()
    assert (first["kind"], first["namespace"], first["owner"]) == ("pod", "shop", "Deployment checkout")
    assert sum(one["share"] for one in document["suspects"]) == pytest.approx(1.0, abs=1e-6)
    assert {one["name"] for one in document["triggers"]} == {
        "high_request_rate",
        "aggressive_retries",
        "short_lived_connections",
        "dns_storm",
        "load_test",
        "idle_connections",
    }
    assert document["transport"]["rung"] == "ssh"
    assert all({"action", "when", "says"} <= remedy.keys() for remedy in document["remedies"])
    assert all({"name", "status", "says"} <= other.keys() for other in document["lookalikes"])


def test_unknown_usage_is_null_and_says_why() -> None:
    document = to_json(replace(SICK, usage=Unknown("no sysctl"), rates=Unknown("read once"), noisy=None))
    assert document["usage"] == {"entries": None, "limit": None, "buckets": None, "ratio": None, "unknown": "no sysctl"}
    assert document["rates"] == {"unknown": "read once"}
    assert document["noisy"] is None


def test_numbers_that_json_lacks_become_null() -> None:
    mad = Rates(float("nan"), 1, None, None, None, None, float("inf"), None)
    document = to_json(replace(SICK, rates=Known(mad), usage=Known(usage(10)), snapshot=None))
    assert document["rates"]["seconds"] is None
    assert document["rates"]["growth_per_second"] is None
    json.dumps(document, allow_nan=False)


# ---- what got worse -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "before", "is_news"),
    [
        pytest.param("exhausted", "evicting", True, id="it drops now"),
        pytest.param("exhausted", "healthy", True, id="it was well"),
        pytest.param("exhausted", "exhausted", False, id="as bad as before"),
        pytest.param("filling", "exhausted", False, id="better"),
        pytest.param("exhausted", "", False, id="the first answer has its own card"),
        pytest.param("inconclusive", "filling", False, id="not knowing is no worse news"),
    ],
)
def test_worse_is_news_and_nothing_else(now: str, before: str, is_news: bool) -> None:
    assert is_worse(now, before) is is_news


# ---- the picture ----------------------------------------------------------------------------------------------------


def test_a_picture_shows_who_holds_the_table_and_the_rest_as_one() -> None:
    few = replace(SICK, suspects=(suspect(0.9), rest(0.06), *(suspect(0.0004, label=f"p{n}") for n in range(100))))
    drawn = picture(few)
    assert drawn is not None
    assert (drawn.node, drawn.entries, drawn.limit) == ("node-8", 8_000, 8_000)
    assert [label for label, _ in drawn.holders] == [
        "shop/checkout-7fff96c597-tsfl7 (Deployment checkout)",
        "node node-8",
        "100 others",
    ]
    assert sum(share for _, share in drawn.holders) == pytest.approx(1.0)


def test_without_suspects_there_is_nothing_to_draw() -> None:
    assert picture(replace(SICK, suspects=())) is None


def test_what_was_closed_lately_is_called_closed_and_runs_up_to_now() -> None:
    """The histogram has 730 closed in each of the last ten seconds, the newest first."""
    drawn = picture(SICK)
    assert drawn is not None
    assert drawn.what == "connections closed"
    assert drawn.step_seconds == 1.0
    assert len(drawn.opened) == 120
    assert drawn.opened[-10:] == (730.0,) * 10
    assert set(drawn.opened[:-10]) == {0.0}
    assert drawn.whose == "shop/checkout-7fff96c597-tsfl7 (Deployment checkout)"


def test_a_sample_is_scaled_to_the_whole_table() -> None:
    held = source({"TIME_WAIT": 2_000}, ages={"TIME_WAIT": Ages(120, 10.0, (1_000, 1_000, *(0,) * 10))})
    sampled = table({"TIME_WAIT": 2_000}, whole=False)
    evidence = seen(EXHAUSTED, table=sampled, attribution=attribution(suspect(1.0, source=held)))
    drawn = picture(judge(evidence, WAY))
    assert drawn is not None
    assert drawn.opened[-2:] == (400.0, 400.0)


@pytest.mark.parametrize(
    "ages",
    [
        pytest.param({}, id="no ages"),
        pytest.param({"ESTABLISHED": Ages(432_000, 18_000.0, (8_000,) * 24)}, id="ages in hours"),
        pytest.param({"TIME_WAIT": Ages(120, 10.0, (1,) * 12)}, id="hardly any of what is held"),
        pytest.param({"TIME_WAIT": Ages(120, 0.0, (8_000,) * 12)}, id="buckets of no time"),
    ],
)
def test_where_the_ages_do_not_tell_no_past_is_drawn(ages: dict[str, Ages]) -> None:
    held = source({"ESTABLISHED": 8_000}, ages=ages)
    evidence = seen(EXHAUSTED, table=table({"ESTABLISHED": 8_000}), attribution=attribution(suspect(1.0, source=held)))
    drawn = picture(judge(evidence, WAY))
    assert drawn is not None
    assert drawn.opened == ()


@pytest.mark.parametrize("share", [float("nan"), -1.0, 7.0], ids=str)
def test_absurd_shares_can_be_drawn(share: float) -> None:
    drawn = picture(replace(SICK, suspects=(suspect(0.5), replace(suspect(0.5), share=share))))
    assert drawn is not None
    assert all(0 <= part <= 1 for _, part in drawn.holders)
