"""What a Web API method is: a function, and what it takes to call it. And how methods find what they act upon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deploy.local.slack.rates import TIER_3
from deploy.local.slack.service import Service
from deploy.local.slack.state import Channel, Json, Message
from deploy.local.slack.wire import Arguments, SlackError

Run = Callable[[Service, Arguments], Json]


@dataclass(frozen=True, slots=True)
class Method:
    """``scopes``: any of them is enough; none: any token of the kind. ``token`` is bot, app, or "" for no token."""

    run: Run
    scopes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    per_minute: int = TIER_3
    token: str = "bot"  # noqa: S105 - the kind of a token


def channel_seen(service: Service, name: str) -> Channel:
    """A channel that the app can see: a private one only from inside."""
    workspace = service.workspace
    channel = workspace.channel(name)
    if channel is None and name in workspace.people:
        channel = workspace.direct_channel(name)
    if channel is None or (channel.is_private and workspace.bot_user not in channel.members):
        raise SlackError("channel_not_found")
    return channel


def channel_joined(service: Service, name: str) -> Channel:
    """A channel that the app is a member of."""
    channel = channel_seen(service, name)
    if service.workspace.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def message_there(service: Service, channel: Channel, ts: str) -> Message:
    """A message that everybody in the channel can see. Ephemeral ones are not to be found, as in Slack."""
    message = service.workspace.message(channel.id, ts)
    if message is None or message.reader:
        raise SlackError("message_not_found")
    return message
