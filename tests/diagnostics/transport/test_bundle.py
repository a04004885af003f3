"""What is packed runs from standard input exactly as ``python3 -m`` would, and leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.transport.bundle import bundle

MAIN = """
import json, sys
from bundled.program import words
from . import words as same_words
from .below.deeper import WHERE

if __name__ == "__main__":
    import bundled
    print(json.dumps({
        "argv": sys.argv, "greeting": words.GREETING, "same": words is same_words, "where": WHERE,
        "parent_is_empty": [n for n in vars(bundled) if not n.startswith("__")] == ["program"],
        "package": __package__, "stdin": sys.stdin.read(),
    }))
    sys.exit(7 if "fail" in sys.argv else 0)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources") / "program"
    (folder / "below").mkdir(parents=True)
    (folder / "__init__.py").write_text('"""A program."""\n')
    (folder / "__main__.py").write_text(MAIN)
    (folder / "words.py").write_text('GREETING = "grüß dich %s PAYLOAD"\n', encoding="utf-8")
    (folder / "below" / "__init__.py").write_text("")
    (folder / "below" / "deeper.py").write_text("from ..words import GREETING\nWHERE = __name__\n")
    return folder


def ran(text: bytes, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-I", "-"], input=text, capture_output=True, cwd=cwd, check=False)


def test_absolute_and_relative_imports_work_and_argv_arrives(package: Path, tmp_path: Path) -> None:
    done = ran(bundle(package, "bundled.program", ["look", "--budget", "65536"]), tmp_path)
    assert done.stderr == b""
    assert json.loads(done.stdout) == {
        "argv": ["bundled.program", "look", "--budget", "65536"],
        "greeting": "grüß dich %s PAYLOAD",
        "same": True,
        "where": "bundled.program.below.deeper",
        "parent_is_empty": True,
        "package": "bundled.program",
        "stdin": "",
    }


def test_it_writes_no_file(package: Path, tmp_path: Path) -> None:
    ran(bundle(package, "bundled.program", []), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_programs_exit_status_is_kept(package: Path, tmp_path: Path) -> None:
    assert ran(bundle(package, "bundled.program", ["fail"]), tmp_path).returncode == 7


def test_a_crash_names_the_carried_file_and_shows_the_line(tmp_path: Path) -> None:
    folder = tmp_path / "crashing"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "__main__.py").write_text("from bundled.crashing import broken\n")
    (folder / "broken.py").write_text("raise RuntimeError('on purpose')\n")
    done = ran(bundle(folder, "bundled.crashing", []), tmp_path)
    assert done.returncode == 1
    assert b"<carried bundled.crashing.broken>" in done.stderr
    assert b"RuntimeError: on purpose" in done.stderr


def test_a_folder_without_a_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no __main__\.py"):
        bundle(tmp_path, "bundled.nothing", [])


@settings(max_examples=15, deadline=None)
@given(argv=st.lists(st.text(max_size=40), max_size=4))
def test_no_argument_is_ever_interpreted(package: Path, argv: list[str]) -> None:
    done = ran(bundle(package, "bundled.program", argv), Path("/"))
    assert json.loads(done.stdout)["argv"][1:] == argv


def test_the_text_is_plain_ascii(package: Path) -> None:
    assert bundle(package, "bundled.program", ["é", "'; rm -rf /"]).isascii()


def test_the_bootstrap_itself_runs_on_python_3_7(package: Path, tmp_path: Path) -> None:
    program = tmp_path / "bundle.py"
    program.write_bytes(bundle(package, "bundled.program", []))
    vermin = [str(Path(sys.executable).with_name("vermin")), "--no-tips", "-t=3.7-", str(program)]
    done = subprocess.run(vermin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
