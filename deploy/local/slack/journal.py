"""What happened on the wire: every Web API call, and everything the app was sent. For tests, people and a file.

An entry keeps its ``number``; ``changed`` counts on whenever more is known of it, as when an ack arrives.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.local.slack.state import Json

ENTRIES_AT_MOST = 10_000  # arbitrary: hours of a busy demo


class Journal:
    """The newest entries in memory; all of them in a file, one a line, where one is wanted."""

    def __init__(self, tell: Callable[[Json], None], path: Path | None = None) -> None:
        self._tell = tell
        self._path = path
        self._numbers = itertools.count(1)
        self._changes = itertools.count(1)
        self.entries: deque[Json] = deque(maxlen=ENTRIES_AT_MOST)

    def add(self, kind: str, **what: Any) -> Json:
        """A new entry: ``call`` or ``envelope``."""
        entry: Json = {"number": next(self._numbers), "kind": kind, **what}
        self.entries.append(entry)
        self.changed(entry)
        return entry

    def changed(self, entry: Json, **more: Any) -> None:
        """More is known of an entry."""
        entry.update(more)
        entry["changed"] = next(self._changes)
        self._tell({"kind": "call", "number": entry["number"]})
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(entry, default=str) + "\n")

    def calls(self, method: str | None = None) -> list[Json]:
        """The Web API calls, oldest first."""
        return [one for one in self.entries if one["kind"] == "call" and method in (None, one["method"])]

    def envelopes(self) -> list[Json]:
        """What the app was sent, oldest first."""
        return [one for one in self.entries if one["kind"] == "envelope"]
