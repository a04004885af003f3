"""Claims about what enters from a foreign machine: sound sections are typed, damaged ones Unknown, none crash."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.model import Change, Known, Unknown
from diagnostics.snapshot import rates, snapshot

LOOK: dict[str, Any] = {
    "format": 1,
    "stage": "look",
    "node": {"name": "node-8", "kernel": "6.18", "uptime": 10.5, "cpus": 2, "addresses": ["10.90.0.8"]},
    "usage": {"entries": 8000, "limit": 8000, "buckets": 8000, "memory_available": 10**9},
    "timeouts": {"tcp_time_wait": 120},
    "counters": [{"at": 10.0, "entries": 7990, "drop": 100, "early_drop": 2, "per_cpu": {"drop": [60, 40]}}],
    "kernel_log": {"lines": [{"at": 9.5, "netns": None, "text": "table full"}], "table_full": 1, "related": {}},
    "table": {
        "via": "ctnetlink",
        "mode": "sample",
        "read": 10,
        "whole": False,
        "states": {"TIME_WAIT": 9, "UDP": 1},
        "sources": [
            {
                "address": "10.244.8.5",
                "entries": 9,
                "states": {"TIME_WAIT": 9},
                "assured": 9,
                "targets": [["tcp", "10.96.3.4", 80, 9]],
                "ages": {"TIME_WAIT": {"timeout": 120, "bucket_seconds": 10, "counts": [9] + [0] * 11}},
            }
        ],
        "sources_other": 1,
        "destinations": [["tcp", "10.96.3.4", 80, 9]],
    },
    "seconds": 0.6,
}
WATCH: dict[str, Any] = {
    "format": 1,
    "stage": "watch",
    "counters": [{"at": 12.0, "entries": 7900, "drop": 900}, {"at": 14.0, "entries": 7950, "drop": 2100}],
    "lookalikes": {"seconds": 2.0, "softnet": {"dropped": [1, 4], "squeezed": [7, 7]}, "cilium": {"present": 0}},
    "reach": {
        "connect": {"address": "10.96.0.1", "port": 443, "attempts": 20, "connected": 0, "failed": {"timeout": 20}},
    },
    "unknown": {"reach.ping": "not permitted"},
}


def with_section(name: str, value: Any) -> dict[str, Any]:
    return {**LOOK, name: value}


def test_the_reports_of_a_look_become_one_typed_snapshot() -> None:
    seen = snapshot([LOOK, WATCH])
    assert seen.stages == ("look", "watch")
    assert isinstance(seen.usage, Known)
    assert (seen.usage.value.entries, seen.usage.value.ratio) == (8000, 1.0)
    assert isinstance(seen.table, Known)
    source = seen.table.value.sources[0]
    assert (source.targets[0].port, source.ages["TIME_WAIT"].counts[0]) == (80, 9)
    assert isinstance(seen.counters, Known)
    assert [reading.at for reading in seen.counters.value] == [10.0, 12.0, 14.0]
    assert isinstance(seen.other_counters, Known)
    assert seen.other_counters.value.groups["softnet"]["dropped"] == Change(1, 4)
    assert seen.other_counters.value.groups["cilium"]["present"] == 0.0
    assert seen.ping == Unknown("not permitted")


def test_rates_follow_from_the_first_and_the_last_reading() -> None:
    found = rates(snapshot([LOOK, WATCH]))
    assert isinstance(found, Known)
    assert (found.value.seconds, found.value.drops, found.value.early_drops) == (4.0, 2000, None)
    assert found.value.growth_per_second == 25.0
    assert found.value.seconds_to_full == 0.0


def test_a_counter_that_went_back_tells_nothing() -> None:
    later = {"counters": [{"at": 12.0, "entries": 1, "drop": 5}], "stage": "watch", "format": 1}
    found = rates(snapshot([LOOK, later]))
    assert isinstance(found, Known)
    assert found.value.drops is None


def test_counters_read_once_give_no_rates() -> None:
    assert rates(snapshot([LOOK])) == Unknown("the counters were read only once")


@pytest.mark.parametrize(
    ("section", "value", "why"),
    [
        pytest.param("usage", {"entries": -1, "limit": 8000}, "entries", id="a negative number of entries"),
        pytest.param("usage", {"entries": "8000", "limit": 8000}, "entries", id="a number as text"),
        pytest.param("usage", {"entries": 10**400, "limit": 1}, "entries", id="a number beyond all sense"),
        pytest.param("usage", {"limit": 8000}, "entries", id="half a section"),
        pytest.param("usage", [1, 2], "usage", id="another kind of thing"),
        pytest.param("table", {**LOOK["table"], "sources_other": 5}, "sum", id="sources that do not add up"),
        pytest.param(
            "table", {**LOOK["table"], "sources": [{"address": "x" * 500, "entries": 9}]}, "address", id="long"
        ),
        pytest.param(
            "kernel_log", {"lines": [{"at": math.nan, "text": "x"}], "table_full": 1}, "at", id="not a number"
        ),
    ],
)
def test_a_damaged_section_is_unknown_and_costs_no_other(section: str, value: Any, why: str) -> None:
    seen = snapshot([with_section(section, value)])
    found = getattr(seen, section)
    assert isinstance(found, Unknown)
    assert why in found.why or section in str(found.why) or "valid" in found.why
    others = [name for name in ("usage", "table", "kernel_log", "timeouts") if name != section]
    assert all(isinstance(getattr(seen, name), Known) for name in others)


def test_a_missing_section_says_the_probes_own_reason() -> None:
    report = {key: value for key, value in LOOK.items() if key != "kernel_log"}
    seen = snapshot([{**report, "unknown": {"kernel_log": "not permitted: needs CAP_SYSLOG"}}])
    assert seen.kernel_log == Unknown("not permitted: needs CAP_SYSLOG")


def test_a_stage_that_never_answered_explains_its_sections() -> None:
    seen = snapshot([LOOK, {"stage": "watch", "unknown": {"watch": "killed", "stage": "the pod was killed"}}])
    assert seen.connects == Unknown("the pod was killed")


def test_what_was_left_out_and_what_ended_early_is_kept() -> None:
    seen = snapshot([{**LOOK, "left_out": {"table.sources": 460}, "partial": True}])
    assert seen.left_out == {"table.sources": 460}
    assert seen.partial


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from([*LOOK, *WATCH, "owners", "left_out", "partial"]), ANYTHING), max_size=3)
)
def test_no_report_however_mad_crashes_it(reports: list[dict[str, Any]]) -> None:
    seen = snapshot(reports)
    rates(seen)
    assert isinstance(seen.usage, Known | Unknown)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_single_changed_value_crashes_it(data: st.DataObject) -> None:
    def change(value: Any) -> Any:
        if isinstance(value, dict) and value:
            key = data.draw(st.sampled_from(sorted(value)))
            return {**value, key: change(value[key])}
        if isinstance(value, list) and value and data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(value) - 1))
            return [*value[:at], change(value[at]), *value[at + 1 :]]
        return data.draw(ANYTHING)

    seen = snapshot([change(LOOK), change(WATCH)])
    rates(seen)


def nested(levels: int, key: str) -> dict[str, Any]:
    """As deep as JSON from a foreign machine can be: deeper than this program's own stack goes."""
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {key: [inner]}
    return inner


@pytest.mark.parametrize(
    "report",
    [
        pytest.param({"table": nested(5000, "sources")}, id="sources within sources"),
        pytest.param({"owners": nested(5000, "sockets")}, id="sockets within sockets"),
        pytest.param({"unknown": {"table": nested(5000, "why")}}, id="a reason that is no text"),
        pytest.param({"stage": nested(5000, "stage"), "usage": None, "table": None}, id="a stage that is no text"),
        pytest.param({"lookalikes": {"softnet": nested(5000, "dropped")}}, id="counters within counters"),
    ],
)
def test_what_is_nested_without_end_is_unknown(report: dict[str, Any]) -> None:
    seen = snapshot([report])
    assert isinstance(seen.table, Unknown)
    assert seen.stages in ((), ("",))
