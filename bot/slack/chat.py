"""The door to Slack's Web API: calls go out, and every failure comes back as a ChatError that says what to do next.

Two clients: what is asked may be asked again by the SDK; what is said is never said again by it, since a connection
that breaks after Slack has accepted a message would post it twice. It must not know incidents, nor what a body means.
"""

from __future__ import annotations

import functools
import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)
from slack_sdk.webhook import WebhookClient

from bot.errors import ChatError

EVENT_TYPE = "conntrack_bot"
TIMEOUT_SECONDS = 10  # a call of Slack's takes 0.1 to 0.5 s; the desk and the writers wait no longer than this
PAGE = 200  # messages looked through at once for one that may be there already; Slack's own advice is 200 at most
PAGES = 3
SLACK_URL = "https://slack.com/api/"
ANSWERS_AT = "https://hooks.slack.com/"

# What passes by itself, by Slack's own documentation of each method's errors.
PASSING = frozenset({
    "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
    "team_added_to_org", "accesslimited", "user_not_visible_yet",
})  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is in the chat, by auth.test. ``url`` is the team's, with a slash at its end."""

    team: str
    enterprise: str
    user: str
    bot: str
    url: str


def translated(call: Callable[P, R]) -> Callable[P, R]:
    """The call, whose failures are ChatErrors."""

    @functools.wraps(call)
    def calling(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except SlackApiError as error:
            raise _refusal(error) from error
        except (SlackClientError, OSError, http.client.HTTPException) as error:
            # A time-out is an OSError, an answer that breaks off is none. It is not known whether the call took effect.
            raise ChatError(f"Slack did not answer: {error}.", "no_answer", retry_after_seconds=1.0) from error

    return calling


class Chat:
    """Slack's Web API, as far as the bot needs it. Safe to use from any thread."""

    def __init__(self, token: str, api_url: str = SLACK_URL) -> None:
        self._api_url = api_url
        again = [
            ConnectionErrorRetryHandler(max_retry_count=2),
            RateLimitErrorRetryHandler(max_retry_count=2),
            ServerErrorRetryHandler(max_retry_count=2),
        ]
        self.reading = WebClient(token=token, base_url=api_url, timeout=TIMEOUT_SECONDS, retry_handlers=again)
        self.writing = WebClient(token=token, base_url=api_url, timeout=TIMEOUT_SECONDS, retry_handlers=[])

    # ---- what is asked ----------------------------------------------------------------------------------------------

    @translated
    def identity(self) -> Identity:
        """Who we are; also what keeps a connection that Slack has forgotten from staying so."""
        said = self.reading.auth_test()
        return Identity(*(said.get(key) or "" for key in ("team_id", "enterprise_id", "user_id", "bot_id", "url")))

    @translated
    def person(self, user: str) -> Mapping[str, Any]:
        """What Slack knows of a person."""
        return _part(self.reading.users_info(user=user), "user")

    @translated
    def channel(self, channel: str) -> Mapping[str, Any]:
        """What Slack knows of a channel."""
        return _part(self.reading.conversations_info(channel=channel), "channel")

    @translated
    def find(self, channel: str, under_ts: str, is_it: Callable[[Mapping[str, Any]], bool]) -> str:
        """The ``ts`` of one of the newest messages of a channel, or of a thread; "" where none of them is it."""
        cursor = ""
        for _ in range(PAGES):
            where: dict[str, Any] = {
                "channel": channel,
                "limit": PAGE,
                "include_all_metadata": True,
                "cursor": cursor or None,
            }
            said = (
                self.reading.conversations_replies(ts=under_ts, **where)
                if under_ts
                else self.reading.conversations_history(**where)
            )
            found = next((str(one.get("ts", "")) for one in said.get("messages") or () if is_it(one)), "")
            cursor = (said.get("response_metadata") or {}).get("next_cursor") or ""
            if found or not cursor:
                return found
        return ""

    # ---- what is said -----------------------------------------------------------------------------------------------

    @translated
    def post(self, channel: str, under_ts: str, key: str, body: Mapping[str, Any]) -> str:
        """A new message; its ``ts``. The key stands in its metadata, so that it can be found again."""
        said = self.writing.chat_postMessage(
            channel=channel, thread_ts=under_ts or None, **_said(body), **_quietly(key)
        )
        return str(said["ts"])

    @translated
    def edit(self, channel: str, ts: str, key: str, body: Mapping[str, Any]) -> None:
        """Another text at the place of an earlier one."""
        told = {**_said(body), **_quietly(key)}
        for of_posts_only in ("unfurl_links", "unfurl_media", "reply_broadcast"):
            told.pop(of_posts_only, None)
        self.writing.chat_update(channel=channel, ts=ts, **told)

    @translated
    def upload(self, channel: str, under_ts: str, file: bytes, body: Mapping[str, Any]) -> str:
        """A file; its id, since Slack shares it later and does not say then where."""
        told = {key: body[key] for key in ("filename", "title", "alt_txt", "initial_comment") if body.get(key)}
        said = self.writing.files_upload_v2(channel=channel, thread_ts=under_ts or None, content=file, **told)
        return str(_part(said, "file").get("id") or "file")

    @translated
    def whisper(self, channel: str, under_ts: str, person: str, body: Mapping[str, Any]) -> None:
        """A message for one person's eyes."""
        told = {key: value for key, value in _said(body).items() if key != "reply_broadcast"}
        where: dict[str, Any] = {"channel": channel, "user": person, "thread_ts": under_ts or None}
        self.writing.chat_postEphemeral(**where, **told, parse="none", link_names=False)

    @translated
    def answer(self, url: str, body: Mapping[str, Any]) -> None:
        """A whisper through a response_url: it works where the bot is no member, five times within half an hour."""
        told = {key: value for key, value in _said(body).items() if key != "reply_broadcast"}
        told |= {"response_type": "ephemeral", "replace_original": False}
        said = WebhookClient(url, timeout=TIMEOUT_SECONDS, proxy=self.writing.proxy).send_dict(told)
        if said.status_code >= 400:
            raise ChatError(f"Slack did not take the answer (HTTP {said.status_code}).", "response_url")

    def may_answer(self, url: str) -> bool:
        """Whether an answer goes to Slack, or to the local one that api_url names: a URL may come from anybody."""
        if url.startswith(ANSWERS_AT):
            return True
        return self._api_url != SLACK_URL and bool(url) and _origin(url) == _origin(self._api_url)

    @translated
    def publish(self, user: str, view: Mapping[str, Any]) -> None:
        """The Home tab of one person."""
        self.writing.views_publish(user_id=user, view=dict(view))

    @translated
    def ask(self, trigger: str, view: Mapping[str, Any]) -> None:
        """A modal; ``trigger`` is good for three seconds, and once."""
        self.writing.views_open(trigger_id=trigger, view=dict(view))


def _said(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in ("text", "blocks", "reply_broadcast") if key in body}


def _quietly(key: str) -> dict[str, Any]:
    """Nothing of ours unfolds, pings or is taken for markup that we did not write; and it can be found again."""
    return {
        "unfurl_links": False,
        "unfurl_media": False,
        "parse": "none",
        "link_names": False,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}},
    }


def _refusal(error: SlackApiError) -> ChatError:
    status = getattr(error.response, "status_code", 200)
    said = error.response.data if hasattr(error.response, "data") else error.response
    code = str(said.get("error", "")) if isinstance(said, Mapping) else ""
    pointers = _part(said, "response_metadata").get("messages") or () if isinstance(said, Mapping) else ()
    where = "".join(f" {pointer}" for pointer in tuple(pointers)[:10])
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        headers = getattr(error.response, "headers", {})
        wait = next((value for name, value in headers.items() if name.lower() == "retry-after"), "1")
        seconds = float(wait) if str(wait).isdecimal() else 1.0
        return ChatError(f"Slack asks to wait {seconds:.0f} s.", "ratelimited", retry_after_seconds=seconds)
    if status >= 500 or code in PASSING:
        said_what = code or f"http_{status}"
        return ChatError(f"Slack is in trouble itself ({said_what}).", said_what, retry_after_seconds=1.0)
    return ChatError(f"Slack refused: {code or f'HTTP {status}'}.{where}", code or f"http_{status}")


def _part(said: Any, key: str) -> Mapping[str, Any]:
    found = said.get(key)
    return found if isinstance(found, Mapping) else {}


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc
