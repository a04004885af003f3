from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.errors import ChatError, RefusedError
from bot.model import Origin, Person, Request
from bot.slack.chat import Chat, Identity
from bot.slack.gate import CHANNEL_SECONDS, PERSON_SECONDS, SlackGate
from deploy.local.slack.running import LocalSlack

US = Identity(team="T0LOCAL", enterprise="E1", user="U0CONNTRACK", bot="B0CONNTRACK", url="https://x.slack.com/")
MEMBER = {"id": "U1", "team_id": "T0LOCAL"}
OURS = {"id": "C1", "is_member": True}


def asked(person: str = "U0ALICE", channel: str = "C0INCIDENTS") -> Request:
    return Request("k", Origin.COMMAND, "node-7", Person(person, "T0LOCAL"), channel, 1_700_000_000.0)


@dataclass
class Known(Chat):
    """What Slack would say, and how often it was asked."""

    people: Mapping[str, Any] = field(default_factory=lambda: dict(MEMBER))
    places: Mapping[str, Any] = field(default_factory=lambda: dict(OURS))
    trouble: ChatError | None = None
    asked: list[str] = field(default_factory=list)
    now: float = 0.0

    def person(self, user: str) -> Mapping[str, Any]:
        return self._told(user, self.people)

    def channel(self, channel: str) -> Mapping[str, Any]:
        return self._told(channel, self.places)

    def _told(self, what: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(what)
        if self.trouble:
            raise self.trouble
        return known

    def gate(self, *channels: str) -> SlackGate:
        return SlackGate(self, lambda: US, channels, monotonic=lambda: self.now)


@pytest.mark.parametrize(
    ("person", "why"),
    [
        pytest.param({"is_bot": True}, "a bot", id="bot"),
        pytest.param({"id": "USLACKBOT"}, "a bot", id="Slackbot, which is none by its own account"),
        pytest.param({"deleted": True}, "deactivated", id="somebody who has left"),
        pytest.param({"is_restricted": True}, "a guest", id="guest of several channels"),
        pytest.param({"is_ultra_restricted": True}, "a guest", id="guest of one channel"),
        pytest.param({"is_stranger": True}, "another", id="stranger"),
        pytest.param({"team_id": "T0OTHER"}, "another", id="member of another team"),
        pytest.param({"team_id": None}, "another", id="nobody knows of which team"),
        pytest.param({"team_id": "T2", "enterprise_user": {"enterprise_id": "E2"}}, "another", id="another enterprise"),
    ],
)
def test_only_members_of_the_own_organisation_may_ask(person: dict[str, Any], why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        Known(people={**MEMBER, **person}).gate().check(asked())


def test_a_member_of_another_team_of_the_same_enterprise_may_ask() -> None:
    Known(people={"id": "U1", "team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}}).gate().check(asked())


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        pytest.param({"is_ext_shared": True}, "shared with another", id="shared"),
        pytest.param({"is_pending_ext_shared": True}, "shared with another", id="about to be shared"),
        pytest.param({"is_member": False}, "/invite", id="the bot is no member"),
        pytest.param({"is_member": None}, "/invite", id="nobody says that it is"),
    ],
)
def test_only_channels_of_our_own_that_the_bot_is_in(channel: dict[str, Any], why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        Known(places={**OURS, **channel}).gate().check(asked())


def test_a_list_of_channels_is_kept_to_by_id() -> None:
    known = Known()
    known.gate("C0INCIDENTS").check(asked())

    with pytest.raises(RefusedError, match="may not be asked in this channel"):
        known.gate("C0OTHER").check(asked())


@pytest.mark.parametrize("code", ["user_not_found", "missing_scope", "internal_error", "no_answer", ""])
def test_nobody_is_let_in_because_slack_stumbles(code: str) -> None:
    with pytest.raises(RefusedError, match="could not check who you are"):
        Known(trouble=ChatError("Slack did not answer.", code, 1.0)).gate().check(asked())


def test_slack_is_asked_once_and_again_later() -> None:
    known = Known()
    gate = known.gate()
    for _ in range(5):
        gate.check(asked())
    assert known.asked == ["U0ALICE", "C0INCIDENTS"]

    known.now += CHANNEL_SECONDS
    gate.check(asked())
    assert known.asked[2:] == ["C0INCIDENTS"]

    known.now += PERSON_SECONDS
    gate.check(asked())
    assert sorted(known.asked[3:]) == ["C0INCIDENTS", "U0ALICE"]


def test_an_invitation_counts_at_once() -> None:
    known = Known(places={**OURS, "is_member": False})
    gate = known.gate()
    with pytest.raises(RefusedError):
        gate.check(asked())

    known.places = OURS
    gate.check(asked())


@pytest.mark.parametrize(
    ("person", "channel", "why"),
    [
        pytest.param("U0ALICE", "C0INCIDENTS", "", id="a member in the incident channel"),
        pytest.param("U0ALICE", "C0PRIVATE", "", id="a member in a private channel"),
        pytest.param("U0GUS", "C0INCIDENTS", "guest", id="a guest"),
        pytest.param("U0EVE", "C0INCIDENTS", "another", id="somebody of another organisation"),
        pytest.param("U0CONNTRACK", "C0INCIDENTS", "bot", id="the bot itself"),
        pytest.param("U0ALICE", "C0GENERAL", "/invite", id="where the bot is not"),
        pytest.param("U0ALICE", "C0NOWHERE", "/invite", id="a channel that it cannot see"),
        pytest.param("U0ALICE", "C0PARTNERS", "shared", id="a shared channel"),
    ],
)
def test_the_local_slack_leads_to_the_same(person: str, channel: str, why: str, local: LocalSlack) -> None:
    chat = Chat(local.bot_token, local.api_url)
    gate = SlackGate(chat, chat.identity)

    said = ""
    try:
        gate.check(asked(person, channel))
    except RefusedError as error:
        said = str(error)
    assert why in said
    assert bool(why) == bool(said)
