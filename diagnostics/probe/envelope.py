"""A report as bytes, and back: version, length and checksum, ASCII, within a byte budget.

    conntrack-bot1:<length of the text>:<crc32, 8 hex digits>:<base64(zlib(JSON))>

A container's termination message holds 4096 bytes, of which the kubelet keeps the end, and a runtime may put words
around it: so the envelope says itself where it begins, how long it is, and whether it is whole. It is never used in
part. The transports import it too. It must not know what a report means beyond the ranks below.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    Report = Dict[str, Any]
    Path = Tuple[str, ...]

MARK = "conntrack-bot1"
TERMINATION_MESSAGE_BYTES = 4096  # kubelet: MaxContainerTerminationMessageLength
LARGEST_REPORT_BYTES = 8 * 1024 * 1024  # unpacked; a zlib bomb from a hostile host ends here

_ENVELOPE = MARK + r":(\d{1,8}):([0-9a-f]{8}):([A-Za-z0-9+/=]*)"


# What goes first when the budget is short: (path to a list, entries always kept). A list is cut from its end, which is
# where the least important entries are, and what was cut is counted in "left_out". None: all or nothing.
_CUTS: Tuple[Tuple[Path, Optional[int]], ...] = (
    (("counters", "*", "per_cpu"), 0),  # on a machine of many CPUs larger than all the rest
    (("settings",), 0),
    (("table", "sources", "*", "ages"), 0),
    (("table", "sources"), 30),
    (("table", "backends"), 8),
    (("table", "destinations"), 8),
    (("node", "addresses"), 6),
    (("kernel_log", "lines"), 2),
    (("owners", "namespaces"), 10),
    (("owners", "sockets"), 10),
    (("table", "rows"), 0),
    (("table", "sources", "*", "targets"), 1),
    (("table", "sources"), 12),
    (("table", "ages"), 0),
    (("table", "sources", "*", "states"), 3),
    (("table", "backends"), 2),
    (("table", "destinations"), 2),
    (("table", "sources"), 5),
    (("lookalikes",), 0),
    (("reach",), 0),
    (("timeouts",), 0),
    (("owners",), None),
    (("kernel_log",), None),
    (("table",), None),
    (("node", "addresses"), 0),
    (("unknown",), 0),
)


class DamagedEnvelopeError(ValueError):
    """There is no envelope, or it is not whole. The text says which."""


def pack(report: Report, budget: int) -> bytes:
    """The report as an envelope of at most ``budget`` bytes, less important parts left out and counted if need be."""
    sealed = _seal(report)
    if len(sealed) <= budget:
        return sealed
    report = json.loads(json.dumps(report))
    for path, keep in _CUTS:
        smallest = _cut(report, path, keep)
        if len(_seal(smallest)) > budget:
            report = smallest
            continue
        return _seal(smallest if keep is None else _largest_that_fits(report, path, keep, budget))
    last = _seal({"format": report.get("format", 1), "stage": report.get("stage"), "usage": report.get("usage")})
    if len(last) > budget:
        raise ValueError("a budget of %d bytes holds no report" % budget)
    return last


def unpack(text: str) -> Report:
    """The report in the first whole envelope of ``text``, whatever stands around it.

    Raises DamagedEnvelopeError where there is none: a report is whole or it is none.
    """
    why = "no envelope in %d bytes" % len(text)
    for found in re.finditer(_ENVELOPE, text):
        length, checksum, body = int(found.group(1)), found.group(2), found.group(3)
        if len(body) < length:
            why = "cut: %d of %d bytes are there" % (len(body), length)
            continue
        body = body[:length]
        if "%08x" % (zlib.crc32(body.encode("ascii")) & 0xFFFFFFFF) != checksum:
            why = "altered: the checksum does not fit"
            continue
        return _open(body)
    raise DamagedEnvelopeError(why)


def _open(body: str) -> Report:
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(binascii.a2b_base64(body), LARGEST_REPORT_BYTES)
        if inflater.unconsumed_tail:
            raise DamagedEnvelopeError("larger than %d bytes" % LARGEST_REPORT_BYTES)
        report = json.loads(raw.decode("utf-8"))
    except (binascii.Error, zlib.error, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DamagedEnvelopeError("not readable: %s" % error) from error
    if not isinstance(report, dict) or report.get("format") != 1:
        raise DamagedEnvelopeError("not a report of format 1")
    return report


def _seal(report: Report) -> bytes:
    raw = json.dumps(report, separators=(",", ":")).encode("ascii")
    body = binascii.b2a_base64(zlib.compress(raw, 9), newline=False)
    return b"%s:%d:%08x:%s" % (MARK.encode("ascii"), len(body), zlib.crc32(body) & 0xFFFFFFFF, body)


def _largest_that_fits(report: Report, path: Path, keep: int, budget: int) -> Report:
    """Cut ``path`` no further than the budget asks: the sizes between ``keep`` and all are tried by halving."""
    low, high = keep, _longest(report, path)
    best = _cut(report, path, keep)
    while low < high:
        middle = (low + high + 1) // 2
        tried = _cut(report, path, middle)
        if len(_seal(tried)) <= budget:
            low, best = middle, tried
        else:
            high = middle - 1
    return best


def _longest(report: Report, path: Path) -> int:
    return max([len(holder[key]) for holder, key in _places(report, path)] + [0])


def _cut(report: Report, path: Path, most: int | None) -> Report:
    """A copy of the report in which what lies at ``path`` has at most ``most`` entries, the rest counted."""
    keep = most or 0
    cut: Report = json.loads(json.dumps(report))
    dropped = 0
    for holder, key in _places(cut, path):
        whole = holder[key]
        if len(whole) <= keep:
            continue
        dropped += len(whole) - keep
        if path == ("table", "sources"):
            cut["table"]["sources_other"] = cut["table"].get("sources_other", 0) + _entries(whole[keep:])
        if path in (("table", "destinations"), ("table", "backends")):
            name = path[1] + "_other"
            cut["table"][name] = cut["table"].get(name, 0) + sum(row[-1] for row in whole[keep:])
        holder[key] = whole[:keep] if isinstance(whole, list) else dict(list(whole.items())[:keep])
        if keep == 0:
            del holder[key]
    if dropped:
        name = ".".join(part for part in path if part != "*")
        cut.setdefault("left_out", {})[name] = cut.get("left_out", {}).get(name, 0) + dropped
    return cut


def _entries(sources: list[dict[str, Any]]) -> int:
    return sum(source["entries"] for source in sources)


def _places(report: Report, path: Path) -> list[tuple[dict[str, Any], str]]:
    """Where ``path`` leads to a list or a dict: (holder, key) pairs; "*" stands for each element of a list."""
    holders: list[dict[str, Any]] = [report]
    for part in path[:-1]:
        if part == "*":
            continue
        found: list[dict[str, Any]] = []
        for holder in holders:
            below = holder.get(part)
            if isinstance(below, dict):
                found.append(below)
            elif isinstance(below, list):
                found.extend(element for element in below if isinstance(element, dict))
        holders = found
    return [(holder, path[-1]) for holder in holders if isinstance(holder.get(path[-1]), (list, dict))]
