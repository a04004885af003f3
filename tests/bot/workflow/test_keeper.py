from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bot.errors import StoreError
from bot.store import Store
from bot.workflow import keeper
from bot.workflow.keeper import Keeper
from tests.bot.store.words import admitted, claimed, diagnosed
from tests.bot.workflow.crew import soon

DAY_SECONDS = 86_400.0


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store.open("sqlite://")
    yield store
    store.close()


def looked_at(store: Store, days_ago: float) -> None:
    at = time.time() - days_ago * DAY_SECONDS
    admitted(store, f"{days_ago}", f"node-{days_ago}", now=at)
    incident = claimed(store, now=at)
    store.finish(diagnosed(incident, at=at), "w1", is_open=False)
    store.told(incident.id, 1)


def test_what_is_older_than_is_kept_is_let_go_and_the_rest_is_not(store: Store) -> None:
    looked_at(store, 91)
    looked_at(store, 89)
    keeping = Keeper(store, 90 * DAY_SECONDS)
    keeping.start()
    try:
        soon(lambda: not store.looks(1)[0].recording)
    finally:
        keeping.stop()
    assert store.looks(2)[0].recording


def test_a_store_that_fails_is_tried_again_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __init__(self) -> None:
            self.tries = 0

        def forget(self, before: float, now: float) -> int:
            self.tries += 1
            if self.tries == 1:
                raise StoreError("The disk is full.")
            return store.forget(before, now)

    monkeypatch.setattr(keeper, "EVERY_SECONDS", 0.01)
    looked_at(store, 91)
    keeping = Keeper(Failing(), 90 * DAY_SECONDS)  # type: ignore[arg-type]  # all that it asks of a store
    keeping.start()
    try:
        soon(lambda: not store.looks(1)[0].recording)
    finally:
        keeping.stop()
