from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from bot.model import Place
from bot.store import Store
from tests.bot.store.words import FORGET_SECONDS, asks, diagnosed


def desk(store: Store, worker: str) -> None:
    while request := store.next_request(worker, 60, now=0):
        store.admit(request, Place("lab", request.named), 1.0, FORGET_SECONDS)
        store.answered(request.key)


def looker(store: Store, worker: str, desks_are_done: Event) -> None:
    while (incident := store.claim(worker, 60, now=1.0)) or not desks_are_done.wait(0.01):
        if incident:
            assert store.renew(incident.id, worker, 60, now=1.0)
            assert store.finish(diagnosed(incident), worker, is_open=True)


def test_desks_and_lookers_that_work_at_once_neither_fail_nor_lose_anything(store: Store) -> None:
    """Three nodes, two channels: people join, ask again and ask elsewhere all the time."""
    for number in range(60):
        store.receive(asks(f"r{number}", f"node-{number % 3}", f"C{number % 2}"))
    desks_are_done = Event()
    with ThreadPoolExecutor(8) as pool:
        lookers = [pool.submit(looker, store, f"looker {number}", desks_are_done) for number in range(4)]
        desks = [pool.submit(desk, store, f"desk {number}") for number in range(4)]
        failures = [one.exception() for one in desks]
        desks_are_done.set()
        failures += [one.exception() for one in lookers]
    assert failures == [None] * 8
    assert not any(incident.state.is_on_its_way for incident in store.incidents(100))
    assert store.verify() == ()
