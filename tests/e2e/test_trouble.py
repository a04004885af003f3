"""Slack stumbles, refuses, hangs up or falls silent, and a person still gets one card with the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.scene import Scene, read, until

pytestmark = pytest.mark.slow  # each waits for Slack as often as Slack may make the bot wait

HEALTHY = "\N{LARGE GREEN CIRCLE}"
PLAIN = "Shown as plain text"
Unused = Callable[[], str]


def cards(desk: Scene, node: str) -> list[dict[str, Any]]:
    return [one for one in desk.roots() if node in read(one)]


def answered(desk: Scene, node: str, seconds: float = 20.0) -> dict[str, Any]:
    """The one card of a healthy node."""
    desk.slack.wait_for(lambda: any(is_final(one) for one in cards(desk, node)), seconds)
    (card,) = cards(desk, node)
    return card


def is_final(card: dict[str, Any]) -> bool:
    """The answer, and no more that somebody looks."""
    return HEALTHY in read(card) and "still looking" not in read(card)


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        pytest.param("chat.postMessage", {"retry_after": 2, "times": 2}, id="429 for a post"),
        pytest.param("chat.update", {"retry_after": 1, "times": 2}, id="429 for an edit"),
        pytest.param("chat.postMessage", {"status": 503, "times": 3}, id="500s for a post"),
        pytest.param("chat.update", {"status": 500, "times": 3}, id="500s for an edit"),
        pytest.param("chat.postMessage", {"error": "internal_error", "times": 2}, id="an error of Slack's own"),
        pytest.param("chat.postMessage", {"status": 0, "times": 2}, id="hung up before a post"),
        pytest.param("chat.postMessage", {"status": 0, "is_after": True}, id="hung up after a post"),
        pytest.param("chat.update", {"status": 0, "is_after": True, "times": 2}, id="hung up after an edit"),
        pytest.param("users.info", {"status": 500, "times": 1}, id="a person who could not be looked up at first"),
        pytest.param("conversations.info", {"retry_after": 1}, id="a channel that could not be looked up at first"),
    ],
)
def test_one_card_with_the_answer_whatever_slack_does(
    desk: Scene, unused: Unused, method: str, fault: dict[str, Any]
) -> None:
    node = unused()
    desk.slack.fail(method, **fault)
    desk.alice.command(f"/conntrack {node}")
    answered(desk, node)


def test_an_edit_that_slack_never_answers_is_made_again(desk: Scene, unused: Unused) -> None:
    node = unused()
    desk.slack.slow("chat.update", 12.0)
    desk.alice.command(f"/conntrack {node}")
    answered(desk, node, 40.0)


def test_blocks_that_slack_refuses_are_said_as_plain_text(desk: Scene, unused: Unused) -> None:
    node = unused()
    desk.slack.fail("chat.postMessage", error="invalid_blocks")
    desk.alice.command(f"/conntrack {node}")
    answered(desk, node)
    # Whichever message met it: the one before may have had something left to say.
    refused = next(one for one in desk.slack.calls("chat.postMessage") if one["error"] == "invalid_blocks")
    desk.slack.wait_for(lambda: PLAIN in posted_after(desk, refused), 20.0)


def posted_after(desk: Scene, refused: dict[str, Any]) -> str:
    """What was posted under the same key later."""
    key = refused["arguments"]["metadata"]
    posted = (one for one in desk.slack.calls("chat.postMessage") if one["number"] > refused["number"])
    return " ".join(str(one["arguments"]["text"]) for one in posted if one["arguments"]["metadata"] == key)


def test_a_card_that_somebody_deleted_while_it_looks_comes_back_with_the_answer(desk: Scene, unused: Unused) -> None:
    node = unused()
    desk.alice.command(f"/conntrack {node}")
    (card,) = desk.slack.wait_for(lambda: cards(desk, node), 10.0)
    desk.slack.fail("chat.update", error="message_not_found")
    desk.slack.wait_for(lambda: len(cards(desk, node)) == 2, 15.0)
    back = next(one for one in cards(desk, node) if one["ts"] != card["ts"])
    until(lambda: any(HEALTHY in read(one) for one in cards(desk, node) if one["ts"] == back["ts"]), 15.0)


@pytest.mark.parametrize("how", ["rst", "close", "refresh", "warning", "half_open"])
def test_a_look_survives_its_sockets_and_the_next_command_is_heard(desk: Scene, unused: Unused, how: str) -> None:
    """A client shows "failed" for a command that nobody takes, and its person types it again."""
    node, after = unused(), unused()
    desk.alice.command(f"/conntrack {node}")
    assert desk.slack.sockets(how) >= 1
    answered(desk, node)
    began = time.monotonic()
    while desk.alice.command(f"/conntrack {after}")["outcome"] != "acked":
        assert time.monotonic() - began < 30.0, f"after {how} no command was heard"
    answered(desk, after)
    until(lambda: desk.slack.control("state")["sockets"] >= 2, 20.0)
