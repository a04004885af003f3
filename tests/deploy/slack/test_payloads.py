"""What the app is sent has the keys that Slack documents, and what people choose arrives as Slack writes it."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from deploy.local.slack.delivery import Envelope
from deploy.local.slack.running import LocalSlack

# slack_sdk leaves a socket to the garbage collector where a connection breaks while it opens.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

Json = dict[str, Any]

HERE = "C0INCIDENTS"
INTERACTIVE = "type token api_app_id team user trigger_id enterprise is_enterprise_install"
# docs.slack.dev: "Slash commands", "Interaction payloads", "The Events API".
DOCUMENTED = {
    "command": "token team_id team_domain channel_id channel_name user_id user_name command text api_app_id "
    "is_enterprise_install response_url trigger_id",
    "click": f"{INTERACTIVE} container channel message state response_url actions",
    "shortcut": f"{INTERACTIVE} callback_id action_ts message_ts message channel response_url",
    "submit": f"{INTERACTIVE} view response_urls",
    "event": "token team_id context_team_id context_enterprise_id api_app_id event type event_id event_time "
    "authorizations is_ext_shared_channel event_context",
}


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


OPTIONS = [{"text": plain(name), "value": name} for name in ("kill", "drain")]
ELEMENTS: list[Json] = [
    {"type": "button", "action_id": "go", "text": plain("Go"), "value": "id"},
    {"type": "overflow", "action_id": "more", "options": OPTIONS},
    {"type": "static_select", "action_id": "one", "options": OPTIONS, "placeholder": plain("which")},
    {"type": "multi_static_select", "action_id": "many", "options": OPTIONS},
    {"type": "users_select", "action_id": "who"},
    {"type": "checkboxes", "action_id": "ticks", "options": OPTIONS},
]
MODAL: Json = {
    "type": "modal",
    "title": plain("x"),
    "submit": plain("x"),
    "blocks": [
        {
            "type": "input",
            "block_id": "which",
            "label": plain("x"),
            "element": {"type": "radio_buttons", "action_id": "r", "options": OPTIONS, "initial_option": OPTIONS[0]},
        }
    ],
}


class Echo:
    """A line on which everything is acknowledged at once, with what it is told to say."""

    def __init__(self, slack: LocalSlack) -> None:
        self.slack = slack
        self.seen: list[Json] = []
        self.says: Json = {}

    async def send(self, envelope: Envelope) -> bool:
        self.seen.append(envelope.payload)
        self.slack.service.delivery.acked(envelope.id, self.says)
        return True


@pytest.fixture
def echo(slack: LocalSlack) -> Echo:
    made = Echo(slack)
    slack.service.delivery.line = made
    return made


@pytest.fixture
def card(client: WebClient) -> str:
    said = client.chat_postMessage(channel=HERE, text="x", blocks=[{"type": "actions", "elements": ELEMENTS}])
    return str(said["ts"])


def opened(slack: LocalSlack, client: WebClient, echo: Echo, view: Json = MODAL) -> str:
    slack.as_("bob").command("/conntrack x")
    return str(client.views_open(trigger_id=echo.seen[-1]["trigger_id"], view=view)["view"]["id"])


def test_payloads_have_the_documented_keys(slack: LocalSlack, client: WebClient, echo: Echo, card: str) -> None:
    bob = slack.as_("bob")
    slack.wait_for(lambda: echo.seen)  # the app's own message, which it hears of too
    echo.seen.clear()
    bob.submit(opened(slack, client, echo))
    bob.click(card, "go")
    bob.shortcut("diagnose_message", card)
    bob.mention("node-7")
    slack.wait_for(lambda: len(echo.seen) >= 6)
    for what, payload in zip(("command", "submit", "click", "shortcut", "event"), echo.seen, strict=False):
        assert set(DOCUMENTED[what].split()) - payload.keys() == set(), what


@pytest.mark.parametrize(
    ("action_id", "value", "part"),
    [
        ("more", "drain", {"selected_option": OPTIONS[1]}),
        ("one", "kill", {"selected_option": OPTIONS[0]}),
        ("many", ["kill", "drain"], {"selected_options": OPTIONS}),
        ("who", "U0BOB", {"selected_user": "U0BOB"}),
        ("ticks", ["kill"], {"selected_options": OPTIONS[:1]}),
    ],
)
def test_a_choice_arrives_whole(
    slack: LocalSlack, echo: Echo, card: str, action_id: str, value: Any, part: Json
) -> None:
    slack.as_("bob").click(card, action_id, value)
    (action,) = echo.seen[-1]["actions"]
    assert {name: action[name] for name in part} == part
    state = echo.seen[-1]["state"]["values"][action["block_id"]][action_id]
    assert {name: state[name] for name in part} == part


def test_a_form_sends_what_stood_in_it_at_first(slack: LocalSlack, client: WebClient, echo: Echo) -> None:
    slack.as_("bob").submit(opened(slack, client, echo))
    assert echo.seen[-1]["view"]["state"]["values"]["which"]["r"]["selected_option"] == OPTIONS[0]
    assert slack.modal("bob") is None


def test_a_view_changes_only_for_whoever_saw_its_newest_state(slack: LocalSlack, client: WebClient, echo: Echo) -> None:
    name = opened(slack, client, echo)
    seen = (slack.modal("bob") or {})["hash"]
    client.views_update(view_id=name, hash=seen, view=MODAL | {"title": plain("newer")})
    with pytest.raises(SlackApiError, match="hash_conflict"):
        client.views_update(view_id=name, hash=seen, view=MODAL)
    assert (slack.modal("bob") or {})["title"]["text"] == "newer"


def test_an_acknowledgement_can_push_a_second_form_and_clear_both(
    slack: LocalSlack, client: WebClient, echo: Echo
) -> None:
    first = opened(slack, client, echo)
    echo.says = {"response_action": "push", "view": MODAL | {"title": plain("sure?")}}
    slack.as_("bob").submit(first)
    second = slack.modal("bob") or {}
    assert (second["title"]["text"], second["root_view_id"], second["previous_view_id"]) == ("sure?", first, first)
    echo.says = {"response_action": "clear"}
    slack.as_("bob").submit(second["id"])
    assert slack.modal("bob") is None


def test_an_acknowledgement_that_slack_would_refuse_is_shown_as_an_error(
    slack: LocalSlack, client: WebClient, echo: Echo
) -> None:
    name = opened(slack, client, echo)
    echo.says = {"response_action": "errors", "errors": {"no such block": "x"}}
    assert "no block here" in slack.as_("bob").submit(name)["errors"][""]
    echo.says = {"response_action": "update", "view": {"type": "modal"}}
    assert "missing required field" in slack.as_("bob").submit(name)["errors"][""]


def test_a_cancelled_form_is_told_of_only_where_the_app_asked(slack: LocalSlack, client: WebClient, echo: Echo) -> None:
    slack.as_("bob").close_view(opened(slack, client, echo))
    assert "type" not in echo.seen[-1]
    slack.as_("bob").close_view(opened(slack, client, echo, MODAL | {"notify_on_close": True}))
    assert (echo.seen[-1]["type"], slack.modal("bob")) == ("view_closed", None)


def test_what_is_pressed_on_the_home_tab_comes_with_the_view(slack: LocalSlack, client: WebClient, echo: Echo) -> None:
    home = {"type": "home", "blocks": [{"type": "actions", "elements": ELEMENTS[:1]}]}
    view = client.views_publish(user_id="U0BOB", view=home)["view"]
    slack.as_("bob").click_in_view(view["id"], "go")
    assert echo.seen[-1]["container"]["type"] == "view"
    assert echo.seen[-1]["view"]["type"] == "home"
    assert "channel" not in echo.seen[-1]
