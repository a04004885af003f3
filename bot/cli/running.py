"""``serve`` and ``demo``: the bot itself, and a whole incident on this machine.

It must not know what the bot is made of.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.exits import USAGE, fail
from bot.cli.stored import Config
from bot.errors import BotError
from diagnostics.errors import DiagnosticsError

CHECKOUT = Path(__file__).parents[2]


def serve(config: Config = None) -> None:
    """Run the bot, until SIGTERM or Ctrl-C."""
    from bot.config import load  # noqa: PLC0415 - not needed for --help

    try:
        settings = load(config)
        from bot.cli import VERSION  # noqa: PLC0415 - it imports this module
        from bot.wiring import serve as wired  # noqa: PLC0415 - a second, which a mistake need not wait for

        status = wired.serve(settings, VERSION)
    except (BotError, DiagnosticsError) as error:
        fail(error)
    raise typer.Exit(status)


def demo(arguments: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
    """Try it: a local Slack in the browser, and nodes to ask about. Nothing real is touched."""
    if not (CHECKOUT / "deploy" / "local" / "__main__.py").is_file():
        typer.echo(
            "The demo is part of the source tree, not of the installed package: run `make demo` there.", err=True
        )
        raise typer.Exit(USAGE)
    os.chdir(CHECKOUT)
    os.execv(sys.executable, [sys.executable, "-m", "deploy.local", *(arguments or [])])  # noqa: S606 - no shell is wanted
