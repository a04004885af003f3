"""What is recorded is read back as it was; what is damaged is refused with a sentence."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics import recording
from diagnostics.errors import RecordingError
from diagnostics.model import Attempt, ClusterView, Known, KubeNode, Pod, Service, Unknown, Way, Workload
from diagnostics.transport import Order

WAY = Way("pod", (Attempt("pod", "answered", 1.1),), 1.1)
VIEW = ClusterView(
    cluster="test",
    node=Known(KubeNode("node-8", "uid", "boot", ("10.90.0.8",), conditions={"Ready": "True"})),
    pods=Known(
        (Pod("shop", "checkout-1", "u1", "node-8", "Running", False, ("10.244.8.6",), Workload("Deployment", "x")),)
    ),
    services=Known((Service("shop", "payments", ("10.96.0.12",), ((80, "http"),)),)),
    nodes=Unknown("the API server refused to list nodes"),
    proxy=Known("iptables"),
    restarts=3,
)
LOOK = {"format": 1, "stage": "look", "usage": {"entries": 8000, "limit": 8000}}


def written(folder: Path, **changes: Any) -> Path:
    parts: dict[str, Any] = {"node": "node-8", "cluster": "test", "way": WAY, "reports": [LOOK], "view": VIEW}
    recording.write(folder, **(parts | changes))
    return folder


def test_a_recording_is_read_back_as_it_was(tmp_path: Path) -> None:
    order = Order(connect=("10.96.0.1", 443), connect_what="the API Service")
    read = recording.read(written(tmp_path / "deep" / "folder", order=order, taken_at=12.5))
    assert read == recording.Recording("node-8", "test", 12.5, WAY, (LOOK,), VIEW, order)


def test_the_files_are_named_after_the_stages(tmp_path: Path) -> None:
    written(tmp_path, reports=[LOOK, {"stage": "watch"}])
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")) == [
        "cluster.json",
        "recording.json",
        "reports/look.json",
        "reports/watch.json",
    ]


def test_a_stage_that_a_host_made_up_names_no_file(tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [{"stage": "../../evil"}, {"stage": "look"}, {"stage": "look"}, {}, {"stage": ["x"]}]
    assert recording.read(written(tmp_path / "here", reports=odd)).reports == tuple(odd)
    assert sorted(path.name for path in (tmp_path / "here" / "reports").iterdir()) == [
        "1.json",
        "3.json",
        "4.json",
        "5.json",
        "look.json",
    ]


def test_what_an_earlier_recording_had_is_gone(tmp_path: Path) -> None:
    written(tmp_path, reports=[LOOK, {"stage": "watch"}])
    read = recording.read(written(tmp_path, view=None))
    assert read.view is None
    assert len(read.reports) == 1
    assert not (tmp_path / "reports" / "watch.json").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=10), below, max_size=3),
    max_leaves=8,
)
TEXT = st.text(max_size=10)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SOMETIMES = st.none() | FINITE


def reading(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(Known, strategy) | st.builds(Unknown, why=TEXT)


NODES = st.builds(KubeNode, last_heartbeat=SOMETIMES)
PODS = st.builds(Pod, started=SOMETIMES, finished=SOMETIMES)
VIEWS = st.builds(
    ClusterView,
    node=reading(NODES),
    pods=reading(st.lists(PODS, max_size=2).map(tuple)),
    services=reading(st.lists(st.from_type(Service), max_size=2).map(tuple)),
    nodes=reading(st.dictionaries(TEXT, TEXT, max_size=2)),
    proxy=reading(TEXT),
)
ORDERS = st.builds(Order, watch_seconds=FINITE, deadline_seconds=FINITE)


@settings(max_examples=40, deadline=None)
@given(
    reports=st.lists(st.dictionaries(TEXT, JSON, max_size=3), max_size=3),
    view=st.none() | VIEWS,
    order=st.none() | ORDERS,
    node=TEXT,
)
def test_anything_that_was_heard_survives_the_round_trip(
    reports: list[dict[str, Any]], view: ClusterView | None, order: Order | None, node: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        read = recording.read(written(Path(folder), reports=reports, view=view, order=order, node=node))
    assert (list(read.reports), read.view, read.order, read.node) == (reports, view, order, node)


def change(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("recording.json", {"version": 2}, r"is of version 2, and this program reads version 1"),
        ("recording.json", {"version": None}, r"is of version None"),
        ("recording.json", {"node": 8}, r"recording\.json is damaged: node: Input should be a valid string"),
        ("recording.json", {"nodes": "x"}, r"holds nodes, which this program does not know"),
        ("recording.json", {"reports": ["../../etc/passwd"]}, r"names a report outside of its folder"),
        ("recording.json", {"reports": ["gone.json"]}, r"gone\.json cannot be read \(No such file or directory\)"),
        ("cluster.json", {"pods": {"wy": "x"}}, r"cluster\.json is damaged: pods"),
        ("cluster.json", {"proxi": "x"}, r"holds proxi, which"),
    ],
)
def test_a_damaged_recording_is_refused_with_a_sentence(
    tmp_path: Path, name: str, changes: dict[str, Any], says: str
) -> None:
    change(written(tmp_path), name, **changes)
    with pytest.raises(RecordingError, match=says):
        recording.read(tmp_path)


@pytest.mark.parametrize("name", ["recording.json", "cluster.json", "reports/look.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100000, b"[]", b"3"])
def test_garbage_in_a_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (written(tmp_path) / name).write_bytes(content)
    with pytest.raises(RecordingError):
        recording.read(tmp_path)


def test_a_folder_without_a_recording_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="holds no recording: there is no recording"):
        recording.read(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match="cannot be written to"):
        written(tmp_path / "file" / "below")


def test_an_answer_nested_without_end_is_refused_with_a_sentence(tmp_path: Path) -> None:
    inner: list[Any] = []
    for _ in range(5000):
        inner = [inner]
    with pytest.raises(RecordingError, match="nested without end"):
        written(tmp_path, reports=[{"stage": "look", "usage": inner}])
