"""What breaks on purpose breaks as the real thing does, seen by real clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from deploy.local.slack.running import LocalSlack

# slack_sdk leaves a socket to the garbage collector where a connection breaks while it opens.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

Json = dict[str, Any]


@pytest.fixture
def heard(slack: LocalSlack, app: App) -> list[Json]:
    """The bodies of the mentions that the app took."""
    seen: list[Json] = []

    @app.event("app_mention")
    def on_mention(body: Json) -> None:
        seen.append(body)

    app.event("message")(lambda: None)
    return seen


def envelopes(slack: LocalSlack, kind: str = "app_mention") -> list[Json]:
    return [one for one in slack.deliveries() if one["payload"].get("event", {}).get("type") == kind]


def test_a_command_without_any_socket_fails_at_once(slack: LocalSlack) -> None:
    assert slack.as_("alice").command("/conntrack node-7")["outcome"] == "dispatch_failed"
    assert "dispatch_failed" in slack.whispers("alice")[0]["text"]


def test_a_duplicate_event_has_the_same_event_id(slack: LocalSlack, heard: list[Json]) -> None:
    slack.duplicate_next_event()
    slack.as_("alice").mention("node-7")
    slack.wait_for(lambda: len(heard) == 2)
    assert heard[0]["event_id"] == heard[1]["event_id"]


def test_an_event_that_is_not_acknowledged_comes_again_and_says_so(slack: LocalSlack, heard: list[Json]) -> None:
    slack.service.delivery.pauses_seconds = (0.01, 0.01, 0.01)
    slack.control("ack_seconds", seconds=0.1)
    slack.sockets("half_open")
    slack.as_("alice").mention("node-7")
    slack.wait_for(lambda: len(envelopes(slack)) == 4)
    assert [one["attempt"] for one in envelopes(slack)] == [0, 1, 2, 3]
    assert {one["reason"] for one in envelopes(slack)[1:]} == {"timeout"}
    assert heard == []


@pytest.mark.parametrize("how", ["rst", "close", "refresh"])
def test_the_client_comes_back_after_its_socket_ended(slack: LocalSlack, heard: list[Json], how: str) -> None:
    before = {one.number for one in slack.service.sockets.open}
    assert slack.sockets(how) == 1
    slack.wait_for(lambda: {one.number for one in slack.service.sockets.open} - before, seconds=15)
    slack.as_("alice").mention("node-7")
    slack.wait_for(lambda: heard)


def test_a_half_open_socket_swallows_what_it_is_sent_until_the_client_notices(
    slack: LocalSlack, heard: list[Json]
) -> None:
    slack.control("ack_seconds", seconds=0.2)
    assert slack.sockets("half_open") == 1
    assert slack.as_("alice").command("/conntrack node-7")["outcome"] == "operation_timeout"
    slack.wait_for(lambda: any(not one.is_half_open for one in slack.service.sockets.open), seconds=15)


def test_the_eleventh_socket_is_told_that_there_are_too_many(slack: LocalSlack) -> None:
    async def last_words() -> Json:
        sockets: list[aiohttp.ClientWebSocketResponse] = []
        said: Json = {}
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {slack.app_token}"}
            for number in range(11):
                async with session.post(f"{slack.api_url}apps.connections.open", headers=headers) as response:
                    address = (await response.json())["url"]
                sockets.append(await session.ws_connect(address))
                said = await sockets[-1].receive_json()
                assert said.get("num_connections") == (number + 1 if number < 10 else None)
        return said

    assert asyncio.run(last_words())["reason"] == "too_many_websockets"


def test_a_full_channel_answers_429_with_the_seconds_to_wait(slack: LocalSlack, client: WebClient) -> None:
    def post_all() -> None:
        for number in range(10):
            client.chat_postMessage(channel="C0INCIDENTS", text=str(number))

    with pytest.raises(SlackApiError) as refusal:
        post_all()
    assert refusal.value.response.status_code == 429
    assert refusal.value.response.headers["Retry-After"] == "1"
    assert 1 <= len(slack.messages("incidents")) < 10


def test_rate_limits_can_be_off(slack: LocalSlack, client: WebClient) -> None:
    slack.control("rates", is_on=False)
    for number in range(30):
        client.chat_postMessage(channel="C0INCIDENTS", text=str(number))
    assert len(slack.messages("incidents")) == 30


@pytest.mark.parametrize(
    ("how", "status", "error"),
    [
        pytest.param({"error": "invalid_blocks"}, 200, "invalid_blocks", id="a code of Slack's"),
        pytest.param({"retry_after": 7}, 429, "ratelimited", id="too many requests"),
        pytest.param({"status": 500}, 500, None, id="an internal error"),
    ],
)
def test_a_call_fails_as_often_as_it_was_told_to(
    slack: LocalSlack, client: WebClient, how: Json, status: int, error: str | None
) -> None:
    slack.fail("chat.postMessage", **how)
    with pytest.raises(SlackApiError) as refusal:
        client.chat_postMessage(channel="C0INCIDENTS", text="x")
    assert refusal.value.response.status_code == status
    assert slack.calls("chat.postMessage")[0]["injected"]
    if error:
        assert refusal.value.response["error"] == error
    client.chat_postMessage(channel="C0INCIDENTS", text="y")
    assert [one["text"] for one in slack.messages("incidents")] == ["y"]


def test_a_call_that_hangs_up_after_it_took_effect_leaves_the_message_there(
    slack: LocalSlack, client: WebClient
) -> None:
    client.retry_handlers.clear()
    slack.fail("chat.postMessage", status=0, is_after=True)
    with pytest.raises(OSError, match=r".+"):
        client.chat_postMessage(channel="C0INCIDENTS", text="x")
    assert [one["text"] for one in slack.messages("incidents")] == ["x"]


def test_a_slow_call_takes_its_time(slack: LocalSlack, client: WebClient) -> None:
    slack.slow("auth.test", seconds=0.3)
    started = time.monotonic()
    client.auth_test()
    assert time.monotonic() - started >= 0.3


def test_a_trigger_opens_one_modal_and_only_for_three_seconds(slack: LocalSlack, app: App, client: WebClient) -> None:
    triggers: list[str] = []

    @app.command("/conntrack")
    def on_command(ack: Callable[..., Any], body: Json) -> None:
        ack()
        triggers.append(body["trigger_id"])

    view = {"type": "modal", "title": {"type": "plain_text", "text": "x"}, "blocks": []}

    def refusal(trigger: str) -> str:
        with pytest.raises(SlackApiError) as error:
            client.views_open(trigger_id=trigger, view=view)
        return str(error.value.response["error"])

    for _ in range(2):
        slack.as_("alice").command("/conntrack node-7")
    client.views_open(trigger_id=triggers[0], view=view)
    assert refusal(triggers[0]) == "exchanged_trigger_id"
    slack.pass_time(4)
    assert refusal(triggers[1]) == "expired_trigger_id"
    assert refusal("made up") == "invalid_trigger_id"
