"""Getting a connection to a node that drops most new ones: many fresh tries, each with little patience.

A retransmitted SYN has the same addresses and ports, so it meets the same full hash buckets again, with the same
fate; a fresh socket has a new source port and a new chance (kernel: ``early_drop`` searches the buckets of the new
tuple only). Measured on a full node: 20 of 20 sessions within 20 s, against 4 of 10 within 40 s for one ordinary
connect. It must not know what the connection is for, nor any SSH library; SSH, its only user, decides that.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import queue
import select
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import closing
from itertools import count, cycle
from typing import Generic, Protocol, TypeVar

from diagnostics.errors import SshError
from diagnostics.transport import Tell

PATIENCE_SECONDS = 0.3
# Nobody tells us the round trip before the first answer, and a far host would be given up on for ever: so patience
# doubles with every two seconds of silence. The price is that up to 240 sockets wait at a time.
LONGEST_PATIENCE_SECONDS = 1.2
DOUBLES_AFTER_SECONDS = 2.0
# A slot that becomes free goes to whoever comes first, and the pod that fills the table comes hundreds of times a
# second. So after some silence we knock more often. Measured against 800 connections a second, while a table full of
# TIME_WAIT lets one knock of some 2,500 in: at 200 a second it took 11 s on average and up to 25 s, at 1,000 a second
# 3 s and up to 13 s. A thousand SYNs are 60 kB.
QUICKER_AFTER_SECONDS = 2.0
QUICKER_PER_SECOND = 1000
# Every knock leaves an entry of 120 s in the conntrack table of the machine that knocks, which may be a node too. So
# there are so many of them at most: after that, the ports of earlier knocks are used again.
FRESH_PORTS_AT_MOST = 4000
# Of the many knocks only these may wait long, so that the sockets that wait stay below a process's usual 1,024.
PATIENT_PER_SECOND = 200
# One refusal may be a router's hiccup. This many for each address, with no silence between them, are an answer.
REFUSALS_THAT_SETTLE_IT = 5
# A channel through a bastion needs a thread while it opens; ten of them make about 30 knocks a second.
KNOCKERS_THROUGH_A_BASTION = 10

Address = tuple[int, tuple[str | int, int] | tuple[str | int, int, int, int] | tuple[int, bytes]]


class Closable(Protocol):
    """What a knock opens."""

    def close(self) -> None:
        """Let go of it."""


T = TypeVar("T", bound=Closable)


def knock(
    host: str,
    port: int,
    seconds: float = 25.0,
    per_second: int = 40,
    patience_seconds: float = PATIENCE_SECONDS,
    tell: Tell | None = None,
) -> socket.socket:
    """The first of many fresh TCP connections to come through, in blocking mode; the others are closed.

    Raises SshError when ``seconds`` have passed, or at once when every address of the host refuses.
    """
    addresses = _addresses(host, port)
    turns = cycle(addresses)
    started, told = time.monotonic(), 1
    with closing(_Knocks()) as knocks:
        while (elapsed := time.monotonic() - started) < seconds and not knocks.are_all_refused(len(addresses)):
            if knocks.count <= _due(elapsed, per_second):
                knocks.knock(next(turns), _patience(elapsed, patience_seconds, knocks.count))
            if tell is not None and elapsed >= told:
                told += 1
                tell(f"knocking at {host} port {port}: {knocks.count} times, no answer yet")
            opened = knocks.wait(0.0 if knocks.count <= _due(elapsed, per_second) else _pause(elapsed, per_second))
            if opened is not None:
                return opened
        raise SshError(_why_not(f"{host} port {port}", knocks, time.monotonic() - started))


def knock_through(open_one: Callable[[float], T | None], where: str, seconds: float, tell: Tell | None = None) -> T:
    """The first of many tries of ``open_one``, where each try takes a thread (channels through a bastion).

    ``open_one`` gets its patience in seconds; it returns None for silence, and raises SshError where there is no use
    in trying again. What opens after the first is closed.
    """
    race = _Race[T](where, seconds)
    for place in range(KNOCKERS_THROUGH_A_BASTION):
        # A thread that still waits when the race is over must not hold up the winner, nor the end of the program.
        threading.Thread(target=race.run, args=(open_one, place), daemon=True, name=f"knock-{place}").start()
    return race.winner(tell)


def _addresses(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SshError(
            f"No address is known for the name {host} ({error}). Check the name, or give an address."
        ) from error
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))


def _due(elapsed_seconds: float, per_second: int) -> float:
    """How many knocks there should have been."""
    slow = min(elapsed_seconds, QUICKER_AFTER_SECONDS)
    return per_second * slow + QUICKER_PER_SECOND * (elapsed_seconds - slow)


def _pause(elapsed_seconds: float, per_second: int) -> float:
    """Half the time between two knocks: how long to listen when none is due."""
    return 0.5 / (per_second if elapsed_seconds < QUICKER_AFTER_SECONDS else QUICKER_PER_SECOND)


def _patience(elapsed_seconds: float, least_seconds: float, count: int = 0) -> float:
    """How long a knock is waited for. Among the many, one of some waits long: the host may be far away."""
    if elapsed_seconds > QUICKER_AFTER_SECONDS and count % (QUICKER_PER_SECOND // PATIENT_PER_SECOND):
        return least_seconds
    doublings = int(elapsed_seconds / DOUBLES_AFTER_SECONDS)
    return max(least_seconds, min(LONGEST_PATIENCE_SECONDS, least_seconds * 2.0**doublings))


class _Knocks:
    """The sockets that have knocked and wait, by descriptor, and what became of the others."""

    def __init__(self) -> None:
        self.count = 0
        self.silent = 0
        self.failures: Counter[int] = Counter()
        self._poll = select.epoll()
        self._waiting: dict[int, socket.socket] = {}
        self._ends: list[tuple[float, int, int]] = []  # a heap: until when, which knock, its descriptor
        self._numbers: dict[int, int] = {}
        self._used_ports: deque[int] = deque()

    def are_all_refused(self, addresses: int) -> bool:
        return self.silent == 0 and self.failures.total() >= REFUSALS_THAT_SETTLE_IT * addresses

    def knock(self, address: Address, patience_seconds: float) -> None:
        self.count += 1
        family, where = address
        try:
            fresh = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no descriptors left, or no IPv6 on this machine
            self.failures[error.errno or errno.EIO] += 1
            return
        fresh.setblocking(False)
        self._use_a_port_again(fresh)
        answer = fresh.connect_ex(where)
        if answer not in (0, errno.EINPROGRESS):
            self.failures[answer] += 1
            fresh.close()
            return
        number = fresh.fileno()
        self._poll.register(number, select.EPOLLOUT)
        self._waiting[number], self._numbers[number] = fresh, self.count
        heapq.heappush(self._ends, (time.monotonic() + patience_seconds, self.count, number))

    def _use_a_port_again(self, fresh: socket.socket) -> None:
        if self.count > FRESH_PORTS_AT_MOST and self._used_ports:
            with contextlib.suppress(OSError):  # somebody else has taken it: then a fresh one it is
                fresh.bind(("", self._used_ports.popleft()))

    def wait(self, seconds: float) -> socket.socket | None:
        """The connection that came through, if one does within ``seconds``; those too long silent are let go."""
        came_through = None
        for number, _ in self._poll.poll(seconds):
            knocked = self._waiting[number]
            error = knocked.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error == 0 and came_through is None:
                came_through = self._taken_out(number)
            else:
                self._let_go(number, error)
        now = time.monotonic()
        while self._ends and self._ends[0][0] <= now:
            _, knock_number, number = heapq.heappop(self._ends)
            if self._numbers.get(number) == knock_number:  # otherwise the descriptor is another knock's by now
                self._let_go(number, None)
        if came_through is not None:
            came_through.setblocking(True)
        return came_through

    def _taken_out(self, number: int) -> socket.socket:
        self._poll.unregister(number)
        del self._numbers[number]
        return self._waiting.pop(number)

    def _let_go(self, number: int, error: int | None) -> None:
        knocked = self._taken_out(number)
        if error is None:
            self.silent += 1
            self._used_ports.append(knocked.getsockname()[1])
        elif error != 0:
            self.failures[error] += 1
        if error == 0:  # a second winner: by a reset its entry lives for 10 s on the full node, and not for 120
            knocked.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        knocked.close()

    def close(self) -> None:
        for one in self._waiting.values():
            one.close()
        self._poll.close()


def _why_not(where: str, knocks: _Knocks, elapsed_seconds: float) -> str:
    if not knocks.silent and knocks.failures:
        return _refusal(where, knocks.failures.most_common(1)[0][0])
    also = ", ".join(f"{count} failed: {os.strerror(code)}" for code, count in knocks.failures.most_common(2))
    return _silence(where, knocks.count, elapsed_seconds, also)


def _refusal(where: str, error: int) -> str:
    if error == errno.ECONNREFUSED:
        return f"{where} refuses connections: no SSH server listens there, or a firewall rejects us. Check the port."
    if error in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return f"{where} cannot be reached ({os.strerror(error)}). Check the address, and whether the node is up."
    return (
        f"No connection to {where} could be opened from this machine ({os.strerror(error)}). Check this machine first."
    )


def _silence(where: str, knocks: int, elapsed_seconds: float, also: str = "") -> str:
    return (
        f"{where} answered none of {knocks} knocks within {elapsed_seconds:.0f} s{f' ({also})' if also else ''}: "
        "the node drops every new connection, or is down, or a firewall is in between. "
        "Treat its conntrack table as full, and look through a debug pod (--via pod) or on its console."
    )


class _Race(Generic[T]):
    """Several threads that knock until one has come through, somebody knows better, or the time is over."""

    def __init__(self, where: str, seconds: float) -> None:
        self._where = where
        self._seconds = seconds
        self._started = time.monotonic()
        self._knocks = count(1)
        self._last_knock = 0
        self._is_over = threading.Event()
        self._may_win = threading.Lock()  # taken once, by the winner or by the end of the race
        self._results: queue.SimpleQueue[T | SshError] = queue.SimpleQueue()

    def run(self, open_one: Callable[[float], T | None], place: int) -> None:
        self._is_over.wait(place / 40)  # staggered, so that a healthy node gets one or two knocks and not ten
        while not self._is_over.is_set():
            self._last_knock = next(self._knocks)
            try:
                opened = open_one(_patience(self._elapsed(), PATIENCE_SECONDS))
            except SshError as error:
                self._results.put(error)
                return
            if opened is None:
                continue
            if self._may_win.acquire(blocking=False):
                self._results.put(opened)
            else:
                opened.close()
            return

    def winner(self, tell: Tell | None) -> T:
        try:
            result = self._first(tell)
        finally:
            self._is_over.set()
        if result is None and self._may_win.acquire(blocking=False):
            raise SshError(_silence(self._where, self._last_knock, self._elapsed()))
        if result is None:  # it came through in the very last moment
            result = self._results.get()
        if isinstance(result, SshError):
            raise result
        return result

    def _first(self, tell: Tell | None) -> T | SshError | None:
        while self._elapsed() < self._seconds:
            try:
                return self._results.get(timeout=min(1.0, max(0.01, self._seconds - self._elapsed())))
            except queue.Empty:
                if tell is not None:
                    tell(f"knocking at {self._where}: {self._last_knock} times, no answer yet")
        return None

    def _elapsed(self) -> float:
        return time.monotonic() - self._started
