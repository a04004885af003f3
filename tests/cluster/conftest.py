"""What every test on a real cluster may ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import lab


@pytest.fixture(scope="session")
def deployed() -> None:
    """What a diagnosis needs in a cluster, as its README says."""
    lab.kubectl("apply", "-k", str(lab.ROOT / "deploy" / "kubernetes"))


@pytest.fixture
def quiet(deployed: None) -> Iterator[None]:
    """Nobody fills tables meanwhile, and the look leaves nothing behind: on the node or in the cluster."""
    with lab.machine(alone=False):
        before = lab.left_on_node()
        yield
        lab.no_probe_pods()
        # Deleting a pod is a wish, which the node's kubelet carries out some time later.
        lab.wait_until(lambda: lab.left_on_node() <= before, 20, f"left on the node: {lab.left_on_node() - before}")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that knows how to log in to the node."""
    ssh = {
        "key_file": str(lab.KEYS / "id_ed25519"),
        "known_hosts": [str(lab.KEYS / "known_hosts")],
        "agent": False,
        "hosts": {lab.NODE: lab.NODE_SSH},
    }
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"ssh": ssh, "probe": {"image": lab.IMAGE}}))  # JSON is YAML
    return file
