"""Numbers and foreign text as people read them: "8,000", "97 %", "11 s", "3 MiB".

Only spelling lives here: nothing in this file knows what a number means. Every function takes any number, however
absurd, because the numbers come from a foreign machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

LARGEST_SPELLED = 10**15  # Beyond this a number from a node is nonsense, and Python refuses to spell very long ones.
LONGEST_FOREIGN_TEXT = 300  # A kernel log line is shorter; a hostile name need not fill the screen.


def count(number: float) -> str:
    """A count with thousands separated: 262,144."""
    if abs(number) > LARGEST_SPELLED:  # Asked first: a very long int does not even fit a float.
        return "absurdly many"
    if math.isnan(number):
        return "an unknown number of"
    return f"{round(number):,}"


def counted(number: float, one: str, many: str) -> str:
    """A count with its noun: "1 packet", "4,310 packets"."""
    return f"{count(number)} {one if number == 1 else many}"


def filled(entries: int, limit: int) -> str:
    """A table's fill: "8,000 of 8,000 entries", "8,527 entries where 8,000 are allowed"."""
    if limit == 0:
        return f"{counted(entries, 'entry', 'entries')}, the kernel sets no limit"
    if is_over(entries, limit):
        return f"{counted(entries, 'entry', 'entries')} where {count(limit)} are allowed"
    return f"{count(entries)} of {count(limit)} entries"


def is_over(entries: int, limit: int) -> bool:
    """Whether there are more entries than the limit, and not only the one or two that wait to be freed."""
    return entries * 100 > limit * 101 > 0


def percent(share: float) -> str:
    """A share of 1 as a percentage. What is not all is never spelled 100 %, and what is not nothing never 0 %."""
    if math.isnan(share):
        return "an unknown part"
    points = share * 100
    if 0 < points < 1:
        return f"{max(points, 0.1):.1f} %"
    if 99 < points < 100:
        return f"{math.floor(points * 10) / 10:.1f} %"
    return f"{count(points)} %"


def points(half_width: float) -> str:
    """Half an interval of shares, as whole percentage points, at least one: "± 1"."""
    if not math.isfinite(half_width):
        return "± ?"
    return f"± {max(1, math.ceil(min(half_width, 1.0) * 100 - 1e-9))}"


def span(seconds: float) -> str:
    """A time span in the unit that a person would use."""
    if math.isnan(seconds):
        return "an unknown time"
    seconds = max(0.0, seconds)
    if 0 < seconds < 1:
        return f"{max(seconds, 0.001) * 1000:.0f} ms" if seconds < 0.1 else f"{seconds:.1f} s"
    for unit, length, upto in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < upto:
            return f"{seconds / length:.0f} {unit}"
    return f"{count(seconds / 86_400)} days"


def milliseconds(seconds: float) -> str:
    """A round trip: "0.4 ms"."""
    return f"{seconds * 1000:.1f} ms" if math.isfinite(seconds) and abs(seconds) < 1e6 else "an unknown time"


def memory(size: float) -> str:
    """A size in MiB, as the price of a limit is given: "3 MiB"."""
    mebibytes = size / 2**20
    return f"{mebibytes:.1f} MiB" if 0 < mebibytes < 1 else f"{count(mebibytes)} MiB"


def listed(parts: Iterable[str], last: str = "and") -> str:
    """A list as it is spoken: "a, b and c"."""
    spoken = list(parts)
    return f" {last} ".join(filter(None, (", ".join(spoken[:-1]), *spoken[-1:])))


def sentence(text: str) -> str:
    """The text with a capital letter first, the rest as it is."""
    return text[:1].upper() + text[1:]


def visible(text: str) -> str:
    r"""Foreign text, quoted as is, with what a terminal would obey made visible (``\x1b``)."""
    shown = "".join(_visible(letter) for letter in text[:LONGEST_FOREIGN_TEXT])
    return shown if len(text) <= LONGEST_FOREIGN_TEXT else shown + " …"


def _visible(letter: str) -> str:
    # Not printable are control characters, the marks that reverse the reading direction, surrogates, odd blanks.
    if letter.isprintable():
        return letter
    code = ord(letter)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
