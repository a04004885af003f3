"""conversations.*: channels, their members, and what was said there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from deploy.local.slack import posting, shapes
from deploy.local.slack.api.method import Method, channel_joined, channel_seen
from deploy.local.slack.rates import TIER_2, TIER_3, TIER_4
from deploy.local.slack.service import Service
from deploy.local.slack.state import Channel, Json, Message
from deploy.local.slack.wire import Arguments, SlackError

T = TypeVar("T")

_READ = ("channels:read", "groups:read", "im:read", "mpim:read")
_HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")


def page(args: Arguments, rows: Sequence[T], limit: int) -> tuple[list[T], Json]:
    """As many rows as fit, and where the next page begins. A cursor here is the number of the next row."""
    cursor = args.text("cursor", "0") or "0"
    if not cursor.isdigit():
        raise SlackError("invalid_cursor")
    first = int(cursor)
    more = first + limit < len(rows)
    return list(rows[first : first + limit]), {"next_cursor": str(first + limit) if more else ""}


def _history(service: Service, args: Arguments) -> Json:
    channel = _readable(service, args)
    roots = [one for one in service.workspace.talk(channel.id) if not one.is_reply or one.subtype == "thread_broadcast"]
    return _said(service, args, sorted(_between(args, roots), key=lambda one: one.ts, reverse=True))


def _replies(service: Service, args: Arguments) -> Json:
    channel = _readable(service, args)
    root = service.workspace.message(channel.id, args.text("ts"))
    if root is None or root.reader:
        raise SlackError("thread_not_found")
    ts = root.thread_ts or root.ts
    thread = [one for one in service.workspace.talk(channel.id) if ts in (one.ts, one.thread_ts)]
    return _said(service, args, _between(args, thread))


def _readable(service: Service, args: Arguments) -> Channel:
    channel = channel_joined(service, args.text("channel"))
    needed = {"channel": "channels", "group": "groups", "im": "im"}[shapes.channel_type(channel)]
    provided = service.workspace.scopes()
    if f"{needed}:history" not in provided:
        raise SlackError("missing_scope", needed=f"{needed}:history", provided=",".join(sorted(provided)))
    return channel


def _between(args: Arguments, rows: list[Message]) -> list[Message]:
    """Those after ``oldest`` and before ``latest``; ``inclusive`` takes the ends too."""
    oldest, latest = args.text("oldest", "0") or "0", args.text("latest")
    ends = (oldest, latest) if args.flag("inclusive") else ()
    return [one for one in rows if one.ts in ends or (one.ts > oldest and (not latest or one.ts < latest))]


def _said(service: Service, args: Arguments, rows: list[Message]) -> Json:
    limit = args.number("limit", 100, at_most=1000)
    shown, cursor = page(args, rows, limit)
    with_metadata = args.flag("include_all_metadata")
    shapes_shown = [shapes.message(service.workspace, one, with_metadata=with_metadata) for one in shown]
    return {"messages": shapes_shown, "has_more": bool(cursor["next_cursor"]), "response_metadata": cursor}


def _info(service: Service, args: Arguments) -> Json:
    return {"channel": shapes.channel(service.workspace, channel_seen(service, args.text("channel")))}


def _list(service: Service, args: Arguments) -> Json:
    kinds = args.text("types", "public_channel").split(",")
    bot = service.workspace.bot_user
    seen = [
        one
        for one in service.workspace.channels.values()
        if (("im" in kinds) if one.im_with else ("private_channel" if one.is_private else "public_channel") in kinds)
        and (not one.is_private or bot in one.members)
    ]
    shown, cursor = page(args, seen, args.number("limit", 100, at_most=1000))
    return {"channels": [shapes.channel(service.workspace, one) for one in shown], "response_metadata": cursor}


def _mine(service: Service, args: Arguments) -> Json:
    """users.conversations: the channels that a user, or the app, is a member of."""
    user = args.text("user", service.workspace.bot_user)
    seen = [one for one in service.workspace.channels.values() if user in one.members and not one.im_with]
    shown, cursor = page(args, seen, args.number("limit", 100, at_most=1000))
    return {"channels": [shapes.channel(service.workspace, one) for one in shown], "response_metadata": cursor}


def _members(service: Service, args: Arguments) -> Json:
    channel = channel_seen(service, args.text("channel"))
    shown, cursor = page(args, channel.members, args.number("limit", 100, at_most=1000))
    return {"members": shown, "response_metadata": cursor}


def _join(service: Service, args: Arguments) -> Json:
    channel = channel_seen(service, args.text("channel"))
    posting.join(service, channel, service.workspace.people[service.workspace.bot_user])
    return {"channel": shapes.channel(service.workspace, channel)}


def _open(service: Service, args: Arguments) -> Json:
    users = args.text("users").split(",")
    if len(users) != 1 or users[0] not in service.workspace.people:
        raise SlackError("user_not_found")
    return {"channel": {"id": service.workspace.direct_channel(users[0]).id}}


METHODS = {
    "conversations.history": Method(_history, _HISTORY, ("channel",), TIER_3),
    "conversations.replies": Method(_replies, _HISTORY, ("channel", "ts"), TIER_3),
    "conversations.info": Method(_info, _READ, ("channel",), TIER_3),
    "conversations.list": Method(_list, _READ, (), TIER_2),
    "conversations.members": Method(_members, _READ, ("channel",), TIER_4),
    "conversations.join": Method(_join, ("channels:join",), ("channel",), TIER_3),
    "conversations.open": Method(_open, ("im:write", "mpim:write", "chat:write"), ("users",), TIER_3),
    "users.conversations": Method(_mine, _READ, (), TIER_3),
}
