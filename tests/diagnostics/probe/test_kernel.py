from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe import kernel

NETFILTER = "proc/sys/net/netfilter"

STATS_NEW = """\
entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  \
expect_new expect_create expect_delete search_restart
00000026  00000003 00000000 00000000 00000002 00000000 00000000 00000001 00000000 0000000a 0000000f 00000000 00000000  \
00000000 00000000 00000000 00000000
00000026  00000000 00000000 00000000 00000004 00000000 00000000 00000000 00000000 00000001 00000010 00000002 00000000  \
00000000 00000000 00000000 00000007
"""
STATS_OLD = """\
entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  \
expect_new expect_create expect_delete
000000ff  0000ffff 00000001 00000005 00000002 00000000 00000000 00000009 00000004 00000000 0000000c 00000000 00000000  \
00000000 00000000 00000000
"""


def machine(root: Path, files: dict[str, str]) -> str:
    """A file tree of a made-up machine."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(root)


def attribute(kind: int, value: int) -> bytes:
    return struct.pack("=HH", 8, kind) + struct.pack("!I", value)


def stats_message(cpu: int, values: dict[int, int]) -> tuple[int, bytes]:
    return 0x104, struct.pack("!BBH", 0, 0, cpu) + b"".join(attribute(*pair) for pair in values.items())


def test_statistics_are_read_by_the_names_of_the_heading_and_kept_by_cpu() -> None:
    found = kernel.columns_of(STATS_NEW)
    assert found["drop"] == [15, 16]
    assert found["insert_failed"] == [10, 1]
    assert found["chaintoolong"] == [1, 0]
    assert found["clash_resolve"] == [3, 0]
    assert found["search_restart"] == [0, 7]
    assert "new" not in found


def test_an_old_kernels_columns_do_not_pass_for_newer_counters() -> None:
    found = kernel.columns_of(STATS_OLD)
    assert found["drop"] == [12]
    assert found["insert"] == [4]
    assert not {"chaintoolong", "clash_resolve", "search_restart"} & set(found)


@pytest.mark.parametrize(
    "content", ["", "entries drop\n", "what is this\n1 2 3\n"], ids=["empty", "no rows", "garbage"]
)
def test_statistics_without_counters_are_unreadable_not_zero(content: str) -> None:
    with pytest.raises(kernel.Unreadable):
        kernel.columns_of(content)


def test_netlinks_statistics_are_ordered_by_cpu() -> None:
    answer = [stats_message(1, {10: 5, 11: 2, 15: 1}), stats_message(0, {10: 7, 11: 0, 15: 0})]
    assert kernel.per_cpu_of(answer) == {"drop": [7, 5], "early_drop": [0, 2], "chaintoolong": [0, 1]}


def test_a_counter_that_this_kernel_lacks_is_missing_not_zero() -> None:
    assert set(kernel.per_cpu_of([stats_message(0, {10: 7})])) == {"drop"}


@given(st.lists(st.tuples(st.integers(0, 70000), st.binary(max_size=80)), max_size=4))
def test_random_netlink_answers_are_read_or_refused(answer: list[tuple[int, bytes]]) -> None:
    for parse in (kernel.per_cpu_of, kernel.fill_of):
        with contextlib.suppress(kernel.Unreadable):
            parse(answer)


@given(st.text(max_size=400))
def test_random_text_never_crashes_a_parser(content: str) -> None:
    with contextlib.suppress(kernel.Unreadable):
        assert all(value >= 0 for values in kernel.columns_of(content).values() for value in values)
    assert all(value >= 0 for value in kernel.memory_of(content).values())
    assert (kernel.entry_bytes_of(content) or 0) >= 0


def test_count_and_limit_come_from_netlinks_big_endian_answer() -> None:
    assert kernel.fill_of([(0x105, struct.pack("!BBH", 0, 0, 0) + attribute(1, 60300) + attribute(2, 262144))]) == (
        60300,
        262144,
    )


def test_usage_says_entries_limit_and_what_an_entry_costs(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {
            f"{NETFILTER}/nf_conntrack_count": "262144\n",
            f"{NETFILTER}/nf_conntrack_max": "262144\n",
            f"{NETFILTER}/nf_conntrack_buckets": "65536\n",
            "proc/meminfo": "MemTotal:       16000 kB\nMemAvailable:    4000 kB\nHugePages_Total:   0\n",
            "proc/slabinfo": "slabinfo - version: 2.1\nnf_conntrack_expect 0 0 208 39\nnf_conntrack 1 2 320 25 2\n",
        },
    )
    assert kernel.usage(root) == {
        "entries": 262144,
        "limit": 262144,
        "buckets": 65536,
        "entry_bytes": 320,
        "memory_total": 16000 * 1024,
        "memory_available": 4000 * 1024,
    }


def test_the_object_size_of_old_kernels_is_found_under_their_name() -> None:
    assert kernel.entry_bytes_of("nf_conntrack_ffffffff81a1f2c0 4800 5202 304 26 2 : tunables\n") == 304


def test_missing_memory_facts_cost_no_usage(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {f"{NETFILTER}/nf_conntrack_count": "7\n", f"{NETFILTER}/nf_conntrack_max": "0\n", "proc/slabinfo": "\0"},
    )
    found = kernel.usage(root)
    assert (found["entries"], found["limit"]) == (7, 0)
    assert found["buckets"] is found["entry_bytes"] is found["memory_available"] is None


@pytest.mark.parametrize("look", [kernel.usage, kernel.timeouts, kernel.settings, kernel.counters])
def test_a_machine_without_conntrack_is_told_in_words(look: Any, tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/uptime": "5.0 1.0\n", f"{NETFILTER}/nf_log/0": "NONE\n"})
    with pytest.raises(kernel.Unreadable, match=kernel.NOT_LOADED):
        look(root)


def test_timeouts_are_named_by_state_and_settings_hold_the_rest(tmp_path: Path) -> None:
    names = {
        "nf_conntrack_tcp_timeout_time_wait": "120",
        "nf_conntrack_udp_timeout": "30",
        "nf_conntrack_udp_timeout_stream": "120",
        "nf_conntrack_icmp_timeout": "30",
        "nf_conntrack_tcp_be_liberal": "1",
        "nf_conntrack_count": "5",
        "nf_conntrack_max": "10",
        "nf_log_all_netns": "0",
    }
    root = machine(tmp_path, {f"{NETFILTER}/{name}": value + "\n" for name, value in names.items()})
    assert kernel.timeouts(root) == {"tcp_time_wait": 120, "udp": 30, "udp_stream": 120, "icmp": 30}
    assert kernel.settings(root) == {"tcp_be_liberal": 1}


@pytest.mark.parametrize(
    "value",
    ["", "-1", "99999999999999999999999", "٣", "1_000", "0x10", "\0\xff", "12 34", "1e9"],
    ids=["empty", "negative", "too wide", "other digits", "underscore", "hex", "binary", "two", "float"],
)
def test_an_absurd_sysctl_is_left_out_and_costs_no_other(value: str, tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        {f"{NETFILTER}/nf_conntrack_tcp_timeout_close": value, f"{NETFILTER}/nf_conntrack_tcp_timeout_last_ack": "30"},
    )
    assert kernel.timeouts(root) == {"tcp_last_ack": 30}
