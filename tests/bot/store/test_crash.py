"""A process is killed with SIGKILL in the middle of each step; another store takes up what it left."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.model import Place, State
from bot.store import Store
from tests.bot.store.words import FORGET_SECONDS, LEASE_SECONDS, card, diagnosed

ROOT = Path(__file__).parents[3]

# Each step continues the one before; the process dies after the last one that is asked for. All happens at second 0.
STEPS = {
    "received": "store.receive(asks('r1'))",
    "claimed by a desk": "store.next_request('desk', LEASE_SECONDS, 0)",
    "admitted": "admitted(store)",
    "answered": "store.answered('r1')",
    "looking": "incident = claimed(store, 'looker')",
    "finished": "store.finish(diagnosed(incident), 'looker', is_open=True)",
    "half told": "store.say(card())",
    "posting": "store.next_letter('C1', 0)",
}
DIE = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
WORDS = "from tests.bot.store.words import *\nimport sys\nstore = Store.open(sys.argv[1])\n"


def killed(address: str, program: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"{WORDS}{program}\n{DIE}", address], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL


def taken_up(store: Store, now: float) -> None:
    """What the workers of another process do, as far as there is something to do."""
    while request := store.next_request("desk 2", LEASE_SECONDS, now):
        store.admit(request, Place("lab", request.named), now, FORGET_SECONDS)
        store.answered(request.key)
    while incident := store.claim("looker 2", LEASE_SECONDS, now):
        store.finish(diagnosed(incident, at=now), "looker 2", is_open=True)
    for look in store.untold(now + LEASE_SECONDS):
        store.say(card(look.state.value))
        store.told(look.incident, look.number)


@pytest.mark.parametrize("last", STEPS)
def test_whatever_a_killed_process_was_doing_is_taken_up_and_done_once(shared_address: str, last: str) -> None:
    steps = list(STEPS.values())[: list(STEPS).index(last) + 1]
    killed(shared_address, "\n".join(steps))
    store = Store.open(shared_address)
    taken_up(store, now=LEASE_SECONDS)
    (incident,) = store.incidents(10)
    assert (incident.name, incident.state, incident.node) == ("INC-1", State.DIAGNOSED, "node-7")
    assert [look.number for look in store.looks(1)] == [1]
    letter = store.next_letter("C1", now=LEASE_SECONDS)
    assert letter is not None
    assert letter.message.body == {"text": "diagnosed"}
    assert letter.is_doubtful == (last == "posting")
    assert store.next_request("desk 3", LEASE_SECONDS, now=1e9) is None
    assert store.verify() == ()
    store.close()


@pytest.mark.parametrize("last", ["claimed by a desk", "looking"])
def test_nothing_is_taken_from_a_worker_before_its_lease_ends(shared_address: str, last: str) -> None:
    steps = list(STEPS.values())[: list(STEPS).index(last) + 1]
    killed(shared_address, "\n".join(steps))
    store = Store.open(shared_address)
    just_before = LEASE_SECONDS - 0.1
    assert store.next_request("desk 2", LEASE_SECONDS, just_before) is None
    assert store.claim("looker 2", LEASE_SECONDS, just_before) is None
    store.close()


def test_a_process_killed_inside_a_transaction_leaves_nothing_of_it(shared_address: str) -> None:
    inside = """
from bot.store import audit
admitted(store)
with store._database.write() as connection:
    connection.exec_driver_sql("UPDATE incidents SET state = 'looking'")
    audit.add(connection, at=1, actor="bot", event="half", incident=1, detail={})
    """
    killed(shared_address, inside + DIE)
    store = Store.open(shared_address)
    assert [entry.event for entry in store.audit()] == ["opened"]
    assert (store.waiting(), store.verify()) == (1, ())
    store.close()
