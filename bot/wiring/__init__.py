"""The only place that builds clients and joins parts: settings and options in, a ``Plan`` out.

It decides which ways lead to a target and in which order. It must not know what is found there, nor how it is said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bot.config import ClusterSettings, Settings, place
from bot.wiring.ahead import Ahead
from bot.wiring.rungs import Host, Informed, NotTried, SshByName
from bot.wiring.target import Target, Via, login, understood
from diagnostics import cluster, recording
from diagnostics.cluster import KubeApi
from diagnostics.diagnose import Plan
from diagnostics.errors import ConfigurationError
from diagnostics.transport import Order, Transport
from diagnostics.transport.local import LocalTransport
from diagnostics.transport.pod import PodTransport
from diagnostics.transport.pod_spec import PodSettings
from diagnostics.transport.replay import ReplayTransport
from diagnostics.transport.ssh import SshTransport
from diagnostics.transport.ssh_settings import SshSettings, door

OpenCluster = Callable[[], tuple[str, KubeApi]]
"""Opens a cluster: its configured name, "" where it has none, and its API. Raises ConfigurationError."""

KNOWN_HOSTS = (Path("~/.ssh/known_hosts"), Path("/etc/ssh/ssh_known_hosts"))


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked, on the command line or in the chat, on top of the settings.

    ``incident``, ``requested_by`` and ``takes_over`` are the debug pod's, as in ``PodSettings``.
    """

    via: Via = "auto"
    exact: bool = False
    deep: bool = False
    record_to: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    incident: str = ""
    requested_by: str = ""
    takes_over: bool = False

    @property
    def names_a_cluster(self) -> bool:
        """Whether a cluster was asked for, so that doing without one would be something else."""
        return bool(self.kubeconfig or self.context)


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
            return Plan(named, target.name, "", (LocalTransport(),), order, record_to=options.record_to)
        case "ssh":
            return _host(named, target, settings, options, order)
        case "node":
            name = target.cluster or settings.default_cluster
            return node_plan(target, settings, options, lambda: opened(name, settings, options))


# ---- the ways -------------------------------------------------------------------------------------------------------


def node_plan(target: Target, settings: Settings, options: Options, open_cluster: OpenCluster) -> Plan:
    """How to look at a node of a cluster: the debug pod first, SSH where it is silent."""
    named = f"{target.cluster}/{target.name}" if target.cluster else target.name
    order = _order(settings, options)
    try:
        name, api = open_cluster()
    except ConfigurationError as error:
        if not _can_do_without_a_cluster(target, settings, options):
            raise
        return _node_alone(named, target, settings, options, order, error)
    ahead = Ahead(lambda: (name, api), swept=_pod_settings(settings, options))
    ahead.start()
    ways = {"auto": ("pod", "ssh"), "pod": ("pod",), "ssh": ("ssh",), "local": ("local",)}[options.via]
    return Plan(
        target=named,
        node=target.name,
        cluster=name or api.cluster,
        transports=tuple(Informed(_rung(way, target.name, settings, options, api), ahead) for way in ways),
        order=order,
        view=lambda addresses: replace(cluster.view(api, target.name, addresses), cluster=name or api.cluster),
        record_to=options.record_to,
    )


def _rung(way: str, node: str, settings: Settings, options: Options, api: KubeApi) -> Transport:
    if way == "pod":
        return PodTransport(api, node, _pod_settings(settings, options))
    if way == "local":
        return LocalTransport()
    return SshByName(node, settings.ssh.hosts.get(node, ""), api, lambda host: _ssh(settings, host))


def _can_do_without_a_cluster(target: Target, settings: Settings, options: Options) -> bool:
    if options.names_a_cluster:
        return False
    return options.via in ("ssh", "local") or (options.via == "auto" and target.name in settings.ssh.hosts)


def _node_alone(
    named: str, target: Target, settings: Settings, options: Options, order: Order, why: ConfigurationError
) -> Plan:
    """A node whose cluster cannot be asked: nobody has names, and no debug pod can run."""
    ssh = _ssh(settings, settings.ssh.hosts.get(target.name, target.name))
    ways: dict[str, tuple[Transport, ...]] = {"ssh": (ssh,), "local": (LocalTransport(),)}
    transports = ways.get(options.via, (NotTried("pod", str(why)), ssh))
    name = target.cluster or settings.default_cluster or ""
    return Plan(named, target.name, name, transports, order, record_to=options.record_to)


def _host(named: str, target: Target, settings: Settings, options: Options, order: Order) -> Plan:
    """A host to log in to, which may be a node of the cluster at hand."""
    transport = _ssh(settings, login(named))
    host = Host(transport, Ahead(_cluster_at_hand(settings, options), host=_address(settings, login(named))))
    host.ahead.start()
    return Plan(named, target.name, "", (host,), order, view=host.view, record_to=options.record_to)


def _cluster_at_hand(settings: Settings, options: Options) -> OpenCluster:
    """Opens the cluster that a node's name alone would mean. One that was asked for must be there."""
    if options.names_a_cluster:
        found = opened(settings.default_cluster, settings, options)
        return lambda: found
    return lambda: opened(settings.default_cluster, settings, options)


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


def _address(settings: Settings, host: str) -> str:
    """The host of "[user@]host[:port]"."""
    return door(host, settings.ssh.user, settings.ssh.port).host


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


def opened(name: str | None, settings: Settings, options: Options) -> tuple[str, KubeApi]:
    """A cluster's API with its configured name; options on the command line win over the configuration.

    Asks nobody yet. Raises ConfigurationError.
    """
    chosen = settings.clusters[name] if name else ClusterSettings()
    if chosen.in_cluster and not (options.kubeconfig or options.context):
        return name or "", KubeApi.in_cluster()
    kubeconfig = options.kubeconfig or chosen.kubeconfig
    path = str(kubeconfig.expanduser()) if kubeconfig else None
    is_other = bool(options.kubeconfig or options.context)
    return "" if is_other else name or "", KubeApi.from_kubeconfig(path, options.context or chosen.context)


def _pod_settings(settings: Settings, options: Options) -> PodSettings:
    probe = settings.probe
    return PodSettings(
        image=probe.image,
        namespace=probe.namespace,
        pull_policy=probe.pull_policy,
        profile=probe.profile,
        service_account=probe.service_account,
        priority_class=probe.priority_class,
        image_pull_secrets=probe.image_pull_secrets,
        incident=options.incident,
        requested_by=options.requested_by,
        takes_over=options.takes_over,
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
