from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bot.errors import StoreError
from bot.store import pack, unpack
from bot.store import recordings as module


def packed_with(*members: tarfile.TarInfo, content: bytes = b"x") -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return written.getvalue()


HALF = pack(Path(__file__).parent)[:200]


def named(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "one" / "reports").mkdir(parents=True)
    (tmp_path / "one" / "recording.json").write_text("{}")
    (tmp_path / "one" / "reports" / "look.json").write_bytes(b"\x00\xff")
    unpack(pack(tmp_path / "one"), tmp_path / "two")
    found = {file.relative_to(tmp_path / "two"): file for file in (tmp_path / "two").rglob("*") if file.is_file()}
    assert found.keys() == {Path("recording.json"), Path("reports/look.json")}
    assert found[Path("reports/look.json")].read_bytes() == b"\x00\xff"


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(named("../outside"), id="above"),
        pytest.param(named("/tmp/outside"), id="absolute"),
        pytest.param(named("link", tarfile.SYMTYPE, "/etc/passwd"), id="a link"),
        pytest.param(named("pipe", tarfile.FIFOTYPE), id="a pipe"),
        pytest.param(named("device", tarfile.CHRTYPE), id="a device"),
    ],
)
def test_nothing_but_files_inside_the_folder_is_written(tmp_path: Path, member: tarfile.TarInfo) -> None:
    with pytest.raises(StoreError, match="was not unpacked"):
        unpack(packed_with(member), tmp_path / "in" / "here")
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_a_recording_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_BYTES", 1000)
    with pytest.raises(StoreError, match="larger"):
        unpack(packed_with(named("a"), content=bytes(1001)), tmp_path / "here")


@pytest.mark.parametrize("packed", [b"", b"rubbish", HALF], ids=["none", "rubbish", "half"])
def test_a_damaged_recording_is_said_to_be_damaged(tmp_path: Path, packed: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        unpack(packed, tmp_path / "here")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(StoreError, match="not an empty folder"):
        unpack(pack(tmp_path), tmp_path)
    with pytest.raises(StoreError, match="not an empty folder"):
        unpack(pack(tmp_path), tmp_path / "mine")
