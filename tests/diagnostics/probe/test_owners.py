from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.probe import owners, sockets
from diagnostics.probe.procfs import Unreadable

UID = "27e8db08-f41b-4fbb-9740-857760655b0a"
UNDERSCORED = UID.replace("-", "_")
ID = "d4e664942e3f67b0065fae80294127543ba94ff0aae7c4ba010e2e80fd42f67a"
STATIC = "6b5b4a3c2d1e0f00112233445566778f"


@pytest.mark.parametrize(
    ("cgroup", "pod_uid", "container_id"),
    [
        (
            f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope",
            UID,
            ID,
        ),
        (f"0::/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/crio-{ID}.scope/container", UID, ID),
        (f"11:memory:/kubepods/besteffort/pod{UID}/{ID}\n1:name=systemd:/kubepods/besteffort/pod{UID}/{ID}", UID, ID),
        (f"0::/kubelet.slice/kubelet-kubepods-pod{UNDERSCORED}.slice/docker-{ID}.scope", UID, ID),
        (f"0::/../../kubepods-besteffort-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope", UID, ID),
        (
            f"1:cpu:/system.slice/containerd.service/kubepods-burstable-pod{UNDERSCORED}.slice:cri-containerd:{ID}",
            UID,
            ID,
        ),
        (f"0::/kubepods/burstable/pod{STATIC}/{ID}", STATIC, ID),
        (f"9:name=systemd:/k8s.io/{ID}\n0::/k8s.io/{ID}", None, ID),
        (f"5:devices:/docker/{ID}", None, ID),
        ("0::/system.slice/kubelet.service", None, None),
        ("0::/", None, None),
        ("", None, None),
    ],
    ids=[
        "systemd driver, containerd",
        "systemd driver, CRI-O, nested",
        "cgroupfs driver, version 1",
        "docker",
        "seen from another cgroup namespace",
        "containerd with colons",
        "static pod",
        "containerd without the pod's cgroup",
        "docker without Kubernetes",
        "a service of the host",
        "root",
        "empty",
    ],
)
def test_a_cgroup_tells_pod_and_container(cgroup: str, pod_uid: str | None, container_id: str | None) -> None:
    assert owners.owner_of(cgroup) == (pod_uid, container_id)


def test_mounts_tell_the_pod_where_cgroups_do_not() -> None:
    overlay = "1 2 0:50 / / rw - overlay overlay rw\n"
    mounts = overlay + f"3 4 254:0 /var/lib/kubelet/pods/{UID}/etc-hosts /etc/hosts rw - ext4 x rw\n"
    assert owners.pod_of_mounts(mounts) == UID
    assert owners.pod_of_mounts(overlay) is None


@given(st.text(max_size=300))
def test_random_text_never_crashes_the_parsers(text: str) -> None:
    owners.owner_of(text)
    owners.pod_of_mounts(text)


HEADING = "  sl  local_address rem_address   st tx rx tr tm retr uid timeout inode\n"


def socket_line(port: int, remote: str, state: str, inode: int) -> str:
    return f"   0: 0800000A:{port:04X} {remote} {state} 0:0 00:0 0 0 0 {inode} 1 0 20 4 30 10 -1\n"


class Node:
    """A made-up /proc: processes with namespace, sockets and cgroup. A namespace is a file, its inode its number."""

    def __init__(self, root: Path, services: int = 4) -> None:
        self.root = root
        self.proc = root / "proc"
        (self.proc / "net").mkdir(parents=True)
        (root / "namespaces").mkdir()
        for pid in range(1, services + 1):
            self.process(pid, f"service-{pid}", "node", [])
        self.process("self", "probe", "node", [])

    def process(self, pid: int | str, name: str, netns: str, inodes: list[int], cgroup: str = "0::/\n") -> None:
        folder = self.proc / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "fd").mkdir()
        (folder / "net" / "stat").mkdir(parents=True)
        (folder / "comm").write_text(name + "\n")
        (folder / "cgroup").write_text(cgroup)
        namespace = self.root / "namespaces" / netns
        namespace.touch()
        (folder / "ns" / "net").symlink_to(namespace)
        for number, inode in enumerate(inodes):
            (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (folder / "fd" / "99").symlink_to("/dev/null")

    def table(self, pid: int, entries: int, drop: int) -> None:
        (self.proc / str(pid) / "net/stat/nf_conntrack").write_text(
            f"entries  clashres drop\n{entries:08x}  0 {drop:x}\n{entries:08x}  0 1\n"
        )

    def netns(self, name: str) -> int:
        return (self.root / "namespaces" / name).stat().st_ino

    def read(self) -> dict[str, object]:
        return owners.read(time.monotonic() + 5, str(self.root))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


POD = f"0::/kubepods.slice/kubepods-pod{UNDERSCORED}.slice/cri-containerd-{ID}.scope\n"


def test_sockets_are_grouped_by_program_and_container_with_states_and_targets(node: Node) -> None:
    node.process(50, "checkout", "node", [901, 902], POD)
    node.process(51, "checkout", "node", [903], POD)
    node.process(60, "kubelet", "node", [904])
    (node.proc / "net" / "tcp").write_text(
        HEADING
        + socket_line(40000, "0C00600A:0050", "01", 901)
        + socket_line(40001, "0C00600A:0050", "01", 902)
        + socket_line(40002, "0D00600A:0050", "08", 903)
        + socket_line(40003, "0100600A:01BB", "01", 904)
        + socket_line(10250, "00000000:0000", "0A", 904)
        + socket_line(40004, "0C00600A:0050", "06", 0)
    )
    found = node.read()
    expected = {
        "process": "checkout",
        "pid": 50,
        "pod_uid": UID,
        "container_id": ID,
        "sockets": 3,
        "states": {"ESTABLISHED": 2, "CLOSE_WAIT": 1},
        "targets": [
            ["tcp", sockets.address("0C00600A"), 80, 2],
            ["tcp", sockets.address("0D00600A"), 80, 1],
        ],
    }
    shown = found["sockets"]
    assert isinstance(shown, list)
    assert shown[0] == expected
    assert [each["process"] for each in shown] == ["checkout", "kubelet"]
    assert found["sockets_other"] == 1
    assert found["whole"] is True


def test_sockets_of_pods_with_their_own_namespace_are_not_the_nodes(node: Node) -> None:
    node.process(70, "app", "pod", [905], POD)
    (node.proc / "net" / "tcp").write_text(HEADING + socket_line(40000, "0C00600A:0050", "01", 905))
    found = node.read()
    assert found["sockets"] == []
    assert found["sockets_other"] == 1


def test_other_tables_are_listed_by_entries_and_the_pause_process_does_not_name_them(node: Node) -> None:
    for pid, name, netns in ((70, "pause", "pod"), (71, "envoy", "pod"), (80, "app", "small"), (90, "idle", "empty")):
        node.process(pid, name, netns, [], POD if name == "envoy" else "0::/\n")
    for pid, entries, drop in ((70, 8000, 16), (80, 3, 0), (90, 0, 0)):
        node.table(pid, entries, drop)
    assert node.read()["namespaces"] == [
        {"netns": node.netns("pod"), "entries": 8000, "pod_uid": UID, "process": "envoy", "drop": 17},
        {"netns": node.netns("small"), "entries": 3, "pod_uid": None, "process": "app", "drop": 1},
    ]


def test_at_most_thirty_owners_are_listed_and_the_rest_is_counted(node: Node) -> None:
    lines = []
    for number in range(40):
        node.process(100 + number, f"client-{number}", "node", [2000 + number])
        lines.append(socket_line(40000 + number, "0C00600A:0050", "01", 2000 + number))
    (node.proc / "net" / "tcp").write_text(HEADING + "".join(lines))
    found = node.read()
    assert isinstance(found["sockets"], list)
    assert (len(found["sockets"]), found["sockets_other"]) == (30, 10)


def test_a_process_that_ended_meanwhile_costs_no_other(node: Node) -> None:
    node.process(50, "checkout", "node", [901], POD)
    (node.proc / "55").mkdir()
    os.unlink(node.proc / "50" / "cgroup")  # noqa: PTH108  # as the kernel does it
    (node.proc / "net" / "tcp").write_text(HEADING + socket_line(40000, "0C00600A:0050", "01", 901))
    shown = node.read()["sockets"]
    assert isinstance(shown, list)
    assert (shown[0]["process"], shown[0]["pod_uid"], shown[0]["sockets"]) == ("checkout", None, 1)


def test_a_container_that_sees_only_itself_is_not_permitted_rather_than_empty(tmp_path: Path) -> None:
    lonely = Node(tmp_path, services=3)
    with pytest.raises(Unreadable, match="hostPID"):
        lonely.read()


def test_a_deadline_that_has_passed_says_that_the_look_is_not_whole(node: Node) -> None:
    node.process(50, "checkout", "node", [901], POD)
    with pytest.raises(Unreadable):
        owners.read(time.monotonic() - 1, str(node.root))
