"""What one step of the runbook says, before it gets its name and title."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diagnostics.model import Finding, Reading, Shown, Status
from diagnostics.runbook.case import Case
from diagnostics.runbook.measures import T, why_unknown
from diagnostics.runbook.words import visible


@dataclass(frozen=True, slots=True)
class Said:
    """A finding without its name."""

    status: Status
    says: str
    means: str = ""
    correction: str = ""
    evidence: tuple[Shown, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name in the contract, its title for people, and what it says of a case."""

    name: str
    title: str
    look: Callable[[Case], Said]

    def finding(self, case: Case) -> Finding:
        """The step's finding for a case."""
        said = self.look(case)
        return Finding(self.name, self.title, said.status, said.says, said.means, said.correction, said.evidence)


def not_seen(what: str, reading: Reading[T]) -> Said:
    """A step that could not look. It is never good news, and says why."""
    verb = "" if what.endswith(("was", "were")) else " was"
    return Said(Status.UNKNOWN, f"{what}{verb} not seen: {visible(why_unknown(reading))}.")
