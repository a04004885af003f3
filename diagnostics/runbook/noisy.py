"""Whether one source fills the table, by a stated rule.

One source is noisy if it holds at least half of the entries (by the lower end of its interval), or a fifth of them and
three times as much as the next; and only where the table is under pressure, because somebody holds most of any small
table. This file does not know what the source does (``triggers``).
"""

from __future__ import annotations

from diagnostics.model import Evidence, Suspect, SuspectKind
from diagnostics.runbook import measures, verdict
from diagnostics.runbook.words import count, percent, points, sentence, visible

HALF = 0.5  # No peer publishes a threshold: half of the table is enough that the rest alone would not fill it.
TIMES_THE_NEXT = 3.0
KINDS = {
    SuspectKind.POD: "a pod",
    SuspectKind.SERVICE: "a Service",
    SuspectKind.EXTERNAL: "an outside address",
    SuspectKind.UNKNOWN: "an unknown source",
}
FIFTH = 0.2  # Below this, three times the next is a difference between small sources.


def noisy(evidence: Evidence) -> tuple[Suspect | None, str]:
    """The one source that fills the table, or None, and the reason for either in a sentence."""
    if evidence.attribution is None:
        return None, f"It is not known who holds the entries: {_why_not_attributed(evidence)}."
    suspects = evidence.attribution.suspects
    # An address without a name is still one source: without a cluster, that is all there is.
    named = [suspect for suspect in suspects if suspect.kind is not SuspectKind.UNKNOWN or suspect.address]
    if not named:
        return None, "None of the entries could be given to an owner."
    first = max(named, key=lambda suspect: suspect.share)
    holds = f"{name(first, measures.node_name(evidence))} holds {held(first)}"
    if measures.usage(evidence) is not None and not verdict.is_under_pressure(evidence):
        return None, f"The table is not under pressure, so it does not matter who holds it ({holds})."
    return _by_the_rule(first, suspects, holds)


def _by_the_rule(first: Suspect, suspects: tuple[Suspect, ...], holds: str) -> tuple[Suspect | None, str]:
    # The part without an owner counts as one rival: it may be one.
    rivals = sorted((suspect.share for suspect in suspects if suspect is not first), reverse=True)
    second = rivals[0] if rivals else 0.0
    starts = holds if first.kind is SuspectKind.POD else sentence(holds)  # A pod's name is spelled as it is.
    if first.share_low >= HALF:
        return first, f"{starts}: more than half of the table."
    if first.share_low >= FIFTH and first.share >= TIMES_THE_NEXT * second:
        return first, f"{starts}, at least three times as much as the next ({percent(second)})."
    if second > first.share:
        return None, f"{percent(second)} of the entries could not be given to an owner; of the rest, {holds}."
    return (
        None,
        f"The load is distributed: {holds}, the next {percent(second)}. Killing one pod would not free the table.",
    )


def name(suspect: Suspect, here: str) -> str:
    """The suspect as a person on the node ``here`` would look it up: namespace/pod, else its address."""
    if suspect.kind is SuspectKind.POD and suspect.pod:
        return visible(f"{suspect.namespace}/{suspect.pod}")
    kind = KINDS.get(suspect.kind, "")
    if suspect.kind is SuspectKind.NODE:
        kind = "the node itself" if suspect.node in ("", here) else "another node"
    elif suspect.kind is SuspectKind.UNKNOWN and suspect.node:
        kind = "a deleted pod"  # Attribution knows whose range the address is in, and nobody has it now.
    known_as = visible(suspect.label or suspect.address)
    return f"{kind} ({known_as})" if known_as else kind


def held(suspect: Suspect) -> str:
    """The suspect's share with its interval: "97 % (± 1) of the entries, about 7,760"."""
    half = max(suspect.share_high - suspect.share, suspect.share - suspect.share_low)
    interval = f" ({points(half)})" if half > 0 else ""
    return f"{percent(suspect.share)}{interval} of the entries, about {count(suspect.entries)}"


def _why_not_attributed(evidence: Evidence) -> str:
    table = evidence.snapshot.table
    return "nothing was attributed" if measures.known(table) is not None else visible(measures.why_unknown(table))
