"""A local Slack, and a small Bolt app on its socket."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from deploy.local.slack.manifest import DEFAULT
from deploy.local.slack.running import LocalSlack, running


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with running(app=DEFAULT) as one:
        one.service.sockets.ping_seconds = 0.1
        yield one


@pytest.fixture
def client(slack: LocalSlack) -> WebClient:
    return WebClient(token=slack.bot_token, base_url=slack.api_url)


@contextlib.contextmanager
def bolt(slack: LocalSlack) -> Iterator[App]:
    """A Bolt app on a socket. Closing it costs a second of the SDK's own."""
    quiet = logging.getLogger("a-small-bot")
    quiet.setLevel(logging.CRITICAL)
    made = App(client=WebClient(token=slack.bot_token, base_url=slack.api_url), name="a-small-bot", logger=quiet)
    handler = SocketModeHandler(made, slack.app_token, ping_interval=0.5, logger=quiet)
    handler.connect()  # type: ignore[no-untyped-call] # Bolt's
    slack.wait_for(lambda: slack.service.sockets.open)
    yield made
    handler.close()  # type: ignore[no-untyped-call] # Bolt's
    made.listener_runner.listener_executor.shutdown()


@pytest.fixture
def app(slack: LocalSlack) -> Iterator[App]:
    with bolt(slack) as made:
        yield made


@pytest.fixture(scope="module")
def lasting() -> Iterator[tuple[LocalSlack, App]]:
    """Both for a whole file of tests that leave sockets alone."""
    with running(app=DEFAULT) as slack:
        slack.service.sockets.ping_seconds = 0.1
        with bolt(slack) as app:
            yield slack, app
