"""One suite for two servers: the small Kubernetes API of the demo, and the real one where KUBECONFIG names it.

What the product relies on is claimed here, and holds for both; so the tests that use the small one prove something. The
codes and texts are those of 1.20.2. On the real server everything happens in a namespace of its own, which is removed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.cluster.lab import KUBECONFIG, NEEDS_CLUSTER
from tests.conformance.servers import (
    Server,
    local,
    real,
)


@pytest.fixture(
    scope="package",
    params=[
        "local",
        pytest.param("real", marks=[pytest.mark.cluster, pytest.mark.skipif(not KUBECONFIG, reason=NEEDS_CLUSTER)]),
    ],
)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with local() if request.param == "local" else real(tmp_path_factory.mktemp("keys")) as server:
        said = server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": server.namespace}})
        assert said.code == 201, said
        server.until(server.of("serviceaccounts", "default"), lambda said: said.code == 200)
        try:
            yield server
        finally:
            server.ask("DELETE", f"/api/v1/namespaces/{server.namespace}")


@pytest.fixture
def name() -> str:
    return f"it-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def three(server: Server) -> str:
    """Three ConfigMaps with labels; what their names begin with."""
    stem = f"of-three-{secrets.token_hex(3)}"
    for letter in "abc":
        labels = {"set": stem, "letter": letter} | ({"last": ""} if letter == "c" else {})
        server.made("configmaps", {"metadata": {"name": f"{stem}-{letter}", "labels": labels}})
    return stem
