"""An SSH server in this process that really runs the commands it is given, and forwards where it may.

Its faults can be chosen, so that each way in which a session fails can be seen. It stands in for sshd; what a real one
does differently is tested on the cluster.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import paramiko

from diagnostics.transport.knock import Closable


@dataclass
class Behaviour:
    """What this server does unlike a healthy one."""

    refuses_keys: bool = False
    wants_more: bool = False
    forwards: bool = True
    ignores_commands: bool = False
    closes_at_once: int = 0
    silent_forwards: int = 0
    replaces_commands_with: str | None = None
    says_first: str = ""
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass
class Running:
    """A server that listens. ``commands`` are those it was given, ``forwards`` where it was asked to."""

    port: int
    host_key: paramiko.PKey
    behaviour: Behaviour
    commands: list[str] = field(default_factory=list)
    forwards: list[tuple[str, int]] = field(default_factory=list)
    key_kinds: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def known_hosts_line(self, host: str = "127.0.0.1") -> str:
        return f"[{host}]:{self.port} {self.host_key.get_name()} {self.host_key.get_base64()}\n"


@contextlib.contextmanager
def serving(user_key: paramiko.PKey, behaviour: Behaviour | None = None, user: str = "root") -> Iterator[Running]:
    """An SSH server on 127.0.0.1 that lets ``user`` in with ``user_key``."""
    running = Running(0, new_key(), behaviour or Behaviour())
    with socket.create_server(("127.0.0.1", 0), backlog=32) as listener:
        running.port = listener.getsockname()[1]
        transports: list[paramiko.Transport] = []
        accepting = threading.Thread(target=_accept, args=(listener, running, user, user_key, transports), daemon=True)
        accepting.start()
        try:
            yield running
        finally:
            running.over.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(5)
            for transport in transports:
                transport.close()
                transport.sock.close()


def new_key(path: Path | None = None, kind: str = "ed25519") -> paramiko.PKey:
    """A fresh key made by ssh-keygen, at ``path`` or nowhere."""
    with contextlib.ExitStack() as stack:
        if path is None:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
        return paramiko.PKey.from_path(path)


def _accept(
    listener: socket.socket, running: Running, user: str, key: paramiko.PKey, transports: list[paramiko.Transport]
) -> None:
    while True:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return
        if running.behaviour.closes_at_once > 0:
            running.behaviour.closes_at_once -= 1
            accepted.close()
            continue
        transport = paramiko.Transport(accepted)
        transports.append(transport)
        transport.add_server_key(running.host_key)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            server = _Server(running, user, key)
            transport.start_server(event=threading.Event(), server=server)
            threading.Thread(target=_forward, args=(transport, server), daemon=True).start()


class _Server(paramiko.ServerInterface):
    def __init__(self, running: Running, user: str, key: paramiko.PKey) -> None:
        self._running = running
        self._behaviour = running.behaviour
        self._user = user
        self._key = key
        self.far: dict[int, socket.socket] = {}

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,keyboard-interactive" if self._behaviour.wants_more else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if key.public_blob is not None:
            self._running.key_kinds.append(key.public_blob.key_type)
        if self._behaviour.refuses_keys or username != self._user or key.asbytes() != self._key.asbytes():
            return paramiko.common.AUTH_FAILED
        return (
            paramiko.common.AUTH_PARTIALLY_SUCCESSFUL if self._behaviour.wants_more else paramiko.common.AUTH_SUCCESSFUL
        )

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._running.commands.append(command.decode())
        if self._behaviour.ignores_commands:
            self._running.over.wait(30)
        ran = self._behaviour.replaces_commands_with or command.decode()
        if self._behaviour.says_first:
            ran = f"printf '%s' '{self._behaviour.says_first}'; {ran}"
        threading.Thread(target=_run, args=(channel, ran, self._behaviour.environment), daemon=True).start()
        return True

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        self._running.forwards.append(destination)
        if not self._behaviour.forwards:
            return paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if self._behaviour.silent_forwards > 0:
            self._behaviour.silent_forwards -= 1
            return paramiko.common.OPEN_FAILED_CONNECT_FAILED
        try:
            self.far[chanid] = socket.create_connection(destination, timeout=2)
        except OSError:
            return paramiko.common.OPEN_FAILED_CONNECT_FAILED
        self.far[chanid].settimeout(None)
        return paramiko.common.OPEN_SUCCEEDED


def _run(channel: paramiko.Channel, command: str, environment: dict[str, str]) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        pumps = [
            threading.Thread(target=_pump, args=(_reader(child.stdout), channel.sendall), daemon=True),
            threading.Thread(target=_pump, args=(_reader(child.stderr), channel.sendall_stderr), daemon=True),
        ]
        for pump in pumps:
            pump.start()
        _pump(channel.recv, child.stdin.write)
        with contextlib.suppress(OSError):
            child.stdin.close()
        for pump in pumps:
            pump.join()
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.send_exit_status(child.returncode)
        channel.close()


def _reader(pipe: IO[bytes]) -> Callable[[int], bytes]:
    """What is there, not only when all that was asked for is there."""
    return lambda most: os.read(pipe.fileno(), most)


def _forward(transport: paramiko.Transport, server: _Server) -> None:
    while transport.is_active():
        channel = transport.accept(0.2)
        far = server.far.get(channel.chanid) if channel is not None else None
        if channel is None or far is None:
            continue
        for take, give in ((channel.recv, far.sendall), (far.recv, channel.sendall)):
            threading.Thread(target=_pump, args=(take, give, (channel, far)), daemon=True).start()


def _pump(take: Callable[[int], bytes], give: Callable[[bytes], object], ends: Sequence[Closable] = ()) -> None:
    with contextlib.suppress(OSError, EOFError, ValueError, paramiko.SSHException):
        while piece := take(65536):
            give(piece)
    for end in ends:
        with contextlib.suppress(OSError, EOFError):
            end.close()
