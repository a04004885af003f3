"""SSH servers that mean us harm: each ends in a sentence, in time, and with none of their bytes on a terminal."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from diagnostics.errors import SshError
from diagnostics.transport import Order
from diagnostics.transport.ssh import SshSettings, SshTransport
from tests.fakes.sshd import Behaviour, new_key, serving

QUICK = Order(ping="127.0.0.1", watch_seconds=0.1, sample_entries=50, deadline_seconds=20)
ESCAPES = "\x1b]0;owned\x07\x1b[2J"


def packet(payload: bytes) -> bytes:
    """An unencrypted packet of the SSH protocol (RFC 4253, section 6)."""
    padding = 16 - (len(payload) + 5) % 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


@contextlib.contextmanager
def shouting(words: bytes) -> Iterator[int]:
    """A server that sends these bytes to whoever connects, and then says nothing more; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])
                    held[-1].sendall(words)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for one in held:
            one.close()


def settings_for(port: int, folder: Path) -> SshSettings:
    new_key(folder / "key")
    (folder / "known_hosts").write_text("")
    known = (folder / "known_hosts",)
    return SshSettings(known_hosts=known, port=port, key_file=folder / "key", agent=False, connect_seconds=2)


def refusal(settings: SshSettings) -> str:
    with pytest.raises(SshError) as caught:
        list(SshTransport(settings, "127.0.0.1").look(QUICK, lambda says: None))
    return str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(b"", id="silence"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n" * 200, id="not SSH at all"),
        pytest.param(b"SSH-9" + ESCAPES.encode() + b"\r\n", id="a version that is an escape sequence"),
        pytest.param(b"SSH-2.0-x\r\n" + packet(b"\x14" + bytes(16) + b"\0\0\0\4\xff\xfe\xfd\xfc"), id="not text"),
        pytest.param(b"SSH-2.0-x\r\n" + packet(b"\x14" + bytes(3)), id="a cut packet"),
        pytest.param(b"SSH-2.0-x\r\n" + b"\xff" * 64, id="a packet of 4 GiB"),
        pytest.param(
            b"SSH-2.0-x\r\n" + packet(b"\x14" + bytes(16) + (b"\0\0\0\x15" + ESCAPES[:16].encode() + b"hello") * 10),
            id="algorithms that are escape sequences",
        ),
        pytest.param(
            b"SSH-2.0-x\r\n" + packet(b"\x01\0\0\0\2" + struct.pack(">I", len(ESCAPES)) + ESCAPES.encode() + bytes(4)),
            id="a farewell with escape sequences",
        ),
    ],
)
def test_a_server_that_breaks_the_protocol_ends_in_a_sentence(words: bytes, tmp_path: Path) -> None:
    began = time.monotonic()
    with shouting(words) as port:
        says = refusal(settings_for(port, tmp_path))
    assert says.isprintable()
    assert len(says) < 500
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("cat >/dev/null; yes flood | head -c 30000000", id="a flood"),
        pytest.param("cat >/dev/null; yes flood | head -c 30000000 >&2", id="a flood of errors"),
        pytest.param(f"cat >/dev/null; printf '%s' '{ESCAPES}' >&2; exit 9", id="escape sequences"),
        pytest.param(f"cat >/dev/null; printf 'uid=0\\nsudo={ESCAPES}\\n'", id="half an answer"),
    ],
)
def test_a_host_that_answers_with_something_else_ends_in_a_sentence(command: str, tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    with serving(key, Behaviour(replaces_commands_with=command)) as server:
        settings = replace(settings_for_key(tmp_path), port=server.port)
        (tmp_path / "known_hosts").write_text(server.known_hosts_line())
        says = refusal(settings)
    assert says.isprintable()
    assert len(says) < 500


def settings_for_key(folder: Path) -> SshSettings:
    return SshSettings(known_hosts=(folder / "known_hosts",), key_file=folder / "key", agent=False, connect_seconds=3)


def test_words_of_a_login_shell_before_our_answer_do_no_harm(tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    wrapper = tmp_path / "python"
    wrapper.write_text('#!/bin/sh\necho noise; echo more noise >&2\nexec /usr/bin/python3 "$@"\n')
    wrapper.chmod(0o755)
    with serving(key, Behaviour(says_first="Welcome! uid=1000 ")) as server:
        (tmp_path / "known_hosts").write_text(server.known_hosts_line())
        settings = replace(settings_for_key(tmp_path), port=server.port)
        transport = SshTransport(settings, "127.0.0.1", interpreters=(str(wrapper),))
        reports = list(transport.look(QUICK, lambda says: None))
    assert [report["stage"] for report in reports] == ["look", "watch"]
    assert "table" in reports[0]


def test_a_host_that_closes_every_connection_is_not_hammered(tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    behaviour = Behaviour(closes_at_once=10_000)
    with serving(key, behaviour) as server:
        settings = replace(settings_for_key(tmp_path), port=server.port)
        (tmp_path / "known_hosts").write_text(server.known_hosts_line())
        assert "the login broke off" in refusal(settings)
    assert 2 <= 10_000 - behaviour.closes_at_once <= 10
