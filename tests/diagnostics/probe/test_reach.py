from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe import reach
from diagnostics.probe.procfs import Unreadable


@pytest.fixture
def server() -> Iterator[tuple[str, int]]:
    """A served address: the kernel completes the handshakes, as long as the queue has room."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield listening.getsockname()[:2]


@pytest.fixture
def full() -> Iterator[socket.socket]:
    """A server whose SYNs are dropped: its queue has room for one, and that is taken."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    with listening, socket.create_connection(listening.getsockname()):
        yield listening


@pytest.fixture
def full_server(full: socket.socket) -> tuple[str, int]:
    host, port = full.getsockname()[:2]
    return host, port


def test_connections_to_a_served_address_all_succeed(server: tuple[str, int]) -> None:
    found = reach.connect(*server, "the API Service")
    assert (found["attempts"], found["connected"], found["failed"], found["retransmitted"]) == (20, 20, {}, 0)
    assert len(found["seconds"]) == 20
    assert max(found["seconds"]) < 0.5
    assert found["what"] == "the API Service"


def test_our_own_connections_end_by_a_reset_so_that_they_leave_no_closing_entries_behind() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listening:
        assert reach.connect("127.0.0.1", listening.getsockname()[1], "a server", attempts=1)["connected"] == 1
        accepted = listening.accept()[0]
        with accepted, pytest.raises(ConnectionResetError):
            accepted.recv(1)


def test_a_refusal_is_no_timeout(server: tuple[str, int]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        found = reach.connect("127.0.0.1", bound.getsockname()[1], "a closed port", attempts=3)
    assert found["failed"] == {"refused": 3}


def test_dropped_packets_are_timeouts_and_all_are_waited_for_at_once(full_server: tuple[str, int]) -> None:
    began = time.monotonic()
    found = reach.connect(*full_server, "a full queue", attempts=20, timeout_seconds=0.3)
    assert found["failed"] == {"timeout": 20}
    assert time.monotonic() - began < 2.0


def test_a_success_after_a_lost_packet_is_counted_as_such(full: socket.socket) -> None:
    """The queue gets room after the first SYN was dropped, and before it is sent again."""
    accepted: list[socket.socket] = []
    room = threading.Timer(0.3, lambda: accepted.append(full.accept()[0]))
    room.start()
    host, port = full.getsockname()[:2]
    found = reach.connect(host, port, "a busy server", attempts=1)
    room.join()
    accepted[0].close()
    assert (found["connected"], found["retransmitted"]) == (1, 1)


def test_a_deadline_cuts_short_and_what_it_cut_has_not_failed(full_server: tuple[str, int]) -> None:
    began = time.monotonic()
    found = reach.connect(*full_server, "a full queue", deadline=began + 0.1)
    assert found["attempts"] == 0
    assert found["failed"] == {}
    assert time.monotonic() - began < 0.5


def test_all_sockets_are_closed_again(server: tuple[str, int], full_server: tuple[str, int]) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # the number counts, not the paths
    reach.connect(*server, "")
    reach.connect(*full_server, "", timeout_seconds=0.1)
    reach.connect(*full_server, "", deadline=time.monotonic() + 0.1)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  # the number counts, not the paths


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("kubernetes.default", 443),
        ("10.0.0.1", 70000),
        ("10.0.0.1", -1),
        ("", 1),
        ("fe80::1%no-such-link", 1),
        ("1.2.3", 1),
    ],
    ids=["a name", "port too high", "port too low", "nothing", "an unknown zone", "half an address"],
)
def test_what_is_no_address_is_refused_in_words(address: str, port: int) -> None:
    with pytest.raises(Unreadable, match="no address to reach"):
        reach.connect(address, port, "")


def may_ping() -> bool:
    try:
        reach._require_ping(socket.AF_INET)
    except Unreadable:
        return False
    return True


@pytest.mark.skipif(not may_ping(), reason="needs root, CAP_NET_RAW or a group in net.ipv4.ping_group_range")
def test_a_ping_of_this_machine_is_answered_from_fresh_sockets() -> None:
    found = reach.ping("127.0.0.1", "this machine")
    assert (found["sent"], found["answered"], found["failed"]) == (3, 3, {})
    assert max(found["seconds"]) < 0.5


def test_without_the_right_to_ping_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(family: int) -> tuple[socket.socket, bool]:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(reach, "_icmp_socket", refuse)
    with pytest.raises(Unreadable, match=r"CAP_NET_RAW or net\.ipv4\.ping_group_range"):
        reach.ping("127.0.0.1", "")


def test_a_refused_send_is_a_failure_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(family: int, where: object, number: int) -> reach.Started:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(reach, "_require_ping", lambda family: None)
    monkeypatch.setattr(reach, "_echo", refuse)
    found = reach.ping("127.0.0.1", "the gateway")
    assert (found["sent"], found["answered"], found["failed"]) == (3, 0, {"EPERM": 3})


def test_the_request_carries_a_valid_checksum() -> None:
    packet = reach.echo_request(socket.AF_INET, 7, 1)
    assert reach.checksum(packet) == 0
    assert len(packet) == 64


IP_HEADER = b"\x45" + b"\0" * 19


@pytest.mark.parametrize(
    ("packet", "is_raw", "identity", "answers"),
    [
        (IP_HEADER + struct.pack("!BBHHH", 0, 0, 0, 7, 1), True, 7, True),
        (IP_HEADER + struct.pack("!BBHHH", 0, 0, 0, 8, 1), True, 7, False),
        (IP_HEADER + struct.pack("!BBHHH", 8, 0, 0, 7, 1), True, 7, False),
        (struct.pack("!BBHHH", 0, 0, 0, 9, 1), False, None, True),
        (struct.pack("!BBHHH", 0, 0, 0, 9, 2), False, None, False),
        (b"", True, 7, False),
    ],
    ids=["raw", "another's id", "our own request", "datagram", "another number", "empty"],
)
def test_only_the_answer_to_our_own_request_counts(
    packet: bytes, is_raw: bool, identity: int | None, answers: bool
) -> None:
    assert reach.echo_answers(packet, socket.AF_INET, is_raw, identity, 1) is answers


@given(st.binary(max_size=120), st.booleans())
def test_random_packets_never_crash(packet: bytes, is_raw: bool) -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        reach.echo_answers(packet, family, is_raw, 7, 1)


def test_no_gateway_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no default gateway"):
        reach.default_gateway(str(tmp_path))
