"""Whom a message would wake: what Slack takes for a ping in texts and in blocks. Pure.

Slack reads ``<!channel>``, ``<@U…>`` and ``<!subteam^…>`` in mrkdwn wherever they stand unescaped; plain text, code
in rich text and escaped characters ping nobody. A top-level text counts too: it is what the notification is made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deploy.local.slack.state import Json

_IN_TEXT = re.compile(r"<(!(?:channel|here|everyone|subteam\^[A-Z0-9]+)|@[UW][A-Z0-9]+)(?:\|[^>]*)?>")
_BARE = re.compile(r"(?<!\w)@(channel|here|everyone)\b")


def pings(text: str, blocks: Any, *, links_names: bool = False) -> list[str]:
    """Each as it is written in mrkdwn, without its label. ``links_names`` is Slack's link_names or parse=full."""
    found = [f"<{name}>" for one in (text, *_mrkdwn(blocks)) for name in _IN_TEXT.findall(one)]
    if links_names:
        found += [f"<!{name}>" for one in (text, *_mrkdwn(blocks)) for name in _BARE.findall(one)]
    return list(dict.fromkeys([*found, *_in_rich_text(blocks)]))


def _mrkdwn(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _mrkdwn(one)
    elif isinstance(node, dict):
        if node.get("type") in ("mrkdwn", "markdown") and isinstance(node.get("text"), str):
            yield node["text"]
        for one in node.values():
            if isinstance(one, dict | list):
                yield from _mrkdwn(one)


def _in_rich_text(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _in_rich_text(one)
    elif isinstance(node, dict):
        yield from _element(node)
        for one in node.values():
            if isinstance(one, dict | list):
                yield from _in_rich_text(one)


def _element(node: Json) -> Iterator[str]:
    if node.get("type") == "broadcast":
        yield f"<!{node.get('range')}>"
    elif node.get("type") == "user" and "user_id" in node:
        yield f"<@{node['user_id']}>"
    elif node.get("type") == "usergroup" and "usergroup_id" in node:
        yield f"<!subteam^{node['usergroup_id']}>"
