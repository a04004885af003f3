from __future__ import annotations

import threading
import time

from bot.store.turns import Turns


def waits(turns: Turns, number: int, order: list[int]) -> threading.Thread:
    """A thread that waits for its turn by now."""
    before = len(turns._waiting)

    def take() -> None:
        with turns:
            order.append(number)

    thread = threading.Thread(target=take)
    thread.start()
    while len(turns._waiting) == before:
        time.sleep(0.001)
    return thread


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order = Turns(), list[int]()
    with turns:
        threads = [waits(turns, number, order) for number in range(8)]
    for thread in threads:
        thread.join(5)
    assert order == list(range(8))


def test_never_are_two_inside() -> None:
    turns, inside, most = Turns(), [0], [0]

    def take() -> None:
        for _ in range(200):
            with turns:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)
                inside[0] -= 1

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (most[0], turns._is_taken) == (1, False)


def test_who_gives_up_waiting_leaves_nobody_stuck() -> None:
    turns, order = Turns(), list[int]()
    with turns:
        thread = waits(turns, 1, order)
        gone = threading.Lock()
        turns._waiting.appendleft(gone)
        turns._leave(gone)
    thread.join(5)
    turns._leave(threading.Lock())  # one that was let in at the moment when it gave up
    assert (order, turns._is_taken) == ([1], False)
