from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import charts
from bot.charts import apart
from bot.charts.apart import Easel, NotDrawnError
from bot.report import Picture, picture
from diagnostics.model import Diagnosis
from tests.bot.strategies import HOSTILE, diagnoses
from tests.diagnostics.test_nodes import RECORDED, replayed

CHECKOUT = "shop/checkout-7fff96c597-p56qw (Deployment checkout)"
FULL = Picture(
    node="node-8",
    taken_at=1_790_000_000.0,
    entries=8_000,
    limit=8_000,
    holders=((CHECKOUT, 0.97), ("2 others", 0.03)),
    opened=(0.0, 12.0, 441.2, 358.0),
    step_seconds=10.0,
    whose=CHECKOUT,
    what="connections closed",
)


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_a_chart_is_wide_enough_for_a_phone_and_small_enough_to_send() -> None:
    drawn = charts.draw(FULL)
    width, height = size(drawn)
    assert width == 1_200
    assert height <= 1_500
    assert len(drawn) < 500_000


def test_where_nothing_tells_what_was_opened_only_the_holders_are_drawn() -> None:
    alone = Picture("node-8", 0.0, 8_000, 8_000, FULL.holders)
    assert size(charts.draw(alone))[1] < size(charts.draw(FULL))[1] - 300


@pytest.mark.parametrize("names", [HOSTILE[at : at + 7] for at in range(0, len(HOSTILE), 7)], ids=ascii)
def test_any_name_can_be_drawn(names: tuple[str, ...]) -> None:
    """Warnings are errors here: a letter that the font lacks, or a formula that is none, would be one."""
    hostile = "".join(names).encode("utf-8", "replace").decode()
    holders = tuple((name.encode("utf-8", "replace").decode() * 9, 1 / len(names)) for name in names)
    charts.draw(Picture(hostile, 0.0, 1, 0, holders, (1.0, 2.0), 10.0, hostile, hostile))


def test_a_chart_is_told_to_those_who_do_not_see_it() -> None:
    assert charts.described(FULL) == (
        "node-8: 8,000 of 8,000 entries, 100 % full. "
        f"Held by: {CHECKOUT} 97 %, 2 others 3 %. "
        f"Connections closed a second by {CHECKOUT}, in the last 40 s: at most 441, 358 now."
    )


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_every_recorded_node_has_a_picture_or_nobody_who_holds_anything(folder: Path) -> None:
    found = replayed(folder)
    drawn = picture(found)
    assert (drawn is None) == (found.suspects == ())
    if drawn is not None:
        assert charts.described(drawn).startswith(drawn.node)


def test_charts_are_drawn_by_several_threads_at_once() -> None:
    drawn: list[bytes] = []
    threads = [threading.Thread(target=lambda: drawn.append(charts.draw(FULL))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 3
    assert len(set(drawn)) == 1


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(diagnoses())
def test_whatever_is_known_can_be_drawn(found: Diagnosis) -> None:
    drawn = picture(found)
    if drawn is not None:
        charts.draw(drawn)
        charts.described(drawn)


@given(st.floats(), st.integers())
def test_absurd_numbers_have_a_description(number: float, entries: int) -> None:
    assert charts.described(Picture("n", 0.0, entries, entries, (("x", number),), (number,), number, "x"))


@pytest.fixture(scope="module")
def easel() -> Iterator[Easel]:
    made = Easel()
    yield made
    made.close()


def test_a_chart_drawn_by_the_child_is_the_chart(easel: Easel) -> None:
    assert easel.draw(FULL) == charts.draw(FULL)


def test_a_child_that_died_costs_one_chart_at_the_most(easel: Easel) -> None:
    easel.ready()
    os.kill(drawer(easel), signal.SIGKILL)
    with contextlib.suppress(NotDrawnError):  # whether it was found dead before it was asked
        easel.draw(FULL)
    assert size(easel.draw(FULL))[0] == 1_200


def test_a_child_that_takes_too_long_is_ended(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "LONGEST_SECONDS", 0.2)
    easel.ready()
    os.kill(drawer(easel), signal.SIGSTOP)
    with pytest.raises(NotDrawnError, match="ended"):
        easel.draw(FULL)


def test_the_child_ends_with_its_parent_however_that_ended() -> None:
    program = "import os; from bot.charts.apart import Easel; e = Easel(); e.ready(); print(e._child.pid, flush=True)"
    ran = subprocess.run([sys.executable, "-c", f"{program}; os._exit(9)"], stdout=subprocess.PIPE, check=False)
    end = time.monotonic() + 20.0
    while Path(f"/proc/{int(ran.stdout)}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def drawer(easel: Easel) -> int:
    """Who draws."""
    assert easel._child is not None
    return easel._child.pid
