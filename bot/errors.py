"""The errors of the bot itself; those of looking at a node are ``diagnostics.errors``.

    BotError
    ├── StoreError       what is written down cannot be read, or nothing can be written down
    ├── ChatError        the chat refused, or did not answer
    └── RefusedError     somebody asked for what they may not have; nothing was done

Every text is a sentence a person can act on. Foreign exceptions are translated where they enter.
"""

from __future__ import annotations


class BotError(Exception):
    """Anything that goes wrong in this package. ``str(error)`` is a whole sentence."""


class StoreError(BotError):
    """The database cannot be reached, is of another version, or is damaged."""


class ChatError(BotError):
    """The chat refused a call, or did not answer.

    ``code`` is the chat's own word for it ("invalid_blocks"); ``retry_after_seconds`` is None where trying again is of
    no use.
    """

    def __init__(self, says: str, code: str = "", retry_after_seconds: float | None = None) -> None:
        super().__init__(says)
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class RefusedError(BotError):
    """The person may not have what they asked for."""
