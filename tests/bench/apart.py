"""The local Slack and the local Kubernetes API as processes of their own: what is measured shares no interpreter.

They are the ones of the tests, asked through their HTTP interface. It must not know what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from deploy.local.kubernetes.running import running as local_kubernetes
from deploy.local.slack.running import LocalSlack
from deploy.local.slack.running import running as local_slack

Json = dict[str, Any]
APART = multiprocessing.get_context("spawn")
GETS = frozenset({"messages", "whispers", "views", "state", "calls"})
START_SECONDS, ASK_SECONDS = 60.0, 60.0


class RemoteSlack(LocalSlack):
    """A Slack in another process: the same controls, over HTTP."""

    def __init__(self, url: str) -> None:
        """Nothing of the parent's is here: only what it asks through ``control`` and ``url``."""
        self._url = url

    @property
    def url(self) -> str:
        """Where the page is."""
        return self._url

    @property
    def api_url(self) -> str:
        """What a client's base_url must be."""
        return f"{self._url}/api/"

    def control(self, name: str, **said: Any) -> Json:
        """One of the controls."""
        if name in GETS:
            request = urllib.request.Request(f"{self._url}/_ctl/{name}?{urlencode(said)}")  # noqa: S310 - our own process
        else:
            request = urllib.request.Request(f"{self._url}/_ctl/{name}", json.dumps(said).encode())  # noqa: S310 - our own process
        with urllib.request.urlopen(request, timeout=ASK_SECONDS) as answer:  # noqa: S310 - see above
            answered: Json = json.load(answer)
        return answered

    def command_all(self, asked: Sequence[tuple[str, str, str]], within_seconds: float = 0.0) -> None:
        """Person, channel and line of commands that are all sent at once, or evenly within so long."""
        asyncio.run(self._command_all(asked, within_seconds))

    async def _command_all(self, asked: Sequence[tuple[str, str, str]], within_seconds: float) -> None:
        timeout = aiohttp.ClientTimeout(ASK_SECONDS)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

            async def ask(number: int, user: str, channel: str, line: str) -> None:
                await asyncio.sleep(within_seconds * number / len(asked))
                command, _, text = line.partition(" ")
                said = {"user": user, "channel": channel, "command": command, "text": text}
                async with session.post(f"{self._url}/_ctl/command", json=said) as answer:
                    await answer.read()

            await asyncio.gather(*(ask(number, *one) for number, one in enumerate(asked)))


@contextlib.contextmanager
def slack(*, limits_rates: bool = True) -> Iterator[RemoteSlack]:
    """A Slack, for as long as the block lasts."""
    with _apart(_serve_slack, limits_rates) as url:
        yield RemoteSlack(url)


@contextlib.contextmanager
def kubernetes(nodes: Mapping[str, str | None], folder: Path) -> Iterator[str]:
    """A cluster of recorded nodes; the path of its kubeconfig."""
    with _apart(_serve_kubernetes, dict(nodes), folder) as kubeconfig:
        yield kubeconfig


@contextlib.contextmanager
def _apart(serve: Any, *args: Any) -> Iterator[str]:
    ours, theirs = APART.Pipe()
    is_over = APART.Event()
    process = APART.Process(target=serve, args=(theirs, is_over, *args), daemon=True)
    process.start()
    try:
        if not ours.poll(START_SECONDS):
            raise RuntimeError(f"{serve.__name__} did not start within {START_SECONDS:.0f} s")
        yield str(ours.recv())
    finally:
        is_over.set()
        process.join(10)
        process.kill()


def _serve_slack(pipe: Connection, is_over: Event, limits_rates: bool) -> None:
    with local_slack(limits_rates=limits_rates) as made:
        pipe.send(made.url)
        is_over.wait()


def _serve_kubernetes(pipe: Connection, is_over: Event, nodes: dict[str, str | None], folder: Path) -> None:
    with local_kubernetes(nodes) as made:
        pipe.send(str(made.kubeconfig(folder)))
        is_over.wait()
