from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot import cli, terminal
from bot.model import Look, Place, State
from bot.store import Store, pack, usual_address
from diagnostics import recording
from diagnostics.model import VerdictKind, Way
from tests.bot.store.words import FORGET_SECONDS, HOSTILE, admitted, asks, claimed, diagnosed, report, unseen
from tests.diagnostics.test_snapshot import LOOK, WATCH

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The user's own database, where no configuration names another."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "UTC")
    opened = Store.open(usual_address())
    yield opened
    opened.close()


def run(*args: str) -> Result:
    return CliRunner().invoke(cli._bot(), args, prog_name="conntrack-bot")


def one_line(text: str) -> str:
    return " ".join(text.split())


def look_at(store: Store, key: str, look: Look | None = None, at: float = 5.0, *, is_open: bool = True) -> Look:
    """Ask, and have the answer."""
    admitted(store, key, now=at - 2)
    incident = claimed(store, now=at - 2)
    look = replace(look or diagnosed(incident, at=at), incident=incident.id, number=incident.looks)
    assert store.finish(look, "w1", is_open=is_open)
    store.told(look.incident, look.number)
    return look


# ---- incidents ------------------------------------------------------------------------------------------------------


def test_incidents_are_listed_the_newest_first(store: Store) -> None:
    look_at(store, "r1", is_open=False)
    admitted(store, "r2", "node-8", now=6.0)
    assert run("incidents").stdout.splitlines() == [
        "INC-2  open    1970-01-01 00:00:06 UTC  lab/node-8  waits to be looked at",
        "INC-1  closed  1970-01-01 00:00:03 UTC  lab/node-7  exhausted: said",
    ]
    assert [line[:5] for line in run("incidents", "--open").stdout.splitlines()] == ["INC-2"]
    assert [line[:5] for line in run("incidents", "--limit", "1").stdout.splitlines()] == ["INC-2"]


def test_where_there_is_none_that_is_said(store: Store) -> None:
    assert run("incidents").stdout == "There are no incidents yet.\n"
    look_at(store, "r1", is_open=False)
    assert run("incidents", "--open").stdout == "No incident is open.\n"


def test_incidents_for_scripts_are_one_object(store: Store) -> None:
    look_at(store, "r1")
    document = json.loads(run("incidents", "--json").stdout)
    assert document["schema"] == "conntrack-incidents/1"
    (one,) = document["incidents"]
    assert (one["name"], one["node"], one["verdict"], one["is_open"]) == ("INC-1", "node-7", "exhausted", True)


# ---- show -----------------------------------------------------------------------------------------------------------


def test_show_says_what_the_terminal_said_when_it_was_found(store: Store) -> None:
    look = look_at(store, "r1", diagnosed(admitted(store, "r0"), text="node-7 drops new connections"))
    said = io.StringIO()
    assert look.report is not None
    terminal.show(look.report, said)
    shown = run("show", "INC-1").stdout
    assert shown.endswith(f"\n\n{said.getvalue()}")
    assert shown.splitlines()[:3] == [
        "INC-1  lab/node-7  open",
        "  Opened 1970-01-01 00:00:00 UTC. Last asked by UALICE in C1, 1970-01-01 00:00:00 UTC.",
        "  Look 1 of 1: 1970-01-01 00:00:04 UTC, took 1.0 s.",
    ]


@pytest.mark.parametrize("name", ["INC-1", "inc-1", "1"])
def test_an_incident_is_known_by_its_name_and_number(store: Store, name: str) -> None:
    look_at(store, "r1")
    assert run("show", name).stdout.startswith("INC-1  ")


@pytest.mark.parametrize(
    ("state", "says"),
    [
        pytest.param(State.NOT_SEEN, "? I could not look, so I do not know: no answer", id="not seen"),
        pytest.param(State.INTERRUPTED, "? The look was interrupted, so I do not know: no answer", id="interrupted"),
    ],
)
def test_what_was_not_seen_is_said_plainly(store: Store, state: State, says: str) -> None:
    look_at(store, "r1", replace(unseen(admitted(store, "r1"), why="no answer\nSSH: none either"), state=state))
    assert run("show", "INC-1").stdout.splitlines()[-2:] == [says, "  SSH: none either"]


def test_while_the_node_is_looked_at_again_the_last_look_is_shown_as_such(store: Store) -> None:
    look_at(store, "r1")
    store.admit(asks("r2", at=10.0), Place("lab", "node-7"), 10.0, FORGET_SECONDS)
    assert "The node waits to be looked at now. What follows is from look 1." in run("show", "1").stdout
    claimed(store, now=11.0)
    assert "The node is being looked at now." in run("show", "1").stdout
    assert "Look 1 of 2" in run("show", "1").stdout


def test_before_the_first_look_has_ended_there_is_a_header_only(store: Store) -> None:
    admitted(store, "r1")
    done = run("show", "INC-1")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "  The node waits to be looked at now.")


def test_an_earlier_look_can_be_shown(store: Store) -> None:
    look_at(store, "r1", at=5.0)
    later = look_at(store, "r2", at=10.0)
    assert later.number == 2
    assert "Look 2 of 2" in run("show", "1").stdout
    assert "Look 1 of 2" in run("show", "1", "--look", "1").stdout
    assert "has no look 3" in run("show", "1", "--look", "3").stderr


def test_show_for_scripts_has_every_look_with_its_document(store: Store) -> None:
    look_at(store, "r1", at=5.0)
    look_at(store, "r2", unseen(admitted(store, "r2", now=8.0), at=10.0), at=10.0)
    document = json.loads(run("show", "INC-1", "--json").stdout)
    assert document["schema"] == "conntrack-incident/1"
    assert [(one["number"], one["state"], one["diagnosis"]) for one in document["looks"]] == [
        (1, "diagnosed", {"node": "said"}),
        (2, "not_seen", None),
    ]


def test_foreign_text_does_nothing_to_the_terminal(store: Store) -> None:
    request = replace(asks("r1", channel=HOSTILE), person=replace(asks("r1").person, id=HOSTILE))
    incident = store.admit(request, Place(HOSTILE, HOSTILE, HOSTILE), 0.0, FORGET_SECONDS).incident
    look = replace(diagnosed(claimed(store)), report=report(VerdictKind.EXHAUSTED, "plain"))
    store.finish(look, "w1", is_open=True)
    for command in (("incidents",), ("show", incident.name), ("audit", "show")):
        done = run(*command)
        assert done.exit_code == 0, done.output
        assert "\x1b" not in done.output
        assert "\u202e" not in done.output


# ---- export ---------------------------------------------------------------------------------------------------------


def test_an_exported_incident_is_a_recording_that_diagnose_reads(store: Store, tmp_path: Path) -> None:
    made = tmp_path / "made"
    recording.write(made, node="node-7", cluster="lab", way=Way("pod", (), 1.0), reports=(LOOK, WATCH))
    look_at(store, "r1", replace(diagnosed(admitted(store, "r1")), recording=pack(made)))
    look_at(store, "r2", unseen(admitted(store, "r2", now=8.0), at=10.0), at=10.0)
    done = run("export", "INC-1", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert f"Look 1 of INC-1 is in {tmp_path}/out. Read it: conntrack-bot diagnose {tmp_path}/out" in done.stdout
    explained = run("diagnose", str(tmp_path / "out"), "--json")
    assert json.loads(explained.stdout)["node"] == "node-7"


def test_an_export_overwrites_nothing(store: Store, tmp_path: Path) -> None:
    look_at(store, "r1")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    done = run("export", "1", str(tmp_path / "mine"))
    assert (done.exit_code, "is not an empty folder" in done.stderr) == (2, True)


def test_where_nothing_was_heard_there_is_nothing_to_export(store: Store, tmp_path: Path) -> None:
    look_at(store, "r1", unseen(admitted(store, "r1")))
    done = run("export", "1", str(tmp_path / "out"))
    assert (done.exit_code, "There is no recording of INC-1" in done.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


# ---- the audit ------------------------------------------------------------------------------------------------------


def test_a_whole_audit_is_said_to_be_whole_with_its_digest(store: Store) -> None:
    look_at(store, "r1")
    done = run("audit", "verify")
    head = store.audit_head()
    assert done.exit_code == 0
    assert done.stdout == f"The audit is whole: 3 entries. Digest of the last one: {head.digest}\n"


def test_a_broken_audit_is_said_to_be_broken_and_where(store: Store) -> None:
    look_at(store, "r1")
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'UEVE' WHERE number = 2")
    done = run("audit", "verify")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Entry 2 was changed: its digest does not fit what it says.\n"


def test_the_audits_newest_lines_are_shown_in_order(store: Store) -> None:
    assert run("audit", "show").stdout == "The audit is empty: nothing was asked yet.\n"
    look_at(store, "r1")
    lines = run("audit", "show", "--limit", "2").stdout.splitlines()
    assert [line.split("  ")[:5] for line in lines] == [
        ["2", "1970-01-01 00:00:03 UTC", "bot", "look begun", "INC-1"],
        ["3", "1970-01-01 00:00:05 UTC", "bot", "look ended: diagnosed", "INC-1"],
    ]


# ---- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(("show", "INC-9"), "There is no incident INC-9: `conntrack-bot incidents` lists", id="not there"),
        pytest.param(("show", "node-7"), "`node-7` is no incident's name", id="no incident's name"),
        pytest.param(("show", "INC-0"), "`INC-0` is no incident's name", id="zero"),
        pytest.param(("show", "1" * 30), "is no incident's name", id="a number that no database holds"),
        pytest.param(("export", "INC-9", "out"), "There is no incident INC-9", id="nothing to export"),
        pytest.param(("incidents", "--config", "/none.yaml"), "/none.yaml cannot be read", id="no configuration"),
    ],
)
def test_a_mistake_is_a_sentence_and_status_two(store: Store, args: tuple[str, ...], says: str) -> None:
    done = run(*args)
    assert (done.exit_code, done.stdout, says in done.stderr) == (2, "", True), done.output


COMMANDS = (("incidents",), ("show", "1"), ("export", "1", "out"), ("audit", "verify"), ("audit", "show"))


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_reading_where_nothing_was_written_says_so_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    done = run(*args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "There is no database at" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_configuration_names_the_database(store: Store, tmp_path: Path) -> None:
    elsewhere = Store.open(f"sqlite:///{tmp_path}/other.db")
    admitted(elsewhere, "r1", "node-3")
    elsewhere.close()
    (tmp_path / "config.yaml").write_text(f"store:\n  url: sqlite:///{tmp_path}/other.db\n")
    assert "lab/node-3" in run("incidents", "--config", str(tmp_path / "config.yaml")).stdout


def test_an_incident_can_be_read_where_letters_are_ascii(store: Store) -> None:
    look_at(store, "r1")
    done = subprocess.run(
        [sys.executable, "-m", "bot", "show", "INC-1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
