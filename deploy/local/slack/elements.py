"""What can be pressed and filled in: finding elements in blocks, and what a person's choice looks like on the wire.

Pure. It must not know messages, views, nor whom it is sent to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.local.slack.state import Json

_CHOICES = ("static_select", "external_select", "radio_buttons", "overflow")
_MANY = ("multi_static_select", "multi_external_select", "checkboxes")
_NAMED = {
    "users_select": "selected_user", "conversations_select": "selected_conversation",
    "channels_select": "selected_channel", "datepicker": "selected_date", "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
}  # fmt: skip
_INITIAL = {
    "static_select": "initial_option", "radio_buttons": "initial_option", "checkboxes": "initial_options",
    "multi_static_select": "initial_options", "plain_text_input": "initial_value", "number_input": "initial_value",
    "email_text_input": "initial_value", "url_text_input": "initial_value", "users_select": "initial_user",
    "datepicker": "initial_date", "timepicker": "initial_time", "datetimepicker": "initial_date_time",
}  # fmt: skip


class NoSuchChoiceError(Exception):
    """The element does not offer what was chosen."""


def elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every (block, element) that a person can press or fill in, also those in containers."""
    for block in blocks:
        kind = block.get("type")
        if kind in ("actions", "context_actions", "card"):
            yield from ((block, one) for one in block.get("elements") or block.get("actions") or ())
        elif kind == "section" and "accessory" in block:
            yield block, block["accessory"]
        elif kind == "input":
            yield block, block["element"]
        elif kind == "container":
            yield from elements(block.get("child_blocks") or block.get("blocks") or [])


def found(blocks: list[Json], action_id: str) -> tuple[Json, Json] | None:
    """The block and the element of that action_id."""
    return next((pair for pair in elements(blocks) if pair[1].get("action_id") == action_id), None)


def chosen(element: Json, value: Any) -> Json:
    """What ``value`` means for the element, as it stands in an action or in a view's state."""
    kind = element["type"]
    if kind in _CHOICES:
        return {"type": kind, "selected_option": None if value is None else _option(element, value)}
    if kind in _MANY:
        wanted = value if isinstance(value, list) else [] if value is None else [value]
        return {"type": kind, "selected_options": [_option(element, one) for one in wanted]}
    if kind in _NAMED:
        return {"type": kind, _NAMED[kind]: value}
    return {"type": kind, "value": value}


def initial(element: Json) -> Any:
    """What stands there before anybody touched it, in the form that ``chosen`` takes."""
    there = element.get(_INITIAL.get(element["type"], ""))
    if isinstance(there, dict):
        return there["value"]
    if isinstance(there, list):
        return [one["value"] for one in there]
    return there


def _option(element: Json, value: Any) -> Json:
    options = [*element.get("options", ())]
    options += [one for group in element.get("option_groups", ()) for one in group["options"]]
    for one in options:
        if one.get("value") == value:
            return dict(one)
    raise NoSuchChoiceError(f"{element.get('action_id')} does not offer {value!r}.")


def missing(block: Json, state: Json) -> str:
    """What Slack's own form says before it sends anything: "" where the field is filled in well."""
    element = block["element"]
    value = next((one for name, one in state.items() if name != "type"), None)
    if value in (None, "", []):
        return "" if block.get("optional") else "Please complete this required field."
    if isinstance(value, str) and len(value) < element.get("min_length", 0):
        return f"Please enter at least {element['min_length']} characters."
    if isinstance(value, str) and len(value) > element.get("max_length", 3000):
        return f"Please enter at most {element.get('max_length', 3000)} characters."
    return ""
