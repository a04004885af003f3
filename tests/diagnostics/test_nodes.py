"""Every recorded node, replayed: what must be concluded stands beside each recording, in ``expected.json``.

Adding a case is adding a folder: ``conntrack-bot diagnose NODE --record tests/nodes/WHAT-IS-WRONG``, and its expected
conclusions. README in ``tests/nodes`` says which are as recorded and which were altered, and how.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from diagnostics import recording
from diagnostics.diagnose import Plan, diagnose
from diagnostics.model import Diagnosis
from diagnostics.transport import Order
from diagnostics.transport.replay import ReplayTransport

NODES = Path(__file__).parents[1] / "nodes"
RECORDED = sorted(folder for folder in NODES.iterdir() if folder.is_dir())


def replayed(folder: Path) -> Diagnosis:
    recorded = recording.read(folder)
    view = recorded.view
    return diagnose(
        Plan(
            target=recorded.node,
            node=recorded.node,
            cluster=recorded.cluster,
            transports=(ReplayTransport(recorded.reports),),
            order=recorded.order or Order(),
            view=None if view is None else lambda _: view,
        ),
        lambda _: None,
    )


def concluded(found: Diagnosis, wanted: dict[str, Any]) -> dict[str, Any]:
    """What was concluded, of that which the recording's expectation speaks of."""
    first = found.suspects[0] if found.suspects else None
    statuses = {finding.step: finding.status.value for finding in found.findings}
    told: dict[str, Any] = {
        "verdict": found.verdict.kind.value,
        "lookalike": found.verdict.lookalike,
        "trigger": found.triggers[0].name if found.triggers and found.triggers[0].score >= 0.3 else None,
        "first_suspect": first and {"kind": first.kind.value, "namespace": first.namespace, "owner": first.owner},
        "noisy": found.noisy is not None,
        "remedies_now": [remedy.action for remedy in found.remedies if remedy.when == "now"],
        "statuses": {step: statuses[step] for step in wanted.get("statuses", {})},
    }
    return {name: told[name] for name in wanted}


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: folder.name)
def test_a_recorded_node_leads_to_what_must_be_concluded(folder: Path) -> None:
    wanted = json.loads((folder / "expected.json").read_text())
    found = replayed(folder)
    assert concluded(found, wanted) == wanted
    if found.suspects:
        assert sum(suspect.share for suspect in found.suspects) == pytest.approx(1.0)


def test_there_is_a_recording_for_every_verdict() -> None:
    verdicts = {json.loads((folder / "expected.json").read_text())["verdict"] for folder in RECORDED}
    assert verdicts == {"exhausted", "evicting", "filling", "recovered", "healthy", "lookalike", "inconclusive"}
