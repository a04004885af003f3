"""How the bot speaks in Slack: each thing that happens becomes messages in the outbox, under keys that stay for ever.

The card is the incident's one message, edited in place; the explanation, the chart and the evidence stand below it. It
must not know how a message gets to Slack, nor how words become blocks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bot import charts
from bot.errors import ChatError
from bot.model import Follower, Incident, Kind, Letter, Look, Message, Person, Request
from bot.report import Picture, is_worse
from bot.slack import blocks
from bot.slack.chat import Identity
from bot.store import Store
from bot.workflow import Progress

log = logging.getLogger(__name__)

ANSWERABLE_SECONDS = 1_700.0  # a response_url is good for half an hour
REMEMBERED = 2_000  # arbitrary, because it only bounds the memory

Body = Mapping[str, Any]


class SlackVoice:
    """``bot.workflow.Voice`` for Slack. ``nudge`` wakes a channel's writer, ``changed`` whoever shows incidents."""

    def __init__(
        self,
        store: Store,
        us: Callable[[], Identity],
        nudge: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
        draw: Callable[[Picture], bytes] = charts.draw,
    ) -> None:
        self._store = store
        self._us = us
        self._nudge = nudge
        self._changed = changed
        self._draw = draw
        self._answers = _Answers()

    # ---- an incident ------------------------------------------------------------------------------------------------

    def waiting(self, incident: Incident, ahead: int) -> None:
        """A look is to begin."""
        self._say_card(incident, blocks.waiting(incident, ahead))
        self._changed()

    def looking(self, incident: Incident, progress: Progress) -> None:
        """A look is going on."""
        self._say_card(incident, blocks.looking(incident, progress))

    def ended(self, incident: Incident, look: Look, earlier: Look | None) -> None:
        """The card first: it is what people watch. Then what explains it, and who asked elsewhere."""
        self._say_card(incident, blocks.card(incident, look, earlier))
        self._say_worse(incident, look, earlier)
        self._tell_followers(incident, look)
        if look.report is not None:
            for number, body in enumerate(blocks.explanation(look.report), 1):
                self._say_below(incident, f"{_of(look)}/explanation-{number}", body)
            self._show_chart(incident, look)
            self._attach_evidence(incident, look)
        self._changed()

    def _say_card(self, incident: Incident, body: Body) -> None:
        self._say(
            Message(
                key=_card(incident.name),
                channel=incident.channel,
                kind=Kind.MESSAGE,
                body=body,
                incident=incident.id,
                under=_thread(incident.thread),
            )
        )

    def _say_below(
        self, incident: Incident, key: str, body: Body, kind: Kind = Kind.MESSAGE, file: bytes = b""
    ) -> None:
        """Under the card, or beside it where the card itself stands in somebody's thread: threads do not nest."""
        self._say(
            Message(
                key=key,
                channel=incident.channel,
                kind=kind,
                body=body,
                incident=incident.id,
                under=_thread(incident.thread) or _card(incident.name),
                file=file,
            )
        )

    def _say_worse(self, incident: Incident, look: Look, earlier: Look | None) -> None:
        """The channel hears of it again only when it got worse."""
        if look.report is None or earlier is None or earlier.report is None:
            return
        if is_worse(look.report.kind, earlier.report.kind):
            body = {**blocks.worse(incident, look, earlier), "reply_broadcast": True}
            self._say_below(incident, f"{_of(look)}/worse", body)

    def _show_chart(self, incident: Incident, look: Look) -> None:
        picture = look.picture
        if picture is None or look.report is None or look.report.is_quiet:
            return
        try:
            drawn = self._draw(picture)
        except Exception:
            # A chart adds to what was said already; drawing it must not cost the rest.
            log.exception("The chart of %s could not be drawn.", incident.name)
            return
        said = charts.described(picture)
        title = f"{incident.name}, look {look.number}: who holds the table"
        body = {"filename": f"{_file(look)}.png", "title": title, "alt_txt": said[:1000]}
        self._say_below(incident, f"{_of(look)}/chart", body, Kind.FILE, drawn)

    def _attach_evidence(self, incident: Incident, look: Look) -> None:
        title = f"{incident.name}, look {look.number}: everything that was read"
        body = {"filename": f"{_file(look)}.txt", "title": title}
        self._say_below(incident, f"{_of(look)}/evidence", body, Kind.FILE, blocks.evidence(incident, look))

    def _tell_followers(self, incident: Incident, look: Look) -> None:
        for follower in self._store.followers(incident.id):
            self._tell_follower(incident, look, follower)

    def _tell_follower(self, incident: Incident, look: Look, follower: Follower) -> None:
        where = follower.thread or "channel"
        self._say(
            Message(
                key=f"{_of(look)}/follower/{follower.channel}/{where}",
                channel=follower.channel,
                kind=Kind.MESSAGE,
                body=blocks.follower(incident, look, self.permalink(incident)),
                incident=incident.id,
                under=_thread(follower.thread),
            )
        )

    # ---- one person -------------------------------------------------------------------------------------------------

    def joined(self, request: Request, incident: Incident) -> None:
        """What was asked for is being looked at already."""
        self.whisper(request, "joined", blocks.joined(incident, self.permalink(incident)))

    def refused(self, request: Request, says: str) -> None:
        """Why the request leads to nothing."""
        self.whisper(request, "refused", blocks.refused(says))

    def whisper(self, request: Request, what: str, body: Body) -> None:
        """For the eyes of who asked."""
        self._say(
            Message(
                key=f"{request.key}/{what}",
                channel=request.channel,
                kind=Kind.WHISPER,
                body=body,
                under=_thread(request.thread),
                person=request.person.id,
                answer_url=request.answer_url,
            )
        )

    def heard(self, request: Request) -> None:
        """Remember how the person can be answered where the bot may not write."""
        self._answers.keep(request)

    def answer_url(self, person: Person, channel: str) -> str:
        """Where a person can be answered in a channel where the bot may not write, "" where that is not known."""
        return self._answers.url(person, channel)

    def given_up(self, letter: Letter, error: ChatError) -> None:
        """A card that nobody will read: who asked is told the other way."""
        message = letter.message
        incident = self._store.incident(message.incident) if message.incident is not None else None
        if incident is None or message.key != _card(incident.name):
            return
        says = (
            f"I look at {incident.node} ({incident.name}), but I cannot write here. {error} "
            f"Invite me with /invite and ask again; `conntrack-bot show {incident.name}` has the answer meanwhile."
        )
        self._say(
            Message(
                key=f"{incident.name}/look-{incident.looks}/unsaid",  # once for a look, whose card has many versions
                channel=incident.channel,
                kind=Kind.WHISPER,
                body=blocks.refused(says),
                person=incident.asked_by.id,
                answer_url=self.answer_url(incident.asked_by, incident.channel),
            )
        )

    # ---- the outbox -------------------------------------------------------------------------------------------------

    def permalink(self, incident: Incident) -> str:
        """Where the card is, "" while it is nowhere yet. As chat.getPermalink says it, without asking."""
        letter = self._store.letter(_card(incident.name))
        if letter is None or not letter.ts:
            return ""
        thread = f"?thread_ts={incident.thread}&cid={incident.channel}" if incident.thread else ""
        return f"{self._us().url}archives/{incident.channel}/p{letter.ts.replace('.', '')}{thread}"

    def _say(self, message: Message) -> None:
        self._store.say(message)
        self._nudge(message.channel)


class _Answers:
    """The newest response_url of each person in each channel. In memory only: a right to write, and short-lived."""

    def __init__(self) -> None:
        self._urls: dict[tuple[str, str], tuple[float, str]] = {}
        self._lock = threading.Lock()

    def keep(self, request: Request) -> None:
        if not request.answer_url:
            return
        with self._lock:
            if len(self._urls) >= REMEMBERED:
                self._urls.clear()
            self._urls[request.person.id, request.channel] = (time.monotonic(), request.answer_url)

    def url(self, person: Person, channel: str) -> str:
        with self._lock:
            at, url = self._urls.get((person.id, channel), (float("-inf"), ""))
        return url if time.monotonic() - at < ANSWERABLE_SECONDS else ""


def _card(incident: str) -> str:
    return f"{incident}/card"


def _of(look: Look) -> str:
    return f"INC-{look.incident}/look-{look.number}"


def _file(look: Look) -> str:
    """A file's name is how it is found again, so it is one of its own."""
    return f"INC-{look.incident}-look-{look.number}"


def _thread(ts: str) -> str:
    return f"ts:{ts}" if ts else ""
