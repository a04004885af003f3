"""Knowledge of conntrack exhaustion, and nowhere else: what the runbook asks, in its order, and what follows.

Pure: everything comes in as ``Evidence`` and goes out as a ``Diagnosis``. This room knows no way to a node, no
Kubernetes client, no Slack, and nothing that changes anything.
"""

from __future__ import annotations

from diagnostics.model import Diagnosis, Evidence, Finding, Suspect, Way
from diagnostics.runbook import advice, causes, lookalikes, noisy, remedies, symptoms, triggers, verdict
from diagnostics.runbook.case import Case
from diagnostics.runbook.said import Step

RUNBOOK: tuple[Step, ...] = (
    Step("ping", "Ping", symptoms.ping),
    Step("new_connections", "New connections", symptoms.new_connections),
    Step("usage", "Usage, the source of truth", symptoms.usage),
    Step("kernel_log", "Kernel log", symptoms.kernel_log),
    Step("kubernetes", "Why Kubernetes makes it worse here", causes.kubernetes),
    Step("triggers", "Trigger", causes.triggers),
    Step("silence", "Why it looks like the network", causes.silence),
    Step("churn", "Churn", causes.churn),
    Step("restarts", "Why restarting only seems to help", advice.restarts),
    Step("do_not", "Do NOT", advice.do_not),
    Step("remedies", "What helps", advice.advise),
    Step("pattern", "Pattern", advice.pattern),
)


def judge(evidence: Evidence, way: Way) -> Diagnosis:
    """The whole judgement of one node. It never raises, whatever the node answered."""
    case = conclude(evidence)
    return Diagnosis(
        node=case.node,
        cluster=evidence.cluster.cluster if evidence.cluster is not None else "",
        verdict=case.verdict,
        usage=evidence.snapshot.usage,
        rates=evidence.rates,
        findings=explain(case),
        suspects=_suspects(evidence),
        noisy=case.noisy,
        noisy_because=case.noisy_because,
        triggers=case.triggers,
        lookalikes=case.lookalikes,
        remedies=remedies.remedies(case),
        way=way,
        snapshot=evidence.snapshot,
        attribution=evidence.attribution,
        taken_at=evidence.snapshot.node.time,
    )


def conclude(evidence: Evidence) -> Case:
    """What the evidence amounts to: other causes first, since the verdict asks for them, then who, then how."""
    others = lookalikes.lookalikes(evidence)
    source, because = noisy.noisy(evidence)
    return Case(
        evidence=evidence,
        verdict=verdict.verdict(evidence, others),
        noisy=source,
        noisy_because=because,
        triggers=triggers.triggers(evidence, source),
        lookalikes=others,
    )


def explain(case: Case) -> tuple[Finding, ...]:
    """The runbook's steps in order, each with what it found here."""
    return tuple(step.finding(case) for step in RUNBOOK)


def _suspects(evidence: Evidence) -> tuple[Suspect, ...]:
    return evidence.attribution.suspects if evidence.attribution is not None else ()
