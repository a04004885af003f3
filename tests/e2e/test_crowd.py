"""Everybody asks at once: each is acknowledged and answered, and each node is looked at once.

How fast is measured elsewhere (``make bench``), since a busy machine is no defect.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.scene import Scene, scene, until

PEOPLE = ("alice", "dan", "bob", "carol")
FEW_NODES, MANY_NODES = 8, 50


def ask_all(made: Scene, nodes: list[str]) -> None:
    """Four commands for each node, all on their way before the first is answered."""
    questions = [(who, node) for node in nodes for who in PEOPLE]
    with ThreadPoolExecutor(len(questions)) as crowd:
        for asked in [crowd.submit(made.slack.as_(who).command, f"/conntrack {node}") for who, node in questions]:
            asked.result()


def looked_at(made: Scene) -> Counter[str]:
    lines = [line for bot in made.bots for line in bot.lines()]
    return Counter(str(line["node"]) for line in lines if line.get("event") == "looked")


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(FEW_NODES, id="for eight nodes"),
        pytest.param(MANY_NODES, id="two hundred for fifty nodes", marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
def test_of_a_crowd_each_is_acknowledged_and_answered_and_each_node_is_looked_at_once(
    tmp_path: Path, count: int
) -> None:
    nodes = [f"node-{number}" for number in range(1, count + 1)]
    with scene(tmp_path, dict.fromkeys(nodes, "healthy"), lookers=16) as made:
        bot = made.start()
        ask_all(made, nodes)
        commands = [one for one in made.slack.deliveries() if one["type"] == "slash_commands"]
        assert [one["outcome"] for one in commands] == ["acked"] * count * len(PEOPLE)
        joined = count * (len(PEOPLE) - 1)
        until(lambda: sum(len(made.slack.whispers(who)) for who in PEOPLE) >= joined, 60.0)
        until(lambda: len(made.roots()) >= count, 30.0 + 2.0 * count)  # one message a second in a channel
        until(lambda: sum(looked_at(made).values()) >= count, 30.0 + 2.0 * count)
        assert looked_at(made) == Counter(nodes)
        assert sum(len(made.slack.whispers(who)) for who in PEOPLE) == joined
        assert len(made.roots()) == count
        assert bot.resident_bytes() < 300 * 2**20
