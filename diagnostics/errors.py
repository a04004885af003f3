"""The errors of this package: whose fault, and what to tell the person.

    DiagnosticsError
    ├── TargetError            the person named something that is not there (exit status 2)
    ├── ConfigurationError     a file or setting is wrong (exit status 2)
    ├── LookError              the node could not be looked at this way (exit status 1)
    │   ├── ClusterError       the Kubernetes API refused, or did not answer
    │   ├── PodError           the debug pod did not run, or did not answer
    │   ├── SshError           no session, or no answer within it
    │   └── RecordingError     a recording that cannot be read
    └── EnvelopeError          an answer came, and it is damaged

Every text is a sentence a person can act on: what was seen, what it means, what to do. Foreign exceptions are
translated into these where they enter, with the original as the cause.
"""

from __future__ import annotations

from typing import Literal


class DiagnosticsError(Exception):
    """Anything that goes wrong in this package. ``str(error)`` is a whole sentence for the person who asked."""


class TargetError(DiagnosticsError):
    """The target does not exist or cannot be understood. ``closest`` holds similar names that do exist."""

    def __init__(self, says: str, closest: tuple[str, ...] = ()) -> None:
        super().__init__(says)
        self.closest = closest


class ConfigurationError(DiagnosticsError):
    """A setting is missing, wrong or not understood."""


class LookError(DiagnosticsError):
    """The node could not be looked at this way. Another way may still work."""


ClusterFault = Literal[
    "forbidden",
    "conflict",
    "not_found",
    "budget",
    "overloaded",
    "invalid",
    "unreachable",
    "timeout",
    "unauthorized",
    "ambiguous",
    "server",
]


class ClusterError(LookError):
    """The Kubernetes API refused or did not answer.

    ``kind`` is for programs. ``ambiguous`` means that the request may have been carried out: read the state again,
    never repeat it blindly. ``status`` is the HTTP status, 0 where there was none.
    """

    def __init__(self, says: str, kind: ClusterFault, status: int = 0) -> None:
        super().__init__(says)
        self.kind = kind
        self.status = status


class PodError(LookError):
    """The debug pod was refused, did not start, crashed or fell silent."""


class SshError(LookError):
    """No SSH session could be had, or the session gave no answer."""


class RecordingError(LookError):
    """A recording is missing, damaged or of another version."""


class EnvelopeError(DiagnosticsError):
    """An answer came back cut, altered or of an unknown version. It is never used in part."""
