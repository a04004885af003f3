"""Knocking gets through where one patient connect does not, and says plainly why where nothing does."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diagnostics.errors import SshError
from diagnostics.transport.knock import _Knocks, knock, knock_through


@contextlib.contextmanager
def listening(family: socket.AddressFamily = socket.AF_INET, backlog: int = 64) -> Iterator[socket.socket]:
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((address, 0), family=family, backlog=backlog) as server:
        yield server


@contextlib.contextmanager
def silent_port() -> Iterator[tuple[int, socket.socket]]:
    """A port that answers no SYN, as a full node does: its listen queue is full, and nobody accepts."""
    with listening(backlog=0) as server:
        port = server.getsockname()[1]
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        time.sleep(0.05)
        try:
            yield port, server
        finally:
            for filler in fillers:
                filler.close()


def open_sockets() -> int:
    descriptors = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own descriptor is gone by now
            descriptors += str(entry.readlink()).startswith("socket:")
    return descriptors


def test_a_healthy_host_opens_at_the_first_knock() -> None:
    with listening() as server:
        started = time.monotonic()
        opened = knock("127.0.0.1", server.getsockname()[1], seconds=5)
        assert time.monotonic() - started < 0.5
        accepted, _ = server.accept()
        opened.sendall(b"hello")
        assert accepted.recv(5) == b"hello"
        assert opened.getblocking()
        opened.close()
        accepted.close()


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="needs IPv6 on this machine")
def test_ipv6_is_knocked_at_too() -> None:
    with listening(socket.AF_INET6) as server, knock("::1", server.getsockname()[1], seconds=5) as opened:
        assert opened.getpeername()[0] == "::1"


def test_silence_is_told_with_the_number_of_knocks() -> None:
    with (
        silent_port() as (port, _),
        pytest.raises(SshError, match=r"answered none of [45]\d knocks within 1 s") as caught,
    ):
        knock("127.0.0.1", port, seconds=1.2)
    assert "--via pod" in str(caught.value)


def make_room(server: socket.socket) -> None:
    for _ in range(2):
        server.accept()[0].close()


def test_a_fresh_knock_comes_through_when_the_queue_has_room_again() -> None:
    with silent_port() as (port, server):
        timer = threading.Timer(0.5, make_room, [server])
        timer.start()
        started = time.monotonic()
        knock("127.0.0.1", port, seconds=5).close()
        assert 0.4 < time.monotonic() - started < 1.0, "a retransmission would have come after a whole second"
        timer.join()


def test_after_some_silence_it_knocks_more_often() -> None:
    with silent_port() as (port, _), pytest.raises(SshError, match="none of") as caught:
        knock("127.0.0.1", port, seconds=3)
    found = re.search(r"none of (\d+) knocks within 3 s", str(caught.value))
    assert found is not None
    assert 400 < int(found[1]) <= 1090, "80 in the first two seconds, and up to 1,000 in the third"


def test_the_ports_of_many_knocks_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each port is an entry of 120 s in the conntrack table of this machine."""
    monkeypatch.setattr("diagnostics.transport.knock.FRESH_PORTS_AT_MOST", 30)
    ports: list[int] = []
    monkeypatch.setattr(_Knocks, "_let_go", _telling(ports))
    with silent_port() as (port, _), pytest.raises(SshError):
        knock("127.0.0.1", port, seconds=2.2)
    assert len(ports) > 60
    assert len(set(ports)) < 60  # 30, and those that were waiting when the first were free again


def _telling(ports: list[int]) -> Callable[[_Knocks, int, int | None], None]:
    let_go = _Knocks._let_go

    def telling(knocks: _Knocks, number: int, error: int | None) -> None:
        ports.append(knocks._waiting[number].getsockname()[1])
        let_go(knocks, number, error)

    return telling


def test_no_socket_is_left_open() -> None:
    with silent_port() as (port, _):
        before = open_sockets()
        with pytest.raises(SshError):
            knock("127.0.0.1", port, seconds=0.5)
        assert open_sockets() == before


def test_refusal_is_told_at_once_and_is_not_called_silence() -> None:
    with listening() as server:
        port = server.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(SshError, match="refuses connections: no SSH server listens there"):
        knock("127.0.0.1", port, seconds=20)
    assert time.monotonic() - started < 1.0


def test_an_address_that_cannot_be_reached_is_told_at_once() -> None:
    with pytest.raises(SshError, match=r"could be opened from this machine|cannot be reached"):
        knock("255.255.255.255", 22, seconds=20)


def test_a_name_without_address_is_told() -> None:
    with pytest.raises(SshError, match=r"No address is known for the name no-such-host\.invalid"):
        knock("no-such-host.invalid", 22, seconds=1)


def test_progress_is_told_once_a_second() -> None:
    told: list[str] = []
    with silent_port() as (port, _), pytest.raises(SshError):
        knock("127.0.0.1", port, seconds=1.1, tell=told.append)
    assert len(told) == 1
    assert re.fullmatch(rf"knocking at 127\.0\.0\.1 port {port}: 4\d times, no answer yet", told[0])


class Opened:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_through_a_bastion_the_first_wins_and_the_others_are_closed() -> None:
    opened: list[Opened] = []

    def open_one(patience_seconds: float) -> Opened | None:
        time.sleep(0.2)
        opened.append(Opened())
        return opened[-1]

    winner = knock_through(open_one, "node-8", seconds=5)
    time.sleep(0.5)
    assert not winner.is_closed
    assert len(opened) > 1
    assert [one for one in opened if not one.is_closed] == [winner]


def test_through_a_bastion_silence_is_knocked_at_again() -> None:
    patience: list[float] = []

    def open_one(patience_seconds: float) -> Opened | None:
        patience.append(patience_seconds)
        time.sleep(0.02)
        return Opened() if len(patience) > 50 else None

    knock_through(open_one, "node-8", seconds=5)
    assert len(patience) > 50
    assert set(patience) == {0.3}


def test_through_a_bastion_a_definite_no_ends_it() -> None:
    def open_one(patience_seconds: float) -> Opened | None:
        raise SshError(f"the bastion says {os.strerror(errno.ECONNREFUSED)}")

    with pytest.raises(SshError, match="the bastion says Connection refused"):
        knock_through(open_one, "node-8", seconds=5)


def test_through_a_bastion_silence_is_told() -> None:
    def open_one(patience_seconds: float) -> Opened | None:
        time.sleep(0.1)
        return None

    with pytest.raises(SshError, match=r"node-8 answered none of \d+ knocks"):
        knock_through(open_one, "node-8", seconds=0.5)
