"""Slack's limits, once, and the one way by which every body keeps them: nothing too long leaves, nothing goes silently.

Slack refuses a whole message for one violation. So whatever is built goes through ``message``, ``messages`` or
``view``, which cut text with a word on how much is missing. It must not know what a body says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]
Body = dict[str, Any]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
ALL_TEXT = (
    12_000  # Of a message's blocks: Slack answers msg_blocks_too_long at about 13,000, which it does not document.
)
TEXT = 3_900  # The text beside the blocks: an update with more than 4,000 is refused as msg_too_long.
HEADER = 150  # Callers use sections for what is longer.
SECTION = 3_000
CONTEXT = 2_000
CONTEXT_ELEMENTS = 10
RICH_TEXT = 3_000
NOTHING = "…"  # Slack refuses a message without text.
ELSEWHERE = "see the attached evidence"
CODE = re.compile(r"`[^`]*(?:`|$)")
ROOM = 100  # For the words that tell how much is missing, and where it is.


def message(text: str, blocks: Sequence[Block], last: Sequence[Block] = (), elsewhere: str = ELSEWHERE) -> Body:
    """One message. ``last`` stands at its end whatever else has to go; ``elsewhere`` says where the rest is."""
    said = clipped(text, TEXT, elsewhere).strip() or NOTHING
    kept = _kept(blocks, last, MESSAGE_BLOCKS, elsewhere)
    return {"text": said, "blocks": kept or [{"type": "section", "text": {"type": "mrkdwn", "text": NOTHING}}]}


def view(blocks: Sequence[Block], elsewhere: str) -> list[Block]:
    """The blocks of a Home tab."""
    return _kept(blocks, (), VIEW_BLOCKS, elsewhere)


@dataclass(frozen=True, slots=True)
class Passage:
    """What is read together, and so is not torn apart between two messages where it fits into one."""

    text: str
    blocks: tuple[Block, ...]


def messages(passages: Iterable[Passage]) -> tuple[Body, ...]:
    """As few messages as hold the passages, in their order."""
    pages: list[list[Passage]] = []
    for passage in passages:
        if pages and _fits([*pages[-1], passage]):
            pages[-1].append(passage)
        else:
            pages.append([passage])
    return tuple(
        message("\n".join(passage.text for passage in page), [block for passage in page for block in passage.blocks])
        for page in pages
    )


def _fits(page: Sequence[Passage]) -> bool:
    blocks = [block for passage in page for block in passage.blocks]
    return len(blocks) <= MESSAGE_BLOCKS and sum(_length(block) for block in blocks) <= ALL_TEXT


def _kept(blocks: Sequence[Block], last: Sequence[Block], most: int, elsewhere: str) -> list[Block]:
    """The blocks that fit, each within its own limits, and a word on the others."""
    fitted = [
        block for block in (_fitted(one, elsewhere) for one in blocks) if _length(block) or block["type"] == "divider"
    ]
    end = [_fitted(block, elsewhere) for block in last]
    if len(fitted) + len(end) <= most and sum(map(_length, (*fitted, *end))) <= ALL_TEXT:
        return [*fitted, *end]
    room = ALL_TEXT - sum(map(_length, end)) - ROOM
    kept: list[Block] = []
    for block in fitted[: most - len(end) - 1]:
        room -= _length(block)
        if room < 0:
            break
        kept.append(block)
    missing = f"… {len(fitted) - len(kept)} more parts: {elsewhere}"
    return [*kept, {"type": "context", "elements": [{"type": "mrkdwn", "text": missing}]}, *end]


# ---- one block ------------------------------------------------------------------------------------------------------


def _fitted(block: Block, elsewhere: str) -> Block:
    """A block within its limits."""
    match block["type"]:
        case "header":
            return block | {"text": _text(block["text"], HEADER, elsewhere)}
        case "section":
            return block | {"text": _text(block["text"], SECTION, elsewhere)}
        case "context":
            elements = [_text(element, CONTEXT, elsewhere) for element in block["elements"] if element["text"].strip()]
            return block | {"elements": elements[:CONTEXT_ELEMENTS]}
        case "rich_text":
            return block | {"elements": [_rich(element, elsewhere) for element in block["elements"]]}
        case _:
            return block


def _text(text: Block, limit: int, elsewhere: str) -> Block:
    cut = clipped if text["type"] == "mrkdwn" else clipped_plainly
    return text | {"text": cut(text["text"], limit, elsewhere)}


def _rich(element: Block, elsewhere: str) -> Block:
    """Parts of rich text without text are refused, and so is an element without parts."""
    parts = [part for part in element["elements"] if part["text"]]
    return element | {
        "elements": [part | {"text": clipped_plainly(part["text"], RICH_TEXT, elsewhere)} for part in parts]
    }


def _length(block: Any) -> int:
    """How much there is to be read in a block, at any depth; of blanks there is nothing."""
    if isinstance(block, list):
        return sum(map(_length, block))
    if not isinstance(block, dict):
        return 0
    return sum(
        len(inner) * bool(inner.strip()) if isinstance(inner, str) else _length(inner)
        for key, inner in block.items()
        if key in READ
    )


READ = ("text", "elements", "accessory", "fields", "alt_text", "title")


# ---- one text -------------------------------------------------------------------------------------------------------


def clipped(mrkdwn: str, limit: int, elsewhere: str = ELSEWHERE) -> str:
    """Text with markup within a limit: never cut inside an entity or a link, and what it had opened is closed."""
    if len(mrkdwn) <= limit:
        return mrkdwn
    kept = mrkdwn[: limit - ROOM]
    if kept.rfind("<") > kept.rfind(">"):
        kept = kept[: kept.rfind("<")]
    kept = re.sub(r"&\w{0,4}$", "", kept).rstrip()
    kept = _closed(_closed(kept, "`", kept), "*", CODE.sub("", kept))
    return f"{kept} {_missing(len(mrkdwn) - len(kept), elsewhere)}"


def _closed(kept: str, mark: str, where: str) -> str:
    """Marks that are left after escaping are ours, and come in pairs; in code an asterisk means nothing."""
    if where.count(mark) % 2 == 0:
        return kept
    return kept[:-1] if kept.endswith(mark) else kept + mark


def clipped_plainly(text: str, limit: int, elsewhere: str = ELSEWHERE) -> str:
    """Text without markup within a limit."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - ROOM]} {_missing(len(text) - limit + ROOM, elsewhere)}"


def _missing(characters: int, elsewhere: str) -> str:
    return f"… {characters:,} more characters: {elsewhere}"
