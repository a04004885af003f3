from __future__ import annotations

import pytest
import sqlalchemy

from bot.errors import StoreError
from bot.store import Store
from tests.bot.store.conftest import POSTGRES, emptied


def test_a_program_with_a_database_of_its_own_may_always_speak(store: Store) -> None:
    assert store.may_speak("C1")
    assert store.may_speak("C1")
    store.hush("C1")
    store.hush("C2")
    assert store.may_speak("C1")


@pytest.fixture
def pair() -> tuple[Store, Store]:
    address = emptied(POSTGRES)
    return Store.open(address), Store.open(address)


needs_postgres = pytest.mark.skipif(
    not POSTGRES, reason="needs an empty PostgreSQL database, named by STORE_TEST_POSTGRES"
)


@pytest.mark.database
@needs_postgres
def test_of_two_programs_one_at_a_time_speaks_in_a_channel(pair: tuple[Store, Store]) -> None:
    one, other = pair
    assert [one.may_speak("C1"), other.may_speak("C1"), one.may_speak("C1")] == [True, False, True]
    assert other.may_speak("C2"), "channels do not wait for each other"

    one.hush("C1")
    assert [other.may_speak("C1"), one.may_speak("C1")] == [True, False]
    other.close()
    assert one.may_speak("C1"), "who is gone does not speak"
    one.close()


@pytest.mark.database
@needs_postgres
def test_who_has_lost_the_database_has_lost_the_floor(pair: tuple[Store, Store]) -> None:
    one, other = pair
    assert one.may_speak("C1")
    engine = sqlalchemy.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        connection.execute(sqlalchemy.text(mine))
    engine.dispose()

    with pytest.raises(StoreError):
        one.may_speak("C1")
    assert other.may_speak("C1")
    assert not one.may_speak("C1")
    one.close()
    other.close()
