from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bot.model import Place
from bot.store import Store
from bot.store.chain import Head
from tests.bot.store.words import FORGET_SECONDS, HOSTILE, admitted, asks, claimed, diagnosed

ROOT = Path(__file__).parents[3]


def test_every_change_of_an_incident_stands_in_the_audit(store: Store) -> None:
    admitted(store)
    store.admit(asks("r2", channel="C2"), Place("lab", "node-7"), 1.0, FORGET_SECONDS)
    claimed(store, "w1", now=1)
    store.finish(diagnosed(claimed(store, "w1", now=20)), "w1", is_open=True)
    store.admit(asks("r3", at=10.0), Place("lab", "node-7"), 10.0, FORGET_SECONDS)
    store.finish(diagnosed(claimed(store, "w1", now=11), at=12), "w1", is_open=False)
    assert [(entry.number, entry.actor, entry.event, entry.incident) for entry in store.audit()] == [
        (1, "UALICE", "opened", 1),
        (2, "UALICE", "joined", 1),
        (3, "bot", "look begun", 1),
        (4, "bot", "look begun", 1),
        (5, "bot", "look ended: diagnosed", 1),
        (6, "UALICE", "asked again", 1),
        (7, "bot", "look begun", 1),
        (8, "bot", "look ended: diagnosed", 1),
        (9, "bot", "closed", 1),
    ]
    assert store.verify() == ()


def test_a_line_of_its_own_is_chained_too(store: Store) -> None:
    store.note(HOSTILE, "refused", None, {"named": HOSTILE, "path": Path("/x"), "nested": {"a": (1, 2)}}, now=3)
    store.note("UALICE", "refused", 7, {}, now=4)
    first, second = store.audit()
    assert first.detail == {"named": HOSTILE, "path": "/x", "nested": {"a": [1, 2]}}
    assert second.previous == first.digest
    assert store.verify() == ()
    assert store.audit_head() == Head(2, second.digest)


def test_the_audit_is_read_in_parts(store: Store) -> None:
    for number in range(5):
        store.note("bot", f"event {number}", None, {}, now=number)
    assert [entry.number for entry in store.audit(after=2, limit=2)] == [3, 4]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        pytest.param("UPDATE audit SET actor = 'UEVE' WHERE number = 2", "Entry 2 was changed", id="changed"),
        pytest.param("UPDATE audit SET detail = 'no json' WHERE number = 2", "Entry 2 was changed", id="overwritten"),
        pytest.param("DELETE FROM audit WHERE number = 2", "Entry 2 was removed", id="removed"),
        pytest.param("DELETE FROM audit WHERE number > 1", "Entries 2 to 3 were cut off", id="cut off"),
        pytest.param("DELETE FROM audit_head", "The head of the audit was removed", id="beheaded"),
        pytest.param("UPDATE audit SET number = 9 WHERE number = 3", "Entries 3 to 8 were removed", id="renumbered"),
    ],
)
def test_what_is_done_to_the_rows_is_found(store: Store, statement: str, says: str) -> None:
    for number in range(3):
        store.note("bot", f"event {number}", None, {}, now=number)
    with store._database.write() as connection:
        connection.exec_driver_sql(statement)
    assert says in store.verify()[0].says


def test_a_beheaded_audit_goes_on_and_stays_broken(store: Store) -> None:
    """The bot must not stop for it, and nobody must be able to hide it by going on."""
    store.note("bot", "one", None, {}, now=1)
    with store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM audit_head")
        connection.exec_driver_sql("DELETE FROM audit")
        connection.exec_driver_sql("INSERT INTO audit_head VALUES (1, 7, 'gone')")
    store.note("bot", "two", None, {}, now=2)
    assert store.verify()


WRITES = """
import sys, threading
from bot.store import Store
store = Store.open(sys.argv[1])
def write(thread):
    for number in range(20):
        store.note(f"writer {sys.argv[2]}-{thread}", f"event {number}", None, {}, 1.0)
threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_the_chain_stays_whole_with_many_threads_and_two_processes(shared_address: str) -> None:
    commands = [[sys.executable, "-c", WRITES, shared_address, name] for name in "ab"]
    running = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    assert [one.wait(60) for one in running] == [0, 0]
    store = Store.open(shared_address)
    assert (store.verify(), store.audit_head().number) == ((), 160)
    of_one = [entry.event for entry in store.audit(limit=200) if entry.actor == "writer a-0"]
    assert of_one == [f"event {number}" for number in range(20)]
    store.close()


def test_the_chain_can_be_verified_while_somebody_writes(store: Store) -> None:
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.note("bot", "event", None, {}, now=1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert [store.verify() for _ in range(10)] == [()] * 10
    finally:
        stop.set()
        writer.join()
