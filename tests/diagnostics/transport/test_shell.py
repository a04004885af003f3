"""The shell's answer says what the probe would have said, as far as it goes; garbage from a host never crashes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.model import Known
from diagnostics.snapshot import snapshot
from diagnostics.transport import Order
from diagnostics.transport.shell import MARK, SCRIPT, argv, parse

SAMPLES = Path(__file__).parent / "shell"


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


def printed(stage: str = "look", **sections: str) -> str:
    """What the script prints: each section under its mark; "_" stands for a blank in a name."""
    parts = {f"begin {stage}": "", **{name.replace("_of_", " "): body for name, body in sections.items()}, "end": ""}
    return "".join(f"\n{MARK}{name}\n{body}" for name, body in parts.items())


def look(**sections: str) -> dict[str, Any]:
    report = parse(printed(**sections), "look")
    assert report is not None
    return report


def test_usage_and_memory_are_read() -> None:
    report = look(count="7999\n", max="8000\n", buckets="262144\n", meminfo="MemTotal:  1000 kB\nMemAvailable: 10 kB\n")
    assert report["usage"] == {
        "entries": 7999,
        "limit": 8000,
        "buckets": 262144,
        "entry_bytes": None,
        "memory_total": 1024000,
        "memory_available": 10240,
    }


def test_counters_are_read_by_the_names_of_their_columns() -> None:
    reading = look(uptime="2609.68 5000.00\n", stat=sample("proc_net_stat_nf_conntrack.txt"), count="38\n")["counters"][
        0
    ]
    assert (reading["at"], reading["entries"], reading["invalid"], reading["drop"]) == (2609.68, 38, 6, 0)
    assert reading["per_cpu"]["drop"] == [0, 0]


def test_a_watch_has_two_readings() -> None:
    stat = sample("proc_net_stat_nf_conntrack.txt")
    text = printed("watch", uptime="10.0 1\n", stat=stat, count="1\n", max="2\n", again="", end="")
    text = text.replace(f"\n{MARK}end\n", "") + f"\n{MARK}uptime\n12.5 1\n\n{MARK}stat\n{stat}\n{MARK}end\n"
    report = parse(text, "watch")
    assert report is not None
    assert [reading["at"] for reading in report["counters"]] == [10.0, 12.5]
    assert "reach" in report["unknown"]
    assert "partial" not in report


def test_timeouts_and_settings_are_told_apart() -> None:
    report = look(
        sysctls="tcp_timeout_time_wait 120\nudp_timeout_stream 120\ngeneric_timeout 600\nacct 0\ncount 3\nodd x\n"
    )
    assert report["timeouts"] == {"tcp_time_wait": 120, "udp_stream": 120, "generic": 600}
    assert report["settings"] == {"acct": 0}


def test_the_table_is_counted_as_the_probe_counts_it() -> None:
    table = look(rows_of_proc=sample("proc_net_nf_conntrack.txt"))["table"]
    assert (table["read"], table["unparsed"], table["via"], table["mode"]) == (38, 0, "proc", "sample")
    assert table["families"]["ipv6"] > 0
    assert sum(source["entries"] for source in table["sources"]) + table["sources_other"] == 38
    assert table["sources"][0]["address"] == "10.244.1.11"


def test_the_tools_rows_count_as_the_kernels_do() -> None:
    by_tool = look(rows_of_conntrack=sample("conntrack_extended.txt"))["table"]
    by_kernel = look(rows_of_proc=sample("proc_net_nf_conntrack.txt"))["table"]
    assert by_tool["via"] == "conntrack"
    assert by_tool["states"] == by_kernel["states"]
    assert by_tool["destinations"] == by_kernel["destinations"]


def test_sctp_gre_and_udplite_are_understood() -> None:
    rows = "\n".join(line for line in sample("other_protocols.txt").splitlines() if not line.startswith("#"))
    table = look(rows_of_proc=rows + "\n")["table"]
    assert table["unparsed"] == 0
    assert {"sctp", "gre", "udplite", "udp"} <= set(table["protocols"])


def test_a_row_that_was_cut_does_not_count() -> None:
    whole = sample("proc_net_nf_conntrack.txt").splitlines(keepends=True)
    table = look(rows_of_proc="".join(whole[:3]) + whole[3][:40])["table"]
    assert (table["read"], table["unparsed"]) == (3, 0)


def test_the_kernel_log_is_read() -> None:
    log = sample("dmesg.txt")
    report = look(log=log, netns="net:[4026532314]\n", release="6.18.44\n", name="n\n", uptime="9 9\n", initial="no\n")
    assert report["kernel_log"]["table_full"] == log.count("table full in netns 4026532314")
    assert report["kernel_log"]["suppressed"] > 0


@pytest.mark.parametrize(
    ("sections", "name", "says"),
    [
        (
            {"unreadable_of_kernel_log": "dmesg: read kernel buffer failed: Operation not permitted\n"},
            "kernel_log",
            "root",
        ),
        ({"unreadable_of_table": "/proc/net/nf_conntrack: not permitted\n"}, "table", "not permitted"),
        ({"unreadable_of_count": "/proc/sys/net/netfilter/nf_conntrack_count: not there\n"}, "usage", "not there"),
        ({"count": "many\n", "max": "8000\n"}, "usage", "no numbers"),
        ({"stat": "nonsense", "uptime": "1 1"}, "counters", "no counters"),
        ({"stat": sample("proc_net_stat_nf_conntrack.txt"), "uptime": "nan 1"}, "counters", "no number"),
    ],
)
def test_what_could_not_be_read_is_unknown_with_its_reason(sections: dict[str, str], name: str, says: str) -> None:
    report = look(**sections)
    assert name not in report
    assert says in report["unknown"][name]


def test_an_answer_that_ends_early_is_partial() -> None:
    whole = printed(count="1\n", max="2\n")
    report = parse(whole.replace(f"{MARK}end", ""), "look")
    assert report is not None
    assert report["partial"] is True


@pytest.mark.parametrize("text", ["", "Welcome to node-8!", printed("watch"), f"{MARK}begin looking"])
def test_what_is_no_answer_to_this_stage_is_none(text: str) -> None:
    assert parse(text, "look") is None


NAMES = [
    "uptime", "stat", "count", "max", "buckets", "meminfo", "boot_id", "route", "name", "release", "time", "cpus",
    "netns", "initial", "addresses", "sysctls", "log", "rows proc", "rows conntrack", "again", "end",
]  # fmt: skip
WORDS = st.one_of(
    st.text(max_size=60),
    st.sampled_from([
        "9" * 5000, "-1", "1e400", "0x10", "ffffffffffffffff", "nan", "²", "1.5.2", "net:[99999999999999999999]",
        "eth0 00000000 FFFFFFFFFFFF 0 0 0 x 00000000", "2: eth0 inet /", "tcp_timeout_x 99999999999999999999",
        "ipv4 2 tcp 6 999999999999 TIME_WAIT src=1 dst=2 sport=99999 dport=1 src=1 dst=2",
        "[99999999999999.1] nf_conntrack: table full in netns 99999999999999999999999999, dropping packet",
        "entries clashres drop early_drop\nzz zz", "drop\nffffffffffffffffffffffffffff",
    ]),
)  # fmt: skip


@given(parts=st.lists(st.tuples(st.sampled_from(NAMES), st.lists(WORDS, max_size=4)), max_size=15))
def test_garbage_from_a_host_never_crashes_anything(parts: list[tuple[str, list[str]]]) -> None:
    for stage in ("look", "watch"):
        text = f"\n{MARK}begin {stage}\n" + "".join(f"\n{MARK}{name}\n" + "\n".join(body) for name, body in parts)
        report = parse(text, stage)
        assert report is not None
        snapshot([report])


@given(text=st.text())
def test_any_text_at_all_is_a_report_or_none(text: str) -> None:
    assert parse(text, "look") is None


# ---- the script, run for real ---------------------------------------------------------------------------------------

SHELLS = [
    pytest.param(command, marks=pytest.mark.skipif(shutil.which(command[0]) is None, reason=f"needs {command[0]}"))
    for command in (["sh"], ["dash"], ["busybox", "sh"])
]


def ran(shell: list[str], stage: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    order = Order(sample_entries=20, watch_seconds=0.1)
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    command = [shutil.which(shell[0]) or shell[0], *shell[1:], "-s", *argv(order, stage)]
    return subprocess.run(command, input=SCRIPT, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("stage", ["look", "watch"])
def test_the_script_runs_to_its_end_without_a_complaint(shell: list[str], stage: str) -> None:
    done = ran(shell, stage)
    assert done.stderr == ""
    report = parse(done.stdout, stage)
    assert report is not None
    assert "partial" not in report


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_tells_this_machine_as_the_kernel_does(shell: list[str]) -> None:
    report = parse(ran(shell, "look").stdout, "look")
    assert report is not None
    node = snapshot([report]).node
    assert node.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert node.netns == Path("/proc/self/ns/net").stat().st_ino
    assert node.kernel == os.uname().release
    assert node.cpus == os.cpu_count()


@pytest.mark.skipif(not Path("/proc/net/stat/nf_conntrack").exists(), reason="needs a kernel with nf_conntrack loaded")
def test_the_script_reads_usage_and_counters_of_this_machine() -> None:
    report = parse(ran(["sh"], "watch").stdout, "watch")
    assert report is not None
    seen = snapshot([report])
    assert isinstance(seen.usage, Known)
    assert isinstance(seen.counters, Known)
    assert seen.counters.value[1].at > seen.counters.value[0].at


def test_the_script_changes_nothing() -> None:
    """It has no word in it that writes, and every redirection goes to /dev/null."""
    words = set(SCRIPT.replace(";", " ").split())
    assert not words & {"sysctl", "rm", "mv", "cp", "tee", "touch", "mkdir", "kill", "modprobe", "-D", "-F", "-I", "-w"}
    targets = [part.split()[0].rstrip(";)") for part in SCRIPT.split(">")[1:] if part.split()]
    assert set(targets) <= {"/dev/null", "&1"}
