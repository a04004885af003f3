"""The controls, for scripts, tests and the page: JSON in and out under /_ctl/. Names and ids are both understood.

It must not know how things are done: people act in ``acting``, the rest is asked of the service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from deploy.local.slack import shapes
from deploy.local.slack.acting import Actor, CannotError, actor
from deploy.local.slack.service import Service
from deploy.local.slack.state import Json, Message

Control = Callable[[Json], Awaitable[Json]]


class Controls:
    """Each public coroutine is POST /_ctl/NAME or GET /_ctl/NAME; what it takes is JSON, or the query."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def _actor(self, said: Json) -> Actor:
        return actor(self.service, said["user"])

    async def command(self, said: Json) -> Json:
        """Somebody uses a slash command."""
        return await self._actor(said).command(said["command"], said.get("text", ""), said["channel"])

    async def say(self, said: Json) -> Json:
        """Somebody says something."""
        message = self._actor(said).say(said["text"], said["channel"], said.get("thread_ts") or "")
        return {"ts": message.ts, "channel": message.channel}

    async def messages(self, said: Json) -> Json:
        """Roots with their threads; with a user also what only that person sees."""
        workspace = self.service.workspace
        channel = workspace.channel(said["channel"])
        if channel is None:
            raise CannotError(f"There is no channel {said['channel']}.")
        reader = workspace.person(said["user"]) if said.get("user") else None
        seen = [
            one for one in workspace.messages.get(channel.id, {}).values() if one.reader in ("", reader and reader.id)
        ]
        roots = [self._shape(one) for one in seen if not one.is_reply or one.subtype == "thread_broadcast"]
        for root in roots:
            is_broadcast = root.get("subtype") == "thread_broadcast"
            root["replies"] = [] if is_broadcast else [
                self._shape(one) for one in seen if one.is_reply and one.thread_ts == root["ts"]
            ]  # fmt: skip
        return {"channel": shapes.channel(workspace, channel), "messages": roots}

    def _shape(self, one: Message) -> Json:
        workspace = self.service.workspace
        author = workspace.people.get(one.user)
        shape = shapes.message(workspace, one) | {"channel": one.channel, "pings": one.pings, "flags": one.flags}
        shape["user_name"] = author.name if author else one.username
        shape["is_ephemeral"] = bool(one.reader)
        return shape

    async def calls(self, said: Json) -> Json:
        """Every call and every envelope that is new, or of which more is known, since ``after``."""
        after = int(said.get("after") or 0)
        newer = [one for one in self.service.journal.entries if one["changed"] > after]
        return {
            "calls": [one for one in newer if one["kind"] == "call"],
            "envelopes": [one for one in newer if one["kind"] == "envelope"],
            "last": max((one["changed"] for one in newer), default=after),
        }


POSTS = ("command", "say")
GETS = ("messages", "calls")


def routes(controls: Controls) -> list[web.RouteDef]:
    """All of them."""
    posts = [web.post(f"/_ctl/{name}", _route(getattr(controls, name))) for name in POSTS]
    return posts + [web.get(f"/_ctl/{name}", _route(getattr(controls, name))) for name in GETS]


def _route(control: Control) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        said: Any = dict(request.query) if request.method == "GET" else await request.json()
        try:
            return web.json_response({"ok": True, **await control(said)})
        except CannotError as error:
            return web.json_response({"ok": False, "error": str(error)}, status=400)
        except KeyError as error:
            return web.json_response({"ok": False, "error": f"{error} is missing."}, status=400)

    return answer
