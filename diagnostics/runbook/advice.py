"""The runbook's last page: why restarting only seems to help, what not to do, what to do, and the pattern.

Each function reads a case and says what was concluded there; the conclusions are ``remedies``' and ``verdict``'s.
"""

from __future__ import annotations

from collections.abc import Callable

from diagnostics.model import Remedy, Shown, Status, VerdictKind
from diagnostics.runbook import causes, measures
from diagnostics.runbook.case import Case
from diagnostics.runbook.permanent import PERMANENT
from diagnostics.runbook.remedies import NEVER, NOW, remedies
from diagnostics.runbook.said import Said
from diagnostics.runbook.verdict import FULL, LOST_OF_TWENTY
from diagnostics.runbook.words import count

YES, NO = "☑", "☐"


def restarts(case: Case) -> Said:
    """Why restarting pods only seems to fix it."""
    if not case.is_pressed and case.verdict.kind is not VerdictKind.RECOVERED:
        return Said(Status.SKIPPED, "The table is not what fails here, so restarting pods is not the question.")
    timeouts = measures.known(case.evidence.snapshot.timeouts) or {}
    lifetime = timeouts.get("tcp_time_wait", causes.CLOSED_LIFETIME_SECONDS)
    says = f"A restarted pod's entries stay for up to {count(lifetime)} s. {causes.refill(case)}".rstrip()
    correction = (
        "The runbook says that restarting frees the entries. It frees none at once "
        "(measured: 800 before a kill, 800 twelve seconds after it)."
    )
    return Said(Status.WARN, says, correction=correction)


def do_not(case: Case) -> Said:
    """What not to do."""
    never = [remedy for remedy in remedies(case) if remedy.when == NEVER]
    if not never:
        return Said(Status.SKIPPED, "Nothing is to be done here, so there is nothing to be avoided.")
    means = "Those treat symptoms, not the cause." if len(never) > 1 else ""
    return Said(Status.WARN, "\n".join(_numbered(never)), means)


def advise(case: Case) -> Said:
    """What helps now, gentlest first, and what helps for good."""
    chosen = remedies(case)
    now = [remedy for remedy in chosen if remedy.when == NOW]
    permanent = [remedy for remedy in chosen if remedy.when == PERMANENT]
    if not now and not permanent:
        return Said(Status.SKIPPED, "Nothing about conntrack would help here.")
    lines = ["Now, gentlest first:" if len(now) > 1 else "Now:", *_numbered(now)] if now else []
    lines += ["For good:", *_numbered(permanent)] if permanent else []
    shown = tuple(Shown(command, "") for remedy in now for command in remedy.commands)
    matters = bool(now) or case.verdict.kind is VerdictKind.RECOVERED
    return Said(Status.WARN if matters else Status.OK, "\n".join(lines), evidence=shown, correction=_dated(chosen))


def _numbered(chosen: list[Remedy]) -> list[str]:
    return [f"{number}. {remedy.says}" for number, remedy in enumerate(chosen, 1)]


def _dated(chosen: tuple[Remedy, ...]) -> str:
    """The runbook's dated word, where a larger hash size is on the list."""
    if any(remedy.action == "raise_limit" and len(remedy.commands) > 1 for remedy in chosen):
        return "The runbook says that a larger hash size needs a reboot: it takes effect at once, while running."
    return ""


# ---- the pattern ----------------------------------------------------------------------------------------------------


def pattern(case: Case) -> Said:
    """The failure pattern, ticked."""
    signs = [(name, sign(case)) for name, sign in PATTERN]
    ticks = [f"{YES if sign else NO} {name}" for name, sign in signs if sign is not None]
    not_known = ", ".join(name for name, sign in signs if sign is None)
    ticked = "  ".join(ticks) + (f"\nNot known: {not_known}." if not_known else "")
    conclusion = {
        VerdictKind.EXHAUSTED: "This is conntrack exhaustion, not a service or DNS failure.",
        VerdictKind.EVICTING: "This is conntrack exhaustion: it evicts where others drop.",
        VerdictKind.FILLING: "This becomes conntrack exhaustion.",
        VerdictKind.RECOVERED: "This was conntrack exhaustion, and is over for now.",
        VerdictKind.HEALTHY: "This is not conntrack exhaustion.",
        VerdictKind.LOOKALIKE: "This looks like conntrack exhaustion, and is something else.",
        VerdictKind.INCONCLUSIVE: "Too little is known to call it conntrack exhaustion, or to rule it out.",
    }
    status = {
        VerdictKind.EXHAUSTED: Status.BAD,
        VerdictKind.EVICTING: Status.BAD,
        VerdictKind.HEALTHY: Status.OK,
        VerdictKind.INCONCLUSIVE: Status.UNKNOWN,
    }
    kind = case.verdict.kind
    return Said(status.get(kind, Status.WARN), ticked.lstrip(), conclusion[kind])


def _pods_running(case: Case) -> bool | None:
    return all(pod.phase == "Running" for pod in case.pods_here) if case.pods_here else None


def _reachable(case: Case) -> bool | None:
    """An answer to anything proves it: a ping, a connection, a refusal."""
    ping, connects = measures.known(case.evidence.snapshot.ping), measures.known(case.evidence.snapshot.connects)
    lost = measures.lost_connects(case.evidence)
    if (ping is not None and ping.answered > 0) or (
        connects is not None and lost is not None and lost < connects.attempts
    ):
        return True
    return None if case.is_failing or (ping is None and connects is None) else False


def _timeouts(case: Case) -> bool | None:
    connects, lost = measures.known(case.evidence.snapshot.connects), measures.lost_connects(case.evidence)
    return None if connects is None or lost is None else lost * 20 > connects.attempts * LOST_OF_TWENTY


def _retries(case: Case) -> bool | None:
    known = measures.known(case.evidence.snapshot.table) is not None
    return case.explains("aggressive_retries") if known else None


def _full(case: Case) -> bool | None:
    fill = measures.fill(case.evidence)
    return None if fill is None else fill >= FULL


def _drops(case: Case) -> bool | None:
    flow = measures.flow(case.evidence)
    return None if flow is None or flow.table_drops is None else flow.table_drops > 0


PATTERN: tuple[tuple[str, Callable[[Case], bool | None]], ...] = (
    ("pods running", _pods_running),
    ("network reachable", _reachable),
    ("random timeouts", _timeouts),
    ("retries increase", _retries),
    ("table full", _full),
    ("kernel drops", _drops),
)
