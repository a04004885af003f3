"""One bot for all tests that only talk to it: each of them takes a node that nobody else asks about."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from deploy.local.slack.state import Channel
from tests.e2e.scene import Scene, scene

WELL = tuple(f"node-{number}" for number in range(11, 71))
FLEET: dict[str, str | None] = {
    "node-7": "exhausted-by-short-connections",
    "node-6": "hostile-names",
    "node-5": "exhausted-by-idle-connections",
    "node-9": None,
    **dict.fromkeys(WELL, "healthy"),
}
NIGHT = Channel("C0NIGHT", "night-shift", ["U0ALICE", "U0DAN", "U0BOB", "U0CONNTRACK"])
ELSEWHERE = Channel("C0ELSEWHERE", "elsewhere", ["U0ALICE", "U0CONNTRACK"], topic="The bot may not be asked here")


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Slack, the cluster and a bot that runs for all tests of a worker; its log tells no secret."""
    with scene(tmp_path_factory.mktemp("office"), FLEET) as made:
        for channel in (NIGHT, ELSEWHERE):
            made.slack.service.workspace.channels[channel.id] = channel
        made.slack.control("rates", is_on=False)  # people who share a channel would wait for each other
        made.settings["slack"]["channels"] = ["C0INCIDENTS", "C0GENERAL", "C0PARTNERS", "C0PRIVATE", "C0NIGHT"]
        bot = made.start()
        yield made
        bot.kill()  # a clean stop would wait for all that is still to be said
        log = bot.log.read_text()
        assert '"admitted"' in log
        assert made.slack.bot_token not in log
        assert made.slack.app_token not in log


@pytest.fixture
def desk(office: Scene) -> Iterator[Scene]:
    """The same, and whatever a test does there: Slack has nothing to complain of, and nobody was pinged."""
    yield office
    office.slack.control("fault", clear=True)
    assert office.complaints() == []


@pytest.fixture(scope="session")
def unused() -> Callable[[], str]:
    """Names a healthy node that no test has asked about yet."""
    return iter(WELL).__next__
