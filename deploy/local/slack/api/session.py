"""Who am I, and open me a socket."""

from __future__ import annotations

from deploy.local.slack.api.method import Method
from deploy.local.slack.rates import SPECIAL, TIER_1, TIER_4
from deploy.local.slack.service import Service
from deploy.local.slack.state import Json
from deploy.local.slack.wire import Arguments


def _auth_test(service: Service, _args: Arguments) -> Json:
    workspace = service.workspace
    return {
        "url": f"{service.url}/", "team": workspace.team_name, "user": "conntrack", "team_id": workspace.team,
        "user_id": workspace.bot_user, "bot_id": workspace.bot, "is_enterprise_install": False,
    }  # fmt: skip


def _open(service: Service, _args: Arguments) -> Json:
    address = service.url.replace("http", "ws", 1)
    return {"url": f"{address}/link/?ticket={service.sockets.ticket()}&app_id={service.workspace.app}"}


def _test(_service: Service, args: Arguments) -> Json:
    return {"args": args.recorded()}


METHODS = {
    "auth.test": Method(_auth_test, per_minute=SPECIAL),
    # Slack names Tier 1 here; its burst is larger, or no bot could restart twice in a minute.
    "apps.connections.open": Method(_open, ("connections:write",), per_minute=TIER_1 * 60, token="app"),  # noqa: S106 - the kind of a token
    "api.test": Method(_test, per_minute=TIER_4, token=""),
}
