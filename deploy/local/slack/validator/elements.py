"""Elements: what stands inside blocks and can be pressed, chosen, filled in. Limits from docs.slack.dev."""

from __future__ import annotations

from typing import Any

from deploy.local.slack.validator.checks import Check, Look, array, flag, number, one_of, record, string, url
from deploy.local.slack.validator.objects import (
    CONFIRM,
    DISPATCH,
    ICON,
    ID,
    OPTION_GROUP,
    distinct_values,
    option,
    plain,
    text,
)

_ACTION = {"action_id": ID}
_FOCUS = {"focus_on_load": flag}
_PLACEHOLDER = {"placeholder": plain(150)}
_CHOICE = {**_ACTION, **_FOCUS, **_PLACEHOLDER, "confirm": CONFIRM}
_MANY = {"max_selected_items": number(1, 100)}
_ANY = string(3000)


def _offered(look: Look, value: Any, pointer: str) -> None:
    """Options or groups of them, not both; and what is chosen at first must be one of them."""
    if ("options" in value) == ("option_groups" in value):
        look.say("must provide exactly one of options and option_groups", pointer)
        return
    distinct_values(look, value, pointer)
    options = [*value.get("options", ())]
    options += [one for group in value.get("option_groups", ()) for one in group["options"]]
    first = [value["initial_option"]] if "initial_option" in value else value.get("initial_options", [])
    for one in first:
        if one not in options:
            look.say("initial option must be one of the options", pointer)


def _select(*, many: bool) -> Check:
    chosen = {"initial_options": array(option(), 1, 100), **_MANY} if many else {"initial_option": option()}
    offered = {"options": array(option(), 1, 100), "option_groups": array(OPTION_GROUP, 1, 100)}
    return record({}, {**_CHOICE, **offered, **chosen}, _offered)


def _ticks(*, many: bool) -> Check:
    one = option(formatted=True)
    chosen: dict[str, Check] = {"initial_options": array(one, 1, 10)} if many else {"initial_option": one}
    return record({"options": array(one, 1, 10)}, {**_ACTION, **_FOCUS, "confirm": CONFIRM, **chosen}, _offered)


def _named(initial: str, *, many: bool = False, more: dict[str, Check] | None = None) -> Check:
    first = {f"{initial}s": array(_ANY, 1, 100), **_MANY} if many else {initial: _ANY}
    return record({}, {**_CHOICE, **first, **(more or {})})


def _lengths(look: Look, value: Any, pointer: str) -> None:
    if value.get("min_length", 0) > value.get("max_length", 3000):
        look.say("min_length must be less than max_length", pointer)


_BUTTON = record(
    {"text": plain(75)},
    {
        **_ACTION, "url": url, "value": string(2000), "style": one_of("primary", "danger"), "confirm": CONFIRM,
        "accessibility_label": string(75), "visible_to_user_ids": array(ID, 1, 10),
    },
)  # fmt: skip
_TYPED = {**_ACTION, **_FOCUS, **_PLACEHOLDER, "initial_value": string(3000), "dispatch_action_config": DISPATCH}
_CONVERSATIONS: dict[str, Check] = {
    "default_to_current_conversation": flag,
    "response_url_enabled": flag,
    "filter": record(
        {},
        {
            "include": array(one_of("im", "mpim", "private", "public"), 1, 4),
            "exclude_external_shared_channels": flag,
            "exclude_bot_users": flag,
        },
    ),
}
_FEEDBACK = record({"text": plain(75), "value": string(2000)}, {"accessibility_label": string(75)})

BUTTONS: dict[str, Check] = {
    "button": _BUTTON,
    "workflow_button": record(
        {"text": plain(75), "workflow": record({"trigger": record({"url": url}, {"customizable_input_parameters": array(
            record({"name": string(255), "value": string(3000)}), 0, 100)})})},
        {**_ACTION, "style": one_of("primary", "danger"), "accessibility_label": string(75)},
    ),
}  # fmt: skip
MENUS: dict[str, Check] = {
    "static_select": _select(many=False),
    "external_select": record({}, {**_CHOICE, "initial_option": option(), "min_query_length": number(0, 100)}),
    "users_select": _named("initial_user"),
    "conversations_select": _named("initial_conversation", more=_CONVERSATIONS),
    "channels_select": _named("initial_channel", more={"response_url_enabled": flag}),
    "multi_static_select": _select(many=True),
    "multi_external_select": record(
        {}, {**_CHOICE, **_MANY, "initial_options": array(option(), 1, 100), "min_query_length": number(0, 100)}
    ),
    "multi_users_select": _named("initial_user", many=True),
    "multi_conversations_select": _named("initial_conversation", many=True, more=_CONVERSATIONS),
    "multi_channels_select": _named("initial_channel", many=True),
}
PICKERS: dict[str, Check] = {
    "checkboxes": _ticks(many=True),
    "radio_buttons": _ticks(many=False),
    "datepicker": _named("initial_date"),
    "timepicker": _named("initial_time", more={"timezone": _ANY}),
    "datetimepicker": record(
        {}, {**_ACTION, **_FOCUS, "confirm": CONFIRM, "initial_date_time": number(10**9, 10**10 - 1)}
    ),
}
OVERFLOW: dict[str, Check] = {
    "overflow": record({"options": array(option(links=True), 1, 5)}, {**_ACTION, "confirm": CONFIRM}, distinct_values)
}
TYPED: dict[str, Check] = {
    "plain_text_input": record(
        {},
        {**_TYPED, "multiline": flag, "min_length": number(0, 3000), "max_length": number(1, 3000)},
        _lengths,
    ),
    "email_text_input": record({}, _TYPED),
    "url_text_input": record({}, _TYPED),
    "number_input": record(
        {"is_decimal_allowed": flag}, {**_TYPED, "min_value": string(100), "max_value": string(100)}
    ),
    "rich_text_input": record(
        {}, {**_ACTION, **_FOCUS, **_PLACEHOLDER, "dispatch_action_config": DISPATCH, "min_lines": number(1, 50),
             "max_lines": number(1, 50)}
    ),
    "file_input": record({}, {**_ACTION, "filetypes": array(string(20), 1, 50), "max_files": number(1, 10)}),
}  # fmt: skip
FEEDBACK: dict[str, Check] = {
    "feedback_buttons": record({"positive_button": _FEEDBACK, "negative_button": _FEEDBACK}, _ACTION),
    "icon_button": record(
        {"icon": one_of("trash"), "text": plain(75)},
        {**_ACTION, "value": string(2000), "confirm": CONFIRM, "accessibility_label": string(75),
         "visible_to_user_ids": array(ID, 1, 10)},
    ),
}  # fmt: skip

IMAGE: dict[str, Check] = {"image": ICON}
TEXTS: dict[str, Check] = {kind: text(3000) for kind in ("plain_text", "mrkdwn")}
