"""A whole incident for tests: a local Slack, a cluster whose nodes were recorded, and the bot as a process of its own.

Nothing of the bot is replaced. The bot can be killed and started again over the same database.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.kubernetes.running import LocalKubernetes
from deploy.local.kubernetes.running import running as local_kubernetes
from deploy.local.slack.running import LocalSlack, Somebody
from deploy.local.slack.running import running as local_slack

CHECKOUT = Path(__file__).parents[2]
NODES = {"node-1": "healthy", "node-7": "exhausted-by-short-connections", "node-8": "healthy"}
CARD_SECONDS = 15.0
# What Slack may well answer to a bot that does everything right: it asks where it is no member, and too fast.
FORESEEN = ("ratelimited", "not_in_channel", "channel_not_found", "message_not_found", "invalid_auth")

Json = dict[str, Any]


@dataclass(kw_only=True)
class Chat:
    """A local Slack, and the bot's process: with whatever cluster its settings name."""

    slack: LocalSlack
    folder: Path
    settings: Json
    bots: list[Bot] = field(default_factory=list)

    @property
    def alice(self) -> Somebody:
        return self.slack.as_("alice")

    def start(self, *, is_awaited: bool = True, **environment: str) -> Bot:
        """A bot over the scene's database, which is connected when this returns, unless it is not awaited."""
        config = self.folder / "config.yaml"
        config.write_text(json.dumps(self.settings))  # YAML takes JSON
        bot = Bot(config, self.folder / f"bot-{len(self.bots)}.log", environment)
        self.bots.append(bot)
        if is_awaited:
            bot.wait_for_line("ready")
        return bot

    def roots(self, channel: str = "incidents") -> list[Json]:
        """What stands in the channel itself."""
        return self.slack.messages(channel)

    def replies(self, ts: str, says: str, channel: str = "incidents") -> list[Json]:
        """The messages below another that say this."""
        root = next((one for one in self.slack.messages(channel) if one["ts"] == ts), {})
        return [one for one in root.get("replies", ()) if says in read(one)]

    def whispered(self, user: str, says: str, seconds: float = CARD_SECONDS) -> Json:
        """What one person was told that says this, as soon as it is there."""
        found: Json = self.slack.wait_for(
            lambda: next((one for one in self.slack.whispers(user) if says in read(one)), None), seconds
        )
        return found

    def complaints(self) -> list[str]:
        """What Slack had to refuse that no test has broken, and whom the bot pinged: only who asked may be named."""
        refused = [
            f"{one['method']}: {one['error']} {one['response']}"
            for one in self.slack.calls()
            if one["error"] and not one["injected"] and one["error"] not in FORESEEN
        ]
        workspace = self.slack.service.workspace
        said = [one for there in workspace.messages.values() for one in there.values()]
        ours = [one for one in said if one.user == workspace.bot_user]
        pinged = [
            f"{ping} in {one.text}" for one in ours for ping in one.pings if ping.strip("<@>") not in workspace.people
        ]
        return refused + pinged

    def card(self, says: str, seconds: float = CARD_SECONDS, channel: str = "incidents") -> Json:
        """The first message that says this, as soon as there is one."""
        found: Json = self.slack.wait_for(
            lambda: next((one for one in self.slack.messages(channel) if says in read(one)), None), seconds
        )
        return found


@dataclass(kw_only=True)
class Scene(Chat):
    """All of it, with recorded nodes."""

    kubernetes: LocalKubernetes


class Bot:
    """``python -m bot serve`` as a process."""

    def __init__(self, config: Path, log: Path, environment: dict[str, str]) -> None:
        self.log = log
        argv = [sys.executable, "-m", "bot", "serve", "--config", str(config)]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("CONNTRACK_BOT_")}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                argv, cwd=CHECKOUT, stdout=out, stderr=out, env=clean | {"NO_PROXY": "*"} | environment
            )

    def lines(self) -> list[Json]:
        """What was logged; what is no JSON is under "text"."""
        return [_line(text) for text in self.log.read_text().splitlines()]

    def wait_for_line(self, event: str, seconds: float = 90.0) -> Json:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.lines():
                if line.get("event") == event:
                    return line
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"no {event!r} in:\n{self.log.read_text()}")

    def stop(self, seconds: float = 40.0) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Without a word of warning."""
        self.process.kill()
        self.process.wait(10)

    def resident_bytes(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/status").read_text().split("VmRSS:")[1].split()
        return int(fields[0]) * 1024


@contextlib.contextmanager
def scene(folder: Path, nodes: Mapping[str, str | None] = NODES, **serve: Any) -> Iterator[Scene]:
    """Slack and the cluster; the bot is started by the test, and ended here."""
    with local_slack() as slack, local_kubernetes(nodes) as cluster:
        told = settings(folder, slack, str(cluster.kubeconfig(folder)), serve)
        made = Scene(slack=slack, kubernetes=cluster, folder=folder, settings=told)
        with closing_bots(made):
            yield made


@contextlib.contextmanager
def closing_bots(made: Chat) -> Iterator[None]:
    """No bot outlives its test."""
    try:
        yield
    finally:
        for bot in made.bots:
            if bot.process.poll() is None:
                bot.kill()


def read(message: Json) -> str:
    """All that a person can read of a message."""
    return json.dumps([message.get("text"), message.get("blocks")], ensure_ascii=False)


def until(is_so: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait until something is so; what it was."""
    end = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.02)
    return found


def settings(folder: Path, slack: LocalSlack, kubeconfig: str, serve: Json) -> Json:
    """The bot's, for that Slack and that cluster; ``serve`` adds to its own part."""
    return {
        "clusters": {"prod": {"kubeconfig": kubeconfig}},
        "default_cluster": "prod",
        "look": {"watch_seconds": 0.5, "deadline_seconds": 5},
        "slack": {"bot_token": slack.bot_token, "app_token": slack.app_token, "api_url": slack.api_url},
        "store": {"url": f"sqlite:///{folder / 'bot.db'}"},
        "serve": {"lease_seconds": 2, "stop_seconds": 1, "bind": "127.0.0.1:0"} | serve,
    }


def _line(text: str) -> Json:
    try:
        line = json.loads(text)
    except ValueError:
        return {"text": text}
    return line if isinstance(line, dict) else {"text": text}
