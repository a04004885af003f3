"""The rung "replay": what a node answered once, told again.

The demo and most tests look at nodes this way. It takes the reports and not a folder: what a recording is on disk,
``diagnostics.recording`` knows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from diagnostics.errors import RecordingError
from diagnostics.transport import Order, Report, Tell


class ReplayTransport:
    """Tells recorded reports, ``pause_seconds`` apart so that people can watch."""

    rung = "replay"

    def __init__(self, reports: Sequence[Report], pause_seconds: float = 0.0) -> None:
        self._reports = tuple(reports)
        self._pause_seconds = pause_seconds

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:  # noqa: ARG002 - what was recorded cannot be asked again
        """Yield all recorded reports, whatever was ordered."""
        if not self._reports:
            raise RecordingError("The recording holds no report: the node did not answer when it was made.")
        for report in self._reports:
            tell(f"reading the recorded {report.get('stage') or 'report'}")
            time.sleep(self._pause_seconds)
            yield report
