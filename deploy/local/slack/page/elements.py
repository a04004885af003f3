"""The parts of blocks that a person presses or fills in, as HTML that the page's script understands.

A pressable element carries what to send in `data-…`; the script never guesses. Pure.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from deploy.local.slack.page.markup import Html, tag
from deploy.local.slack.page.mrkdwn import Names, mrkdwn, plain

Json = Mapping[str, Any]

_INPUT_TYPES = {
    "email_text_input": "email",
    "url_text_input": "url",
    "number_input": "number",
    "datepicker": "date",
    "timepicker": "time",
    "datetimepicker": "datetime-local",
}


def text_object(one: Json | None, names: Names) -> Html:
    """A text object: mrkdwn or plain."""
    if not one:
        return Html()
    source = str(one.get("text", ""))
    return mrkdwn(source, names) if one.get("type") == "mrkdwn" else plain(source)


def element(one: Json, block_id: str, names: Names, *, is_input: bool = False) -> Html:
    """`is_input`: its value is read when the modal is submitted; else it is sent as soon as it is chosen."""
    kind = str(one.get("type"))
    sent = _sent(one, block_id, is_input=is_input)
    if draw := _ELEMENTS.get(kind):
        return draw(one, sent, names)
    if kind in _INPUT_TYPES:
        first = one.get("initial_value") or one.get("initial_date") or one.get("initial_time")
        return tag("input", type=_INPUT_TYPES[kind], value=first, **sent)
    if kind.endswith("_select"):
        return _select(one, sent, names)
    return tag("span", f"unknown element: {kind}", class_="unknown", role="alert")


def picture(one: Json, names: Names) -> Html:
    """Only pictures of this server are fetched: nothing leaves the machine, so another's address is shown as text."""
    file = one.get("slack_file") or {}
    held = names.images.get(str(file.get("id", ""))) if isinstance(file, Mapping) else None
    address = held or str(one.get("image_url", ""))
    words = str(one.get("alt_text", ""))
    if not held and not address.startswith("/"):
        return tag("span", f"🖼 {words} ({address or 'no such file'})", class_="elsewhere")
    return tag("img", src=address, alt=words, class_="picture", tabindex="0", data_zoom=True)


def _text(one: object) -> str:
    return str(one.get("text", "")) if isinstance(one, Mapping) else ""


def _sent(one: Json, block_id: str, *, is_input: bool) -> dict[str, object]:
    confirm = one.get("confirm")
    return {
        "data_action": str(one.get("action_id", "")),
        "data_block": block_id,
        "data_type": str(one.get("type")),
        "data_input": is_input,
        "data_confirm": json.dumps(_confirm(confirm)) if isinstance(confirm, Mapping) else None,
        "aria_label": one.get("accessibility_label"),
    }


def _confirm(confirm: Json) -> dict[str, str]:
    words = {key: _text(confirm.get(key)) for key in ("title", "text", "confirm", "deny")}
    return words | {"style": str(confirm.get("style", ""))}


def _button(one: Json, sent: dict[str, object]) -> Html:
    kind = f"button {one.get('style', '')}".strip()
    return tag("button", plain(_text(one.get("text"))), type="button", class_=kind, data_value=one.get("value", ""),
               data_url=one.get("url"), **sent)  # fmt: skip


def _overflow(one: Json, sent: dict[str, object]) -> Html:
    options = [
        tag("button", plain(_text(option.get("text"))), type="button", data_value=option.get("value", ""),
            data_url=option.get("url"), **sent)
        for option in one.get("options", [])
    ]  # fmt: skip
    return tag(
        "details", tag("summary", "⋯", aria_label="More", class_="button"), tag("div", *options), class_="overflow"
    )


def _text_input(one: Json, sent: dict[str, object]) -> Html:
    shown = {"placeholder": _text(one.get("placeholder")) or None, "maxlength": one.get("max_length")}
    first = str(one.get("initial_value") or "")
    if one.get("multiline"):
        return tag("textarea", first, rows="4", **shown, **sent)
    return tag("input", type="text", value=first, autocomplete="off", **shown, **sent)


def _choices(one: Json, sent: dict[str, object], names: Names) -> Html:
    shape = "radio" if one.get("type") == "radio_buttons" else "checkbox"
    chosen = {option.get("value") for option in [*one.get("initial_options", []), one.get("initial_option") or {}]}
    group = f"{sent['data_block']}/{sent['data_action']}"
    boxes = [
        tag("label", tag("input", type=shape, name=group, value=option.get("value"),
                         checked=option.get("value") in chosen, **sent),
            tag("span", text_object(option.get("text"), names),
                tag("small", text_object(option.get("description"), names)) if option.get("description") else None))
        for option in one.get("options", [])
    ]  # fmt: skip
    return tag("div", *boxes, class_="choices")


def _select(one: Json, sent: dict[str, object], names: Names) -> Html:
    """Static ones have options; those of people and channels get them from the workspace."""
    kind = str(one.get("type"))
    pairs = _known_pairs(kind, names) or [
        (str(option.get("value")), _text(option.get("text")))
        for option in [
            *one.get("options", []),
            *(o for g in one.get("option_groups", []) for o in g.get("options", [])),
        ]
    ]
    first = (one.get("initial_option") or {}).get("value") or one.get("initial_user") or one.get("initial_channel")
    empty = tag("option", _text(one.get("placeholder")) or "Choose …", value="", selected=first is None)
    options = [tag("option", plain(label), value=value, selected=value == first) for value, label in pairs]
    return tag("select", empty, *options, multiple=kind.startswith("multi_"), **sent)


def _known_pairs(kind: str, names: Names) -> list[tuple[str, str]]:
    if kind.endswith("users_select"):
        return [(key, f"@{name}") for key, name in names.people.items()]
    if kind.endswith(("channels_select", "conversations_select")):
        return [(key, f"#{name}") for key, name in names.channels.items()]
    return []


_ELEMENTS: dict[str, Callable[[Json, dict[str, object], Names], Html]] = {
    "button": lambda one, sent, _names: _button(one, sent),
    "workflow_button": lambda one, sent, _names: _button(one, sent),
    "icon_button": lambda one, sent, _names: _button(one, sent),
    "overflow": lambda one, sent, _names: _overflow(one, sent),
    "plain_text_input": lambda one, sent, _names: _text_input(one, sent),
    "radio_buttons": _choices,
    "checkboxes": _choices,
    "image": lambda one, _sent, names: picture(one, names),
}
