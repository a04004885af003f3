"""The conductor: open a way to the node, take a snapshot, attribute, judge in order.

It must not know how a way to the node works, nor what a finding means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diagnostics import recording
from diagnostics.attribution import addresses, attribute
from diagnostics.errors import LookError, RecordingError
from diagnostics.model import Attribution, ClusterView, Diagnosis, Evidence, Known, Snapshot, Unknown, Way
from diagnostics.runbook import judge
from diagnostics.snapshot import rates, snapshot
from diagnostics.transport import Order, Report, Tell, Transport
from diagnostics.transport.ladder import OVERLAP_SECONDS, Ladder


@dataclass(frozen=True, slots=True)
class Plan:
    """What to look at, and by which ways.

    ``transports`` are the rungs in their order; ``view`` asks the cluster about the node and about the addresses that
    the table names, and is None, or says None, where there is no cluster; ``first`` hears the diagnosis that follows
    from the first report alone, while the rest is awaited.
    """

    target: str
    node: str
    cluster: str
    transports: tuple[Transport, ...]
    order: Order
    view: Callable[[tuple[str, ...]], ClusterView | None] | None = None
    record_to: Path | None = None
    overlap_seconds: float = OVERLAP_SECONDS
    first: Callable[[Diagnosis], None] | None = None


def diagnose(plan: Plan, tell: Tell) -> Diagnosis:
    """Look at the node, and say what was found.

    Raises LookError where no rung answered; its text says what each of them met.
    """
    ladder = Ladder(plan.transports, plan.order, tell, plan.overlap_seconds)
    reports: list[Report] = []
    view: ClusterView | None = None
    try:
        for report in ladder.reports():
            reports.append(report)
            if len(reports) == 1:
                seen = snapshot(reports)
                view = _view(plan, seen)
                if plan.first is not None:
                    plan.first(_judged(plan, seen, view, ladder.way()))
    except LookError as error:
        raise LookError(f"{plan.node}: {error}") from error
    finally:
        ladder.end()
    way = ladder.way()
    diagnosis = _judged(plan, snapshot(reports), view, way)
    if plan.record_to is not None:
        _record(plan, plan.record_to, reports, view, way, tell)
    return diagnosis


def _record(plan: Plan, where: Path, reports: list[Report], view: ClusterView | None, way: Way, tell: Tell) -> None:
    """Write the recording. A full disk must not cost the diagnosis."""
    try:
        recording.write(
            where, node=plan.node, cluster=plan.cluster, way=way, reports=reports, view=view, order=plan.order
        )
    except RecordingError as error:
        tell(f"not recorded: {error}")


def _judged(plan: Plan, seen: Snapshot, view: ClusterView | None, way: Way) -> Diagnosis:
    evidence = Evidence(
        target=plan.node,
        snapshot=seen,
        cluster=view,
        attribution=_attribution(plan, seen, view),
        rates=rates(seen),
    )
    return judge(evidence, way)


def _view(plan: Plan, seen: Snapshot) -> ClusterView | None:
    if plan.view is None:
        return None
    return plan.view(addresses(seen.table.value) if isinstance(seen.table, Known) else ())


def _attribution(plan: Plan, seen: Snapshot, view: ClusterView | None) -> Attribution | None:
    if isinstance(seen.table, Unknown):
        return None
    usage = seen.usage.value if isinstance(seen.usage, Known) else None
    entries = usage.entries if usage else seen.table.value.read
    owners = seen.owners.value if isinstance(seen.owners, Known) else None
    kube_node = view.node.value if view is not None and isinstance(view.node, Known) else None
    node, now = kube_node.name if kube_node is not None else plan.node, seen.node.time
    return attribute(seen.table.value, entries, view, seen.node.addresses, node=node, now=now, owners=owners)
