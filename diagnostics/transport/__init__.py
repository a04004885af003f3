"""How a probe gets to a node and its answer back.

The seam is one method: a ``Transport`` runs the probe's stages on one node, and yields their reports as they arrive. It
does not know what the reports mean. Whatever a transport leaves on the node or in the cluster it takes away again, also
when the caller stops listening (closes the generator).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Report = Mapping[str, Any]
"""One stage's answer, as ``diagnostics.probe`` documents it. From a foreign machine: believe nothing in it."""

Tell = Callable[[str], None]
"""Says in a few words what is going on ("debug pod created"), for the progress line.

A transport that waits calls it at least once a second, with an empty text where there is nothing new. Whatever it
raises ends the look: so a look that another rung has won is abandoned, and cleans up after itself.
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What the probe is asked to do.

    ``connect`` is an address that is known to be served, tried with 20 new TCP connections, and ``connect_what`` its
    name ("the API Service"); ``ping`` an address to ping, the node's gateway where it is None.
    """

    exact: bool = False
    deep: bool = False
    sample_entries: int = 8000
    watch_seconds: float = 2.0
    deadline_seconds: float = 30.0
    connect: tuple[str, int] | None = None
    connect_what: str = ""
    ping: str | None = None
    ping_what: str = ""

    def stages(self) -> tuple[str, ...]:
        """The stages in the order they run."""
        return ("look", "watch", "deep") if self.deep else ("look", "watch")

    def argv(self, stage: str, budget: int) -> tuple[str, ...]:
        """The probe's arguments for one stage, with an answer of at most ``budget`` bytes."""
        argv = [stage, "--budget", str(budget), "--deadline", f"{self.deadline_seconds:g}"]
        if stage == "look":
            argv += ["--exact"] if self.exact else ["--sample", str(self.sample_entries)]
        if stage == "watch":
            argv += ["--seconds", f"{self.watch_seconds:g}"]
            if self.connect is not None:
                argv += ["--connect", f"{self.connect[0]},{self.connect[1]}", "--connect-what", self.connect_what]
            if self.ping is not None:
                argv += ["--ping", self.ping, "--ping-what", self.ping_what]
        return tuple(argv)


class Transport(Protocol):
    """A way to one node."""

    @property
    def rung(self) -> str:
        """The rung's name, as the report gives it: "pod", "ssh", "local", "replay"."""

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        """Run the stages of ``order`` and yield each report once it is there, in the order of the stages.

        Raises ``LookError`` where no report can be had. A stage that fails after an earlier one has answered is
        reported by a last report holding only ``{"stage": name, "unknown": {"stage": why}}``.
        """
