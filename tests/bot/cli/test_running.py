from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot import cli
from bot.cli import running


def run(*args: str) -> Result:
    return CliRunner().invoke(cli._bot(), args, prog_name="conntrack-bot")


def test_without_the_source_tree_the_demo_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHECKOUT", tmp_path)
    done = run("demo")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "run `make demo` there" in done.stderr


def test_the_demo_becomes_the_local_slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become: list[list[str]] = []
    (tmp_path / "deploy" / "local").mkdir(parents=True)
    (tmp_path / "deploy" / "local" / "__main__.py").touch()
    monkeypatch.setattr(running, "CHECKOUT", tmp_path)
    monkeypatch.setattr(os, "execv", lambda _program, arguments: become.append(arguments[1:]))
    monkeypatch.chdir(tmp_path)
    assert run("demo", "--port", "4041").exit_code == 0
    assert become == [["-m", "deploy.local", "--port", "4041"]]


def test_serving_with_a_mistake_in_the_configuration_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("slack:\n  chanels: []\n")
    done = run("serve", "--config", str(tmp_path / "config.yaml"))
    assert done.exit_code == 2
    assert "did you mean `channels`?" in done.stderr
