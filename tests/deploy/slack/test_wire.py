"""The wire, proven with the clients that a real bot uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from deploy.local.slack.running import LocalSlack, running


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with running() as one:
        yield one


@pytest.fixture
def app(slack: LocalSlack) -> Iterator[App]:
    made = App(client=WebClient(token=slack.bot_token, base_url=slack.api_url), name="a-small-bot")
    handler = SocketModeHandler(made, slack.app_token, ping_interval=1)
    handler.connect()  # type: ignore[no-untyped-call] # Bolt's
    slack.wait_for(lambda: slack.service.sockets.open)
    yield made
    handler.close()  # type: ignore[no-untyped-call] # Bolt's
    made.listener_runner.listener_executor.shutdown()


def test_a_command_is_acknowledged_and_answered_in_the_channel(slack: LocalSlack, app: App) -> None:
    @app.command("/conntrack")
    def on_command(ack: Any, command: dict[str, Any], client: WebClient) -> None:
        ack()
        client.chat_postMessage(channel=command["channel_id"], text=f"looking at {command['text']}")

    assert slack.as_("alice").command("/conntrack node-7")["outcome"] == "acked"
    said = slack.wait_for(lambda: slack.messages("incidents"))
    assert said[0]["text"] == "looking at node-7"
    assert slack.deliveries()[0]["ack_seconds"] < 1.0
