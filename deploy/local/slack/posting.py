"""A message comes to be, changes or goes: the workspace keeps it, and the app hears of it as Slack would tell.

It must not know who may post what where: whoever calls has checked that.
"""

from __future__ import annotations

import copy
import secrets
from typing import Any

from deploy.local.slack import shapes
from deploy.local.slack.pings import pings
from deploy.local.slack.service import Service
from deploy.local.slack.state import Channel, Json, Message, Person

_SUBSCRIPTIONS = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


def with_ids(blocks: list[Json]) -> list[Json]:
    """Slack gives every block, and every element that can be pressed, an id where the app gave none."""
    named = copy.deepcopy(blocks)
    for block in named:
        block.setdefault("block_id", secrets.token_urlsafe(4)[:5])
        pressable = [*(block.get("elements") or []), block.get("accessory"), block.get("element")]
        for one in pressable if block.get("type") not in ("context", "rich_text") else ():
            if isinstance(one, dict) and one.get("type") != "image":
                one.setdefault("action_id", secrets.token_urlsafe(4)[:5])
    return named


def publish(service: Service, message: Message) -> Message:
    """Post: everybody in the channel sees it, the app hears of it where it is a member."""
    flags = message.flags
    links_names = bool(flags.get("link_names")) or flags.get("parse") == "full"
    message.pings = pings(message.text, [*message.blocks, *message.attachments], links_names=links_names)
    service.workspace.add(message)
    if not message.reader:
        _tell_app(service, message, shapes.message(service.workspace, message))
    return message


def edited(service: Service, message: Message, was: Json) -> None:
    """It reads differently now. ``was`` is how it read before."""
    message.pings = list(dict.fromkeys([*message.pings, *pings(message.text, message.blocks)]))
    service.workspace.tell_of(message)
    now = shapes.message(service.workspace, message)
    _changed(service, message, {"subtype": "message_changed", "message": now, "previous_message": was})


def removed(service: Service, message: Message) -> None:
    """It is gone."""
    was = shapes.message(service.workspace, message)
    service.workspace.remove(message)
    _changed(service, message, {"subtype": "message_deleted", "deleted_ts": message.ts, "previous_message": was})


def _changed(service: Service, message: Message, event: Json) -> None:
    channel = service.workspace.channels[message.channel]
    if message.reader or service.workspace.bot_user not in channel.members:
        return
    ts = service.workspace.new_ts()
    event |= {"type": "message", "hidden": True, "ts": ts}
    _send(service, channel, event)


def _tell_app(service: Service, message: Message, shape: Json) -> None:
    workspace = service.workspace
    channel = workspace.channels[message.channel]
    if workspace.bot_user not in channel.members:
        return
    author = workspace.people.get(message.user)
    team = author.team if author else workspace.team
    event: Json = {**shape, "team": team}
    if channel.is_ext_shared:
        event |= {"user_team": team, "source_team": team}
    event.setdefault("client_msg_id", secrets.token_hex(16))
    if f"<@{workspace.bot_user}>" in message.text and message.user != workspace.bot_user:
        mention: Json = {**event, "type": "app_mention", "channel": channel.id, "event_ts": message.ts}
        service.delivery.event("app_mention", mention, is_ext_shared=channel.is_ext_shared)
    _send(service, channel, event)


def _send(service: Service, channel: Channel, event: Json) -> None:
    kind = shapes.channel_type(channel)
    event |= {"channel": channel.id, "event_ts": event["ts"], "channel_type": kind}
    service.delivery.event(_SUBSCRIPTIONS[kind], event, is_ext_shared=channel.is_ext_shared)


def by_app(service: Service, channel: Channel, text: str, **more: Any) -> Message:
    """A message of the app's own."""
    workspace = service.workspace
    return Message(
        channel.id, workspace.new_ts(), workspace.bot_user, text, bot_id=workspace.bot, app_id=workspace.app, **more
    )


def join(service: Service, channel: Channel, person: Person, *, by: Person | None = None) -> None:
    """Somebody becomes a member, and everybody sees that."""
    if person.id in channel.members:
        return
    channel.members.append(person.id)
    workspace = service.workspace
    words = f"<@{person.id}> has joined the channel"
    publish(service, Message(channel.id, workspace.new_ts(), person.id, words, subtype="channel_join"))
    event: Json = {
        "type": "member_joined_channel", "user": person.id, "channel": channel.id, "team": person.team,
        "channel_type": "G" if channel.is_private else "C", "event_ts": workspace.new_ts(),
    }  # fmt: skip
    if by is not None:
        event["inviter"] = by.id
    service.delivery.event("member_joined_channel", event, is_ext_shared=channel.is_ext_shared)
    workspace.tell({"kind": "channel", "channel": channel.id})
