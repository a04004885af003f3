from __future__ import annotations

from bot.slack.lull import AT_MOST_SECONDS, LULL_SECONDS, Lull


class Clock:
    """Time that passes by sleeping; ``stirring`` is stirred whenever somebody has slept."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stirring: Lull | None = None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds / 2
        if self.stirring:
            self.stirring.stir()
        self.now += seconds / 2


def waited(lull: Lull, clock: Clock) -> float:
    began = clock.now
    lull.wait()
    return clock.now - began


def test_where_nothing_goes_on_nobody_waits() -> None:
    clock = Clock()
    assert waited(Lull(clock.monotonic, clock.sleep), clock) == 0


def test_work_waits_until_nothing_has_come_for_a_moment() -> None:
    clock = Clock()
    lull = Lull(clock.monotonic, clock.sleep)
    lull.stir()
    clock.now += LULL_SECONDS / 2
    lull.stir()
    assert abs(waited(lull, clock) - LULL_SECONDS) < 1e-6
    assert waited(lull, clock) == 0


def test_a_rush_without_an_end_does_not_stop_the_work() -> None:
    clock = Clock()
    lull = clock.stirring = Lull(clock.monotonic, clock.sleep)
    lull.stir()
    assert abs(waited(lull, clock) - AT_MOST_SECONDS) < 1e-6
    assert waited(lull, clock) == 0


def test_after_a_lull_the_next_rush_may_hold_up_the_work_as_long_again() -> None:
    clock = Clock()
    lull = Lull(clock.monotonic, clock.sleep)
    lull.stir()
    clock.now += AT_MOST_SECONDS
    lull.stir()
    assert abs(waited(lull, clock) - LULL_SECONDS) < 1e-6
