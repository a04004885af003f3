from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe import ring
from diagnostics.probe.procfs import Unreadable

OWN, OTHER = 4026531833, 4026532246
FULL = "nf_conntrack: table full, dropping packet"


@pytest.mark.parametrize(
    ("line", "at", "netns"),
    [
        ("<4>[ 2609.687571] nf_conntrack: nf_conntrack: table full, dropping packet", 2609.687571, None),
        (
            "[ 2609.687571] nf_conntrack: nf_conntrack: table full in netns 4026532246, dropping packet",
            2609.687571,
            OTHER,
        ),
        ("<4>[12345678.000001] nf_conntrack: table full, dropping packet", 12345678.000001, None),
        ("[    0.100000] nf_conntrack: table full, dropping packet.", 0.1, None),
        ("<4>[   12.000000][   T12] nf_conntrack: nf_conntrack: table full, dropping packet", 12.0, None),
        ("<4>[   12.000000][    C0] nf_conntrack: nf_conntrack: table full, dropping packet", 12.0, None),
        ("[   99.500000] ip_conntrack: table full, dropping packet.", 99.5, None),
        ("<4>nf_conntrack: table full, dropping packet", None, None),
    ],
    ids=["6.18", "other netns", "old uptime", "3.x", "caller thread", "caller cpu", "2.6", "printk.time off"],
)
def test_every_form_of_the_line_counts_once(line: str, at: float | None, netns: int | None) -> None:
    log = ring.lines_of("[    0.000000] Linux version\n" + line + "\n")
    found = ring.summary(log, OTHER if netns else OWN, True, names_netns=False)
    assert found["table_full"] == 1
    assert found["last_at"] == at
    assert [shown["netns"] for shown in found["lines"]] == ([netns] if at is not None else [])


@pytest.mark.parametrize(
    "line",
    [
        "[ 1.0] nf_conntrack: falling back to vmalloc.",
        "[ 1.0] nf_conntrack version 0.5.0 (65536 buckets, 262144 max)",
        "[ 1.0] neighbour: arp_cache: neighbor table overflow!",
        "[ 1.0] kvm: table full, dropping packet",
    ],
)
def test_other_lines_are_not_a_full_table(line: str) -> None:
    assert ring.summary(ring.lines_of(line), OWN, True, names_netns=True)["table_full"] == 0


@pytest.mark.parametrize(
    ("own", "is_init", "names_netns", "own_lines", "others"),
    [
        (OWN, True, True, 1, 2),
        (OTHER, False, True, 2, 1),
        (OTHER, False, False, 2, 1),  # a line of this log names one, so the kernel names all
        (None, None, False, 1, 2),
    ],
    ids=["the machine's own", "another, new kernel", "another, seen from the log", "unknown"],
)
def test_lines_of_other_namespaces_are_told_apart(
    own: int | None, is_init: bool | None, names_netns: bool, own_lines: int, others: int
) -> None:
    log = ring.lines_of(
        f"[ 5.0] {FULL}\n"
        f"[ 6.0] nf_conntrack: nf_conntrack: table full in netns {OTHER}, dropping packet\n"
        f"[ 7.0] nf_conntrack: nf_conntrack: table full in netns {OTHER}, dropping packet\n"
    )
    found = ring.summary(log, own, is_init, names_netns)
    assert (found["table_full"], found["other_netns"]) == (own_lines, others)
    assert found["last_at"] == (7.0 if own_lines == 2 else 5.0)


def test_on_a_kernel_that_names_no_namespace_an_unnamed_line_may_be_ours() -> None:
    assert ring.summary(ring.lines_of(f"[ 5.0] {FULL}"), OTHER, False, names_netns=False)["table_full"] == 1


def test_no_line_is_a_finding_with_the_buffers_beginning() -> None:
    found = ring.summary(
        ring.lines_of("[  100.0] eth0: link up\n[  200.0] eth0: link down\n"), OWN, True, names_netns=True
    )
    assert (found["table_full"], found["last_at"], found["first_at"], found["lines"]) == (0, None, 100.0, [])


def test_suppressed_messages_are_summed_whoever_suppressed_them() -> None:
    log = ring.lines_of(
        "[ 1.0] net_ratelimit: 3465 callbacks suppressed\n[ 2.0] __ratelimit: 35 callbacks suppressed\n"
        "[ 3.0] net_ratelimit: many callbacks suppressed\n[ 4.0] callbacks suppressed\n"
    )
    assert ring.summary(log, OWN, True, names_netns=True)["suppressed"] == 3500


def test_only_the_newest_lines_are_shown_newest_last() -> None:
    log = ring.lines_of("\n".join(f"[ {second}.0] {FULL}" for second in range(20)))
    found = ring.summary(log, OWN, True, names_netns=True)
    assert found["table_full"] == 20
    assert [line["at"] for line in found["lines"]] == [15.0, 16.0, 17.0, 18.0, 19.0]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("neighbour: arp_cache: neighbor table overflow!", "neighbour"),
        ("Neighbour table overflow.", "neighbour"),
        ("TCP: out of memory -- consider tuning tcp_mem", "tcp_memory"),
        ("TCP: too many orphaned sockets", "tcp_memory"),
        ("TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.", "syn_flooding"),
    ],
)
def test_lines_of_other_causes_are_counted_by_name(line: str, name: str) -> None:
    related = ring.summary([(1.0, line)], OWN, True, names_netns=True)["related"]
    assert {each for each, count in related.items() if count} == {name}


def test_records_of_dev_kmsg_bear_microseconds_and_ignore_continuations() -> None:
    records = (
        "4,2016,2609687571,-;nf_conntrack: nf_conntrack: table full, dropping packet\n SUBSYSTEM=net\n"
        "6,2017,2609700000,-,caller=T1;eth0: up\n"
    )
    assert ring.records_of(records) == [
        (2609.687571, "nf_conntrack: nf_conntrack: table full, dropping packet"),
        (2609.7, "eth0: up"),
    ]


def test_lines_without_a_time_count_but_have_none() -> None:
    found = ring.summary(ring.lines_of(f"<4>{FULL}\n"), OWN, True, names_netns=True)
    assert (found["table_full"], found["undated"], found["last_at"], found["lines"]) == (1, 1, None, [])


def test_a_text_in_brackets_is_not_taken_for_a_time() -> None:
    assert ring.lines_of("<6>[drm] Initialized") == [(None, "[drm] Initialized")]


def test_a_machine_without_a_log_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="/dev/kmsg: not there"):
        ring.lines(str(tmp_path))


def test_the_log_is_read_from_records_where_only_they_are_there(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "kmsg").write_bytes(b"4,1,5000000,-;" + FULL.encode() + b"\n\xff\xfe;\n")
    assert ring.lines(str(tmp_path)) == [(5.0, FULL)]


@given(st.text(max_size=300))
def test_random_text_never_crashes_the_parsers(text: str) -> None:
    for log in (ring.lines_of(text), ring.records_of(text)):
        found = ring.summary(log, OWN, None, names_netns=False)
        assert found["table_full"] >= 0
        assert found["suppressed"] >= 0


@given(
    st.from_regex(
        r"\A(<[0-9]{1,3}>)?\[ ?[0-9]{0,14}\.[0-9]{0,10}\] "
        r"nf_conntrack: table full in netns [0-9]{1,30}, dropping packet\Z"
    )
)
def test_hostile_numbers_in_a_line_are_bounded(line: str) -> None:
    found = ring.summary(ring.lines_of(line), OWN, True, names_netns=True)
    assert found["table_full"] + found["other_netns"] == 1
    assert all(shown["netns"] is None or shown["netns"] < 2**63 for shown in found["lines"])


def test_what_says_nothing_is_left_out_but_for_the_first_line() -> None:
    log = """<6>[    0.000000] Linux version 6.18
<6>[    1.000000] systemd[1]: hello
<4>[    2.000000] nf_conntrack: nf_conntrack: table full, dropping packet
<4>[    3.000000] net_ratelimit: 12 callbacks suppressed
<6>[    4.000000] TCP: request_sock_TCP: Possible SYN flooding on port 80."""
    assert ring.lines_of(ring.telling(log)) == [line for line in ring.lines_of(log) if "hello" not in line[1]]


def test_an_empty_log_has_no_lines() -> None:
    assert ring.telling("") == ""
