"""The Home tab: published for who opens it, and anew, after a breath, while incidents change.

In a thread of its own, since a listener must not wait for Slack. It must not know how the tab reads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bot.errors import BotError, ChatError
from bot.model import Person
from bot.slack import blocks
from bot.slack.chat import Chat
from bot.store import Store

log = logging.getLogger(__name__)

BREATH_SECONDS = 2.0  # many changes at once are one new tab
WATCHED_SECONDS = 900.0  # whoever opened it longer ago opens it again to read it
SHOWN = 50


class Home:
    """Publishes. ``check`` raises RefusedError for those who may not read it; ``is_public`` tells it of a channel."""

    def __init__(
        self, store: Store, chat: Chat, check: Callable[[Person], None], is_public: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._chat = chat
        self._check = check
        self._is_public = is_public
        self._readers: dict[str, float] = {}
        self._new: set[str] = set()
        self._has_changed = False
        self._is_stopping = False
        self._is_due = threading.Condition()
        self._thread = threading.Thread(target=self._publishing, name="home", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def stop(self) -> None:
        """Publish nothing more."""
        with self._is_due:
            self._is_stopping = True
            self._is_due.notify()

    def opened(self, person: str) -> None:
        """Somebody looks at the tab."""
        with self._is_due:
            self._new.add(person)
            self._is_due.notify()

    def changed(self) -> None:
        """Incidents have changed."""
        with self._is_due:
            self._has_changed = True
            self._is_due.notify()

    def _publishing(self) -> None:
        while True:
            with self._is_due:
                self._is_due.wait_for(lambda: self._new or self._has_changed or self._is_stopping)
                if self._is_stopping:
                    return
                people = self._due(time.monotonic())
            for person in people:
                self._publish(person)
            time.sleep(BREATH_SECONDS if people else 0.1)

    def _due(self, now: float) -> tuple[str, ...]:
        """Whose tab is to be published now. Who has just opened it, or everybody who did lately."""
        new, self._new = self._new, set()
        self._readers |= dict.fromkeys(new, now)
        self._readers = {one: at for one, at in self._readers.items() if now - at < WATCHED_SECONDS}
        everybody, self._has_changed = self._has_changed, False
        return tuple(self._readers) if everybody else tuple(new)

    def _publish(self, person: str) -> None:
        try:
            self._check(Person(person))
            self._chat.publish(person, self._view(person))
        except ChatError as error:
            log.warning("The Home tab of %s was not published: %s", person, error)
        except BotError as error:
            log.info("The Home tab of %s stays empty: %s", person, error)
        except Exception:
            log.exception("The Home tab of %s could not be made.", person)

    def _view(self, person: str) -> Mapping[str, Any]:
        """What a private channel talks about is for its members, and for who asked."""
        newest = self._store.incidents(SHOWN, only_open=True)
        readable = [one for one in newest if one.asked_by.id == person or self._is_public(one.channel)]
        hidden = len(newest) - len(readable)
        return blocks.home(readable, self._store.incidents(SHOWN), person, time.time(), hidden)
