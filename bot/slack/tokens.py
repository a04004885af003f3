"""The bot's secrets for Slack, from the settings or the files that they name, and where they may be sent.

It must not know what they are used for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from bot.config import SlackSettings
from diagnostics.errors import ConfigurationError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Tokens:
    """Two secrets are needed: the bot's, and the app's for the socket mode or the signing secret for HTTP."""

    bot: str = field(repr=False)
    app: str = field(default="", repr=False)
    signing_secret: str = field(default="", repr=False)


def tokens(settings: SlackSettings) -> Tokens:
    """What the mode needs. Raises ConfigurationError, which says what is missing and where it may stand."""
    _check_address(settings.api_url)
    bot = _secret("bot_token", settings.bot_token, settings.bot_token_file, "xoxb-")
    if settings.mode == "socket":
        return Tokens(bot, app=_secret("app_token", settings.app_token, settings.app_token_file, "xapp-"))
    return Tokens(
        bot, signing_secret=_secret("signing_secret", settings.signing_secret, settings.signing_secret_file, "")
    )


def _secret(name: str, value: SecretStr | None, file: Path | None, start: str) -> str:
    text = value.get_secret_value().strip() if value else _written(name, file)
    if not text:
        raise ConfigurationError(
            f"Slack's {name} is missing: write it to a file and name that as slack.{name}_file, "
            f"or set CONNTRACK_BOT_SLACK__{name.upper()}."
        )
    if not text.startswith(start):
        raise ConfigurationError(f"Slack's {name} must start with {start!r}: this is another kind of token.")
    return text


def _written(name: str, file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"slack.{name}_file {file} cannot be read: {why}.") from error


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_slack = parts.scheme == "https" and (host == "slack.com" or host.endswith(".slack.com"))
    is_here = parts.scheme in {"http", "https"} and host in LOOPBACK
    if not (is_slack or is_here) or not url.endswith("/"):
        raise ConfigurationError(
            f"slack.api_url is {url!r}: tokens are sent there, so it may be https://slack.com/api/ "
            "or an address of this machine, with a slash at its end."
        )
