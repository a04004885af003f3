"""The wire, proven with the clients that a real bot uses: what people do arrives, and the answers are seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient

from deploy.local.slack.running import LocalSlack

# slack_sdk leaves a socket to the garbage collector where a connection breaks while it opens.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

Json = dict[str, Any]


@pytest.fixture
def slack(lasting: tuple[LocalSlack, App]) -> LocalSlack:
    """The lasting one, where nothing was said yet."""
    slack, _ = lasting
    slack.service.workspace.messages.clear()
    slack.service.journal.entries.clear()
    slack.control("ack_seconds", seconds=3.0)
    return slack


@pytest.fixture
def app(lasting: tuple[LocalSlack, App]) -> App:
    """The lasting one, which does nothing yet."""
    _, app = lasting
    app._listeners.clear()
    return app


MODAL: Json = {
    "type": "modal",
    "callback_id": "why",
    "title": {"type": "plain_text", "text": "Why?"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "reason",
            "label": {"type": "plain_text", "text": "Reason"},
            "element": {"type": "plain_text_input", "action_id": "text", "min_length": 10},
        }
    ],
}


def button(text: str = "Look again", **more: Any) -> Json:
    return {"type": "button", "action_id": "again", "text": {"type": "plain_text", "text": text}, "value": "id", **more}


def card(*elements: Json) -> list[Json]:
    return [{"type": "actions", "elements": list(elements)}]


def post(client: WebClient, blocks: list[Json] | None = None, **more: Any) -> str:
    said = client.chat_postMessage(channel="C0INCIDENTS", text="a card", blocks=blocks, **more)
    return str(said["ts"])


def test_a_command_is_acknowledged_and_answered_in_the_channel(slack: LocalSlack, app: App) -> None:
    @app.command("/conntrack")
    def on_command(ack: Callable[..., Any], command: Json, client: WebClient) -> None:
        ack()
        client.chat_postMessage(channel=command["channel_id"], text=f"looking at {command['text']}")

    assert slack.as_("alice").command("/conntrack node-7")["outcome"] == "acked"
    assert slack.wait_for(lambda: slack.messages("incidents"))[0]["text"] == "looking at node-7"
    assert slack.deliveries()[0]["ack_seconds"] < 1.0


def test_a_text_in_the_acknowledgement_is_for_the_person_who_asked_only(slack: LocalSlack, app: App) -> None:
    @app.command("/conntrack")
    def on_command(ack: Callable[..., Any]) -> None:
        ack("no such node")

    slack.as_("alice").command("/conntrack nod")
    assert [one["text"] for one in slack.whispers("alice")] == ["no such node"]
    assert slack.whispers("bob") == []
    assert slack.messages("incidents") == []


def test_names_in_a_command_arrive_escaped(slack: LocalSlack, app: App) -> None:
    seen: list[str] = []

    @app.command("/conntrack")
    def on_command(ack: Callable[..., Any], command: Json) -> None:
        ack()
        seen.append(command["text"])

    slack.as_("alice").command("/conntrack ask @bob in #general")
    assert seen == ["ask <@U0BOB|bob> in <#C0GENERAL|general>"]


def test_a_command_that_nobody_acknowledges_fails_for_the_person(slack: LocalSlack, app: App) -> None:
    slack.control("ack_seconds", seconds=0.2)
    assert slack.as_("alice").command("/conntrack node-7")["outcome"] == "operation_timeout"
    assert "operation_timeout" in slack.whispers("alice")[0]["text"]


def test_a_mention_in_a_thread_arrives_with_the_thread(slack: LocalSlack, app: App) -> None:
    seen: list[Json] = []

    @app.event("app_mention")
    def on_mention(event: Json) -> None:
        seen.append(event)

    root = slack.as_("alice").say("everything times out")
    slack.as_("dan").mention("node-7", thread=root)
    event = slack.wait_for(lambda: seen)[0]
    assert (event["text"], event["thread_ts"], event["user"]) == ("<@U0CONNTRACK> node-7", root, "U0DAN")


def test_a_mention_where_the_bot_is_not_says_so_and_goes_nowhere(slack: LocalSlack, app: App) -> None:
    slack.as_("alice").mention("node-7", channel="general")
    assert "Invite it" in slack.whispers("alice")[0]["text"]
    assert slack.deliveries() == []


def test_a_click_arrives_with_message_and_value_and_can_replace_it(
    slack: LocalSlack, app: App, client: WebClient
) -> None:
    seen: list[Json] = []

    @app.action("again")
    def on_again(ack: Callable[..., Any], body: Json, respond: Callable[..., Any]) -> None:
        ack()
        seen.append(body)
        respond(text="done", replace_original=True)

    ts = post(client, card(button()))
    assert slack.as_("bob").click(ts, "again")["outcome"] == "acked"
    slack.wait_for(lambda: slack.messages("incidents")[0]["text"] == "done")
    (body,) = seen
    assert body["user"]["id"] == "U0BOB"
    assert body["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": "C0INCIDENTS",
        "is_ephemeral": False,
    }
    assert body["actions"][0]["value"] == "id"


def test_a_forged_value_reaches_the_app_so_that_a_test_can_see_it_refused(
    slack: LocalSlack, app: App, client: WebClient
) -> None:
    seen: list[str] = []

    @app.action("again")
    def on_again(ack: Callable[..., Any], action: Json) -> None:
        ack()
        seen.append(action["value"])

    slack.as_("bob").click(post(client, card(button())), "again", "another id")
    assert seen == ["another id"]


def test_an_answer_url_works_five_times(slack: LocalSlack, app: App) -> None:
    statuses: list[int] = []

    @app.command("/conntrack")
    def on_command(ack: Callable[..., Any], respond: Callable[..., Any]) -> None:
        ack()
        statuses.extend(respond(text=f"{number}").status_code for number in range(6))

    slack.as_("alice").command("/conntrack node-7")
    slack.wait_for(lambda: len(statuses) == 6)
    assert statuses == [200] * 5 + [404]
    assert len(slack.whispers("alice")) == 5


def test_a_modal_refuses_what_is_too_short_itself_then_takes_the_apps_errors_then_closes(
    slack: LocalSlack, app: App, client: WebClient
) -> None:
    @app.action("again")
    def on_again(ack: Callable[..., Any], body: Json, client: WebClient) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=MODAL)

    @app.view("why")
    def on_why(ack: Callable[..., Any], view: Json) -> None:
        if "please" in view["state"]["values"]["reason"]["text"]["value"]:
            ack()
        else:
            ack(response_action="errors", errors={"reason": "Say please."})

    bob = slack.as_("bob")
    bob.click(post(client, card(button())), "again")
    modal = slack.wait_for(lambda: slack.modal("bob"))
    assert bob.submit(modal["id"], {"reason": "short"})["outcome"] == "not_sent"
    assert bob.submit(modal["id"], {"reason": "because of me"})["errors"] == {"reason": "Say please."}
    assert slack.modal("bob")["errors"] == {"reason": "Say please."}  # type: ignore[index] # it is there
    assert bob.submit(modal["id"], {"reason": "because, please"})["errors"] == {}
    assert slack.modal("bob") is None


def test_the_home_tab_is_published_for_the_one_who_opens_it(slack: LocalSlack, app: App) -> None:
    @app.event("app_home_opened")
    def on_home(event: Json, client: WebClient) -> None:
        blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "no open incidents"}}]
        client.views_publish(user_id=event["user"], view={"type": "home", "blocks": blocks})

    slack.as_("alice").open_home()
    view = slack.wait_for(lambda: slack.home("alice"))
    assert view["blocks"][0]["text"]["text"] == "no open incidents"
    assert slack.home("bob") is None


def test_a_shortcut_brings_the_message_it_was_used_on(slack: LocalSlack, app: App) -> None:
    seen: list[Json] = []

    @app.shortcut("diagnose_message")
    def on_shortcut(ack: Callable[..., Any], shortcut: Json) -> None:
        ack()
        seen.append(shortcut)

    ts = slack.alert("node-7")
    assert slack.as_("alice").shortcut("diagnose_message", ts)["outcome"] == "acked"
    assert seen[0]["message"]["attachments"][0]["fields"][0]["value"] == "node-7"
    assert seen[0]["message_ts"] == ts


def test_a_person_of_another_organisation_is_seen_as_one(slack: LocalSlack, app: App) -> None:
    seen: list[Json] = []

    @app.event("app_mention")
    def on_mention(body: Json) -> None:
        seen.append(body)

    slack.as_("eve").mention("node-7", channel="partners")
    body = slack.wait_for(lambda: seen)[0]
    assert (body["event"]["user_team"], body["is_ext_shared_channel"]) == ("T0OTHER", True)
