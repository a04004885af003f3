"""chat.*Stream: a message that grows. Slack ends a stream after about five minutes, whatever goes on in it.

Reported: an append after that is refused with message_not_in_streaming_state, and an ordinary update still works.
"""

from __future__ import annotations

from deploy.local.slack import posting, shapes
from deploy.local.slack.api.chat import thread_root
from deploy.local.slack.api.content import checked_blocks
from deploy.local.slack.api.method import Method, channel_joined, message_there
from deploy.local.slack.rates import TIER_2, TIER_4
from deploy.local.slack.service import Service
from deploy.local.slack.state import Json, Message
from deploy.local.slack.wire import Arguments, SlackError

STREAM_SECONDS = 300.0
CHUNK_AT_MOST = 12_000


def _start(service: Service, args: Arguments) -> Json:
    channel = channel_joined(service, args.text("channel"))
    if not channel.im_with:
        args.require("recipient_user_id", "recipient_team_id")
    thread_ts = thread_root(service, channel, args)
    ends_at = service.workspace.now() + STREAM_SECONDS
    message = posting.by_app(service, channel, _chunk(args), thread_ts=thread_ts, flags={"streams_until": ends_at})
    posting.publish(service, message)
    return {"channel": channel.id, "ts": message.ts}


def _chunk(args: Arguments) -> str:
    text = args.text("markdown_text")
    for one in args.json("chunks") or ():
        text += one.get("text", "") if isinstance(one, dict) and one.get("type") == "markdown_text" else ""
    if len(text) > CHUNK_AT_MOST:
        raise SlackError("msg_too_long")
    return text


def _append(service: Service, args: Arguments) -> Json:
    message = _grow(service, args)
    return {"channel": message.channel, "ts": message.ts}


def _stop(service: Service, args: Arguments) -> Json:
    blocks = checked_blocks(service, args.json("blocks"))
    message = _grow(service, args)
    message.blocks = blocks or []
    del message.flags["streams_until"]
    service.workspace.tell_of(message)
    shape = shapes.message(service.workspace, message)
    return {"channel": message.channel, "ts": message.ts, "message": shape}


def _grow(service: Service, args: Arguments) -> Message:
    message = message_there(service, channel_joined(service, args.text("channel")), args.text("ts"))
    if service.workspace.now() > message.flags.get("streams_until", 0):
        raise SlackError("message_not_in_streaming_state")
    was = shapes.message(service.workspace, message)
    message.text += _chunk(args)
    posting.edited(service, message, was)
    return message


METHODS = {
    "chat.startStream": Method(_start, ("chat:write",), ("channel", "thread_ts"), TIER_2),
    "chat.appendStream": Method(_append, ("chat:write",), ("channel", "ts"), TIER_4),
    "chat.stopStream": Method(_stop, ("chat:write",), ("channel", "ts"), TIER_2),
}
