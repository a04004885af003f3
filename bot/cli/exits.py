"""How the program ends: the exit statuses, and an error as one plain sentence. It must not know any command."""

from __future__ import annotations

from typing import NoReturn

import typer

from bot.errors import StoreError
from diagnostics.errors import ConfigurationError, TargetError

BROKEN, COULD_NOT_LOOK, USAGE, INTERRUPTED = 1, 1, 2, 130
THEIRS = (TargetError, ConfigurationError, StoreError)


def fail(error: Exception) -> NoReturn:
    """Say what is wrong, and end with the status that says whose turn it is."""
    for line in str(error).split("\n"):
        typer.echo(shown(line), err=True)
    raise typer.Exit(USAGE if isinstance(error, THEIRS) else COULD_NOT_LOOK) from error


def shown(text: str) -> str:
    """Foreign text for a terminal: control characters are visible. In pieces, since ``visible`` cuts what is long."""
    from diagnostics.runbook.words import visible  # noqa: PLC0415 - not needed for --help

    return "".join(visible(text[at : at + 200]) for at in range(0, len(text), 200))
