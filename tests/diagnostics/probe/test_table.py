"""Claims about the table's section: what is printed by kernels and tools is understood, and refusals have reasons."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe import ctnetlink, table
from diagnostics.probe.kernel import Unreadable
from diagnostics.probe.tally import row

SAMPLES = Path(__file__).parents[2] / "samples"
TIMEOUTS = {"tcp_time_wait": 120, "tcp_established": 86400, "tcp_close_wait": 60, "udp": 30, "udp_stream": 120}


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel as it answers where CAP_NET_ADMIN is missing."""

    def refuse(*_: Any) -> bool:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(ctnetlink, "dump", refuse)


def root_with(tmp_path: Path, sample: str) -> str:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/nf_conntrack").write_bytes((SAMPLES / sample).read_bytes())
    return str(tmp_path)


@pytest.mark.parametrize(
    ("sample", "entries"),
    [
        pytest.param("proc_net_nf_conntrack.txt", 38, id="small"),
        pytest.param("proc_net_nf_conntrack_acct.txt", 39, id="with counters"),
        pytest.param("full_proc_net_nf_conntrack_head400.txt", 400, id="full"),
        pytest.param("conntrack_-L_default.txt", 38, id="as the tool prints it"),
    ],
)
def test_every_line_of_a_real_table_is_understood(sample: str, entries: int) -> None:
    lines = (SAMPLES / sample).read_bytes().splitlines()
    assert len([line for line in lines if table.parse_proc_line(line)]) == entries


@pytest.mark.usefixtures("refused")
def test_a_full_node_read_from_proc_names_the_pod_that_fills_it(tmp_path: Path) -> None:
    section = table.read(TIMEOUTS, root=root_with(tmp_path, "full_proc_net_nf_conntrack_head400.txt"))
    assert (section["via"], section["read"], section["whole"]) == ("proc", 400, True)
    first = section["sources"][0]
    assert (first["address"], first["entries"]) == ("10.244.1.11", 344)
    assert (section["states"]["TIME_WAIT"], section["states"]["ESTABLISHED"], section["assured"]) == (288, 76, 379)
    assert section["unreplied"] == 10


@pytest.mark.usefixtures("refused")
def test_a_sample_from_proc_stops_where_it_is_told(tmp_path: Path) -> None:
    section = table.read(TIMEOUTS, most=100, root=root_with(tmp_path, "full_proc_net_nf_conntrack_head400.txt"))
    assert (section["read"], section["whole"], section["mode"]) == (100, False, "sample")


@pytest.mark.usefixtures("refused")
def test_zones_and_reversed_entries_of_a_real_table_are_seen(tmp_path: Path) -> None:
    section = table.read(TIMEOUTS, root=root_with(tmp_path, "proc_net_nf_conntrack.txt"))
    assert section["zones"]["5"] == 1
    assert section["families"]["ipv6"] > 0
    assert ["tcp", "10.244.1.21", 8080] in [row[:3] for row in section["destinations"]]
    assert "10.244.1.21" not in {source["address"] for source in section["sources"]}  # the server opened nothing


@pytest.mark.usefixtures("refused")
def test_neither_way_readable_is_a_reason_not_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "sys/module/nf_conntrack").mkdir(parents=True)
    with pytest.raises(Unreadable, match=r"needs CAP_NET_ADMIN; /proc/net/nf_conntrack: not in this kernel"):
        table.read(TIMEOUTS, root=str(tmp_path))


def test_where_nothing_is_tracked_the_kernel_is_not_asked_for_a_table_which_would_load_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctnetlink, "dump", lambda *_: pytest.fail("the kernel was asked"))
    with pytest.raises(Unreadable, match="nf_conntrack is not loaded"):
        table.read(TIMEOUTS, root=str(tmp_path))


@pytest.mark.usefixtures("refused")
def test_a_deadline_that_has_passed_ends_the_reading_and_says_so(tmp_path: Path) -> None:
    root = root_with(tmp_path, "full_proc_net_nf_conntrack_head400.txt")
    section = table.read(TIMEOUTS, most=None, deadline=time.monotonic() - 1, root=root)
    assert section["ended_early"] is True
    assert section["whole"] is False


@pytest.mark.parametrize("line", (SAMPLES / "conntrack_-L_default.txt").read_text().splitlines()[:38])
def test_a_row_is_shown_as_the_tool_prints_it(line: str) -> None:
    entry = table.parse_proc_line(line.encode())
    assert entry is not None
    shown = row(entry).split()
    ignored = ("mark=", "use=", "packets=", "bytes=", "type=", "code=", "id=")
    assert [word for word in line.split() if not word.startswith(ignored)] == shown


@given(st.binary(max_size=400))
def test_random_lines_never_crash_it(line: bytes) -> None:
    entry = table.parse_proc_line(line)
    assert entry is None or entry.source


@given(st.data())
def test_damaged_lines_never_crash_it(data: st.DataObject) -> None:
    lines = (SAMPLES / "proc_net_nf_conntrack_acct.txt").read_bytes().splitlines()
    line = bytearray(data.draw(st.sampled_from(lines)))
    at = data.draw(st.integers(min_value=0, max_value=len(line) - 1))
    line[at : at + data.draw(st.integers(min_value=0, max_value=9))] = data.draw(st.binary(max_size=6))
    entry = table.parse_proc_line(bytes(line))
    if entry is not None:
        row(entry)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may dump; this claim is about everybody else")
def test_without_rights_the_refusal_is_the_kernels_own(tmp_path: Path) -> None:
    (tmp_path / "sys/module/nf_conntrack").mkdir(parents=True)
    with pytest.raises(Unreadable, match="CAP_NET_ADMIN"):
        table.read(TIMEOUTS, root=str(tmp_path))
