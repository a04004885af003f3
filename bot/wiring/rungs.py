"""The rungs of the ladder as the command line needs them: ways to a node that first need to know something.

Each wraps or stands for one of ``diagnostics.transport``'s ways, and is one itself. It must not know of settings, nor
what the reports mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from bot.wiring.ahead import Ahead
from diagnostics import cluster
from diagnostics.cluster import KubeApi
from diagnostics.cluster.objects import mapping, objects, text
from diagnostics.errors import ClusterError, LookError, TargetError
from diagnostics.model import ClusterView, Known
from diagnostics.transport import Order, Report, Tell, Transport


@dataclass(frozen=True, slots=True)
class Informed:
    """A way whose look tries what the API says about itself."""

    transport: Transport
    ahead: Ahead

    @property
    def rung(self) -> str:
        """The rung's name."""
        return self.transport.rung

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        """Look, once the API has answered or was waited for long enough."""
        yield from self.transport.look(self.ahead.completed(order), tell)


@dataclass(frozen=True, slots=True)
class NotTried:
    """A way that cannot be gone, which the report of the others has to say."""

    rung: str
    why: str

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:  # noqa: ARG002 - as every Transport
        """Raises LookError."""
        raise LookError(f"Not tried. {self.why}")


@dataclass(frozen=True, slots=True)
class SshByName:
    """SSH to a node by its name: at the host that is configured, else at its InternalIP, else under the name itself."""

    node: str
    configured: str
    api: KubeApi
    log_in: Callable[[str], Transport]

    @property
    def rung(self) -> str:
        """The rung's name."""
        return "ssh"

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        """Look, at the first of those addresses that is known."""
        yield from self.log_in(self.configured or self._internal_address() or self.node).look(order, tell)

    def _internal_address(self) -> str:
        """Raises TargetError where the cluster has no such node; "" where the API does not answer."""
        try:
            addresses = objects(mapping(self.api.node(self.node), "status"), "addresses")
        except ClusterError:
            return ""
        found = (text(one.get("address")) for one in addresses if one.get("type") == "InternalIP")
        return next(found, "")


@dataclass
class Host:
    """A host that may be a node of the cluster at hand, which then knows the names of those who talk there.

    That it has a node's address proves nothing: private addresses repeat in other networks. The boot ID decides.
    """

    transport: Transport
    ahead: Ahead
    boot_id: str = field(default="", init=False)

    @property
    def rung(self) -> str:
        """The rung's name."""
        return self.transport.rung

    def look(self, order: Order, tell: Tell) -> Iterator[Report]:
        """Look, and keep the boot ID that the host tells."""
        known = self.ahead.answers()
        if known is not None and known.node:  # from any other host the cluster's addresses lead nowhere
            order = known.places.completed(order)
        for report in self.transport.look(order, tell):
            self.boot_id = self.boot_id or text(mapping(report, "node").get("boot_id"))
            yield report

    def view(self, addresses: tuple[str, ...]) -> ClusterView | None:
        """What the cluster says about the node that this host is; None where it is none."""
        known = self.ahead.answers()
        if known is None or not known.node:
            return None
        try:
            seen = cluster.view(known.api, known.node, addresses)
        except TargetError:  # deleted since
            return None
        if not isinstance(seen.node, Known) or not self.boot_id or seen.node.value.boot_id != self.boot_id:
            return None
        return replace(seen, cluster=known.cluster or seen.cluster)
