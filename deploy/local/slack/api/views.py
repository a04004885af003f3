"""views.*: modals and Home tabs. A modal takes a trigger: the app may only open one in answer to a person."""

from __future__ import annotations

import secrets
from typing import Any

from deploy.local.slack import shapes, validator
from deploy.local.slack.api.content import refuse
from deploy.local.slack.api.method import Method
from deploy.local.slack.posting import with_ids
from deploy.local.slack.rates import TIER_4
from deploy.local.slack.service import Service
from deploy.local.slack.state import Json, View
from deploy.local.slack.wire import Arguments, SlackError

TRIGGER_SECONDS = 3.0
STACK_AT_MOST = 3


def checked(service: Service, view: Any, kind: str) -> Json:
    """A view that Slack would take, with ids. ``kind`` is modal or home."""
    refuse(validator.view_problems(view, kind, images=service.workspace.images()), "invalid_arguments")
    return dict(view) | {"blocks": with_ids(view["blocks"])}


def change(service: Service, view: View, body: Json) -> None:
    """Show another body in its place. What was filled in stays where the blocks are the same."""
    blocks = {block["block_id"] for block in body["blocks"]}
    view.body, view.hash, view.errors = body, _hash(service), {}
    view.values = {name: values for name, values in view.values.items() if name in blocks}
    _tell(service, view)


def push(service: Service, below: View | None, body: Json, user: str = "") -> View:
    """Lay a modal on top of another, or open the first."""
    workspace = service.workspace
    user = below.user if below else user
    stack = workspace.modals.setdefault(user, [])
    if len(stack) >= STACK_AT_MOST:
        raise SlackError("push_limit_reached")
    name = workspace.new_id("V")
    root = below.root if below else name
    view = View(name, user, body, _hash(service), root, below.id if below else "")
    workspace.views[name] = view
    stack.append(name)
    _tell(service, view)
    return view


def _hash(service: Service) -> str:
    return f"{service.workspace.now():.0f}.{secrets.token_hex(4)}"


def _tell(service: Service, view: View) -> None:
    service.workspace.tell({"kind": "view", "user": view.user})


def _triggered_by(service: Service, args: Arguments) -> str:
    """Whom the trigger shows the modal to. Each is good once, and for three seconds."""
    trigger = service.workspace.triggers.get(args.text("trigger_id"))
    if trigger is None:
        raise SlackError("invalid_trigger_id")
    if trigger.is_used:
        raise SlackError("exchanged_trigger_id")
    if service.workspace.now() - trigger.made_at > TRIGGER_SECONDS:
        raise SlackError("expired_trigger_id")
    trigger.is_used = True
    return trigger.user


def _answer(service: Service, view: View) -> Json:
    return {"view": shapes.view(service.workspace, view)}


def _open(service: Service, args: Arguments) -> Json:
    body = checked(service, args.json("view"), "modal")
    user = _triggered_by(service, args)
    service.workspace.modals[user] = []  # a person sees one stack of modals of an app: a new one takes its place
    return _answer(service, push(service, None, body, user))


def _push(service: Service, args: Arguments) -> Json:
    body = checked(service, args.json("view"), "modal")
    user = _triggered_by(service, args)
    below = service.workspace.modal(user)
    if below is None:
        raise SlackError("not_found")
    return _answer(service, push(service, below, body))


def _update(service: Service, args: Arguments) -> Json:
    external = args.text("external_id")
    view = service.workspace.views.get(args.text("view_id")) or next(
        (one for one in service.workspace.views.values() if external and one.body.get("external_id") == external), None
    )
    if view is None or view.id not in service.workspace.modals.get(view.user, []):
        raise SlackError("not_found")
    _same(view, args)
    change(service, view, checked(service, args.json("view"), "modal"))
    return _answer(service, view)


def _same(view: View | None, args: Arguments) -> None:
    """Whoever gives a hash wants to change only what they have seen."""
    if view is not None and args.text("hash") not in ("", view.hash):
        raise SlackError("hash_conflict")


def _publish(service: Service, args: Arguments) -> Json:
    workspace = service.workspace
    user = args.text("user_id")
    if user not in workspace.people:
        raise SlackError("user_not_found")
    if not service.manifest.has_home:
        raise SlackError("not_enabled")
    view = workspace.home(user)
    _same(view, args)
    body = checked(service, args.json("view"), "home")
    if view is None:
        name = workspace.new_id("V")
        view = workspace.views[name] = View(name, user, body, _hash(service), name)
        workspace.homes[user] = name
    change(service, view, body)
    return _answer(service, view)


METHODS = {
    "views.open": Method(_open, (), ("trigger_id", "view"), TIER_4),
    "views.push": Method(_push, (), ("trigger_id", "view"), TIER_4),
    "views.update": Method(_update, (), ("view",), TIER_4),
    "views.publish": Method(_publish, (), ("user_id", "view"), TIER_4),
}
