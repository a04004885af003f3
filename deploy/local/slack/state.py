"""What a Slack workspace holds: people, groups, channels, messages, files, views. Values, and how to find and add them.

It must not know HTTP, sockets, nor what the app is told: whoever changes something here says so through ``tell``.
All of it lives in one event loop's thread, so nothing here locks.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

HISTORY_AT_MOST = 20_000  # arbitrary: a demo that runs for weeks must not eat the machine


@dataclass(slots=True)
class Person:
    """Somebody with an account. ``kind`` is member, guest, external, deactivated or bot."""

    id: str
    name: str
    real_name: str
    team: str
    kind: str = "member"
    title: str = ""


@dataclass(slots=True)
class Group:
    """A user group, as in @sre-approvers."""

    id: str
    handle: str
    members: list[str]


@dataclass(slots=True)
class Channel:
    """A place to talk. ``im_with`` is the person of a direct message with the app, "" for every other channel."""

    id: str
    name: str
    members: list[str]
    is_private: bool = False
    is_ext_shared: bool = False
    im_with: str = ""
    topic: str = ""


@dataclass(slots=True)
class Message:
    """One message. ``reader`` is the only person who sees it, "" for everybody; ``pings`` is whom it would wake."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str = ""
    subtype: str = ""
    bot_id: str = ""
    app_id: str = ""
    username: str = ""
    metadata: Json | None = None
    edited: Json | None = None
    files: list[str] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    reader: str = ""
    pings: list[str] = field(default_factory=list)
    flags: Json = field(default_factory=dict)

    @property
    def is_reply(self) -> bool:
        """Whether it stands in a thread below another message."""
        return bool(self.thread_ts) and self.thread_ts != self.ts


@dataclass(slots=True)
class File:
    """An upload. Until it ``is_shared``, Slack knows neither its type nor where it is shown."""

    id: str
    name: str
    title: str
    size: int
    user: str
    content: bytes | None = None
    mimetype: str = ""
    alt_text: str = ""
    is_shared: bool = False
    shares: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class View:
    """A modal or a Home tab as the app last sent it. ``errors`` are those of the last submit, by block_id."""

    id: str
    user: str
    body: Json
    hash: str
    root: str
    previous: str = ""
    values: Json = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Token:
    """What a caller proves itself with, and what it may do."""

    value: str
    kind: str
    scopes: frozenset[str]


@dataclass(slots=True)
class Trigger:
    """The right to open a modal in answer to what ``user`` just did. Used once, and only for some seconds."""

    user: str
    made_at: float
    is_used: bool = False


@dataclass(slots=True)
class Answer:
    """A response_url: to which message of which person it answers, and how often it was used."""

    channel: str
    user: str
    made_at: float
    ts: str = ""
    uses: int = 0


class Workspace:
    """One team and all in it. ``tell`` reaches whoever listens: the page, and tests that wait."""

    def __init__(self) -> None:
        self.url = ""
        self.team = "T0LOCAL"
        self.team_name = "Local"
        self.team_domain = "local"
        self.app = "A0CONNTRACK"
        self.bot = "B0CONNTRACK"
        self.bot_user = "U0CONNTRACK"
        self.people: dict[str, Person] = {}
        self.groups: dict[str, Group] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, dict[str, Message]] = {}
        self.threads: dict[tuple[str, str], list[str]] = {}
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}
        self.modals: dict[str, list[str]] = {}
        self.homes: dict[str, str] = {}
        self.tokens: dict[str, Token] = {}
        self.triggers: dict[str, Trigger] = {}
        self.answers: dict[str, Answer] = {}
        self.pins: set[tuple[str, str]] = set()
        self.clock_ahead_seconds = 0.0
        self._listeners: list[Callable[[Json], None]] = []
        self._last_microseconds = 0
        self._numbers = itertools.count(1)

    # ---- time and names ----------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Unix seconds; tests may put the clock ahead."""
        return time.time() + self.clock_ahead_seconds

    def new_ts(self) -> str:
        """A message's name, as Slack makes it: a time that no other message has."""
        self._last_microseconds = max(int(self.now() * 1_000_000), self._last_microseconds + 1)
        return f"{self._last_microseconds // 1_000_000}.{self._last_microseconds % 1_000_000:06d}"

    def new_id(self, letter: str) -> str:
        """An id that looks like Slack's and says in which order things were made."""
        return f"{letter}0{next(self._numbers):06d}{secrets.token_hex(2).upper()}"

    # ---- who hears of changes ----------------------------------------------------------------------------------------

    def listen(self, listener: Callable[[Json], None]) -> Callable[[], None]:
        """Call ``listener`` with every change from now on; what is returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, change: Json) -> None:
        """Say that something changed."""
        for listener in tuple(self._listeners):
            listener(change)

    # ---- finding -----------------------------------------------------------------------------------------------------

    def person(self, name: str) -> Person | None:
        """By id or by name."""
        wanted = name.removeprefix("@")
        return self.people.get(wanted) or next((one for one in self.people.values() if one.name == wanted), None)

    def channel(self, name: str) -> Channel | None:
        """By id or by name."""
        wanted = name.removeprefix("#")
        return self.channels.get(wanted) or next((one for one in self.channels.values() if one.name == wanted), None)

    def message(self, channel: str, ts: str) -> Message | None:
        """Also one that only one person sees."""
        return self.messages.get(channel, {}).get(ts)

    def talk(self, channel: str) -> Iterator[Message]:
        """Whatever everybody in the channel can see, replies too, oldest first."""
        return (one for one in self.messages.get(channel, {}).values() if not one.reader)

    def replies(self, channel: str, ts: str) -> list[Message]:
        """Those under a message, oldest first."""
        there = self.messages.get(channel, {})
        thread = (there.get(name) for name in self.threads.get((channel, ts), ()))
        return [one for one in thread if one is not None and not one.reader]

    def modal(self, user: str) -> View | None:
        """The topmost modal the person has before their eyes."""
        stack = self.modals.get(user)
        return self.views[stack[-1]] if stack else None

    def home(self, user: str) -> View | None:
        """What the app last published on the person's Home tab."""
        return self.views[self.homes[user]] if user in self.homes else None

    def scopes(self) -> frozenset[str]:
        """What the app was granted."""
        return next(one.scopes for one in self.tokens.values() if one.kind == "bot")

    def images(self) -> set[str]:
        """The files that blocks may show: pictures, once they are shared."""
        return {one.id for one in self.files.values() if one.is_shared and one.mimetype.startswith("image/")}

    # ---- adding ------------------------------------------------------------------------------------------------------

    def add(self, message: Message) -> Message:
        """Put a message where it belongs, and say so."""
        there = self.messages.setdefault(message.channel, {})
        there[message.ts] = message
        if message.is_reply:
            self.threads.setdefault((message.channel, message.thread_ts), []).append(message.ts)
        while len(there) > HISTORY_AT_MOST:
            self._forget(next(iter(there.values())))
        self.tell_of(message)
        return message

    def remove(self, message: Message) -> None:
        """Take a message away, and say so."""
        self._forget(message)
        self.tell_of(message)

    def _forget(self, message: Message) -> None:
        del self.messages[message.channel][message.ts]
        self.threads.pop((message.channel, message.ts), None)
        thread = self.threads.get((message.channel, message.thread_ts), [])
        if message.ts in thread:
            thread.remove(message.ts)

    def tell_of(self, message: Message) -> None:
        """Say that a message is new, or changed, or gone."""
        self.tell({"kind": "message", "channel": message.channel, "ts": message.ts, "thread_ts": message.thread_ts})

    def whisper(self, channel: str, user: str, text: str, *, thread_ts: str = "") -> Message:
        """What Slack itself says to one person, for instance that a command failed."""
        return self.add(
            Message(channel, self.new_ts(), "USLACKBOT", text, reader=user, thread_ts=thread_ts, username="Slackbot")
        )

    def direct_channel(self, user: str) -> Channel:
        """The direct message between the app and a person, made when it is needed first."""
        for channel in self.channels.values():
            if channel.im_with == user:
                return channel
        channel = Channel(f"D{user[1:]}", f"dm-{self.people[user].name}", [user, self.bot_user], True, im_with=user)
        self.channels[channel.id] = channel
        self.tell({"kind": "channel", "channel": channel.id})
        return channel

    def new_trigger(self, user: str) -> str:
        """A trigger_id."""
        name = f"{next(self._numbers)}.{secrets.randbelow(10**10):010d}.{secrets.token_hex(16)}"
        self.triggers[name] = Trigger(user, self.now())
        return name

    def new_answer(self, channel: str, user: str, ts: str = "") -> str:
        """The secret part of a response_url."""
        name = secrets.token_urlsafe(18)
        self.answers[name] = Answer(channel, user, self.now(), ts)
        return name
