"""This machine: the probe as a process, with a sentence where it cannot answer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from diagnostics.errors import LookError
from diagnostics.transport import Order
from diagnostics.transport.local import NOT_ROOT, LocalTransport

QUICK = Order(ping="127.0.0.1", sample_entries=20, watch_seconds=0.1, deadline_seconds=20)


def interpreter(folder: Path, script: str) -> str:
    """A stand-in for Python that runs a shell script instead."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def no_progress(says: str) -> None:
    """Nobody watches."""


def test_it_does_not_matter_where_the_person_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "diagnostics").mkdir()
    (tmp_path / "diagnostics" / "__init__.py").write_text("raise RuntimeError('a folder of the same name')")
    monkeypatch.chdir(tmp_path)
    assert [report["stage"] for report in LocalTransport().look(QUICK, no_progress)] == ["look", "watch"]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        pytest.param("echo oh no >&2; exit 3", r"no envelope .* exit status 3: oh no", id="a crash"),
        pytest.param("echo conntrack-bot1:99:00000000:abc", r"cut: 3 of 99 bytes", id="half an answer"),
        pytest.param("exec head -c 100000 /dev/urandom", r"no envelope", id="random bytes"),
    ],
)
def test_an_answer_that_is_none_is_told(tmp_path: Path, script: str, says: str) -> None:
    with pytest.raises(LookError, match=says):
        list(LocalTransport(python=interpreter(tmp_path, script)).look(QUICK, no_progress))


def test_silence_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diagnostics.transport.local.SECONDS_BEYOND_THE_DEADLINE", 0.1)
    silent = LocalTransport(python=interpreter(tmp_path, "exec sleep 30"))
    with pytest.raises(LookError, match="gave no answer within 0 s"):
        list(silent.look(Order(deadline_seconds=0.2), no_progress))


def test_a_later_stage_that_fails_costs_no_earlier_one(tmp_path: Path) -> None:
    script = f'case "$*" in *" look "*) exec {sys.executable} "$@";; esac; exit 1'
    reports = list(LocalTransport(python=interpreter(tmp_path, script)).look(QUICK, no_progress))
    assert reports[0]["stage"] == "look"
    assert reports[1]["stage"] == "watch"
    assert "exit status 1" in reports[1]["unknown"]["stage"]


def test_who_is_not_root_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    reports = list(LocalTransport().look(QUICK, told.append))
    assert [says for says in told if says] == [NOT_ROOT]
    assert reports[0]["unknown"]["transport"] == NOT_ROOT
