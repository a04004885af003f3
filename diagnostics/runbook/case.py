"""All that the explanation may use: the evidence, and what was concluded from it. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from diagnostics.model import Evidence, KubeNode, Lookalike, Pod, Suspect, SuspectKind, Trigger, Verdict, VerdictKind
from diagnostics.runbook import measures
from diagnostics.runbook.words import visible

TELLING = 0.3  # A trigger below this explains less than a third of the limit: it is not worth a sentence of its own.
PRESSED = (VerdictKind.EXHAUSTED, VerdictKind.EVICTING, VerdictKind.FILLING)
FAILING = (VerdictKind.EXHAUSTED, VerdictKind.EVICTING)


@dataclass(frozen=True, slots=True)
class Case:
    """One node, judged: what the remedies and the steps start from."""

    evidence: Evidence
    verdict: Verdict
    noisy: Suspect | None
    noisy_because: str
    triggers: tuple[Trigger, ...]
    lookalikes: tuple[Lookalike, ...]

    @property
    def node(self) -> str:
        """The node's name."""
        return measures.node_name(self.evidence)

    @property
    def is_pressed(self) -> bool:
        """Whether the table is at its limit, or on the way there."""
        return self.verdict.kind in PRESSED

    @property
    def is_failing(self) -> bool:
        """Whether connections are lost now."""
        return self.verdict.kind in FAILING

    @property
    def trigger(self) -> Trigger | None:
        """The first trigger, where it explains enough to be named."""
        first = self.triggers[0] if self.triggers else None
        return first if first is not None and first.score >= TELLING else None

    def explains(self, *names: str) -> bool:
        """Whether the trigger, or one nearly as strong, is among these."""
        return any(trigger.name in names and trigger.score >= TELLING for trigger in self.triggers)

    @property
    def noisy_pod(self) -> Suspect | None:
        """The noisy source, where it is a pod with a name that can be acted upon."""
        noisy = self.noisy
        return noisy if noisy is not None and noisy.kind is SuspectKind.POD and noisy.pod else None

    @property
    def noisy_is_over(self) -> bool:
        """Whether the noisy pod has already ended, and only its entries linger."""
        pod = self.pod_of(self.noisy_pod)
        return pod is not None and pod.is_over

    @property
    def lingering(self) -> Suspect | None:
        """The noisy source, where its pod has ended or is gone, so that only its entries are left.

        Attribution gives an address without a name to this node only where it must have been a pod's.
        """
        noisy = self.noisy
        if noisy is None:
            return None
        is_gone = noisy.kind is SuspectKind.UNKNOWN and bool(noisy.address and noisy.node)
        return noisy if is_gone or self.noisy_is_over else None

    @property
    def pods_here(self) -> tuple[Pod, ...]:
        """The node's pods that have not finished, without our own; none where they could not be listed."""
        view = self.evidence.cluster
        pods = measures.known(view.pods) if view is not None else None
        return tuple(pod for pod in pods or () if pod.node == self.node and not pod.is_over and not pod.is_probe)

    def pod_of(self, suspect: Suspect | None) -> Pod | None:
        """The pod as the cluster knows it."""
        view = self.evidence.cluster
        pods = measures.known(view.pods) if view is not None else None
        if suspect is None or not suspect.pod_uid:
            return None
        return next((pod for pod in pods or () if pod.uid == suspect.pod_uid), None)

    @property
    def workload(self) -> str:
        """What to change for good: the noisy pod's owner, else the pod, else nothing that has a name."""
        if self.noisy_pod is None:
            return "the clients that open them"
        return visible(self.noisy_pod.owner or f"{self.noisy_pod.namespace}/{self.noisy_pod.pod}")

    @property
    def kube_node(self) -> KubeNode | None:
        """The node object."""
        view = self.evidence.cluster
        return measures.known(view.node) if view is not None else None

    @property
    def proxy(self) -> str | None:
        """How Services are implemented here, where that is known."""
        view = self.evidence.cluster
        return measures.known(view.proxy) if view is not None else None
