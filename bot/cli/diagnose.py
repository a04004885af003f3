"""``diagnose``: look at one node now, and print what is found.

It must not know how a node is looked at, nor how an answer is worded.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bot.cli.exits import INTERRUPTED, fail
from diagnostics.errors import DiagnosticsError

if TYPE_CHECKING:
    from diagnostics.diagnose import Plan
    from diagnostics.model import Diagnosis


class Via(StrEnum):
    """The ways to a node; ``auto`` climbs the ladder."""

    AUTO = "auto"
    POD = "pod"
    SSH = "ssh"
    LOCAL = "local"
    REPLAY = "replay"


class Profile(StrEnum):
    """What the debug pod may do on the node."""

    STANDARD = "standard"
    PRIVILEGED = "privileged"
    MINIMAL = "minimal"


def diagnose(  # noqa: PLR0913, PLR0917 - each is an option of the command line, and typer reads them from here
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="NODE, CLUSTER/NODE, ssh://[USER@]HOST[:PORT], local, or DIR (a recording)."
        ),
    ],
    via: Annotated[Via, typer.Option(help="The way to the node. auto: a debug pod, then SSH.")] = Via.AUTO,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Read the whole table instead of a sample.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also: the node's own processes, pods' own tables. Privileged pod.")
    ] = False,
    record: Annotated[Path | None, typer.Option(metavar="DIR", help="Write down all that was heard.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The configuration.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what is collapsed otherwise.")] = False,
    kubeconfig: Annotated[Path | None, typer.Option(metavar="FILE", help="Another kubeconfig.")] = None,
    context: Annotated[str | None, typer.Option(help="Another context of the kubeconfig.")] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Where the debug pod runs.")] = None,
    image: Annotated[str | None, typer.Option(help="The debug pod's image.")] = None,
    profile: Annotated[Profile | None, typer.Option(help="What the debug pod may do.")] = None,
    ssh_user: Annotated[str | None, typer.Option(metavar="USER", help="Log in as.")] = None,
    ssh_port: Annotated[int | None, typer.Option(metavar="PORT", min=1, max=65535)] = None,
    identity: Annotated[Path | None, typer.Option("--identity", "-i", metavar="FILE", help="SSH key.")] = None,
    known_hosts: Annotated[Path | None, typer.Option(metavar="FILE", help="The host keys to trust.")] = None,
    bastion: Annotated[str | None, typer.Option(metavar="[USER@]HOST[:PORT]", help="Log in through this host.")] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=5, max=600, help="For each stage of the look.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", hidden=True)] = False,
) -> None:
    """Say whether a node's conntrack table is the cause of random timeouts, who fills it, and what helps.

    Reads only: nothing on the node is changed, and the debug pod is deleted.
    """
    profile = profile or (Profile.PRIVILEGED if deep else None)
    sections: dict[str, dict[str, Any]] = {
        "probe": {"namespace": namespace, "image": image, "profile": profile and profile.value},
        "ssh": {
            "user": ssh_user,
            "port": ssh_port,
            "key_file": identity,
            "known_hosts": (known_hosts,) if known_hosts else None,
            "bastion": bastion,
        },
        "look": {"deadline_seconds": timeout},
    }
    asked = {"via": via.value, "exact": exact, "deep": deep, "record_to": record}
    asked |= {"kubeconfig": kubeconfig, "context": context}
    try:
        plan = _planned(target, config, sections, asked)
        _print(_looked(plan), as_json=as_json, verbose=verbose)
    except DiagnosticsError as error:
        if debug:
            raise
        fail(error)
    except KeyboardInterrupt:
        typer.echo("Interrupted. What was started for the look has been taken away.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _planned(target: str, config: Path | None, sections: dict[str, dict[str, Any]], asked: dict[str, Any]) -> Plan:
    from bot import wiring  # noqa: PLC0415 - the clients' imports cost half a second
    from bot.config import changed, load  # noqa: PLC0415 - pydantic costs a tenth of a second

    return wiring.plan(target, changed(load(config), **sections), wiring.Options(**asked))


def _looked(plan: Plan) -> Diagnosis:
    """Look, with the progress on standard error."""
    from bot.report import so_far  # noqa: PLC0415 - only once there is something to look at
    from bot.terminal import Progress  # noqa: PLC0415 - rich costs start time
    from diagnostics.diagnose import diagnose as conduct  # noqa: PLC0415 - the same

    signal.signal(signal.SIGTERM, _interrupt)
    progress = Progress(sys.stderr)
    try:
        return conduct(replace(plan, first=lambda diagnosis: progress.tell(so_far(diagnosis))), progress.tell)
    finally:
        progress.end()


def _interrupt(*_: object) -> NoReturn:
    """SIGTERM ends like Ctrl-C: what was started is taken away first."""
    raise KeyboardInterrupt


def _print(diagnosis: Diagnosis, *, as_json: bool, verbose: bool) -> None:
    from bot import report, terminal  # noqa: PLC0415 - rich costs start time

    if as_json:
        typer.echo(json.dumps(report.to_json(diagnosis), indent=2, allow_nan=False))
        return
    if hasattr(sys.stdout, "reconfigure"):  # an ASCII locale gets "?" for a mark, and never a traceback
        sys.stdout.reconfigure(errors="replace")
    terminal.show(report.report(diagnosis), sys.stdout, everything=verbose)
