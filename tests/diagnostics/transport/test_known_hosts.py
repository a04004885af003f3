"""known_hosts is read as OpenSSH reads it; what is odd in it vouches for nobody."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.errors import SshError
from diagnostics.transport import known_hosts

BLOB = base64.b64encode(b"a host key").decode()
OTHER = base64.b64encode(b"another host key").decode()


def hashed(name: str) -> str:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def known(*lines: str) -> known_hosts.KnownHosts:
    return known_hosts.parse((f"file line {number}", line) for number, line in enumerate(lines, start=1))


@pytest.mark.parametrize(
    ("names", "host", "port", "is_known"),
    [
        pytest.param("node-8", "node-8", 22, True, id="a plain name"),
        pytest.param("node-8", "NODE-8", 22, True, id="names have no case"),
        pytest.param("node-8", "node-80", 22, False, id="a longer name is another host"),
        pytest.param("node-8,10.90.0.8", "10.90.0.8", 22, True, id="one of several names"),
        pytest.param("node-8", "node-8", 2208, False, id="another port is another server"),
        pytest.param("[node-8]:2208", "node-8", 2208, True, id="a port in brackets"),
        pytest.param("[node-8]:2208", "node-8", 2209, False, id="the wrong port in brackets"),
        pytest.param("[fd00::8]:2208", "fd00::8", 2208, True, id="IPv6 with a port"),
        pytest.param(hashed("node-8"), "node-8", 22, True, id="a hashed name"),
        pytest.param(hashed("[node-8]:2208"), "node-8", 2208, True, id="a hashed name with port"),
        pytest.param(hashed("node-7"), "node-8", 22, False, id="another hashed name"),
        pytest.param("|1|damaged", "node-8", 22, False, id="a damaged hash"),
        pytest.param("*.example.com", "node-8.example.com", 22, True, id="a pattern"),
        pytest.param(
            "*.example.com,!node-8.example.com", "node-8.example.com", 22, False, id="excluded from a pattern"
        ),
        pytest.param("node-?", "node-8", 22, True, id="a question mark"),
    ],
)
def test_a_line_is_for_the_hosts_it_names(names: str, host: str, port: int, is_known: bool) -> None:
    assert bool(known(f"{names} ssh-ed25519 {BLOB}").of(host, port)) is is_known


def test_an_authority_vouches_for_nobody_and_hides_no_line_after_it() -> None:
    found = known(f"@cert-authority * ssh-ed25519 {OTHER}", f"node-8 ssh-ed25519 {BLOB} a comment").of("node-8", 22)
    assert [key.blob for key in found] == [b"a host key"]


def test_a_revoked_key_counts_for_no_host() -> None:
    hosts = known(f"node-8 ssh-ed25519 {BLOB}", f"@revoked node-7 ssh-ed25519 {BLOB}")
    assert hosts.of("node-8", 22) == ()
    assert hosts.revoked == {b"a host key"}


@pytest.mark.parametrize(
    "line", ["", "# node-8 ssh-ed25519 AAAA", "node-8", "node-8 ssh-ed25519", "node-8 ssh-ed25519 ###"]
)
def test_a_line_without_a_key_is_passed_over(line: str) -> None:
    assert known(line).keys == ()


@given(lines=st.lists(st.text(max_size=80)))
def test_garbage_never_vouches(lines: list[str]) -> None:
    known_hosts.parse([("file", line) for line in lines]).of("node-8", 22)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SshError, match=r"known hosts file .*/nothing cannot be read \(No such file or directory\)"):
        known_hosts.read([tmp_path / "nothing"])
