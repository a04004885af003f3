"""``audit verify`` and ``audit show``: whether the audit is whole, and what stands in it.

It must not know how the chain is made.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.exits import BROKEN, shown
from bot.cli.stored import Config, moment, opened

if TYPE_CHECKING:
    from bot.model import AuditEntry


def verify(config: Config = None) -> None:
    """Check that no line of the audit was changed, removed, inserted or cut off. Exit status 1 where one was."""
    with opened(config) as store:
        faults, head = store.verify(), store.audit_head()
    if faults:
        for fault in faults:
            typer.echo(fault.says, err=True)
        raise typer.Exit(BROKEN)
    typer.echo(f"The audit is whole: {head.number} entries. Digest of the last one: {head.digest}")


def show(
    limit: Annotated[int, typer.Option(min=1, help="How many lines, the newest.")] = 50, config: Config = None
) -> None:
    """Print the audit's newest lines, the oldest of them first."""
    with opened(config) as store:
        entries = store.audit(after=max(0, store.audit_head().number - limit), limit=limit)
    for entry in entries:
        typer.echo(_line(entry))
    if not entries:
        typer.echo("The audit is empty: nothing was asked yet.")


def _line(entry: AuditEntry) -> str:
    about = f"  INC-{entry.incident}" if entry.incident else ""
    detail = json.dumps(dict(entry.detail), sort_keys=True)
    return f"{entry.number}  {moment(entry.at)}  {shown(entry.actor)}  {shown(entry.event)}{about}  {detail}"
