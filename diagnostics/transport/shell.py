"""The essentials of a look for a host without Python: one fixed shell script, and the parser of what it prints.

The script only reads, and nothing is ever put into it: the stage and two numbers are its arguments. It gives usage,
counters, timeouts, the kernel log and the first rows of the table, which are a fair sample (the kernel's hash order).
What the numbers mean is for others; what /proc looks like, the probe's own parsers know.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from diagnostics.probe import kernel, machine, ring
from diagnostics.probe.procfs import LARGEST_NUMBER, Unreadable, whole_number
from diagnostics.probe.table import parse_proc_line
from diagnostics.probe.tally import Tally
from diagnostics.transport import Order

MARK = "@@conntrack-bot "
WHY = "this host has no python3 of 3.7 or newer, and its shell cannot"
STAGES = ("look", "watch")
MOST_ROWS = 4000
NOT_PERMITTED = "not permitted: needs root"

# POSIX, and tested with dash and busybox: head -c is the one step beyond, which both have. Rows of IPv6 are up to 300
# bytes; the answer stays below the mebibyte that is read from a host.
SCRIPT = """\
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL
stage=$1 rows=$2 seconds=$3
section() { printf '\\n@@conntrack-bot %s\\n' "$1"; }
take() {
    if [ -r "$2" ]; then section "$1"; head -c 65536 "$2"
    elif [ -e "$2" ]; then section "unreadable $1"; echo "$2: not permitted"
    else section "unreadable $1"; echo "$2: not there"
    fi 2>/dev/null
}
count() {
    take uptime /proc/uptime
    take stat /proc/net/stat/nf_conntrack
    take count /proc/sys/net/netfilter/nf_conntrack_count
}
limits() {
    take max /proc/sys/net/netfilter/nf_conntrack_max
    take buckets /proc/sys/net/netfilter/nf_conntrack_buckets
    take meminfo /proc/meminfo
}
log() {
    if said=$(dmesg 2>&1); then
        section log
        printf '%s\\n' "$said" | head -n 1
        printf '%s\\n' "$said" | grep -E 'conntrack|suppressed|neighbou|TCP|socket memory|orphaned' | tail -n 400
    else
        section "unreadable kernel_log"; printf '%s\\n' "$said" | tail -n 1
    fi
}
rows() {
    if [ -r /proc/net/nf_conntrack ]; then section "rows proc"; head -n "$rows" /proc/net/nf_conntrack
    elif command -v conntrack >/dev/null; then section "rows conntrack"
        conntrack -L -o extended 2>/dev/null | head -n "$rows"
    elif [ -e /proc/net/nf_conntrack ]; then section "unreadable table"; echo "/proc/net/nf_conntrack: not permitted"
    else section "unreadable table"; echo "neither /proc/net/nf_conntrack nor the conntrack tool is there"
    fi | head -c 800000
}
section "begin $stage"
count
if [ "$stage" = look ]; then
    limits
    take boot_id /proc/sys/kernel/random/boot_id
    take route /proc/net/route
    section name; uname -n
    section release; uname -r
    section time; date +%s
    section cpus; grep -c '^processor' /proc/cpuinfo
    section netns; readlink /proc/self/ns/net
    section initial
    if [ -e /proc/sys/net/core/netdev_max_backlog ]; then echo yes; elif [ -d /proc/sys/net/core ]; then echo no; fi
    section addresses; ip -o addr show scope global 2>/dev/null
    section sysctls
    for file in /proc/sys/net/netfilter/nf_conntrack_*; do
        [ -r "$file" ] && printf '%s %s\\n' "${file##*/nf_conntrack_}" "$(cat "$file")"
    done
    log
    rows
else
    sleep "$seconds"
    section again
    count
    limits
fi
section end
"""

Sections = dict[str, str]  # by name; the name "unreadable NAME" holds the reason instead


def argv(order: Order, stage: str) -> tuple[str, ...]:
    """The script's arguments: plain words and whole numbers, so a shell has nothing to interpret."""
    rows = max(1, min(MOST_ROWS, order.sample_entries))
    return (stage, str(rows), str(max(1, math.ceil(order.watch_seconds))))


def parse(text: str, stage: str) -> dict[str, Any] | None:
    """The report of one stage out of what the script printed; None where it printed no such stage.

    Whatever a host sends, this gives a report in which what cannot be understood is unknown.
    """
    first, second = _readings(text)
    if f"begin {stage}" not in first:
        return None
    report: dict[str, Any] = {"format": 1, "stage": stage, "unknown": {}}
    _add(report, "counters", lambda: [_counters(sections) for sections in (first, second) if sections])
    _add(report, "usage", lambda: _usage({**first, **second}))
    if stage == "look":
        _add(report, "node", lambda: _node(first))
        _add(report, "timeouts", lambda: kernel.timeouts_of(_sysctls(first)))
        _add(report, "settings", lambda: kernel.settings_of(_sysctls(first)))
        _add(report, "kernel_log", lambda: _kernel_log(first))
        _add(report, "table", lambda: _table(first, report.get("timeouts", {})))
    else:
        report["unknown"].update({"reach": f"{WHY} time connections", "lookalikes": f"{WHY} read them"})
    if "end" not in first and "end" not in second:
        report["partial"] = True
    return report


def _readings(text: str) -> tuple[Sections, Sections]:
    """The sections before and after the pause."""
    first: Sections = {}
    second: Sections = {}
    current = first
    for part in ("\n" + text).split("\n" + MARK)[1:]:
        name, _, body = part.partition("\n")
        current = second if name == "again" else current
        current.setdefault(name, body)
    return first, second


def _add(report: dict[str, Any], section: str, read: Callable[[], Any]) -> None:
    """Read one section, or note why it cannot be read. A number of a hostile length is a ValueError."""
    try:
        report[section] = read()
    except (Unreadable, ValueError) as why:
        report["unknown"][section] = str(why)[:200]


def _text(sections: Sections, name: str) -> str:
    if name in sections:
        return sections[name]
    why = sections.get(f"unreadable {name}", "").strip()
    raise Unreadable(why or "the host's shell did not tell")


def _number(sections: Sections, name: str) -> int | None:
    return whole_number(sections.get(name, "").strip())


def _usage(sections: Sections) -> dict[str, Any]:
    numbers = {name: whole_number(_text(sections, name).strip()) for name in ("count", "max")}
    if numbers["count"] is None or numbers["max"] is None:
        raise Unreadable("count and limit are no numbers")
    memory = kernel.memory_of(sections.get("meminfo", ""))
    return {
        "entries": numbers["count"],
        "limit": numbers["max"],
        "buckets": _number(sections, "buckets"),
        "entry_bytes": None,
        "memory_total": memory.get("MemTotal"),
        "memory_available": memory.get("MemAvailable"),
    }


def _counters(sections: Sections) -> dict[str, Any]:
    per_cpu = kernel.columns_of(_text(sections, "stat"))
    return kernel.reading_of(per_cpu, _uptime(sections), _number(sections, "count"))


def _uptime(sections: Sections) -> float:
    first = next(iter(_text(sections, "uptime").split()), "")
    uptime = float(first)
    if not 0 <= uptime < LARGEST_NUMBER:  # also refuses "nan" and "inf"
        raise Unreadable("the uptime is no number")
    return uptime


def _node(sections: Sections) -> dict[str, Any]:
    inode = whole_number("".join(sections.get("netns", "").partition("[")[2].partition("]")[:1]))
    return {
        "name": _text(sections, "name").strip()[:253],
        "kernel": sections.get("release", "").strip()[:100],
        "boot_id": sections.get("boot_id", "").strip()[:64],
        "uptime": _uptime(sections),
        "time": float(_number(sections, "time") or 0),
        "cpus": _number(sections, "cpus") or 0,
        "netns": inode,
        "init_netns": {"yes": True, "no": False}.get(sections.get("initial", "").strip()),
        "addresses": _addresses(sections.get("addresses", "")),
        "gateway": machine.gateway4_of(sections.get("route", "")),
    }


def _addresses(lines: str) -> list[str]:
    """The addresses in what ``ip -o addr`` prints: "2: eth0    inet 10.90.0.8/24 scope …"."""
    words = [line.split() for line in lines.splitlines()]
    found = [each[3].partition("/")[0] for each in words if len(each) > 3 and each[2] in ("inet", "inet6")]
    return list(dict.fromkeys(address for address in found if len(address) <= 45))[: machine.MOST_ADDRESSES]


def _sysctls(sections: Sections) -> dict[str, int]:
    words = [line.split() for line in _text(sections, "sysctls").splitlines()]
    values = {pair[0]: whole_number(pair[1]) for pair in words[: kernel.MOST_SYSCTLS] if len(pair) == 2}
    return {name: value for name, value in values.items() if value is not None}


def _kernel_log(sections: Sections) -> dict[str, Any]:
    if "log" not in sections:
        why = sections.get("unreadable kernel_log", "")
        raise Unreadable(NOT_PERMITTED if "permitted" in why.lower() else why.strip() or "dmesg gave nothing")
    node = _node(sections)
    names_netns = machine.version(node["kernel"]) >= kernel.KERNELS_THAT_NAME_THE_NETNS
    return ring.summary(ring.lines_of(sections["log"]), node["netns"], node["init_netns"], names_netns)


def _table(sections: Sections, timeouts: dict[str, int]) -> dict[str, Any]:
    """The first rows, counted by the probe's own tally. The last one may have been cut, and then does not count."""
    via = next((name for name in ("rows proc", "rows conntrack") if name in sections), None)
    if via is None:
        _text(sections, "table")
        raise Unreadable("the host's shell did not tell")
    rows = sections[via].rstrip("\n").split("\n")
    is_cut = not sections[via].endswith("\n")
    tally = Tally(timeouts)
    for row in rows[: MOST_ROWS if not is_cut else len(rows) - 1]:
        entry = parse_proc_line(row.encode("ascii", "replace")) if row else None
        if entry is not None:
            tally.read += 1
            tally.count_one(entry)
        elif row:
            tally.unparsed += 1
    section = tally.section()
    section.update({"via": via.removeprefix("rows "), "mode": "sample", "whole": False})
    return section
