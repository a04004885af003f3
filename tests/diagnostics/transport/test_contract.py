"""What every transport promises, whatever the way: one suite for all of them.

A new transport joins by a line in WAYS: a context manager that gives the transport, ready to look at this machine or at
a recording of one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from diagnostics.errors import LookError
from diagnostics.model import Known
from diagnostics.snapshot import snapshot
from diagnostics.transport import Order, Transport
from diagnostics.transport.local import LocalTransport
from diagnostics.transport.replay import ReplayTransport
from diagnostics.transport.ssh import INTERPRETERS, SshSettings, SshTransport
from tests.fakes.sshd import new_key, serving

QUICK = Order(ping="127.0.0.1", sample_entries=50, watch_seconds=0.1, deadline_seconds=20)
Way = Callable[[Path], contextlib.AbstractContextManager[Transport]]


@contextlib.contextmanager
def replay(folder: Path) -> Iterator[Transport]:
    del folder
    yield ReplayTransport(
        [
            {"format": 1, "stage": "look", "node": {"name": "node-8"}, "usage": {"entries": 8000, "limit": 8000}},
            {"format": 1, "stage": "watch", "usage": {"entries": 8000, "limit": 8000}},
        ]
    )


@contextlib.contextmanager
def local(folder: Path) -> Iterator[Transport]:
    del folder
    yield LocalTransport()


@contextlib.contextmanager
def ssh(folder: Path, interpreters: tuple[str, ...] = INTERPRETERS) -> Iterator[Transport]:
    with serving(new_key(folder / "key")) as server:
        (folder / "known_hosts").write_text(server.known_hosts_line())
        known = (folder / "known_hosts",)
        settings = SshSettings(known_hosts=known, port=server.port, key_file=folder / "key", agent=False)
        yield SshTransport(settings, "127.0.0.1", interpreters)


@contextlib.contextmanager
def shell(folder: Path) -> Iterator[Transport]:
    with ssh(folder, interpreters=()) as transport:
        yield transport


WAYS: dict[str, Way] = {"replay": replay, "local": local, "ssh": ssh, "shell": shell}


@pytest.fixture(params=WAYS)
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transport]:
    with WAYS[request.param](tmp_path) as made:
        yield made


def test_it_names_its_rung(transport: Transport) -> None:
    assert transport.rung in {"pod", "ssh", "local", "replay"}


def test_the_stages_answer_in_their_order_with_reports_that_can_be_read(transport: Transport) -> None:
    reports = list(transport.look(QUICK, lambda says: None))
    assert [report["stage"] for report in reports] == ["look", "watch"]
    seen = snapshot(reports)
    assert seen.stages == ("look", "watch")
    assert isinstance(seen.usage, Known) or "usage" in seen.unknown
    assert seen.node.name


def test_progress_is_told_in_few_words(transport: Transport) -> None:
    told: list[str] = []
    list(transport.look(QUICK, told.append))
    assert any(told)
    assert all(len(says) < 120 for says in told)


def test_it_can_be_stopped_after_the_first_report(transport: Transport) -> None:
    reports = transport.look(QUICK, lambda says: None)
    assert next(reports)["stage"] == "look"
    reports.close()  # type: ignore[attr-defined]  # a generator, though the seam promises only an iterator


def test_it_can_look_twice(transport: Transport) -> None:
    for _ in range(2):
        assert len(list(transport.look(QUICK, lambda says: None))) == 2


class AbandonedError(Exception):
    """What the conductor raises in ``tell`` when another rung has answered."""


def test_a_listener_that_gives_up_ends_the_look(transport: Transport) -> None:
    def give_up(says: str) -> None:
        raise AbandonedError

    with pytest.raises(AbandonedError):
        list(transport.look(QUICK, give_up))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "replay"])
def test_a_look_that_another_rung_has_won_ends_in_the_midst_of_a_stage(way: str, tmp_path: Path) -> None:
    has_answered = False

    def abandon(says: str) -> None:
        if has_answered:
            raise AbandonedError

    with WAYS[way](tmp_path) as transport:
        reports = transport.look(replace(QUICK, watch_seconds=15), abandon)
        next(reports)
        has_answered, began = True, time.monotonic()
        with pytest.raises(AbandonedError):
            next(reports)
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(ReplayTransport([]), id="replay"),
        pytest.param(LocalTransport(module="diagnostics.no_such_program"), id="local"),
        pytest.param(LocalTransport(python="/no/such/python"), id="local without python"),
        pytest.param(SshTransport(SshSettings(known_hosts=(), port=1, agent=False), "127.0.0.1"), id="ssh"),
    ],
)
def test_where_no_report_can_be_had_a_look_error_says_why(broken: Transport) -> None:
    with pytest.raises(LookError, match=r"^[A-Z].*[.)]$"):
        list(broken.look(QUICK, lambda says: None))
