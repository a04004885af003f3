"""The Home tab: what is open now, and what else this person asked for lately. A view, published anew when that changes.

It must not know how a view is published.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.model import Incident
from bot.slack.blocks import bricks
from bot.slack.blocks.whispers import THERE, of_incident
from bot.slack.escape import code, moment, person
from bot.slack.limits import Block, Body, view
from diagnostics.runbook.words import count, counted

SHOWN_OPEN = 20
SHOWN_RECENT = 10
ALL_WELL = "Every node that was looked at is well."
STATUS = "/conntrack status"


def home(
    open_incidents: Sequence[Incident], recent: Sequence[Incident], for_person: str, now: float, hidden: int = 0
) -> Body:
    """The view for one person. ``recent`` are the newest incidents, whoever asked; ``hidden`` more are open."""
    shown = {one.id for one in open_incidents[:SHOWN_OPEN]}
    mine = [one for one in recent if one.asked_by.id == for_person and one.id not in shown]
    asked = any(one.asked_by.id == for_person for one in open_incidents[:SHOWN_OPEN])
    blocks = [
        bricks.header(counted(len(open_incidents), "open incident", "open incidents")),
        *(_listed(open_incidents, SHOWN_OPEN) or ([] if hidden else [bricks.section(ALL_WELL)])),
        *([bricks.context(f"… {count(hidden)} more in private channels: {code(STATUS)} there")] if hidden else []),
        {"type": "divider"},
        *_theirs(mine, is_asker=asked),
        bricks.context(f"As of {moment(now)}, for {person(for_person)}"),
    ]
    return {"type": "home", "blocks": view(blocks, THERE)}


def _theirs(mine: Sequence[Incident], *, is_asker: bool) -> list[Block]:
    """What this person asked for and is not listed above; nothing where all of it is."""
    if mine:
        return [bricks.section("*You also asked for*" if is_asker else "*You asked for*"), *_listed(mine, SHOWN_RECENT)]
    nothing = f"You asked for nothing yet. Type {code('/conntrack node-7')} in a channel."
    return [] if is_asker else [bricks.section(nothing)]


def _listed(incidents: Sequence[Incident], most: int) -> list[Block]:
    shown = [bricks.section(of_incident(one)) for one in incidents[:most]]
    more = len(incidents) - most
    return [*shown, bricks.context(f"… {count(more)} more: {THERE}")] if more > 0 else shown
