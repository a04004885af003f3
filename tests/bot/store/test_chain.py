from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model import AuditEntry
from bot.store.chain import GENESIS, Fault, Head, digest, faults


def chained(*said: AuditEntry) -> tuple[AuditEntry, ...]:
    """Entries as they are written: numbered, and each continuing the one before."""
    entries: list[AuditEntry] = []
    previous = GENESIS
    for number, entry in enumerate(said, 1):
        numbered = replace(entry, number=number, previous=previous)
        entries.append(replace(numbered, digest=digest(numbered)))
        previous = entries[-1].digest
    return tuple(entries)


def entry(event: str) -> AuditEntry:
    return AuditEntry(0, 1.5, "UALICE", event, 7, {"node": "node-7"}, "", "")


WHOLE = chained(*(entry(f"event {number}") for number in range(1, 6)))
HEAD = Head(5, WHOLE[-1].digest)
FORGED = replace(WHOLE[2], actor="UEVE")
REFORGED = replace(FORGED, digest=digest(FORGED))
APPENDED = replace(entry("late"), number=6, previous=WHOLE[-1].digest)


def test_a_whole_chain_has_no_fault() -> None:
    assert faults(WHOLE, HEAD) == ()
    assert faults((), Head()) == ()


@pytest.mark.parametrize(
    ("entries", "head", "found"),
    [
        pytest.param(
            (*WHOLE[:2], FORGED, *WHOLE[3:]),
            HEAD,
            [Fault(3, "changed", "Entry 3 was changed: its digest does not fit what it says.")],
            id="an entry was changed",
        ),
        pytest.param(
            (*WHOLE[:2], REFORGED, *WHOLE[3:]),
            HEAD,
            [Fault(3, "exchanged", "Entry 3 was exchanged: entry 4 continues another one.")],
            id="an entry was changed, and its digest too",
        ),
        pytest.param(
            (*WHOLE[:1], *WHOLE[3:]),
            HEAD,
            [Fault(2, "removed", "Entries 2 to 3 were removed: entry 4 follows.")],
            id="entries in the middle were removed",
        ),
        pytest.param(
            WHOLE[1:], HEAD, [Fault(1, "removed", "Entry 1 was removed: entry 2 follows.")], id="the first was removed"
        ),
        pytest.param(
            WHOLE[:3], HEAD, [Fault(4, "cut off", "Entries 4 to 5 were cut off at the end.")], id="the end was cut off"
        ),
        pytest.param((), HEAD, [Fault(1, "cut off", "Entries 1 to 5 were cut off at the end.")], id="all was cut off"),
        pytest.param(
            (*WHOLE, replace(APPENDED, digest=digest(APPENDED))),
            HEAD,
            [Fault(6, "inserted", "Entry 6 was inserted at the end: the last one written is 5.")],
            id="an entry was put at the end",
        ),
        pytest.param(
            (*WHOLE[:4], replace(WHOLE[4], at=2.0, digest=digest(replace(WHOLE[4], at=2.0)))),
            HEAD,
            [Fault(5, "exchanged", "Entry 5 was exchanged: the head continues another one.")],
            id="the last was exchanged",
        ),
        pytest.param(
            WHOLE,
            None,
            [Fault(5, "removed", "The head of the audit was removed: it says which entry is the last.")],
            id="the head was removed",
        ),
    ],
)
def test_what_was_done_to_a_chain_is_found_where_it_was_done(
    entries: Sequence[AuditEntry], head: Head | None, found: list[Fault]
) -> None:
    assert list(faults(entries, head)) == found


def test_an_entry_before_the_first_is_found() -> None:
    early = replace(entry("early"), number=0, previous=GENESIS)
    early = replace(early, digest=digest(early))
    assert faults((early, *WHOLE), HEAD)[0].kind == "inserted"


TAMPER: dict[str, Callable[[AuditEntry], AuditEntry]] = {
    "at": lambda one: replace(one, at=one.at + 0.001),
    "actor": lambda one: replace(one, actor=one.actor + "x"),
    "event": lambda one: replace(one, event=one.event + "x"),
    "incident": lambda one: replace(one, incident=None if one.incident else 1),
    "detail": lambda one: replace(one, detail={**one.detail, "more": 1}),
    "previous": lambda one: replace(one, previous=GENESIS[1:] + "1"),
    "digest": lambda one: replace(one, digest=GENESIS),
}


@given(where=st.integers(0, 4), what=st.sampled_from(sorted(TAMPER)), is_covered_up=st.booleans())
def test_no_single_change_goes_unnoticed(where: int, what: str, is_covered_up: bool) -> None:
    """Also where the digest of the changed entry was computed anew."""
    changed = TAMPER[what](WHOLE[where])
    if is_covered_up and what != "digest":
        changed = replace(changed, digest=digest(changed))
    assert faults((*WHOLE[:where], changed, *WHOLE[where + 1 :]), HEAD)
