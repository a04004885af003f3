"""The controls, for scripts, tests and the page: JSON in and out under /_ctl/. Names and ids are both understood.

It must not know how things are done: people act in ``acting``, the rest is asked of the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from deploy.local.slack import interacting, shapes
from deploy.local.slack.acting import Actor, CannotError, actor
from deploy.local.slack.injecting import Injections
from deploy.local.slack.state import Channel, Json, Message, Person

STREAM_PULSE_SECONDS = 15.0  # so that a page that went away is noticed

Control = Callable[[Json], Awaitable[Json]]


class Controls(Injections):
    """Each public coroutine is POST /_ctl/NAME or GET /_ctl/NAME; what it takes is JSON, or the query."""

    def _actor(self, said: Json) -> Actor:
        return actor(self.service, said["user"])

    async def command(self, said: Json) -> Json:
        """Somebody uses a slash command."""
        return await self._actor(said).command(said["command"], said.get("text", ""), said["channel"])

    async def say(self, said: Json) -> Json:
        """Somebody says something."""
        message = self._actor(said).say(said["text"], said["channel"], said.get("thread_ts") or "")
        return {"ts": message.ts, "channel": message.channel}

    async def click(self, said: Json) -> Json:
        """Somebody presses something, in a message or (with view_id) in a view."""
        who, value = self._actor(said), said.get("value")
        if said.get("view_id"):
            return await interacting.click_in_view(who, said["view_id"], said["action_id"], value)
        return await interacting.click(who, said["channel"], said["ts"], said["action_id"], value)

    async def submit(self, said: Json) -> Json:
        """Somebody sends a form."""
        return await interacting.submit(self._actor(said), said["view_id"], said.get("values") or {})

    async def close_view(self, said: Json) -> Json:
        """Somebody cancels a modal."""
        return await interacting.close_view(self._actor(said), said["view_id"])

    async def shortcut(self, said: Json) -> Json:
        """Somebody uses a shortcut."""
        where = said.get("channel", ""), said.get("ts", "")
        return await interacting.shortcut(self._actor(said), said["callback_id"], *where)

    async def home(self, said: Json) -> Json:
        """Somebody opens the app's Home tab."""
        return interacting.open_home(self._actor(said))

    async def messages(self, said: Json) -> Json:
        """Roots with their threads; with a user also what only that person sees."""
        workspace = self.service.workspace
        channel = workspace.channel(said["channel"])
        if channel is None:
            raise CannotError(f"There is no channel {said['channel']}.")
        reader = workspace.person(said["user"]) if said.get("user") else None
        readers = ("", reader.id) if reader else ("",)
        roots: list[Json] = []
        threads: dict[str, list[Json]] = {}
        for one in workspace.messages.get(channel.id, {}).values():
            if one.reader not in readers:
                continue
            shape = self._shape(one)
            if one.is_reply:
                threads.setdefault(one.thread_ts, []).append(shape)
            if not one.is_reply or one.subtype == "thread_broadcast":
                roots.append(shape)
        roots = [one | {"replies": threads.get(one["ts"], [])} for one in roots]
        return {"channel": shapes.channel(workspace, channel), "messages": roots}

    def _shape(self, one: Message) -> Json:
        workspace = self.service.workspace
        author = workspace.people.get(one.user)
        shape = shapes.message(workspace, one) | {"channel": one.channel, "pings": one.pings, "flags": one.flags}
        shape["user_name"] = author.name if author else one.username
        shape["is_ephemeral"] = bool(one.reader)
        return shape

    async def whispers(self, said: Json) -> Json:
        """What only that person was told, in all channels."""
        workspace, user = self.service.workspace, self._actor(said).person.id
        seen = [one for there in workspace.messages.values() for one in there.values() if one.reader == user]
        return {"messages": [self._shape(one) for one in sorted(seen, key=lambda one: one.ts)]}

    async def views(self, said: Json) -> Json:
        """What the person has before their eyes: the topmost modal, and the Home tab."""
        workspace = self.service.workspace
        user = self._actor(said).person.id
        modal, home = workspace.modal(user), workspace.home(user)
        return {
            "modal": None if modal is None else shapes.view(workspace, modal) | {"errors": modal.errors},
            "home": None if home is None else shapes.view(workspace, home),
        }

    async def state(self, said: Json) -> Json:
        """Who and what there is. With a user only the channels that person sees."""
        workspace, app = self.service.workspace, self.service.manifest
        reader = self._actor(said).person if said.get("user") else None
        seen = [
            one for one in workspace.channels.values()
            if not one.im_with and (reader is None or reader.id in one.members or _is_open_to(reader, one))
        ]  # fmt: skip
        return {
            "team": {"id": workspace.team, "name": workspace.team_name, "domain": workspace.team_domain},
            "bot": {"id": workspace.bot, "user_id": workspace.bot_user, "app_id": workspace.app, "name": "conntrack"},
            "people": [
                {"id": one.id, "name": one.name, "real_name": one.real_name, "kind": one.kind, "title": one.title}
                for one in workspace.people.values()
            ],
            "groups": [shapes.group(workspace, one) for one in workspace.groups.values()],
            "channels": [
                shapes.channel(workspace, one)
                | {"members": one.members, "user_is_member": reader is None or reader.id in one.members}
                for one in seen
            ],
            "commands": [dataclasses.asdict(one) for one in app.commands],
            "shortcuts": [dataclasses.asdict(one) for one in app.shortcuts],
            "sockets": len(self.service.sockets.open),
        }  # fmt: skip

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Every change as it comes, as server-sent events. Without a user's name everybody's."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        changes: asyncio.Queue[Json] = asyncio.Queue()
        stop = self.service.workspace.listen(changes.put_nowait)
        try:
            await response.write(b": listening\n\n")
            while True:
                with contextlib.suppress(TimeoutError):
                    change = await asyncio.wait_for(changes.get(), STREAM_PULSE_SECONDS)
                    await response.write(f"data: {json.dumps(change)}\n\n".encode())
                    continue
                await response.write(b": still here\n\n")
        except ConnectionError:
            return response
        finally:
            stop()

    async def calls(self, said: Json) -> Json:
        """Every call and every envelope that is new, or of which more is known, since ``after``."""
        after = int(said.get("after") or 0)
        newer = [one for one in self.service.journal.entries if one["changed"] > after]
        return {
            "calls": [one for one in newer if one["kind"] == "call"],
            "envelopes": [one for one in newer if one["kind"] == "envelope"],
            "last": max((one["changed"] for one in newer), default=after),
        }


POSTS = (
    "command", "say", "click", "submit", "close_view", "shortcut", "home", "fault", "sockets", "duplicate",
    "request_url", "time", "rates", "ack_seconds", "deliver", "alert", "group", "invite", "remove",
)  # fmt: skip
GETS = ("messages", "whispers", "views", "state", "calls")


def routes(controls: Controls) -> list[web.RouteDef]:
    """All of them."""
    posts = [web.post(f"/_ctl/{name}", _route(getattr(controls, name))) for name in POSTS]
    gets = [web.get(f"/_ctl/{name}", _route(getattr(controls, name))) for name in GETS]
    return [*posts, *gets, web.get("/_ctl/stream", controls.stream)]


def _is_open_to(reader: Person, channel: Channel) -> bool:
    """Members see every public channel; guests and strangers only those they are in."""
    return reader.kind == "member" and not channel.is_private


def _route(control: Control) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            said: Any = dict(request.query) if request.method == "GET" else json.loads(await request.text() or "{}")
            return web.json_response({"ok": True, **await control(said)})
        except CannotError as error:
            return _refused(str(error))
        except KeyError as error:
            return _refused(f"{error} is missing.")
        except (TypeError, ValueError) as error:
            return _refused(f"This is not the JSON that the control takes: {error}")

    return answer


def _refused(why: str) -> web.Response:
    return web.json_response({"ok": False, "error": why}, status=400)
