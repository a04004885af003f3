"""chat.*: posting, editing and deleting messages."""

from __future__ import annotations

from deploy.local.slack import posting, shapes
from deploy.local.slack.api.content import content
from deploy.local.slack.api.method import Method, channel_joined, channel_seen, message_there
from deploy.local.slack.rates import SPECIAL, TIER_3, TIER_4
from deploy.local.slack.service import Service
from deploy.local.slack.state import Channel, Json, Message
from deploy.local.slack.wire import Arguments, SlackError


class RateLimitedError(SlackError):
    """The channel takes no more messages for now."""

    def __init__(self, seconds: int) -> None:
        super().__init__("ratelimited")
        self.seconds = seconds


def _post(service: Service, args: Arguments) -> Json:
    channel = channel_joined(service, args.text("channel"))
    said = content(service, args)
    thread_ts = thread_root(service, channel, args)
    wait_seconds = service.rates.post(channel.id)
    if wait_seconds:
        raise RateLimitedError(wait_seconds)
    message = posting.by_app(
        service, channel, said.text, blocks=said.blocks or [], attachments=said.attachments or [],
        metadata=said.metadata, flags=said.flags, thread_ts=thread_ts,
        subtype="thread_broadcast" if thread_ts and args.flag("reply_broadcast") else "",
    )  # fmt: skip
    posting.publish(service, message)
    return {"channel": channel.id, "ts": message.ts, "message": shapes.message(service.workspace, message)}


def thread_root(service: Service, channel: Channel, args: Arguments) -> str:
    """The root of the thread to post in. Slack loses replies to replies; here they are refused."""
    ts = args.text("thread_ts")
    if not ts:
        return ""
    root = service.workspace.message(channel.id, ts)
    if root is None or root.reader:
        raise SlackError("thread_not_found")
    if root.is_reply:
        raise SlackError("cannot_reply_to_message")
    return ts


def _own(service: Service, args: Arguments, refusal: str) -> Message:
    message = message_there(service, channel_joined(service, args.text("channel")), args.text("ts"))
    if message.bot_id != service.workspace.bot:
        raise SlackError(refusal)
    return message


def _update(service: Service, args: Arguments) -> Json:
    message = _own(service, args, "cant_update_message")
    said = content(service, args, is_update=True)
    was = shapes.message(service.workspace, message)
    # docs: what is not given stays; an empty list removes it.
    if "text" in args.given:
        message.text = said.text
    if said.blocks is not None:
        message.blocks = said.blocks
    if said.attachments is not None:
        message.attachments = said.attachments
    if said.metadata is not None:
        message.metadata = said.metadata
    message.edited = {"user": service.workspace.bot_user, "ts": service.workspace.new_ts()}
    if args.flag("reply_broadcast") and message.is_reply:
        message.subtype = "thread_broadcast"
    posting.edited(service, message, was)
    shape = shapes.message(service.workspace, message)
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": shape}


def _delete(service: Service, args: Arguments) -> Json:
    message = _own(service, args, "cant_delete_message")
    posting.removed(service, message)
    return {"channel": message.channel, "ts": message.ts}


def _post_ephemeral(service: Service, args: Arguments) -> Json:
    channel = channel_joined(service, args.text("channel"))
    if args.text("user") not in channel.members:
        raise SlackError("user_not_in_channel")
    said = content(service, args)
    message = posting.by_app(
        service, channel, said.text, blocks=said.blocks or [], attachments=said.attachments or [], flags=said.flags,
        thread_ts=thread_root(service, channel, args), reader=args.text("user"),
    )  # fmt: skip
    posting.publish(service, message)
    return {"message_ts": message.ts}


def _permalink(service: Service, args: Arguments) -> Json:
    channel = channel_seen(service, args.text("channel"))
    message = message_there(service, channel, args.text("message_ts"))
    link = f"{service.url}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": f"{link}?thread_ts={message.thread_ts}" if message.is_reply else link}


METHODS = {
    "chat.postMessage": Method(_post, ("chat:write",), ("channel",), SPECIAL),
    "chat.update": Method(_update, ("chat:write",), ("channel", "ts"), TIER_3),
    "chat.delete": Method(_delete, ("chat:write",), ("channel", "ts"), TIER_3),
    "chat.postEphemeral": Method(_post_ephemeral, ("chat:write",), ("channel", "user"), TIER_4),
    "chat.getPermalink": Method(_permalink, (), ("channel", "message_ts"), SPECIAL),
}
