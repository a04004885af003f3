"""What people do in Slack: talk, use commands, press buttons, fill in forms. Each is checked as Slack checks it.

Whoever is not in a channel cannot act there. It must not know HTTP.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from deploy.local.slack import posting
from deploy.local.slack.answers import Answers
from deploy.local.slack.service import Service
from deploy.local.slack.state import Answer, Channel, Json, Message, Person
from deploy.local.slack.wire import SlackError

_PERSON = re.compile(r"(?<![<\w])@([a-z][a-z0-9._-]*)")
_CHANNEL = re.compile(r"(?<![<\w])#([a-z][a-z0-9._-]*)")

_TOKEN = re.compile(r"&lt;([@#][A-Z0-9]+)&gt;")  # a name that was written by its id
_ALL = ("channel", "here", "everyone")


class CannotError(Exception):
    """Slack's client would not let a person do this; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One person at a keyboard. What they do lands in the workspace, and on the app's desk."""

    service: Service
    person: Person

    # ---- talking -----------------------------------------------------------------------------------------------------

    def say(self, text: str, channel: str, thread_ts: str = "") -> Message:
        """Post a message; @names become mentions."""
        place = self.place(channel)
        if not text.strip():
            raise CannotError("There is nothing to send.")
        if thread_ts and self.service.workspace.message(place.id, thread_ts) is None:
            raise CannotError(f"There is no message {thread_ts} in #{place.name}.")
        workspace = self.service.workspace
        written = self.named(text, labels=False)
        message = Message(place.id, workspace.new_ts(), self.person.id, written, thread_ts=thread_ts)
        posting.publish(self.service, message)
        if f"<@{workspace.bot_user}>" in written and workspace.bot_user not in place.members:
            words = f"conntrack is not in #{place.name}, so it did not see that. Invite it: /invite @conntrack"
            workspace.whisper(place.id, self.person.id, words, thread_ts=thread_ts)
        return message

    def place(self, name: str) -> Channel:
        """A channel this person is in."""
        channel = self.service.workspace.channel(name)
        if channel is None or (channel.is_private and self.person.id not in channel.members):
            raise CannotError(f"There is no channel {name}.")
        if self.person.id not in channel.members:
            raise CannotError(f"{self.person.name} is not in #{channel.name}.")
        return channel

    def named(self, text: str, *, labels: bool) -> str:
        """As Slack sends it: escaped, and names as ``<@U…>``, with ``labels`` as ``<@U…|alice>``."""
        workspace = self.service.workspace
        text = _TOKEN.sub(r"<\1>", html.escape(text, quote=False))

        def person(found: re.Match[str]) -> str:
            if found[1] in _ALL:
                return f"<!{found[1]}>"
            group = next((one for one in workspace.groups.values() if one.handle == found[1]), None)
            if group is not None:
                return f"<!subteam^{group.id}|@{group.handle}>" if labels else f"<!subteam^{group.id}>"
            one = workspace.person(found[1])
            if one is None:
                return found[0]
            return f"<@{one.id}|{one.name}>" if labels else f"<@{one.id}>"

        def channel(found: re.Match[str]) -> str:
            one = workspace.channel(found[1])
            return f"<#{one.id}|{one.name}>" if one else found[0]

        return _CHANNEL.sub(channel, _PERSON.sub(person, text))

    # ---- commands ----------------------------------------------------------------------------------------------------

    async def command(self, name: str, text: str, channel: str) -> Json:
        """Use a slash command, and wait until the app took it, as the person's client does."""
        place = self.place(channel)
        known = self.service.manifest.command(name)
        if name == "/invite":
            return self._invite(text, place)
        if known is None:
            self._hear(place, f"{name} is not a valid command.")
            return {"outcome": "invalid_command"}
        workspace = self.service.workspace
        payload = {
            "token": "local-verification-token", "team_id": self.person.team, "team_domain": workspace.team_domain,
            "channel_id": place.id, "channel_name": _channel_name(place),
            "user_id": self.person.id, "user_name": self.person.name, "command": name,
            "text": self.named(text, labels=True) if known.escapes else text, "api_app_id": workspace.app,
            "is_enterprise_install": "false", "response_url": self.answer_url(place),
            "trigger_id": workspace.new_trigger(self.person.id),
        }  # fmt: skip
        ack = await self.service.delivery.send("slash_commands", payload)
        if not ack.is_good:
            self._hear(place, f'{name} failed with the error "{ack.outcome}"')
        elif ack.payload:
            self._answered(place, ack.payload)
        return {"outcome": ack.outcome, "ack": ack.payload}

    def _answered(self, place: Channel, said: Json) -> None:
        """What stands in an acknowledgement is an answer, as through the response_url."""
        answer = Answer(place.id, self.person.id, self.service.workspace.now())
        try:
            Answers(self.service).answer(answer, said)
        except SlackError as error:
            self._hear(place, f"The app answered with what Slack refuses: {error.body()}")

    def _invite(self, text: str, place: Channel) -> Json:
        invited = self.service.workspace.person(text.strip())
        if invited is None:
            raise CannotError(f"There is nobody called {text.strip()}.")
        posting.join(self.service, place, invited, by=self.person)
        return {"outcome": "acked"}

    def answer_url(self, place: Channel, ts: str = "") -> str:
        """A response_url for this person here."""
        return f"{self.service.url}/respond/{self.service.workspace.new_answer(place.id, self.person.id, ts)}"

    def _hear(self, place: Channel, text: str, thread_ts: str = "") -> None:
        self.service.workspace.whisper(place.id, self.person.id, text, thread_ts=thread_ts)


def _channel_name(place: Channel) -> str:
    """A command says no name of what not everybody may know."""
    if place.im_with:
        return "directmessage"
    return "privategroup" if place.is_private else place.name


def actor(service: Service, name: str) -> Actor:
    """Somebody by name or id."""
    person = service.workspace.person(name)
    if person is None:
        raise CannotError(f"There is nobody called {name}.")
    if person.kind in ("bot", "deactivated"):
        raise CannotError(f"{name} is a {person.kind} account; only people act here.")
    return Actor(service, person)
