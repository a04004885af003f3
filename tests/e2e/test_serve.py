"""The bot as a process, from a command in the chat to the card, and what happens to a card when the process dies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.scene import Scene, read, scene, until

VERDICT = "node-7 is dropping new connections"
EXPLAINED = "Ping"  # the runbook's first step


@pytest.fixture
def incident(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


def looks_begun(incident: Scene) -> int:
    """Debug pods that were ever made."""
    return sum(one.get("event") == "looked" for bot in incident.bots for one in bot.lines())


def test_a_command_becomes_a_card_with_the_verdict_and_the_explanation_below_it(incident: Scene) -> None:
    bot = incident.start()
    incident.alice.command("/conntrack node-7")
    card = incident.card(VERDICT)
    assert "checkout" in read(incident.card("shop/checkout"))
    explained = incident.slack.wait_for(lambda: incident.replies(card["ts"], EXPLAINED), 10.0)
    assert explained
    assert bot.stop() == 0


def test_a_second_request_joins_the_look_that_goes_on(incident: Scene) -> None:
    bot = incident.start()
    incident.alice.command("/conntrack node-7")
    incident.slack.as_("dan").command("/conntrack node-7")
    incident.card("shop/checkout")
    told = incident.slack.wait_for(lambda: [*incident.slack.whispers("dan"), *incident.slack.whispers("alice")], 10.0)
    assert "is being looked at already" in read(told[0])  # whoever of the two came second
    until(lambda: looks_begun(incident) == 1)
    assert len(incident.roots()) == 1
    assert bot.stop() == 0


def test_a_clean_stop_in_the_middle_says_that_the_look_was_interrupted(incident: Scene) -> None:
    bot = incident.start()
    incident.alice.command("/conntrack node-7")
    incident.slack.wait_for(incident.roots, 5.0)
    assert bot.stop() == 0
    (card,) = incident.roots()
    assert re.search(r"interrupted|stopped", read(card))
    assert incident.kubernetes.state.of_kind("pods", "conntrack-bot-probes") == []
    incident.start()
    incident.slack.as_("dan").click(card["ts"], "look_again")
    assert incident.card(VERDICT)["ts"] == card["ts"]
    assert len(incident.roots()) == 1


def test_a_second_signal_ends_at_once(incident: Scene) -> None:
    incident.settings["serve"]["stop_seconds"] = 60
    bot = incident.start()
    incident.alice.command("/conntrack node-7")
    incident.slack.wait_for(incident.roots, 5.0)
    bot.process.terminate()
    bot.wait_for_line("stopping")
    bot.process.terminate()
    assert bot.process.wait(2.0) == 128 + 15


def test_a_token_that_slack_refuses_ends_the_bot_with_a_sentence(incident: Scene) -> None:
    incident.settings["slack"]["bot_token"] = "xoxb-wrong"
    bot = incident.start(is_awaited=False)
    assert bot.process.wait(30.0) != 0
    assert "invalid_auth" in bot.log.read_text()
    assert "Traceback" not in bot.log.read_text()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"bot_token": None}, "Slack's bot_token is missing", id="no token"),
        pytest.param({"api_url": "https://evil.example/api/"}, "tokens are sent there", id="an address of others"),
    ],
)
def test_settings_that_cannot_work_end_the_bot_with_a_sentence(
    incident: Scene, changes: dict[str, str], says: str
) -> None:
    incident.settings["slack"] |= changes
    bot = incident.start(is_awaited=False)
    assert bot.process.wait(30.0) == 2
    assert says in bot.log.read_text()
    assert "Traceback" not in bot.log.read_text()


def test_a_slack_that_stumbles_at_the_start_is_waited_for(incident: Scene) -> None:
    incident.slack.fail("auth.test", times=4, status=503)
    incident.start()
    incident.alice.command("/conntrack node-8")
    incident.card("\N{LARGE GREEN CIRCLE}")
