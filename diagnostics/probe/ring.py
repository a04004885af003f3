"""The kernel log's lines about conntrack, in every form that kernels print them.

A line is a hint and no proof: it may be old, rate-limited away, or of another network namespace. So each comes with its
time and namespace, and with the time of the oldest line that the buffer still holds. "Not permitted" is told apart from
"no line". It must not know what the lines mean for a verdict.
"""

from __future__ import annotations

import os
import re
import time

from diagnostics.probe.procfs import Unreadable, place, whole_number, why

TYPE_CHECKING = False  # the module typing costs start time
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple

    Line = Tuple[Optional[float], str]  # seconds since boot, None where the line has no time; text
    Hit = Tuple[Optional[float], str, Optional[int]]

NOT_PERMITTED = "not permitted: needs CAP_SYSLOG"
MOST_BYTES = 2 * 1024 * 1024  # the newest part of the buffer; distributions have 128 KiB to 1 MiB
MOST_LINES_SHOWN = 5
LONGEST_LINE_SHOWN = 200
_MOST_SECONDS = 2.0

# Every spelling since 2.6 (the double prefix is pr_fmt and the text's own). Compiled when a line needs it: patterns are
# what costs most in this program's start.
TABLE_FULL = r"\b(?:nf|ip)_conntrack: (?:nf_conntrack: )?table full(?: in netns (\d+))?,? dropping packet"
_RELATED = {
    "neighbour": ("neighbor table overflow", "neighbour table overflow"),
    "tcp_memory": ("tcp: out of memory", "out of socket memory", "orphaned sockets"),
    "syn_flooding": ("possible syn flooding",),
}
_MARKS = ("table full", "callbacks suppressed", *(form for forms in _RELATED.values() for form in forms))


def lines(root: str = "/") -> List[Line]:
    """The kernel log, oldest line first. Raises Unreadable where it may not be read.

    By klogctl(3) first: /dev/kmsg is missing in containers without privileges. Its lines bear no time where printk.time
    is off, but the records of /dev/kmsg always do.
    """
    if root != "/":
        return _records(root)
    try:
        found = lines_of(telling(_klogctl()))
    except OSError as error:
        try:
            return _records(root)
        except Unreadable:
            raise Unreadable(NOT_PERMITTED if error.errno in (1, 13) else "klogctl: %s" % why(error)) from error
    if found and all(at is None for at, _ in found):
        try:
            return _records(root)
        except Unreadable:
            return found
    return found


def _klogctl() -> str:
    """The kernel's buffer by syslog(2), action 3 (SYSLOG_ACTION_READ_ALL); action 10 gives its size. Clears nothing."""
    import ctypes  # noqa: PLC0415  # costs start time, and is needed here only

    libc = ctypes.CDLL(None, use_errno=True)
    size = libc.klogctl(10, None, 0)
    if size < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    room = ctypes.create_string_buffer(min(max(size, 4096), MOST_BYTES))
    length = libc.klogctl(3, room, len(room))
    if length < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return room.raw[:length].decode("ascii", "replace")


def _records(root: str) -> List[Line]:
    """The records of /dev/kmsg: each read gives one, until there is none left (EAGAIN)."""
    path = place(root, "/dev/kmsg")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError as error:
        raise Unreadable(NOT_PERMITTED) from error
    except OSError as error:
        raise Unreadable("/dev/kmsg: %s" % why(error)) from error
    try:
        return records_of("".join(_chunks(descriptor)))
    finally:
        os.close(descriptor)


def _chunks(descriptor: int) -> Iterator[str]:
    end = time.monotonic() + _MOST_SECONDS
    read = 0
    while read < MOST_BYTES and time.monotonic() < end:
        try:
            chunk = os.read(descriptor, 8192)
        except BrokenPipeError:
            continue  # the oldest record was overwritten meanwhile; the next read gives the next one
        except OSError:
            return
        if not chunk:
            return
        read += len(chunk)
        yield chunk.decode("ascii", "replace")


def telling(buffer: str) -> str:
    """The lines that may say something, and the first one, whose time says how far back the log reaches.

    Most of a log is about other things, and to read the times of all its lines costs more than all other facts.
    """
    low = buffer.lower()
    starts = {0}
    for mark in _MARKS:
        at = low.find(mark)
        while at >= 0:
            starts.add(low.rfind("\n", 0, at) + 1)
            at = low.find(mark, _end_of_line(low, at))
    return "\n".join(buffer[start : _end_of_line(buffer, start)] for start in sorted(starts))


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def lines_of(buffer: str) -> List[Line]:
    """Lines as klogctl(3) or ``dmesg`` give them."""
    return [_line(line) for line in buffer.split("\n") if line]


def _line(line: str) -> Line:
    # "<4>[ 2609.687571] text". Without a time where printk.time is off, with a caller ("[   T12]" or "[    C0]") after
    # it where CONFIG_PRINTK_CALLER is set; dmesg leaves out the priority.
    if line.startswith("<"):
        line = line.partition(">")[2]
    if not line.startswith("["):
        return None, line.lstrip()
    stamp, _, words = line[1:].partition("]")
    at = seconds_of(stamp)
    if at is None:
        return None, line  # a text that begins with a bracket, such as "[drm] Initialized"
    if words.startswith("["):
        words = words.partition("]")[2]
    return at, words.lstrip()


def seconds_of(stamp: str) -> Optional[float]:
    """The seconds since boot in "  2609.687571"; None where it is something else."""
    whole, dot, part = stamp.strip().partition(".")
    if not dot or not (whole.isdecimal() and part.isdecimal()) or len(whole) > 12 or len(part) > 9:
        return None
    return float(whole + dot + part)


def records_of(records: str) -> List[Line]:
    """Lines of /dev/kmsg: "priority,sequence,microseconds since boot,flags;text"; others continue a record."""
    found: List[Line] = []
    for line in records.split("\n"):
        head, semicolon, words = line.partition(";")
        fields = head.split(",")
        microseconds = whole_number(fields[2]) if semicolon and len(fields) > 3 else None
        if microseconds is not None:
            found.append((microseconds / 1e6, words))
    return found


def summary(
    log: List[Line], own_netns: Optional[int], is_init_netns: Optional[bool], names_netns: bool
) -> Dict[str, Any]:
    """The log's lines about conntrack as the report holds them.

    A line that names a namespace is the node's own if it names ``own_netns``. One that names none is the initial
    namespace's where the kernel names all others (``names_netns``, or any line of this log does), and may be anyone's
    on older kernels: then it counts as the node's own. ``undated`` lines count, but have no time.
    """
    full = [(at, words, re.search(TABLE_FULL, words)) for at, words in log if "table full" in words]
    hits = [(at, words, whole_number(found.group(1) or "")) for at, words, found in full if found]
    names_netns = names_netns or any(netns is not None for _, _, netns in hits)
    unnamed_is_own = not (names_netns and is_init_netns is False)
    own = [hit for hit in hits if hit[2] == own_netns or (hit[2] is None and unnamed_is_own)]
    times = [at for at, _ in log if at is not None]
    own_times = [at for at, _, _ in own if at is not None]
    result = {
        "lines": _shown(hits, own),
        "table_full": len(own),
        "other_netns": len(hits) - len(own),
        "suppressed": sum(suppressed(words) for _, words in log if "callbacks suppressed" in words),
        "last_at": max(own_times) if own_times else None,
        "first_at": min(times) if times else None,
        "related": _related(log),
    }  # type: Dict[str, Any]
    if len(own_times) < len(own):
        result["undated"] = len(own) - len(own_times)
    return result


def suppressed(words: str) -> int:
    """The number in "net_ratelimit: 1203 callbacks suppressed" ("__ratelimit" on old kernels), which hides any line."""
    before, after, _ = words.partition(" callbacks suppressed")
    limiter, _, count = before.rpartition(": ")
    return whole_number(count) or 0 if after and limiter.endswith(("net_ratelimit", "__ratelimit")) else 0


def _related(log: List[Line]) -> Dict[str, int]:
    texts = [words.lower() for _, words in log if "table full" not in words and "callbacks suppressed" not in words]
    return {name: sum(1 for words in texts if any(form in words for form in forms)) for name, forms in _RELATED.items()}


def _shown(hits: List[Hit], own: List[Hit]) -> List[Dict[str, Any]]:
    """The newest dated lines: the node's own if there are any, else those of other namespaces."""
    dated = [hit for hit in own or hits if hit[0] is not None]
    return [
        {"at": at, "netns": netns, "text": words[:LONGEST_LINE_SHOWN]} for at, words, netns in dated[-MOST_LINES_SHOWN:]
    ]
