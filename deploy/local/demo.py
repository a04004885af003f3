"""The demo: a local Slack, a small Kubernetes, and the bot between them, until somebody stops it.

Nothing real is touched unless DEMO_KUBECONFIG names a cluster: the ambient KUBECONFIG, tokens and settings of this
machine's user stay out. It joins the parts and knows none of them closely.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.local import child, kubernetes
from deploy.local.slack.running import LocalSlack
from deploy.local.slack.running import running as slack_running

USUAL_PORT = 4040
READY_SECONDS = 60.0  # a first start on a slow machine compiles everything once
GLANCE_SECONDS = 0.1
LOOPBACK = "127.0.0.1"
OK, FAILED = 0, 1

# What there is to see; a test keeps the names those of the demo's nodes.
NODES = {
    "node-7": "full: one pod fills its table, and new connections fail",
    "node-8": "healthy",
    "node-3": "full in another way: it evicts, and DNS suffers",
    "node-4": "looks like it, and is something else",
    "node-5": "not full yet, and when it will be",
    "node-9": "silent: what cannot be seen is said, not guessed (takes 20 s)",
}


class DemoError(Exception):
    """Why there is no demo: a sentence for whoever started it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the environment asks for."""

    port: int = USUAL_PORT
    kubeconfig: Path | None = None


def wanted(environment: Mapping[str, str]) -> Wanted:
    """DEMO_PORT and DEMO_KUBECONFIG. Raises DemoError."""
    port = environment.get("DEMO_PORT") or str(USUAL_PORT)
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise DemoError(f"DEMO_PORT is {port!r}, and must be a number from 1 to 65535.")
    named = environment.get("DEMO_KUBECONFIG")
    kubeconfig = Path(named).expanduser().resolve() if named else None
    if kubeconfig is not None and not kubeconfig.is_file():
        raise DemoError(f"DEMO_KUBECONFIG names {kubeconfig}, which is no file. Leave it out for made-up nodes.")
    return Wanted(int(port), kubeconfig)


def main() -> int:
    """Run the demo until SIGINT, SIGTERM or SIGHUP; the exit status."""
    stopped = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda _number, _frame: stopped.set())
    try:
        what = wanted(os.environ)
        with running(what, stopped) as (slack, bot):
            if not stopped.is_set():
                _tell(slack, what)
                _watch(bot, stopped)
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return OK


@contextmanager
def running(what: Wanted, stopped: threading.Event) -> Iterator[tuple[LocalSlack, child.Bot]]:
    """All parts, ready to be used unless it was stopped before. Raises DemoError."""
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="conntrack-bot-demo-")))
        slack = _slack(parts, what.port)
        config = folder / "config.yaml"
        config.write_text(json.dumps(_settings(parts, what, folder, slack), indent=2))  # JSON is YAML
        secrets = {"BOT_TOKEN": slack.bot_token, "APP_TOKEN": slack.app_token}
        named = {f"CONNTRACK_BOT_SLACK__{key}": value for key, value in secrets.items()}
        bot = parts.enter_context(child.started(config, folder / "bot.log", named))
        _await(slack, bot, stopped)
        yield slack, bot


def _slack(parts: ExitStack, port: int) -> LocalSlack:
    try:
        return parts.enter_context(slack_running(port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise DemoError(
            f"Port {port} of this machine is in use: does another demo run? Choose one: DEMO_PORT={port + 1} make demo"
        ) from error


def _await(slack: LocalSlack, bot: child.Bot, stopped: threading.Event) -> None:
    """Until the bot listens, or somebody stops the demo. Raises DemoError."""
    until = time.monotonic() + READY_SECONDS
    while not slack.service.sockets.open and not stopped.wait(GLANCE_SECONDS):
        if not bot.is_alive or time.monotonic() > until:
            raise DemoError(f"The bot did not start. Its last words:\n\n{bot.last_words()}")


def _watch(bot: child.Bot, stopped: threading.Event) -> None:
    while not stopped.wait(GLANCE_SECONDS):
        if not bot.is_alive:
            raise DemoError(f"The bot has ended by itself. Its last words:\n\n{bot.last_words()}")
    sys.stdout.write("\nStopping…\n")


# ---- the bot's configuration ----------------------------------------------------------------------------------------


def _settings(parts: ExitStack, what: Wanted, folder: Path, slack: LocalSlack) -> dict[str, Any]:
    """As a person would write it for this Slack and this cluster."""
    settings: dict[str, Any] = {
        "slack": {"api_url": slack.api_url},
        "store": {"url": f"sqlite:///{folder / 'bot.db'}"},
        "serve": {"bind": f"{LOOPBACK}:{_free_port(parts)}", "stop_seconds": 5},
    }
    if what.kubeconfig is not None:
        name = _context(what.kubeconfig)
        clusters = {name: {"kubeconfig": str(what.kubeconfig)}}
        return settings | {"clusters": clusters, "default_cluster": name}
    local = parts.enter_context(kubernetes.running())
    clusters = {kubernetes.CONTEXT: {"kubeconfig": str(local.kubeconfig(folder))}}
    return settings | {
        "clusters": clusters,
        "default_cluster": kubernetes.CONTEXT,
        "ssh": _nobody(parts, folder, list(kubernetes.FLEET)),
    }


def _nobody(parts: ExitStack, folder: Path, nodes: list[str]) -> dict[str, Any]:
    """SSH to any of the nodes ends at a port of this machine that refuses: their addresses are made up."""
    known_hosts = folder / "known_hosts"
    known_hosts.touch()
    refuses = f"{LOOPBACK}:{_free_port(parts)}"
    hosts = dict.fromkeys(nodes, refuses)
    return {"hosts": hosts, "known_hosts": [str(known_hosts)], "agent": False, "connect_seconds": 3}


def _free_port(parts: ExitStack) -> int:
    """A port that nobody listens on, kept from others for as long as the demo runs."""
    kept = parts.enter_context(socket.socket())
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind((LOOPBACK, 0))
    return int(kept.getsockname()[1])


def _context(kubeconfig: Path) -> str:
    """What a kubeconfig calls its cluster. Raises DemoError."""
    try:
        written = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        name = str(written["current-context"])
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise DemoError(
            f"DEMO_KUBECONFIG names {kubeconfig}, which is no kubeconfig with a current context."
        ) from error
    return name.replace("/", "-")  # CLUSTER/NODE is how a node is named


# ---- what to try ----------------------------------------------------------------------------------------------------


def _tell(slack: LocalSlack, what: Wanted) -> None:
    """Set the scene in the channel, and say in the terminal what to open."""
    if what.kubeconfig is None:
        slack.alert("node-7")
        slack.as_("alice").say("checkout times out at random, and every dashboard is green. Anyone?")
        tries = [f"/conntrack {node:<8} {says}" for node, says in NODES.items()]
        others: tuple[str, ...] = (_ALERT, *_ALWAYS)
        where = "A Slack and a Kubernetes that exist on this machine only, and the bot between them."
    else:
        tries, others = ["/conntrack NODE   a node of that cluster"], _ALWAYS
        where = f"A Slack that exists on this machine only, and the real cluster of {what.kubeconfig}."
    lines = [where, "", f"  Open  {slack.url}/", *_column("Type", tries), *_column("Or", others), ""]
    sys.stdout.write("\n".join([*lines, "Ctrl-C stops all of it.", ""]))
    sys.stdout.flush()


_ALERT = "the menu of the alert's message: Diagnose this alert"
_ALWAYS = ("@conntrack NODE in a thread", "/conntrack alone, for help and the incidents so far")


def _column(title: str, entries: list[str] | tuple[str, ...]) -> list[str]:
    return [f"  {title if at == 0 else '':<5} {entry}" for at, entry in enumerate(entries)]
