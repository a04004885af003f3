"""The explanation in the thread: the runbook's steps in their order, each with what a person could type and would see.

As few messages as hold it. It must not know how a message is sent, nor why something is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.report import Report, needs_attention
from bot.slack.blocks import bricks
from bot.slack.escape import bold, line, literal, prose
from bot.slack.limits import ELSEWHERE, Block, Body, Passage, clipped, clipped_plainly, messages
from diagnostics.model import Finding, Remedy, Shown, Status
from diagnostics.runbook.words import count, counted

SHOWN_EVIDENCE = 3
SHOWN_REMEDIES = 12
OUTPUT_LINES = 8
PARAGRAPH = 1_400
COMMAND = 500
OUTPUT = 900
WHEN = {"now": "Now, gentlest first", "permanent": "For good"}


def explanation(found: Report) -> tuple[Body, ...]:
    """The whole of it: what was seen first, what to do about it after."""
    if found.is_quiet:
        return messages([_in_short(found)])
    seen = [_step(number, step, found) for number, step in enumerate(found.steps, 1) if _is_seen(step)]
    to_do = [_step(number, step, found) for number, step in enumerate(found.steps, 1) if not _is_seen(step)]
    return (*messages(seen), *messages(to_do)) if found.is_about_the_table else messages([*seen, *to_do])


def _is_seen(step: Finding) -> bool:
    return step.step not in ("do_not", "remedies", "pattern")


def _in_short(found: Report) -> Passage:
    """A node that is well: what was checked, and what could not be."""
    noticed = [step for step in found.steps if needs_attention(step)]
    well = [line(step.title) for step in found.steps if step.status is Status.OK]
    steps = counted(len(well), "step", "steps")
    says = f"Nothing to report from {steps} of the runbook: {clipped(' · '.join(well), PARAGRAPH)}."
    others = [one for one in found.lookalikes if one.status == "ruled out"]
    if others:
        says += f" {count(len(others))} other causes with the same symptoms were ruled out."
    told = [bricks.section(_told(found.steps.index(step) + 1, step)) for step in noticed]
    return Passage(says, (bricks.section(says), *told))


# ---- one step -------------------------------------------------------------------------------------------------------


def _step(number: int, step: Finding, found: Report) -> Passage:
    """In full where it belongs to the story; otherwise what was seen is enough."""
    if not (found.is_about_the_table or needs_attention(step)):
        said = f"{_head(number, step)}\n{clipped(prose(step.says), PARAGRAPH)}"
        return Passage(said, (bricks.section(said),))
    is_list = step.step == "remedies" and bool(found.remedies)
    told = _head(number, step) if is_list else _told(number, step)
    return Passage(told, (bricks.section(told), *(_remedies(found.remedies) if is_list else _evidence(step.evidence))))


def _head(number: int, step: Finding) -> str:
    return f"{bricks.MARKS[step.status]} {bold(clipped(f'{number} {line(step.title)}', 200))}"


def _told(number: int, step: Finding) -> str:
    """The step as a paragraph: mark, title, what was seen, what follows."""
    parts = [_head(number, step), clipped(prose(step.says), PARAGRAPH), clipped(prose(step.means), PARAGRAPH)]
    parts += [f"*Note:* {clipped(prose(step.correction), PARAGRAPH)}"] if step.correction else []
    return "\n".join(part for part in parts if part)


def _evidence(shown: Sequence[Shown]) -> list[Block]:
    """What a person would type, and see."""
    blocks = [bricks.preformatted(_typed(one)) for one in shown[:SHOWN_EVIDENCE] if one.command or one.output]
    more = len(shown) - SHOWN_EVIDENCE
    return (
        [*blocks, bricks.context(f"… {counted(more, 'more command', 'more commands')}: {ELSEWHERE}")]
        if more > 0
        else blocks
    )


def _typed(shown: Shown) -> str:
    lines = shown.output.split("\n") if shown.output else []
    kept = clipped_plainly("\n".join(lines[:OUTPUT_LINES]), OUTPUT)
    more = len(lines) - OUTPUT_LINES
    rest = [f"… {counted(more, 'more line', 'more lines')}: {ELSEWHERE}"] if more > 0 else []
    return "\n".join((f"$ {_whole(shown.command)}", *([kept] if kept else []), *rest))


def _whole(command: str) -> str:
    if len(literal(command)) <= COMMAND:
        return command
    return f"# a command of {count(len(command))} characters: {ELSEWHERE}"


# ---- what helps -----------------------------------------------------------------------------------------------------


def _remedies(remedies: Sequence[Remedy]) -> list[Block]:
    """Each with the commands that carry it out, to be copied."""
    blocks: list[Block] = []
    for when, title in WHEN.items():
        chosen = [remedy for remedy in remedies if remedy.when == when]
        blocks += [bricks.section(f"*{title}:*")] if chosen else []
        blocks += [_remedy(number, remedy) for number, remedy in enumerate(chosen[:SHOWN_REMEDIES], 1)]
        more = len(chosen) - SHOWN_REMEDIES
        blocks += [bricks.context(f"… {count(more)} more: {ELSEWHERE}")] if more > 0 else []
    return blocks


def _remedy(number: int, remedy: Remedy) -> Block:
    says = bricks.spoken(clipped_plainly(f"{number}. {remedy.says}", COMMAND))
    return bricks.rich(says, bricks.commands(remedy.commands)) if remedy.commands else bricks.rich(says)
