from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.runbook import words


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        (words.count(262_144), "262,144"),
        (words.count(math.nan), "an unknown number of"),
        (words.count(10**5000), "absurdly many"),
        (words.counted(1, "packet", "packets"), "1 packet"),
        (words.counted(0, "packet", "packets"), "0 packets"),
        (words.percent(0), "0 %"),
        (words.percent(0.0001), "0.1 %"),
        (words.percent(0.004), "0.4 %"),
        (words.percent(0.97), "97 %"),
        (words.percent(0.9999), "99.9 %"),
        (words.percent(1), "100 %"),
        (words.percent(math.nan), "an unknown part"),
        (words.points(0.004), "± 1"),
        (words.points(0.02), "± 2"),
        (words.points(math.nan), "± ?"),
        (words.span(0), "0 s"),
        (words.span(0.004), "4 ms"),
        (words.span(0.4), "0.4 s"),
        (words.span(11.2), "11 s"),
        (words.span(180), "3 min"),
        (words.span(7_200), "2 h"),
        (words.span(300_000), "3 days"),
        (words.span(-4), "0 s"),
        (words.span(math.inf), "absurdly many days"),
        (words.span(math.nan), "an unknown time"),
        (words.milliseconds(0.0004), "0.4 ms"),
        (words.milliseconds(math.inf), "an unknown time"),
        (words.memory(3_072_000), "3 MiB"),
        (words.memory(300_000), "0.3 MiB"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.listed(["a"]), "a"),
        (words.listed([]), ""),
        (words.sentence("DNS storm"), "DNS storm"),
        (words.sentence("load test"), "Load test"),
        (words.visible("shop/checkout"), "shop/checkout"),
        (words.visible("é 日本 ✓"), "é 日本 ✓"),
        (words.visible("a\x1b[2J\n"), "a\\x1b[2J\\x0a"),
        (words.visible("\u202e"), "\\u202e"),
        (words.visible("\U000e0041"), "\\U000e0041"),
        (words.visible("x" * 301), "x" * 300 + " …"),
    ],
)
def test_numbers_and_names_are_spelled_for_people(spoken: str, expected: str) -> None:
    assert spoken == expected


@given(st.text())
def test_nothing_that_a_terminal_would_obey_gets_through(text: str) -> None:
    assert words.visible(text).isprintable()
