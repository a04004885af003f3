"""A node of a real cluster whose conntrack table a real pod has really filled, diagnosed by the real command."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import lab
from tests.cluster.command import diagnose
from tests.cluster.lab import NODE, noise

TIMES = 20
SHORT = {"short_lived_connections", "high_request_rate"}

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1200),  # with the wait for others who fill tables on this machine
    pytest.mark.skipif(not lab.KUBECONFIG, reason=lab.NEEDS_CLUSTER),
    pytest.mark.skipif(not lab.TOOLS, reason=lab.NEEDS_TOOLS),
    pytest.mark.usefixtures("deployed"),
]


def is_checkout(suspect: dict[str, Any]) -> bool:
    return (suspect["kind"], suspect["namespace"]) == ("pod", "shop") and suspect["pod"].startswith("checkout-")


@pytest.mark.parametrize(("via", "at_most_seconds"), [("pod", 10), ("ssh", 30)])
def test_a_pod_that_exhausts_its_node_is_named_every_time(config: Path, via: str, at_most_seconds: float) -> None:
    seconds = []
    with noise("churn", 800):
        for time in range(1, TIMES + 1):
            assert lab.is_full(), f"before look {time}"
            ran = diagnose(NODE, "--via", via, "--config", str(config))
            found = ran.diagnosis
            assert found["verdict"]["kind"] == "exhausted", (time, found["verdict"])
            assert found["usage"]["ratio"] >= lab.AS_GOOD_AS_FULL
            assert is_checkout(found["suspects"][0]), (time, found["suspects"][:3])
            assert found["suspects"][0]["owner"] == "Deployment checkout", found["suspects"][0]
            assert found["triggers"][0]["name"] in SHORT, (time, found["triggers"])
            assert found["transport"]["rung"] == via
            assert ran.seconds <= at_most_seconds, (time, found["transport"])
            assert lab.is_full(), f"after look {time}"
            seconds.append(ran.seconds)
    logging.getLogger(__name__).info("%s: %d of %d, seconds: %s", via, TIMES, TIMES, [round(one, 1) for one in seconds])
    after = diagnose(NODE, "--config", str(config)).diagnosis["verdict"]
    assert after["kind"] == "recovered", after
    lab.no_probe_pods()


@pytest.mark.parametrize(
    ("kind", "rate", "trigger", "verdict"),
    [
        ("dns", 800, "dns_storm", "evicting"),
        ("retry", 800, "aggressive_retries", "evicting"),
        ("leak", 12000, "idle_connections", "exhausted"),
    ],
)
def test_each_kind_of_noise_is_told_by_its_trigger(
    config: Path, kind: str, rate: int, trigger: str, verdict: str
) -> None:
    with noise(kind, rate):
        found = diagnose(NODE, "--config", str(config)).diagnosis
    assert found["verdict"]["kind"] == verdict, found["verdict"]
    assert found["triggers"][0]["name"] == trigger, found["triggers"]
    assert is_checkout(found["suspects"][0]), found["suspects"][:3]
