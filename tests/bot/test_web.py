from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from slack_bolt import Ack, App
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from bot.errors import StoreError
from bot.store import Store
from bot.web import BODY_BYTES, Web, application
from deploy.local.slack.running import LocalSlack, running
from diagnostics.errors import ConfigurationError

SECRET = "local-signing-secret"
BODY = b"command=%2Fconntrack&text=node-7&user_id=U0ALICE&team_id=T0LOCAL&channel_id=C1&trigger_id=1"


@dataclass
class Listening:
    """Slack's side of the bot: what its listeners heard. They break down as often as ``breaks`` says."""

    bolt: App
    is_healthy: bool = True
    breaks: int = 0
    heard: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def local() -> Iterator[LocalSlack]:
    with running(limits_rates=False) as slack:
        yield slack


@pytest.fixture
def slack(local: LocalSlack) -> Listening:
    client = WebClient(local.bot_token, base_url=local.api_url)
    app = App(name="test", client=client, signing_secret=SECRET, process_before_response=True)
    listening = Listening(app)

    @app.command("/conntrack")
    def on_command(ack: Ack, body: dict[str, str]) -> None:
        if listening.breaks:
            listening.breaks -= 1
            raise StoreError("The database cannot be reached.")
        listening.heard.append(body["text"])
        ack("heard")

    return listening


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store.open("sqlite://")
    yield store
    store.close()


@pytest.fixture
def web(slack: Listening, store: Store) -> Iterator[Web]:
    server = Web("127.0.0.1:0", application(slack, store, SECRET))
    server.start()
    yield server
    server.stop()


def signed(body: bytes, at: float | None = None) -> dict[str, str]:
    timestamp = str(int(time.time() if at is None else at))
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=timestamp, body=body)
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": str(signature)}


def asked(web: Web, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """The status and the body. The socket listens from the beginning, so that nothing is asked too early."""
    request = urllib.request.Request(web.url + path, body, headers or {})  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - the same
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_process_says_that_it_lives(web: Web) -> None:
    assert asked(web, "/healthz") == (200, '{"status":"ok"}')


def test_it_is_ready_while_slack_delivers_and_the_store_can_be_read(web: Web, slack: Listening) -> None:
    assert asked(web, "/readyz")[0] == 200

    slack.is_healthy = False
    status, body = asked(web, "/readyz")
    assert status == 503
    assert json.loads(body) == {"slack": False, "store": True}


def test_it_is_not_ready_without_its_store(web: Web, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> int:
        raise StoreError("The database cannot be reached.")

    monkeypatch.setattr(store, "waiting", gone)
    assert asked(web, "/readyz")[0] == 503


def test_what_slack_has_signed_is_heard_and_answered(web: Web, slack: Listening) -> None:
    assert asked(web, "/slack/events", BODY, signed(BODY)) == (200, "heard")
    assert slack.heard == ["node-7"]


def test_the_same_delivery_again_is_refused(web: Web, slack: Listening) -> None:
    headers = signed(BODY)
    asked(web, "/slack/events", BODY, headers)

    assert asked(web, "/slack/events", BODY, headers)[0] == 401
    assert slack.heard == ["node-7"]


def test_a_delivery_that_came_to_nothing_may_be_repeated(web: Web, slack: Listening) -> None:
    """Slack's first repetition comes at once, and may bear the same second in its signature."""
    headers = signed(BODY)
    slack.breaks = 1

    assert asked(web, "/slack/events", BODY, headers)[0] == 500
    assert asked(web, "/slack/events", BODY, headers) == (200, "heard")
    assert asked(web, "/slack/events", BODY, headers)[0] == 401


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        pytest.param({"X-Slack-Signature": "v0=" + "0" * 64}, BODY, id="a wrong signature"),
        pytest.param({"X-Slack-Signature": ""}, BODY, id="no signature"),
        pytest.param({"X-Slack-Signature": "v0=\xe9"}, BODY, id="a signature with an accent"),
        pytest.param({"X-Slack-Request-Timestamp": "yesterday"}, BODY, id="a timestamp that is no number"),
        pytest.param({"X-Slack-Request-Timestamp": "9" * 400}, BODY, id="a timestamp without an end"),
        pytest.param({"X-Slack-Request-Timestamp": "-1"}, BODY, id="a timestamp before all time"),
        pytest.param({"X-Slack-Request-Timestamp": ""}, BODY, id="no timestamp"),
        pytest.param({}, BODY.replace(b"node-7", b"node-8"), id="another body than was signed"),
        pytest.param({}, b"\xff\xfe", id="a body that is no text"),
    ],
)
def test_what_slack_has_not_signed_is_refused(changes: dict[str, str], body: bytes, web: Web, slack: Listening) -> None:
    assert asked(web, "/slack/events", body, signed(BODY) | changes)[0] == 401
    assert slack.heard == []


@pytest.mark.parametrize("seconds", [-400, 400])
def test_an_old_delivery_and_one_from_the_future_are_refused(seconds: int, web: Web, slack: Listening) -> None:
    assert asked(web, "/slack/events", BODY, signed(BODY, time.time() + seconds))[0] == 401
    assert slack.heard == []


def test_too_large_a_body_is_refused_before_it_is_read(web: Web, slack: Listening) -> None:
    body = b"x" * (BODY_BYTES + 1)

    assert asked(web, "/slack/events", body, signed(body))[0] == 413


def test_without_a_signing_secret_nothing_is_taken_from_anybody(slack: Listening, store: Store) -> None:
    server = Web("127.0.0.1:0", application(slack, store))
    server.start()

    assert asked(server, "/slack/events", BODY, signed(BODY))[0] == 404
    assert asked(server, "/healthz")[0] == 200
    server.stop()


def test_a_port_that_is_taken_is_told(web: Web, slack: Listening, store: Store) -> None:
    taken = web.url.removeprefix("http://")

    with pytest.raises(ConfigurationError, match=r"serve\.bind"):
        Web(taken, application(slack, store))


def test_the_local_slack_can_deliver_over_http(web: Web, slack: Listening, local: LocalSlack) -> None:
    local.use_request_url(f"{web.url}/slack/events")

    answer = local.as_("alice").command("/conntrack node-9")
    assert answer["outcome"] == "acked"
    assert slack.heard == ["node-9"]
