from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.store import Store
from bot.store.looks import UNREADABLE
from bot.store.written import PICTURE, REPORT, text_of, value_of
from tests.bot.store.words import HOSTILE, admitted, asks, claimed, diagnosed, picture, report, unseen


@pytest.mark.parametrize("text", ["said", HOSTILE, ""], ids=["plain", "hostile", "empty"])
def test_a_look_comes_back_as_it_was(store: Store, text: str) -> None:
    admitted(store)
    look = diagnosed(claimed(store), text=text)
    store.finish(look, "w1", is_open=True)
    assert store.looks(1) == (look,)


def test_a_look_that_saw_nothing_comes_back_as_it_was(store: Store) -> None:
    admitted(store)
    look = unseen(claimed(store))
    store.finish(look, "w1", is_open=True)
    assert store.looks(1) == (look,)


def test_looks_come_in_their_order(store: Store) -> None:
    for number in range(3):
        admitted(store, f"r{number}", now=10.0 * number)
        look = diagnosed(claimed(store, now=10.0 * number), at=10.0 * number + 1)
        assert store.finish(look, "w1", is_open=True)
    assert [look.number for look in store.looks(1)] == [1, 2, 3]
    assert store.looks(99) == ()


def test_what_was_not_told_is_anybodys_to_tell_after_the_lease(store: Store) -> None:
    admitted(store)
    look = diagnosed(claimed(store, now=0), at=5)
    store.finish(look, "w1", is_open=True)
    assert store.untold(now=5) == ()  # who made it tells it
    assert store.untold(now=15) == (look,)
    store.told(1, 1)
    assert store.untold(now=15) == ()


def test_a_report_of_another_version_is_said_to_be_unreadable(store: Store) -> None:
    admitted(store)
    store.finish(diagnosed(claimed(store)), "w1", is_open=True)
    with store._database.write() as connection:
        connection.exec_driver_sql("""UPDATE looks SET report = '{"kind": "of tomorrow"}'""")
    look = store.looks(1)[0]
    assert (look.report, look.why) == (None, UNREADABLE)
    assert look.document == {"node": "said"}


@given(st.text(st.characters(), max_size=40))
def test_no_text_is_lost_on_the_way_through_the_database(text: str) -> None:
    assert value_of(REPORT, text_of(REPORT, report(text=text))) == report(text=text)
    assert value_of(PICTURE, text_of(PICTURE, picture(text))) == picture(text)
    assert text_of(REPORT, report(text=text)).isascii()


def test_a_request_of_another_version_is_left_alone(store: Store) -> None:
    store.receive(asks("r1"))
    store.receive(asks("r2"))
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE requests SET content = '{}' WHERE key = 'r1'")
    assert store.next_request("w1", 5, now=0) == asks("r2")
