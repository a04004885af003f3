"""The command line: ``conntrack-bot``, and the same program as ``kubectl-conntrack``.

Exit status: 0 done, and for ``diagnose`` that a diagnosis was made, whatever its verdict; 1 the node could not be
looked at, or the audit is not whole; 2 usage or configuration. Commands parse and print, one file for those that
belong together. Heavy imports stand inside functions, so that ``--help`` and mistakes are answered at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli import audit, diagnose, incidents, running

VERSION = "0.1.0"  # pyproject's; a test keeps them equal, and the image has no package metadata to ask
PLUGIN = "kubectl-conntrack"  # kubectl runs it as `kubectl conntrack`


def main() -> None:
    """The program that its own name says: conntrack-bot, or the kubectl plugin."""
    is_plugin = Path(sys.argv[0]).name.startswith(PLUGIN)
    program = _plugin() if is_plugin else _bot()
    program(prog_name="kubectl conntrack" if is_plugin else "conntrack-bot")


def _bot() -> typer.Typer:
    program = _typer("Finds out why everything times out while the network is up: the node's conntrack table is full.")
    program.callback()(_common)
    program.command("diagnose")(diagnose.diagnose)
    program.command("serve")(running.serve)
    program.command("incidents")(incidents.incidents)
    program.command("show")(incidents.show)
    program.command("export")(incidents.export)
    audits = _typer("What was asked, decided and done, each line chained to the one before.")
    audits.command("verify")(audit.verify)
    audits.command("show")(audit.show)
    program.add_typer(audits, name="audit")
    program.command("demo", context_settings={"ignore_unknown_options": True})(running.demo)
    return program


def _plugin() -> typer.Typer:
    """A single command, which typer then takes without its name."""
    program = _typer(None)
    program.command()(diagnose.diagnose)
    return program


def _typer(says: str | None) -> typer.Typer:
    # Plain help: rich costs start time, and a pipe or a dumb terminal gets the same text.
    return typer.Typer(
        help=says, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
    )


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"conntrack-bot {VERSION}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program as a whole. ``version`` has done its work when this runs."""
