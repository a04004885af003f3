from __future__ import annotations

from pathlib import Path
from typing import Any

import paramiko
import pytest

from bot import wiring
from bot.config import LookSettings, Settings
from bot.wiring import Options, plan
from bot.wiring.target import Target, Via, understood
from diagnostics import recording
from diagnostics.errors import ConfigurationError, LookError, SshError, TargetError
from diagnostics.model import Way
from tests.diagnostics.test_recording import VIEW
from tests.diagnostics.test_snapshot import LOOK, WATCH

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: lab
contexts:
- {name: lab, context: {cluster: one, user: me}}
- {name: other, context: {cluster: one, user: me}}
clusters:
- {name: one, cluster: {server: "https://127.0.0.1:1"}}
users:
- {name: me, user: {token: made-up}}
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A cluster that nobody answers for: port 1 of this machine."""
    file = tmp_path / "kubeconfig"
    file.write_text(KUBECONFIG)
    return file


def settings(**changed: Any) -> Settings:
    return Settings.model_validate(changed)


PROD = {"prod": {"context": "lab"}, "stage": {}}


@pytest.mark.parametrize(
    ("text", "target"),
    [
        pytest.param("node-7", Target("node", "node-7"), id="a node"),
        pytest.param("prod/node-7", Target("node", "node-7", "prod"), id="a node of a cluster"),
        pytest.param("ssh://root@10.0.0.1:22", Target("ssh", "10.0.0.1:22"), id="a host"),
        pytest.param("./somewhere", Target("recording", "./somewhere"), id="a folder that is not there"),
        pytest.param("tests/nodes/nowhere", Target("recording", "tests/nodes/nowhere"), id="a deeper folder"),
    ],
)
def test_a_target_is_understood(text: str, target: Target) -> None:
    assert understood(text, settings(clusters=PROD), "auto") == target


def test_local_is_this_machine_under_its_own_name() -> None:
    found = understood("local", Settings(), "auto")
    assert found.kind == "local"
    assert found.name != "local"


def test_a_folder_with_a_recording_is_one_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node-7").mkdir()
    (tmp_path / "node-7" / "recording.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert understood("node-7", Settings(), "auto").kind == "recording"


@pytest.mark.parametrize(
    ("text", "via", "says"),
    [
        pytest.param(" ", "auto", "Name a node", id="nothing"),
        pytest.param("prd/node-7", "auto", "I don't know a cluster `prd`. Configured are prod, stage", id="a typo"),
        pytest.param("ssh://host", "pod", "cannot be looked at by --via pod", id="a host by a pod"),
        pytest.param("local", "ssh", "cannot be looked at by --via ssh", id="this machine by SSH"),
        pytest.param("./folder", "pod", "cannot be looked at by --via pod", id="a recording by a pod"),
        pytest.param("ssh://me:secret@host", "auto", "No password in an ssh:// address", id="a password"),
        pytest.param("ssh://", "auto", "is not understood as ssh://", id="no host"),
        pytest.param("ssh://host/path", "auto", "is not understood as ssh://", id="a path"),
    ],
)
def test_what_is_no_target_is_refused_with_a_sentence(text: str, via: Via, says: str) -> None:
    with pytest.raises(TargetError, match=says):
        plan(text, settings(clusters=PROD), Options(via=via))


def test_an_unknown_cluster_without_any_configured_is_explained() -> None:
    with pytest.raises(TargetError, match="lists no clusters"):
        plan("lab/node-7", Settings(), Options())


def test_a_node_is_looked_at_through_a_pod_then_ssh(kubeconfig: Path) -> None:
    found = plan("node-7", Settings(), Options(kubeconfig=kubeconfig))
    assert [transport.rung for transport in found.transports] == ["pod", "ssh"]
    assert (found.node, found.cluster) == ("node-7", "lab")


@pytest.mark.parametrize("via", ["pod", "ssh", "local"])
def test_one_way_can_be_asked_for(kubeconfig: Path, via: Via) -> None:
    found = plan("node-7", Settings(), Options(via=via, kubeconfig=kubeconfig))
    assert [transport.rung for transport in found.transports] == [via]


def test_a_configured_cluster_goes_by_its_own_name(kubeconfig: Path) -> None:
    known = settings(clusters={"prod": {"kubeconfig": kubeconfig, "context": "other"}}, default_cluster="prod")
    assert plan("node-7", known, Options()).cluster == "prod"
    assert plan("prod/node-7", known, Options()).cluster == "prod"


def test_a_context_on_the_command_line_wins_over_the_configured_one(kubeconfig: Path) -> None:
    known = settings(clusters={"prod": {"kubeconfig": kubeconfig, "context": "lab"}}, default_cluster="prod")
    assert plan("node-7", known, Options(context="other")).cluster == "other"


def test_a_missing_kubeconfig_is_a_mistake_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        plan("node-7", Settings(), Options(kubeconfig=tmp_path / "none"))


def test_in_cluster_outside_of_a_cluster_is_told_and_falls_back_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError):
        plan("home/node-7", settings(clusters={"home": {"in_cluster": True}}), Options())


def test_the_order_is_what_was_set_and_asked(kubeconfig: Path) -> None:
    known = settings(look={"sample_entries": 500, "watch_seconds": 3, "connect": "[fd00::1]:443"})
    order = plan("node-7", known, Options(exact=True, deep=True, kubeconfig=kubeconfig)).order
    assert (order.exact, order.deep, order.sample_entries, order.watch_seconds) == (True, True, 500, 3.0)
    assert (order.connect, order.connect_what) == (("fd00::1", 443), "[fd00::1]:443")


def test_a_recording_is_replayed_with_what_the_cluster_knew(tmp_path: Path) -> None:
    recording.write(
        tmp_path / "r", node="node-9", cluster="lab", way=Way("pod", (), 1.0), reports=(LOOK, WATCH), view=VIEW
    )
    found = plan(str(tmp_path / "r"), Settings(), Options())
    assert [transport.rung for transport in found.transports] == ["replay"]
    assert (found.node, found.cluster) == ("node-9", "lab")
    assert found.view is not None
    assert found.view(()) == VIEW


def test_ssh_goes_to_the_configured_host_of_a_node(kubeconfig: Path, tmp_path: Path) -> None:
    """The host's own user and port win; nobody is asked for its address. Nobody listens on port 1."""
    key = tmp_path / "key"
    paramiko.ECDSAKey.generate().write_private_key_file(str(key))
    (tmp_path / "known_hosts").touch()
    access = {"hosts": {"node-7": "admin@127.0.0.1:1"}, "key_file": key, "known_hosts": [tmp_path / "known_hosts"]}
    known = settings(ssh={**access, "connect_seconds": 0.2, "agent": False})
    found = plan("node-7", known, Options(via="ssh", kubeconfig=kubeconfig))
    with pytest.raises(SshError, match=r"127\.0\.0\.1"):
        next(found.transports[0].look(found.order, lambda _: None))


def test_known_hosts_are_the_users_own_unless_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "known_hosts"
    monkeypatch.setattr(wiring, "KNOWN_HOSTS", (own, tmp_path / "other"))
    assert wiring._ssh_settings(Settings()).known_hosts == (own,)  # so that its absence is what is told
    (tmp_path / "other").touch()
    assert wiring._ssh_settings(Settings()).known_hosts == (tmp_path / "other",)


@pytest.fixture
def no_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))


@pytest.mark.usefixtures("no_kubeconfig")
def test_without_a_kubeconfig_a_node_with_a_configured_host_is_reached_by_ssh_and_the_pod_says_why() -> None:
    found = plan("node-7", settings(ssh={"hosts": {"node-7": "127.0.0.1:1"}}), Options())
    assert [transport.rung for transport in found.transports] == ["pod", "ssh"]
    assert (found.node, found.cluster, found.view) == ("node-7", "", None)
    with pytest.raises(LookError, match=r"Not tried\. There is no kubeconfig at"):
        found.transports[0].look(found.order, lambda _: None)


@pytest.mark.usefixtures("no_kubeconfig")
@pytest.mark.parametrize("via", ["ssh", "local"])
def test_without_a_kubeconfig_a_way_that_needs_none_can_be_asked_for(via: Via) -> None:
    assert [transport.rung for transport in plan("node-7", Settings(), Options(via=via)).transports] == [via]


@pytest.mark.usefixtures("no_kubeconfig")
@pytest.mark.parametrize(
    ("via", "hosts"),
    [
        pytest.param("auto", {}, id="no host is configured"),
        pytest.param("pod", {"node-7": "127.0.0.1:1"}, id="a pod is asked for"),
    ],
)
def test_without_a_kubeconfig_and_another_way_it_is_the_kubeconfig_that_is_asked_for(
    via: Via, hosts: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match="There is no kubeconfig at"):
        plan("node-7", settings(ssh={"hosts": hosts}), Options(via=via))


@pytest.mark.parametrize("target", ["node-7", "ssh://127.0.0.1:1"])
def test_a_kubeconfig_that_was_named_must_be_there_whatever_else_would_work(tmp_path: Path, target: str) -> None:
    known = settings(ssh={"hosts": {"node-7": "127.0.0.1:1"}})
    with pytest.raises(ConfigurationError):
        plan(target, known, Options(via="ssh", kubeconfig=tmp_path / "none"))


def test_limits_of_a_look_are_checked() -> None:
    with pytest.raises(ValueError, match="deadline_seconds"):
        LookSettings(deadline_seconds=1)
