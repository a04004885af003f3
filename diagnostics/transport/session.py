"""One SSH session with many channels: the only door to paramiko.

Importing it takes a third of a second, so ``ssh`` does that when a session is made and not before. Only hosts whose
key is known are spoken to. Every wait has an end: paramiko has several that have none (for the answer to a command,
for its exit status, for standard output while standard error is full). It must not know what the commands are for.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from diagnostics.cluster.faults import plain
from diagnostics.errors import SshError
from diagnostics.transport import Tell, known_hosts
from diagnostics.transport.knock import knock, knock_through
from diagnostics.transport.known_hosts import KnownHosts
from diagnostics.transport.ssh_settings import Door, SshSettings, door

MOST_BYTES = 1024 * 1024  # of an answer; what sends more is not our program
MOST_ERROR_BYTES = 65536
MOST_KEYS = 5  # sshd ends the session at its sixth wrong key (MaxAuthTries)
KEEPALIVE_SECONDS = 15
DEAD_PEER_SECONDS = 20
HANDSHAKE_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.01
HEARTBEAT_SECONDS = 0.5
KNOCK_AGAIN_SECONDS = 0.5  # a host that closes at once must not be hammered: each try costs its full table an entry
RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")
# paramiko 5.1 still offers these.
WEAK_ALGORITHMS = {
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
    "macs": ["hmac-sha1", "hmac-md5", "hmac-sha1-96", "hmac-md5-96"],
}

# What paramiko raises. Its thread hands on whatever a host's bytes made it stumble over: UnicodeDecodeError (a
# ValueError), IndexError, struct.error, TypeError.
FOREIGN = (paramiko.SSHException, EOFError, OSError, ValueError, LookupError, TypeError, struct.error)

# paramiko logs a traceback for each failed handshake; ours come as errors, in words. Who wants the log sets a level.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command said and how it ended. ``status`` is -1 where a signal ended it."""

    status: int
    out: bytes
    err: str


class Session:
    """An authenticated session. Closing it closes the bastion's too."""

    def __init__(self, transport: paramiko.Transport, where: Door, through: Session | None = None) -> None:
        self.where = where
        self._transport = transport
        self._through = through

    def run(self, command: str, stdin: bytes, seconds: float, tell: Tell) -> Ran:
        """Run a command in a channel of its own. Raises SshError where there is no whole answer within ``seconds``.

        What ``tell`` raises ends the wait, and closes the channel.
        """
        deadline = time.monotonic() + seconds
        try:
            with (
                self._given_up_after(seconds),
                contextlib.closing(self._transport.open_session(timeout=seconds)) as channel,
            ):
                channel.settimeout(seconds)
                channel.exec_command(command)
                with contextlib.suppress(OSError):  # a command may end without reading; its answer tells why
                    channel.sendall(stdin)
                    channel.shutdown_write()
                return self._answer(channel, deadline, tell)
        except FOREIGN as error:
            if time.monotonic() >= deadline:
                raise SshError(
                    f"{self.where} let us in, but its command gave no answer within {seconds:.0f} s."
                ) from error
            raise SshError(f"The session with {self.where} broke off ({_words(error)}). Try again.") from error

    def _answer(self, channel: paramiko.Channel, deadline: float, tell: Tell) -> Ran:
        out, err, told = bytearray(), bytearray(), time.monotonic()
        while True:
            # Nothing comes after the end, so what is not there once the end has been seen is not coming.
            is_over = channel.closed or (channel.eof_received and channel.status_event.is_set())
            has_moved = _take(channel, out, err)
            if len(out) > MOST_BYTES or len(err) > MOST_ERROR_BYTES:
                raise SshError(f"{self.where} sent more than {MOST_BYTES} bytes: that is not our program's answer.")
            if is_over and not has_moved:
                return Ran(channel.exit_status, bytes(out), err.decode("utf-8", "replace"))
            if time.monotonic() >= deadline:
                raise EOFError("no end of the answer")
            if time.monotonic() - told >= HEARTBEAT_SECONDS:
                told = time.monotonic()
                tell("")
            if not has_moved:
                time.sleep(LOOK_AGAIN_SECONDS)

    def open_tcp(self, host: str, port: int, patience_seconds: float) -> paramiko.Channel | None:
        """A connection from there to ``host``, or None where ``host`` is silent."""
        try:
            return self._transport.open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=patience_seconds
            )
        except paramiko.ChannelException as error:
            if error.code == paramiko.common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED:
                raise SshError(
                    f"The bastion {self.where} does not forward (AllowTcpForwarding, PermitOpen)."
                ) from error
            if "refused" in error.text.lower():
                raise SshError(
                    f"{host} port {port} refuses connections from the bastion {self.where}. Check the port."
                ) from error
            return None
        except FOREIGN as error:
            if self._transport.is_active():
                return None
            raise SshError(f"The session with the bastion {self.where} broke off ({_words(error)}).") from error

    @contextlib.contextmanager
    def _given_up_after(self, seconds: float) -> Iterator[None]:
        """Close the whole session in the end: some of paramiko's waits know no timeout, and only this ends them."""
        watchdog = threading.Timer(seconds, self._transport.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def close(self) -> None:
        """End the session."""
        _close(self._transport)
        if self._through is not None:
            self._through.close()


def connect(settings: SshSettings, where: Door, tell: Tell) -> Session:
    """A session with ``where``, through the bastion if there is one, within ``connect_seconds`` for each of them.

    Raises SshError, also where the settings cannot work: another way to the node may.
    """
    known = known_hosts.read(settings.known_hosts)
    through = None
    if settings.bastion is not None:
        bastion = door(settings.bastion, settings.user)
        through = _Login(settings, known, bastion, None).session(tell)
        tell(f"logged in to the bastion {bastion}")
    try:
        return _Login(settings, known, where, through).session(tell)
    except BaseException:
        if through is not None:
            through.close()
        raise


@dataclass(slots=True)
class _Login:
    """The way to one session: knock, check the host's key, show ours."""

    settings: SshSettings
    known: KnownHosts
    where: Door
    through: Session | None
    started: float = field(default_factory=time.monotonic)

    def session(self, tell: Tell) -> Session:
        """The authenticated session."""
        with contextlib.ExitStack() as held:
            return self._logged_in(self._keys(held), tell)

    def _logged_in(self, keys: list[paramiko.PKey], tell: Tell) -> Session:
        """Knock again where a connection came through and died before the login: on a full node that happens."""
        while True:
            opened = self._knock(tell)
            transport = paramiko.Transport(opened, disabled_algorithms=WEAK_ALGORITHMS)
            try:
                self._handshake(transport)
                self._check_host_key(transport.get_remote_server_key())
                self._authenticate(transport, keys)
            except (SshError, *FOREIGN) as error:
                _close(transport)
                if isinstance(error, SshError):
                    raise
                if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
                    raise SshError(
                        f"{self.where} offers only algorithms that are unsafe today ({_words(error)})."
                    ) from error
                if self._left() <= 1:
                    raise SshError(
                        f"{self.where} let us connect, but the login broke off ({_words(error)})."
                    ) from error
                tell("")
                time.sleep(KNOCK_AGAIN_SECONDS)
                continue
            transport.set_keepalive(KEEPALIVE_SECONDS)
            return Session(transport, self.where, self.through)

    def _left(self) -> float:
        return self.settings.connect_seconds - (time.monotonic() - self.started)

    def _knock(self, tell: Tell) -> socket.socket | paramiko.Channel:
        host, port = self.where.host, self.where.port
        if self.through is None:
            opened = knock(host, port, seconds=self._left(), tell=tell)
            # Data that nobody acknowledges: without this the kernel would try for a quarter of an hour.
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_SECONDS * 1000)
            return opened
        through = self.through
        return knock_through(
            lambda patience: through.open_tcp(host, port, patience),
            f"{host} port {port} (through the bastion {through.where})",
            self._left(),
            tell,
        )

    def _handshake(self, transport: paramiko.Transport) -> None:
        left = max(1.0, min(HANDSHAKE_SECONDS, self._left()))
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = left
        transport.channel_timeout = left
        # The kinds of keys that are known come first, or the host would show another one, which nobody knows.
        kinds = [kind for key in self.known.of(self.where.host, self.where.port) for kind in _signatures(key.kind)]
        offered = transport.get_security_options()
        offered.key_types = sorted(offered.key_types, key=lambda kind: kind not in kinds)
        transport.start_client(timeout=left)

    def _check_host_key(self, shown: paramiko.PKey) -> None:
        keys = self.known.of(self.where.host, self.where.port)
        files = ", ".join(str(path) for path in self.known.paths)
        if shown.asbytes() in self.known.revoked:
            raise SshError(f"{self.where} shows a host key that {files} marks as revoked. Do not log in there.")
        if shown.asbytes() in {key.blob for key in keys}:
            return
        if keys:
            raise SshError(
                f"The host key of {self.where} has changed: it shows {shown.fingerprint}, and {keys[0].where} knows "
                "another. Someone may be listening in, or the node was reinstalled. Compare the fingerprint on the "
                "node's console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) before you replace that line."
            )
        raise SshError(
            f"The host key of {self.where} is not known: it shows {shown.get_name()} {shown.fingerprint}, and no line "
            f"for {known_hosts.spelled(self.where.host, self.where.port)} is in {files}. Compare the fingerprint on "
            "the node's console, then add the line."
        )

    def _authenticate(self, transport: paramiko.Transport, keys: list[paramiko.PKey]) -> None:
        for key in keys[:MOST_KEYS]:
            try:
                more = transport.auth_publickey(self.where.user, key)
            except paramiko.AuthenticationException:
                continue
            if more:
                raise SshError(f"{self.where} wants {' and '.join(more)} after the key: a bot has only keys.")
            return
        tried = ", ".join(f"{key.get_name()} {key.fingerprint}" for key in keys[:MOST_KEYS])
        raise SshError(
            f"{self.where} refuses our key ({tried}). Check the user, and that the key is in its authorized_keys"
            f"{'; only the first ' + str(MOST_KEYS) + ' keys of the agent are tried' if len(keys) > MOST_KEYS else ''}."
        )

    def _keys(self, held: contextlib.ExitStack) -> list[paramiko.PKey]:
        """The key of the file, then those of the agent, which signs only as long as it is held."""
        keys: list[paramiko.PKey] = []
        path = self.settings.key_file.expanduser() if self.settings.key_file is not None else None
        locked = ""
        if path is not None:
            try:
                keys.append(_key_of(path, self.settings.certificate))
            except (TypeError, paramiko.PasswordRequiredException):  # cryptography's own word for "no password given"
                locked = f"The key {path} has a passphrase: add it to the agent (ssh-add {path}), or use one without."
        if self.settings.agent:
            with contextlib.suppress(paramiko.SSHException, OSError):
                agent = paramiko.Agent()
                held.callback(agent.close)
                keys += agent.get_keys()
        if not keys:
            raise SshError(locked or "There is no key to log in with: name a key file, or start an SSH agent.")
        return keys


def _take(channel: paramiko.Channel, out: bytearray, err: bytearray) -> bool:
    """Take what is there, and whether anything was. Standard error too: a full one would stop the command."""
    before = len(out) + len(err)
    if channel.recv_ready():
        out += channel.recv(65536)
    if channel.recv_stderr_ready():
        err += channel.recv_stderr(65536)
    return len(out) + len(err) > before


def _close(transport: paramiko.Transport) -> None:
    """Close the socket too: a Transport that has died of itself leaves it open (paramiko 5.1)."""
    transport.close()
    transport.sock.close()


def _signatures(kind: str) -> tuple[str, ...]:
    return RSA_SIGNATURES if kind == "ssh-rsa" else (kind,)


def _key_of(path: Path, certificate: Path | None) -> paramiko.PKey:
    try:
        key = paramiko.PKey.from_path(path)
        if certificate is not None:
            key.load_certificate(str(certificate.expanduser()))
    except OSError as error:
        raise SshError(f"The file {error.filename or path} cannot be read ({error.strerror}).") from error
    except (ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        raise SshError(f"{path} is no key that can be used ({_words(error)}).") from error
    return key


def _words(error: BaseException) -> str:
    """A foreign error's text may be the other machine's: it is made plain."""
    return plain(str(error) or type(error).__name__)
