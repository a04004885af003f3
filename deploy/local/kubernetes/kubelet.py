"""A kubelet that behaves: what a pod's status is, so many seconds after the pod was created. Pure.

It knows the kubelet's rules for termination messages (the last 4,096 bytes of the file, 12 KiB for all containers of a
pod together) and those for init containers: one after the other, and a failed one ends the pod. What a container does
is told by ``runs``: a table, or a function of the pod, which is how a node's answer follows from its state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.local.kubernetes.state import written

Json = dict[str, Any]

MESSAGE_BYTES = 4096  # MaxContainerTerminationMessageLength
POD_MESSAGES_BYTES = 12288  # MaxPodTerminationMessageLogLength
_IMAGE = re.compile(r"[a-z0-9]+(?:[._/:@-]+[A-Za-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Run:
    """What one container does: runs so long, ends like this, having written this to its termination log."""

    message: str = ""
    seconds: float = 0.0
    exit_code: int = 0
    reason: str = ""
    log: str = ""


Runs = Mapping[str, Run]
FOR_EVER = Run(seconds=float("inf"))


@dataclass(frozen=True, slots=True)
class Kubelet:
    """``runs`` is what the containers do, by name; a container that is not in it runs for ever.

    ``waiting`` is (reason, message) of a first container that never starts; ``refuses`` is (reason, message) of a pod
    that fails as a whole, after ``refuses_after_seconds``. ``images`` are those on the node; None: every one is.
    ``acknowledges_after_seconds`` is None where the kubelet has lost the API server: it does nothing then.
    ``answers_logs`` is False where the API server cannot open a connection to it.
    """

    runs: Runs | Callable[[Json], Runs] = field(default_factory=dict)
    acknowledges_after_seconds: float | None = 0.0
    waiting: tuple[str, str] | None = None
    refuses: tuple[str, str] | None = None
    refuses_after_seconds: float = 0.0
    stops_after_seconds: float = 0.2
    images: frozenset[str] | None = None
    answers_logs: bool = True

    def runs_of(self, pod: Json) -> Runs:
        """What the pod's containers will do."""
        return self.runs(pod) if callable(self.runs) else self.runs

    def moments(self, pod: Json, runs: Runs) -> Iterator[float]:
        """The ages in seconds at which the pod's status changes."""
        age = self.acknowledges_after_seconds
        if age is None:
            return
        yield age
        if self.refuses is not None:
            yield max(age, self.refuses_after_seconds)
        for name in _names(pod):
            age += runs.get(name, FOR_EVER).seconds
            if age == float("inf"):
                return
            yield age

    def status(self, pod: Json, runs: Runs, age: float, created: float) -> Json:
        """The status of a pod of this age in seconds, which was created at ``created``."""
        acknowledged = self.acknowledges_after_seconds
        if acknowledged is None or age < acknowledged:
            return {"phase": "Pending", "qosClass": "Burstable"}
        status: Json = {"phase": "Pending", "qosClass": "Burstable", "startTime": written(created + acknowledged)}
        if self.refuses is not None and age >= self.refuses_after_seconds:
            reason, message = self.refuses
            return status | {"phase": "Failed", "reason": reason, "message": message}
        states = self._states(pod, runs, age - acknowledged, created + acknowledged)
        return status | _whole(pod, states)

    def _states(self, pod: Json, runs: Runs, age: float, began: float) -> list[Json]:
        """The containers' states: init containers in their order, then all the others together."""
        states: list[Json] = []
        inits, names = len(pod["spec"].get("initContainers") or []), _names(pod)
        waiting = self._waits(pod)
        is_reached, at = waiting is None, 0.0
        for place, name in enumerate(names):
            run = runs.get(name, FOR_EVER)
            if not is_reached:
                reason, message = (waiting if place == 0 and waiting else None) or _yet_to_start(inits)
                states.append({"waiting": {"reason": reason} | ({"message": message} if message else {})})
                continue
            ends = at + run.seconds
            if age < ends:
                states.append({"running": {"startedAt": written(began + at)}})
                is_reached = place >= inits
                continue
            states.append({"terminated": _terminated(run, len(names), began + at, began + ends)})
            if place < inits:
                at = ends
                is_reached = run.exit_code == 0
        return states

    def _waits(self, pod: Json) -> tuple[str, str] | None:
        """Why the first container does not start: as told, or because its image is not there."""
        if self.waiting is not None or self.images is None:
            return self.waiting
        first = (pod["spec"].get("initContainers") or pod["spec"]["containers"])[0]
        image, policy = first["image"], first.get("imagePullPolicy") or "IfNotPresent"
        if not _IMAGE.fullmatch(image):
            return "InvalidImageName", f'Failed to apply default image tag "{image}": couldn\'t parse image reference'
        if image in self.images and policy != "Always":
            return None
        if policy == "Never":
            return "ErrImageNeverPull", f'Container image "{image}" is not present with pull policy of Never'
        return "ImagePullBackOff", f'Back-off pulling image "{image}"'


def _names(pod: Json) -> list[str]:
    spec = pod["spec"]
    return [one["name"] for one in [*(spec.get("initContainers") or []), *spec["containers"]]]


def _yet_to_start(inits: int) -> tuple[str, str]:
    return ("PodInitializing" if inits else "ContainerCreating"), ""


def _whole(pod: Json, states: list[Json]) -> Json:
    """The pod's phase, conditions and container statuses, from the states of its containers."""
    spec = pod["spec"]
    listed = [*(spec.get("initContainers") or []), *spec["containers"]]
    inits = len(listed) - len(spec["containers"])
    shown = [
        _container(one, state, place < inits) for place, (one, state) in enumerate(zip(listed, states, strict=True))
    ]
    initialized = all(_succeeded(state) for state in states[:inits])
    ready = initialized and all("running" in state for state in states[inits:])
    conditions = {"Initialized": initialized, "Ready": ready, "ContainersReady": ready, "PodScheduled": True}
    parts: Json = {
        "phase": _phase(states, inits),
        "conditions": [{"type": name, "status": str(true)} for name, true in conditions.items()],
        "containerStatuses": shown[inits:],
    }
    return parts | ({"initContainerStatuses": shown[:inits]} if inits else {})


def _container(container: Json, state: Json, is_init: bool) -> Json:
    running = "running" in state
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "" if "waiting" in state else "sha256:" + "0" * 64,
        "state": state,
        "lastState": {},
        "ready": _succeeded(state) if is_init else running,
        "started": running,
        "restartCount": 0,
    }


def _succeeded(state: Json) -> bool:
    return bool((state.get("terminated") or {}).get("exitCode", 1) == 0)


def _phase(states: list[Json], inits: int) -> str:
    """kubelet: ``getPhase``. Restarts are not modelled: every pod here behaves as with restartPolicy Never."""
    if any("terminated" in state and not _succeeded(state) for state in states[:inits]):
        return "Failed"
    mains = states[inits:]
    if not all(_succeeded(state) for state in states[:inits]) or any("waiting" in state for state in mains):
        return "Pending"
    if any("running" in state for state in mains):
        return "Running"
    return "Succeeded" if all(map(_succeeded, mains)) else "Failed"


def _terminated(run: Run, containers: int, started: float, finished: float) -> Json:
    """kubelet: ``tail.ReadAtMost`` keeps the end of the file, ``normalizeStatus`` the beginning of what is too much."""
    kept = run.message.encode()[-MESSAGE_BYTES:][: POD_MESSAGES_BYTES // containers]
    state = {
        "exitCode": run.exit_code,
        "reason": run.reason or ("Completed" if run.exit_code == 0 else "Error"),
        "startedAt": written(started),
        "finishedAt": written(finished),
    }
    return state | ({"message": kept.decode("utf-8", "replace")} if kept else {})
