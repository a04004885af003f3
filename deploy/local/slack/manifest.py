"""What the app says about itself: its commands, shortcuts, events and scopes.

Read from the manifest that a real workspace would get, so that the demo has what the installation has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MANIFEST = Path(__file__).parents[2] / "slack-manifest.yaml"

_SCOPES = (
    "commands chat:write app_mentions:read channels:history groups:history channels:read groups:read users:read "
    "usergroups:read files:write files:read reactions:write pins:write im:write team:read"
)
_EVENTS = (
    "app_mention message.channels message.groups app_home_opened member_joined_channel subteam_members_changed "
    "subteam_updated"
)


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command. With ``escapes`` names in its text arrive as ``<@U…|name>``."""

    name: str
    description: str
    usage_hint: str = ""
    escapes: bool = True


@dataclass(frozen=True, slots=True)
class Shortcut:
    """An entry of a message's menu (``message``), or of the lightning menu (``global``)."""

    callback_id: str
    name: str
    kind: str = "message"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The part of a manifest that changes what Slack does."""

    name: str
    commands: tuple[Command, ...]
    shortcuts: tuple[Shortcut, ...]
    events: frozenset[str]
    scopes: frozenset[str]
    has_home: bool = True

    def command(self, name: str) -> Command | None:
        """The command of that name, with its slash."""
        return next((one for one in self.commands if one.name == name), None)


DEFAULT = Manifest(
    "conntrack-bot",
    (Command("/conntrack", "Diagnose a node", "node-7"),),
    (Shortcut("diagnose_message", "Diagnose this alert"),),
    frozenset(_EVENTS.split()),
    frozenset(_SCOPES.split()),
)


def manifest(path: Path = MANIFEST) -> Manifest:
    """What the file says; a workspace for trying things out where there is none."""
    if not path.exists():
        return DEFAULT
    return _manifest(yaml.safe_load(path.read_text()))


def _manifest(said: dict[str, Any]) -> Manifest:
    features, settings = said.get("features", {}), said.get("settings", {})
    scopes = said.get("oauth_config", {}).get("scopes", {})
    return Manifest(
        said["display_information"]["name"],
        tuple(
            Command(one["command"], one["description"], one.get("usage_hint", ""), bool(one.get("should_escape")))
            for one in features.get("slash_commands", ())
        ),
        tuple(Shortcut(one["callback_id"], one["name"], one["type"]) for one in features.get("shortcuts", ())),
        frozenset(settings.get("event_subscriptions", {}).get("bot_events", ())),
        frozenset([*scopes.get("bot", ()), *scopes.get("bot_optional", ())]),
        bool(features.get("app_home", {}).get("home_tab_enabled")),
    )
