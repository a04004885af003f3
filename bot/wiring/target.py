"""What a person names on the command line, and which ways can lead there.

Pure but for a look whether a folder holds a recording. It must not know how any of them is looked at.
"""

from __future__ import annotations

import difflib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from bot.config import Settings
from diagnostics.errors import TargetError

Via = Literal["auto", "pod", "ssh", "local", "replay"]

THIS_MACHINE = "local"


@dataclass(frozen=True, slots=True)
class Target:
    """What was named: a node of a cluster ("" is the default one), a host to log in to, a recording, this machine."""

    kind: Literal["node", "ssh", "recording", "local"]
    name: str
    cluster: str = ""


def understood(named: str, settings: Settings, via: Via) -> Target:
    """What a target means: NODE, CLUSTER/NODE, ssh://[USER@]HOST[:PORT], local, or a recording's folder."""
    if not named.strip():
        raise TargetError("Name a node, CLUSTER/NODE, ssh://HOST, `local`, or the folder of a recording.")
    if named.startswith("ssh://"):
        _only(via, ("auto", "ssh"), named)
        return Target("ssh", login(named).rpartition("@")[2])
    if named == THIS_MACHINE:
        _only(via, ("auto", "local"), named)
        return Target("local", socket.gethostname())
    if via == "replay" or _is_folder(named):
        _only(via, ("auto", "replay"), named)
        return Target("recording", named)
    name, _, node = named.rpartition("/")
    if name and name not in settings.clusters:
        raise _no_such_cluster(name, settings)
    return Target("node", node, name)


def login(named: str) -> str:
    """The [user@]host[:port] of an ssh:// address. A password in it is refused: it would show in process lists."""
    parts = urlsplit(named)
    if parts.password is not None:
        raise TargetError(
            "No password in an ssh:// address: other users of this machine see it. Use a key or an agent."
        )
    if not parts.netloc or parts.path.strip("/") or parts.query:
        raise TargetError(f"`{named}` is not understood as ssh://[USER@]HOST[:PORT].")
    return parts.netloc


def _is_folder(named: str) -> bool:
    """A folder that is there; or what can only be meant as one, so that its absence is what is complained of."""
    return (
        (Path(named) / "recording.json").is_file() or named.startswith(("/", "./", "../", "~")) or named.count("/") > 1
    )


def _only(via: Via, ways: tuple[str, ...], named: str) -> None:
    if via not in ways:
        raise TargetError(f"`{named}` cannot be looked at by --via {via}: leave that away, or name a node.")


def _no_such_cluster(name: str, settings: Settings) -> TargetError:
    closest = tuple(difflib.get_close_matches(name, settings.clusters, n=3, cutoff=0))
    if not closest:
        return TargetError(
            f"I don't know a cluster `{name}`, and no folder of that name holds a recording: the configuration lists "
            "no clusters. Name the node alone, with --context for another cluster than kubectl's current one."
        )
    return TargetError(f"I don't know a cluster `{name}`. Configured are {', '.join(closest)}.", closest)
