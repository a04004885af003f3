"""The clusters' nodes, for the chat: which node a name means, and a look at it. Implements ``bot.workflow.Nodes``.

What is typed in the chat names nodes and pods of the configured clusters and nothing else: no host, no folder, not this
machine. It must not know who asks, nor what is found.
"""

from __future__ import annotations

import difflib
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from bot import wiring
from bot.config import Settings, changed
from bot.model import Place
from bot.wiring import Options
from bot.wiring.target import THIS_MACHINE, Target
from bot.workflow import Errand
from diagnostics.cluster import KubeApi
from diagnostics.cluster.objects import mapping, name_of, namespace_of, text
from diagnostics.diagnose import diagnose
from diagnostics.errors import ClusterError, ConfigurationError, TargetError
from diagnostics.model import Diagnosis
from diagnostics.runbook.words import visible
from diagnostics.transport import Tell

NAMES_KEPT_SECONDS = 30.0
CLOSEST = 3
HOW = "Name a node, CLUSTER/NODE, a pod, or NAMESPACE/POD."
# Slack writes people, channels and links as <WHAT|LABEL>, and makes links of what looks like a host's name.
_TOKEN = re.compile(r"<(?:[a-z]+://|[@#!])?(?P<what>[^|>]*)(?:\|(?P<label>[^>]*))?>")
_AROUND = " \t\r\n`'\"“”‘’«»()[]{}*_~,;:!?"  # noqa: RUF001 - phones turn quotes into these

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Cluster:
    """One cluster: its name for people, and its API."""

    name: str
    api: KubeApi


@dataclass
class Clusters:
    """All clusters of the settings, each opened once. Safe to use from several threads."""

    settings: Settings
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _opened: dict[str, tuple[str, KubeApi]] = field(default_factory=dict)
    _names: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)

    def locate(self, named: str) -> Place:
        """The node that a name means. Raises TargetError with the closest names, and ConfigurationError."""
        name = meant(named)
        if name == THIS_MACHINE or name.startswith((".", "~", "/")) or "//" in name:
            raise TargetError(f"`{_shown(name)}` is not what I can look at from here. {HOW}")
        cluster, rest = self._split(name)
        match rest.split("/"):
            case [node] if node:
                return self._node(cluster, node)
            case [namespace, pod]:
                return self._pod(cluster, namespace, pod)
            case [other, _, _]:
                raise _unknown(f"I don't know a cluster `{_shown(other)}`.", _close(other, self.settings.clusters))
        raise TargetError(HOW)

    def _split(self, name: str) -> tuple[str, str]:
        """The configured cluster that a name begins with, or the one meant without; and the rest."""
        for known in self.settings.clusters:
            if name.startswith(f"{known.lower()}/"):
                return known, name[len(known) + 1 :]
        # The name of a context is kubectl's, and may hold slashes of its own.
        current = self._current() if "/" in name and not self._default() else ""
        if current and name.startswith(f"{current.lower()}/"):
            return "", name[len(current) + 1 :]
        return self._default(), name

    def look(self, errand: Errand, tell: Tell, first: Callable[[Diagnosis], None]) -> Diagnosis:
        """Look at a node. Raises DiagnosticsError; what ``tell`` raises ends the look."""
        place = errand.place
        cluster = place.cluster if place.cluster in self.settings.clusters else self._default()
        if cluster != place.cluster and place.cluster not in ("", self._current()):
            raise ConfigurationError(
                f"The cluster {place.cluster} of {place.node} is not in the configuration any more."
            )
        # As on the command line: what a deep look reads, only a privileged debug pod can.
        settings = changed(self.settings, probe={"profile": "privileged" if errand.deep else None})
        target = Target("node", place.node, cluster)
        options = Options(
            exact=errand.exact,
            deep=errand.deep,
            record_to=errand.record_to,
            incident=errand.incident,
            requested_by=errand.requested_by,
            takes_over=errand.takes_over,
        )
        plan = wiring.node_plan(target, settings, options, lambda: self._open(cluster))
        return diagnose(replace(plan, first=first), tell)

    def open_default(self) -> None:
        """Open the cluster that a node's name alone means, ahead of the first question. Raises ConfigurationError."""
        self._open(self._default())

    # ---- clusters ---------------------------------------------------------------------------------------------------

    def _default(self) -> str:
        return self.settings.default_cluster or ""

    def _current(self) -> str:
        """The name of the cluster that is meant without any being configured: kubectl's current context."""
        try:
            return "" if self._default() else self._cluster("").name
        except ConfigurationError:
            return ""

    def _cluster(self, configured: str) -> _Cluster:
        name, api = self._open(configured)
        return _Cluster(name or api.cluster, api)

    def _open(self, configured: str) -> tuple[str, KubeApi]:
        with self._lock:
            if configured not in self._opened:
                self._opened[configured] = wiring.opened(configured or None, self.settings, Options())
            return self._opened[configured]

    # ---- nodes and pods ---------------------------------------------------------------------------------------------

    def _node(self, configured: str, name: str) -> Place:
        """A node, or the one that a pod of this name runs on."""
        try:
            cluster = self._cluster(configured)
        except ConfigurationError:
            if name not in self.settings.ssh.hosts:
                raise
            return Place(configured, name)  # its cluster cannot be asked, but it can be logged in to
        try:
            cluster.api.node(name)
        except TargetError as error:
            return self._by_pods(cluster, name, error)
        except ClusterError as error:
            log.warning("node not checked", node=name, cluster=cluster.name, why=str(error))
        return Place(cluster.name, name)

    def _by_pods(self, cluster: _Cluster, name: str, error: TargetError) -> Place:
        try:
            pods = cluster.api.pods_named(name)
        except ClusterError:  # it may not list pods, or no pod can have this name
            pods = []
        if not pods:
            raise _unknown(f"I don't know a node `{_shown(name)}`.", self._close_nodes(cluster, name)) from error
        places = {place.node: place for pod in pods if (place := _place(cluster, pod)) is not None}
        if len(places) > 1:
            raise _several(name, pods) from error
        if not places:
            raise _not_placed(pods[0]) from error
        return next(iter(places.values()))

    def _pod(self, configured: str, namespace: str, name: str) -> Place:
        cluster = self._cluster(configured)
        try:
            pod = cluster.api.pod(namespace, name)
        except ClusterError as error:
            if error.kind in ("not_found", "invalid"):
                raise self._no_pod(cluster, namespace, name) from error
            says = f"{error} So I cannot tell on which node the pod runs: name the node."
            raise TargetError(says) from error
        place = _place(cluster, pod)
        if place is None:
            raise _not_placed(pod)
        return place

    def _no_pod(self, cluster: _Cluster, namespace: str, name: str) -> TargetError:
        """It may be a mistyped cluster as well as a mistyped pod."""
        clusters = [f"{close}/{name}" for close in _close(namespace, self.settings.clusters, cutoff=0.5)]
        closest = (*clusters, *self._close_nodes(cluster, name))[:CLOSEST]
        return _unknown(
            f"I know neither a pod `{_shown(namespace)}/{_shown(name)}` nor a cluster of that name.", closest
        )

    def _close_nodes(self, cluster: _Cluster, name: str) -> tuple[str, ...]:
        """The nodes whose names are closest; none where they cannot be listed."""
        taken_at, names = self._names.get(cluster.name, (0.0, ()))
        if time.monotonic() - taken_at > NAMES_KEPT_SECONDS or not names:
            try:
                names = tuple(name_of(node) for node in cluster.api.nodes())
            except ClusterError:
                return ()
            self._names[cluster.name] = time.monotonic(), names
        return _close(name, names)


def meant(named: str) -> str:
    """What somebody typed, without what the chat and people put around it. Kubernetes' names have small letters."""
    name = _TOKEN.sub(lambda token: token["label"] or token["what"], named)
    return name.strip(_AROUND).rstrip("./").lower()


def _close(name: str, names: Sequence[str] | Any, cutoff: float = 0.0) -> tuple[str, ...]:
    return tuple(difflib.get_close_matches(name, tuple(names), n=CLOSEST, cutoff=cutoff))


def _unknown(says: str, closest: tuple[str, ...]) -> TargetError:
    hint = f"Did you mean {', '.join(f'`{_shown(one)}`' for one in closest)}?" if closest else HOW
    return TargetError(f"{says} {hint}", closest)


def _place(cluster: _Cluster, pod: Any) -> Place | None:
    """Where a pod runs; None where it was not placed yet."""
    node = text(mapping(pod, "spec").get("nodeName"))
    return Place(cluster.name, node, f"{_pod_name(pod)} runs on it") if node else None


def _several(name: str, pods: Sequence[Any]) -> TargetError:
    names = tuple(_pod_name(pod) for pod in pods)
    listed = ", ".join(
        f"`{_pod_name(pod)}` on `{mapping(pod, 'spec').get('nodeName') or 'no node yet'}`" for pod in pods
    )
    return TargetError(
        f"Pods named `{_shown(name)}` run on several nodes: {listed}. Name one of them, or the node.", names
    )


def _not_placed(pod: Any) -> TargetError:
    phase = text(mapping(pod, "status").get("phase")) or "Pending"
    return TargetError(
        f"Pod `{_pod_name(pod)}` is on no node yet ({visible(phase)}), so there is none to look at. "
        f"`kubectl -n {namespace_of(pod)} describe pod {name_of(pod)}` says why."
    )


def _pod_name(pod: Any) -> str:
    return f"{namespace_of(pod)}/{name_of(pod)}"


def _shown(name: str) -> str:
    """Foreign text between backticks."""
    return visible(name).replace("`", "'")
