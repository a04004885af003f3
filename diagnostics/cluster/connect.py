"""Clients of the Kubernetes API, built from a kubeconfig or from a pod's service account.

The only file that builds on ``kubernetes``. The import costs 0.4 s and some 40 MB, so it happens where a client is
built. Neither source ever falls back to the other: a bot that looks at another cluster than the one that was named does
harm. It must not know what is asked.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diagnostics.cluster.faults import plain
from diagnostics.errors import ConfigurationError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

USER_AGENT = "conntrack-bot"
CONNECTIONS = 32  # kept open: several looks go on at once, and each asks for several things beside another


@dataclass(frozen=True, slots=True)
class Connection:
    """A client, and the name of the cluster it leads to."""

    client: ApiClient
    cluster: str


def from_kubeconfig(path: str | None, context: str | None) -> Connection:
    """The cluster of a kubeconfig's context: the file named, $KUBECONFIG or ~/.kube/config; its current context."""
    files = path or os.environ.get("KUBECONFIG") or "~/.kube/config"
    _must_exist(files)
    from kubernetes.client import Configuration  # noqa: PLC0415 - 0.4 s and 40 MB, only for those who need it
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415 - the same
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger  # noqa: PLC0415 - the same
    from yaml import YAMLError  # noqa: PLC0415 - the same

    configuration = Configuration()
    try:
        merger = KubeConfigMerger(files)  # type: ignore[no-untyped-call]  # the client has no types here
        # The persister writes a rotated OIDC refresh token back, as kubectl does: the old one is worthless by then.
        loader = KubeConfigLoader(  # type: ignore[no-untyped-call]  # the same
            config_dict=merger.config, active_context=context, config_persister=merger.save_changes
        )
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]  # the same
        cluster = str(loader.current_context["name"])
    except (ConfigException, YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        chosen = f" with context `{context}`" if context else ""
        raise ConfigurationError(
            f"The kubeconfig {files}{chosen} cannot be used: {plain(error)}. Check it: kubectl config view"
        ) from error
    return Connection(_client(configuration), cluster)


def in_cluster() -> Connection:
    """The cluster this process runs in, by its pod's service account."""
    from kubernetes.client import Configuration  # noqa: PLC0415 - 0.4 s and 40 MB, only for those who need it
    from kubernetes.config import load_incluster_config  # noqa: PLC0415 - the same
    from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415 - the same

    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # no types there
    except (ConfigException, OSError) as error:
        raise ConfigurationError(
            f"This process has no service account of a cluster ({plain(error)}). Outside a pod, name a kubeconfig."
        ) from error
    return Connection(_client(configuration), "in-cluster")


def _must_exist(files: str) -> None:
    """The merger passes over missing files in silence, and would then fail with words that help nobody."""
    if not any(os.path.exists(os.path.expanduser(one)) for one in files.split(os.pathsep) if one):  # noqa: PTH110, PTH111 - $KUBECONFIG is a list of plain paths
        raise ConfigurationError(
            f"There is no kubeconfig at {files}. Name one with --kubeconfig or KUBECONFIG, or use --via ssh."
        )


def _client(configuration: Any) -> ApiClient:
    from kubernetes.client import ApiClient  # noqa: PLC0415 - see above

    # The client repeats GET, PUT and DELETE three times by itself, and a repeated DELETE can hit a recreated pod.
    configuration.retries = False
    # A connection that a firewall forgot is noticed by keep-alive only; without it a read waits for its time-out.
    configuration.keep_alive = True
    configuration.connection_pool_maxsize = CONNECTIONS
    try:
        client = ApiClient(configuration)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise ConfigurationError(f"The cluster's certificates or proxy cannot be used: {plain(error)}.") from error
    client.user_agent = USER_AGENT
    return client
