"""An opinion of its own on every block: what Slack would refuse, and why, with JSON pointers.

It shares nothing with the bot's own limits, or both could be wrong together. Pure. Where Slack's documentation is
silent it takes the stricter reading: what passes here passes there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Literal

from deploy.local.slack.validator.blocks import BLOCK
from deploy.local.slack.validator.checks import Check, Look, array, flag, one_of, record, string
from deploy.local.slack.validator.objects import plain

Surface = Literal["message", "modal", "home"]

_BLOCKS_AT_MOST = {"message": 50, "modal": 100, "home": 100}
_TEXT_AT_MOST = 13_000  # reported: msg_blocks_too_long
_MARKDOWN_AT_MOST = 12_000
_TABLE_TEXT_AT_MOST = 10_000
_CHARTS_AT_MOST = 2


def problems(
    blocks: Any, surface: Surface = "message", *, text: str = "", images: Collection[str] | None = None
) -> list[str]:
    """What Slack would refuse; [] where it takes them. ``images`` are the files that may be shown, None for any."""
    look = Look(surface, images)
    if len(text) > 40_000:
        look.say("must be less than 40001 characters", "/text")
    _blocks(look, blocks, "/blocks")
    return look.found


def view_problems(view: Any, kind: str, *, images: Collection[str] | None = None) -> list[str]:
    """The same for a modal or a Home tab."""
    look = Look(kind, images)
    if not isinstance(view, dict) or view.get("type") != kind or kind not in _VIEWS:
        look.say(f"must be a view of type {kind}", "/view/type")
        return look.found
    _VIEWS[kind](look, view, "/view")
    return look.found


def _blocks(look: Look, blocks: Any, pointer: str) -> None:
    before = len(look.found)
    array(BLOCK, 0, _BLOCKS_AT_MOST[look.surface])(look, blocks, pointer)
    if len(look.found) == before:
        for check in (_ids, _tables, _totals):
            check(look, blocks, pointer)


def _ids(look: Look, blocks: list[Any], pointer: str) -> None:
    """No block_id twice in a message, no action_id twice in a block."""
    block_ids = Counter(block["block_id"] for block in blocks if "block_id" in block)
    for name, times in block_ids.items():
        if times > 1:
            look.say(f"`block_id` already exists: {name}", pointer)
    for place, block in enumerate(blocks):
        action_ids = Counter(one["action_id"] for one in _nodes(block) if "action_id" in one)
        for name, times in action_ids.items():
            if times > 1:
                look.say(f"`action_id` already exists: {name}", f"{pointer}/{place}")
    if sum(bool(one.get("focus_on_load")) for one in _nodes(blocks)) > 1:
        look.say("only one element may have focus_on_load", pointer)


def _tables(look: Look, blocks: list[Any], pointer: str) -> None:
    tables = [one for one in _nodes(blocks) if one.get("type") in ("table", "data_table")]
    if len(tables) > 1:
        look.say("only_one_table_allowed", pointer)
    if sum(_length(one) for one in tables) > _TABLE_TEXT_AT_MOST:
        look.say(f"a table may hold at most {_TABLE_TEXT_AT_MOST} characters", pointer)
    if sum(one.get("type") == "data_visualization" for one in _nodes(blocks)) > _CHARTS_AT_MOST:
        look.say(f"no more than {_CHARTS_AT_MOST} data_visualization blocks allowed", pointer)


def _totals(look: Look, blocks: list[Any], pointer: str) -> None:
    if look.surface != "message":
        return
    total = _length(blocks)
    if total > _TEXT_AT_MOST:
        look.say(f"msg_blocks_too_long: {total} characters", pointer)
    markdown = sum(len(one["text"]) for one in blocks if one["type"] == "markdown")
    if markdown > _MARKDOWN_AT_MOST:
        look.say(f"markdown blocks may hold at most {_MARKDOWN_AT_MOST} characters together", pointer)


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Every object in there."""
    if isinstance(node, dict):
        yield node
        for one in node.values():
            yield from _nodes(one)
    elif isinstance(node, list):
        for one in node:
            yield from _nodes(one)


def _length(node: Any) -> int:
    """All the text that a person would read."""
    words = (one.get(key) for one in _nodes(node) for key in ("text", "title", "caption", "label"))
    return sum(len(one) for one in words if isinstance(one, str))


def _has_submit(look: Look, view: Any, pointer: str) -> None:
    if "submit" not in view and any(block["type"] == "input" for block in view["blocks"]):
        look.say("missing required field: submit (there are input blocks)", pointer)


_NAMES: dict[str, Check] = {
    "private_metadata": string(3000, 0), "callback_id": string(255, 0), "external_id": string(255, 0),
}  # fmt: skip
_VIEWS: dict[str, Check] = {
    "home": record({"type": one_of("home"), "blocks": _blocks}, _NAMES),
    "modal": record(
        {"type": one_of("modal"), "title": plain(24), "blocks": _blocks},
        {
            **_NAMES, "close": plain(24), "submit": plain(24), "clear_on_close": flag, "notify_on_close": flag,
            "submit_disabled": flag,
        },
        _has_submit,
    ),
}  # fmt: skip
