"""A kubelet that behaves: what a pod's status is, so many seconds after the pod was created.

It knows the kubelet's rules for termination messages (the last 4,096 bytes of the file, 12 KiB for all containers of a
pod together) and those for init containers: one after the other, and a failed one ends the pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

MESSAGE_BYTES = 4096
POD_MESSAGES_BYTES = 12288


@dataclass(frozen=True)
class Run:
    """What one container does: runs so long, ends like this, having written this to its termination log."""

    message: str = ""
    seconds: float = 0.0
    exit_code: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Kubelet:
    """``runs`` is what the containers do, by name; ``waiting`` is (reason, message) of a first one that never starts.

    ``refuses`` is (reason, message) of a pod that fails as a whole, after ``refuses_after_seconds``.
    """

    runs: Mapping[str, Run] = field(default_factory=dict)
    acknowledges_after_seconds: float | None = 0.0
    waiting: tuple[str, str] | None = None
    refuses: tuple[str, str] | None = None
    refuses_after_seconds: float = 0.0

    def status(self, pod: Json, age: float) -> Json:
        """The status of a pod of this age in seconds."""
        if self.acknowledges_after_seconds is None or age < self.acknowledges_after_seconds:
            return {"phase": "Pending", "qosClass": "Burstable"}
        status: Json = {
            "phase": "Pending",
            "startTime": _now(),
            "conditions": [{"type": "Initialized", "status": "False"}],
        }
        if self.refuses is not None and age >= self.refuses_after_seconds:
            reason, message = self.refuses
            return status | {"phase": "Failed", "reason": reason, "message": message}
        return status | self._containers(pod, age - self.acknowledges_after_seconds)

    def _containers(self, pod: Json, age: float) -> Json:
        spec = pod["spec"]
        names = [one["name"] for one in [*(spec.get("initContainers") or []), *spec["containers"]]]
        states: list[Json] = []
        failed = False
        for name in names:
            run = self.runs.get(name)
            if failed or age < 0 or self.waiting is not None or run is None:
                reason, message = (self.waiting if not states and self.waiting else None) or ("PodInitializing", "")
                states.append({"name": name, "state": {"waiting": {"reason": reason, "message": message}}})
                age = -1.0
            elif age < run.seconds:
                states.append({"name": name, "state": {"running": {"startedAt": _now()}}})
                age = -1.0
            else:
                states.append({"name": name, "state": {"terminated": _terminated(run, len(names))}})
                age -= run.seconds
                failed = run.exit_code != 0
        ended = all("terminated" in one["state"] for one in states)
        phase = "Failed" if failed else "Succeeded" if ended else "Pending"
        inits = len(names) - 1
        return {"phase": phase, "initContainerStatuses": states[:inits], "containerStatuses": states[inits:]}


def _terminated(run: Run, containers: int) -> Json:
    """kubelet: ``tail.ReadAtMost`` keeps the end of the file, ``normalizeStatus`` the beginning of what is too much."""
    kept = run.message.encode()[-MESSAGE_BYTES:][: POD_MESSAGES_BYTES // containers]
    return {
        "exitCode": run.exit_code,
        "reason": run.reason or ("Completed" if run.exit_code == 0 else "Error"),
        "message": kept.decode("utf-8", "replace"),
        "finishedAt": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
