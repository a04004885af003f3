"""Diagnosis to JSON: the contract ``conntrack-diagnosis/1`` that scripts read. All of it, however quiet the node.

It must not know how the same is said to people.
"""

from __future__ import annotations

import math
from typing import Any

from diagnostics.model import Diagnosis, Finding, Remedy, Suspect, Trigger, Unknown, Usage, Way

SCHEMA = "conntrack-diagnosis/1"


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The contract ``conntrack-diagnosis/1``. All of it, however quiet the node; every number is finite."""
    document = {
        "schema": SCHEMA,
        "node": diagnosis.node,
        "cluster": diagnosis.cluster,
        "taken_at": round(diagnosis.taken_at, 3),
        "verdict": {"kind": diagnosis.verdict.kind.value, "headline": diagnosis.verdict.headline},
        "usage": _usage_json(diagnosis),
        "rates": _rates_json(diagnosis),
        "findings": [_finding_json(finding) for finding in diagnosis.findings],
        "suspects": [_suspect_json(suspect) for suspect in diagnosis.suspects],
        "noisy": None if diagnosis.noisy is None else _suspect_json(diagnosis.noisy),
        "noisy_because": diagnosis.noisy_because,
        "triggers": [_trigger_json(trigger) for trigger in diagnosis.triggers],
        "lookalikes": [{"name": one.name, "status": one.status, "says": one.says} for one in diagnosis.lookalikes],
        "remedies": [_remedy_json(remedy) for remedy in diagnosis.remedies],
        "transport": _way_json(diagnosis.way),
        "unknown": dict(diagnosis.snapshot.unknown) if diagnosis.snapshot else {},
        "left_out": dict(diagnosis.snapshot.left_out) if diagnosis.snapshot else {},
    }
    finite: dict[str, Any] = _finite(document)
    return finite


def _usage_json(diagnosis: Diagnosis) -> dict[str, Any]:
    if isinstance(diagnosis.usage, Unknown):
        return {"entries": None, "limit": None, "buckets": None, "ratio": None, "unknown": diagnosis.usage.why}
    usage: Usage = diagnosis.usage.value
    return {
        "entries": usage.entries,
        "limit": usage.limit,
        "buckets": usage.buckets,
        "ratio": round(usage.ratio, 4),
    }


def _rates_json(diagnosis: Diagnosis) -> dict[str, Any]:
    if isinstance(diagnosis.rates, Unknown):
        return {"unknown": diagnosis.rates.why}
    rates = diagnosis.rates.value
    return {
        "seconds": round(rates.seconds, 3),
        "drops": rates.drops,
        "early_drops": rates.early_drops,
        "insert_failed": rates.insert_failed,
        "invalid": rates.invalid,
        "growth_per_second": _rounded(rates.growth_per_second),
        "seconds_to_full": _rounded(rates.seconds_to_full),
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "step": finding.step,
        "title": finding.title,
        "status": finding.status.value,
        "says": finding.says,
        "means": finding.means,
        "correction": finding.correction,
        "evidence": [{"command": shown.command, "output": shown.output} for shown in finding.evidence],
    }


def _suspect_json(suspect: Suspect) -> dict[str, Any]:
    return {
        "kind": suspect.kind.value,
        "namespace": suspect.namespace,
        "pod": suspect.pod,
        "owner": suspect.owner,
        "node": suspect.node,
        "address": suspect.address,
        "label": suspect.label,
        "share": round(suspect.share, 9),  # 500 of these still sum to 1 within a millionth
        "share_low": round(suspect.share_low, 9),
        "share_high": round(suspect.share_high, 9),
        "entries": suspect.entries,
        "note": suspect.note,
    }


def _trigger_json(trigger: Trigger) -> dict[str, Any]:
    return {"name": trigger.name, "score": round(trigger.score, 3), "because": trigger.because}


def _remedy_json(remedy: Remedy) -> dict[str, Any]:
    return {"action": remedy.action, "when": remedy.when, "says": remedy.says, "commands": list(remedy.commands)}


def _way_json(way: Way) -> dict[str, Any]:
    tried = [{"rung": one.rung, "says": one.says, "seconds": round(one.seconds, 3)} for one in way.tried]
    return {"rung": way.rung, "tried": tried, "seconds": round(way.seconds, 3)}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity; a script gets null where a foreign machine sent one."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value
