"""All parts of the local Slack, joined: what methods, people and controls act upon.

It must not know HTTP routes. One event loop's thread owns it.
"""

from __future__ import annotations

from pathlib import Path

from deploy.local.slack import seed
from deploy.local.slack.delivery import Delivery
from deploy.local.slack.faults import Faults
from deploy.local.slack.http_mode import RequestUrl
from deploy.local.slack.journal import Journal
from deploy.local.slack.manifest import Manifest, manifest
from deploy.local.slack.rates import Rates
from deploy.local.slack.sockets import Sockets

FILE_SHARED_AFTER_SECONDS = 0.5  # Slack shares uploads later than it answers; how much later, differs


class Service:
    """One workspace and its surroundings. ``url`` is set when the port is known."""

    def __init__(self, app: Manifest | None = None, *, journal: Path | None = None, limits_rates: bool = True) -> None:
        self.manifest = app or manifest()
        self.workspace = seed.workspace(self.manifest)
        self.journal = Journal(self.workspace.tell, journal)
        self.delivery = Delivery(self.workspace, self.journal, self.manifest.events)
        self.sockets = Sockets(self.workspace, self.delivery)
        self.delivery.line = self.sockets
        self.faults = Faults()
        self.rates = Rates(self.workspace.now, is_on=limits_rates)
        self.url = ""
        self.signing_secret = seed.SIGNING_SECRET
        self.file_shared_after_seconds = FILE_SHARED_AFTER_SECONDS

    async def use_request_url(self, url: str) -> bool:
        """HTTP mode from now on, if the app answers Slack's challenge."""
        line = RequestUrl(url, self.signing_secret, self.workspace, self.delivery)
        if await line.verify():
            self.delivery.line = line
            return True
        return False
