"""Brings one letter to its place: posts, edits, uploads or whispers it, whichever the chat's state asks for.

What Slack refuses for its form is said again as plain text; what somebody deleted is posted anew; what may be there
already is looked for first. It must not know the store, nor wait: whoever calls it does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from bot.errors import ChatError
from bot.model import Kind, Letter
from bot.slack.chat import EVENT_TYPE, Chat

log = logging.getLogger(__name__)

TEXT_AT_MOST = 3_900  # an edit with more than about 4,000 characters fails as msg_too_long
UNSETTLED = "unsettled"
PLAIN_FORM = "(Shown as plain text: Slack refused the usual form.)"

# Slack's words for a body that it will never take in this form.
ILL_FORMED = frozenset({
    "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "invalid_attachments",
    "too_many_attachments", "block_mismatch", "no_text",
})  # fmt: skip
# Slack's words for a message that cannot be edited any more: deleted, too old, or not ours.
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "cant_update_missing_message"})


# A post whose answer was lost may still take effect: what was sent by a program that died, or that waited too long, is
# looked for again so much later before it is sent once more. Seen with answers held for 3 s.
SETTLES_SECONDS = 4.0


class Courier:
    """Delivers letters. ``deliver`` is called by one thread for a channel."""

    def __init__(self, chat: Chat, now: Callable[[], float] = time.monotonic) -> None:
        self._chat = chat
        self._now = now
        self._settled_at: dict[str, float] = {}  # by the key of a letter that may be there or may still come

    def deliver(self, letter: Letter) -> str:
        """The ``ts`` where the letter is to be read now. Raises ChatError."""
        if letter.message.kind is Kind.WHISPER:
            return self._whisper(letter)
        key = letter.message.key
        if letter.is_doubtful:  # the doubt of a program that is no more begins with the first that takes it up
            self._settled_at.setdefault(key, self._now() + SETTLES_SECONDS)
        try:
            ts = self._file(letter) if letter.message.kind is Kind.FILE else self._message(letter)
        except ChatError as error:
            if error.code != UNSETTLED:
                self._settled_at[key] = self._now() + (SETTLES_SECONDS if error.code == "no_answer" else 0.0)
            raise
        self._settled_at.pop(key, None)
        return ts

    def _require_settled(self, key: str) -> None:
        """Raises ChatError where what was not found may still come."""
        wait = self._settled_at.get(key, 0.0) - self._now()
        if wait > 0:
            raise ChatError(f"{key} may still arrive, and is looked for again.", UNSETTLED, wait)

    # ---- messages ---------------------------------------------------------------------------------------------------

    def _message(self, letter: Letter) -> str:
        try:
            return self._said(letter, letter.message.body)
        except ChatError as error:
            if error.code not in ILL_FORMED:
                raise
            log.exception("Slack refused the form of %s, so it is said as plain text.", letter.message.key)
            return self._said(letter, plain(letter.message.body))

    def _said(self, letter: Letter, body: Mapping[str, Any]) -> str:
        ts = letter.ts or (self._found(letter) if letter.is_doubtful else "")
        if not ts:
            self._require_settled(letter.message.key)
            return self._posted(letter, body)
        try:
            self._chat.edit(letter.message.channel, ts, letter.message.key, body)
        except ChatError as error:
            if error.code not in GONE:
                raise
            log.info("%s is gone (%s), so it is posted anew.", letter.message.key, error.code)
            return self._posted(letter, body)
        return ts

    def _posted(self, letter: Letter, body: Mapping[str, Any]) -> str:
        return self._chat.post(letter.message.channel, letter.under_ts, letter.message.key, body)

    def _found(self, letter: Letter) -> str:
        """Where a message is that was being posted when the program died; only our own can be edited."""

        def is_it(message: Mapping[str, Any]) -> bool:
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            return metadata.get("event_type") == EVENT_TYPE and payload.get("key") == letter.message.key

        return self._chat.find(letter.message.channel, letter.under_ts, is_it)

    # ---- files ------------------------------------------------------------------------------------------------------

    def _file(self, letter: Letter) -> str:
        """A file cannot be edited: what is there stays."""
        message = letter.message
        if letter.ts:
            return letter.ts
        name = message.body.get("filename")

        def is_it(said: Mapping[str, Any]) -> bool:
            files = said.get("files") or ()
            return any(one.get("name") == name for one in files if isinstance(one, Mapping))

        there = self._chat.find(message.channel, letter.under_ts, is_it) if letter.is_doubtful else ""
        if there:
            return there
        self._require_settled(message.key)
        return self._chat.upload(message.channel, letter.under_ts, message.file, message.body)

    # ---- whispers ---------------------------------------------------------------------------------------------------

    def _whisper(self, letter: Letter) -> str:
        """Through the way that was given with the question, which works everywhere; else as an ephemeral message."""
        message = letter.message
        if self._chat.may_answer(message.answer_url):
            try:
                self._chat.answer(message.answer_url, message.body)
            except ChatError as error:
                log.info("%s could not be left at its response_url: %s", message.key, error)
            else:
                return "whisper"
        self._chat.whisper(message.channel, letter.under_ts, message.person, message.body)
        return "whisper"


def plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """The text alone. Empty blocks take away those that an edited message has."""
    text = str(body.get("text") or "")
    short = text if len(text) <= TEXT_AT_MOST else f"{text[:TEXT_AT_MOST]} …"
    kept = {"reply_broadcast": body["reply_broadcast"]} if "reply_broadcast" in body else {}
    return {"text": f"{short}\n{PLAIN_FORM}", "blocks": [], **kept}
