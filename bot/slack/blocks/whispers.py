"""What one person reads, or one line that points elsewhere: joined, refused, the manual, the status, news.

It must not know how a message is sent, nor who may read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.model import Incident, Look
from bot.report import Report
from bot.slack.blocks import bricks
from bot.slack.escape import bold, code, line, link, moment, plain, prose
from bot.slack.limits import Body, clipped, message
from diagnostics.runbook.words import count, counted

SHOWN_INCIDENTS = 5
SHORT = 1_200
THERE = "`conntrack-bot incidents` on the bot's machine"


@dataclass(frozen=True, slots=True)
class Health:
    """How the bot itself is. ``sockets`` of ``sockets_wanted`` connections to Slack are alive."""

    version: str
    running: int
    waiting: int
    sockets: int
    sockets_wanted: int


def joined(incident: Incident, permalink: str) -> Body:
    """What was asked for is being looked at already, or was until a moment ago."""
    where = link(permalink, "its card") if permalink else "its card"
    lately = "is being looked at already" if incident.state.is_on_its_way else "was looked at a moment ago"
    return _line(f"{bricks.LOOKING} {bold(line(incident.node))} {lately}: {incident.name}, {where}.")


def refused(says: str) -> Body:
    """Why not, in the sentence that was found for it."""
    return _line(clipped(prose(says), 2 * SHORT, THERE))


def manual(command: str, incidents: Sequence[Incident]) -> Body:
    """What one can type, and what was asked lately."""
    typed = [
        f"{code(f'{command} node-7')} looks at a node. Also CLUSTER/NODE, or a pod's name: that leads to its node.",
        f"{code(f'{command} node-7 --deep')} also asks which process of the node itself holds entries (slower).",
        f"{code(f'{command} node-7 --exact')} reads the whole table instead of a sample.",
        f"{code(f'{command} status')} shows open incidents, and how the bot is.",
        "In a thread, mention me with the node's name. On an alert, use the shortcut *Diagnose this alert*.",
    ]
    blocks = [bricks.section("\n".join(typed)), bricks.section(_recent(incidents))]
    return message("\n".join(typed), blocks, (), THERE)


def _recent(incidents: Sequence[Incident]) -> str:
    if not incidents:
        return "No node has been looked at yet."
    shown = [of_incident(one) for one in incidents[:SHOWN_INCIDENTS]]
    return "\n".join(("*Lately*", *shown))


def status(health: Health, open_incidents: Sequence[Incident], there_are: int) -> Body:
    """What is open, what runs, and how the bot is. ``open_incidents`` are the newest of as many as ``there_are``."""
    shown = [of_incident(one) for one in open_incidents[: 2 * SHOWN_INCIDENTS]]
    more = there_are - len(shown)
    shown += [f"… {count(more)} more: {THERE}"] if more > 0 else []
    head = f"*{counted(there_are, 'open incident', 'open incidents')}*"
    sign = bricks.MARKS["ok" if health.sockets >= health.sockets_wanted else "warn"]  # type: ignore[index]
    connected = f"{sign} {count(health.sockets)} of {count(health.sockets_wanted)} connections to Slack · "
    how = (
        f"{counted(health.running, 'look runs', 'looks run')}, {count(health.waiting)} waiting · "
        f"{connected if health.sockets_wanted else ''}"  # over HTTP there are none
        f"conntrack-bot {plain(health.version)}"
    )
    says = "\n".join((head, *shown))
    return message(f"{says}\n{how}", [bricks.section(says)], [bricks.context(how)], THERE)


def of_incident(incident: Incident) -> str:
    """An incident on one line, for lists."""
    if incident.state.is_on_its_way:
        return f"{bricks.LOOKING} {incident.name} {code(incident.node)} {incident.state.value}"
    first, _, _ = incident.headline.partition("\n")
    says = clipped(prose(first), 300) or "could not be looked at"
    node = "" if first.startswith(incident.node) else f" {code(incident.node)}"
    when = f" · {moment(incident.looked_at, '{date_short_pretty} {time}')}" if incident.looked_at is not None else ""
    return f"{bricks.mark(incident.verdict)} {incident.name}{node} {says}{when}"


def follower(incident: Incident, look: Look, permalink: str) -> Body:
    """For who asked elsewhere: the answer in a line, and where the card is."""
    where = link(permalink, incident.name) if permalink else incident.name
    return _line(f"{_news(incident, look)} · {where}")


def worse(incident: Incident, look: Look, earlier: Look | None = None) -> Body:
    """The line for the whole channel: what it was, what it is."""
    before = earlier.report if earlier is not None else None
    was = f" (it was {bricks.mark(before.kind)} {before.kind.value})" if before is not None else ""
    return _line(f"*Worse:* {_news(incident, look)}{was} · {incident.name}")


def _news(incident: Incident, look: Look) -> str:
    found: Report | None = look.report
    if found is None:
        return f"{bricks.NOT_SEEN} {bold(line(f'{incident.node}: I could not look, so I do not know'))}"
    numbers = "".join(f" · {line(number)}" for number in found.numbers[:2])
    return f"{bricks.mark(found.kind)} {clipped(bold(line(found.headline)), SHORT)}{clipped(numbers, 400)}"


def _line(mrkdwn: str) -> Body:
    return message(mrkdwn, [bricks.section(mrkdwn)], (), THERE)
