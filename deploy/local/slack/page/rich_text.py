"""`rich_text` blocks as HTML: sections, lists, preformatted text and quotes, with Slack's styles.

Pure. Its texts carry no markup: brackets and stars in them stay what they are.
"""

from collections.abc import Callable, Mapping
from typing import Any

from deploy.local.slack.page.markup import Html, join, tag, text
from deploy.local.slack.page.mrkdwn import Names, emoji, group, link, mention, moment, ping

_LISTS = {"ordered": "ol", "bullet": "ul"}
_STYLES = {"code": "code", "bold": "strong", "italic": "em", "strike": "s", "underline": "u"}


def rich_text(block: Mapping[str, Any], names: Names) -> Html:
    """The block's parts, one below the other."""
    return join([_part(part, names) for part in block.get("elements", [])])


def _part(part: Mapping[str, Any], names: Names) -> Html:
    inside = part.get("elements", [])
    match part.get("type"):
        case "rich_text_section":
            return tag("div", *[_element(one, names) for one in inside], class_="rich")
        case "rich_text_preformatted":
            return tag("pre", *[_element(one, names) for one in inside])
        case "rich_text_quote":
            return tag("blockquote", tag("div", *[_element(one, names) for one in inside], class_="rich"))
        case "rich_text_list":
            kind = _LISTS.get(str(part.get("style")), "ul")
            start = int(part.get("offset", 0)) + 1 if kind == "ol" else None
            items = [tag("li", _part(one, names)) for one in inside]
            return tag(kind, *items, start=start, class_=f"indent-{min(int(part.get('indent', 0)), 5)}")
        case other:
            return tag("div", f"unknown part of a rich text: {other}", class_="unknown", role="alert")


def _element(one: Mapping[str, Any], names: Names) -> Html:
    shown = _shown(one, names)
    style = one.get("style") or {}
    for key, name in _STYLES.items():
        if isinstance(style, Mapping) and style.get(key):
            shown = tag(name, shown)
    return shown


def _shown(one: Mapping[str, Any], names: Names) -> Html:
    draw = _ELEMENTS.get(str(one.get("type")))
    if draw is None:
        return tag("span", f"unknown element: {one.get('type')}", class_="unknown", role="alert")
    return draw(one, names)


def _channel(one: Mapping[str, Any], names: Names) -> Html:
    channel = str(one.get("channel_id", ""))
    return tag("span", "#", names.channels.get(channel, channel), class_="mention")


_ELEMENTS: dict[str, Callable[[Mapping[str, Any], Names], Html]] = {
    "text": lambda one, _names: text(one.get("text", "")),
    "link": lambda one, _names: link(str(one.get("url", "")), one.get("text") or one.get("url", "")),
    "emoji": lambda one, _names: emoji(str(one.get("name", ""))),
    "user": lambda one, names: mention(str(one.get("user_id", "")), names),
    "usergroup": lambda one, names: group(str(one.get("usergroup_id", "")), names),
    "channel": _channel,
    "broadcast": lambda one, _names: ping(str(one.get("range", ""))),
    "date": lambda one, _names: moment(one.get("timestamp"), str(one.get("fallback", ""))),
    "color": lambda one, _names: tag("code", one.get("value", "")),
}
