"""What people say to the bot, and what they are answered: one bot, which everybody here talks to."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.e2e.scene import Scene, read, until

HEALTHY = "\N{LARGE GREEN CIRCLE}"
SHORTCUT = "diagnose_message"
Unused = Callable[[], str]


def well(node: str) -> str:
    """How the card of a healthy node begins."""
    return f"{HEALTHY} *{node}"


def cards(desk: Scene, node: str, channel: str = "incidents") -> list[dict[str, Any]]:
    """The bot's messages in the channel that name the node."""
    return [one for one in desk.roots(channel) if one["user"] == "U0CONNTRACK" and node in read(one)]


# ---- ways to ask ----------------------------------------------------------------------------------------------------


def test_a_node_can_be_named_with_its_cluster(desk: Scene, unused: Unused) -> None:
    node = unused()
    desk.alice.command(f"/conntrack prod/{node}")
    desk.card(well(node))


def test_a_pod_leads_to_its_node(desk: Scene) -> None:
    pods = desk.kubernetes.state.of_kind("pods", "shop")
    name = next(one["metadata"]["name"] for one in pods if one["spec"]["nodeName"] == "node-5")
    desk.slack.as_("bob").command(f"/conntrack shop/{name}", "night-shift")
    assert name in read(desk.card("node-5", channel="night-shift"))


def test_a_mention_in_a_thread_is_answered_there(desk: Scene, unused: Unused) -> None:
    node, ts = unused(), desk.alice.say("something is slow")
    desk.alice.mention(node, thread=ts)
    desk.slack.wait_for(lambda: desk.replies(ts, well(node)), 15.0)
    assert cards(desk, node) == []


def test_a_name_that_is_no_node_gets_the_closest_for_the_eyes_of_who_asked(desk: Scene) -> None:
    desk.slack.as_("dan").command("/conntrack nod-7")
    assert "Did you mean `node-7`, " in read(desk.whispered("dan", "I don't know a node `nod-7`."))
    assert cards(desk, "nod-7") == []


def test_a_cluster_that_is_not_known_is_said_not_to_be(desk: Scene) -> None:
    desk.alice.command("/conntrack porsche/node-11")
    assert "Did you mean `node-11`" in read(desk.whispered("alice", "neither a pod `porsche/node-11` nor a cluster"))


def test_the_shortcut_on_an_alert_answers_in_its_thread(desk: Scene, unused: Unused) -> None:
    node = unused()
    ts = desk.slack.alert(node)
    desk.alice.shortcut(SHORTCUT, ts)
    desk.slack.wait_for(lambda: desk.replies(ts, well(node)), 15.0)
    assert cards(desk, node) == []


def test_the_shortcut_asks_for_the_node_where_the_message_names_none(desk: Scene, unused: Unused) -> None:
    node, ts = unused(), desk.alice.say("everything is slow again")
    desk.alice.shortcut(SHORTCUT, ts)
    view = desk.slack.wait_for(lambda: desk.slack.modal("alice"), 5.0)
    said = desk.alice.submit(view["id"], {"node": f"{node} node-12"})
    assert "one node at a time" in str(said["errors"])
    desk.alice.submit(view["id"], {"node": node})
    desk.slack.wait_for(lambda: desk.replies(ts, well(node)), 15.0)
    assert desk.slack.modal("alice") is None


def test_an_event_that_is_delivered_twice_is_one_incident(desk: Scene, unused: Unused) -> None:
    node = unused()
    desk.slack.duplicate_next_event()
    desk.alice.mention(node)
    desk.card(well(node))
    again = unused()
    desk.alice.command(f"/conntrack {again}")  # who waits for a later answer has waited for a second card
    desk.card(well(again))
    assert len(cards(desk, node)) == 1


def test_a_second_click_looks_again_and_tells_it_on_the_same_card(desk: Scene) -> None:
    desk.alice.command("/conntrack node-5")
    card = desk.card("node-5")
    until(lambda: "look_again" in read(cards(desk, "node-5")[0]), 15.0)
    desk.slack.as_("dan").click(card["ts"], "look_again")
    changed = desk.card("Looked again after", 15.0)
    assert changed["ts"] == card["ts"]
    assert "look 2" in read(changed)


def test_a_button_that_nobody_made_does_no_harm(desk: Scene, unused: Unused) -> None:
    node = unused()
    desk.alice.command(f"/conntrack {node}")
    desk.card(well(node))
    payload = {
        "type": "block_actions", "team": {"id": "T0LOCAL"}, "user": {"id": "U0ALICE"}, "channel": {"id": "C0INCIDENTS"},
        "actions": [{"type": "button", "action_id": "drop_everything", "value": "INC-1"}],
    }  # fmt: skip
    assert desk.slack.control("deliver", type="interactive", payload=payload)["outcome"] == "acked"
    assert len(cards(desk, node)) == 1


# ---- what is asked by several ---------------------------------------------------------------------------------------


def test_who_asks_in_another_channel_is_told_there_with_a_link_to_the_card(desk: Scene) -> None:
    desk.alice.command("/conntrack node-7")
    desk.slack.wait_for(lambda: cards(desk, "node-7"), 20.0)  # at the same moment, either could be the first
    desk.slack.as_("dan").command("/conntrack node-7", "night-shift")
    card = desk.card("node-7 is dropping new connections")
    told = desk.card("node-7 is dropping new connections", channel="night-shift")
    assert f"archives/C0INCIDENTS/p{card['ts'].replace('.', '')}" in read(told)
    assert "node-7" in read(desk.whispered("dan", "is being looked at already"))
    assert len(cards(desk, "node-7", "night-shift")) == 1


# ---- what else can be asked -----------------------------------------------------------------------------------------


def test_help_says_what_can_be_typed(desk: Scene) -> None:
    desk.slack.as_("bob").command("/conntrack")
    assert "status" in read(desk.whispered("bob", "looks at a node"))


def test_the_status_counts_connections_and_looks(desk: Scene) -> None:
    desk.slack.as_("carol").command("/conntrack status")
    assert "2 of 2 connections to Slack" in read(desk.whispered("carol", "open incident"))


def test_health_says_that_the_process_lives_and_slack_delivers(desk: Scene) -> None:
    address = str(desk.bots[0].wait_for_line("ready")["web"]).removeprefix("http://")
    assert health(address, "/healthz") == {"status": "ok"}
    assert health(address, "/readyz") == {"slack": True, "store": True}


def health(address: str, path: str) -> object:
    with closing(HTTPConnection(address, timeout=5)) as where:
        where.request("GET", path)
        return json.loads(where.getresponse().read())


def test_the_home_tab_follows_what_happens(desk: Scene) -> None:
    carol = desk.slack.as_("carol")
    carol.open_home()
    desk.slack.wait_for(lambda: "open incident" in read_home(desk, "carol"), 5.0)
    carol.command("/conntrack node-6")
    desk.slack.wait_for(lambda: "`node-6`" in read_home(desk, "carol"), 15.0)


def read_home(desk: Scene, user: str) -> str:
    return str(desk.slack.home(user))


# ---- who may not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "channel", "says"),
    [
        pytest.param("gus", "incidents", "you are a guest", id="a guest"),
        pytest.param("eve", "partners", "members of the organisation that runs me", id="somebody from elsewhere"),
        pytest.param("alice", "partners", "shared with another organisation", id="a channel others read"),
        pytest.param("alice", "elsewhere", "may not be asked in this channel", id="a channel that is not on the list"),
        pytest.param("alice", "general", "I am no member of this channel", id="a channel without the bot"),
    ],
)
def test_who_may_not_ask_is_told_why_and_nothing_is_looked_at(
    desk: Scene, unused: Unused, user: str, channel: str, says: str
) -> None:
    node = unused()
    desk.slack.as_(user).command(f"/conntrack {node}", channel)
    desk.whispered(user, says)
    assert cards(desk, node, channel) == []


def test_a_bot_gets_no_answer(desk: Scene, unused: Unused) -> None:
    node = unused()
    event = {
        "type": "app_mention", "user": "U0OTHERBOT", "bot_id": "B0OTHER", "text": f"<@U0CONNTRACK> {node}",
        "ts": "1700000000.000100", "channel": "C0INCIDENTS",
    }  # fmt: skip
    payload = {"type": "event_callback", "team_id": "T0LOCAL", "event_id": "Ev0BOT", "event": event}
    assert desk.slack.control("deliver", type="events_api", payload=payload)["outcome"] == "acked"
    after = unused()
    desk.alice.command(f"/conntrack {after}")
    desk.card(well(after))
    assert cards(desk, node) == []


def test_who_invites_the_bot_is_answered_the_next_time(desk: Scene, unused: Unused) -> None:
    node = unused()
    desk.alice.command(f"/conntrack {node}", "general")
    desk.whispered("alice", "I am no member of this channel")
    desk.alice.command("/invite conntrack", "general")
    desk.alice.command(f"/conntrack {node}", "general")
    desk.card(well(node), channel="general")


# ---- what is seen ---------------------------------------------------------------------------------------------------


def test_a_node_with_hostile_names_pings_nobody(desk: Scene) -> None:
    desk.alice.command("/conntrack node-6")
    card = desk.card("node-6 ")
    until(lambda: len(desk.replies(card["ts"], "")) >= 2, 15.0)
    assert desk.complaints() == []


@pytest.mark.slow
def test_a_silent_node_is_told_as_not_seen(desk: Scene) -> None:
    desk.alice.command("/conntrack node-9")
    says = read(desk.card("node-9: I could not look, so I do not know", 30.0))
    assert "nf_conntrack_count" in says
    assert HEALTHY not in says
