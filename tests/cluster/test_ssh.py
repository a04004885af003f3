"""SSH to a real node: by Python and by the shell, through a bastion, and who is refused."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from diagnostics.errors import SshError
from diagnostics.model import Known
from diagnostics.snapshot import snapshot
from diagnostics.transport import Order
from diagnostics.transport.ssh import SshSettings, SshTransport
from tests.cluster.lab import KEYS, KUBECONFIG, NEEDS_CLUSTER, NODE_SSH

NODE, _, PORT = NODE_SSH.rpartition("@")[2].rpartition(":")
ORDER = Order(watch_seconds=1)
SETTINGS = SshSettings(known_hosts=(KEYS / "known_hosts",), port=int(PORT), key_file=KEYS / "id_ed25519", agent=False)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),  # with the wait for others who fill tables on this machine
    pytest.mark.skipif(not KUBECONFIG, reason=NEEDS_CLUSTER),
    pytest.mark.usefixtures("quiet"),
]


def no_progress(says: str) -> None:
    """Nobody watches."""


def refusal(settings: SshSettings) -> str:
    with pytest.raises(SshError) as caught:
        list(SshTransport(settings, NODE).look(ORDER, no_progress))
    return str(caught.value)


@pytest.mark.parametrize("interpreters", [("/usr/bin/python3", "python3"), ()], ids=["python", "shell"])
def test_an_idle_node_is_looked_at(interpreters: tuple[str, ...]) -> None:
    seen = snapshot(list(SshTransport(SETTINGS, NODE, interpreters).look(ORDER, no_progress)))
    assert isinstance(seen.usage, Known)
    assert isinstance(seen.table, Known)
    assert NODE in seen.node.addresses


def test_through_a_bastion() -> None:
    reports = list(SshTransport(replace(SETTINGS, bastion="10.90.0.1:2207"), NODE).look(ORDER, no_progress))
    assert NODE in snapshot(reports).node.addresses


def test_a_changed_host_key_is_refused(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host")], check=True)
    kind, key, *_ = (tmp_path / "host.pub").read_text().split()
    (tmp_path / "known_hosts").write_text(f"[{NODE}]:{PORT} {kind} {key}\n")
    assert "has changed" in refusal(replace(SETTINGS, known_hosts=(tmp_path / "known_hosts",)))


def test_a_wrong_key_and_a_wrong_user_are_refused(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    assert "refuses our key" in refusal(replace(SETTINGS, key_file=tmp_path / "key"))
    assert "nobody@" in refusal(replace(SETTINGS, user="nobody"))
