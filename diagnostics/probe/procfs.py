"""Small files of the kernel: read within bounds, with a plain reason where one cannot be read.

The door between the probe and /proc and /sys. It must not know what a file means: that is for its callers, whose
parsers are pure. ``root`` is where the file tree begins, so that tests can lay out a machine of their own.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Iterator, List, Optional

SMALL_FILE_BYTES = 65536
LONGEST_LINE_BYTES = 8192
LARGEST_NUMBER = 2**63 - 1  # what a report may hold; a sysctl is at most 64 bits wide

_PLAIN = {
    errno.ENOENT: "not there",
    errno.EACCES: "not permitted",
    errno.EPERM: "not permitted",
    errno.EISDIR: "not a file",
}


class Unreadable(Exception):  # noqa: N818  # it names a state of the node, and is no fault of the program
    """A fact that could not be read. The text says why, in a few words."""


def place(root: str, path: str) -> str:
    """Where ``path`` lies below ``root``."""
    return os.path.join(root, path.lstrip("/"))


def why(error: OSError) -> str:
    """An operating system error in plain words."""
    number = error.errno or 0
    return _PLAIN.get(number) or (os.strerror(number) if number else str(error))


def text(root: str, path: str, limit: int = SMALL_FILE_BYTES) -> str:
    """The first ``limit`` bytes of a file, as text; bytes that are no ASCII become "?"."""
    try:
        with open(place(root, path), "rb", buffering=0) as opened:
            return _read(opened.fileno(), limit).decode("ascii", "replace").replace("\ufffd", "?")
    except OSError as error:
        raise Unreadable("%s: %s" % (path, why(error))) from error


def _read(descriptor: int, limit: int) -> bytes:
    parts = []  # type: List[bytes]
    left = limit
    while left > 0:
        part = os.read(descriptor, min(left, SMALL_FILE_BYTES))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def lines(root: str, path: str, limit: int) -> Iterator[str]:
    """The lines of a long file, streamed, until ``limit`` bytes have been read. A line is cut where it is absurd."""
    try:
        with open(place(root, path), "rb", buffering=SMALL_FILE_BYTES) as opened:
            while limit > 0:
                line = opened.readline(LONGEST_LINE_BYTES)
                if not line:
                    return
                limit -= len(line)
                yield line.decode("ascii", "replace")
    except OSError as error:
        raise Unreadable("%s: %s" % (path, why(error))) from error


def whole_number(word: str, base: int = 10) -> Optional[int]:
    """A count as the kernel prints it. None where it is none: garbage, negative, or wider than 64 bits."""
    word = word.strip()
    if not word.isalnum() or len(word) > 20:
        return None
    try:
        value = int(word, base)
    except ValueError:
        return None
    return value if 0 <= value <= LARGEST_NUMBER else None


def number(root: str, path: str) -> Optional[int]:
    """The one number in a sysctl file; None where the file is missing or holds something else."""
    try:
        return whole_number(text(root, path, 64))
    except Unreadable:
        return None


def names(root: str, path: str) -> List[str]:
    """What a folder holds, sorted."""
    try:
        return sorted(os.listdir(place(root, path)))
    except OSError as error:
        raise Unreadable("%s: %s" % (path, why(error))) from error
