"""The audit's chain: each entry's digest covers the entry and the digest before it. Pure: no I/O.

It shows that something was changed, removed, inserted or cut off, unless whoever did it computed all later digests and
the head anew: keep a copy of the head elsewhere where that matters. It must not know what the entries are about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bot.model import AuditEntry
from bot.store.written import canonical

GENESIS = "0" * 64  # stands before the first entry


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry, written down a second time."""

    number: int = 0
    digest: str = GENESIS


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the chain, and where. ``kind`` is changed, exchanged, removed, inserted or cut off."""

    number: int
    kind: str
    says: str


def digest(entry: AuditEntry) -> str:
    """What an entry's digest must be: SHA-256 over everything else in it."""
    said = {
        "number": entry.number,
        "at": entry.at,
        "actor": entry.actor,
        "event": entry.event,
        "incident": entry.incident,
        "detail": entry.detail,
        "previous": entry.previous,
    }
    return hashlib.sha256(canonical(said).encode("ascii")).hexdigest()


def faults(entries: Iterable[AuditEntry], head: Head | None) -> tuple[Fault, ...]:
    """Everything that is wrong with entries in the order of their numbers; nothing where the chain is whole."""
    found: list[Fault] = []
    before = Head()
    for entry in entries:
        found += _faults_of(entry, before)
        before = Head(entry.number, entry.digest)
    return (*found, *_faults_at_the_end(before, head))


def _faults_of(entry: AuditEntry, before: Head) -> list[Fault]:
    number, expected = entry.number, before.number + 1
    if number < expected:
        return [Fault(number, "inserted", f"Entry {number} was inserted: the audit begins with entry 1.")]
    found = []
    if number > expected:
        found.append(Fault(expected, "removed", f"{_span(expected, number - 1)} removed: entry {number} follows."))
    if digest(entry) != entry.digest:
        found.append(Fault(number, "changed", f"Entry {number} was changed: its digest does not fit what it says."))
    elif number == expected and entry.previous != before.digest:
        said = f"Entry {before.number} was exchanged: entry {number} continues another one."
        found.append(Fault(before.number, "exchanged", said))
    return found


def _faults_at_the_end(last: Head, head: Head | None) -> list[Fault]:
    if head is None:
        return [Fault(last.number, "removed", "The head of the audit was removed: it says which entry is the last.")]
    if last.number < head.number:
        return [Fault(last.number + 1, "cut off", f"{_span(last.number + 1, head.number)} cut off at the end.")]
    if last.number > head.number:
        said = f"{_span(head.number + 1, last.number)} inserted at the end: the last one written is {head.number}."
        return [Fault(head.number + 1, "inserted", said)]
    if last.digest != head.digest:
        return [Fault(last.number, "exchanged", f"Entry {last.number} was exchanged: the head continues another one.")]
    return []


def _span(first: int, last: int) -> str:
    return f"Entry {first} was" if first == last else f"Entries {first} to {last} were"
