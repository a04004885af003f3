"""What no person does, but what happens: faults, broken sockets, alerts, time, and changes of who is where.

The other half of the controls. It must not know HTTP.
"""

from __future__ import annotations

from typing import Any

from deploy.local.slack import posting, shapes
from deploy.local.slack.acting import CannotError
from deploy.local.slack.faults import Fault
from deploy.local.slack.service import Service
from deploy.local.slack.sockets import BREAKS
from deploy.local.slack.state import Json, Message


class Injections:
    """Each public coroutine is POST /_ctl/NAME; what it takes is JSON."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def fault(self, said: Json) -> Json:
        """The next calls of a method fail, or are slow. ``{"clear": true}`` ends all of that."""
        if said.get("clear"):
            self.service.faults.clear()
            return {}
        try:
            self.service.faults.add(Fault(**said))
        except TypeError as error:
            raise CannotError(f"That is no fault: {error}") from error
        return {}

    async def sockets(self, said: Json) -> Json:
        """All sockets break in one way."""
        if said["how"] not in BREAKS:
            raise CannotError(f"A socket does not end by {said['how']}: {', '.join(BREAKS)}.")
        return {"sockets": await self.service.sockets.end(said["how"])}

    async def request_url(self, said: Json) -> Json:
        """HTTP mode: deliver to this URL from now on."""
        if not await self.service.use_request_url(said["url"]):
            raise CannotError("Your URL did not answer with the challenge.")
        return {}

    async def duplicate(self, _said: Json) -> Json:
        """The next event is delivered twice."""
        self.service.delivery.duplicates += 1
        return {}

    async def time(self, said: Json) -> Json:
        """Slack's clock goes ahead."""
        self.service.workspace.clock_ahead_seconds += float(said["seconds"])
        return {}

    async def rates(self, said: Json) -> Json:
        """Rate limits on or off."""
        self.service.rates.is_on = bool(said["is_on"])
        return {}

    async def ack_seconds(self, said: Json) -> Json:
        """How long Slack waits for an acknowledgement."""
        self.service.delivery.ack_seconds = float(said["seconds"])
        return {}

    async def deliver(self, said: Json) -> Json:
        """Anything at all, as if Slack had sent it: for what a hostile or a confused sender might send."""
        ack = await self.service.delivery.send(said["type"], said["payload"])
        return {"outcome": ack.outcome, "ack": ack.payload}

    async def alert(self, said: Json) -> Json:
        """What Alertmanager's Slack receiver posts: no text, all of it in an attachment."""
        workspace = self.service.workspace
        channel = workspace.channel(said.get("channel") or "incidents")
        if channel is None:
            raise CannotError(f"There is no channel {said['channel']}.")
        message = Message(
            channel.id, workspace.new_ts(), "", "", subtype="bot_message", bot_id="B0ALERTMANAGER",
            username="Alertmanager", attachments=[_alert(said["node"])],
        )  # fmt: skip
        posting.publish(self.service, message)
        return {"ts": message.ts}

    async def group(self, said: Json) -> Json:
        """A user group has other members from now on."""
        workspace = self.service.workspace
        group = next((one for one in workspace.groups.values() if said["group"] in (one.id, one.handle)), None)
        if group is None:
            raise CannotError(f"There is no group {said['group']}.")
        group.members = [self._person(name) for name in said["users"]]
        event: Json = {"type": "subteam_updated", "subteam": shapes.group(workspace, group)}
        self.service.delivery.event("subteam_updated", event | {"event_ts": workspace.new_ts()})
        return {}

    async def invite(self, said: Json) -> Json:
        """Somebody is in a channel from now on."""
        workspace = self.service.workspace
        channel = workspace.channel(said["channel"])
        if channel is None:
            raise CannotError(f"There is no channel {said['channel']}.")
        posting.join(self.service, channel, workspace.people[self._person(said["who"])])
        return {}

    async def remove(self, said: Json) -> Json:
        """Somebody is not in a channel any more."""
        channel = self.service.workspace.channel(said["channel"])
        if channel is None:
            raise CannotError(f"There is no channel {said['channel']}.")
        person = self._person(said["who"])
        if person in channel.members:
            channel.members.remove(person)
        self.service.workspace.tell({"kind": "channel", "channel": channel.id})
        return {}

    def _person(self, name: str) -> str:
        person = self.service.workspace.person(name)
        if person is None:
            raise CannotError(f"There is nobody called {name}.")
        return person.id


def _alert(node: str) -> dict[str, Any]:
    """Of the default template of Alertmanager 0.28, its title and text filled in by node-exporter's alert."""
    title = f"[FIRING:1] NodeHighNumberConntrackEntriesUsed {node} (node-exporter warning)"
    link = "http://alertmanager-main-0:9093/#/alerts?receiver=slack"
    return {
        "id": 1, "color": "a30200", "fallback": f"{title} | {link}", "title": title, "title_link": link,
        "text": f"*Node:* {node}\n{node} 98.64% of conntrack entries are used.", "mrkdwn_in": ["text"],
        "fields": [
            {"title": "instance", "value": node, "short": True},
            {"title": "severity", "value": "warning", "short": True},
        ],
    }  # fmt: skip
