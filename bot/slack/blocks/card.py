"""The card: one message per incident, edited in place, from "waiting" to the answer. What a person reads first.

The answer, then who, then what to do; what was not seen is said as plainly. It must not know how a message is sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.model import Incident, Look, State
from bot.report import Picture, Report, visible_lines
from bot.slack.blocks import bricks
from bot.slack.escape import bold, code, line, literal, moment, person, prose
from bot.slack.limits import Block, Body, clipped, message
from bot.workflow import Progress
from diagnostics.model import Status
from diagnostics.runbook import RUNBOOK
from diagnostics.runbook.words import counted, percent, span

SEPARATOR = " · "
SHOWN_HOLDERS = 3
WORTH_NAMING = 0.01  # A holder of less is no suspect.
SHOWN_GAPS = 4
SHORT = 1_200  # A paragraph of a card; the thread has the rest.
LARGE = 110  # A longer headline is no easier to read in large letters.
THREAD = "see the thread"
CONSOLE = "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max"
DO_NOT_KNOW = ("Treat the table as full until you know better. On the node's console:", CONSOLE)


# ---- on the way -----------------------------------------------------------------------------------------------------


def waiting(incident: Incident, ahead: int) -> Body:
    """A look is to begin."""
    queue = f"{counted(ahead, 'other look comes', 'other looks come')} first" if ahead > 0 else "a look begins now"
    says = f"{bricks.LOOKING} {bold(line(f'Looking at {incident.node}'))}{SEPARATOR}{queue}"
    return message(says, [bricks.section(says)], [_foot(incident)], THREAD)


def looking(incident: Incident, progress: Progress) -> Body:
    """A look is going on: the first answer as soon as it is there, and the runbook's steps as they tick off."""
    for_so_long = [span(progress.seconds)] if progress.seconds >= 1 else []
    rung, colon, says = progress.says.partition(": ")
    heard = f"{WAYS.get(rung, rung)}{colon}{says}"
    going_on = "".join(f"{SEPARATOR}{clipped(part, SHORT)}" for part in (*for_so_long, line(heard)) if part)
    found = progress.report
    if found is None:
        says = f"{bricks.LOOKING} {bold(line(f'Looking at {incident.node}'))}{going_on}"
        return message(says, [bricks.section(says), bricks.context(_steps(None))], [_foot(incident)], THREAD)
    still = f"{bricks.LOOKING} First answer, still looking{going_on}"
    blocks = [*_answer(found, None, is_going_on=True), bricks.context(still), bricks.context(_steps(found))]
    return message(_said(found), blocks, [_foot(incident)], THREAD)


def _steps(found: Report | None) -> str:
    """Every step with its mark. One that could not be seen may yet be: the look goes on."""
    if found is None:
        return SEPARATOR.join(f"{bricks.PENDING} {step.title}" for step in RUNBOOK)
    return clipped(SEPARATOR.join(f"{_tick(step.status)} {line(step.title)}" for step in found.steps), SHORT)


def _tick(status: Status) -> str:
    """Trouble stands out; whether the rest is good or worth a warning is for the end."""
    return {Status.UNKNOWN: bricks.PENDING, Status.BAD: bricks.MARKS[Status.BAD]}.get(status, bricks.DONE)


# ---- at its end -----------------------------------------------------------------------------------------------------


def card(incident: Incident, look: Look, earlier: Look | None = None) -> Body:
    """What came of a look. ``earlier`` is the look before, for what has changed since."""
    if look.state is State.INTERRUPTED:
        return _interrupted(incident, look)
    if look.report is None:
        return _not_seen(incident, look)
    found, last = look.report, [bricks.look_again(incident.name), _foot(incident, look)]
    if found.is_quiet:
        says = f"{bricks.mark(found.kind)} {bold(line(found.headline))}"
        blocks = [bricks.section(says), *_changed(look, earlier), *_gaps(found)]
        return message(says, blocks, last, THREAD)
    blocks = [*_answer(found, look.picture), *_changed(look, earlier), *_others(found), *_gaps(found)]
    return message(_said(found), blocks, last, THREAD)


def _answer(found: Report, picture: Picture | None, *, is_going_on: bool = False) -> list[Block]:
    blocks = _headline(bricks.mark(found.kind), found.headline)
    if found.numbers:
        blocks.append(bricks.section(clipped(SEPARATOR.join(map(prose, found.numbers)), SHORT)))
    if found.who:
        blocks.append(bricks.section(f"*Who:* {clipped(prose(found.who), SHORT)}{_next_to(picture)}"))
    if found.first:
        blocks.append(bricks.section(f"*Do first:* {clipped(prose(found.first), SHORT)}"))
    if found.first_commands and not is_going_on:
        blocks.append(bricks.rich(bricks.commands(found.first_commands)))
    return blocks


def _headline(sign: str, says: str) -> list[Block]:
    """The first sentence in large letters where they hold it, and the others below."""
    first, stop, rest = says.partition(". ")
    if len(literal(first)) <= LARGE:
        large = bricks.header(f"{sign} {first}{stop.rstrip()}")
        return [large, bricks.section(clipped(bold(line(rest)), SHORT))] if rest else [large]
    return [bricks.section(f"{sign} {clipped(bold(line(says)), SHORT)}")]


def _next_to(picture: Picture | None) -> str:
    """Who comes after the first, where that matters."""
    others = [one for one in (picture.holders if picture else ())[1:SHOWN_HOLDERS] if one[1] >= WORTH_NAMING]
    said = SEPARATOR.join(f"{clipped(prose(label), 200)} {percent(share)}" for label, share in others)
    return f"\n*Then:* {said}" if said else ""


def _changed(look: Look, earlier: Look | None) -> list[Block]:
    """What a further look finds different."""
    if look.number <= 1 or look.report is None:
        return []
    if earlier is None or earlier.report is None:
        return [bricks.context(f"Look {look.number}: the one before saw nothing.")]
    then = earlier.report
    before = f"{bricks.mark(then.kind)} {clipped(prose(then.headline), SHORT)}"
    numbers = clipped(SEPARATOR.join(map(prose, then.numbers)), SHORT)
    changed = "no change of verdict" if then.kind is look.report.kind else "before"
    after = f"{SEPARATOR}{numbers}" if numbers else ""
    ago = span(look.ended_at - earlier.ended_at)
    return [bricks.context(f"Looked again after {ago}, {changed}: {before}{after}")]


def _others(found: Report) -> list[Block]:
    """Other causes that were found, unless the headline is about them."""
    news = [one for one in found.lookalikes if one.status == "found" and visible_lines(one.says) not in found.headline]
    said = "\n".join(
        f"{bricks.MARKS[Status.WARN]} *{line(one.name.replace('_', ' '))}:* {prose(one.says)}" for one in news
    )
    return [bricks.section(f"*Also found*\n{clipped(said, SHORT)}")] if said else []


def _gaps(found: Report) -> list[Block]:
    """What was not seen, as plainly as what was."""
    shown = [f"{bricks.MARKS[Status.UNKNOWN]} {clipped(prose(gap), 400)}" for gap in found.gaps[:SHOWN_GAPS]]
    more = len(found.gaps) - len(shown)
    shown += [f"{bricks.MARKS[Status.UNKNOWN]} … {more} more: see the attached evidence"] if more > 0 else []
    return [bricks.context("\n".join(shown))] if shown else []


def _said(found: Report) -> str:
    """The card without blocks: what a phone's lock screen and a screen reader say."""
    parts = [f"{bricks.mark(found.kind)} {clipped(bold(line(found.headline)), SHORT)}"]
    parts += [clipped(SEPARATOR.join(map(prose, found.numbers)), 500)] if found.numbers else []
    parts += [f"*Who:* {clipped(prose(found.who), 900)}"] if found.who else []
    parts += [f"*Do first:* {clipped(prose(found.first), 900)}"] if found.first else []
    return "\n".join(parts)


# ---- when there is no answer ----------------------------------------------------------------------------------------


def _not_seen(incident: Incident, look: Look) -> Body:
    """The ways that were tried, each with what it met, and what to do without us."""
    met = [way for way in visible_lines(look.why).split("\n") if way.strip()]
    # The first line of several is the headline, which the card has already.
    met = met[1:] if len(met) > 1 else met
    return _unknown(incident, look, f"{incident.node}: I could not look, so I do not know", met)


def _interrupted(incident: Incident, look: Look) -> Body:
    says = f"{incident.node}: the look was interrupted, so I do not know"
    return _unknown(incident, look, says, [*visible_lines(look.why).split("\n"), "Press *Look again* to start over."])


def _unknown(incident: Incident, look: Look, headline: str, met: Sequence[str]) -> Body:
    ways = "\n".join(_way(incident.node, one) for one in met if one.strip())
    there = f"`conntrack-bot show {incident.name}`"
    do_first = f"*Do first:* {DO_NOT_KNOW[0]}"
    blocks = [
        *_headline(bricks.NOT_SEEN, headline),
        *([bricks.section(clipped(ways, 2 * SHORT, there))] if ways else []),
        bricks.section(do_first),
        bricks.preformatted(DO_NOT_KNOW[1]),
    ]
    text = "\n".join(
        (f"{bricks.NOT_SEEN} {bold(line(headline))}", clipped(ways, SHORT, there), do_first, code(CONSOLE))
    )
    return message(text, blocks, [bricks.look_again(incident.name), _foot(incident, look)], THREAD)


WAYS = {"pod": "Debug pod", "ssh": "SSH", "local": "This machine", "replay": "Recording"}


def _way(node: str, met: str) -> str:
    """What one way met ("pod: Debug pod on node-7: no kubelet answers"), as people say it: once."""
    if met.startswith("Press *"):
        return met
    rung, colon, says = met.partition(": ")
    says = says.removeprefix(f"{WAYS.get(rung, '')} on {node}: ")
    return f"*{WAYS[rung]}:* {prose(says)}" if colon and rung in WAYS else prose(met)


def _foot(incident: Incident, look: Look | None = None) -> Block:
    """Which way, who asked, which incident."""
    found = look.report if look is not None else None
    parts = [prose(found.looked)] if found is not None else []
    parts += [prose(incident.note)] if incident.note else []
    parts += [f"at {moment(look.ended_at)}"] if look is not None else []
    parts += [f"asked by {person(incident.asked_by.id)}", incident.name]
    parts += [f"look {look.number}"] if look is not None and look.number > 1 else []
    return bricks.context(clipped(SEPARATOR.join(parts), SHORT))
