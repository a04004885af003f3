"""Slack's side of the bot, joined: what is delivered becomes requests in the store, and the outbox becomes messages.

Listeners only parse, write down and acknowledge, within milliseconds; nothing here looks at a node or waits for Slack.
It must not know what becomes of a request.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from slack_bolt import Ack, App, BoltRequest, BoltResponse
from slack_bolt.error import BoltError
from slack_bolt.middleware import Middleware
from slack_sdk.errors import SlackApiError, SlackClientError

from bot import charts
from bot.config import SlackSettings
from bot.errors import ChatError
from bot.model import Incident, Request, State
from bot.report import Picture
from bot.slack import blocks, payloads
from bot.slack.announcer import Announcer
from bot.slack.chat import Chat, Identity
from bot.slack.gate import SlackGate
from bot.slack.home import Home
from bot.slack.lull import Lull
from bot.slack.payloads import Asked, Wish
from bot.slack.socket import Sockets
from bot.slack.tokens import Tokens
from bot.slack.voice import SlackVoice
from bot.store import Store

log = logging.getLogger(__name__)

LISTENERS_AT_ONCE = 32
TWICE_SECONDS = 10.0  # the same question of the same person within these seconds is answered once
REMEMBERED = 1_000  # arbitrary, because it only bounds the memory
SHOWN_INCIDENTS = 50
ANYTHING = re.compile(".*")
STOP_SECONDS = 5.0
UNKNOWN = Identity(team="", enterprise="", user="", bot="", url="https://slack.com/")


class Slack:
    """Connected to Slack, for as long as it is open.

    Build it, give ``voice`` and ``gate`` to the workflow, then ``connect``. To stop: ``deafen``, so that nothing new
    comes in; stop the workflow, whose last words still go out; ``close``.
    """

    def __init__(
        self,
        settings: SlackSettings,
        tokens: Tokens,
        store: Store,
        version: str = "",
        draw: Callable[[Picture], bytes] = charts.draw,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._store = store
        self._version = version
        self._us = UNKNOWN
        self._lull = Lull()
        self._submit: Callable[[], None] = lambda: None
        self._sockets: Sockets | None = None
        self._bolt: App | None = None
        self._lately = _Lately(TWICE_SECONDS)
        self._pool = ThreadPoolExecutor(LISTENERS_AT_ONCE, thread_name_prefix="slack listener")
        self.chat = Chat(tokens.bot, settings.api_url)
        self.gate = SlackGate(self.chat, lambda: self._us, settings.channels)
        self.home = Home(store, self.chat, self.gate.check_person, self.gate.is_public)
        self.voice = SlackVoice(store, lambda: self._us, self._nudge, self.home.changed, draw)
        self.announcer = Announcer(store, self.chat, self.voice.given_up, give_way=self._lull.wait)

    # ---- from the beginning to the end ------------------------------------------------------------------------------

    def connect(self, submit: Callable[[], None]) -> None:
        """Find out who we are and begin to listen; ``submit`` hears of new requests. Raises ChatError: try again."""
        self._us = self.chat.identity()
        self._bolt = self._listening()
        self._submit = submit
        if self._settings.mode == "socket":
            sockets = Sockets(self._bolt, self._tokens.app, self._settings.connections, self._recall, self._lull.stir)
            try:
                sockets.connect()
            except ChatError:
                sockets.close()  # whoever tries again opens new ones
                raise
            self._sockets = sockets
        self.announcer.start()
        self.home.start()
        log.info("Connected to Slack as %s in %s.", self._us.user, self._us.url)

    def deafen(self) -> None:
        """Take nothing more in. What is said still goes out."""
        if self._sockets is not None:
            self._sockets.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def close(self, seconds: float = STOP_SECONDS) -> None:
        """Say what is still to be said, for so long at the most, and end."""
        self.deafen()
        self.home.stop()
        self.announcer.stop(seconds)

    @property
    def is_healthy(self) -> bool:
        """Whether deliveries arrive, as far as one can know."""
        if self._settings.mode == "http":
            return self._bolt is not None
        return self._sockets is not None and self._sockets.alive > 0

    @property
    def bolt(self) -> App:
        """For HTTP mode: the same listeners. After ``connect``."""
        if self._bolt is None:
            raise ChatError("Slack is not connected yet.", retry_after_seconds=1.0)
        return self._bolt

    def give_way(self) -> None:
        """For work that can wait: while Slack waits for acknowledgements, it does."""
        self._lull.wait()

    def _nudge(self, channel: str) -> None:
        self.announcer.nudge(channel)

    def _recall(self) -> None:
        self._us = self.chat.identity()

    # ---- listeners --------------------------------------------------------------------------------------------------

    def _listening(self) -> App:
        try:
            app = App(
                name="conntrack-bot",
                client=self.chat.reading,
                signing_secret=self._tokens.signing_secret,
                # A listener of ours takes milliseconds: run at once, it answers sooner than through Bolt's pool, and an
                # event is acknowledged when it is written down, not before.
                process_before_response=True,
                listener_executor=self._pool,
                attaching_function_token_enabled=False,
                attaching_conversation_kwargs_enabled=False,
            )
        except (BoltError, SlackApiError, SlackClientError, OSError) as error:
            raise ChatError(f"Slack did not answer: {error}.", "no_answer", retry_after_seconds=1.0) from error
        app.use(_Ours(lambda: self._us))
        app.command(ANYTHING)(self._on_command)
        app.event("app_mention")(self._on_mention)
        app.event("app_home_opened")(self._on_home)
        app.event("member_joined_channel")(self._on_joined)
        app.shortcut(payloads.DIAGNOSE_MESSAGE)(self._on_shortcut)
        app.view(payloads.DIAGNOSE_MESSAGE)(self._on_submitted)
        app.action(payloads.LOOK_AGAIN)(self._on_look_again)
        self._catch_all(app)
        app.error(self._on_error)
        return app

    def _catch_all(self, app: App) -> None:
        """Nothing stays without an answer: an old button, an event we did not ask for, a form from another version."""
        for kind in (app.event, app.shortcut, app.view, app.view_closed, app.action, app.options):
            kind(ANYTHING)(self._on_anything)

    def _on_command(self, ack: Ack, body: dict[str, Any]) -> None:
        asked = payloads.command(body, time.time())
        ack(**(self._answer(asked) if asked else blocks.refused("Slack's message was not understood. Try again.")))

    def _on_mention(self, ack: Ack, body: dict[str, Any]) -> None:
        asked = payloads.mention(body, time.time(), self._us.user, self._settings.command.lstrip("/"))
        answer = self._answer(asked) if asked else {}
        if asked and answer:
            self.voice.whisper(asked.request, "answer", answer)
        ack()

    def _on_home(self, ack: Ack, body: dict[str, Any]) -> None:
        person = payloads.opened_home(body)
        if person:
            self.home.opened(person)
        ack()

    def _on_joined(self, ack: Ack, body: dict[str, Any]) -> None:
        self.gate.forget(payloads.event_channel(body))
        ack()

    def _on_shortcut(self, ack: Ack, body: dict[str, Any]) -> None:
        pointed = payloads.pointed(body, time.time())
        if pointed and pointed.request.named:
            self._receive(pointed.request)
        elif pointed:
            self.voice.heard(pointed.request)  # the form brings no address to answer at, should it come to that
            self._pool.submit(self._ask, pointed)
        ack()

    def _on_submitted(self, ack: Ack, body: dict[str, Any]) -> None:
        asked = payloads.submitted(body, time.time())
        if asked and asked.typed.wish is not Wish.DIAGNOSE:
            ack(response_action="errors", errors={payloads.NODE_FIELD: asked.typed.says or "Name one node."})
            return
        if asked:
            url = self.voice.answer_url(asked.request.person, asked.request.channel)
            self._receive(replace(asked.request, answer_url=url))
        ack()

    def _on_look_again(self, ack: Ack, body: dict[str, Any]) -> None:
        clicked = payloads.again(body, time.time())
        incident = self._store.incident(clicked.incident) if clicked else None
        if clicked and incident and incident.channel == clicked.request.channel:
            named = f"{incident.cluster}/{incident.node}" if incident.cluster else incident.node
            wanted = replace(clicked.request, named=named, thread=incident.thread)
            self._receive(replace(wanted, exact=incident.exact, deep=incident.deep))
        elif clicked:
            self.voice.refused(clicked.request, "I don't know this incident here: ask for its node by name.")
        ack()

    def _on_anything(self, ack: Ack, body: dict[str, Any]) -> None:
        log.info("Nothing listens for a delivery of type %s.", payloads.kind(body))
        clicked = payloads.clicked(body, time.time())
        if clicked:
            says = "This button belongs to another version of me, so nothing was done. Ask for the node by name."
            self.voice.refused(clicked, says)
        ack()

    def _on_error(self, error: Exception, body: Mapping[str, Any]) -> BoltResponse:
        failure = uuid.uuid4().hex[:8]
        log.error("A delivery of type %s broke (id %s).", payloads.kind(body), failure, exc_info=error)
        if not payloads.is_command(body):
            return BoltResponse(status=200)
        says = f"I could not write down what you asked for (id {failure}), so nothing was done. Ask again in a moment."
        return BoltResponse(status=200, body=blocks.refused(says))

    # ---- what they share --------------------------------------------------------------------------------------------

    def _answer(self, asked: Asked) -> dict[str, Any]:
        """What is said at once to who typed; nothing where a card will say it."""
        match asked.typed.wish:
            case Wish.UNCLEAR:
                return dict(blocks.refused(asked.typed.says))
            case Wish.HELP:
                lately = self._store.incidents(SHOWN_INCIDENTS, channel=asked.request.channel)
                return dict(blocks.manual(self._settings.command, lately))
            case Wish.STATUS:
                return self._status(asked.request.channel)
            case Wish.DIAGNOSE:
                return self._received(asked.request)

    def _received(self, request: Request) -> dict[str, Any]:
        answered = self._answered(request)
        if answered is not None:
            says = f"{answered.node} was looked at for you a moment ago: the card of {answered.name} has the answer."
            return dict(blocks.refused(says))
        self._receive(request)
        return {}

    def _answered(self, request: Request) -> Incident | None:
        """The same question of the same person, answered within the last seconds; one that goes on is joined.

        The store is asked only where this process was asked just now: reading costs more than all the rest.
        """
        if not self._lately.was(f"{request.person.id} {request.channel} {request.thread} {request.named}"):
            return None
        for one in self._store.incidents(SHOWN_INCIDENTS, channel=request.channel):
            is_fresh = one.state is State.DIAGNOSED and request.at - one.asked_at < TWICE_SECONDS
            is_theirs = one.asked_by.id == request.person.id and one.thread == request.thread
            is_same = request.named in {one.node, f"{one.cluster}/{one.node}"} and (one.exact, one.deep) == (
                request.exact,
                request.deep,
            )
            if is_fresh and is_theirs and is_same:
                return one
        return None

    def _receive(self, request: Request) -> None:
        """Write it down, then let it be worked on. Delivered twice, it is known already."""
        self.voice.heard(request)
        self._lull.stir()
        if self._store.receive(request):
            self._submit()

    def _status(self, channel: str) -> dict[str, Any]:
        """Of the whole bot, and of the incidents of this channel: others may not be for everybody's eyes."""
        health = blocks.Health(
            version=self._version,
            running=self._store.open_incidents(state=State.LOOKING),
            waiting=self._store.waiting(),
            sockets=self._sockets.alive if self._sockets else 0,
            sockets_wanted=self._sockets.wanted if self._sockets else 0,
        )
        newest = self._store.incidents(SHOWN_INCIDENTS, only_open=True, channel=channel)
        return dict(blocks.status(health, newest, self._store.open_incidents(channel=channel)))

    def _ask(self, pointed: payloads.Pointed) -> None:
        """Ask for the node: nothing else first, since the right to do so ends after three seconds."""
        try:
            self.chat.ask(pointed.trigger, payloads.question(pointed.request))
        except ChatError as error:
            log.warning("The form of a shortcut could not be opened: %s", error)
            says = "No node is named there, and the form to ask for it could not be opened. Mention me in the thread."
            self.voice.refused(pointed.request, says)


class _Ours(Middleware):
    """Lets in what comes from our own organisation. The socket is ours, but channels are shared with others."""

    def __init__(self, us: Callable[[], Identity]) -> None:
        self._us = us

    def process(self, *, req: BoltRequest, resp: BoltResponse, next: Callable[[], BoltResponse]) -> BoltResponse:  # noqa: A002, ARG002 - Bolt's name
        us, sender = self._us(), payloads.sender(req.body)
        if sender.team == us.team or (us.enterprise and sender.enterprise == us.enterprise):
            return next()
        log.warning("A delivery from team %r was dropped: ours is %r.", sender.team[:32], us.team)
        if not payloads.is_command(req.body):
            return BoltResponse(status=200)
        says = "I answer members of the organisation that runs me only. Nothing was done."
        return BoltResponse(status=200, body=blocks.refused(says))


class _Lately:
    """What was asked within the last seconds, as a hint."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._asked: dict[str, float] = {}
        self._lock = threading.Lock()

    def was(self, question: str) -> bool:
        """Whether it was asked; it is from now on."""
        now = time.monotonic()
        with self._lock:
            if len(self._asked) >= REMEMBERED:
                self._asked = {one: at for one, at in self._asked.items() if now - at < self._seconds}
            asked_at = self._asked.get(question, float("-inf"))
            self._asked[question] = now
            return now - asked_at < self._seconds
