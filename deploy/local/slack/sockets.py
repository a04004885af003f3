"""Socket Mode: the app's WebSockets, as Slack's end of them behaves. Also how they break.

Up to ten sockets, each delivery goes to any one of them; Slack says hello, pings, and asks to reconnect now and then.
It must not know what is delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import socket
import struct
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from deploy.local.slack.delivery import Delivery, Envelope
from deploy.local.slack.state import Json, Workspace

SOCKETS_AT_MOST = 10
PING_SECONDS = 10.0
LEAVE_SECONDS = 10.0  # how long a socket lives on after it was asked to reconnect
BREAKS = ("rst", "close", "half_open", "refresh", "warning", "link_disabled")


@dataclass(slots=True)
class Socket:
    """One connection. ``is_half_open``: it takes bytes, and nothing comes back; Slack does not know that yet."""

    number: int
    response: web.WebSocketResponse
    request: web.Request
    is_half_open: bool = False
    is_leaving: bool = False


class Sockets:
    """All connections of the app. One of the two ways to deliver."""

    def __init__(self, workspace: Workspace, delivery: Delivery) -> None:
        self._workspace = workspace
        self._delivery = delivery
        self._tickets: set[str] = set()
        self._opened = 0
        self.open: list[Socket] = []
        self.ping_seconds = PING_SECONDS

    def ticket(self) -> str:
        """The right to open one socket."""
        ticket = secrets.token_urlsafe(12)
        self._tickets.add(ticket)
        return ticket

    async def send(self, envelope: Envelope) -> bool:
        """Put it on any one socket. What goes to a half-open one is lost without anybody noticing."""
        usable = [one for one in self.open if not one.is_leaving] or self.open
        if not usable:
            return False
        chosen = random.choice(usable)  # noqa: S311 - Slack picks any socket, which is no secret
        envelope.entry["socket"] = chosen.number
        if chosen.is_half_open:
            return True
        body: Json = {"envelope_id": envelope.id, "payload": envelope.payload, "type": envelope.kind}
        body["accepts_response_payload"] = envelope.kind != "events_api"
        if envelope.kind == "events_api":
            body |= {"retry_attempt": envelope.attempt, "retry_reason": envelope.reason}
        with contextlib.suppress(ConnectionError):  # it breaks under our hands: the acknowledgement never comes
            await chosen.response.send_str(json.dumps(body))
        return True

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One socket, from hello to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401, text="bad ticket: call apps.connections.open for each socket")
        self._tickets.discard(ticket)
        response = web.WebSocketResponse(autoping=False, autoclose=False, compress=False)
        await response.prepare(request)
        if len(self.open) >= SOCKETS_AT_MOST:
            await response.send_json(self._farewell("too_many_websockets"))
            await response.close()
            return response
        self._opened += 1
        one = Socket(self._opened, response, request)
        self.open.append(one)
        self._tell()
        pinging = asyncio.get_running_loop().create_task(self._ping(one))
        try:
            await response.send_json(self._hello())
            await self._listen(one)
            if not one.is_half_open:
                await response.close()
        finally:
            pinging.cancel()
            self.open.remove(one)
            self._tell()
        return response

    async def _listen(self, one: Socket) -> None:
        async for frame in one.response:
            if one.is_half_open:
                continue
            if frame.type is WSMsgType.PING:
                await one.response.pong(frame.data)
            elif frame.type is WSMsgType.TEXT:
                self._on_text(frame.data)

    def _on_text(self, text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            return
        if isinstance(said, dict) and "envelope_id" in said:
            self._delivery.acked(said["envelope_id"], said.get("payload") or {})

    async def _ping(self, one: Socket) -> None:
        while True:
            await asyncio.sleep(self.ping_seconds)
            if not one.is_half_open:
                with contextlib.suppress(ConnectionError):
                    await one.response.ping(b"Ping from the local Slack")

    def _hello(self) -> Json:
        host = {"host": "local", "build_number": 1, "approximate_connection_time": 18060}
        info = {"app_id": self._workspace.app}
        return {"type": "hello", "num_connections": len(self.open), "debug_info": host, "connection_info": info}

    def _farewell(self, reason: str) -> Json:
        return {"type": "disconnect", "reason": reason, "debug_info": {"host": "local"}}

    def _tell(self) -> None:
        self._workspace.tell({"kind": "sockets", "open": len(self.open)})

    # ---- how they break ----------------------------------------------------------------------------------------------

    async def end(self, how: str) -> int:
        """Do it to all that are open now; returns how many."""
        ending = tuple(self.open)
        for one in ending:
            if how == "rst":
                _reset(one)
            elif how == "half_open":
                one.is_half_open = True
            elif how == "close":
                await one.response.close()
            else:
                await self._ask_to_reconnect(one, "refresh_requested" if how == "refresh" else how)
        return len(ending)

    async def _ask_to_reconnect(self, one: Socket, reason: str) -> None:
        one.is_leaving = True
        await one.response.send_json(self._farewell(reason))
        self._delivery.spawn(self._close_later(one))

    async def _close_later(self, one: Socket) -> None:
        await asyncio.sleep(LEAVE_SECONDS)
        await one.response.close()


def _reset(one: Socket) -> None:
    """Closing a socket that does not linger sends RST instead of FIN: socket(7)."""
    transport = one.request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
