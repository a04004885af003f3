"""SSH to a real node, idle and with its conntrack table really full."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from diagnostics.errors import SshError
from diagnostics.model import Known
from diagnostics.snapshot import snapshot
from diagnostics.transport import Order
from diagnostics.transport.ssh import SshSettings, SshTransport

NODE = os.environ.get("CLUSTER_SSH_NODE", "10.90.0.8")
TOOLS = os.environ.get("CLUSTER_TOOLS", "")
KEYS = Path(os.environ.get("CLUSTER_STATE", "/tmp/conntrack-cluster")) / "ssh"
ORDER = Order(watch_seconds=1)
SETTINGS = SshSettings(known_hosts=(KEYS / "known_hosts",), port=2208, key_file=KEYS / "id_ed25519", agent=False)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not os.environ.get("KUBECONFIG") or not KEYS.is_dir(), reason="needs the test cluster (KUBECONFIG)"
    ),
]


def no_progress(says: str) -> None:
    """Nobody watches."""


def listing() -> set[str]:
    """What lies about where a program sent to the node could leave something, and what runs there."""
    places = [
        path for folder in ("/tmp", "/var/tmp", "/root", "/dev/shm") for path in Path(folder).glob("*conntrack-bot*")
    ]
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return {str(path) for path in places} | {line for line in running.splitlines() if "-ISB" in line}


def refusal(settings: SshSettings) -> str:
    with pytest.raises(SshError) as caught:
        list(SshTransport(settings, NODE).look(ORDER, no_progress))
    return str(caught.value)


@pytest.mark.parametrize("interpreters", [("/usr/bin/python3", "python3"), ()], ids=["python", "shell"])
def test_an_idle_node_is_looked_at_and_nothing_stays_behind(interpreters: tuple[str, ...]) -> None:
    before = listing()
    seen = snapshot(list(SshTransport(SETTINGS, NODE, interpreters).look(ORDER, no_progress)))
    assert isinstance(seen.usage, Known)
    assert isinstance(seen.table, Known)
    assert NODE in seen.node.addresses
    assert listing() == before


def test_through_a_bastion() -> None:
    reports = list(SshTransport(replace(SETTINGS, bastion="10.90.0.1:2207"), NODE).look(ORDER, no_progress))
    assert NODE in snapshot(reports).node.addresses


def test_a_changed_host_key_is_refused(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host")], check=True)
    kind, key, *_ = (tmp_path / "host.pub").read_text().split()
    (tmp_path / "known_hosts").write_text(f"[{NODE}]:2208 {kind} {key}\n")
    assert "has changed" in refusal(replace(SETTINGS, known_hosts=(tmp_path / "known_hosts",)))


def test_a_wrong_key_and_a_wrong_user_are_refused(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    assert "refuses our key" in refusal(replace(SETTINGS, key_file=tmp_path / "key"))
    assert "nobody@" in refusal(replace(SETTINGS, user="nobody"))


@pytest.fixture
def full_node() -> Iterator[None]:
    def noisy(*words: str) -> None:
        subprocess.run([f"{TOOLS}/noisy", *words], check=True, capture_output=True, timeout=120)

    # The limit first: a table filled beyond it lets nobody in, by any way, until it has shrunk below it.
    noisy("limit", "8000")
    try:
        noisy("churn", "node-8", "800")
        wait_until_full(8000)
        yield
    finally:
        noisy("stop")


def wait_until_full(limit: int) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        seen = snapshot(list(SshTransport(SETTINGS, NODE).look(replace(ORDER, watch_seconds=0.1), no_progress)))
        if isinstance(seen.usage, Known) and seen.usage.value.entries >= 0.99 * limit:
            return
    raise AssertionError("the table does not fill")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not TOOLS, reason="needs the test cluster's tools (CLUSTER_TOOLS) to fill a node's table")
@pytest.mark.usefixtures("full_node")
def test_twenty_of_twenty_looks_at_a_full_node_answer_within_thirty_seconds() -> None:
    seconds = []
    for _ in range(20):
        started = time.monotonic()
        reports = SshTransport(SETTINGS, NODE).look(ORDER, no_progress)
        first = next(reports)
        seconds.append(time.monotonic() - started)
        list(reports)
        usage = snapshot([first]).usage
        assert isinstance(usage, Known)
        assert usage.value.ratio > 0.97
    assert max(seconds) <= 30, seconds
