"""A recording is told again as it was heard."""

from __future__ import annotations

import time

import pytest

from diagnostics.errors import RecordingError
from diagnostics.transport import Order, Report
from diagnostics.transport.replay import ReplayTransport

REPORTS: list[Report] = [{"stage": "look", "usage": 1}, {"stage": "watch"}, {"stage": "deep"}]


def test_everything_recorded_is_told_whatever_was_ordered() -> None:
    assert list(ReplayTransport(REPORTS).look(Order(deep=False), lambda says: None)) == REPORTS


def test_the_pause_is_kept_before_each_report() -> None:
    started = time.monotonic()
    list(ReplayTransport(REPORTS, pause_seconds=0.05).look(Order(), lambda says: None))
    assert time.monotonic() - started >= 0.15


def test_a_recording_of_silence_is_an_error_and_no_healthy_node() -> None:
    with pytest.raises(RecordingError, match="holds no report"):
        list(ReplayTransport([]).look(Order(), lambda says: None))
