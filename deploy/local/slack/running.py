"""A local Slack in a thread of its own, for tests and the demo, and what can be done with it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.local.slack import seed
from deploy.local.slack.control import Controls
from deploy.local.slack.manifest import Manifest
from deploy.local.slack.server import application
from deploy.local.slack.service import Service
from deploy.local.slack.state import Json

PING_SECONDS = 0.5  # a client that closes waits for its next byte: pings let it end soon


class LocalSlack:
    """What tests hold: a running Slack, its people, and everything that can be seen or broken."""

    bot_token = seed.BOT_TOKEN
    app_token = seed.APP_TOKEN
    signing_secret = seed.SIGNING_SECRET

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self._loop = loop
        self._controls = Controls(service)

    @property
    def url(self) -> str:
        """Where the page is."""
        return self.service.url

    @property
    def api_url(self) -> str:
        """What a client's base_url must be."""
        return f"{self.service.url}/api/"

    def ask(self, work: Coroutine[Any, Any, Json]) -> Json:
        """Have something done in Slack's own thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def control(self, name: str, **said: Any) -> Json:
        """One of the controls, as under /_ctl/."""
        return self.ask(getattr(self._controls, name)(said))

    def as_(self, user: str) -> Somebody:
        """Act as one of the people."""
        return Somebody(self, user)

    def messages(self, channel: str, user: str = "") -> list[Json]:
        """Roots with their threads under ``replies``; with a user also what only that person sees."""
        return list(self.control("messages", channel=channel, user=user)["messages"])

    def calls(self, method: str | None = None) -> list[Json]:
        """The Web API calls, oldest first."""
        return [one for one in self.control("calls")["calls"] if method in (None, one["method"])]

    def deliveries(self) -> list[Json]:
        """What the app was sent, with what became of it."""
        return list(self.control("calls")["envelopes"])

    def whispers(self, user: str) -> list[Json]:
        """What only that person was told, in all channels, oldest first."""
        return list(self.control("whispers", user=user)["messages"])

    def home(self, user: str) -> Json | None:
        """The Home tab as that person has it."""
        view: Json | None = self.control("views", user=user)["home"]
        return view

    def modal(self, user: str) -> Json | None:
        """The modal that person has before their eyes."""
        view: Json | None = self.control("views", user=user)["modal"]
        return view

    def fail(self, method: str, *, times: int = 1, **how: Any) -> None:
        """Let the next calls fail: ``error``, ``status`` (0 hangs up), ``retry_after``, ``is_after`` (see Fault)."""
        self.control("fault", method=method, times=times, **how)

    def slow(self, method: str, seconds: float, times: int = 1) -> None:
        """Let the next calls take their time."""
        self.control("fault", method=method, seconds=seconds, times=times)

    def sockets(self, how: str) -> int:
        """Break all sockets: rst, close, half_open, refresh, warning, link_disabled. Returns how many."""
        return int(self.control("sockets", how=how)["sockets"])

    def duplicate_next_event(self) -> None:
        """Deliver the next event twice."""
        self.control("duplicate")

    def pass_time(self, seconds: float) -> None:
        """Put Slack's clock ahead."""
        self.control("time", seconds=seconds)

    def alert(self, node: str) -> str:
        """Post what Alertmanager would; returns its ts."""
        return str(self.control("alert", node=node)["ts"])

    def use_request_url(self, url: str) -> None:
        """HTTP mode from now on: deliver signed requests to the URL."""
        self.control("request_url", url=url)

    def wait_for(self, predicate: Callable[[], Any], seconds: float = 5.0) -> Any:
        """Until ``predicate`` returns something true, which is returned."""
        until = time.monotonic() + seconds
        while True:
            found = predicate()
            if found:
                return found
            if time.monotonic() > until:
                raise AssertionError(f"did not come true within {seconds} s: {predicate}")
            time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Somebody:
    """One of the people, at their keyboard."""

    slack: LocalSlack
    user: str

    def command(self, line: str, channel: str = "incidents") -> Json:
        """Use a slash command, as in "/conntrack node-7"."""
        name, _, text = line.partition(" ")
        return self.slack.control("command", user=self.user, channel=channel, command=name, text=text)

    def say(self, text: str, channel: str = "incidents", thread: str = "") -> str:
        """Post a message; returns its ts."""
        said = self.slack.control("say", user=self.user, channel=channel, text=text, thread_ts=thread)
        return str(said["ts"])

    def mention(self, text: str, channel: str = "incidents", thread: str = "") -> str:
        """Post a message that begins with the app's name."""
        return self.say(f"@conntrack {text}", channel, thread)

    def click(self, ts: str, action_id: str, value: Any = None, channel: str = "incidents") -> Json:
        """Press something in a message."""
        return self.slack.control("click", user=self.user, channel=channel, ts=ts, action_id=action_id, value=value)

    def click_in_view(self, view_id: str, action_id: str, value: Any = None) -> Json:
        """Press something in a modal or on the Home tab."""
        return self.slack.control("click", user=self.user, view_id=view_id, action_id=action_id, value=value)

    def submit(self, view_id: str, values: Json | None = None) -> Json:
        """Send a form; the values by block_id or action_id."""
        return self.slack.control("submit", user=self.user, view_id=view_id, values=values)

    def close_view(self, view_id: str) -> Json:
        """Cancel a modal."""
        return self.slack.control("close_view", user=self.user, view_id=view_id)

    def shortcut(self, callback_id: str, ts: str = "", channel: str = "incidents") -> Json:
        """Use an entry of a message's menu."""
        return self.slack.control("shortcut", user=self.user, callback_id=callback_id, channel=channel, ts=ts)

    def open_home(self) -> None:
        """Look at the app's Home tab."""
        self.slack.control("home", user=self.user)


@contextlib.contextmanager
def running(
    port: int = 0, *, app: Manifest | None = None, journal: Path | None = None, limits_rates: bool = True
) -> Iterator[LocalSlack]:
    """A Slack on this machine's loopback, for as long as the block lasts. Port 0: any free one."""
    service = Service(app, journal=journal, limits_rates=limits_rates)
    loop = asyncio.new_event_loop()
    service.sockets.ping_seconds = PING_SECONDS
    thread = threading.Thread(target=loop.run_forever, name="local-slack", daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(serve(service, port), loop).result(timeout=30)
    try:
        yield LocalSlack(service, loop)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


async def serve(service: Service, port: int, host: str = "127.0.0.1") -> web.AppRunner:
    """Begin to listen. Whoever calls cleans the runner up."""
    runner = web.AppRunner(application(service), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    address = runner.addresses[0]
    service.url = service.workspace.url = f"http://{address[0]}:{address[1]}"
    return runner
