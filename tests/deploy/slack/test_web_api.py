"""Each refusal of the Web API has Slack's own code; what is posted is what is read."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from deploy.local.slack.acting import CannotError
from deploy.local.slack.manifest import DEFAULT, Manifest
from deploy.local.slack.running import LocalSlack, running

Json = dict[str, Any]

SECTION: Json = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
LONG: Json = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2800}}
TABLE: Json = {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}
HERE = "C0INCIDENTS"


def refusal(client: WebClient, method: str, **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as error:
        client.api_call(method, json=arguments)
    return str(error.value.response["error"])


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("chat.postMessage", {"text": "x"}, "invalid_arguments"),
        ("chat.postMessage", {"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "C0GENERAL", "text": "x"}, "not_in_channel"),
        ("chat.postMessage", {"channel": HERE}, "no_text"),
        ("chat.postMessage", {"channel": HERE, "text": "  "}, "no_text"),
        ("chat.postMessage", {"channel": HERE, "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ("chat.postMessage", {"channel": HERE, "blocks": "{"}, "invalid_blocks_format"),
        ("chat.postMessage", {"channel": HERE, "blocks": [LONG] * 5}, "msg_blocks_too_long"),
        ("chat.postMessage", {"channel": HERE, "blocks": [TABLE] * 2}, "invalid_attachments"),
        ("chat.postMessage", {"channel": HERE, "attachments": [{}] * 101}, "too_many_attachments"),
        ("chat.postMessage", {"channel": HERE, "attachments": [{"blocks": [{}]}]}, "invalid_blocks"),
        (
            "chat.postMessage",
            {"channel": HERE, "text": "x", "metadata": {"event_type": "x"}},
            "invalid_metadata_format",
        ),
        ("chat.postMessage", {"channel": HERE, "text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
        ("chat.update", {"channel": HERE, "ts": "1.000001", "text": "x"}, "message_not_found"),
        ("chat.delete", {"channel": HERE, "ts": "1.000001"}, "message_not_found"),
        ("chat.postEphemeral", {"channel": HERE, "user": "U0EVE", "text": "x"}, "user_not_in_channel"),
        ("conversations.history", {"channel": "C0GENERAL"}, "not_in_channel"),
        ("conversations.replies", {"channel": HERE, "ts": "1.000001"}, "thread_not_found"),
        ("conversations.info", {"channel": "C0NOWHERE"}, "channel_not_found"),
        ("users.info", {"user": "U0NOBODY"}, "user_not_found"),
        ("usergroups.users.list", {"usergroup": "S0NONE"}, "no_such_subteam"),
        ("files.info", {"file": "F0NONE"}, "file_not_found"),
        ("views.update", {"view_id": "V0NONE", "view": {}}, "not_found"),
        ("chat.shout", {"channel": HERE}, "unknown_method"),
    ],
)
def test_a_wrong_call_gets_slacks_own_code(client: WebClient, method: str, arguments: Json, code: str) -> None:
    assert refusal(client, method, **arguments) == code


def test_an_unknown_method_is_on_record(slack: LocalSlack, client: WebClient) -> None:
    refusal(client, "chat.shout")
    assert [one["method"] for one in slack.calls() if one["error"] == "unknown_method"] == ["chat.shout"]


@pytest.mark.parametrize(
    ("token", "method", "code"),
    [
        ("", "auth.test", "not_authed"),
        ("xoxb-made-up", "auth.test", "invalid_auth"),
        ("xapp-local-app", "auth.test", "not_allowed_token_type"),
        ("xoxb-local-bot", "apps.connections.open", "not_allowed_token_type"),
    ],
)
def test_a_token_must_be_known_and_of_the_right_kind(slack: LocalSlack, token: str, method: str, code: str) -> None:
    assert refusal(WebClient(token=token, base_url=slack.api_url), method) == code


def test_what_the_manifest_does_not_ask_for_is_refused_and_named() -> None:
    poor = Manifest("poor", DEFAULT.commands, (), frozenset(), frozenset({"commands"}))
    with running(app=poor) as slack, pytest.raises(SlackApiError) as error:
        WebClient(token=slack.bot_token, base_url=slack.api_url).chat_postMessage(channel=HERE, text="x")
    said = error.value.response
    assert (said["error"], said["needed"], said["provided"]) == ("missing_scope", "chat:write", "commands")


def test_a_refused_block_is_pointed_at(client: WebClient) -> None:
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel=HERE, text="x", blocks=[SECTION, long])
    (words,) = error.value.response["response_metadata"]["messages"]
    assert words == "[ERROR] must be less than 3001 characters [json-pointer:/blocks/1/text/text]"


def test_an_update_without_blocks_keeps_them_and_with_none_removes_them(slack: LocalSlack, client: WebClient) -> None:
    ts = str(client.chat_postMessage(channel=HERE, text="one", blocks=[SECTION])["ts"])
    client.chat_update(channel=HERE, ts=ts, text="two")
    (message,) = slack.messages("incidents")
    assert (message["text"], message["blocks"][0]["type"], bool(message["edited"])) == ("two", "section", True)
    client.chat_update(channel=HERE, ts=ts, text="three", blocks=[])
    assert "blocks" not in slack.messages("incidents")[0]


def test_an_update_refuses_a_long_text_which_a_post_takes(client: WebClient) -> None:
    ts = str(client.chat_postMessage(channel=HERE, text="x" * 5000)["ts"])
    assert refusal(client, "chat.update", channel=HERE, ts=ts, text="x" * 5000) == "msg_too_long"


def test_nobody_edits_what_somebody_else_said(slack: LocalSlack, client: WebClient) -> None:
    ts = slack.as_("alice").say("mine")
    assert refusal(client, "chat.update", channel=HERE, ts=ts, text="yours") == "cant_update_message"
    assert refusal(client, "chat.delete", channel=HERE, ts=ts) == "cant_delete_message"


def test_an_ephemeral_message_is_for_one_person_and_cannot_be_edited(slack: LocalSlack, client: WebClient) -> None:
    ts = str(client.chat_postEphemeral(channel=HERE, user="U0ALICE", text="psst")["message_ts"])
    assert refusal(client, "chat.update", channel=HERE, ts=ts, text="loud") == "message_not_found"
    assert slack.messages("incidents", user="bob") == []
    assert [one["is_ephemeral"] for one in slack.messages("incidents", user="alice")] == [True]
    assert client.conversations_history(channel=HERE)["messages"] == []


def test_replies_stand_under_their_root_and_a_broadcast_in_both(slack: LocalSlack, client: WebClient) -> None:
    root = str(client.chat_postMessage(channel=HERE, text="root")["ts"])
    reply = str(client.chat_postMessage(channel=HERE, text="quiet", thread_ts=root)["ts"])
    client.chat_postMessage(channel=HERE, text="loud", thread_ts=root, reply_broadcast=True)
    history = client.conversations_history(channel=HERE)["messages"]
    assert [one["text"] for one in history] == ["loud", "root"]
    assert history[1]["reply_count"] == 2
    thread = client.conversations_replies(channel=HERE, ts=root)["messages"]
    assert [one["text"] for one in thread] == ["root", "quiet", "loud"]
    assert [one["text"] for one in slack.messages("incidents")[0]["replies"]] == ["quiet", "loud"]
    assert refusal(client, "chat.postMessage", channel=HERE, text="x", thread_ts=reply) == "cannot_reply_to_message"


def test_metadata_is_told_only_to_those_who_ask(client: WebClient) -> None:
    metadata = {"event_type": "conntrack_bot", "event_payload": {"key": "INC-1/card"}}
    client.chat_postMessage(channel=HERE, text="x", metadata=metadata)
    asked = client.conversations_history(channel=HERE, include_all_metadata=True)["messages"]
    assert asked[0]["metadata"] == metadata
    assert "metadata" not in client.conversations_history(channel=HERE)["messages"][0]


def test_history_comes_in_pages(slack: LocalSlack, client: WebClient) -> None:
    for number in range(5):
        slack.as_("alice").say(str(number))
    pages = [page["messages"] for page in client.conversations_history(channel=HERE, limit=2)]
    assert [[one["text"] for one in page] for page in pages] == [["4", "3"], ["2", "1"], ["0"]]


@pytest.mark.parametrize(
    ("text", "blocks", "pings"),
    [
        pytest.param("<!channel> help", [], ["<!channel>"], id="in the text"),
        pytest.param("&lt;!channel&gt; help", [], [], id="escaped"),
        pytest.param(
            "x", [{"type": "section", "text": {"type": "mrkdwn", "text": "<!here>"}}], ["<!here>"], id="mrkdwn"
        ),
        pytest.param("x", [{"type": "header", "text": {"type": "plain_text", "text": "<!here>"}}], [], id="plain text"),
        pytest.param("<@U0ALICE> asked", [], ["<@U0ALICE>"], id="a person"),
    ],
)
def test_whom_a_message_would_wake_is_on_record(
    slack: LocalSlack, client: WebClient, text: str, blocks: list[Json], pings: list[str]
) -> None:
    client.chat_postMessage(channel=HERE, text=text, blocks=blocks)
    assert slack.messages("incidents")[0]["pings"] == pings


def test_an_upload_takes_three_calls_and_is_shared_later(slack: LocalSlack, client: WebClient) -> None:
    root = str(client.chat_postMessage(channel=HERE, text="root")["ts"])
    said = client.files_upload_v2(
        file=b"\x89PNG", filename="chart.png", title="A chart", channel=HERE, thread_ts=root, initial_comment="look"
    )
    file = said["file"]
    assert (file["mimetype"], file["shares"]) == ("", {})
    picture = [{"type": "image", "slack_file": {"id": file["id"]}, "alt_text": "a chart"}]
    assert refusal(client, "chat.postMessage", channel=HERE, text="x", blocks=picture) == "invalid_blocks"
    slack.wait_for(lambda: client.files_info(file=file["id"])["file"]["mimetype"] == "image/png")
    (reply,) = slack.messages("incidents")[0]["replies"]
    assert (reply["text"], reply["files"][0]["title"], reply["subtype"]) == ("look", "A chart", "file_share")
    client.chat_postMessage(channel=HERE, text="x", blocks=picture)


def test_accounts_say_what_sort_they_are(client: WebClient) -> None:
    kinds = {
        name: [flag for flag in ("is_restricted", "is_stranger", "is_bot") if user[flag]]
        for name in ("ALICE", "GUS", "EVE", "CONNTRACK")
        for user in [client.users_info(user=f"U0{name}")["user"]]
    }
    assert kinds == {"ALICE": [], "GUS": ["is_restricted"], "EVE": ["is_stranger"], "CONNTRACK": ["is_bot"]}
    assert client.users_info(user="U0EVE")["user"]["team_id"] == "T0OTHER"


def test_the_approvers_can_be_listed_and_changed(slack: LocalSlack, client: WebClient) -> None:
    (group,) = client.usergroups_list()["usergroups"]
    assert client.usergroups_users_list(usergroup=group["id"])["users"] == ["U0BOB", "U0CAROL"]
    slack.control("group", group="sre-approvers", users=[])
    assert client.usergroups_users_list(usergroup=group["id"])["users"] == []


def test_a_channel_shared_with_others_says_so(client: WebClient) -> None:
    shared = {one: client.conversations_info(channel=one)["channel"]["is_ext_shared"] for one in (HERE, "C0PARTNERS")}
    assert shared == {HERE: False, "C0PARTNERS": True}


def test_whoever_is_not_in_a_channel_cannot_act_there(slack: LocalSlack) -> None:
    for act in (slack.as_("eve").say, slack.as_("eve").command):
        with pytest.raises(CannotError, match="eve is not in #incidents"):
            act("/conntrack node-7", "incidents")
    assert slack.as_("eve").say("hello", "partners")


def test_a_stream_grows_and_ends_after_five_minutes(slack: LocalSlack, client: WebClient) -> None:
    root = slack.as_("alice").say("root")
    started = client.chat_startStream(
        channel=HERE, thread_ts=root, markdown_text="one", recipient_user_id="U0ALICE", recipient_team_id="T0LOCAL"
    )
    ts = str(started["ts"])
    client.chat_appendStream(channel=HERE, ts=ts, markdown_text=", two")
    assert slack.messages("incidents")[0]["replies"][0]["text"] == "one, two"
    slack.pass_time(301)
    again = refusal(client, "chat.appendStream", channel=HERE, ts=ts, markdown_text="three")
    assert again == "message_not_in_streaming_state"
    client.chat_update(channel=HERE, ts=ts, text="all")


def test_an_invitation_makes_the_app_a_member_and_tells_it(slack: LocalSlack, client: WebClient) -> None:
    assert slack.as_("alice").command("/invite @conntrack", "general")["outcome"] == "acked"
    client.chat_postMessage(channel="C0GENERAL", text="hello")
    events = slack.wait_for(lambda: [one["payload"]["event"] for one in slack.deliveries()])
    assert ("member_joined_channel", "U0CONNTRACK") in [(one["type"], one.get("user")) for one in events]


def test_the_app_can_write_to_a_person(slack: LocalSlack, client: WebClient) -> None:
    channel = client.chat_postMessage(channel="U0ALICE", text="psst")["channel"]
    assert channel == client.conversations_open(users="U0ALICE")["channel"]["id"]
    assert [one["text"] for one in slack.messages(channel)] == ["psst"]


def test_blocks_can_be_validated_without_a_token(slack: LocalSlack) -> None:
    anybody = WebClient(base_url=slack.api_url)
    assert anybody.api_call("blocks.validate", json={"blocks": [SECTION]})["ok"]
    assert refusal(anybody, "blocks.validate", blocks=[{"type": "nonsense"}]) == "invalid_blocks"
    assert refusal(anybody, "blocks.validate", view={"type": "modal"}) == "invalid_blocks"


def test_a_mark_is_made_once(slack: LocalSlack, client: WebClient) -> None:
    where = {"channel": HERE, "timestamp": slack.as_("alice").say("look")}
    client.reactions_add(name="eyes", **where)
    client.pins_add(**where)
    assert slack.messages("incidents")[0]["reactions"] == [{"name": "eyes", "users": ["U0CONNTRACK"], "count": 1}]
    assert refusal(client, "reactions.add", name="eyes", **where) == "already_reacted"
    assert refusal(client, "pins.add", **where) == "already_pinned"
    client.reactions_remove(name="eyes", **where)
    assert refusal(client, "reactions.remove", name="eyes", **where) == "no_reaction"


def test_a_deleted_message_is_gone_from_its_thread(slack: LocalSlack, client: WebClient) -> None:
    root = slack.as_("alice").say("root")
    ts = str(client.chat_postMessage(channel=HERE, text="reply", thread_ts=root)["ts"])
    client.chat_delete(channel=HERE, ts=ts)
    assert slack.messages("incidents")[0]["replies"] == []
    assert "reply_count" not in client.conversations_history(channel=HERE)["messages"][0]


def test_a_link_to_a_reply_names_its_thread(slack: LocalSlack, client: WebClient) -> None:
    root = slack.as_("alice").say("root")
    ts = str(client.chat_postMessage(channel=HERE, text="reply", thread_ts=root)["ts"])
    link = client.chat_getPermalink(channel=HERE, message_ts=ts)["permalink"]
    assert link == f"{slack.url}/archives/{HERE}/p{ts.replace('.', '')}?thread_ts={root}"
