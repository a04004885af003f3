from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack import escape, limits
from bot.slack.blocks import bricks
from tests.bot.slack.refusals import refusals


def texts_of(body: dict[str, Any]) -> str:
    return "\n".join(str(block) for block in body["blocks"])


def test_what_fits_is_left_as_it_is() -> None:
    blocks = [bricks.section("*a*"), bricks.context("b")]
    assert limits.message("t", blocks) == {"text": "t", "blocks": blocks}


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([bricks.section("x" * 9_000)], id="a section"),
        pytest.param([bricks.header("x" * 900)], id="a header"),
        pytest.param([bricks.context(*["x" * 3_000] * 20)], id="small print"),
        pytest.param([bricks.preformatted("x" * 90_000)], id="a block to copy"),
        pytest.param([bricks.section("x")] * 90, id="too many blocks"),
        pytest.param([bricks.section("x" * 2_900)] * 9, id="too much in all"),
        pytest.param([], id="nothing"),
        pytest.param([bricks.section(" ")], id="blanks"),
    ],
)
def test_whatever_is_said_slack_takes_it(blocks: list[dict[str, Any]]) -> None:
    assert refusals(limits.message("t" * 9_000, blocks)) == []


def test_what_is_left_out_is_counted_and_said_where_it_is() -> None:
    kept = limits.message("t", [bricks.section(f"step {number}") for number in range(90)], (), "see the file")
    assert kept["blocks"][-1]["elements"][0]["text"] == "… 41 more parts: see the file"
    long = limits.message("t", [bricks.section("x" * 5_000)], (), "see the file")
    assert long["blocks"][0]["text"]["text"].endswith("x … 2,100 more characters: see the file")


def test_the_end_of_a_message_stays_whatever_has_to_go() -> None:
    button = bricks.look_again("INC-12")
    body = limits.message("t", [bricks.section("x" * 2_900)] * 60, [button])
    assert body["blocks"][-1] == button
    assert refusals(body) == []


@pytest.mark.parametrize(
    ("mrkdwn", "limit", "kept"),
    [
        pytest.param("ab &amp; " + "c" * 200, 105, "ab", id="an entity stays whole"),
        pytest.param("ab <https://a|b> " + "c" * 200, 110, "ab", id="a link stays whole"),
        pytest.param("*ab `cd " + "e" * 200, 108, "*ab `cd`*", id="code in bold is closed"),
        pytest.param("*ab* " + "c" * 200, 105, "*ab*", id="what is closed stays closed"),
    ],
)
def test_a_cut_leaves_nothing_open(mrkdwn: str, limit: int, kept: str) -> None:
    said = limits.clipped(mrkdwn, limit)
    assert said.partition(" … ")[0] == kept
    assert len(said) <= limit + 3


@given(st.text(), st.integers(min_value=150, max_value=400), st.integers(min_value=1, max_value=200))
def test_any_cut_of_escaped_text_is_sound(text: str, limit: int, times: int) -> None:
    said = limits.clipped(escape.bold(escape.prose(text * times)), limit)
    assert len(said) <= limit
    assert refusals({"text": said or "…", "blocks": [bricks.section(said or "…")]}) == []


def test_passages_stay_together_and_in_order() -> None:
    passages = [limits.Passage(f"{n}", (bricks.section(f"{n}" + "x" * 2_500), bricks.context("c"))) for n in range(9)]
    bodies = limits.messages(passages)
    assert [body["text"] for body in bodies] == ["0\n1\n2\n3", "4\n5\n6\n7", "8"]
    assert all(refusals(body) == [] for body in bodies)
    assert [len(body["blocks"]) for body in bodies] == [8, 8, 2]


def test_a_passage_too_long_for_any_message_is_cut_and_says_so() -> None:
    (body,) = limits.messages([limits.Passage("t", (bricks.section("x" * 2_900),) * 9)])
    assert "more parts: see the attached evidence" in texts_of(body)
    assert refusals(body) == []


def test_a_view_holds_twice_the_blocks() -> None:
    assert len(limits.view([bricks.section("x")] * 100, "there")) == 100
    assert len(limits.view([bricks.section("x")] * 101, "there")) == 100
