"""The real cluster that the tests are given, and the machine it runs on.

KUBECONFIG names the cluster. CLUSTER_TOOLS has its tools (`noisy`), which put traffic on a node; CLUSTER_STATE has its
SSH keys. The conntrack limit is the whole machine's: whoever changes it, or needs it unchanged, holds the lock.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KUBECONFIG = os.environ.get("KUBECONFIG", "")
TOOLS = os.environ.get("CLUSTER_TOOLS", "")
STATE = Path(os.environ.get("CLUSTER_STATE", "/tmp/conntrack-cluster"))
NODE = os.environ.get("CLUSTER_NODE", "node-8")
NODE_SSH = os.environ.get("CLUSTER_NODE_SSH", "root@10.90.0.8:2208")
IMAGE = os.environ.get("PROBE_IMAGE", "localhost/conntrack-bot:dev")
KEYS = STATE / "ssh"
PROBES = "conntrack-bot-probes"
LOCK = Path(os.environ.get("CONNTRACK_MACHINE_LOCK", "/tmp/conntrack-machine.lock"))
FULL = 8000
AS_GOOD_AS_FULL = 0.97  # the kernel frees what has expired in batches, so a table at its limit reads a little below it

NEEDS_CLUSTER = "needs a real Kubernetes, named by KUBECONFIG"
NEEDS_TOOLS = "needs the test cluster's tools (CLUSTER_TOOLS), and root, to fill a node's table"


# ---- the cluster ----------------------------------------------------------------------------------------------------


def kubectl(*words: str, text: str | None = None) -> str:
    """What kubectl says; an error where it fails."""
    done = subprocess.run(["kubectl", *words], input=text, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout


def probe_pods() -> list[str]:
    """The debug pods that are there."""
    return kubectl("-n", PROBES, "get", "pods", "-o", "name").split()


def no_probe_pods() -> None:
    """Raises AssertionError where a debug pod was left behind. Somebody else's look on this cluster ends in seconds."""
    wait_until(lambda: probe_pods() == [], 20, f"debug pods were left behind: {probe_pods()}")


def kubeconfig_of(account: str, folder: Path) -> Path:
    """A kubeconfig with which one is a service account of namespace conntrack-bot."""
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    config["users"][0]["user"] = {"token": _token(account)}
    file = folder / account
    file.write_text(json.dumps(config))
    return file


def _token(account: str) -> str:
    """By request, or from the account's secret where the cluster is older than 1.24 and makes one by itself."""
    request = subprocess.run(
        ["kubectl", "-n", "conntrack-bot", "create", "token", account], check=False, capture_output=True, text=True
    )
    if request.returncode == 0:
        return request.stdout.strip()
    secrets: list[dict[str, Any]] = json.loads(kubectl("-n", "conntrack-bot", "get", "secrets", "-o", "json"))["items"]
    key = "kubernetes.io/service-account.name"
    mine = [one for one in secrets if (one["metadata"].get("annotations") or {}).get(key) == account]
    return base64.b64decode(mine[0]["data"]["token"]).decode()


# ---- the node -------------------------------------------------------------------------------------------------------


def on_node(*words: str) -> str:
    """What a command says in the node's network namespace."""
    argv = ["ip", "netns", "exec", NODE, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


def entries() -> int:
    """The node's conntrack entries, as its kernel counts them."""
    return int(on_node("cat", "/proc/sys/net/netfilter/nf_conntrack_count"))


def forget_entries() -> None:
    """Empty the node's table: the entries of a deleted pod linger for two minutes, and would rightly be named."""
    on_node("conntrack", "-F")


def left_on_node() -> set[str]:
    """What a look could leave behind: its processes, sessions of SSH, and files by their names."""
    running = subprocess.run(["ip", "netns", "pids", NODE], check=True, capture_output=True, text=True).stdout.split()
    commands = {f"{pid} {_command(pid)}" for pid in running}
    ours = {one for one in commands if any(word in one for word in ("diagnostics.probe", "-ISB", "sshd: root"))}
    places = (Path(folder).glob("*conntrack-bot*") for folder in ("/tmp", "/var/tmp", "/root", "/dev/shm"))
    return ours | {str(path) for found in places for path in found}


def _command(pid: str) -> str:
    try:
        return Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:  # it has ended
        return ""


def seconds_since_table_full() -> float:
    """How long ago the kernel said so of this node's table; it logs that for all network namespaces in one place."""
    inode = Path("/var/run/netns", NODE).stat().st_ino
    log = subprocess.run(["dmesg"], check=True, capture_output=True, text=True).stdout
    lines = [line for line in log.splitlines() if f"table full in netns {inode}" in line]
    if not lines:
        return float("inf")
    return time.clock_gettime(time.CLOCK_MONOTONIC) - float(lines[-1].partition("]")[0].strip("[ "))


def wait_until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises AssertionError with ``what`` where it is not so within ``seconds``."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.2)


# ---- the machine ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def machine(*, alone: bool) -> Iterator[None]:
    """The machine's lock: alone, or among others who leave the limit and the tables as they are."""
    with LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def noisy(*words: str) -> None:
    """The cluster's own tool, which makes the traffic."""
    done = subprocess.run([f"{TOOLS}/noisy", *words], check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def noise(kind: str, rate: int) -> Iterator[None]:
    """The node's table full, by a real pod that presses on; all of it put back when done."""
    with machine(alone=True):
        try:
            forget_entries()
            # The limit first: a table filled beyond it lets nobody in, by any way, until it has shrunk below it.
            noisy("limit", str(FULL))
            noisy(kind, NODE, str(rate))
            wait_until(is_full, 90, f"{kind} has not filled the table: {entries()} entries")
            yield
        finally:
            noisy("stop")
            forget_entries()


def is_full() -> bool:
    """Whether the node's table is at its limit."""
    return entries() >= AS_GOOD_AS_FULL * FULL
