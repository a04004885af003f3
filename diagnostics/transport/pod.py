"""The rung "pod": the probe as a short-lived debug pod, its answers in the termination messages.

On a node that drops new connections this is the way that still works: the kubelet starts the pod and reports its end
over the one connection to the API server that it already holds, while exec, logs and SSH each need a new one. So
nothing here may use exec or logs. It must not know what a report means.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Iterator
from typing import Any

from diagnostics.cluster import KubeApi
from diagnostics.cluster.faults import plain
from diagnostics.cluster.objects import mapping, name_of, objects, seconds, text, uid_of
from diagnostics.errors import ClusterError, PodError
from diagnostics.transport import Order, Report, Tell
from diagnostics.transport.pod_spec import INCIDENT_LABEL, LABEL_SELECTOR, PodSettings, incident_label, probe_pod
from diagnostics.transport.pod_state import Answered, Failed, Running, StageState, Starting, Unseen, stage_state

__all__ = ["PodSettings", "PodTransport", "sweep"]

# A question takes some 4 ms over the connection that is there already. A watch would answer a tenth of a second sooner
# and need a connection of its own, which is what the bot's node may be unable to open.
POLL_SECONDS = 0.2
STATUS_SECONDS = 12.0  # the kubelet's status manager batches for up to 10 s when it is busy
DELETIONS = 3
LEFTOVER_SECONDS = 600.0  # twice the longest life of a debug pod
# A pod that has not ended may be in use, and this machine's clock may be ahead of the server's. So it must be far
# older: its own deadline ends it long before, unless its kubelet is gone.
STUCK_TIMES = 6

# What may pass by itself while one waits; the pod runs on meanwhile.
_PASSING = ("unreachable", "timeout", "overloaded", "server")


class PodTransport:
    """Looks at one node through a debug pod."""

    def __init__(self, api: KubeApi, node: str, settings: PodSettings) -> None:
        self._api = api
        self._node = node
        self._settings = settings

    @property
    def rung(self) -> str:
        """The rung's name."""
        return "pod"

    def look(self, order: Order, tell: Tell) -> Generator[Report, None, None]:
        """Create the pod, yield each stage's report as its container ends, delete the pod whatever happens.

        Raises TargetError where there is no such node, ClusterError where the pod is refused, and PodError where it
        gives no answer.
        """
        name = f"conntrack-bot-probe-{secrets.token_hex(5)}"
        body = probe_pod(self._settings, self._node, order, name=name, node_uid=self._node_uid())
        self._take_over(tell)
        # The name is random, so that it finds the pod again when the answer to the creation is lost.
        uid, may_exist = None, True
        try:
            try:
                pod = self._create(name, body)
            except ClusterError as error:
                may_exist = error.kind == "ambiguous"
                raise
            uid = uid_of(pod)
            tell(f"debug pod {name} created" + _pull_warning(pod))
            yield from self._reports(name, order, tell)
        finally:
            if may_exist:
                self._delete(name, uid, tell)

    def _take_over(self, tell: Tell) -> None:
        """Delete what an earlier look for this incident has left on the node: it died, and waits for no answer."""
        incident = incident_label(self._settings)
        if not (self._settings.takes_over and incident):
            return
        try:
            pods = self._api.list_probe_pods(self._settings.namespace, f"{LABEL_SELECTOR},{INCIDENT_LABEL}={incident}")
        except ClusterError:
            return  # it ends by itself, and a later sweep removes it
        for pod in pods:
            if mapping(pod, "spec").get("nodeName") == self._node:
                self._delete(name_of(pod), uid_of(pod), tell)

    def _node_uid(self) -> str:
        """Also the check that there is such a node: a pod for an unknown one would wait, and be collected."""
        try:
            return uid_of(self._api.node(self._node))
        except ClusterError as error:
            if error.kind != "forbidden":
                raise
            return ""

    def _create(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        namespace = self._settings.namespace
        try:
            return self._api.create_pod(namespace, body)
        except ClusterError as error:
            if error.kind == "ambiguous":
                return self._found_again(namespace, name, error)
            if error.kind in ("forbidden", "not_found"):
                raise ClusterError(f"{error} Until then: --via ssh.", error.kind, error.status) from error
            raise

    def _found_again(self, namespace: str, name: str, lost: ClusterError) -> dict[str, Any]:
        """The pod, where the connection broke after the request was sent and the server has carried it out."""
        try:
            return self._api.pod(namespace, name)
        except ClusterError as error:
            raise lost from error

    def _delete(self, name: str, uid: str | None, tell: Tell) -> None:
        """To delete again what is gone already does no harm: the name is random, and the UID a precondition."""
        for tries_left in reversed(range(DELETIONS)):
            try:
                self._api.delete_pod(self._settings.namespace, name, uid)
                return  # noqa: TRY300 - done
            except ClusterError as error:
                if tries_left and error.kind in (*_PASSING, "ambiguous"):
                    time.sleep(POLL_SECONDS)
                    continue
                tell(f"debug pod {name} could not be deleted; it ends by itself, and a later sweep removes it. {error}")
                return

    # ---- waiting for answers ----------------------------------------------------------------------------------------

    def _reports(self, name: str, order: Order, tell: Tell) -> Iterator[Report]:
        stages = order.stages()
        for place, stage in enumerate(stages):
            end = self._await(name, stage, order, tell)
            if isinstance(end, Answered):
                yield end.report
                continue
            if place == 0:
                raise PodError(f"Debug pod on {self._node}: {end.why}")
            for lost in stages[place:] if end.is_final else (stage,):
                yield {"stage": lost, "unknown": {lost: end.why}}
            if end.is_final:
                return

    def _await(self, name: str, stage: str, order: Order, tell: Tell) -> Answered | Failed:
        """Ask until the stage is over, or has been in one state for longer than that state deserves."""
        patience = {
            Unseen: self._settings.ack_seconds,
            Starting: self._settings.start_seconds,
            Running: order.deadline_seconds + STATUS_SECONDS,
        }
        state: StageState = Unseen()
        pod: dict[str, Any] = {}
        since, unheard = time.monotonic(), ""
        while True:
            try:
                pod = self._api.pod(self._settings.namespace, name)
                before, state, unheard = state, stage_state(pod, stage), ""
            except ClusterError as error:
                if error.kind == "not_found":
                    return Failed("somebody deleted the debug pod before it answered. Ask again.")
                if error.kind not in _PASSING:
                    raise
                before, unheard = state, str(error)
            if isinstance(state, Answered | Failed):
                return state
            if type(state) is not type(before):
                since = time.monotonic()
                tell(f"{stage}: {_progress(state)}")
            if time.monotonic() - since > patience[type(state)]:
                return Failed(unheard or self._why_silent(state, pod, stage, patience[type(state)]))
            time.sleep(POLL_SECONDS)
            tell("")

    def _why_silent(self, state: Unseen | Starting | Running, pod: dict[str, Any], stage: str, waited: float) -> str:
        if isinstance(state, Unseen):
            return (
                f"not acknowledged by the kubelet within {waited:g} s ({self._node_health()}). "
                "The kubelet has lost the API server, or the node is down: use --via ssh, or its console."
            )
        if isinstance(state, Starting):
            return (
                f"not started within {waited:g} s ({plain(state.reason)}{self._last_event(pod)}). "
                "The node's container runtime is slow or stuck: use --via ssh."
            )
        return (
            f"the stage `{stage}` runs, and has not answered within {waited:g} s. "
            "The node is very slow, or its kubelet has lost the API server: use --via ssh."
        )

    def _node_health(self) -> str:
        """What the control plane knows about the kubelet: its Ready condition and its last heartbeat."""
        try:
            node = self._api.node(self._node)
            renewed = seconds(mapping(self._api.node_lease(self._node), "spec").get("renewTime"))
        except ClusterError as error:
            return f"node and lease not read: {error}"
        ready = [one for one in objects(node, "status", "conditions") if one.get("type") == "Ready"]
        says = {"True": "node Ready", "False": "node NotReady", "Unknown": "node NotReady"}
        status = says.get(text(ready[0].get("status")), "node without a Ready condition") if ready else "node not Ready"
        since = text(ready[0].get("lastTransitionTime")) if ready and status == "node NotReady" else ""
        heartbeat = f", last heartbeat {max(0, time.time() - renewed):.0f} s ago" if renewed is not None else ""
        return status + (f" since {plain(since)}" if since else "") + heartbeat

    def _last_event(self, pod: dict[str, Any]) -> str:
        try:
            events = self._api.events_for(pod)
        except ClusterError:
            return ""
        warnings = [text(event.get("message")) for event in events if event.get("type") == "Warning"]
        return f"; {plain(warnings[-1])}" if warnings else ""


def sweep(api: KubeApi, settings: PodSettings, older_than_seconds: float = LEFTOVER_SECONDS) -> int:
    """Delete the debug pods that a bot has left behind, by label and age; how many. Raises ClusterError.

    Some other bot or a person may be using a younger one.
    """
    now, swept = time.time(), 0
    for pod in api.list_probe_pods(settings.namespace, LABEL_SELECTOR):
        created = seconds(mapping(pod, "metadata").get("creationTimestamp"))
        has_ended = mapping(pod, "status").get("phase") in ("Succeeded", "Failed")
        patience = older_than_seconds * (1 if has_ended else STUCK_TIMES)
        if created is not None and now - created > patience:
            api.delete_pod(settings.namespace, name_of(pod), uid_of(pod))
            swept += 1
    return swept


def _progress(state: Unseen | Starting | Running) -> str:
    if isinstance(state, Starting):
        return "starting"
    return "running" if isinstance(state, Running) else "waiting for the kubelet"


def _pull_warning(pod: dict[str, Any]) -> str:
    """AlwaysPullImages rewrites the pull policy, and a pull may be what the node cannot do now."""
    containers = objects(pod, "spec", "initContainers") + objects(pod, "spec", "containers")
    forced = any(one.get("imagePullPolicy") == "Always" for one in containers)
    return "; the admission plugin AlwaysPullImages makes the node pull its image" if forced else ""
