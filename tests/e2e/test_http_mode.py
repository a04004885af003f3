"""HTTP mode: Slack calls the bot, signed; the same conversation as over sockets, and who else is kept out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlencode

import pytest
from slack_sdk.signature import SignatureVerifier

from tests.e2e.scene import Scene, read, scene, until

HEALTHY = "\N{LARGE GREEN CIRCLE}"
ENDPOINT = "/slack/events"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, str]]:
    """Everything, with a bot that Slack calls; and where it does."""
    with scene(tmp_path_factory.mktemp("http")) as made:
        made.settings["slack"] |= {"mode": "http", "signing_secret": made.slack.signing_secret, "app_token": None}
        address = str(made.start().wait_for_line("ready")["web"])
        made.slack.use_request_url(address + ENDPOINT)
        yield made, address.removeprefix("http://")
        assert made.bots[0].stop() == 0


def sent(address: str, body: bytes, headers: dict[str, str]) -> int:
    """The status with which a delivery is answered."""
    with closing(HTTPConnection(address, timeout=5)) as where:
        where.request("POST", ENDPOINT, body, headers | {"Content-Type": FORM})
        return where.getresponse().status


def signed(slack: Scene, body: bytes) -> dict[str, str]:
    """As Slack signs."""
    timestamp = str(int(time.time()))
    signature = SignatureVerifier(slack.slack.signing_secret).generate_signature(timestamp=timestamp, body=body)
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": str(signature)}


def asking(slack: Scene, text: str) -> bytes:
    """A slash command of Alice's, as Slack would deliver it."""
    people = slack.slack.control("state")
    alice = next(one["id"] for one in people["people"] if one["name"] == "alice")
    channel = next(one["id"] for one in people["channels"] if one["name"] == "incidents")
    said = {"command": "/conntrack", "text": text, "user_id": alice, "channel_id": channel, "trigger_id": "1.2.replay"}
    return urlencode(said | {"team_id": people["team"]["id"], "user_name": "alice"}).encode()


def test_a_command_a_click_and_a_mention_are_answered_without_any_socket(called: tuple[Scene, str]) -> None:
    """The node is well, so that its incident is closed, and looking again opens another."""
    made, _ = called
    made.alice.command("/conntrack node-8")
    card = made.card(HEALTHY)
    made.card("look_again")
    made.alice.click(card["ts"], "look_again")
    until(lambda: sum("look_again" in read(one) and HEALTHY in read(one) for one in made.roots()) == 2, 15.0)
    ts = made.alice.say("something is slow")
    made.alice.mention("node-1", thread=ts)
    made.slack.wait_for(lambda: made.replies(ts, HEALTHY), 15.0)
    assert [one for one in made.slack.deliveries() if one["outcome"] != "acked"] == []
    assert made.slack.calls("apps.connections.open") == []


def test_a_delivery_that_was_recorded_cannot_be_played_again(called: tuple[Scene, str]) -> None:
    made, address = called
    body = asking(made, "status")
    headers = signed(made, body)
    assert [sent(address, body, headers) for _ in range(3)] == [200, 401, 401]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"X-Slack-Signature": "v0=" + "0" * 64}, id="another signature"),
        pytest.param({"X-Slack-Signature": ""}, id="no signature"),
        pytest.param({"X-Slack-Request-Timestamp": "yesterday"}, id="a timestamp that is no number"),
        pytest.param({"X-Slack-Request-Timestamp": "1" * 500}, id="a timestamp without an end"),
        pytest.param({"X-Slack-Request-Timestamp": "\u0661"}, id="a timestamp in other digits"),
        pytest.param({"X-Slack-Request-Timestamp": "1700000000"}, id="an old timestamp"),
    ],
)
def test_what_slack_has_not_signed_just_now_is_refused(called: tuple[Scene, str], changes: dict[str, str]) -> None:
    made, address = called
    body = asking(made, "node-7")
    headers = {key: value.encode().decode("latin-1") for key, value in (signed(made, body) | changes).items()}
    assert sent(address, body, headers) == 401
    assert not any("node-7" in read(one) for one in made.roots())
