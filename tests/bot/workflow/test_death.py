"""Killed at every step of a diagnosis: nothing is lost, and no card says for ever that somebody looks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.model import State
from bot.store import Store
from tests.bot.workflow.crew import Crew, asks, soon
from tests.bot.workflow.dying import WrittenVoice, settings

CHECKOUT = Path(__file__).parents[3]
STEPS = [
    ("store", "next_request", "after"),
    ("gate", "check", "after"),
    ("nodes", "locate", "after"),
    ("store", "admit", "before"),
    ("store", "admit", "after"),
    ("voice", "waiting", "after"),
    ("store", "answered", "before"),
    ("store", "answered", "after"),
    ("store", "claim", "after"),
    ("voice", "looking", "after"),
    ("nodes", "look", "before"),
    ("nodes", "look", "in the middle"),
    ("nodes", "look", "after"),
    ("store", "renew", "after"),
    ("store", "finish", "before"),
    ("store", "finish", "after"),
    ("voice", "ended", "before"),
    ("voice", "ended", "after"),
    ("store", "told", "after"),
]


@pytest.fixture(scope="module")
def lived() -> Iterator[Callable[..., int]]:
    """Lets a process live until a step; how it ended."""
    argv = [sys.executable, "-m", "tests.bot.workflow.dying"]
    with subprocess.Popen(argv, cwd=CHECKOUT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        told, heard = program.stdin, program.stdout

        def live(**step: str) -> int:
            told.write(json.dumps(step) + "\n")
            told.flush()
            return int(next(line for line in heard if line.strip().lstrip("-").isdigit()))

        yield live
        told.close()


@pytest.mark.parametrize(("part", "method", "when"), STEPS, ids=[f"{p} {m} {w}" for p, m, w in STEPS])
def test_whatever_step_it_is_killed_at_the_card_ends(
    lived: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, method: str, when: str
) -> None:
    address = f"sqlite:///{tmp_path / 'bot.db'}"
    store = Store.open(address)
    assert store.receive(asks("1", "node-7"))
    assert lived(address=address, part=part, method=method, when=when) == -signal.SIGKILL
    monkeypatch.setattr("bot.workflow.conductor.POLL_SECONDS", 0.1)
    crew = Crew(store, voice=WrittenVoice(store), settings=settings())
    with crew.working():
        soon(lambda: text_of_the_card(store) == State.DIAGNOSED.value)
        soon(lambda: not store.untold(time.time() + 3600))
        soon(lambda: store.next_request("test", 1.0, time.time() + 3600) is None)
    (incident,) = store.incidents(10)
    assert incident.state is State.DIAGNOSED
    (look,) = store.looks(incident.id)
    assert look.report is not None
    store.close()


def text_of_the_card(store: Store) -> object:
    letter = store.letter("INC-1/card")
    return letter and letter.message.body["text"]
