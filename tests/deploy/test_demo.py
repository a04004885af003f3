from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local import child, demo
from deploy.local.kubernetes import FLEET, LocalKubernetes
from deploy.local.kubernetes import running as kubernetes

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(120)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def started(folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The demo as `make demo` starts it; its temporary files in a folder of the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()


def told(process: subprocess.Popen[str]) -> str:
    """What the demo says until it says how it is stopped."""
    assert process.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, f"the demo ended: {process.stderr and process.stderr.read()}"
        said += line
    return said


def asked(port: int, path: str, **body: Any) -> Any:
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ctl/{path}", data, timeout=10) as said:
        return json.load(said)


def bots_of(demo_process: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{demo_process.pid}/task/{demo_process.pid}/children").read_text()
    return [int(one) for one in children.split()]


def is_alive(process_id: int) -> bool:
    return Path(f"/proc/{process_id}").exists()


def card(port: int, node: str) -> str:
    """What the channel says about a node."""
    found = [one for one in asked(port, "messages?channel=incidents")["messages"] if node in one.get("text", "")]
    return str(found[-1]["text"]) if found else ""


def wait_for(is_so: Any, seconds: float) -> float:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def somebodys() -> Iterator[LocalKubernetes]:
    """A cluster that is not the demo's, with a node of its own."""
    with kubernetes({"node-77": "healthy"}) as cluster:
        yield cluster


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_demo_answers_touches_nobodys_cluster_and_leaves_nothing_behind(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, somebodys: LocalKubernetes, how: signal.Signals
) -> None:
    port = free_port()
    ambient = str(somebodys.kubeconfig(tmp_path_factory.mktemp("ambient")))
    with started(tmp_path, DEMO_PORT=str(port), KUBECONFIG=ambient, CONNTRACK_BOT_SLACK__BOT_TOKEN="xoxb-real") as it:
        said = told(it)
        assert f"http://127.0.0.1:{port}/" in said
        assert "/conntrack node-7" in said
        if how == signal.SIGTERM:
            asked(port, "command", user="alice", channel="incidents", command="/conntrack", text="node-7")
            wait_for(lambda: "dropping new connections" in card(port, "node-7"), 45)
            assert "shop/checkout-" in card(port, "node-7")
        (bot,) = bots_of(it)
        it.send_signal(how)
        assert it.wait(60) == 0
    assert not is_alive(bot)
    assert list(tmp_path.iterdir()) == []
    assert somebodys.state.requests == []


@pytest.mark.slow
def test_the_cluster_that_is_named_for_the_demo_is_looked_at(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    with kubernetes({"node-77": "healthy"}) as cluster:
        named = cluster.kubeconfig(tmp_path_factory.mktemp("named"))
        with started(tmp_path, DEMO_PORT=str(port), DEMO_KUBECONFIG=str(named)) as it:
            assert str(named) in told(it)
            asked(port, "command", user="alice", channel="incidents", command="/conntrack", text="node-77")
            wait_for(lambda: "table is fine" in card(port, "node-77"), 45)
            it.terminate()
            assert it.wait(60) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_bot_that_dies_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    with started(tmp_path, DEMO_PORT=str(free_port())) as it:
        told(it)
        (bot,) = bots_of(it)
        os.kill(bot, signal.SIGKILL)
        assert it.wait(60) == demo.FAILED
        assert it.stderr is not None
        assert "The bot has ended by itself. Its last words:" in it.stderr.read()
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with started(tmp_path, DEMO_PORT=str(port)) as it:
            assert it.wait(60) == demo.FAILED
            assert it.stderr is not None
            assert it.stderr.read() == (
                f"Port {port} of this machine is in use: does another demo run? "
                f"Choose one: DEMO_PORT={port + 1} make demo\n"
            )


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"DEMO_PORT": "http"}, "DEMO_PORT is 'http'"),
        ({"DEMO_PORT": "70000"}, "a number from 1 to 65535"),
        ({"DEMO_KUBECONFIG": "/nowhere/at/all"}, "which is no file. Leave it out for made-up nodes"),
    ],
    ids=["no number", "no port", "no kubeconfig"],
)
def test_a_wrong_environment_is_said(environment: dict[str, str], says: str) -> None:
    with pytest.raises(demo.DemoError, match=says):
        demo.wanted(environment)


def test_the_ambient_cluster_is_no_part_of_what_is_wanted(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.touch()
    assert demo.wanted({"KUBECONFIG": str(real)}) == demo.Wanted()
    assert demo.wanted({"DEMO_KUBECONFIG": str(real), "DEMO_PORT": "4141"}) == demo.Wanted(4141, real)


def test_a_kubeconfig_without_a_context_is_said(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("clusters: []")
    with pytest.raises(demo.DemoError, match="no kubeconfig with a current context"):
        demo._context(file)


@pytest.mark.parametrize(
    "name", ["KUBECONFIG", "CONNTRACK_BOT_SLACK__API_URL", "CONNTRACK_BOT_STORE__URL", "SLACK_BOT_TOKEN"]
)
def test_what_leads_to_something_real_does_not_reach_the_bot(name: str) -> None:
    assert child.environment({name: "real", "HOME": "/home/alice"}).keys() & {name, "HOME"} == {"HOME"}


def test_loopback_is_reached_past_a_proxy() -> None:
    around = child.environment({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "internal"})
    assert around["NO_PROXY"] == around["no_proxy"] == "internal,127.0.0.1,localhost"


def test_what_the_terminal_names_is_there() -> None:
    assert set(demo.NODES) <= set(FLEET)
    assert set(FLEET) == {f"node-{number}" for number in range(1, 10)}
    assert (FLEET["node-7"], FLEET["node-8"]) == ("exhausted-by-short-connections", "healthy")
