"""The look against ``conntrack -L``, on real tables of one size and another."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostics.probe import envelope
from tests.kernel.namespaces import Namespace, conntrack_limit, namespace

ROOT = Path(__file__).parents[2]
ROUNDS = 7
WHOLE_TABLE = 262_144
MILLION = 1_000_000
Claim = tuple[str, bool]

BARE_READ = """
import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12); s.bind((0, 0))
s.send(struct.pack("=IHHIIBBH", 20, 257, 0x301, 1, 0, 0, 0, 0))
while struct.unpack_from("=H", s.recv(65536), 4)[0] != 3: pass
"""


@dataclass(frozen=True)
class Run:
    """One run of a program: wall seconds, the largest resident set, and what it printed."""

    seconds: float
    resident_bytes: int
    output: bytes


def table(entries: int) -> list[dict[str, Any]]:
    """A full node as it is met: one pod closing connections, idle ones, DNS, forty others, some IPv6."""
    others = [f"10.244.2.{n}" for n in range(40)]
    lasting = {"timeout_low": 1000, "timeout": 1119}  # so that nothing expires while it is measured
    parts: list[tuple[float, dict[str, Any]]] = [
        (0.55, {"source": "10.244.1.11", "to": "10.96.0.12", "backend": "10.244.9.1", "backend_port": 8080, **lasting}),
        (0.20, {"source": others, "to": "10.96.7.1", "backend": "10.244.8.1", "port": 443, "spread": 30, **lasting}),
        (0.12, {"source": "10.244.1.13", "to": "10.97.0.1", "state": "ESTABLISHED", "timeout_low": 1000}),
        (0.08, {"protocol": "udp", "source": "10.244.1.14", "to": "10.96.0.10", "port": 53, **lasting}),
        (0.03, {"source": "10.244.1.15", "to": "10.99.0.1", "state": "SYN_SENT", "answered": False, **lasting}),
        (0.02, {"source": "fd00::11", "to": "fd00::21", "port": 443, **lasting}),
    ]
    return [{**group, "count": round(entries * share)} for share, group in parts]


def run(where: Namespace, *argv: str) -> Run:
    """Run a program in a namespace, to its end."""
    began = time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    program = subprocess.Popen(
        where.argv(*argv), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert program.stdout is not None
    output = program.stdout.read()
    _, status, usage = os.wait4(program.pid, 0)
    program.returncode = status
    program.stdout.close()
    if status:
        raise RuntimeError(f"{argv[0]} ended with status {status}")
    return Run(time.perf_counter() - began, usage.ru_maxrss * 1024, output)


def look(*options: str) -> tuple[str, ...]:
    """The look as a whole process, without its pause between two countings."""
    return (sys.executable, "-S", "-m", "diagnostics.probe", "look", "--quiet", "0", *options)


def side_by_side(where: Namespace, *programs: tuple[str, ...]) -> list[list[Run]]:
    """Run the programs in turn, several rounds, so that a busy moment hits all of them."""
    for program in programs:
        run(where, *program)  # what a first run compiles and caches is no cost of the second
    rounds = [[run(where, *program) for program in programs] for _ in range(ROUNDS)]
    return [list(column) for column in zip(*rounds, strict=True)]


def middle(runs: list[Run]) -> float:
    """The median of the seconds."""
    return statistics.median(one.seconds for one in runs)


def largest(runs: list[Run]) -> float:
    """The largest resident set, in MB."""
    return max(one.resident_bytes for one in runs) / 1e6


def shares(one: Run) -> dict[str, float]:
    """Each source's share of what was read."""
    found = envelope.unpack(one.output.decode())["table"]
    return {source["address"]: source["entries"] / found["read"] for source in found["sources"]}


def sampled_look_against_conntrack_list() -> Iterator[Claim]:
    """A sampled look as a whole process, against `conntrack -L | wc -l`, on 262,144 entries."""
    with conntrack_limit(WHOLE_TABLE), namespace(table(WHOLE_TABLE)) as where:
        looked, listed, started, exact = side_by_side(
            where,
            look(),
            ("sh", "-c", "conntrack -L 2>/dev/null | wc -l"),
            (sys.executable, "-S", "-c", "pass"),
            look("--exact"),
        )
    whole, start = middle(looked), middle(started)
    ratio, bare_ratio = middle(listed) / whole, middle(listed) / max(1e-3, whole - start)
    yield f"{whole:.3f} s against {middle(listed):.3f} s: 1/{ratio:.1f} (aim: 1/8)", ratio >= 8
    yield f"without the interpreter's start of {start:.3f} s: 1/{bare_ratio:.1f} (aim: 1/20)", bare_ratio >= 20
    yield f"{largest(looked):.1f} MB resident (aim: 32)", largest(looked) <= 32
    truth = shares(exact[0])
    off = max(abs(shares(one).get(address, 0.0) - share) for one in looked for address, share in truth.items())
    yield f"shares within {off * 100:.2f} points of the exact ones, in {ROUNDS} looks (aim: 2)", off <= 0.02


def sampled_look_of_a_million() -> Iterator[Claim]:
    """A sampled look at 1,000,000 entries, against one at 262,144."""
    with conntrack_limit(MILLION + 1000):
        with namespace(table(WHOLE_TABLE)) as where:
            small = [run(where, *look()) for _ in range(ROUNDS)]
        with namespace(table(MILLION)) as where:
            large = [run(where, *look()) for _ in range(ROUNDS)]
            entries = envelope.unpack(large[0].output.decode())["usage"]["entries"]
    ratio = middle(large) / middle(small)
    yield (
        f"{entries} entries: {middle(large):.3f} s against {middle(small):.3f} s: {ratio:.2f} (aim: 1.5)",
        ratio <= 1.5,
    )


def exact_look_against_conntrack_list() -> Iterator[Claim]:
    """The exact look, against `conntrack -L >/dev/null` and a bare read of the same dump, on 262,144 entries."""
    with conntrack_limit(WHOLE_TABLE), namespace(table(WHOLE_TABLE)) as where:
        looked, listed, bare = side_by_side(
            where,
            look("--exact"),
            ("sh", "-c", "conntrack -L >/dev/null 2>&1"),
            (sys.executable, "-c", BARE_READ),
        )
        read = envelope.unpack(looked[0].output.decode())["table"]["read"]
    ratio = middle(looked) / middle(listed)
    yield f"{read} entries: {middle(looked):.2f} s against {middle(listed):.2f} s: {ratio:.2f} (aim: 1)", ratio <= 1
    yield f"a bare read takes {middle(bare):.2f} s: {middle(bare) / middle(listed):.2f} of conntrack -L", True
    yield f"{largest(looked):.1f} MB resident (aim: 32)", largest(looked) <= 32


def envelope_of_many_sources() -> Iterator[Claim]:
    """The envelope of a table with 500 distinct sources, within a termination message."""
    sources = [f"10.{244 + n % 2}.{n // 250}.{n % 250}" for n in range(500)]
    groups = [{"count": 20_000, "source": sources, "to": "10.96.0.12", "spread": 50, "timeout_low": 100}]
    with conntrack_limit(WHOLE_TABLE), namespace(groups) as where:
        told = run(where, *look("--exact", "--budget", str(envelope.TERMINATION_MESSAGE_BYTES)))
    report = envelope.unpack(told.output.decode())
    size, listed = len(told.output.strip()), len(report["table"]["sources"])
    yield (
        f"{size} bytes, {listed} sources listed, {json.dumps(report.get('left_out', {}))} left out (aim: 4096)",
        size <= 4096,
    )
