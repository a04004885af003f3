"""SSH: who is spoken to, with which key, and what a person reads when it does not work."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from diagnostics.errors import ConfigurationError, SshError
from diagnostics.transport import Order, Report
from diagnostics.transport.session import connect
from diagnostics.transport.ssh import SshSettings, SshTransport
from diagnostics.transport.ssh_settings import Door, door
from tests.fakes.sshd import Behaviour, Running, new_key, serving

QUICK = Order(ping="127.0.0.1", watch_seconds=0.1, sample_entries=50, deadline_seconds=20)


def no_progress(says: str) -> None:
    """Nobody watches."""


class Machine:
    """A server, and the settings with which it can be logged in to."""

    def __init__(self, server: Running, settings: SshSettings, folder: Path) -> None:
        self.server = server
        self.settings = settings
        self.folder = folder

    def with_known_hosts(self, text: str) -> SshSettings:
        path = self.folder / "other_known_hosts"
        path.write_text(text)
        return replace(self.settings, known_hosts=(path,))

    def reports(self, settings: SshSettings | None = None, **more: Any) -> list[Report]:
        return list(SshTransport(settings or self.settings, "127.0.0.1", **more).look(QUICK, no_progress))

    def refusal(self, settings: SshSettings | None = None, **more: Any) -> str:
        with pytest.raises(SshError) as caught:
            self.reports(settings, **more)
        return str(caught.value)


@contextlib.contextmanager
def machine(folder: Path, behaviour: Behaviour | None = None) -> Iterator[Machine]:
    key = new_key(folder / "key")
    with serving(key, behaviour) as server:
        (folder / "known_hosts").write_text(server.known_hosts_line())
        settings = SshSettings(
            known_hosts=(folder / "known_hosts",),
            port=server.port,
            key_file=folder / "key",
            agent=False,
            connect_seconds=3,
        )
        yield Machine(server, settings, folder)


@pytest.fixture
def healthy(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as made:
        yield made


# ---- whom we speak to -----------------------------------------------------------------------------------------------


def test_a_known_host_is_looked_at(healthy: Machine) -> None:
    assert [report["stage"] for report in healthy.reports()] == ["look", "watch"]


def test_an_unknown_host_is_refused_with_its_fingerprint_and_the_line_that_is_missing(healthy: Machine) -> None:
    says = healthy.refusal(healthy.with_known_hosts("other-host ssh-ed25519 AAAA\n"))
    assert "is not known" in says
    assert str(healthy.server.host_key.fingerprint) in says
    assert f"[127.0.0.1]:{healthy.server.port}" in says
    assert healthy.server.commands == []


def test_a_changed_host_key_is_refused_and_names_the_line(healthy: Machine) -> None:
    other = new_key()
    line = f"[127.0.0.1]:{healthy.server.port} {other.get_name()} {other.get_base64()}\n"
    says = healthy.refusal(healthy.with_known_hosts(line))
    assert "has changed" in says
    assert "other_known_hosts line 1" in says
    assert healthy.server.commands == []


def test_a_revoked_host_key_is_refused_though_another_line_knows_it(healthy: Machine) -> None:
    line = healthy.server.known_hosts_line()
    says = healthy.refusal(healthy.with_known_hosts(line + "@revoked * " + line.split(" ", 1)[1]))
    assert "marks as revoked" in says


def test_an_authority_in_the_file_hides_no_host(healthy: Machine) -> None:
    line = healthy.server.known_hosts_line()
    healthy.reports(healthy.with_known_hosts("@cert-authority * " + line.split(" ", 1)[1] + line))


def test_no_known_hosts_file_means_nobody_is_spoken_to(healthy: Machine) -> None:
    settings = replace(healthy.settings, known_hosts=(healthy.folder / "missing",))
    assert "cannot be read" in healthy.refusal(settings)


# ---- with which key -------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_told_with_its_fingerprint(healthy: Machine) -> None:
    key = new_key(healthy.folder / "wrong")
    says = healthy.refusal(replace(healthy.settings, key_file=healthy.folder / "wrong"))
    assert f"refuses our key (ssh-ed25519 {key.fingerprint})" in says


def test_a_wrong_user_is_told(healthy: Machine) -> None:
    assert "nobody@127.0.0.1" in healthy.refusal(replace(healthy.settings, user="nobody"))


def test_a_key_with_a_passphrase_is_told_with_what_to_do(healthy: Machine) -> None:
    locked = healthy.folder / "locked"
    new_key(locked)
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", str(locked)], check=True, stdout=subprocess.DEVNULL
    )
    says = healthy.refusal(replace(healthy.settings, key_file=locked))
    assert "has a passphrase: add it to the agent (ssh-add" in says


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(None, "cannot be read (No such file or directory)", id="missing"),
        pytest.param("no key at all", "is no key that can be used", id="garbage"),
        pytest.param("", "is no key that can be used", id="empty"),
    ],
)
def test_a_key_file_that_is_none_is_told(healthy: Machine, content: str | None, says: str) -> None:
    if content is not None:
        (healthy.folder / "odd").write_text(content)
    assert says in healthy.refusal(replace(healthy.settings, key_file=healthy.folder / "odd"))


def test_no_key_at_all_is_told(healthy: Machine) -> None:
    assert "no key to log in with" in healthy.refusal(replace(healthy.settings, key_file=None))


def test_the_agents_key_is_used(healthy: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    socket_path = healthy.folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket_path)], stdout=subprocess.DEVNULL) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket_path))
        while not socket_path.exists():
            time.sleep(0.01)
        subprocess.run(["ssh-add", "-q", str(healthy.folder / "key")], check=True)
        try:
            reports = healthy.reports(replace(healthy.settings, key_file=None, agent=True))
        finally:
            agent.terminate()
    assert reports[0]["stage"] == "look"


def certify(folder: Path, to: str) -> None:
    new_key(folder / "authority")
    sign = ["ssh-keygen", "-q", "-s", str(folder / "authority"), "-I", "bot", "-n", "root", str(folder / "key.pub")]
    subprocess.run(sign, check=True)
    (folder / "key-cert.pub").rename(folder / to)


@pytest.mark.parametrize("name", ["key-cert.pub", "elsewhere-cert.pub"])
def test_a_certificate_is_shown(healthy: Machine, name: str) -> None:
    certify(healthy.folder, name)
    certificate = None if name == "key-cert.pub" else healthy.folder / name
    connect(
        replace(healthy.settings, certificate=certificate), Door("root", "127.0.0.1", healthy.server.port), no_progress
    )
    assert healthy.server.key_kinds == ["ssh-ed25519-cert-v01@openssh.com"]


def test_a_second_factor_is_told(tmp_path: Path) -> None:
    with machine(tmp_path, Behaviour(wants_more=True)) as strict:
        assert "after the key: a bot has only keys" in strict.refusal()


# ---- when the way is bad --------------------------------------------------------------------------------------------


def test_a_connection_that_dies_before_the_login_is_tried_again(tmp_path: Path) -> None:
    with machine(tmp_path, Behaviour(closes_at_once=3)) as flaky:
        assert flaky.reports()[0]["stage"] == "look"


def test_a_login_that_always_breaks_off_ends_in_a_sentence(tmp_path: Path) -> None:
    with machine(tmp_path, Behaviour(closes_at_once=10**6)) as broken:
        assert "let us connect, but the login broke off" in broken.refusal()


def test_a_closed_port_is_told(healthy: Machine) -> None:
    settings = replace(healthy.settings, port=1)
    assert "refuses connections: no SSH server listens there" in healthy.refusal(settings)


def test_a_command_without_an_end_is_given_up_within_its_time(tmp_path: Path) -> None:
    with machine(tmp_path, Behaviour(ignores_commands=True)) as stuck:
        session = connect(stuck.settings, Door("root", "127.0.0.1", stuck.server.port), no_progress)
        started = time.monotonic()
        with pytest.raises(SshError, match="its command gave no answer within 1 s"):
            session.run("true", b"", 1, no_progress)
        assert time.monotonic() - started < 3
        session.close()


@pytest.mark.parametrize(
    ("command", "status", "out", "err_bytes"),
    [
        pytest.param("exit 3", 3, b"", 0, id="an exit status"),
        pytest.param("cat", 0, b"hello", 0, id="standard input"),
        pytest.param("head -c 60000 /dev/zero >&2; echo done", 0, b"done\n", 60000, id="much on standard error"),
    ],
)
def test_what_a_command_says_is_read_whole(
    healthy: Machine, command: str, status: int, out: bytes, err_bytes: int
) -> None:
    session = connect(healthy.settings, Door("root", "127.0.0.1", healthy.server.port), no_progress)
    with contextlib.closing(session):
        ran = session.run(f"sh -c '{command}'", b"hello", 10, no_progress)
    assert (ran.status, ran.out, len(ran.err)) == (status, out, err_bytes)


def test_an_endless_answer_is_cut_off(healthy: Machine) -> None:
    session = connect(healthy.settings, Door("root", "127.0.0.1", healthy.server.port), no_progress)
    with contextlib.closing(session), pytest.raises(SshError, match="sent more than 1048576 bytes"):
        session.run("cat /dev/zero", b"", 10, no_progress)


@pytest.mark.parametrize(
    ("instead", "says"),
    [
        pytest.param("echo This account is not available.; exit 1", "runs no plain shell for us", id="nologin"),
        pytest.param(
            "cat >/dev/null; echo uid=0; echo python=/tmp/evil; echo end=scout", "has no python3", id="odd python"
        ),
        pytest.param("head -c 100000 /dev/urandom", "runs no plain shell for us", id="random bytes"),
    ],
)
def test_a_host_that_answers_something_else_is_told(tmp_path: Path, instead: str, says: str) -> None:
    with machine(tmp_path, Behaviour(replaces_commands_with=instead)) as odd:
        assert says in odd.refusal()
        assert not any("evil" in command for command in odd.server.commands)


# ---- rights ---------------------------------------------------------------------------------------------------------


def tools(folder: Path, sudo: str) -> dict[str, str]:
    """A PATH on which the user is not root and sudo behaves as told."""
    bin_ = folder / "bin"
    bin_.mkdir()
    (bin_ / "id").write_text("#!/bin/sh\necho 1000\n")
    (bin_ / "sudo").write_text(f"#!/bin/sh\n{sudo}\n")
    for tool in bin_.iterdir():
        tool.chmod(0o755)
    return {**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"}


def test_sudo_is_used_where_the_user_is_not_root(tmp_path: Path) -> None:
    with machine(tmp_path, Behaviour(environment=tools(tmp_path, 'shift; exec "$@"'))) as plain:
        reports = plain.reports()
    assert "transport" not in reports[0].get("unknown", {})
    assert plain.server.commands[1].startswith("sudo -n ")


ASKS = "echo 'sudo: a password is required' >&2; exit 1"


def test_a_sudo_that_asks_for_a_password_costs_the_table_and_not_the_rest(tmp_path: Path) -> None:
    with machine(tmp_path, Behaviour(environment=tools(tmp_path, ASKS))) as asking:
        report = asking.reports()[0]
    assert "sudo asks for a password: allow it in sudoers" in report["unknown"]["transport"]
    assert not asking.server.commands[1].startswith("sudo")


def test_where_sudo_is_wanted_a_password_is_an_error(tmp_path: Path) -> None:
    with machine(tmp_path, Behaviour(environment=tools(tmp_path, ASKS))) as asking:
        assert "sudo asks for a password" in asking.refusal(replace(asking.settings, sudo=True))


def test_sudo_can_be_switched_off(tmp_path: Path) -> None:
    with machine(tmp_path, Behaviour(environment=tools(tmp_path, 'shift; exec "$@"'))) as plain:
        report = plain.reports(replace(plain.settings, sudo=False))[0]
    assert "switched off" in report["unknown"]["transport"]


# ---- through a bastion ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def behind_a_bastion(folder: Path, behaviour: Behaviour) -> Iterator[tuple[Machine, Running]]:
    with machine(folder) as inner, serving(paramiko.PKey.from_path(folder / "key"), behaviour) as bastion:
        (folder / "known_hosts").write_text(inner.server.known_hosts_line() + bastion.known_hosts_line())
        inner.settings = replace(inner.settings, bastion=f"root@127.0.0.1:{bastion.port}")
        yield inner, bastion


def test_a_node_behind_a_bastion_is_looked_at(tmp_path: Path) -> None:
    with behind_a_bastion(tmp_path, Behaviour()) as (inner, bastion):
        assert [report["stage"] for report in inner.reports()] == ["look", "watch"]
        assert ("127.0.0.1", inner.server.port) in bastion.forwards
        assert bastion.commands == []


def test_a_full_node_behind_a_bastion_is_knocked_at(tmp_path: Path) -> None:
    with behind_a_bastion(tmp_path, Behaviour(silent_forwards=30)) as (inner, bastion):
        assert inner.reports(replace(inner.settings, connect_seconds=15.0))[0]["stage"] == "look"
        assert len(bastion.forwards) > 30


def test_the_host_key_of_the_node_counts_behind_a_bastion_too(tmp_path: Path) -> None:
    with behind_a_bastion(tmp_path, Behaviour()) as (inner, bastion):
        assert "is not known" in inner.refusal(inner.with_known_hosts(bastion.known_hosts_line()))


def test_an_unknown_bastion_is_refused(tmp_path: Path) -> None:
    with behind_a_bastion(tmp_path, Behaviour()) as (inner, bastion):
        assert f":{bastion.port} is not known" in inner.refusal(inner.with_known_hosts(inner.server.known_hosts_line()))
        assert bastion.forwards == []


def test_a_bastion_that_does_not_forward_is_told(tmp_path: Path) -> None:
    with behind_a_bastion(tmp_path, Behaviour(forwards=False)) as (inner, _):
        assert "does not forward (AllowTcpForwarding" in inner.refusal()


# ---- words and costs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node-8", Door("root", "node-8", 22)),
        ("ops@node-8", Door("ops", "node-8", 22)),
        ("ops@node-8:2208", Door("ops", "node-8", 2208)),
        ("[fd00::8]:2208", Door("root", "fd00::8", 2208)),
        ("[fd00::8]", Door("root", "fd00::8", 22)),
        ("fd00::8", Door("root", "fd00::8", 22)),
    ],
)
def test_a_door_is_understood(text: str, expected: Door) -> None:
    assert door(text, "root") == expected


@pytest.mark.parametrize(
    "text", ["", "@node-8", "node-8:", "node-8:0", "node-8:99999", "a b", "node-8:ssh", "[]:22", "a@b@c"]
)
def test_what_is_no_door_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not understood"):
        door(text, "root")


def test_a_stopped_look_ends_the_session(healthy: Machine) -> None:
    before = set(threading.enumerate())
    looking = SshTransport(healthy.settings, "127.0.0.1").look(QUICK, no_progress)
    next(looking)
    looking.close()  # type: ignore[attr-defined]  # a generator, though the seam promises only an iterator
    end = time.monotonic() + 5
    while (left := {t for t in threading.enumerate() if t.daemon} - before) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [thread for thread in left if "Thread" not in thread.name or "_accept" not in thread.name]


def test_paramiko_is_not_imported_before_it_is_needed() -> None:
    check = "import sys, diagnostics.transport.ssh; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
