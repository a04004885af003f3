from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from bot import cli
from diagnostics import recording
from diagnostics.model import Way
from tests.diagnostics.test_snapshot import LOOK, WATCH

ROOT = Path(__file__).parents[3]


def run(*args: str, program: str = "conntrack-bot", **environment: str) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.argv[0] = {program!r}; from bot.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", start, *args],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("recorded")
    recording.write(folder, node="node-8", cluster="lab", way=Way("pod", (), 1.0), reports=(LOOK, WATCH))
    return str(folder)


def test_a_recording_is_explained(recorded: str) -> None:
    done = run("diagnose", recorded)
    assert done.returncode == 0
    assert "node-8" in done.stdout.splitlines()[0]
    assert "\x1b" not in done.stdout + done.stderr
    assert "Looked into a recording." in done.stdout


def test_json_is_one_object_on_standard_output_and_progress_is_elsewhere(recorded: str) -> None:
    done = run("diagnose", recorded, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["schema"] == "conntrack-diagnosis/1"
    assert "replay" in done.stderr


def test_the_kubectl_plugin_takes_the_target_alone(recorded: str) -> None:
    done = run(recorded, "--json", program="/usr/local/bin/kubectl-conntrack")
    assert done.returncode == 0
    assert json.loads(done.stdout)["node"] == "node-8"


def test_the_plugins_help_speaks_of_kubectl() -> None:
    done = run("--help", program="kubectl-conntrack")
    assert done.stdout.startswith("Usage: kubectl conntrack [OPTIONS]")
    assert "NODE, CLUSTER/NODE" in done.stdout


def test_an_ascii_locale_gets_an_answer_and_no_traceback(recorded: str) -> None:
    done = run("diagnose", recorded, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "status", "says"),
    [
        pytest.param((), 2, "Usage: conntrack-bot", id="nothing asked"),
        pytest.param(("diagnose", "node-7", "--via", "pigeon"), 2, "pigeon", id="an unknown way"),
        pytest.param(("diagnose", "node-7", "--timeout", "1"), 2, "timeout", id="a timeout too short"),
        pytest.param(("diagnose", "lab/node-7"), 2, "I don't know a cluster `lab`", id="an unknown cluster"),
        pytest.param(("diagnose", "node-7", "--kubeconfig", "/none"), 2, "/none", id="no kubeconfig"),
        pytest.param(("diagnose", "node-7", "--config", "/none.yaml"), 2, "/none.yaml cannot be read", id="no file"),
        pytest.param(("diagnose", "/none"), 1, "/none holds no recording", id="no recording"),
        pytest.param(("diagnose", "ssh://127.0.0.1:1"), 1, "known_hosts", id="a host that nobody vouches for"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_status(args: tuple[str, ...], status: int, says: str) -> None:
    done = run(*args)
    assert (done.returncode, says in done.stdout + done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "" or args == ()


def test_debug_shows_where_it_went_wrong() -> None:
    assert "Traceback" in run("diagnose", "/none", "--debug").stderr


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == cli.VERSION
    assert run("--version").stdout == f"conntrack-bot {cli.VERSION}\n"


def test_help_imports_nothing_heavy() -> None:
    """Start time: what an answer needs is imported when there is something to answer."""
    start = "import sys, bot.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", start], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & {"kubernetes", "paramiko", "pydantic", "rich", "yaml", "urllib3"} == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_takes_away_what_was_started(tmp_path: Path, number: signal.Signals) -> None:
    """The look is a transport that leaves something behind unless its generator is closed."""
    left = tmp_path / "left"
    program = f"""
import pathlib, time
from diagnostics.diagnose import Plan
from diagnostics.transport import Order
from bot import cli
from bot.cli import diagnose
left = pathlib.Path({str(left)!r})

class Pod:
    rung = "pod"

    def look(self, order, tell):
        left.touch()
        try:
            while True:
                tell("")
                time.sleep(0.05)
        finally:
            left.unlink()
        yield {{}}

diagnose._planned = lambda *_: Plan("n", "n", "", (Pod(),), Order())
cli._bot()(["diagnose", "n"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        end = time.monotonic() + 20
        while not left.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert left.exists()
        running.send_signal(number)
        output, errors = running.communicate(timeout=20)
    assert (running.returncode, output, left.exists()) == (130, "", False)
    assert errors.strip() == "Interrupted. What was started for the look has been taken away."
