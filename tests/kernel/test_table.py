"""Claims about looks at real tables: what is in them is what is told, sampled or exact, and the trigger is named."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diagnostics.attribution import attribute
from diagnostics.model import Diagnosis, Evidence, Known, Table, Way
from diagnostics.probe import envelope
from diagnostics.runbook import judge
from diagnostics.snapshot import rates, snapshot
from tests.kernel.namespaces import Namespace, conntrack_limit, namespace

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces and conntrack entries, which takes root"),
]
ROOT = Path(__file__).parents[2]
LASTING = {"timeout_low": 100, "timeout": 119}

CHURN = {"source": "10.244.1.11", "to": "10.96.0.12", "port": 80, "backend": "10.244.9.1", "backend_port": 8080}
DNS = {"protocol": "udp", "source": "10.244.1.12", "to": "10.96.0.10", "port": 53, "backend": "10.244.9.2"}
RETRY = {"source": "10.244.1.13", "to": "10.99.0.1", "state": "SYN_SENT", "answered": False}
LEAK = {"source": "10.244.1.14", "to": "10.96.0.13", "port": 5432, "state": "ESTABLISHED", "timeout": 80000}
BUSY = {"source": "10.244.1.15", "to": "10.96.0.14", "port": 80, "backend": "10.244.9.3"}


@contextlib.contextmanager
def full(groups: list[dict[str, Any]]) -> Iterator[Namespace]:
    """A namespace whose table holds these entries, and has room for no other."""
    with conntrack_limit(262_144) as set_limit, namespace(groups) as made:
        set_limit(sum(each["count"] for each in groups))
        yield made


def look(where: Namespace, *options: str) -> dict[str, Any]:
    """A look as it is sent to a node."""
    told = where.run("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "diagnostics.probe", "look", *options)
    return envelope.unpack(told)


def judged(report: dict[str, Any]) -> Diagnosis:
    seen = snapshot([report])
    assert isinstance(seen.table, Known)
    table = seen.table.value
    attribution = attribute(table, table.read, None, ())
    return judge(Evidence("node", seen, None, attribution, rates(seen)), Way("local", (), 0.0))


def group(kind: dict[str, Any], count: int, **more: Any) -> dict[str, Any]:
    return {**LASTING, **kind, "count": count, **more}


@pytest.mark.parametrize(
    ("groups", "trigger", "source"),
    [
        pytest.param([group(CHURN, 4000)], "short_lived_connections", "10.244.1.11", id="short-lived connections"),
        pytest.param([group(DNS, 4000, timeout=29, timeout_low=20)], "dns_storm", "10.244.1.12", id="a DNS storm"),
        pytest.param([group(RETRY, 4000)], "aggressive_retries", "10.244.1.13", id="retries to a dead address"),
        pytest.param([group(LEAK, 4000, timeout_low=1)], "idle_connections", "10.244.1.14", id="idle connections"),
        pytest.param(
            [group(BUSY, 2200, state="ESTABLISHED", timeout_low=86000, timeout=86399), group(BUSY, 1800, skip=2200)],
            "high_request_rate",
            "10.244.1.15",
            id="many requests, really at once",
        ),
        pytest.param(
            [group(CHURN, 4000, source="fd00:10:244:1::11", to="fd00:10:96::12", backend="fd00:10:244:9::1")],
            "short_lived_connections",
            "fd00:10:244:1::11",
            id="short-lived connections over IPv6",
        ),
        pytest.param(
            [group(CHURN, 3000), group(DNS, 400, timeout=29, timeout_low=20), group(LEAK, 300, timeout_low=1)],
            "short_lived_connections",
            "10.244.1.11",
            id="a mix, mostly short-lived",
        ),
    ],
)
def test_each_trigger_is_named_with_the_source_that_makes_it(
    groups: list[dict[str, Any]], trigger: str, source: str
) -> None:
    with full(groups) as where:
        found = judged(look(where, "--quiet", "0"))
    assert found.suspects[0].address == source
    assert found.triggers[0].name == trigger, found.triggers
    assert found.triggers[0].score >= 0.5


def test_one_noisy_source_is_found_two_are_told_apart_and_none_is_not_invented() -> None:
    crowd = [f"10.244.{n // 200}.{n % 200 + 1}" for n in range(400)]
    with full([group(CHURN, 5000), group(CHURN, 1000, source=crowd)]) as where:
        one = judged(look(where, "--quiet", "0"))
    assert one.noisy is not None
    assert one.noisy.address == "10.244.1.11"
    with full([group(CHURN, 3000), group(LEAK, 2900), group(CHURN, 400, source=crowd)]) as where:
        two = judged(look(where, "--quiet", "0"))
    assert two.noisy is None
    assert {two.suspects[0].address, two.suspects[1].address} == {"10.244.1.11", "10.244.1.14"}
    with full([group(CHURN, 6000, source=crowd)]) as where:
        none = judged(look(where, "--quiet", "0"))
    assert none.noisy is None
    assert none.noisy_because


def test_every_protocol_family_and_zone_is_counted() -> None:
    groups = [
        group(CHURN, 50),
        group(DNS, 40, timeout=29, timeout_low=20),
        group(
            {"protocol": "icmp", "source": "10.244.1.16", "to": "10.96.0.1", "port": 0}, 30, timeout=29, timeout_low=20
        ),
        group({"protocol": "icmpv6", "source": "fd00::1", "to": "fd00::2", "port": 0}, 20, timeout=29, timeout_low=20),
        group({"protocol": "sctp", "source": "10.244.1.17", "to": "10.96.0.3", "port": 3868}, 10),
        group(CHURN, 5, source="10.244.1.18", zone=5),
        group(CHURN, 5, source="10.244.1.19", mark=5),
    ]
    with conntrack_limit(262_144), namespace(groups) as where:
        table = look(where, "--quiet", "0")["table"]
    assert (table["via"], table["whole"], table["unparsed"], table["read"]) == ("ctnetlink", True, 0, 160)
    assert table["protocols"] == {"tcp": 60, "icmp": 50, "udp": 40, "sctp": 10}
    assert table["families"] == {"ipv4": 140, "ipv6": 20}
    assert table["zones"] == {"0": 155, "5": 5}
    assert (table["dnat"], table["unreplied"]) == (100, 0)


def table_of(report: dict[str, Any]) -> Table:
    found = snapshot([report]).table
    assert isinstance(found, Known)
    return found.value


def test_a_whole_262144_entry_table_is_counted_exactly_and_a_sample_comes_close() -> None:
    others = [f"10.244.2.{n}" for n in range(40)]
    groups = [
        group(CHURN, 140_000, timeout_low=1000, timeout=1100),
        group(CHURN, 80_000, source=others, spread=30, timeout_low=1000, timeout=1100),
        group(LEAK, 40_000, timeout_low=1000),
        group(CHURN, 2_144, source="fd00::11", to="fd00::21", backend="fd00::31", timeout_low=1000, timeout=1100),
    ]
    with conntrack_limit(262_144), namespace(groups) as where:
        exact = table_of(look(where, "--quiet", "0", "--exact"))
        samples = [table_of(look(where, "--quiet", "0")) for _ in range(3)]
    assert (exact.read, exact.whole, exact.unparsed) == (262_144, True, 0)
    truth = {source.address: source.entries for source in exact.sources}
    assert (truth["10.244.1.11"], truth["10.244.1.14"], truth["fd00::11"]) == (140_000, 40_000, 2_144)
    assert sum(truth[other] for other in others) == 80_000
    assert exact.states == {"TIME_WAIT": 222_144, "ESTABLISHED": 40_000}
    for sample in samples:
        assert 8000 <= sample.read < 9000
        shares = {source.address: source.entries / sample.read for source in sample.sources}
        assert abs(shares["10.244.1.11"] - 140_000 / 262_144) < 0.02
        assert abs(shares["10.244.1.14"] - 40_000 / 262_144) < 0.02


def test_the_report_of_500_sources_fits_a_termination_message() -> None:
    sources = [f"10.244.{n // 250}.{n % 250}" for n in range(500)]
    with conntrack_limit(262_144), namespace([group(CHURN, 10_000, source=sources, spread=40)]) as where:
        told = where.run(
            "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "diagnostics.probe", "look", "--budget", "4096"
        )
    assert len(told.strip()) <= 4096
    table = table_of(envelope.unpack(told))
    assert sum(source.entries for source in table.sources) + table.sources_other == table.read
