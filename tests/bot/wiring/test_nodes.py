from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import Settings
from bot.model import Place
from bot.wiring.nodes import Clusters, meant
from bot.workflow import Errand
from deploy.local.kubernetes import Cluster, Fault, kubeconfig, serving
from diagnostics.errors import ConfigurationError, DiagnosticsError, LookError, TargetError


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for number in (1, 7, 8, 9):
        cluster.add_node(f"node-{number}", f"10.90.0.{number}")
    cluster.add_pod("checkout-1", "node-8", "10.244.8.2")
    cluster.add_pod("web-0", "node-1", "10.244.1.2", namespace="shop")
    cluster.add_pod("web-0", "node-9", "10.244.9.2", namespace="blog")
    cluster.add_pod("agent", "node-9", "10.90.0.9", namespace="one")
    cluster.add_pod("agent", "node-9", "10.90.0.9", namespace="two")
    cluster.add_pod("new", "", "", status={"phase": "Pending"})
    return cluster


@pytest.fixture
def configured(cluster: Cluster, tmp_path: Path) -> Iterator[dict[str, Any]]:
    with serving(cluster) as address:
        yield {"clusters": {"prod": {"kubeconfig": kubeconfig(tmp_path, address)}}, "default_cluster": "prod"}


@pytest.fixture
def nodes(configured: dict[str, Any]) -> Clusters:
    return Clusters(Settings.model_validate(configured))


@pytest.mark.parametrize(
    ("named", "place"),
    [
        pytest.param("node-7", Place("prod", "node-7"), id="a node"),
        pytest.param("prod/node-7", Place("prod", "node-7"), id="a node of a cluster"),
        pytest.param("PROD/Node-7", Place("prod", "node-7"), id="as a phone writes it"),
        pytest.param("checkout-1", Place("prod", "node-8", "shop/checkout-1 runs on it"), id="a pod"),
        pytest.param("shop/web-0", Place("prod", "node-1", "shop/web-0 runs on it"), id="a pod in its namespace"),
        pytest.param("prod/checkout-1", Place("prod", "node-8", "shop/checkout-1 runs on it"), id="a cluster's pod"),
        pytest.param("prod/blog/web-0", Place("prod", "node-9", "blog/web-0 runs on it"), id="all of it"),
        pytest.param("agent", Place("prod", "node-9", "two/agent runs on it"), id="two pods on one node"),
    ],
)
def test_a_name_leads_to_its_node(nodes: Clusters, named: str, place: Place) -> None:
    assert nodes.locate(named) == place


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        pytest.param(" node-7 ", "node-7", id="blanks"),
        pytest.param("`node-7`", "node-7", id="code"),
        pytest.param("“node-7”", "node-7", id="a phone's quotes"),
        pytest.param("node-7?", "node-7", id="a question"),
        pytest.param("node-7.", "node-7", id="a sentence"),
        pytest.param("*node-7*,", "node-7", id="bold"),
        pytest.param("<http://node-7.example.org|node-7.example.org>", "node-7.example.org", id="a link Slack made"),
        pytest.param("<http://node-7.example.org>", "node-7.example.org", id="a link without a label"),
        pytest.param("<#C012|node-7>", "node-7", id="a channel of that name"),
        pytest.param("<@U012|node-7>", "node-7", id="a person of that name"),
        pytest.param("prod/`node-7`", "prod/`node-7", id="what nobody types"),
    ],
)
def test_what_the_chat_adds_is_taken_off(typed: str, name: str) -> None:
    assert meant(typed) == name


@pytest.mark.parametrize(
    ("named", "says", "closest"),
    [
        pytest.param(
            "nod-7",
            "I don't know a node `nod-7`. Did you mean `node-7`, `node-9`, `node-8`?",
            ("node-7", "node-9", "node-8"),
            id="a typo",
        ),
        pytest.param("", "Name a node, CLUSTER/NODE, a pod, or NAMESPACE/POD.", (), id="nothing"),
        pytest.param("prd/node-7", "I know neither a pod `prd/node-7` nor a cluster", ("prod/node-7",), id="a cluster"),
        pytest.param("prd/shop/web-0", "I don't know a cluster `prd`. Did you mean `prod`?", ("prod",), id="both"),
        pytest.param(
            "web-0",
            "Pods named `web-0` run on several nodes: `blog/web-0` on `node-9`, `shop/web-0` on `node-1`.",
            ("blog/web-0", "shop/web-0"),
            id="pods on several nodes",
        ),
        pytest.param("shop/new", "Pod `shop/new` is on no node yet (Pending)", (), id="a pod without a node"),
        pytest.param("new", "`kubectl -n shop describe pod new` says why", (), id="the same by its name alone"),
        pytest.param("a b", "I don't know a node `a b`.", (), id="no name at all"),
    ],
)
def test_what_is_no_node_is_refused_with_the_closest_names(
    nodes: Clusters, named: str, says: str, closest: tuple[str, ...]
) -> None:
    with pytest.raises(TargetError) as refused:
        nodes.locate(named)
    assert says in str(refused.value)
    assert refused.value.closest[: len(closest)] == closest


@pytest.mark.parametrize("named", ["local", "ssh://node-7", "/etc", "./tests/nodes/healthy", "~/x", "../x", "a/b/c/d"])
def test_the_chat_reaches_no_host_no_folder_and_not_this_machine(nodes: Clusters, named: str) -> None:
    with pytest.raises(TargetError):
        nodes.locate(named)


def test_a_folder_that_bears_a_nodes_name_is_not_read(
    nodes: Clusters, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prod" / "node-9").mkdir(parents=True)
    (tmp_path / "prod" / "node-9" / "recording.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    cluster.faults.append(Fault("POST", "/pods", status=403, body="no", times=None))
    errand = Errand(Place("prod", "node-9"), exact=False, deep=False, record_to=tmp_path / "recording")
    with pytest.raises(LookError, match="pod: "):
        nodes.look(errand, lambda _: None, lambda _: None)


def test_an_api_that_does_not_answer_leaves_a_nodes_name_as_it_is(nodes: Clusters, cluster: Cluster) -> None:
    cluster.faults.append(Fault("GET", "/nodes", status=500, body="ill", times=None))
    assert nodes.locate("node-77") == Place("prod", "node-77")


def test_an_api_that_does_not_answer_cannot_say_where_a_pod_runs(nodes: Clusters, cluster: Cluster) -> None:
    cluster.faults.append(Fault("GET", "/pods", status=500, body="ill", times=None))
    with pytest.raises(TargetError, match="name the node"):
        nodes.locate("shop/web-0")


def test_the_list_of_nodes_is_read_once_for_many_typos(nodes: Clusters, cluster: Cluster) -> None:
    for _ in range(5):
        with pytest.raises(TargetError):
            nodes.locate("nod-7")
    before = sum(path.endswith("/nodes") for _, path, _ in cluster.requests)
    with pytest.raises(TargetError):
        nodes.locate("nod-8")
    # The API's own error lists them once more; ours does not.
    assert sum(path.endswith("/nodes") for _, path, _ in cluster.requests) == before + 1


def test_without_a_configuration_the_current_context_is_meant_by_its_name_too(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(cluster) as address:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, address))
        nodes = Clusters(Settings())
        assert nodes.locate("node-7") == Place("lab", "node-7")
        assert nodes.locate("lab/node-7") == Place("lab", "node-7")


def test_a_context_whose_name_holds_slashes_is_one_cluster(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = "arn:aws:eks:eu-1:12:cluster/Prod"
    with serving(cluster) as address:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, address, context=context))
        nodes = Clusters(Settings())
        assert nodes.locate(f"{context}/node-7") == Place(context, "node-7")
        assert nodes.locate("shop/web-0").node == "node-1"


def test_without_any_cluster_only_nodes_to_log_in_to_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    nodes = Clusters(Settings.model_validate({"ssh": {"hosts": {"node-7": "10.0.0.7"}}}))
    assert nodes.locate("node-7") == Place("", "node-7")
    with pytest.raises(ConfigurationError):
        nodes.locate("node-8")


def test_a_cluster_that_was_taken_out_of_the_configuration_is_not_mistaken_for_another(
    nodes: Clusters, tmp_path: Path
) -> None:
    errand = Errand(Place("stage", "node-7"), exact=False, deep=False, record_to=tmp_path)
    with pytest.raises(ConfigurationError, match="stage of node-7 is not in the configuration any more"):
        nodes.look(errand, lambda _: None, lambda _: None)


@given(st.text(max_size=80))
def test_whatever_is_typed_is_a_place_or_a_sentence(typed: str) -> None:
    nodes = Clusters(Settings.model_validate({"clusters": {"x": {"kubeconfig": "/nowhere"}}, "default_cluster": "x"}))
    try:
        nodes.locate(typed)
    except DiagnosticsError as error:
        assert len(str(error)) > 10  # noqa: PT017 - a place is as good
