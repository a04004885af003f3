"""Who may ask, and where: people of our own organisation, in channels of ours that the bot is a member of.

Slack is asked by id and its answer kept for a while. What cannot be found out is refused, with the reason: nobody is
let in because Slack stumbled. It must not know what is asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from bot.errors import ChatError, RefusedError
from bot.model import Person, Request
from bot.slack.chat import Chat, Identity

PERSON_SECONDS = 600.0
CHANNEL_SECONDS = 60.0  # shorter: whoever was told to invite the bot does so, and asks again
REMEMBERED = 5000  # arbitrary, because it only bounds the memory
INVITE = "I am no member of this channel, so I cannot answer here: /invite me, then ask again. Nothing was done."
NO_MEMBER = frozenset({"channel_not_found", "not_in_channel"})


class SlackGate:
    """``bot.workflow.Gate`` for Slack. No ``channels``: every channel that the bot was invited to."""

    def __init__(
        self,
        chat: Chat,
        us: Callable[[], Identity],
        channels: Collection[str] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._us = us
        self._channels = frozenset(channels)
        self._people = _Kept(chat.person, PERSON_SECONDS, monotonic)
        self._places = _Kept(chat.channel, CHANNEL_SECONDS, monotonic)

    def check(self, request: Request) -> None:
        """Raises RefusedError with the sentence for who asked."""
        if self._channels and request.channel not in self._channels:
            raise RefusedError(
                "I may not be asked in this channel: those who run me have chosen others. Nothing was done."
            )
        self.check_person(request.person)
        self._check_channel(request.channel)

    def forget(self, channel: str) -> None:
        """Something about a channel has changed."""
        self._places.forget(channel)

    def check_person(self, person: Person) -> None:
        """Raises RefusedError for guests, bots, people who have left and people of other organisations."""
        try:
            known = self._people.get(person.id)
        except ChatError as error:
            raise RefusedError(
                f"I could not check who you are, so nothing was done. {error} Ask again soon."
            ) from error
        why = _stranger(known, self._us())
        if why:
            raise RefusedError(f"I answer members of this organisation only, and {why}. Nothing was done.")

    def is_public(self, channel: str) -> bool:
        """Whether everybody here may read a channel. What cannot be found out is private."""
        try:
            known = self._places.get(channel)
        except ChatError:
            return False
        return known.get("is_private") is False and not (known.get("is_im") or known.get("is_mpim"))

    def _check_channel(self, channel: str) -> None:
        try:
            known = self._places.get(channel)
        except ChatError as error:
            if error.code in NO_MEMBER:
                raise RefusedError(INVITE) from error
            raise RefusedError(
                f"I could not check who reads this channel, so nothing was done. {error} Ask again soon."
            ) from error
        if known.get("is_ext_shared") or known.get("is_pending_ext_shared"):
            raise RefusedError(
                "This channel is shared with another organisation, which would read what I find. "
                "Ask in a channel of your own. Nothing was done."
            )
        if not (known.get("is_member") or known.get("is_im")):
            self._places.forget(channel)
            raise RefusedError(INVITE)


def _stranger(known: Mapping[str, Any], us: Identity) -> str:
    """Why somebody is none of us, "" for a member. What Slack does not say counts against them."""
    organisation = known.get("enterprise_user")
    enterprise = organisation.get("enterprise_id") if isinstance(organisation, Mapping) else None
    is_ours = known.get("team_id") == us.team or (bool(us.enterprise) and enterprise == us.enterprise)
    signs = (
        (known.get("is_bot") or known.get("id") == "USLACKBOT", "you are a bot"),
        (known.get("deleted"), "this account was deactivated"),
        (known.get("is_restricted") or known.get("is_ultra_restricted"), "you are a guest"),
        (known.get("is_stranger") or not is_ours, "you belong to another one"),
    )
    return next((why for is_so, why in signs if is_so), "")


class _Kept:
    """What was asked, for some seconds. Two who ask at once may both ask Slack: that does no harm."""

    def __init__(self, ask: Callable[[str], Mapping[str, Any]], seconds: float, monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._seconds = seconds
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Mapping[str, Any]:
        now = self._monotonic()
        with self._lock:
            at, known = self._known.get(key, (float("-inf"), {}))
        if now - at < self._seconds:
            return known
        known = self._ask(key)
        with self._lock:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = (now, known)
        return known

    def forget(self, key: str) -> None:
        with self._lock:
            self._known.pop(key, None)
