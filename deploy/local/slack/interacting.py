"""People press buttons, fill in forms, use shortcuts and open the app's Home tab: what the app is sent then.

A confirm dialog is the client's business: whoever clicks here has confirmed. It must not know HTTP.
"""

from __future__ import annotations

from typing import Any

from deploy.local.slack import elements, shapes
from deploy.local.slack.acting import Actor, CannotError
from deploy.local.slack.api import views
from deploy.local.slack.delivery import Ack
from deploy.local.slack.elements import NoSuchChoiceError
from deploy.local.slack.state import Channel, Json, Message, View
from deploy.local.slack.wire import SlackError


def _heading(actor: Actor, kind: str) -> Json:
    """What all interactive payloads begin with."""
    workspace, person = actor.service.workspace, actor.person
    return {
        "type": kind, "token": "local-verification-token", "api_app_id": workspace.app, "enterprise": None,
        "is_enterprise_install": False, "team": {"id": workspace.team, "domain": workspace.team_domain},
        "user": {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team},
        "trigger_id": workspace.new_trigger(person.id),
    }  # fmt: skip


def seen(actor: Actor, place: Channel, ts: str) -> Message:
    """A message before the person's eyes."""
    message = actor.service.workspace.message(place.id, ts)
    if message is None or message.reader not in ("", actor.person.id):
        raise CannotError(f"There is no message {ts} in #{place.name}.")
    return message


def _blocks(message: Message) -> list[Json]:
    return [*message.blocks, *(one for each in message.attachments for one in each.get("blocks") or ())]


async def click(actor: Actor, channel: str, ts: str, action_id: str, value: Any = None) -> Json:
    """Press a button, or choose ``value``. A button's value is the posted one, unless a forged one is given."""
    place = actor.place(channel)
    message = seen(actor, place, ts)
    action, state = _action(_blocks(message), action_id, value)
    container: Json = {
        "type": "message", "message_ts": ts, "channel_id": place.id, "is_ephemeral": bool(message.reader),
    }  # fmt: skip
    if message.is_reply:
        container["thread_ts"] = message.thread_ts
    shape = shapes.message(actor.service.workspace, message)
    payload = _heading(actor, "block_actions") | {
        "container": container, "channel": {"id": place.id, "name": place.name}, "message": shape,
        "state": {"values": state}, "response_url": actor.answer_url(place, ts),
        "actions": [action | {"action_ts": actor.service.workspace.new_ts()}],
    }  # fmt: skip
    ack = await actor.service.delivery.send("interactive", payload)
    return _told(actor, ack, place, message.thread_ts)


async def click_in_view(actor: Actor, view_id: str, action_id: str, value: Any = None) -> Json:
    """The same in a modal, or on the Home tab."""
    view = own_view(actor, view_id)
    action, state = _action(view.body["blocks"], action_id, value)
    for block_id, values in state.items():
        view.values.setdefault(block_id, {}).update(values)
    payload = _heading(actor, "block_actions") | {
        "container": {"type": "view", "view_id": view.id}, "view": shapes.view(actor.service.workspace, view),
        "state": {"values": view.values}, "actions": [action | {"action_ts": actor.service.workspace.new_ts()}],
    }  # fmt: skip
    ack = await actor.service.delivery.send("interactive", payload)
    return {"outcome": ack.outcome, "ack": ack.payload}


def _action(blocks: list[Json], action_id: str, value: Any) -> tuple[Json, Json]:
    """The action as the app gets it, and what that changes in the state of the blocks."""
    pair = elements.found(blocks, action_id)
    if pair is None:
        raise CannotError(f"There is nothing called {action_id} to press.")
    block, element = pair
    heading = {"action_id": action_id, "block_id": block["block_id"]}
    if element["type"] in ("button", "workflow_button"):
        kept = {name: element[name] for name in ("type", "text", "value", "style", "url") if name in element}
        return heading | kept | ({} if value is None else {"value": value}), {}
    try:
        choice = elements.chosen(element, value)
    except NoSuchChoiceError as error:
        raise CannotError(str(error)) from error
    return heading | choice, {block["block_id"]: {action_id: choice}}


async def shortcut(actor: Actor, callback_id: str, channel: str = "", ts: str = "") -> Json:
    """Use an entry of a message's menu; without a message one of the global menu."""
    workspace = actor.service.workspace
    known = {one.callback_id: one for one in actor.service.manifest.shortcuts}
    if callback_id not in known:
        raise CannotError(f"The app has no shortcut {callback_id}.")
    if known[callback_id].kind == "global":
        payload = _heading(actor, "shortcut") | {"callback_id": callback_id, "action_ts": workspace.new_ts()}
        return {"outcome": (await actor.service.delivery.send("interactive", payload)).outcome}
    place = actor.place(channel)
    message = seen(actor, place, ts)
    payload = _heading(actor, "message_action") | {
        "callback_id": callback_id, "action_ts": workspace.new_ts(), "message_ts": ts,
        "message": shapes.message(workspace, message), "channel": {"id": place.id, "name": place.name},
        "response_url": actor.answer_url(place, ts),
    }  # fmt: skip
    return _told(actor, await actor.service.delivery.send("interactive", payload), place, message.thread_ts)


def _told(actor: Actor, ack: Ack, place: Channel, thread_ts: str) -> Json:
    """Whoever pressed something that failed is told so."""
    if not ack.is_good:
        words = f"Something went wrong with this app: {ack.outcome}"
        actor.service.workspace.whisper(place.id, actor.person.id, words, thread_ts=thread_ts)
    return {"outcome": ack.outcome, "ack": ack.payload}


def open_home(actor: Actor) -> Json:
    """Look at the app's Home tab."""
    workspace = actor.service.workspace
    ts = workspace.new_ts()
    event: Json = {
        "type": "app_home_opened", "user": actor.person.id, "channel": workspace.direct_channel(actor.person.id).id,
        "tab": "home", "event_ts": ts,
    }  # fmt: skip
    view = workspace.home(actor.person.id)
    if view is not None:
        event["view"] = shapes.view(workspace, view)
    actor.service.delivery.event("app_home_opened", event)
    return {}


# ---- forms -----------------------------------------------------------------------------------------------------------


def own_view(actor: Actor, view_id: str) -> View:
    """A view before the person's eyes."""
    view = actor.service.workspace.views.get(view_id)
    if view is None or view.user != actor.person.id:
        raise CannotError(f"{actor.person.name} does not see a view {view_id}.")
    return view


async def submit(actor: Actor, view_id: str, values: Json) -> Json:
    """Send a form. ``values`` are by block_id or action_id; Slack's form itself refuses what is not filled in."""
    view = own_view(actor, view_id)
    view.values, view.errors = _filled_in(view, values)
    workspace = actor.service.workspace
    if view.errors:
        workspace.tell({"kind": "view", "user": actor.person.id})
        return {"outcome": "not_sent", "errors": view.errors}
    payload = _heading(actor, "view_submission") | {"view": shapes.view(workspace, view), "response_urls": []}
    ack = await actor.service.delivery.send("interactive", payload)
    if not ack.is_good:
        view.errors = {"": "We had some trouble connecting. Try again?"}
    else:
        _obey(actor, view, ack.payload)
    workspace.tell({"kind": "view", "user": actor.person.id})
    action = ack.payload.get("response_action", "")
    return {"outcome": ack.outcome, "response_action": action, "errors": view.errors, "ack": ack.payload}


def _filled_in(view: View, values: Json) -> tuple[Json, dict[str, str]]:
    state: Json = {}
    errors = {}
    for block, element in elements.elements(view.body["blocks"]):
        action_id, block_id = element["action_id"], block["block_id"]
        if element["type"] == "button":
            continue
        given = values.get(block_id, values.get(action_id, elements.initial(element)))
        if isinstance(given, dict):
            given = given.get(action_id)
        try:
            choice = given if isinstance(given, dict) else elements.chosen(element, given)
        except NoSuchChoiceError as error:
            raise CannotError(str(error)) from error
        state.setdefault(block_id, {})[action_id] = choice
        problem = elements.missing(block, choice) if block["type"] == "input" else ""
        if problem:
            errors[block_id] = problem
    return state, errors


def _obey(actor: Actor, view: View, said: Json) -> None:
    """What the app wants done with the form; nothing said closes it."""
    workspace = actor.service.workspace
    stack = workspace.modals.get(actor.person.id, [])
    action = said.get("response_action")
    try:
        if action == "errors":
            known = {block["block_id"] for block in view.body["blocks"]}
            unknown = [name for name in said.get("errors", {}) if name not in known]
            view.errors = (
                {"": f"The app complains of {unknown}, which is no block here."} if unknown else said["errors"]
            )
        elif action == "update":
            views.change(actor.service, view, views.checked(actor.service, said.get("view"), "modal"))
        elif action == "push":
            views.push(actor.service, view, views.checked(actor.service, said.get("view"), "modal"))
        elif action == "clear":
            stack.clear()
        elif stack:
            stack.remove(view.id)
    except SlackError as error:
        view.errors = {"": f"The app answered with a view that Slack refuses: {error.body()}"}


async def close_view(actor: Actor, view_id: str) -> Json:
    """Cancel a modal. The app hears of it where it asked to."""
    view = own_view(actor, view_id)
    workspace = actor.service.workspace
    stack = workspace.modals.get(actor.person.id, [])
    if view.id in stack:
        stack.remove(view.id)
    workspace.tell({"kind": "view", "user": actor.person.id})
    if not view.body.get("notify_on_close"):
        return {"outcome": "closed"}
    payload = _heading(actor, "view_closed") | {"view": shapes.view(workspace, view), "is_cleared": False}
    return {"outcome": (await actor.service.delivery.send("interactive", payload)).outcome}
