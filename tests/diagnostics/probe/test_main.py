"""Claims about the program as it is run on a node: one answer, in time, whatever happens."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diagnostics.probe import envelope
from diagnostics.probe.__main__ import Stage

ROOT = Path(__file__).parents[3]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "diagnostics.probe", *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_look_answers_with_one_envelope_and_nothing_else() -> None:
    done = run("look", "--budget", "4096")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    report = envelope.unpack(done.stdout)
    assert report["stage"] == "look"
    assert report["node"]["kernel"]
    assert {"usage", "table", "counters"} <= set(report) | set(report.get("unknown", {}))


def test_an_answer_can_go_to_the_termination_log(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.write_text("x" * 5000)
    done = run("look", "--budget", "4096", "--output", str(log))
    assert (done.returncode, done.stdout) == (0, "")
    assert len(log.read_bytes()) <= 4096
    assert envelope.unpack(log.read_text())["stage"] == "look"


def test_a_deadline_ends_a_stage_with_what_was_read_by_then() -> None:
    began = time.monotonic()
    report = envelope.unpack(run("watch", "--seconds", "30", "--deadline", "1").stdout)
    assert time.monotonic() - began < 10
    assert report["partial"] is True
    assert "deadline" in report["unknown"]["stage"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_stage_with_what_was_read_by_then(number: signal.Signals) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "diagnostics.probe", "watch", "--seconds", "30"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(2)
    program.send_signal(number)
    told, _ = program.communicate(timeout=20)
    assert program.returncode == 0
    report = envelope.unpack(told)
    assert report["partial"] is True
    assert "signal" in report["unknown"]["stage"]


def test_a_second_signal_does_not_interrupt_the_telling() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "diagnostics.probe", "watch", "--seconds", "30"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(2)
    for _ in range(20):
        program.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    told, _ = program.communicate(timeout=20)
    assert (program.returncode, envelope.unpack(told)["partial"]) == (0, True)


def test_whatever_one_section_stumbles_over_costs_no_other() -> None:
    stage = Stage("look", 4096, "")
    stage.add("settings", lambda: dict[str, int]()["missing"])
    stage.add("usage", lambda: {"entries": 1, "limit": 2})
    told = envelope.unpack(stage.packed().decode())
    assert told["usage"] == {"entries": 1, "limit": 2}
    assert told["unknown"] == {"settings": "KeyError: 'missing'"}


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "a stage is wanted: deep, look, watch"),
        (["nowhere"], "a stage is wanted"),
        (["look", "exact"], "not an option: exact"),
        (["look", "--stage", "x"], "not an option: --stage"),
        (["look", "--sample"], "--sample wants a value"),
        (["look", "--sample", "many"], "many"),
        (["watch", "--connect", "10.0.0.1"], "HOST,PORT"),
        (["watch", "--connect", "a,99999"], "HOST,PORT"),
    ],
)
def test_what_it_does_not_understand_it_refuses(argv: list[str], says: str) -> None:
    done = run(*argv)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_it_runs_without_the_rest_of_the_project_and_without_site_packages(tmp_path: Path) -> None:
    probe = tmp_path / "diagnostics" / "probe"
    probe.mkdir(parents=True)
    (tmp_path / "diagnostics" / "__init__.py").write_text("")
    for source in (ROOT / "diagnostics" / "probe").glob("*.py"):
        (probe / source.name).write_bytes(source.read_bytes())
    ready = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    program = f"{ready}; from diagnostics.probe.__main__ import main; main(['look'])"
    argv = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert envelope.unpack(done.stdout)["stage"] == "look"
