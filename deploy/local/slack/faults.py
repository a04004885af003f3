"""What goes wrong on purpose: Slack slow, refusing, failing, or hanging up.

A fault is used up after ``times`` calls. It must not know what the methods do.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Fault:
    """What becomes of the next calls of a method ("*": of any).

    ``error`` is one of Slack's codes; ``status`` an HTTP status, 0 hangs up without an answer; ``retry_after`` makes it
    a 429. ``seconds`` is waited first. ``is_after`` fails only after the call took effect, so that the caller cannot
    know.
    """

    method: str
    error: str = ""
    status: int | None = None
    retry_after: int | None = None
    seconds: float = 0.0
    is_after: bool = False
    times: int = 1

    @property
    def fails(self) -> bool:
        """Whether the caller gets anything but the true answer."""
        return bool(self.error) or self.status is not None or self.retry_after is not None


class Faults:
    """Those still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self.coming: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """One more."""
        self.coming.append(fault)

    def clear(self) -> None:
        """No more of them."""
        self.coming.clear()

    def take(self, method: str) -> Fault | None:
        """The fault for this call, where there is one."""
        for fault in self.coming:
            if fault.method in (method, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self.coming.remove(fault)
                return fault
        return None
