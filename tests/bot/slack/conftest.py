from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bot.store import Store
from deploy.local.slack.running import LocalSlack, running


@pytest.fixture
def local() -> Iterator[LocalSlack]:
    """A Slack on this machine, which ends every test without a call that Slack does not have."""
    with running(limits_rates=False) as slack:
        yield slack
        assert [call["method"] for call in slack.calls() if call.get("error") == "unknown_method"] == []


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store.open("sqlite://")
    yield store
    store.close()


@pytest.fixture
def soon(local: LocalSlack) -> Callable[[Callable[[], object]], object]:
    """Wait until something is so; generously, since the machine may be busy."""
    return lambda is_so: local.wait_for(is_so, 20.0)
