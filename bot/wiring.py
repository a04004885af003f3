"""The only place that builds clients and joins parts: settings and options in, a ``Plan`` out.

It decides which ways lead to a target and in which order. It must not know what is found there, nor how it is said.
"""

from __future__ import annotations

import difflib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from bot.config import ClusterSettings, Settings, place
from diagnostics import cluster, recording
from diagnostics.cluster import KubeApi
from diagnostics.cluster.objects import mapping, objects, text
from diagnostics.diagnose import Plan
from diagnostics.errors import ClusterError, ConfigurationError, TargetError
from diagnostics.transport import Order, Report, Tell, Transport
from diagnostics.transport.local import LocalTransport
from diagnostics.transport.pod import PodTransport, sweep
from diagnostics.transport.pod_spec import PodSettings
from diagnostics.transport.replay import ReplayTransport
from diagnostics.transport.ssh import SshTransport
from diagnostics.transport.ssh_settings import SshSettings, door

Via = Literal["auto", "pod", "ssh", "local", "replay"]

KNOWN_HOSTS = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))
API_ADDRESS_SECONDS = 3.0  # a look without new connections is better than one that waits longer for a silent API
THIS_MACHINE = "local"


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked on the command line, on top of the settings."""

    via: Via = "auto"
    exact: bool = False
    deep: bool = False
    record_to: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What was named: a node of a cluster ("" is the default one), a host to log in to, a recording, this machine."""

    kind: Literal["node", "ssh", "recording", "local"]
    name: str
    cluster: str = ""


def plan(named: str, settings: Settings, options: Options) -> Plan:
    """How to look at what is ``named``. Asks nobody yet: a node that does not exist is found out on the way.

    Raises TargetError and ConfigurationError.
    """
    target = understood(named, settings, options.via)
    order = _order(settings, options)
    match target.kind:
        case "recording":
            return _replay(named, Path(target.name), order)
        case "local":
            return _alone(named, target.name, LocalTransport(), order, options)
        case "ssh":
            return _alone(named, target.name, _ssh(settings, _url(named)), order, options)
        case "node":
            return _node(named, target, settings, options, order)


# ---- what was named -------------------------------------------------------------------------------------------------


def understood(named: str, settings: Settings, via: Via) -> Target:
    """What a target means: NODE, CLUSTER/NODE, ssh://[USER@]HOST[:PORT], local, or a recording's folder."""
    if not named.strip():
        raise TargetError("Name a node, CLUSTER/NODE, ssh://HOST, `local`, or the folder of a recording.")
    if named.startswith("ssh://"):
        _only(via, ("auto", "ssh"), named)
        return Target("ssh", _url(named).rpartition("@")[2])
    if named == THIS_MACHINE:
        _only(via, ("auto", "local"), named)
        return Target("local", socket.gethostname())
    if via == "replay" or _is_folder(named):
        _only(via, ("auto", "replay"), named)
        return Target("recording", named)
    name, _, node = named.rpartition("/")
    if name and name not in settings.clusters:
        raise _no_such_cluster(name, settings)
    return Target("node", node, name)


def _is_folder(named: str) -> bool:
    """A folder that is there; or what can only be meant as one, so that its absence is what is complained of."""
    return (
        (Path(named) / "recording.json").is_file() or named.startswith(("/", "./", "../", "~")) or named.count("/") > 1
    )


def _only(via: Via, ways: tuple[str, ...], named: str) -> None:
    if via not in ways:
        raise TargetError(f"`{named}` cannot be looked at by --via {via}: leave that away, or name a node.")


def _no_such_cluster(name: str, settings: Settings) -> TargetError:
    closest = tuple(difflib.get_close_matches(name, settings.clusters, n=3, cutoff=0))
    if not closest:
        return TargetError(
            f"I don't know a cluster `{name}`, and no folder of that name holds a recording: the configuration lists "
            "no clusters. Name the node alone, with --context for another cluster than kubectl's current one."
        )
    return TargetError(f"I don't know a cluster `{name}`. Configured are {', '.join(closest)}.", closest)


# ---- the ways -------------------------------------------------------------------------------------------------------


def _node(named: str, target: Target, settings: Settings, options: Options, order: Order) -> Plan:
    """A node of a cluster: the debug pod first, SSH where it is silent."""
    name, api = _api(target.cluster or settings.default_cluster, settings, options)
    ways = {"auto": ("pod", "ssh"), "pod": ("pod",), "ssh": ("ssh",), "local": ("local",)}[options.via]
    in_advance = _InAdvance(api, settings)
    transports = tuple(_rung(way, target.name, settings, api) for way in ways)
    if order.connect is None:
        transports = tuple(_WithApiAddress(transport, in_advance) for transport in transports)
    in_advance.start()
    return Plan(
        target=named,
        node=target.name,
        cluster=name or api.cluster,
        transports=transports,
        order=order,
        view=lambda addresses: replace(cluster.view(api, target.name, addresses), cluster=name or api.cluster),
        record_to=options.record_to,
    )


def _rung(way: str, node: str, settings: Settings, api: KubeApi) -> Transport:
    if way == "pod":
        return PodTransport(api, node, _pod_settings(settings))
    return _SshByName(settings, node, api) if way == "ssh" else LocalTransport()


def _alone(named: str, node: str, transport: Transport, order: Order, options: Options) -> Plan:
    """A machine that no cluster is asked about."""
    return Plan(named, node, "", (transport,), order, record_to=options.record_to)


def _replay(named: str, folder: Path, order: Order) -> Plan:
    recorded = recording.read(folder.expanduser())
    view = recorded.view
    return Plan(
        target=named,
        node=recorded.node,
        cluster=recorded.cluster,
        transports=(ReplayTransport(recorded.reports),),
        order=recorded.order or order,
        view=None if view is None else lambda _addresses: view,
    )


def _ssh(settings: Settings, host: str) -> Transport:
    """SSH to "[user@]host[:port]"."""
    where = door(host, settings.ssh.user, settings.ssh.port)
    return SshTransport(replace(_ssh_settings(settings), user=where.user, port=where.port), where.host)


def _url(named: str) -> str:
    """The [user@]host[:port] of an ssh:// address. A password in it is refused: it would show in process lists."""
    parts = urlsplit(named)
    if parts.password is not None:
        raise TargetError(
            "No password in an ssh:// address: other users of this machine see it. Use a key or an agent."
        )
    if not parts.netloc or parts.path.strip("/") or parts.query:
        raise TargetError(f"`{named}` is not understood as ssh://[USER@]HOST[:PORT].")
    return parts.netloc


# ---- from settings to parts -----------------------------------------------------------------------------------------


def _order(settings: Settings, options: Options) -> Order:
    look = settings.look
    return Order(
        exact=options.exact,
        deep=options.deep,
        sample_entries=look.sample_entries,
        watch_seconds=look.watch_seconds,
        deadline_seconds=look.deadline_seconds,
        connect=place(look.connect) if look.connect else None,
        connect_what=look.connect or "",
    )


def _api(name: str | None, settings: Settings, options: Options) -> tuple[str, KubeApi]:
    """A cluster's API with its configured name; options on the command line win over the configuration."""
    chosen = settings.clusters[name] if name else ClusterSettings()
    if chosen.in_cluster and not (options.kubeconfig or options.context):
        return name or "", KubeApi.in_cluster()
    kubeconfig = options.kubeconfig or chosen.kubeconfig
    path = str(kubeconfig.expanduser()) if kubeconfig else None
    is_other = bool(options.kubeconfig or options.context)
    return "" if is_other else name or "", KubeApi.from_kubeconfig(path, options.context or chosen.context)


def _pod_settings(settings: Settings) -> PodSettings:
    probe = settings.probe
    return PodSettings(
        image=probe.image,
        namespace=probe.namespace,
        pull_policy=probe.pull_policy,
        profile=probe.profile,
        service_account=probe.service_account,
        priority_class=probe.priority_class,
        image_pull_secrets=probe.image_pull_secrets,
    )


def _ssh_settings(settings: Settings) -> SshSettings:
    ssh = settings.ssh
    usual = tuple(path.expanduser() for path in KNOWN_HOSTS)
    there = tuple(path for path in usual if path.is_file())
    return SshSettings(
        known_hosts=tuple(path.expanduser() for path in ssh.known_hosts) or there or usual[:1],
        user=ssh.user,
        port=ssh.port,
        key_file=ssh.key_file.expanduser() if ssh.key_file else None,
        certificate=ssh.certificate.expanduser() if ssh.certificate else None,
        agent=ssh.agent,
        bastion=ssh.bastion,
        sudo=ssh.sudo,
        connect_seconds=ssh.connect_seconds,
    )


# ---- what only the API knows ----------------------------------------------------------------------------------------


@dataclass
class _InAdvance:
    """Asks the API, beside the look, where it can be reached from a node; and sweeps debug pods that were left over.

    A daemon thread, because a silent API must neither delay the look nor the program's end.
    """

    api: KubeApi
    settings: Settings
    _address: Future[tuple[str, int] | None] = field(default_factory=Future)

    def start(self) -> None:
        """Ask, and go on."""
        threading.Thread(target=self._ask, name="in-advance", daemon=True).start()

    def address(self) -> tuple[str, int] | None:
        """Where the API server listens; None where that is not known in time."""
        try:
            return self._address.result(timeout=API_ADDRESS_SECONDS)
        except FutureTimeoutError:
            return None

    def _ask(self) -> None:
        try:
            self._address.set_result(_first_address(self.api.api_endpoints()))
        except (ClusterError, ConfigurationError):  # the rungs meet the same error, and say it
            self._address.set_result(None)
            return
        try:
            sweep(self.api, _pod_settings(self.settings))
        except ClusterError:
            return  # leftovers end by themselves (activeDeadlineSeconds); the next look sweeps again


def _first_address(endpoints: Any) -> tuple[str, int] | None:
    for subset in objects(endpoints, "subsets"):
        for address, port in zip(objects(subset, "addresses"), objects(subset, "ports"), strict=False):
            if isinstance(address.get("ip"), str) and isinstance(port.get("port"), int):
                return address["ip"], port["port"]
    return None


@dataclass(frozen=True, slots=True)
class _WithApiAddress:
    """A way to a node whose look tries new connections to the API server."""

    transport: Transport
    in_advance: _InAdvance

    @property
    def rung(self) -> str:
        """The rung's name."""
        return self.transport.rung

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        """Look, once the address is known or was waited for long enough."""
        address = self.in_advance.address()
        if address is not None:
            order = replace(order, connect=address, connect_what="the API server")
        yield from self.transport.look(order, tell)


@dataclass(frozen=True, slots=True)
class _SshByName:
    """SSH to a node by its name: at the configured host, else at its InternalIP, else under the name itself."""

    settings: Settings
    node: str
    api: KubeApi

    @property
    def rung(self) -> str:
        """The rung's name."""
        return "ssh"

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        """Look, at the first of those addresses that is known."""
        host = self.settings.ssh.hosts.get(self.node) or self._internal_address() or self.node
        yield from _ssh(self.settings, host).look(order, tell)

    def _internal_address(self) -> str:
        """Raises TargetError where the cluster has no such node; "" where the API does not answer."""
        try:
            addresses = objects(mapping(self.api.node(self.node), "status"), "addresses")
        except ClusterError:
            return ""
        found = (text(one.get("address")) for one in addresses if one.get("type") == "InternalIP")
        return next(found, "")
