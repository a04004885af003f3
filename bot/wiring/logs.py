"""The log: one line for each event on standard error, JSON unless a person watches, and no secrets in it.

Our own lines and those of libraries take the same way out. It must not know what is logged.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

# Slack's tokens, and the addresses that let whoever has them write into a channel, or open a socket in the bot's name.
_SECRET = re.compile(
    r"xox[a-z]-[\w-]+|xapp-[\w-]+|(?<=hooks\.slack\.com/)[^\s\"'<>]+|(?<=ticket=)[^\s\"'&]+|(?<=Bearer )[\w.~+/=-]+"
    r"|(?<=/response/)[^\s\"'<>]+"
)
REDACTED = "[redacted]"
# Libraries that say much, of which warnings are enough. Slack's log whole payloads where something is odd; and Bolt
# names a logger by the app, and gives each the root's level, whatever was set for its parents (slack_bolt/logger).
TALKATIVE = (
    "slack_bolt",
    "slack_sdk",
    "conntrack-bot:",
    "paramiko",
    "urllib3",
    "uvicorn",
    "alembic",
    "matplotlib",
    "stamina",
)


def set_up(out: TextIO | None = None) -> None:
    """From now on everything is logged this way."""
    out = sys.stderr if out is None else out
    steps: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*steps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    lines = logging.StreamHandler(out)
    last = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendered(is_watched=out.isatty())]
    lines.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=steps, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(logging.INFO)
    lines.addFilter(_is_worth_it)


def redacted(text: str) -> str:
    """Text without secrets."""
    return _SECRET.sub(REDACTED, text)


def _is_worth_it(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not record.name.startswith(TALKATIVE)


def _rendered(*, is_watched: bool) -> list[structlog.types.Processor]:
    if is_watched:
        plainly = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        return [_without_secrets, plainly, _redacted_line]
    return [
        structlog.processors.format_exc_info,
        _without_secrets,
        structlog.processors.JSONRenderer(ensure_ascii=False),
        _redacted_line,
    ]


def _without_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Before the rendering: a colour code in the middle of a token would hide it."""
    return {key: redacted(value) if isinstance(value, str) else value for key, value in event.items()}


def _redacted_line(_logger: Any, _method: str, line: Any) -> str:
    """What was nested is text now."""
    return redacted(str(line))
