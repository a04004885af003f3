"""``incidents``, ``show`` and ``export``: what the bot knows, in a terminal, in the words that the chat has.

It must not know how a report is laid out, nor how the store keeps it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.exits import shown
from bot.cli.stored import Config, moment, opened
from bot.errors import StoreError

if TYPE_CHECKING:
    from bot.model import Incident, Look
    from bot.store import Store

NAME = re.compile(r"(?:INC-)?(?P<number>[1-9][0-9]{0,8})", re.IGNORECASE | re.ASCII)
Named = Annotated[str, typer.Argument(metavar="INC", help="An incident: INC-12, or 12.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]
# By the value of a State: the words themselves cost a tenth of a second of every start.
UNSEEN = {
    "not_seen": "I could not look, so I do not know",
    "interrupted": "The look was interrupted, so I do not know",
    "diagnosed": "I looked, and cannot say any more what I saw",
}
NOW = {"waiting": "waits to be looked at", "looking": "is being looked at"}


def incidents(
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest.")] = 20,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List incidents, the newest first."""
    with opened(config) as store:
        found = store.incidents(limit, only_open=only_open)
    if as_json:
        _print_json({"schema": "conntrack-incidents/1", "incidents": [_incident_json(one) for one in found]})
        return
    rows = [_row(one) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(4)] if rows else []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        typer.echo("  ".join((*cells, row[4])).rstrip())
    if not rows:
        typer.echo("No incident is open." if only_open else "There are no incidents yet.")


def show(
    named: Named,
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what is collapsed otherwise.")] = False,
    number: Annotated[int | None, typer.Option("--look", min=1, help="An earlier look; else the newest.")] = None,
    config: Config = None,
) -> None:
    """Say again what an incident is about, in the words of the chat."""
    with opened(config) as store:
        incident = _found(store, named)
        looks = store.looks(incident.id)
        look = _chosen(incident, looks, number)
    if as_json:
        document = {"schema": "conntrack-incident/1", **_incident_json(incident)}
        _print_json(document | {"looks": [_look_json(one) for one in looks if number in (None, one.number)]})
        return
    if hasattr(sys.stdout, "reconfigure"):  # an ASCII locale gets "?" for a mark, and never a traceback
        sys.stdout.reconfigure(errors="replace")
    for line in _header(incident, look):
        typer.echo(line)
    if look is not None:
        typer.echo("")
        _tell(look, verbose=verbose)


def export(
    named: Named,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet.")],
    number: Annotated[int | None, typer.Option("--look", min=1, help="An earlier look; else the newest.")] = None,
    config: Config = None,
) -> None:
    """Write what was heard of a node as a recording, which `diagnose DIR` explains."""
    from bot.store import unpack  # noqa: PLC0415 - SQLAlchemy costs a quarter of a second

    with opened(config) as store:
        incident = _found(store, named)
        kept = [one for one in store.looks(incident.id) if one.recording and number in (None, one.number)]
        if not kept:
            which = f"look {number} of {incident.name}" if number else incident.name
            raise StoreError(f"There is no recording of {which}: nothing was heard of the node, or it was not kept.")
        unpack(kept[-1].recording, folder)
    typer.echo(f"Look {kept[-1].number} of {incident.name} is in {folder}. Read it: conntrack-bot diagnose {folder}")


# ---- which ----------------------------------------------------------------------------------------------------------


def _found(store: Store, named: str) -> Incident:
    match = NAME.fullmatch(named.strip())
    if match is None:
        raise StoreError(f"`{named}` is no incident's name: write it as INC-12, or 12.")
    incident = store.incident(int(match["number"]))
    if incident is None:
        raise StoreError(f"There is no incident INC-{match['number']}: `conntrack-bot incidents` lists them.")
    return incident


def _chosen(incident: Incident, looks: Any, number: int | None) -> Look | None:
    """The look to be shown; None where none has ended."""
    if number is None:
        return looks[-1] if looks else None
    look: Look | None = next((one for one in looks if one.number == number), None)
    if look is None:
        raise StoreError(f"{incident.name} has no look {number} that has ended.")
    return look


# ---- for people -----------------------------------------------------------------------------------------------------


def _row(incident: Incident) -> tuple[str, str, str, str, str]:
    is_now = "open" if incident.is_open else "closed"
    state = NOW.get(incident.state, incident.verdict or incident.state.value.replace("_", " "))
    says = f"{state}: {incident.headline}" if incident.headline else state
    return incident.name, is_now, moment(incident.opened_at), _where(incident), shown(says.split("\n")[0])


def _where(incident: Incident) -> str:
    return shown(f"{incident.cluster}/{incident.node}" if incident.cluster else incident.node)


def _header(incident: Incident, look: Look | None) -> list[str]:
    is_now = "open" if incident.is_open else "closed"
    lines = [f"{incident.name}  {_where(incident)}  {is_now}"]
    if incident.note:
        lines.append(f"  {shown(incident.note)}")
    by = f"by {shown(incident.asked_by.id)} in {shown(incident.channel)}"
    lines.append(f"  Opened {moment(incident.opened_at)}. Last asked {by}, {moment(incident.asked_at)}.")
    if incident.state in NOW:
        since = "" if look is None else f" What follows is from look {look.number}."
        lines.append(f"  The node {NOW[incident.state]} now.{since}")
    if look is not None:
        seconds = f"{look.ended_at - look.started_at:.1f} s"
        lines.append(f"  Look {look.number} of {incident.looks}: {moment(look.started_at)}, took {seconds}.")
    return lines


def _tell(look: Look, *, verbose: bool) -> None:
    from bot import terminal  # noqa: PLC0415 - rich costs start time

    if look.report is not None:
        terminal.show(look.report, sys.stdout, everything=verbose)
        return
    lines = look.why.split("\n")
    typer.echo(f"? {UNSEEN[look.state]}: {shown(lines[0])}")
    for line in lines[1:]:
        typer.echo(f"  {shown(line)}")


# ---- for scripts ----------------------------------------------------------------------------------------------------


def _incident_json(incident: Incident) -> dict[str, Any]:
    return {
        "name": incident.name,
        "cluster": incident.cluster,
        "node": incident.node,
        "channel": incident.channel,
        "asked_by": incident.asked_by.id,
        "asked_at": incident.asked_at,
        "opened_at": incident.opened_at,
        "is_open": incident.is_open,
        "state": incident.state.value,
        "verdict": incident.verdict,
        "headline": incident.headline,
        "worst": incident.worst,
    }


def _look_json(look: Look) -> dict[str, Any]:
    return {
        "number": look.number,
        "state": look.state.value,
        "started_at": look.started_at,
        "ended_at": look.ended_at,
        "why": look.why,
        "diagnosis": dict(look.document) or None,
    }


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=2, allow_nan=False))
