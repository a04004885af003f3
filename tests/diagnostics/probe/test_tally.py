"""Claims about counting: what is large stays right in bounded memory, and the parts sum to the whole."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe import tally
from diagnostics.probe.tally import Entry, Tally

SEEN, ASSURED = tally.SEEN_REPLY, tally.ASSURED


def entry(source: int, destination: int = 1, port: int = 80, status: int = SEEN | ASSURED, state: int = 7) -> Entry:
    from_, to = struct.pack(">I", source), struct.pack(">I", destination)
    return Entry(
        protocol=6,
        source=from_,
        destination=to,
        port=port,
        reply_source=to,
        reply_destination=from_,
        reply_port=port,
        status=status,
        state=state,
    )


def test_one_loud_source_among_a_hundred_thousand_quiet_ones_is_counted_right() -> None:
    counted = Tally({})
    order = [1] * 10_000 + list(range(1000, 101_000))
    random.Random(3).shuffle(order)
    for source in order:
        counted.count(entry(source, destination=source), 1)
        counted.read += 1
    section = counted.section()
    assert section["sources"][0] == {
        "address": "0.0.0.1",
        "entries": 10_000,
        "targets_distinct": 1,
        "states": {"TIME_WAIT": 10_000},
        "assured": 10_000,
        "targets": [["tcp", "0.0.0.1", 80, 10_000]],
        "ages": {},
    }
    assert sum(source["entries"] for source in section["sources"]) + section["sources_other"] == 110_000
    assert section["sources_distinct"] >= 100_001
    assert sum(row[3] for row in section["destinations"]) + section["destinations_other"] == 110_000
    assert len(counted._sources) <= 2 * tally.MOST


def test_a_scanner_of_many_targets_is_seen_as_one() -> None:
    counted = Tally({})
    for number in range(5000):
        counted.count(entry(1, destination=number, port=number % 65536), 1)
        counted.read += 1
    source = counted.section()["sources"][0]
    assert source["entries"] == 5000
    assert source["targets_distinct"] >= 5000


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        pytest.param({}, [], id="plain"),
        pytest.param({"reply_source": b"\1\2\3\4"}, ["dnat"], id="another answers"),
        pytest.param({"reply_port": 8080}, ["dnat"], id="another port answers"),
        pytest.param({"reply_destination": b"\1\2\3\4"}, ["snat"], id="answers go to another"),
        pytest.param({"status": SEEN | ASSURED | 0x30}, ["dnat", "snat"], id="by the kernel's bits"),
        pytest.param({"status": SEEN | ASSURED | 0x4000}, ["offload"], id="offloaded"),
    ],
)
def test_nat_is_told_by_the_tuples_and_by_the_bits(changed: dict[str, object], flags: list[str]) -> None:
    one = entry(1)
    for name, value in changed.items():
        setattr(one, name, value)
    counted = Tally({})
    counted.count(one, 2)
    section = counted.section()
    assert [flag for flag in ("dnat", "snat", "offload") if section[flag] == 2] == flags


@pytest.mark.parametrize(
    ("protocol", "status", "name"),
    [
        (17, SEEN, "UDP"),
        (17, SEEN | ASSURED, "UDP_STREAM"),
        (136, ASSURED, "UDP_STREAM"),
        (1, SEEN, "ICMP"),
        (58, SEEN, "ICMP"),
        (132, SEEN, "SCTP"),
        (47, 0, "OTHER"),
    ],
)
def test_protocols_without_tcp_states_have_a_name_too(protocol: int, status: int, name: str) -> None:
    assert Entry(protocol=protocol, status=status).state_name() == name


def test_a_state_that_this_program_does_not_know_is_none() -> None:
    assert Entry(protocol=6, state=200).state_name() == "NONE"


def ages_of(left: dict[int, int], timeout: int) -> dict[str, Any]:
    counted = Tally({"tcp_time_wait": timeout})
    for remaining, count in left.items():
        counted.age(entry(1), remaining, count)
    section: dict[str, Any] = counted.section()["ages"]["TIME_WAIT"]
    return section


@given(
    st.dictionaries(st.integers(0, 2**32 - 1), st.integers(1, 10**6), min_size=1, max_size=50), st.integers(1, 500_000)
)
def test_a_histogram_loses_nobody(left: dict[int, int], timeout: int) -> None:
    found = ages_of(left, timeout)
    assert sum(found["counts"]) == sum(left.values())
    assert len(found["counts"]) * found["bucket_seconds"] >= timeout


def test_a_steady_rate_of_closing_shows_as_even_ages() -> None:
    found = ages_of(dict.fromkeys(range(120), 73), 120)
    assert found == {"timeout": 120, "bucket_seconds": 10, "counts": [730] * 12}


def test_a_table_of_nothing_but_different_details_is_counted_in_bounded_memory() -> None:
    counted = Tally({"tcp_time_wait": 120, "tcp_established": 432_000})
    draw = random.Random(5)
    for number in range(150_000):
        loud = number % 10 == 0
        one = entry(1 if loud else 1000 + draw.randrange(4000), destination=draw.randrange(2**32), state=3)
        counted.count(one, 1)
        counted.age(one, draw.randrange(432_000), 1)
        counted.read += 1
    assert sum(source.details() for source in counted._sources.values()) <= tally.MOST_DETAILS + 2
    loudest = counted.section()["sources"][0]
    assert (loudest["address"], loudest["entries"]) == ("0.0.0.1", 15_000)
    assert sum(loudest["ages"]["ESTABLISHED"]["counts"]) == 15_000
    assert loudest["targets_distinct"] >= 14_990
