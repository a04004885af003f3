"""The manifest against Slack's limits, and against what the bot listens to and calls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.config import SlackSettings
from bot.slack import payloads

MANIFEST = Path(__file__).parents[3] / "deploy" / "slack-manifest.yaml"
SLACK = Path(payloads.__file__).parent

# What each method needs, by Slack's documentation of the method.
SCOPES = {
    "chat_postMessage": {"chat:write"},
    "chat_update": {"chat:write"},
    "chat_postEphemeral": {"chat:write"},
    "conversations_info": {"channels:read", "groups:read"},
    "conversations_history": {"channels:history", "groups:history"},
    "conversations_replies": {"channels:history", "groups:history"},
    "users_info": {"users:read"},
    "files_upload_v2": {"files:write"},
    "views_open": set(),
    "views_publish": set(),
    "auth_test": set(),
}
EVENTS = {"app_mention": {"app_mentions:read"}, "app_home_opened": set(), "member_joined_channel": {"channels:read"}}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [
        ("display_information.name", 1, 35),
        ("display_information.description", 1, 140),
        ("display_information.long_description", 175, 4000),
        ("features.bot_user.display_name", 1, 80),
        ("features.slash_commands.0.command", 2, 32),
        ("features.slash_commands.0.description", 1, 2000),
        ("features.slash_commands.0.usage_hint", 1, 1000),
        ("features.shortcuts.0.name", 1, 24),
        ("features.shortcuts.0.callback_id", 1, 255),
        ("features.shortcuts.0.description", 1, 150),
    ],
)
def test_texts_are_within_slacks_limits(path: str, least: int, most: int, manifest: dict[str, Any]) -> None:
    found: Any = manifest
    for key in path.split("."):
        found = found[int(key)] if key.isdecimal() else found[key]

    assert least <= len(found) <= most


def test_it_has_the_command_and_the_shortcut_that_are_listened_to(manifest: dict[str, Any]) -> None:
    assert manifest["features"]["slash_commands"][0]["command"] == SlackSettings().command
    assert manifest["features"]["shortcuts"][0]["callback_id"] == payloads.DIAGNOSE_MESSAGE
    assert manifest["features"]["app_home"]["home_tab_enabled"]
    assert manifest["settings"]["socket_mode_enabled"]
    assert manifest["settings"]["interactivity"]["is_enabled"]


def test_it_asks_for_the_events_that_are_listened_to_and_no_others(manifest: dict[str, Any]) -> None:
    listened = set(re.findall(r'app\.event\("(\w+)"\)', (SLACK / "app.py").read_text(encoding="utf-8")))

    assert set(manifest["settings"]["event_subscriptions"]["bot_events"]) == listened == set(EVENTS)


def test_it_asks_for_the_scopes_that_are_used_and_no_others(manifest: dict[str, Any]) -> None:
    called = set(re.findall(r"self\.(?:reading|writing)\.(\w+)\(", (SLACK / "chat.py").read_text(encoding="utf-8")))
    needed = {"commands"}.union(*(SCOPES[method] for method in called), *EVENTS.values())

    assert set(manifest["oauth_config"]["scopes"]["bot"]) == needed
