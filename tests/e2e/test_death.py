"""The bot's process is killed at each step of a diagnosis; the next one ends what was begun, and says nothing twice.

Which step it is at is read from outside, in the database and in what Slack was asked: nothing of the bot knows of it.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.model import State
from bot.store import Store
from deploy.local.kubernetes.faults import Fault
from tests.e2e.scene import Scene, read, scene, until

HELD_SECONDS = 2.5  # longer than a restart, and shorter than a doubtful post is waited for
ENDED_SECONDS = 40.0  # a minute is promised
ON_THE_WAY = ("Looking at", "still looking")
UNDONE = (
    "SELECT count(*) FROM requests WHERE NOT is_done",
    "SELECT count(*) FROM looks WHERE NOT is_told",
    "SELECT count(*) FROM messages WHERE is_due",
    "SELECT count(*) FROM incidents WHERE state IN ('waiting', 'looking')",
)


@pytest.fixture
def incident(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made
        assert made.complaints() == []


@dataclass(frozen=True, slots=True)
class Step:
    """``hold`` makes the step last long enough to be seen; ``is_reached`` sees it."""

    hold: Callable[[Scene], object]
    is_reached: Callable[[Scene], object]


def counted(made: Scene, query: str) -> int:
    """What the database says, read by somebody else."""
    with closing(sqlite3.connect(f"file:{made.folder / 'bot.db'}?mode=ro", uri=True)) as database:
        return int(database.execute(query).fetchone()[0])


def there_is(what: str) -> Callable[[Scene], object]:
    """A row of the database."""
    return lambda made: counted(made, f"SELECT count(*) FROM {what}")  # noqa: S608 - a table of this file's own


def asked(method: str, says: str = "") -> Callable[[Scene], object]:
    """Slack has this call in its hands, and has not answered."""
    return lambda made: any(one["status"] is None and says in str(one["arguments"]) for one in made.slack.calls(method))


def shown(says: str) -> Callable[[Scene], object]:
    """Somebody can read it."""
    return lambda made: any(says in read(one) for one in made.roots())


def slow(method: str, times: int = 1) -> Callable[[Scene], object]:
    """Slack takes its time for it."""
    return lambda made: made.slack.slow(method, HELD_SECONDS, times)


def slow_pod(made: Scene) -> None:
    """The cluster takes its time to make a debug pod."""
    made.kubernetes.faults.append(Fault("POST", "/pods", delay_seconds=HELD_SECONDS))


def one_at_a_time(made: Scene) -> None:
    """Another node is looked at, and takes its time."""
    slow_pod(made)
    made.alice.command("/conntrack node-8")
    until(lambda: there_is("incidents WHERE state = 'looking'")(made))


def nothing(_: Scene) -> None:
    """It lasts long enough."""


STEPS = {
    "received, not answered": Step(slow("users.info"), there_is("requests WHERE NOT is_done")),
    "admitted, waiting behind another": Step(one_at_a_time, there_is("incidents WHERE state = 'waiting'")),
    "the first post is under way": Step(slow("chat.postMessage"), asked("chat.postMessage")),
    "looking, no pod yet": Step(slow_pod, there_is("incidents WHERE state = 'looking'")),
    "looking, the card says so": Step(slow_pod, shown("Looking at node-7")),
    "the first answer is shown": Step(nothing, shown("still looking")),
    "finished, not told": Step(nothing, there_is("looks WHERE NOT is_told")),
    "told, the card still to be edited": Step(
        lambda made: made.slack.slow("chat.update", HELD_SECONDS, 9), there_is("looks WHERE is_told")
    ),
    "the explanation is being posted": Step(slow("chat.postMessage", 9), asked("chat.postMessage", "explanation-1")),
    "before the chart": Step(slow("files.getUploadURLExternal"), asked("files.getUploadURLExternal")),
    "in the middle of the chart": Step(slow("files.completeUploadExternal"), asked("files.completeUploadExternal")),
}
QUICK = ("looking, the card says so", "the first post is under way")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow, id=name) for name in STEPS]
)
def test_whatever_step_it_is_killed_at_the_card_ends_and_nothing_is_said_twice(incident: Scene, name: str) -> None:
    step = STEPS[name]
    incident.settings["serve"]["lookers"] = 1
    bot = incident.start()
    step.hold(incident)
    incident.alice.command("/conntrack node-7")
    incident.slack.wait_for(lambda: step.is_reached(incident), 15.0)
    bot.kill()
    died = time.monotonic()
    incident.slack.control("fault", clear=True)
    incident.kubernetes.faults.clear()
    incident.start()
    until(lambda: sum(counted(incident, query) for query in UNDONE) == 0, ENDED_SECONDS)
    assert time.monotonic() - died < 60.0
    is_told_once(incident)


def is_told_once(made: Scene) -> None:
    """One card for each node, which has an end; no reply twice; all of it in the store, and the audit is whole."""
    roots = until(lambda: [one for one in made.roots() if "look_again" in read(one)])
    assert roots == made.roots()
    asked_about = counted(made, "SELECT count(*) FROM incidents")
    assert len(roots) == asked_about
    assert not any(words in read(one) for one in roots for words in ON_THE_WAY)
    assert sum("node-7 is dropping new connections" in read(one) for one in roots) == 1
    card = next(one for one in roots if "node-7 " in read(one))
    until(lambda: len([one for one in found(card, made) if one.startswith("INC")]) >= 2)
    assert [what for what, times in Counter(found(card, made)).items() if times > 1] == []
    store = Store.open_to_read(f"sqlite:///{made.folder / 'bot.db'}")
    try:
        assert {one.state for one in store.incidents(10)} == {State.DIAGNOSED}
        assert store.verify() == ()
    finally:
        store.close()


def found(card: dict[str, Any], made: Scene) -> list[str]:
    """What stands below a card: the keys of our messages, and the names of files."""
    replies = made.replies(card["ts"], "")
    keys = [one["metadata"]["event_payload"]["key"] for one in replies if one.get("metadata")]
    return keys + [file["name"] for one in replies for file in one.get("files", ())]
