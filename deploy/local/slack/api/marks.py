"""reactions.*, pins.add and blocks.validate: small things around messages."""

from __future__ import annotations

from deploy.local.slack import validator
from deploy.local.slack.api.content import refuse
from deploy.local.slack.api.method import Method, channel_joined, message_there
from deploy.local.slack.rates import TIER_2, TIER_3
from deploy.local.slack.service import Service
from deploy.local.slack.state import Json, Message
from deploy.local.slack.wire import Arguments, SlackError


def _marked(service: Service, args: Arguments) -> Message:
    return message_there(service, channel_joined(service, args.text("channel")), args.text("timestamp"))


def _add(service: Service, args: Arguments) -> Json:
    message, name = _marked(service, args), args.text("name").strip(":")
    who = message.reactions.setdefault(name, [])
    if service.workspace.bot_user in who:
        raise SlackError("already_reacted")
    who.append(service.workspace.bot_user)
    service.workspace.tell_of(message)
    return {}


def _remove(service: Service, args: Arguments) -> Json:
    message, name = _marked(service, args), args.text("name").strip(":")
    who = message.reactions.get(name, [])
    if service.workspace.bot_user not in who:
        raise SlackError("no_reaction")
    who.remove(service.workspace.bot_user)
    if not who:
        del message.reactions[name]
    service.workspace.tell_of(message)
    return {}


def _pin(service: Service, args: Arguments) -> Json:
    message = _marked(service, args)
    if (message.channel, message.ts) in service.workspace.pins:
        raise SlackError("already_pinned")
    service.workspace.pins.add((message.channel, message.ts))
    return {}


def _validate(_service: Service, args: Arguments) -> Json:
    """docs: takes blocks, a message or a view, and needs no token."""
    blocks, message, view = args.json("blocks"), args.json("message"), args.json("view")
    if view is not None:
        refuse(validator.view_problems(view, str(view.get("type")) if isinstance(view, dict) else ""))
        return {}
    if message is not None:
        blocks = message.get("blocks") if isinstance(message, dict) else message
    if blocks is None:
        raise SlackError("invalid_arguments")
    refuse(validator.problems(blocks))
    return {}


METHODS = {
    "reactions.add": Method(_add, ("reactions:write",), ("channel", "timestamp", "name"), TIER_3),
    "reactions.remove": Method(_remove, ("reactions:write",), ("channel", "timestamp", "name"), TIER_2),
    "pins.add": Method(_pin, ("pins:write",), ("channel", "timestamp"), TIER_2),
    "blocks.validate": Method(_validate, (), (), TIER_3, token=""),
}
