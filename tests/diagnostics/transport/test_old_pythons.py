"""The probe as SSH sends it, on every Python of this machine that a node may have: 3.7 and newer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import diagnostics.probe
from diagnostics.probe import envelope
from diagnostics.transport.bundle import bundle

PROBE = Path(diagnostics.probe.__file__).parent
ANSWERS = {
    "look": ["look", "--exact", "--quiet", "0"],
    "watch": ["watch", "--seconds", "0.1", "--connect", "127.0.0.1,1", "--ping", "127.0.0.1"],
    "deep": ["deep"],
}


def pythons() -> list[str]:
    """On the PATH, and where pyenv keeps them. One that does not run is none (pyenv's shims)."""
    named = [shutil.which(f"python3.{minor}") for minor in range(7, 20)]
    kept = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
    wanted = "import sys; sys.exit(sys.version_info < (3, 7))"
    tried = [path for path in (sys.executable, *named, *map(str, kept)) if path is not None]
    runs = [
        path for path in tried if subprocess.run([path, "-c", wanted], capture_output=True, check=False).returncode == 0
    ]
    return list(dict.fromkeys(runs))


@pytest.mark.parametrize("stage", ANSWERS)
@pytest.mark.parametrize("python", pythons())
def test_every_stage_answers_without_a_warning(python: str, stage: str) -> None:
    program = bundle(PROBE, "diagnostics.probe", [*ANSWERS[stage], "--deadline", "20"])
    ran = subprocess.run(
        [python, "-W", "error", "-ISB", "-"], input=program, capture_output=True, timeout=60, check=True
    )
    report = envelope.unpack(ran.stdout.decode("ascii"))
    assert (report["stage"], ran.stderr) == (stage, b"")
    damage = [why for why in report.get("unknown", {}).values() if "Error: " in why]
    assert damage == []
