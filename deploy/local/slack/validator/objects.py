"""Composition objects: texts, options, confirm dialogs, pictures. Limits from docs.slack.dev, "Composition objects"."""

from __future__ import annotations

from typing import Any

from deploy.local.slack.validator.checks import Check, Look, array, flag, kinds, one_of, record, string, url

ID = string(255)
# Slack refuses texts of white space alone in headers and options; they show as nothing anywhere, so here everywhere.


def _not_blank(check: Check) -> Check:
    def look_closer(look: Look, value: Any, pointer: str) -> None:
        check(look, value, pointer)
        if isinstance(value, str) and value and not value.strip():
            look.say("must be more than 0 characters", pointer)

    return look_closer


def plain(at_most: int) -> Check:
    """Plain text only."""
    return kinds({"plain_text": record({"text": _not_blank(string(at_most))}, {"emoji": flag})})


def text(at_most: int) -> Check:
    """Plain text or mrkdwn."""
    body = _not_blank(string(at_most))
    return kinds(
        {"plain_text": record({"text": body}, {"emoji": flag}), "mrkdwn": record({"text": body}, {"verbatim": flag})}
    )


CONFIRM = record(
    {"title": plain(100), "text": text(300)},
    {"confirm": plain(30), "deny": plain(30), "style": one_of("primary", "danger")},
)


def _slack_file(look: Look, value: Any, pointer: str) -> None:
    record({}, {"id": ID, "url": url})(look, value, pointer)
    if not isinstance(value, dict) or ("id" in value) == ("url" in value):
        look.say("must provide exactly one of id and url", pointer)
    elif look.images is not None and "id" in value and value["id"] not in look.images:
        look.say("invalid slack file", pointer)


def one_picture(look: Look, value: Any, pointer: str) -> None:
    """An address or a file, not both."""
    if ("image_url" in value) == ("slack_file" in value):
        look.say("must provide exactly one of image_url and slack_file", pointer)


PICTURE = {"image_url": url, "slack_file": _slack_file}
ICON = kinds({"image": record({"alt_text": string(2000)}, PICTURE, one_picture)})


def option(*, formatted: bool = False, links: bool = False) -> Check:
    """One thing to choose. Only radio buttons and checkboxes take mrkdwn, only overflow menus take addresses."""
    words = text if formatted else plain
    more = {"description": words(75)} | ({"url": url} if links else {})
    return record({"text": words(75), "value": string(150)}, more)


def distinct_values(look: Look, value: Any, pointer: str) -> None:
    """Two options of the same value could not be told apart."""
    options = [one for one in value.get("options", ()) if isinstance(one, dict)]
    values = [one.get("value") for one in options]
    if len(set(values)) < len(values):
        look.say("option values must be unique", f"{pointer}/options")


OPTION_GROUP = record({"label": plain(75), "options": array(option(), 1, 100)})
DISPATCH = record({}, {"trigger_actions_on": array(one_of("on_enter_pressed", "on_character_entered"), 1, 2)})
