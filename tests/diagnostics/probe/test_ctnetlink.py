"""Claims about reading netlink dumps: the fast way counts what a slow and plain way counts, and nothing crashes it."""

from __future__ import annotations

import errno
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.probe import ctnetlink, netlink
from diagnostics.probe.tally import Tally
from tests.kernel.tables import message

SAMPLES = Path(__file__).parents[2] / "samples"
TIMEOUTS = {"tcp_time_wait": 120, "tcp_established": 86400, "tcp_syn_sent": 120, "udp": 30, "icmp": 30}

GROUPS: dict[str, dict[str, Any]] = {
    "closing": {"source": "10.244.1.11", "to": "10.96.0.12", "backend": "10.244.9.1", "backend_port": 8080},
    "idle": {"source": "10.244.1.12", "to": "10.96.0.13", "state": "ESTABLISHED", "timeout": 86400},
    "unanswered": {"source": "10.244.1.13", "to": "10.99.0.1", "state": "SYN_SENT", "answered": False},
    "dns": {"protocol": "udp", "source": "10.244.1.14", "to": "10.96.0.10", "port": 53, "backend": "10.244.9.2"},
    "ping": {"protocol": "icmp", "source": "10.244.1.15", "to": "10.96.0.1", "port": 0},
    "six": {"source": "fd00::1", "to": "fd00::2", "port": 443},
    "ping6": {"protocol": "icmpv6", "source": "fd00::1", "to": "fd00::3", "port": 0},
    "sctp": {"protocol": "sctp", "source": "10.244.1.16", "to": "10.96.0.14", "port": 3868},
    "zone": {"source": "10.244.1.17", "to": "10.96.0.15", "zone": 5},
    "mark": {"source": "10.244.1.18", "to": "10.96.0.15", "mark": 7},
    "out": {"source": "10.244.1.19", "to": "203.0.113.7", "port": 443, "snat": "192.168.50.10"},
}
DONE = struct.pack("=IHHIIi", 20, netlink.DONE, 2, 1, 0, 0)


def messages(*names: str, each: int = 3) -> list[bytes]:
    draw = random.Random(1)
    return [message({**GROUPS[name], "count": each}, number, draw) for name in names for number in range(each)]


def read(*buffers: bytes) -> tuple[ctnetlink.Reader, dict[str, Any]]:
    reader = ctnetlink.Reader(Tally(TIMEOUTS))
    for buffer in buffers:
        reader.feed(buffer)
    reader.finish()
    return reader, reader.tally.section()


def plainly(entries: list[bytes]) -> dict[str, Any]:
    """The same by the slow way: each message parsed on its own."""
    tally = Tally(TIMEOUTS)
    for entry in entries:
        tally.count_one(ctnetlink.Layout(entry).whole(entry))
        tally.read += 1
    return tally.section()


def test_a_real_entry_is_read_as_the_kernel_meant_it() -> None:
    entry = bytes.fromhex((SAMPLES / "ctnetlink_entry_dnat.hex").read_text().strip())
    _, table = read(entry + DONE)
    opened = "tcp      6 431999 ESTABLISHED src=10.244.1.11 dst=10.97.0.1 sport=40000 dport=80"
    assert table["rows"] == [f"{opened} src=10.244.9.1 dst=10.244.1.11 sport=8080 dport=40000 [ASSURED]"]
    assert table["sources"][0]["address"] == "10.244.1.11"
    assert table["destinations"] == [["tcp", "10.97.0.1", 80, 1]]
    assert table["backends"] == [["tcp", "10.244.9.1", 8080, 1]]
    assert (table["dnat"], table["snat"], table["assured"], table["unreplied"]) == (1, 0, 1, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(GROUPS)), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
    st.integers(min_value=1, max_value=40),
)
def test_the_fast_way_counts_what_the_plain_way_counts(names: list[str], order: random.Random, per_buffer: int) -> None:
    entries = messages(*names)
    order.shuffle(entries)
    buffers = [b"".join(entries[at : at + per_buffer]) for at in range(0, len(entries), per_buffer)]
    _, fast = read(*buffers, DONE)
    plain = plainly(entries)
    fast.pop("rows"), plain.pop("rows")
    for section in (fast, plain):  # the fast way keeps ages to within five seconds
        section.pop("ages")
        for source in section["sources"]:
            source.pop("ages", None)
    assert fast == plain


def test_layouts_of_one_length_are_told_apart() -> None:
    _, table = read(b"".join(messages("zone", "mark", "zone", each=5)) + DONE)
    assert {source["address"]: source["entries"] for source in table["sources"]} == {
        "10.244.1.17": 10,
        "10.244.1.18": 5,
    }
    assert table["zones"] == {"5": 10, "0": 5}


def test_more_beginnings_than_are_kept_cost_no_entry() -> None:
    entries = []
    for number, entry in enumerate(messages("closing", each=300)):
        entries.append(entry[:8] + struct.pack("=I", number) + entry[12:])  # another sequence number, another beginning
    _, table = read(*entries, DONE)
    assert table["read"] == 300
    assert table["sources"][0]["entries"] == 300


def test_security_contexts_of_many_lengths_are_read_in_one_go_each(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt: list[bytes] = []

    class Counted(ctnetlink.Layout):
        def __init__(self, message: bytes) -> None:
            learnt.append(message)
            super().__init__(message)

    monkeypatch.setattr(ctnetlink, "Layout", Counted)
    entries: list[bytes] = []
    for number, entry in enumerate(messages("closing", each=2000)):
        context = b"x" * 4 * (number % 90 + 1)
        longer = entry[4:8] + struct.pack("=I", 1) + entry[12:] + struct.pack("=HH", 4 + len(context), 19) + context
        entries.append(struct.pack("=I", 4 + len(longer)) + longer)
    _, table = read(*(b"".join(entries[at : at + 100]) for at in range(0, len(entries), 100)), DONE)
    assert (table["read"], len(learnt)) == (2000, 90)


def test_an_entry_picked_up_from_the_servers_side_is_turned_round() -> None:
    group = {"source": "10.244.1.21", "to": "10.244.1.11", "port": 41000, "answered": False, "state": "FIN_WAIT"}
    entry = bytearray(message({**group, "count": 1}, 7056, random.Random(1)))  # source port 8080
    _, table = read(bytes(entry) + b"".join(messages("closing")) + DONE)
    turned = next(
        source for source in table["sources"] if source["address"] == "10.244.1.11" and source["entries"] == 4
    )
    assert ["tcp", "10.244.1.21", 8080, 1] in turned["targets"]


def test_an_error_from_the_kernel_is_kept() -> None:
    reader, _ = read(struct.pack("=IHHIIi", 20, netlink.ERROR, 0, 1, 0, -1))
    assert (reader.done, reader.error) == (True, 1)


def test_a_dump_that_the_kernel_calls_inconsistent_is_not_the_whole_table() -> None:
    first, *others = messages("closing")
    reader, table = read(first[:6] + struct.pack("=H", netlink.INTERRUPTED) + first[8:] + b"".join(others) + DONE)
    assert (table["read"], reader.done, reader.is_interrupted) == (3, True, True)


class Kernel:
    """A netlink socket whose answers are these, one after the other."""

    def __init__(self, *answers: bytes | OSError) -> None:
        self._answers = list(answers)

    def recv(self, most: int) -> bytes:
        answer = self._answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer[:most]


@pytest.mark.parametrize("trouble", [OSError(errno.ENOBUFS, "no room"), TimeoutError("silence")], ids=str)
def test_what_was_read_before_the_kernel_ran_short_is_kept(trouble: OSError) -> None:
    reader = ctnetlink.Reader(Tally(TIMEOUTS))
    ctnetlink.receive(Kernel(b"".join(messages("closing")), trouble), reader, None, None)  # type: ignore[arg-type]  # recv is all it needs
    reader.finish()
    table = reader.tally.section()
    assert (table["read"], table["ended_early"], reader.done) == (3, True, False)


def test_a_kernel_that_has_no_room_from_the_start_is_no_empty_table() -> None:
    reader = ctnetlink.Reader(Tally(TIMEOUTS))
    with pytest.raises(OSError, match="no room"):
        ctnetlink.receive(Kernel(OSError(errno.ENOBUFS, "no room")), reader, None, None)  # type: ignore[arg-type]  # the same


@given(st.binary(max_size=600))
def test_random_bytes_never_crash_it(noise: bytes) -> None:
    _, table = read(noise)
    assert table["read"] >= 0


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_messages_never_crash_it_and_cost_no_other_buffer(data: st.DataObject) -> None:
    sound = b"".join(messages(*GROUPS))
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(min_value=1, max_value=8))):
        at = data.draw(st.integers(min_value=0, max_value=len(damaged) - 1))
        damaged[at] = data.draw(st.integers(min_value=0, max_value=255))
    cut = bytes(damaged[: data.draw(st.integers(min_value=0, max_value=len(damaged)))])
    _, table = read(cut, sound, DONE)
    assert table["read"] + table["unparsed"] >= len(messages(*GROUPS))
    assert sum(source["entries"] for source in table["sources"]) + table["sources_other"] == table["read"]


@pytest.mark.parametrize("cut", range(4, 212, 16))
def test_a_truncated_entry_is_counted_as_not_understood(cut: int) -> None:
    entry = bytes.fromhex((SAMPLES / "ctnetlink_entry_dnat.hex").read_text().strip())
    _, table = read(entry[:cut])
    assert (table["read"], table["unparsed"]) == (0, 1)
