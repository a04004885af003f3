"""The real command on a real cluster: a healthy node, the ways to it, and what a person reads where there is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cluster import lab
from tests.cluster.command import BIN, COMMAND, diagnose, run
from tests.cluster.lab import NODE, NODE_SSH

RECOVERED_SECONDS = 300  # for so long a table that was full is told as recovered

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1200),  # with the wait for others who fill tables on this machine
    pytest.mark.skipif(not lab.KUBECONFIG, reason=lab.NEEDS_CLUSTER),
    pytest.mark.usefixtures("quiet"),
]


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A kubeconfig with hardly a right: what everybody has, and no more."""
    return lab.kubeconfig_of("default", tmp_path)


# ---- a healthy node -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_since_full() -> None:
    """A table that was full a moment ago is told as recovered. Waits before ``quiet`` keeps others from their work."""
    enough = RECOVERED_SECONDS + 5
    lab.wait_until(lambda: lab.seconds_since_table_full() > enough, 2 * enough, f"{NODE}'s table was full just now")


@pytest.mark.usefixtures("long_since_full")
@pytest.mark.parametrize("via", ["pod", "ssh"])
def test_a_node_without_noise_is_healthy(config: Path, via: str) -> None:
    found = diagnose(NODE, "--via", via, "--config", str(config)).diagnosis
    assert found["verdict"]["kind"] == "healthy", found["verdict"]
    assert (found["node"], found["transport"]["rung"]) == (NODE, via)
    assert abs(sum(suspect["share"] for suspect in found["suspects"]) - 1) < 0.01


@pytest.mark.parametrize("via", ["pod", "ssh"])
def test_new_connections_are_tried_to_the_service_of_the_api(config: Path, via: str) -> None:
    found = diagnose(NODE, "--via", via, "--config", str(config)).diagnosis
    step = next(finding for finding in found["findings"] if finding["step"] == "new_connections")
    assert "20 of 20 new connections to the API Service" in step["says"]
    assert "10.96.0.1:443" in step["evidence"][0]["command"]


def test_the_ping_goes_to_the_api_server(config: Path) -> None:
    """By SSH: a debug pod may ping where the node's net.ipv4.ping_group_range lets it, as systemd sets it."""
    found = diagnose(NODE, "--via", "ssh", "--config", str(config)).diagnosis
    step = next(finding for finding in found["findings"] if finding["step"] == "ping")
    assert step["status"] == "ok", step
    assert "pings to the API server were answered" in step["says"]


def test_the_same_program_is_a_plugin_of_kubectl(config: Path) -> None:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    ran = run(["kubectl", "conntrack", NODE, "--json", "--config", str(config)], {"PATH": path})
    assert ran.diagnosis["node"] == NODE


def test_a_person_reads_it_on_the_terminal(config: Path) -> None:
    ran = run([str(COMMAND), "diagnose", NODE, "--config", str(config)])
    assert ran.status == 0, ran.err
    assert "conntrack table" in ran.out
    assert "Looked through a debug pod" in ran.out
    assert "\x1b" not in ran.out
    assert all(len(line) <= 80 for line in ran.out.splitlines())


# ---- hosts, with and without a cluster ------------------------------------------------------------------------------


def test_a_host_that_is_a_node_of_the_cluster_is_told_by_its_names(config: Path) -> None:
    found = diagnose(f"ssh://{NODE_SSH}", "--config", str(config)).diagnosis
    assert (found["node"], found["transport"]["rung"]) == (NODE, "ssh")
    assert found["cluster"]
    assert not any(suspect["kind"] == "unknown" for suspect in found["suspects"])


def test_a_host_is_looked_at_without_any_cluster(config: Path) -> None:
    found = diagnose(f"ssh://{NODE_SSH}", "--config", str(config), environment={"KUBECONFIG": "/nowhere"}).diagnosis
    assert (found["node"], found["cluster"]) == (NODE_SSH.rpartition("@")[2], "")
    assert found["usage"]["limit"] > 0


def test_a_node_is_looked_at_by_ssh_where_there_is_no_kubeconfig(config: Path) -> None:
    found = diagnose(NODE, "--config", str(config), environment={"KUBECONFIG": "/nowhere"}).diagnosis
    assert found["transport"]["rung"] == "ssh"
    tried = {attempt["rung"]: attempt["says"] for attempt in found["transport"]["tried"]}
    assert "There is no kubeconfig at /nowhere" in tried["pod"]


def test_without_the_right_to_create_pods_ssh_answers_and_both_are_told(config: Path, stranger: Path) -> None:
    found = diagnose(NODE, "--config", str(config), "--kubeconfig", str(stranger)).diagnosis
    assert found["transport"]["rung"] == "ssh"
    tried = {attempt["rung"]: attempt["says"] for attempt in found["transport"]["tried"]}
    assert "may not create pods" in tried["pod"]
    assert tried["ssh"] == "answered"


# ---- when there is no way: the sentence a person needs --------------------------------------------------------------


def test_without_the_right_to_create_pods_the_missing_one_is_named(config: Path, stranger: Path) -> None:
    ran = diagnose(NODE, "--via", "pod", "--config", str(config), "--kubeconfig", str(stranger))
    assert (ran.status, ran.out) == (1, "")
    assert "conntrack-bot:default` may not create pods" in ran.said
    assert "kubectl apply -k deploy/kubernetes" in ran.said


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("IfNotPresent", "the image localhost/nothing:1 is not on the node"),
        ("Never", "the image localhost/nothing:1 is not on the node"),
    ],
)
def test_an_image_that_is_missing_is_named(config: Path, policy: str, says: str) -> None:
    settings = json.loads(config.read_text())
    settings["probe"] = {"image": "localhost/nothing:1", "pull_policy": policy}
    config.write_text(json.dumps(settings))
    ran = diagnose(NODE, "--via", "pod", "--config", str(config))
    assert (ran.status, ran.out) == (1, "")
    assert says in ran.said
    assert ran.seconds < 20


def test_a_changed_host_key_is_refused_and_explained(config: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host")], check=True)
    kind, key, *_ = (tmp_path / "host.pub").read_text().split()
    host, _, port = NODE_SSH.rpartition("@")[2].rpartition(":")
    (tmp_path / "known_hosts").write_text(f"[{host}]:{port} {kind} {key}\n")
    ran = diagnose(NODE, "--via", "ssh", "--config", str(config), "--known-hosts", str(tmp_path / "known_hosts"))
    assert (ran.status, ran.out) == (1, "")
    assert f"The host key of {NODE_SSH} has changed" in ran.said
    assert "Compare the fingerprint" in ran.said


def test_a_node_that_does_not_exist_is_told_with_the_closest_name(config: Path) -> None:
    ran = diagnose(f"{NODE}x", "--config", str(config))
    assert (ran.status, ran.out) == (2, "")
    assert f"has no node `{NODE}x`. Did you mean `{NODE}`" in ran.said


# ---- interrupted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize(("via", "when"), [("pod", "created"), ("pod", "so far"), ("ssh", "logged in")])
def test_an_interrupted_look_takes_away_what_it_started(
    config: Path, via: str, when: str, number: signal.Signals
) -> None:
    """``quiet`` sees to it that nothing is left."""
    argv = [str(COMMAND), "diagnose", NODE, "--via", via, "--config", str(config), "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as looking:
        assert looking.stderr is not None
        heard = next((line for line in looking.stderr if when in line), "")
        assert heard, f"never said: {when}"
        looking.send_signal(number)
        out, err = looking.communicate(timeout=20)
    assert (looking.returncode, out) == (130, "")
    assert "Interrupted" in err
