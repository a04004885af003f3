"""The bot as a process, against the local Slack and recorded nodes: how long a person waits, alone and in a crowd."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.scene import Bot, Scene, read, scene

EXHAUSTED = "exhausted-by-short-connections"
ROUNDS = 6
PEOPLE = ("alice", "dan", "bob", "carol")
CROWD_NODES = 50
ENDED = "look_again"  # the button of a card that has ended
Claim = tuple[str, bool]


def command_to_card() -> Iterator[Claim]:
    """One person asks for one node after the other: acknowledgement, first verdict, whole card."""
    nodes = {f"node-{number}": EXHAUSTED for number in range(1, ROUNDS + 1)}
    with tempfile.TemporaryDirectory() as folder, scene(Path(folder), nodes) as made:
        made.start()
        time.sleep(3.0)  # what is loaded ahead is loaded
        waits = [_waited(made, node) for node in nodes]
        acks = [one["ack_seconds"] for one in made.slack.deliveries() if one["type"] == "slash_commands"]
    firsts, wholes = ([wait[part] for wait in waits] for part in (0, 1))
    yield f"acknowledged after {_spread(acks, 1000, 'ms')}", max(acks) < 0.2
    yield f"first verdict on the card after {_spread(firsts)}; aim: 2 s", max(firsts) < 2.0
    yield f"whole card after {_spread(wholes)} (the stages of the nodes take 2.5 s of that)", max(wholes) < 6.0


def crowd() -> Iterator[Claim]:
    """Two hundred commands at once, by four people for fifty nodes: each is acknowledged and answered."""
    nodes: dict[str, str | None] = {f"node-{number}": EXHAUSTED for number in range(1, CROWD_NODES + 1)}
    with tempfile.TemporaryDirectory() as folder, scene(Path(folder), nodes, lookers=8) as made:
        bot = made.start()
        time.sleep(3.0)
        with _watched(bot) as largest:
            began = time.monotonic()
            _ask_all(made, [(person, node) for node in nodes for person in PEOPLE])
            looked = _until(lambda: _looked(bot) >= CROWD_NODES, 240.0) - began
            shown = _until(lambda: _ended(made) >= CROWD_NODES, 400.0) - began
        acks = [one["ack_seconds"] or 99.0 for one in made.slack.deliveries() if one["type"] == "slash_commands"]
        begun, whispers = _looked(bot), sum(len(made.slack.whispers(person)) for person in PEOPLE)
    seconds = sorted(acks)
    p99 = seconds[int(len(seconds) * 0.99) - 1]
    says = f"{len(seconds)} acknowledged: median {statistics.median(seconds) * 1000:.0f} ms, 99 of 100 within "
    yield f"{says}{p99 * 1000:.0f} ms, the slowest {seconds[-1] * 1000:.0f} ms; aim: 200 ms", p99 < 0.2
    yield f"{begun} looks for {CROWD_NODES} nodes, all ended after {looked:.1f} s", begun == CROWD_NODES
    yield f"{whispers} people were told that the look goes on already", whispers == len(acks) - CROWD_NODES
    yield f"all cards show their end after {shown:.1f} s (one new message a second in a channel)", shown < 300.0
    mebibytes = max(largest) / 2**20
    yield f"resident memory at most {mebibytes:.0f} MiB", mebibytes < 400


def _waited(made: Scene, node: str) -> tuple[float, float]:
    """Seconds from the command until the first verdict was to be read, and until the card had ended."""
    began = time.monotonic()
    made.alice.command(f"/conntrack {node}")
    first = _until(lambda: f"{node} is dropping" in _card(made, node), 20.0)
    whole = _until(lambda: ENDED in _card(made, node), 20.0)
    return first - began, whole - began


def _card(made: Scene, node: str) -> str:
    return next((text for one in made.roots() if f"{node} " in (text := read(one)) or f"{node}:" in text), "")


def _ended(made: Scene) -> int:
    return sum(ENDED in read(one) for one in made.roots())


def _looked(bot: Bot) -> int:
    return sum(one.get("event") == "looked" for one in bot.lines())


def _ask_all(made: Scene, questions: list[tuple[str, str]]) -> None:
    with ThreadPoolExecutor(len(questions)) as crowded:
        for answer in [crowded.submit(made.slack.as_(who).command, f"/conntrack {node}") for who, node in questions]:
            answer.result()


def _until(is_so: Callable[[], object], seconds: float) -> float:
    """When it became so."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic()


class _watched:  # noqa: N801 - used as a function
    """The bot's resident memory while the block lasts, four times a second."""

    def __init__(self, bot: Bot) -> None:
        self._bot, self._is_over = bot, threading.Event()
        self._largest: list[int] = [bot.resident_bytes()]
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> list[int]:
        self._thread.start()
        return self._largest

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.25):
            self._largest.append(self._bot.resident_bytes())


def _spread(seconds: list[float], times: float = 1.0, unit: str = "s") -> str:
    digits = 0 if unit == "ms" else 2
    shown = (statistics.median(seconds) * times, max(seconds) * times)
    return f"{shown[0]:.{digits}f} {unit} (at most {shown[1]:.{digits}f} {unit})"
