"""The bot as a process, against the local Slack and recorded nodes: how long a person waits, alone and in a crowd."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench import apart
from tests.e2e.scene import CHECKOUT, Bot, Chat, closing_bots, read, settings

EXHAUSTED = "exhausted-by-short-connections"
ROUNDS = 6
PEOPLE = ("alice", "dan", "bob", "carol")
CROWD_NODES = 50
LOOKERS = 8
SETTLED_SECONDS = 4.0  # what is loaded ahead is loaded
REST_SECONDS = 20.0
ENDED = "look_again"  # the button of a card that has ended
Claim = tuple[str, bool]


def command_to_card() -> Iterator[Claim]:
    """One person asks for one node after the other: acknowledgement, first verdict, whole card."""
    nodes = {f"node-{number}": EXHAUSTED for number in range(1, ROUNDS + 1)}
    with _scene(nodes) as made:
        made.start()
        time.sleep(SETTLED_SECONDS)
        waits = [_waited(made, node) for node in nodes]
        acks = _acks(made)
        rivals = [_terminal(made, node) for node in nodes]
    firsts, wholes = ([wait[part] for wait in waits] for part in (0, 1))
    yield f"acknowledged after {_spread(acks, 1000, 'ms')}", max(acks) < 0.2
    yield f"first verdict on the card after {_spread(firsts)}; aim: 2 s", max(firsts) < 2.0
    yield f"whole card after {_spread(wholes)} (the stages of the nodes take 2.5 s of that)", max(wholes) < 6.0
    yield f"`conntrack-bot diagnose`, from its start to its end: {_spread(rivals)}", True


def crowd() -> Iterator[Claim]:
    """Two hundred commands at once, by four people for fifty nodes: each is acknowledged and answered."""
    nodes = {f"node-{number}": EXHAUSTED for number in range(1, CROWD_NODES + 1)}
    with _scene(nodes, lookers=LOOKERS) as made:
        bot = made.start()
        time.sleep(SETTLED_SECONDS)
        began, cpu = time.monotonic(), _cpu_seconds(bot)
        with _watched(bot) as largest:
            _ask_all(made, nodes)
            looked = _until(lambda: _looked(bot) >= CROWD_NODES, 240.0) - began
            shown = _until(lambda: _ended(made) >= CROWD_NODES, 400.0) - began
        acks, begun = _acks(made), _looked(bot)
        whispers = sum(len(made.slack.whispers(person)) for person in PEOPLE)
        cpu = _cpu_seconds(bot) - cpu
    yield _acknowledged(acks)
    yield f"{begun} looks for {CROWD_NODES} nodes, all ended after {looked:.1f} s", begun == CROWD_NODES
    yield f"{whispers} people were told that the look goes on already", whispers == len(acks) - CROWD_NODES
    yield f"all cards show their end after {shown:.1f} s (one new message a second in a channel)", shown < 300.0
    yield f"{cpu:.1f} s of processor time, {cpu / CROWD_NODES:.2f} s for each node", True
    mebibytes = max(largest) / 2**20
    yield f"resident memory at most {mebibytes:.0f} MiB, the process that draws included", mebibytes < 400


def rush() -> Iterator[Claim]:
    """Two hundred commands within a second, and at once, while every looker is at work: the acknowledgements."""
    busy = {f"busy-{number}": EXHAUSTED for number in range(1, LOOKERS + 1)}
    nodes = {f"node-{number}": EXHAUSTED for number in range(1, CROWD_NODES + 1)}
    for within_seconds, says in ((1.0, "within a second"), (0.0, "at once")):
        with _scene(busy | nodes, lookers=LOOKERS) as made:
            made.start()
            time.sleep(SETTLED_SECONDS)
            for node in busy:
                made.alice.command(f"/conntrack {node}")
            time.sleep(1.0)
            _ask_all(made, nodes, within_seconds)
            claim, is_met = _acknowledged(_acks(made)[len(busy) :])
        yield f"{says}: {claim}", is_met


def rest() -> Iterator[Claim]:
    """The bot while nobody asks anything: its start, its processor time, its memory."""
    with _scene({"node-1": EXHAUSTED}) as made:
        began = time.monotonic()
        bot = made.start()
        started = time.monotonic() - began
        time.sleep(10.0)
        before = _cpu_seconds(bot)
        time.sleep(REST_SECONDS)
        share = (_cpu_seconds(bot) - before) / REST_SECONDS
        threads = len(list(Path(f"/proc/{bot.process.pid}/task").iterdir()))
        mebibytes, with_child = bot.resident_bytes() / 2**20, _resident_bytes(bot) / 2**20
    yield f"ready after {started:.1f} s", started < 10.0
    yield f"{share:.1%} of a core while idle; aim: 2 %", share < 0.02
    yield f"{mebibytes:.0f} MiB, {with_child:.0f} with the process that draws; {threads} threads", with_child < 300


@contextlib.contextmanager
def _scene(nodes: Mapping[str, str | None], **serve: Any) -> Iterator[Chat]:
    """The bot, Slack and the cluster, each a process of its own."""
    with (
        tempfile.TemporaryDirectory() as name,
        apart.slack() as slack,
        apart.kubernetes(nodes, Path(name)) as kubeconfig,
    ):
        made = Chat(slack=slack, folder=Path(name), settings=settings(Path(name), slack, kubeconfig, serve))
        with closing_bots(made):
            yield made


def _acks(made: Chat) -> list[float]:
    """How long Slack waited for each command, in the order in which they were sent."""
    sent = [one for one in made.slack.deliveries() if one["type"] == "slash_commands"]
    return [one["ack_seconds"] or 99.0 for one in sent]


def _acknowledged(acks: list[float]) -> Claim:
    seconds = sorted(acks)
    p99 = seconds[int(len(seconds) * 0.99) - 1]
    says = f"{len(seconds)} acknowledged: median {statistics.median(seconds) * 1000:.0f} ms, 99 of 100 within "
    return f"{says}{p99 * 1000:.0f} ms, the slowest {seconds[-1] * 1000:.0f} ms; aim: 200 ms", p99 < 0.2


def _terminal(made: Chat, node: str) -> float:
    """The rival: the same look without the chat."""
    argv = [sys.executable, "-m", "bot", "diagnose", node, "--json", "--config", str(made.folder / "config.yaml")]
    began = time.monotonic()
    subprocess.run(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def _cpu_seconds(bot: Bot) -> float:
    """What the process has computed by now, user and system."""
    fields = Path(f"/proc/{bot.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_bytes(bot: Bot) -> int:
    """Of the bot and of its children."""
    told = " ".join(one.joinpath("children").read_text() for one in Path(f"/proc/{bot.process.pid}/task").iterdir())
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in told.split()]
    return bot.resident_bytes() + sum(pages) * os.sysconf("SC_PAGE_SIZE")


def _waited(made: Chat, node: str) -> tuple[float, float]:
    """Seconds from the command until the first verdict was to be read, and until the card had ended."""
    began = time.monotonic()
    made.alice.command(f"/conntrack {node}")
    first = _until(lambda: f"{node} is dropping" in _card(made, node), 20.0)
    whole = _until(lambda: ENDED in _card(made, node), 20.0)
    return first - began, whole - began


def _card(made: Chat, node: str) -> str:
    return next((text for one in made.roots() if f"{node} " in (text := read(one)) or f"{node}:" in text), "")


def _ended(made: Chat) -> int:
    return sum(ENDED in read(one) for one in made.roots())


def _looked(bot: Bot) -> int:
    return sum(one.get("event") == "looked" for one in bot.lines())


def _ask_all(made: Chat, nodes: Iterable[str], within_seconds: float = 0.0) -> None:
    assert isinstance(made.slack, apart.RemoteSlack)
    questions = [(who, "incidents", f"/conntrack {node}") for node in nodes for who in PEOPLE]
    made.slack.command_all(questions, within_seconds)


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
        self._largest: list[int] = [_resident_bytes(bot)]
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> list[int]:
        self._thread.start()
        return self._largest

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.25):
            self._largest.append(_resident_bytes(self._bot))


def _spread(seconds: list[float], times: float = 1.0, unit: str = "s") -> str:
    digits = 0 if unit == "ms" else 2
    shown = (statistics.median(seconds) * times, max(seconds) * times)
    return f"{shown[0]:.{digits}f} {unit} (at most {shown[1]:.{digits}f} {unit})"
