"""What the workflow needs of others: nodes, a gate, a voice. Each is one small interface with one user.

It must not know who implements them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.model import Incident, Look, Place, Request
from bot.report import Report
from diagnostics.model import Diagnosis
from diagnostics.transport import Tell


class Nodes(Protocol):
    """How nodes are found and looked at; ``bot.wiring`` joins it from ``diagnostics``."""

    def locate(self, named: str) -> Place:
        """The node that a name means: NODE, CLUSTER/NODE, a pod's name or NAMESPACE/POD.

        Raises TargetError with the closest names. Where the cluster does not answer, the name is taken as it is: the
        look will say what could not be seen.
        """

    def look(self, errand: Errand, tell: Tell, first: Callable[[Diagnosis], None]) -> Diagnosis:
        """Look at a node. Raises DiagnosticsError; what ``tell`` raises ends the look, which then cleans up."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One look to be made; the recording goes to a folder.

    The cluster is told for which ``incident`` and whom. ``takes_over``: an earlier try died in the middle.
    """

    place: Place
    exact: bool
    deep: bool
    record_to: Path
    incident: str = ""
    requested_by: str = ""
    takes_over: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a look is: what was heard last, and what the first report said, once it is there."""

    says: str
    seconds: float
    report: Report | None = None


class Voice(Protocol):
    """How the bot speaks. Each call puts messages into the outbox and returns at once; repeating one says it once."""

    def waiting(self, incident: Incident, ahead: int) -> None:
        """A look is to begin; ``ahead`` others come first."""

    def looking(self, incident: Incident, progress: Progress) -> None:
        """A look is going on. Called often; the newest is what counts."""

    def ended(self, incident: Incident, look: Look, earlier: Look | None) -> None:
        """A look has ended: diagnosed, not seen or interrupted. ``earlier`` is the look before, for what got worse."""

    def joined(self, request: Request, incident: Incident) -> None:
        """What was asked for is being looked at already: where to read it."""

    def refused(self, request: Request, says: str) -> None:
        """The request leads to nothing: why, for the eyes of who asked."""


class Gate(Protocol):
    """Who may ask, and where."""

    def check(self, request: Request) -> None:
        """Raises RefusedError with the sentence for who asked."""
