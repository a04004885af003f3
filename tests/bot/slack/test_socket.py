from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from slack_bolt import Ack, App

from bot.errors import ChatError
from bot.slack import socket as watching
from bot.slack.chat import Chat
from bot.slack.socket import Sockets
from deploy.local.slack.running import LocalSlack

# slack_sdk leaves a socket to the garbage collector where a connection breaks while it opens.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

Soon = Callable[[Callable[[], object]], object]


def app_of(local: LocalSlack) -> App:
    app = App(name="test", client=Chat(local.bot_token, local.api_url).reading, process_before_response=True)

    @app.command("/conntrack")
    def answer(ack: Ack) -> None:
        ack("here")

    return app


@pytest.fixture
def sockets(local: LocalSlack) -> Iterator[Sockets]:
    opened = Sockets(app_of(local), local.app_token, 2, lambda: None)
    opened.connect()
    yield opened
    opened.close()


def is_answered(local: LocalSlack) -> bool:
    return bool(local.as_("alice").command("/conntrack")["outcome"] == "acked")


def test_all_connections_are_open_at_once(sockets: Sockets, local: LocalSlack) -> None:
    assert (sockets.alive, sockets.wanted) == (2, 2)
    assert is_answered(local)


@pytest.mark.parametrize(
    ("how", "seconds"),
    [
        pytest.param("rst", 6.0, id="torn down"),
        pytest.param("close", 6.0, id="closed"),
        pytest.param("refresh", 6.0, id="asked to come back"),
        pytest.param("half_open", 16.0, id="half open: everything is taken, nothing is said"),
    ],
)
def test_a_broken_connection_is_open_again_soon(how: str, seconds: float, sockets: Sockets, local: LocalSlack) -> None:
    broken = local.sockets(how)
    assert broken == 2
    began = time.monotonic()

    local.wait_for(lambda: len(local.calls("apps.connections.open")) >= 4 and sockets.alive == 2, 30.0)
    assert time.monotonic() - began < seconds
    local.wait_for(lambda: is_answered(local), 10.0)


def test_a_silent_connection_is_not_called_alive(
    sockets: Sockets, local: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although the SDK calls it connected."""
    monkeypatch.setattr(watching, "SILENT_SECONDS", 1.0)
    local.fail("apps.connections.open", error="internal_error", times=100)
    local.sockets("half_open")

    local.wait_for(lambda: sockets.alive == 0, 10.0)


def test_a_slack_that_is_away_is_asked_again(sockets: Sockets, local: LocalSlack) -> None:
    local.fail("apps.connections.open", status=503, times=2)
    local.sockets("rst")

    local.wait_for(lambda: sockets.alive == 2, 30.0)
    local.wait_for(lambda: is_answered(local), 10.0)


def test_more_connections_than_were_opened_are_told(
    sockets: Sockets, local: LocalSlack, caplog: pytest.LogCaptureFixture
) -> None:
    """An old process that still listens takes its share of the commands."""
    caplog.set_level(logging.WARNING)
    other = Sockets(app_of(local), local.app_token, 1, lambda: None)
    other.connect()
    try:
        local.wait_for(lambda: "takes a share of the commands" in caplog.text, 10.0)
    finally:
        other.close()


def test_slack_is_called_even_when_nothing_happens(local: LocalSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "KEEP_ALIVE_SECONDS", 0.05)
    called = threading.Event()
    opened = Sockets(app_of(local), local.app_token, 1, called.set)
    opened.connect()

    assert called.wait(10.0)
    opened.close()


def test_a_refused_token_is_said_and_not_tried_again(local: LocalSlack) -> None:
    opened = Sockets(app_of(local), "xapp-wrong", 2, lambda: None)

    with pytest.raises(ChatError) as raised:
        opened.connect()
    opened.close()
    assert raised.value.retry_after_seconds is None
    assert "invalid_auth" in str(raised.value)


def test_closing_leaves_no_thread_behind(local: LocalSlack) -> None:
    before = set(threading.enumerate())
    opened = Sockets(app_of(local), local.app_token, 2, lambda: None)
    opened.connect()
    opened.close()

    local.wait_for(lambda: not (set(threading.enumerate()) - before), 10.0)
