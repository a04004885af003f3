"""The few Block Kit blocks that the bot is written in. Text comes in as mrkdwn that ``escape`` made, or as it is.

It must not know what is said, nor Slack's limits: ``limits`` keeps those on the way out.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.slack.escape import literal, pieces
from bot.slack.limits import ELSEWHERE, RICH_TEXT, Block
from diagnostics.model import Status, VerdictKind
from diagnostics.runbook.words import counted

NOT_SEEN = "⚪\ufe0f"  # With the selector for an emoji: some fonts have a small letter for it
VERDICTS = {
    VerdictKind.EXHAUSTED: "🔴",
    VerdictKind.EVICTING: "🟠",
    VerdictKind.FILLING: "🟡",
    VerdictKind.RECOVERED: "✅",
    VerdictKind.HEALTHY: "🟢",
    VerdictKind.LOOKALIKE: "🔵",
    VerdictKind.INCONCLUSIVE: NOT_SEEN,
}
LOOKING = "🔎"
# Told apart by their shapes, for those who do not see the colours.
MARKS = {
    Status.OK: "✅",
    Status.WARN: "⚠️",
    Status.BAD: "❌",
    Status.UNKNOWN: "❓",
    Status.SKIPPED: "➖",  # noqa: RUF001 - a sign, and not a minus
}
PENDING, DONE = "◌", "✓"
UNDO = "to take it away again"  # How the runbook marks a command that is not for now.
ALL_COMMANDS = RICH_TEXT // 2  # Of one remedy.


def mark(verdict: str) -> str:
    """The sign of a verdict by its name; of none, that of not knowing."""
    return VERDICTS.get(VerdictKind(verdict), NOT_SEEN) if verdict in list(VerdictKind) else NOT_SEEN


def header(text: str) -> Block:
    """A line in large letters, without markup."""
    return {"type": "header", "text": {"type": "plain_text", "text": literal(" ".join(text.split())), "emoji": False}}


def section(mrkdwn: str) -> Block:
    """A paragraph. ``expand``: people woken at three need not press "see more"."""
    return {"type": "section", "text": _mrkdwn(mrkdwn), "expand": True}


def context(*mrkdwn: str) -> Block:
    """Small print."""
    return {"type": "context", "elements": [_mrkdwn(text) for text in mrkdwn]}


def _mrkdwn(text: str) -> Block:
    """``verbatim``: Slack makes no links nor mentions of its own out of names and addresses."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def preformatted(text: str) -> Block:
    """Text as it is, to be copied."""
    return rich(_preformatted(text))


def rich(*elements: Block) -> Block:
    """Text with its layout given by structure, so that nothing in it can be markup."""
    return {"type": "rich_text", "elements": list(elements)}


def spoken(text: str) -> Block:
    """A paragraph of rich text, the words of machines as code."""
    parts: list[Block] = []
    for piece, is_machine in pieces(text):
        parts.append({"type": "text", "text": piece} | ({"style": {"code": True}} if is_machine else {}))
    return {"type": "rich_text_section", "elements": parts}


def _preformatted(text: str) -> Block:
    return {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": literal(text)}]}


def commands(typed: Sequence[str]) -> Block:
    """Commands to copy, each on a line of its own, and each whole: half a command may do something else.

    One that is for later becomes a comment, so that the others can be copied together.
    """
    lines, room = [], ALL_COMMANDS
    for command in typed:
        now, _, note = command.rpartition("#")
        shown = f"# {UNDO}: {now.rstrip()}" if note.strip() == UNDO else command
        room -= len(literal(shown))
        if room < 0:
            break
        lines.append(shown)
    more = len(typed) - len(lines)
    lines += [f"# … {counted(more, 'more command', 'more commands')}: {ELSEWHERE}"] if more else []
    return _preformatted("\n".join(lines))


def look_again(incident: str) -> Block:
    """The one button."""
    return {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": "look_again",
                "text": {"type": "plain_text", "text": "Look again", "emoji": False},
                "value": incident,
            }
        ],
    }
