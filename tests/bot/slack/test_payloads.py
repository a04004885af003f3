from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import Origin, Person
from bot.slack import payloads
from bot.slack.payloads import Sender, Typed, Wish

NOW = 1_700_000_000.0


def command(text: str, **more: Any) -> dict[str, Any]:
    return {
        "command": "/conntrack",
        "text": text,
        "user_id": "U1",
        "team_id": "T1",
        "channel_id": "C1",
        "trigger_id": "1.2.abc",
        "response_url": "https://hooks.slack.com/commands/T1/1/x",
        **more,
    }


def mention(text: str, **more: Any) -> dict[str, Any]:
    event = {
        "type": "app_mention",
        "user": "U1",
        "text": text,
        "ts": "1700000000.000100",
        "channel": "C1",
        "team": "T1",
    }
    return {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": {**event, **more}}


def shortcut(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "message_action",
        "callback_id": "diagnose_message",
        "trigger_id": "1.2.abc",
        "team": {"id": "T1"},
        "user": {"id": "U1", "team_id": "T1"},
        "channel": {"id": "C1"},
        "message_ts": "1700000000.000100",
        "message": {"ts": "1700000000.000100", **message},
        "response_url": "https://hooks.slack.com/app/T1/1/x",
    }


# ---- what was typed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        pytest.param("node-7", Typed(Wish.DIAGNOSE, "node-7"), id="a node"),
        pytest.param("  prod/node-7  ", Typed(Wish.DIAGNOSE, "prod/node-7"), id="a cluster's node, with spaces"),
        pytest.param("`node-7`", Typed(Wish.DIAGNOSE, "node-7"), id="a node as code"),
        pytest.param("node-7 --deep", Typed(Wish.DIAGNOSE, "node-7", deep=True), id="an option behind"),
        pytest.param("--exact node-7 --DEEP", Typed(Wish.DIAGNOSE, "node-7", exact=True, deep=True), id="both options"),
        pytest.param("node-7 \u2014deep", Typed(Wish.DIAGNOSE, "node-7", deep=True), id="a dash that a phone made"),
        pytest.param("", Typed(Wish.HELP), id="nothing"),
        pytest.param("help", Typed(Wish.HELP), id="help"),
        pytest.param("STATUS", Typed(Wish.STATUS), id="status in capitals"),
    ],
)
def test_typed_words_mean(text: str, meant: Typed) -> None:
    assert payloads.typed(text) == meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("node-7 --fast", "`--fast`", id="an option that does not exist"),
        pytest.param("node-7 node-8", "one node at a time", id="two nodes"),
        pytest.param("--deep", "", id="an option alone is a question for help"),
    ],
)
def test_what_is_unclear_is_said(text: str, says: str) -> None:
    typed = payloads.typed(text)

    assert typed.wish in {Wish.UNCLEAR, Wish.HELP}
    assert says in typed.says


def test_a_word_of_theirs_cannot_ping_from_our_sentence() -> None:
    says = payloads.typed("node-7 --<!channel>`").says

    assert "<!" not in says
    assert says.count("`") % 2 == 0


def test_a_command_is_a_request_with_a_way_to_answer() -> None:
    asked = payloads.command(command("node-7 --exact"), NOW)

    assert asked is not None
    request = asked.request
    assert (request.named, request.exact, request.deep) == ("node-7", True, False)
    assert (request.origin, request.person, request.channel) == (Origin.COMMAND, Person("U1", "T1"), "C1")
    assert request.key == "command/1.2.abc"
    assert request.answer_url == "https://hooks.slack.com/commands/T1/1/x"


def test_a_mention_in_a_thread_is_answered_there() -> None:
    asked = payloads.mention(mention("<@UBOT> node-7", thread_ts="1699999999.000200"), NOW, "UBOT", "conntrack")

    assert asked is not None
    assert (asked.request.thread, asked.request.named) == ("1699999999.000200", "node-7")
    assert asked.request.key == "event/Ev1"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<@UBOT> node-7", id="the node alone"),
        pytest.param("<@UBOT> conntrack node-7", id="with the command's word"),
        pytest.param("<@UBOT> /conntrack node-7", id="with the command itself"),
        pytest.param("<@UBOT>, node-7", id="with a comma"),
        pytest.param("hello <@UBOT> node-7", id="in the middle of a sentence"),
    ],
)
def test_a_mention_names_the_node_behind_it(text: str) -> None:
    asked = payloads.mention(mention(text), NOW, "UBOT", "conntrack")

    assert asked is not None
    assert asked.typed == Typed(Wish.DIAGNOSE, "node-7")
    assert asked.request.thread == ""


def test_a_bots_mention_asks_nothing() -> None:
    assert payloads.mention(mention("<@UBOT> node-7", bot_id="B1"), NOW, "UBOT", "conntrack") is None


# ---- which node a message names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "named"),
    [
        pytest.param({"text": "node: node-7 is full"}, "node-7", id="a label with a colon"),
        pytest.param({"text": 'conntrack full {node="node-7",job="x"}'}, "node-7", id="a label of Prometheus"),
        pytest.param({"text": "instance=ip-10-0-0-7.ec2.internal:9100"}, "ip-10-0-0-7.ec2.internal", id="with a port"),
        pytest.param({"text": "*Node:* `node-7`"}, "node-7", id="in bold and code"),
        pytest.param({"text": "timeouts on node node-7, again"}, "node-7", id="in a sentence"),
        pytest.param({"text": "instance: 10.0.0.7:9100\nnode: node-7"}, "node-7", id="an address is no name"),
        pytest.param({"text": "the node is full"}, "", id="no name at all"),
        pytest.param({"text": "instance: 10.0.0.7:9100"}, "", id="an address only"),
        pytest.param(
            {"attachments": [{"fields": [{"title": "Node", "value": "`node-7`", "short": True}]}]},
            "node-7",
            id="a field of an attachment",
        ),
        pytest.param(
            {"text": "node: node-1", "attachments": [{"fields": [{"title": "node", "value": "node-7"}]}]},
            "node-7",
            id="a field before the text",
        ),
        pytest.param({"attachments": [{"text": "Labels:\n - node = node-7"}]}, "node-7", id="text of an attachment"),
        pytest.param({"attachments": [{"fallback": "[FIRING] node=node-7"}]}, "node-7", id="the fallback"),
        pytest.param(
            {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*node:* node-7"}}]},
            "node-7",
            id="a block",
        ),
    ],
)
def test_the_node_of_an_alert_is_found(message: dict[str, Any], named: str) -> None:
    assert payloads.named_in(message) == named


def test_a_shortcut_is_answered_under_its_message() -> None:
    pointed = payloads.pointed(shortcut({"text": "node: node-7"}), NOW)

    assert pointed is not None
    assert (pointed.request.named, pointed.request.thread) == ("node-7", "1700000000.000100")
    assert pointed.request.origin is Origin.SHORTCUT
    assert pointed.trigger == "1.2.abc"


def test_a_shortcut_on_a_reply_is_answered_in_its_thread() -> None:
    pointed = payloads.pointed(shortcut({"text": "node: node-7", "thread_ts": "1690000000.000001"}), NOW)

    assert pointed is not None
    assert pointed.request.thread == "1690000000.000001"


def test_what_the_form_brings_back_belongs_under_the_message_it_was_opened_from() -> None:
    pointed = payloads.pointed(shortcut({"text": "help"}), NOW)
    assert pointed is not None
    view = payloads.question(pointed.request)
    values = {"node": {"node": {"type": "plain_text_input", "value": "node-7"}}}
    body = {
        "type": "view_submission",
        "team": {"id": "T1"},
        "user": {"id": "U2", "team_id": "T1"},
        "view": {"id": "V1", "private_metadata": view["private_metadata"], "state": {"values": values}},
    }

    asked = payloads.submitted(body, NOW)

    assert asked is not None
    assert asked.request.person == Person("U2", "T1")
    assert (asked.request.named, asked.request.channel, asked.request.thread) == ("node-7", "C1", "1700000000.000100")


# ---- clicks, and whose they are -------------------------------------------------------------------------------------


def click(value: object) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "team": {"id": "T1"},
        "user": {"id": "U1", "team_id": "T1"},
        "channel": {"id": "C1"},
        "trigger_id": "9.9.x",
        "actions": [{"action_id": "look_again", "value": value}],
    }


def test_a_click_means_an_incident_by_its_name() -> None:
    clicked = payloads.again(click("INC-12"), NOW)

    assert clicked is not None
    assert clicked.incident == 12


@pytest.mark.parametrize("value", ["", "node-7", "INC-", "INC-1; drop", "INC-١٢", None, 12, ["INC-1"]])
def test_a_value_that_is_no_incident_means_nothing(value: object) -> None:
    assert payloads.again(click(value), NOW) is None


@pytest.mark.parametrize(
    ("body", "sender"),
    [
        pytest.param({"team_id": "T1", "enterprise_id": "E1"}, Sender("T1", "E1"), id="a command"),
        pytest.param({"team": {"id": "T1"}, "enterprise": None}, Sender("T1", ""), id="a click"),
        pytest.param({}, Sender("", ""), id="nothing said"),
    ],
)
def test_the_organisation_of_a_delivery_is_found(body: dict[str, Any], sender: Sender) -> None:
    assert payloads.sender(body) == sender


# ---- what anybody could send ----------------------------------------------------------------------------------------

WORDS = """
    event message view state values node value user id team team_id channel text attachments fields title blocks actions
    trigger_id private_metadata ts thread_ts user_id channel_id event_id tab command type response_url bot_id
"""
KEYS = st.sampled_from(WORDS.split())
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.just("{" * 2000)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6))
BODIES = st.dictionaries(KEYS, JSON, max_size=10)


@given(BODIES)
def test_no_payload_breaks_a_parser(body: dict[str, Any]) -> None:
    payloads.sender(body)
    payloads.kind(body)
    payloads.is_command(body)
    payloads.event_channel(body)
    payloads.opened_home(body)
    payloads.named_in(body)
    asked = (
        payloads.command(body, NOW),
        payloads.mention(body, NOW, "UBOT", "conntrack"),
        payloads.submitted(body, NOW),
    )
    clicked = (payloads.pointed(body, NOW), payloads.again(body, NOW))
    for one in (*asked, *clicked):
        if one is not None:
            assert one.request.person.id
            assert one.request.channel
            assert len(one.request.key) <= 255
            assert len(one.request.named) <= payloads.NAMED_AT_MOST


@given(st.text(max_size=5_000))
def test_no_text_is_too_strange_to_be_typed(text: str) -> None:
    typed = payloads.typed(text)

    assert (typed.wish is Wish.UNCLEAR) == bool(typed.says)
    assert "<" not in typed.says


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("node" * 20_000, id="a label without an end"),
        pytest.param("node: " + "a-" * 50_000, id="a name without an end"),
        pytest.param("node " + "." * 100_000, id="dots"),
        pytest.param("instance" + " " * 100_000 + "=", id="spaces"),
    ],
)
def test_a_long_message_costs_no_long_time(text: str) -> None:
    payloads.named_in({"text": text, "attachments": [{"text": text, "fallback": text}] * 5})


def test_a_name_in_metadata_is_not_believed_to_be_json() -> None:
    body = {"user": {"id": "U1"}, "view": {"id": "V1", "private_metadata": json.dumps(["not", "a", "mapping"])}}

    assert payloads.submitted(body, NOW) is None
