"""What Slack would refuse of the blocks that this bot uses. Written from Slack's documents, not from ``limits``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

ENTITY = re.compile(r"&(?!(?:amp|lt|gt);)")
OURS = re.compile(r"<(?:@[UW][A-Z0-9]+|https?://[^<>|\s]+\|[^<>|]+|!date\^-?\d+\^[^<>|]+\|[^<>|]+)>")


def refusals(body: dict[str, Any], most: int = 50) -> list[str]:
    """Every reason to refuse a body; none is good."""
    return [*_of_text(body), *_of_blocks(body["blocks"], most)]


def _of_text(body: dict[str, Any]) -> Iterator[str]:
    if "text" in body:
        if not 0 < len(body["text"]) <= 4_000:
            yield f"text has {len(body['text'])} characters"
        yield from _of_mrkdwn(body["text"])
        body["text"].encode()


def _of_blocks(blocks: list[dict[str, Any]], most: int) -> Iterator[str]:
    if not 0 < len(blocks) <= most:
        yield f"{len(blocks)} blocks"
    total = sum(map(len, _texts(blocks)))
    if total > 13_000:
        yield f"{total} characters in all blocks"
    for block in blocks:
        yield from _of_block(block)


def _of_block(block: dict[str, Any]) -> Iterator[str]:
    match block["type"]:
        case "header":
            yield from _of_object(block["text"], 150, "plain_text")
        case "section":
            yield from _of_object(block["text"], 3_000, "mrkdwn")
        case "context":
            yield from _of_context(block["elements"])
        case "rich_text":
            yield from _of_rich_text(block)
        case "actions":
            yield from _of_buttons(block["elements"])
        case "divider":
            pass
        case unknown:
            yield f"a block of type {unknown}"


def _of_context(elements: list[dict[str, Any]]) -> Iterator[str]:
    if not 1 <= len(elements) <= 10:
        yield "elements of a context"
    for element in elements:
        yield from _of_object(element, 2_000, "mrkdwn")


def _of_buttons(buttons: list[dict[str, Any]]) -> Iterator[str]:
    for button in buttons:
        yield from _of_object(button["text"], 75, "plain_text")
        if not 0 < len(button["value"]) <= 2_000:
            yield "a button's value"


def _of_object(text: dict[str, Any], longest: int, kind: str) -> Iterator[str]:
    if text["type"] != kind or not 0 < len(text["text"]) <= longest:
        yield f"{kind} of {len(text['text'])} characters"
    if kind == "mrkdwn":
        yield from _of_mrkdwn(text["text"])


def _of_rich_text(block: dict[str, Any]) -> Iterator[str]:
    for element in block["elements"]:
        if element["type"] not in ("rich_text_section", "rich_text_preformatted") or not element["elements"]:
            yield f"an empty or unknown {element['type']}"
        for part in element["elements"]:
            if part["type"] != "text" or not part["text"]:
                yield "an empty or unknown part of rich text"


def _of_mrkdwn(text: str) -> Iterator[str]:
    """Brackets are ours only; ampersands are entities; what opens code or bold closes it."""
    left = OURS.sub("", text)
    if "<" in left or ">" in left:
        yield f"a bracket that is not ours: {left[:80]!r}"
    if ENTITY.search(left):
        yield f"a bare or broken ampersand: {left[:80]!r}"
    outside = re.sub(r"`[^`]*`", "", left)
    yield from (f"an odd number of {mark} in {left[-80:]!r}" for mark in "`*" if outside.count(mark) % 2)
    if any(not letter.isprintable() and letter != "\n" for letter in text):
        yield "a character that nobody sees"


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _texts(one)
    elif isinstance(node, dict):
        for key, one in node.items():
            if key == "text" and isinstance(one, str):
                yield one
            else:
                yield from _texts(one)
