from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr
from slack_bolt import BoltRequest

from bot.config import SlackSettings
from bot.errors import ChatError, StoreError
from bot.model import Origin, Person, Place, Request
from bot.slack.app import Slack
from bot.slack.tokens import tokens
from bot.store import Store
from deploy.local.slack.running import LocalSlack, Somebody
from diagnostics.errors import ConfigurationError

# slack_sdk leaves a socket to the garbage collector where a connection breaks while it opens.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

Soon = Callable[[Callable[[], object]], object]


def settings(local: LocalSlack) -> SlackSettings:
    return SlackSettings.model_validate(
        {"api_url": local.api_url, "bot_token": local.bot_token, "app_token": local.app_token, "connections": 1}
    )


@pytest.fixture
def rings() -> list[str]:
    return []


@pytest.fixture
def slack(local: LocalSlack, store: Store, rings: list[str]) -> Iterator[Slack]:
    """Connected, with nobody who works on what is asked: it stays in the store for the test to read."""
    joined = Slack(settings(local), tokens(settings(local)), store, "1.2.3")
    joined.connect(lambda: rings.append("rang"))
    yield joined
    joined.close(2.0)


@pytest.fixture
def alice(local: LocalSlack, slack: Slack) -> Somebody:
    return local.as_("alice")


def received(store: Store) -> Request | None:
    return store.next_request("test", 60.0, 2e9)


# ---- what is asked is written down ----------------------------------------------------------------------------------


def test_a_command_is_written_down_acknowledged_in_silence_and_worked_on(
    alice: Somebody, store: Store, rings: list[str], soon: Soon
) -> None:
    answer = alice.command("/conntrack node-7 --deep")

    assert answer["outcome"] == "acked"
    assert not answer["ack"]
    request = received(store)
    assert request is not None
    assert (request.named, request.deep, request.person.id) == ("node-7", True, "U0ALICE")
    soon(lambda: rings == ["rang"])


def test_a_mention_in_a_thread_is_written_down_with_its_thread(alice: Somebody, store: Store, soon: Soon) -> None:
    root = alice.say("timeouts everywhere")
    alice.mention("node-7", thread=root)

    request = soon(lambda: received(store))
    assert isinstance(request, Request)
    assert (request.origin, request.thread, request.named) == (Origin.MENTION, root, "node-7")


def test_an_event_that_is_delivered_twice_is_one_request(
    alice: Somebody, local: LocalSlack, store: Store, soon: Soon
) -> None:
    local.duplicate_next_event()
    alice.mention("node-7")
    soon(lambda: len(local.deliveries()) == 2 and all(one["outcome"] == "acked" for one in local.deliveries()))

    assert received(store) is not None
    assert received(store) is None


def test_the_shortcut_finds_the_node_in_the_alert(alice: Somebody, local: LocalSlack, store: Store) -> None:
    ts = local.alert("node-7")
    alice.shortcut("diagnose_message", ts)

    request = received(store)
    assert request is not None
    assert (request.named, request.thread, request.origin) == ("node-7", ts, Origin.SHORTCUT)


def test_the_shortcut_asks_where_the_message_names_no_node(
    alice: Somebody, local: LocalSlack, store: Store, soon: Soon
) -> None:
    ts = alice.say("everything is slow")
    alice.shortcut("diagnose_message", ts)
    soon(lambda: local.modal("alice"))
    view = local.modal("alice")
    assert view is not None
    assert received(store) is None

    alice.submit(view["id"], {"node": "node-7"})
    request = received(store)
    assert request is not None
    assert (request.named, request.thread) == ("node-7", ts)
    assert request.answer_url.startswith(local.url), "who asked from where the bot is not could not be answered"


def test_a_form_with_two_nodes_is_handed_back(alice: Somebody, local: LocalSlack, store: Store, soon: Soon) -> None:
    alice.shortcut("diagnose_message", alice.say("everything is slow"))
    soon(lambda: local.modal("alice"))
    view = local.modal("alice")
    assert view is not None

    alice.submit(view["id"], {"node": "node-7 node-8"})
    assert received(store) is None
    assert local.modal("alice") is not None


def test_a_button_of_another_version_is_answered(alice: Somebody, slack: Slack, local: LocalSlack, soon: Soon) -> None:
    button = {"type": "button", "action_id": "throttle", "value": "x", "text": {"type": "plain_text", "text": "Go"}}
    body = {"text": "a card", "blocks": [{"type": "actions", "elements": [button]}]}
    ts = slack.chat.post("C0INCIDENTS", "", "old", body)

    alice.click(ts, "throttle", "x")

    soon(lambda: any("another version of me" in one["text"] for one in local.whispers("alice")))


# ---- what is answered at once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "looks at a node", id="nothing"),
        pytest.param("help", "looks at a node", id="help"),
        pytest.param("status", "conntrack-bot 1.2.3", id="status"),
        pytest.param("node-7 node-8", "one node at a time", id="two nodes"),
        pytest.param("node-7 --fast", "--fast", id="an unknown option"),
    ],
)
def test_what_needs_no_look_is_answered_with_the_acknowledgement(
    text: str, says: str, alice: Somebody, store: Store
) -> None:
    answer = alice.command(f"/conntrack {text}".strip())

    assert says in answer["ack"]["text"]
    assert received(store) is None


def test_help_for_a_mention_is_for_the_eyes_of_who_asked(alice: Somebody, local: LocalSlack, soon: Soon) -> None:
    alice.mention("help")

    soon(lambda: any("looks at a node" in one["text"] for one in local.whispers("alice")))
    assert local.whispers("dan") == []


def test_the_home_tab_is_published_for_who_opens_it(alice: Somebody, local: LocalSlack, soon: Soon) -> None:
    alice.open_home()

    soon(lambda: local.home("alice"))


@pytest.mark.parametrize(
    ("channel", "person", "is_read"),
    [
        pytest.param("C0INCIDENTS", "U9", True, id="a public channel's"),
        pytest.param("C0PRIVATE", "U9", False, id="a private channel's"),
        pytest.param("C0PRIVATE", "U0ALICE", True, id="their own in a private channel"),
        pytest.param("C0NOWHERE", "U9", False, id="one of a channel that cannot be asked about"),
    ],
)
def test_the_home_tab_tells_nobody_what_a_private_channel_talks_about(
    channel: str, person: str, is_read: bool, alice: Somebody, store: Store, local: LocalSlack, soon: Soon
) -> None:
    asker = Person(person)
    asked = Request("k", Origin.COMMAND, "node-7", asker, channel, time.time())
    store.admit(asked, Place("prod", "node-7"), time.time(), 1800.0)
    alice.open_home()

    soon(lambda: local.home("alice"))
    view = str(local.home("alice"))
    assert ("INC-1" in view) is is_read
    assert ("1 more in private channels" in view) is not is_read


def test_a_guest_gets_no_home_tab(alice: Somebody, local: LocalSlack, soon: Soon) -> None:
    local.as_("gus").open_home()
    soon(lambda: local.calls("users.info"))

    assert local.calls("views.publish") == []


# ---- what goes wrong ------------------------------------------------------------------------------------------------


def test_what_could_not_be_written_down_is_said(alice: Somebody, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(request: Request) -> bool:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(store, "receive", full)
    answer = alice.command("/conntrack node-7")

    assert answer["outcome"] == "acked"
    assert "nothing was done" in answer["ack"]["text"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            {"type": "block_actions", "actions": [{"action_id": "gone", "block_id": "b"}]}, id="an old button"
        ),
        pytest.param(
            {"type": "view_submission", "view": {"callback_id": "gone", "id": "V1", "type": "modal"}}, id="an old form"
        ),
        pytest.param(
            {"type": "view_closed", "view": {"callback_id": "gone", "id": "V1", "type": "modal"}}, id="a closed form"
        ),
        pytest.param({"type": "message_action", "callback_id": "gone"}, id="an old shortcut"),
        pytest.param({"type": "shortcut", "callback_id": "gone"}, id="an old global shortcut"),
        pytest.param({"type": "event_callback", "event": {"type": "channel_created"}}, id="an event nobody asked for"),
        pytest.param({"command": "/other", "text": ""}, id="a command without a person"),
    ],
)
def test_nothing_stays_without_an_answer(body: dict[str, object], slack: Slack) -> None:
    whole = {"team": {"id": "T0LOCAL"}, "team_id": "T0LOCAL", "user": {"id": "U0ALICE"}, **body}

    assert slack.bolt.dispatch(BoltRequest(mode="socket_mode", body=whole)).status == 200


@pytest.mark.parametrize("team", ["T0OTHER", "", None])
def test_what_comes_from_elsewhere_leads_to_nothing(team: str | None, slack: Slack, store: Store) -> None:
    body = {"command": "/conntrack", "text": "node-7", "user_id": "U0EVE", "team_id": team, "channel_id": "C0INCIDENTS"}

    answer = slack.bolt.dispatch(BoltRequest(mode="socket_mode", body=body))
    assert answer.status == 200
    assert "members of the organisation" in answer.body
    assert received(store) is None


def test_a_refused_token_is_told_as_such(local: LocalSlack, store: Store) -> None:
    wrong = settings(local).model_copy(update={"bot_token": SecretStr("xoxb-wrong")})
    slack = Slack(wrong, tokens(wrong), store)

    with pytest.raises(ChatError, match="invalid_auth") as raised:
        slack.connect(lambda: None)
    assert raised.value.retry_after_seconds is None
    slack.close(0.0)


def test_it_is_healthy_from_the_connection_to_the_end(local: LocalSlack, store: Store) -> None:
    slack = Slack(settings(local), tokens(settings(local)), store)
    before = slack.is_healthy
    slack.connect(lambda: None)
    during = slack.is_healthy
    slack.close(1.0)

    assert (before, during, slack.is_healthy) == (False, True, False)


# ---- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({}, "bot_token is missing", id="no token"),
        pytest.param({"bot_token": "xoxb-1"}, "app_token is missing", id="no token for the socket"),
        pytest.param({"bot_token": "xapp-1", "app_token": "xapp-1"}, "must start with 'xoxb-'", id="the wrong token"),
        pytest.param({"bot_token": "xoxb-1", "mode": "http"}, "signing_secret is missing", id="no secret for HTTP"),
        pytest.param({"bot_token_file": "/nowhere/token"}, "cannot be read", id="a file that is not there"),
        pytest.param({"api_url": "https://evil.example/api/"}, "tokens are sent there", id="somebody else's address"),
        pytest.param(
            {"api_url": "https://slack.com.evil.example/api/"}, "tokens are sent there", id="one like Slack's"
        ),
        pytest.param({"api_url": "http://slack.com/api/"}, "tokens are sent there", id="in the clear"),
    ],
)
def test_what_is_missing_is_said(given: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        tokens(SlackSettings.model_validate(given))


def test_a_secret_is_not_shown() -> None:
    secrets = tokens(SlackSettings.model_validate({"bot_token": "xoxb-secret", "app_token": "xapp-secret"}))

    assert "secret" not in repr(secrets).replace("signing_secret", "")
