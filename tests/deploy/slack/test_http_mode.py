"""HTTP mode: the same deliveries as signed requests, taken by a real Bolt app behind a small server."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from slack_bolt import App, BoltRequest
from slack_sdk import WebClient

from deploy.local.slack.acting import CannotError
from deploy.local.slack.manifest import DEFAULT
from deploy.local.slack.running import LocalSlack, running

Json = dict[str, Any]


class Web:
    """A web server in front of a Bolt app. ``statuses`` answers the next requests without asking the app."""

    def __init__(self, app: App) -> None:
        self.requests: list[tuple[dict[str, str | Sequence[str]], str, int]] = []
        self.statuses: list[int] = []
        outer = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                headers: dict[str, str | Sequence[str]] = {name.lower(): value for name, value in self.headers.items()}
                if outer.statuses:
                    status, text = outer.statuses.pop(0), ""
                elif "url_verification" in body:
                    status, text = 200, json.dumps({"challenge": json.loads(body)["challenge"]})
                else:
                    answer = app.dispatch(BoltRequest(body=body, headers=headers))
                    status, text = answer.status, answer.body
                outer.requests.append((headers, body, status))
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}/slack/events"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with running(app=DEFAULT) as one:
        yield one


@pytest.fixture
def app(slack: LocalSlack) -> Iterator[App]:
    quiet = logging.getLogger("a-small-http-bot")
    quiet.setLevel(logging.CRITICAL)
    client = WebClient(token=slack.bot_token, base_url=slack.api_url)
    made = App(client=client, signing_secret=slack.signing_secret, name="a-small-http-bot", logger=quiet)
    yield made
    made.listener_runner.listener_executor.shutdown()


@pytest.fixture
def web(slack: LocalSlack, app: App) -> Iterator[Web]:
    one = Web(app)
    slack.use_request_url(one.url)
    yield one
    one.server.shutdown()
    one.server.server_close()


def test_commands_clicks_and_events_arrive_signed(slack: LocalSlack, app: App, web: Web) -> None:
    seen: list[str] = []

    @app.command("/conntrack")
    def on_command(ack: Callable[..., Any], command: Json) -> None:
        ack("looking")
        seen.append(command["text"])

    @app.action("again")
    def on_again(ack: Callable[..., Any], action: Json) -> None:
        ack()
        seen.append(action["value"])

    @app.event("app_mention")
    def on_mention(event: Json) -> None:
        seen.append(event["text"])

    assert slack.as_("alice").command("/conntrack node-7 & more")["outcome"] == "acked"
    assert slack.whispers("alice")[0]["text"] == "looking"
    button = {"type": "button", "action_id": "again", "value": "id", "text": {"type": "plain_text", "text": "x"}}
    card = app.client.chat_postMessage(
        channel="C0INCIDENTS", text="x", blocks=[{"type": "actions", "elements": [button]}]
    )
    slack.as_("bob").click(str(card["ts"]), "again")
    slack.as_("alice").mention("node-8")
    slack.wait_for(lambda: len(seen) == 3)
    assert seen == ["node-7 &amp; more", "id", "<@U0CONNTRACK> node-8"]


def test_a_wrong_secret_is_noticed_by_the_app_and_the_person_is_told(slack: LocalSlack, web: Web) -> None:
    slack.service.signing_secret = "another"
    slack.service.delivery.line._secret = "another"  # type: ignore[union-attr] # the line of HTTP mode
    assert slack.as_("alice").command("/conntrack node-7")["outcome"] == "dispatch_failed"
    assert web.requests[-1][2] == 401


def test_an_event_answered_with_an_error_comes_again_with_retry_headers(slack: LocalSlack, app: App, web: Web) -> None:
    slack.service.delivery.pauses_seconds = (0.01,)
    seen: list[Json] = []

    @app.event("app_mention")
    def on_mention(body: Json) -> None:
        seen.append(body)

    app.event("message")(lambda: None)
    web.statuses.extend([500, 500])
    slack.as_("alice").mention("node-7")
    slack.wait_for(lambda: seen)
    retried = [headers for headers, _, _ in web.requests if headers.get("x-slack-retry-num")]
    assert {one["x-slack-retry-num"] for one in retried} == {"1"}
    assert {one["x-slack-retry-reason"] for one in retried} == {"http_error"}


def test_a_url_that_does_not_know_the_challenge_is_not_taken(slack: LocalSlack) -> None:
    with pytest.raises(CannotError, match="challenge"):
        slack.use_request_url(f"{slack.url}/nothing")
