"""What a debug pod's status says about one of its stages: not seen yet, starting, running, answered or failed.

Pure: a pod object goes in, a value comes out. It must not know of time, of the API, or of what a report means. The
reasons are the kubelet's and the runtime's own words, from their sources (1.20 and newer).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diagnostics.cluster.faults import LONGEST_QUOTE, plain
from diagnostics.cluster.objects import mapping, objects, text
from diagnostics.probe.envelope import DamagedEnvelopeError, unpack
from diagnostics.transport import Report


@dataclass(frozen=True, slots=True)
class Unseen:
    """The kubelet has not acknowledged the pod."""


@dataclass(frozen=True, slots=True)
class Starting:
    """The kubelet knows the pod, and this stage does not run yet. ``reason`` is the kubelet's word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Running:
    """The stage runs."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The stage is over and its report is whole."""

    report: Report


@dataclass(frozen=True, slots=True)
class Failed:
    """The stage will give no report: a sentence says why and what to do. ``is_final``: no later stage will either."""

    why: str
    is_final: bool = True


StageState = Unseen | Starting | Running | Answered | Failed

_IMAGE = (
    "the image {image} is not on the node and cannot be had ({reason}: {message}). A node that drops new connections "
    "cannot pull: install deploy/kubernetes/prepull, or correct the image's name."
)
_WAITING = {
    "ErrImagePull": _IMAGE,
    "ImagePullBackOff": _IMAGE,
    "ErrImageNeverPull": _IMAGE,
    "ImageInspectError": _IMAGE,
    "InvalidImageName": "`{image}` is no name of an image ({message}). Correct the setting `image`.",
    "RegistryUnavailable": _IMAGE,
    "CreateContainerConfigError": (
        "the node refuses the debug pod's settings ({message}). Is it running an image or a service account that "
        "differs from deploy/kubernetes?"
    ),
    "CreateContainerError": (
        "the node's runtime refuses the debug pod ({message}). SELinux, AppArmor or seccomp may forbid it: try the "
        "profile `privileged`."
    ),
    "RunContainerError": (
        "the node's runtime cannot start the debug pod ({message}). SELinux, AppArmor or seccomp may forbid it: try "
        "the profile `privileged`."
    ),
}

_FULL = "the node has no room for the debug pod ({reason}: {message}). Free some room there, or use --via ssh."
_FAILED = {
    "OutOfpods": _FULL,
    "OutOfcpu": _FULL,
    "OutOfmemory": _FULL,
    "OutOfephemeral-storage": _FULL,
    "NodeAffinity": "the kubelet refused the debug pod: its node selector does not fit ({message}).",
    "TaintToleration": (
        "the kubelet refused the debug pod for a taint ({message}), though it tolerates all: a policy of this cluster "
        "removed its tolerations. Make an exception for debug pods."
    ),
    "UnexpectedAdmissionError": "the kubelet refused the debug pod ({message}). The kubelet's log has the reason.",
    "PodOSNotSupported": "the node does not run Linux, so it has no conntrack table ({message}).",
    "Evicted": "the node evicted the debug pod, being short of a resource itself ({message}).",
    "Preempting": "the kubelet ended the debug pod to make room for a critical one ({message}). Try again.",
    "NodeShutdown": "the node is shutting down ({message}).",
    "Terminated": "the node is shutting down ({message}).",
    "Shutdown": "the node is shutting down ({message}).",
    "NodeLost": "the control plane has lost the node ({message}).",
    "DeadlineExceeded": (
        "the debug pod ran out of time before it answered: the node is very slow. Ask again, without --exact and "
        "--deep, or use --via ssh."
    ),
}


def stage_state(pod: Mapping[str, Any], stage: str) -> StageState:
    """What the pod's status says about the container ``stage``."""
    container = _container_status(pod, stage)
    ended = mapping(container, "state", "terminated")
    if ended:
        return _ended(pod, stage, ended)
    if mapping(container, "state", "running"):
        return Running()
    if mapping(pod, "status").get("phase") == "Failed":
        return Failed(_pod_failure(pod))
    if mapping(pod, "metadata").get("deletionTimestamp"):
        return Failed("somebody deleted the debug pod before it answered. Ask again.")
    return _waiting(pod, mapping(container, "state", "waiting"))


def _waiting(pod: Mapping[str, Any], waiting: Mapping[str, Any]) -> StageState:
    reason = text(waiting.get("reason"))
    if reason in _WAITING:
        return Failed(_filled(_WAITING[reason], pod, reason, waiting.get("message")))
    # The scheduler is passed over, so nobody but the kubelet writes a status: an acknowledged pod has a start time.
    status = mapping(pod, "status")
    if not status.get("startTime") and not objects(status, "conditions"):
        return Unseen()
    return Starting(reason or "no container yet")


def _container_status(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    status = mapping(pod, "status")
    for one in objects(status, "initContainerStatuses") + objects(status, "containerStatuses"):
        if one.get("name") == name:
            return one
    return {}


def _ended(pod: Mapping[str, Any], stage: str, ended: Mapping[str, Any]) -> StageState:
    message, reason, code = text(ended.get("message")), text(ended.get("reason")), ended.get("exitCode")
    try:
        # A whole report counts whatever the exit status: a stage that was cut short hands over what it has.
        return Answered(unpack(message))
    except DamagedEnvelopeError as error:
        damage = str(error)
    if reason == "OOMKilled":
        return Failed(f"the stage `{stage}` was killed for want of memory. Raise the debug pod's memory limit.")
    if mapping(pod, "status").get("reason") == "DeadlineExceeded":
        return Failed(_FAILED["DeadlineExceeded"])
    if reason in ("ContainerCannotRun", "StartError"):
        return Failed(
            f"the stage `{stage}` could not be started ({plain(message)}). "
            "Is the image conntrack-bot's own? SELinux or AppArmor may forbid it too: try the profile `privileged`."
        )
    if code == 0:
        return Failed(
            f"the stage `{stage}` ended without a whole report ({damage}). Are bot and image of one version?",
            is_final=False,
        )
    says = plain(message[-LONGEST_QUOTE:]) or "it said nothing"  # a traceback's last line is the one that tells
    return Failed(f"the stage `{stage}` crashed with exit status {plain(code)}. Its last words: {says}")


def _pod_failure(pod: Mapping[str, Any]) -> str:
    status = mapping(pod, "status")
    reason = text(status.get("reason"))
    if reason in _FAILED:
        return _filled(_FAILED[reason], pod, reason, status.get("message"))
    for one in objects(status, "initContainerStatuses"):
        code = mapping(one, "state", "terminated").get("exitCode")
        if code:
            return f"the stage before it, `{plain(one.get('name'))}`, ended with exit status {plain(code)}."
    return f"the node ended the debug pod ({plain(reason or 'no reason given')}: {plain(status.get('message') or '')})."


def _filled(sentence: str, pod: Mapping[str, Any], reason: str, message: object) -> str:
    containers = objects(pod, "spec", "initContainers") + objects(pod, "spec", "containers")
    image = plain(containers[0].get("image")) if containers else "?"
    forced = any(one.get("imagePullPolicy") == "Always" for one in containers)
    why = " The admission plugin AlwaysPullImages forces a pull for every pod here." if forced else ""
    said = plain(message) if message else "no message"
    return sentence.format(image=image, reason=plain(reason), message=said) + why
