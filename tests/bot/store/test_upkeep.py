from __future__ import annotations

from dataclasses import replace

import pytest

from bot.model import Kind, Message
from bot.store import Store, upkeep
from tests.bot.store.words import admitted, asks, card, claimed, diagnosed, whisper

DAY = 86_400.0


@pytest.fixture
def old(store: Store) -> Store:
    """An incident of day 0 that was told: its card is posted, and a file that nobody could post."""
    admitted(store)
    store.finish(diagnosed(claimed(store)), "w1", is_open=True)
    store.told(1, 1)
    store.say(replace(card(), incident=1))
    letter = store.next_letter("C1", 0.0)
    assert letter is not None
    store.delivered(letter.message.key, letter.version, "17.1")
    store.say(Message("INC-1/chart", "C1", Kind.FILE, {"filename": "x"}, incident=1, under="INC-1/no", file=b"bytes"))
    return store


def forget(store: Store, before: float) -> None:
    while store.forget(before, 100 * DAY):
        pass


def test_of_what_is_old_the_words_stay_and_the_rest_goes(old: Store) -> None:
    forget(old, DAY)

    (look,) = old.looks(1)
    incident = old.incident(1)
    assert incident is not None
    assert (look.recording, look.report is not None, incident.verdict) == (b"", True, "exhausted")
    assert (old.letter("INC-1/card"), old.letter("INC-1/chart")) == (None, None)


def test_what_is_not_old_stays_whole(old: Store) -> None:
    forget(old, -DAY)

    assert old.looks(1)[0].recording == b"packed"
    assert old.letter("INC-1/card") is not None
    assert old.incidents(9, only_open=True)


def test_an_incident_that_nobody_asked_about_for_so_long_is_closed_and_that_is_in_the_audit(old: Store) -> None:
    forget(old, DAY)

    assert old.incidents(9, only_open=True) == ()
    last = old.audit()[-1]
    assert (last.event, last.incident, last.detail) == ("closed", 1, {"because": "nobody asked about it for long"})
    assert old.verify() == ()


def test_what_is_on_its_way_is_never_old(store: Store) -> None:
    admitted(store)
    store.say(replace(card(), incident=1))

    assert store.forget(1000 * DAY, 1000 * DAY) == 0
    assert claimed(store).id == 1
    assert store.letter("INC-1/card") is not None


def test_a_look_that_was_not_told_keeps_its_recording(store: Store) -> None:
    admitted(store)
    store.finish(diagnosed(claimed(store)), "w1", is_open=False)
    forget(store, DAY)
    assert store.looks(1)[0].recording == b"packed"


def test_answered_requests_are_known_again_until_many_more_have_come(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "KNOWN_AGAIN", 3)
    for number in range(6):
        store.receive(asks(f"r{number}"))
        store.say(whisper(key=f"r{number}/refused"))
        if number != 1:  # nobody has answered this one
            store.answered(f"r{number}")
    while (letter := store.next_letter("C1", 0.0)) is not None:
        store.delivered(letter.message.key, letter.version, "whisper")
    forget(store, DAY)

    assert [store.receive(asks(f"r{number}")) for number in range(6)] == [True, False, True, False, False, False]
    assert [store.letter(f"r{number}/refused") is None for number in range(6)] == [True] * 3 + [False] * 3


def test_a_step_is_small_and_says_that_there_is_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "AT_ONCE", 2)
    for number in range(5):
        admitted(store, f"r{number}", f"node-{number}")
        store.finish(diagnosed(claimed(store)), "w1", is_open=False)
        store.told(number + 1, 1)

    assert [store.forget(DAY, DAY) for _ in range(4)] == [2, 2, 1, 0]
