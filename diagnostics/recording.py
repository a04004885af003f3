"""What a recording of a node is: a folder that holds all that was heard, as it was received.

    recording.json      version, node, cluster, when, by which way, the order, and the reports' names in order
    reports/look.json   one file for each report
    cluster.json        what the cluster knew about the node, if there was one

Written by ``--record``, read by the replay transport and the tests. It must not know what a report means: a recording
of a hostile host is as hostile as the host.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from diagnostics.errors import RecordingError
from diagnostics.model import ClusterView, Way
from diagnostics.transport import Order, Report

if TYPE_CHECKING:
    from pydantic import TypeAdapter

VERSION = 1
STAGES = ("look", "watch", "deep")
LARGEST_FILE_BYTES = 32 * 1024 * 1024
_MANIFEST, _REPORTS, _CLUSTER = "recording.json", "reports", "cluster.json"

T = TypeVar("T")
_adapters: dict[type, TypeAdapter[Any]] = {}


@dataclass(frozen=True, slots=True)
class Recording:
    """One look at one node. ``taken_at`` is Unix seconds; ``order`` is None where it was not written down."""

    node: str
    cluster: str
    taken_at: float
    way: Way
    reports: tuple[Report, ...]
    view: ClusterView | None = None
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class _Manifest:
    """``recording.json``."""

    version: int
    node: str
    cluster: str
    taken_at: float
    way: Way
    reports: tuple[str, ...]
    order: Order | None = None


def write(  # noqa: PLR0913 - the parts of a recording, by keyword
    directory: Path,
    *,
    node: str,
    cluster: str,
    way: Way,
    reports: Sequence[Report],
    view: ClusterView | None = None,
    order: Order | None = None,
    taken_at: float | None = None,
) -> None:
    """Write a recording. What an earlier one in the same folder had and this one has not is removed."""
    names = _names(reports)
    manifest = _Manifest(VERSION, node, cluster, time.time() if taken_at is None else taken_at, way, names, order)
    try:
        (directory / _REPORTS).mkdir(parents=True, exist_ok=True)
        for stale in (directory / _REPORTS).glob("*.json"):
            stale.unlink()
        (directory / _CLUSTER).unlink(missing_ok=True)
        for name, report in zip(names, reports, strict=True):
            _write_json(directory / _REPORTS / name, report)
        if view is not None:
            _write_json(directory / _CLUSTER, _adapter(ClusterView).dump_python(view, mode="json"))
        _write_json(directory / _MANIFEST, _adapter(_Manifest).dump_python(manifest, mode="json"))
    except OSError as error:
        raise RecordingError(f"The recording cannot be written to {directory} ({error.strerror}).") from error
    except RecursionError as error:
        raise RecordingError("The node's answer is nested without end, so it cannot be recorded.") from error


def read(directory: Path) -> Recording:
    """The recording in a folder. Raises RecordingError where it is missing, damaged or of another version."""
    if not (directory / _MANIFEST).is_file():
        raise RecordingError(f"{directory} holds no recording: there is no {_MANIFEST} in it. Make one with --record.")
    written = _read_json(directory / _MANIFEST)
    version = written.get("version") if isinstance(written, dict) else None
    if version != VERSION:
        raise RecordingError(
            f"The recording in {directory} is of version {version!r}, and this program reads version {VERSION}. "
            "Record the node again, or use the program that recorded it."
        )
    manifest = _typed(_Manifest, written, directory / _MANIFEST)
    view_path = directory / _CLUSTER
    view = _typed(ClusterView, _read_json(view_path), view_path) if view_path.exists() else None
    reports = tuple(_report(directory, name) for name in manifest.reports)
    return Recording(manifest.node, manifest.cluster, manifest.taken_at, manifest.way, reports, view, manifest.order)


def _names(reports: Sequence[Report]) -> tuple[str, ...]:
    """A file's name for each report: its stage, or its number where a host made up a stage or told one twice."""
    names: list[str] = []
    for number, report in enumerate(reports, start=1):
        name = f"{report.get('stage')}.json"
        is_plain = report.get("stage") in STAGES and name not in names
        names.append(name if is_plain else f"{number}.json")
    return tuple(names)


def _report(directory: Path, name: str) -> Report:
    path = directory / _REPORTS / name
    if Path(name).name != name:
        raise RecordingError(f"{directory / _MANIFEST} names a report outside of its folder: {name!r}.")
    report = _read_json(path)
    if not isinstance(report, dict):
        raise RecordingError(f"{path} holds no report: a JSON object is expected.")
    return report


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="ascii")


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise RecordingError(f"{path} is larger than {LARGEST_FILE_BYTES} bytes: that is no recording.")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordingError(f"{path} cannot be read ({error.strerror}): the recording is not whole.") from error
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{path} is damaged ({error}).") from error


def _typed(kind: type[T], value: Any, path: Path) -> T:
    from pydantic import ValidationError  # noqa: PLC0415 - see _adapter

    adapter: TypeAdapter[T] = _adapter(kind)
    try:
        typed = adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise RecordingError(f"{path} is damaged: {where}: {first['msg']}.") from error
    unknown = _beyond(value, adapter.dump_python(typed, mode="json"))
    if unknown:
        raise RecordingError(f"{path} holds {unknown}, which this program does not know. Is it misspelled?")
    return typed


def _beyond(written: Any, known: Any, where: str = "") -> str:
    """Where the file holds more than was understood: pydantic passes over keys that a plain dataclass does not have."""
    if isinstance(written, dict) and isinstance(known, dict):
        extra = [f"{where}{key}" for key in written if key not in known]
        below = (_beyond(written[key], known[key], f"{where}{key}.") for key in written if key in known)
        return next((found for found in (*extra, *below) if found), "")
    if isinstance(written, list) and isinstance(known, list):
        pairs = enumerate(zip(written, known, strict=False))
        return next((found for n, (one, two) in pairs if (found := _beyond(one, two, f"{where}{n}."))), "")
    return ""


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Between values and plain JSON. Pydantic is imported when a recording is used: it takes a fifth of a second.

    Kept, since making one takes a tenth, and each look of the running bot is recorded.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415 - see above

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
