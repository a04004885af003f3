"""Claims about reports as bytes: whole or not at all, within the budget, the most important first."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe import envelope

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))


def report(sources: int = 3, **more: Any) -> dict[str, Any]:
    listed: list[dict[str, Any]] = [
        {
            "address": f"10.{n % 7}.{n // 251}.{n % 251}",
            "entries": 10_000 - 7 * n,
            "states": {"TIME_WAIT": 9000 - 7 * n, "SYN_SENT": n, "ESTABLISHED": 3},
            "targets": [["tcp", f"10.96.{n % 13}.{n % 97}", 80 + n % 5, 9000 - n]],
            "targets_distinct": n,
        }
        for n in range(sources)
    ]
    read = sum(source["entries"] for source in listed)
    table = {"via": "ctnetlink", "read": read, "sources": listed, "sources_other": 0, "rows": ["tcp 6 src=…"] * 3}
    return {"format": 1, "stage": "look", "usage": {"entries": 8000, "limit": 8000}, "table": table, **more}


@given(st.dictionaries(st.text(max_size=8), JSON))
def test_what_is_packed_comes_back(sections: dict[str, Any]) -> None:
    whole = {**sections, "format": 1}
    assert envelope.unpack(envelope.pack(whole, 1 << 20).decode()) == whole


def test_an_envelope_is_found_whatever_a_runtime_puts_around_it() -> None:
    sealed = envelope.pack(report(), 4096).decode()
    assert envelope.unpack(f"Error: {sealed}\n(truncated)") == report()


def test_an_envelope_is_ascii_even_for_names_that_are_not() -> None:
    assert envelope.pack(report(node={"name": "nœud-\ud7ff"}), 4096).isascii()


@given(st.integers(min_value=0, max_value=600))
def test_a_message_cut_anywhere_is_no_report(at: int) -> None:
    sealed = envelope.pack(report(), 4096).decode()
    for cut in (sealed[:at], sealed[at + 1 :]):
        if cut != sealed and len(cut) < len(sealed):
            with pytest.raises(envelope.DamagedEnvelopeError):
                envelope.unpack(cut)


@given(st.integers(min_value=0, max_value=600), st.integers(min_value=1, max_value=127))
def test_an_altered_byte_is_never_believed(at: int, by: int) -> None:
    sealed = bytearray(envelope.pack(report(), 4096))
    at %= len(sealed)
    sealed[at] ^= by
    with contextlib.suppress(envelope.DamagedEnvelopeError):
        assert envelope.unpack(sealed.decode("latin-1")) == report()  # altered where it does not count


@given(st.text(max_size=300))
def test_garbage_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(envelope.DamagedEnvelopeError, match=r"\w"):
        envelope.unpack(text)


def sealed_by_hand(raw: bytes) -> str:
    body = base64.b64encode(zlib.compress(raw, 9)).decode()
    return f"conntrack-bot1:{len(body)}:{zlib.crc32(body.encode()):08x}:{body}"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[" * 100_000, id="nested until the parser gives up"),
        pytest.param(b" " * (envelope.LARGEST_REPORT_BYTES + 1), id="a bomb"),
        pytest.param(b'{"format": 2}', id="another format"),
        pytest.param(b"[1]", id="not an object"),
        pytest.param(b'{"format": 1', id="not JSON"),
        pytest.param(b"\xff\xfe", id="not text"),
    ],
)
def test_a_sound_envelope_with_a_bad_letter_is_refused(raw: bytes) -> None:
    with pytest.raises(envelope.DamagedEnvelopeError):
        envelope.unpack(sealed_by_hand(raw))


@pytest.mark.parametrize("sources", [0, 1, 60, 500])
def test_the_termination_message_is_never_longer_than_the_kubelet_keeps(sources: int) -> None:
    whole = report(sources, settings={f"s{n}": n for n in range(50)}, unknown={"owners": "not asked"})
    sealed = envelope.pack(whole, envelope.TERMINATION_MESSAGE_BYTES)
    assert len(sealed) <= envelope.TERMINATION_MESSAGE_BYTES
    told = envelope.unpack(sealed.decode())
    table = told["table"]
    assert sum(source["entries"] for source in table["sources"]) + table["sources_other"] == whole["table"]["read"]
    assert told["usage"] == whole["usage"]
    assert table["sources"] == [] or table["sources"][0]["address"] == whole["table"]["sources"][0]["address"]


def test_what_is_left_out_is_counted() -> None:
    whole = report(500)
    told = envelope.unpack(envelope.pack(whole, 4096).decode())
    assert told["left_out"]["table.sources"] == 500 - len(told["table"]["sources"])
    assert len(told["table"]["sources"]) >= 30


def test_a_machine_of_many_cpus_tells_its_table_and_its_counters_all_the_same() -> None:
    draw = random.Random(1)
    per_cpu = {name: [draw.randrange(2**32) for _ in range(512)] for name in ("drop", "early_drop")}
    counters = [{"at": at, "drop": 7, "early_drop": 2, "per_cpu": per_cpu} for at in (1.0, 1.5)]
    told = envelope.unpack(envelope.pack(report(20, counters=counters), 4096).decode())
    assert told["table"] == report(20)["table"]
    assert told["counters"] == [{"at": at, "drop": 7, "early_drop": 2} for at in (1.0, 1.5)]
    assert told["left_out"] == {"counters.per_cpu": 4}


def reason(draw: random.Random) -> str:
    return "".join(chr(draw.randrange(33, 0x2FFF)) for _ in range(200))


def pathological(draw: random.Random) -> dict[str, Any]:
    """The longest of everything that a stage may tell at once."""
    sources: list[dict[str, Any]] = []
    for number in range(500):
        address = ":".join(f"{draw.randrange(65536):x}" for _ in range(8))
        targets = [["tcp", f"2001:db8::{draw.randrange(65536):x}", draw.randrange(65536), 9] for _ in range(3)]
        states = {f"STATE_{n}": draw.randrange(9000) for n in range(9)}
        sources.append({"address": address, "entries": 9000 - number, "states": states, "targets": targets})
    rows = [[f"p{n}", f"2001:db8::{draw.randrange(65536):x}", n, draw.randrange(999)] for n in range(40)]
    processes = [
        {"process": "処理\x1b" + chr(draw.randrange(0x4E00, 0x9000)) * 15, "pid": n, "sockets": n} for n in range(30)
    ]
    whole = report(0, unknown={f"section.{n}": reason(draw) for n in range(40)})
    whole["node"] = {
        "name": reason(draw)[:64],
        "kernel": reason(draw)[:64],
        "addresses": [reason(draw)[:45] for _ in range(64)],
    }
    whole["counters"] = [{"at": float(n), "drop": draw.randrange(2**32)} for n in range(3)]
    whole["kernel_log"] = {
        "lines": [{"at": 1.0, "netns": None, "text": reason(draw)} for _ in range(5)],
        "table_full": 9,
    }
    whole["owners"] = {"sockets": processes, "namespaces": processes}
    table = {"read": sum(one["entries"] for one in sources), "sources": sources, "sources_other": 0}
    whole["table"] = {**table, "destinations": rows, "backends": rows, "rows": [reason(draw)] * 3}
    return whole


@pytest.mark.parametrize("budget", [600, 1000, 4096, 65536])
def test_the_longest_of_everything_is_within_the_budget_and_still_adds_up(budget: int) -> None:
    whole = pathological(random.Random(budget))
    sealed = envelope.pack(whole, budget)
    assert len(sealed) <= budget
    told = envelope.unpack(sealed.decode())
    assert told["usage"] == whole["usage"]
    table = told.get("table", {"sources": [], "sources_other": whole["table"]["read"]})
    assert sum(one["entries"] for one in table["sources"]) + table["sources_other"] == whole["table"]["read"]
    if budget >= 1000:
        assert told["counters"] == whole["counters"]


def test_a_larger_budget_never_tells_less() -> None:
    told = [
        len(envelope.unpack(envelope.pack(report(500), b).decode())["table"]["sources"]) for b in (2000, 4096, 9000)
    ]
    assert told == sorted(told)
    assert told[0] < told[-1]


def test_the_smallest_budget_still_tells_the_usage() -> None:
    told = envelope.unpack(envelope.pack(report(500), 200).decode())
    assert told == {
        "format": 1,
        "stage": "look",
        "usage": {"entries": 8000, "limit": 8000},
        "left_out": told["left_out"],
    }


def test_a_budget_that_holds_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        envelope.pack(report(), 20)


def test_packing_leaves_the_report_as_it_was() -> None:
    whole = report(500)
    before = json.dumps(whole)
    envelope.pack(whole, 1000)
    assert json.dumps(whole) == before
