"""Getting a connection to a node that drops most new ones: many fresh tries, each with little patience.

A retransmitted SYN has the same addresses and ports, so it meets the same full hash buckets again, with the same
fate; a fresh socket has a new source port and a new chance (kernel: ``early_drop`` searches the buckets of the new
tuple only). Measured on a full node: 15 of 15 connections within 20 s, against 4 of 10 within 40 s for one ordinary
connect. It must not know what the connection is for, nor any SSH library; SSH, its only user, decides that.
"""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
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
# second. So after some silence we knock more often. Measured against 800 connections a second: at 40 knocks a second
# three sessions of twenty were not to be had within 20 s, and once 36 s passed before a slot was ours.
QUICKER_AFTER_SECONDS = 2.0
QUICKER_TIMES = 5
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
                knocks.knock(next(turns), _patience(elapsed, patience_seconds))
            if tell is not None and elapsed >= told:
                told += 1
                tell(f"knocking at {host} port {port}: {knocks.count} times, no answer yet")
            opened = knocks.wait(0.0 if knocks.count <= _due(elapsed, per_second) else 0.5 / per_second)
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
    return per_second * (elapsed_seconds + max(0.0, elapsed_seconds - QUICKER_AFTER_SECONDS) * (QUICKER_TIMES - 1))


def _patience(elapsed_seconds: float, least_seconds: float) -> float:
    doublings = int(elapsed_seconds / DOUBLES_AFTER_SECONDS)
    return max(least_seconds, min(LONGEST_PATIENCE_SECONDS, least_seconds * 2.0**doublings))


@dataclass(frozen=True, slots=True)
class _Waiting:
    socket: socket.socket
    until: float


class _Knocks:
    """The sockets that have knocked: those not answered yet, the oldest first, and what became of the others."""

    def __init__(self) -> None:
        self.count = 0
        self.silent = 0
        self.failures: Counter[int] = Counter()
        self._selector = selectors.DefaultSelector()
        self._waiting: deque[_Waiting] = deque()

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
        answer = fresh.connect_ex(where)
        if answer not in (0, errno.EINPROGRESS):
            self.failures[answer] += 1
            fresh.close()
            return
        self._selector.register(fresh, selectors.EVENT_WRITE)
        self._waiting.append(_Waiting(fresh, time.monotonic() + patience_seconds))

    def wait(self, seconds: float) -> socket.socket | None:
        """The connection that came through, if one does within ``seconds``; those too long silent are let go."""
        ready = {key.fd for key, _ in self._selector.select(seconds)}
        now = time.monotonic()
        still_waiting: deque[_Waiting] = deque()
        came_through = None
        for one in self._waiting:
            error = one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if one.socket.fileno() in ready else None
            if error == 0 and came_through is None:
                self._selector.unregister(one.socket)
                came_through = one.socket
            elif error is None and one.until > now:
                still_waiting.append(one)
            else:
                self._let_go(one.socket, error)
        self._waiting = still_waiting
        if came_through is not None:
            came_through.setblocking(True)
        return came_through

    def _let_go(self, knocked: socket.socket, error: int | None) -> None:
        if error is None:
            self.silent += 1
        elif error != 0:
            self.failures[error] += 1
        self._selector.unregister(knocked)
        if error == 0:  # a second winner: by a reset its entry lives for 10 s on the full node, and not for 120
            knocked.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        knocked.close()

    def close(self) -> None:
        for one in self._waiting:
            one.socket.close()
        self._selector.close()


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
