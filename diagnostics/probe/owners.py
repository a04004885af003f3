"""Who holds the sockets of the node itself, and what other conntrack tables the node has: the deep look.

Pods that share the node's address cannot be told apart in the conntrack table; their sockets can: socket, process,
container, pod. And a pod whose own namespace tracks connections (a sidecar redirects there) has a table of its own,
against the same limit. Needs hostPID and a privileged container, or root on the host. It must not know pods' names.

The section: {sockets: [{process, pid (of the first one), pod_uid, container_id, sockets, states, targets: [[protocol,
address, port, n], at most 3]}, ... by sockets, at most 30], sockets_other: sockets that are not listed, or that have no
process any more (TIME_WAIT), namespaces: [{netns, entries, pod_uid, process, drop}, ... by entries, at most 30, none
without entries], whole: false where the deadline cut the look short}.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from diagnostics.probe import kernel, machine, netlink, netstat, procfs, sockets
from diagnostics.probe.procfs import Unreadable

NOT_PERMITTED = "not permitted: needs hostPID and a privileged container, or root on the host"
MOST_IN_OUR_CONTAINER = 3  # processes; a node has a hundred, so who sees no more sees only the probe's own container
MOST_LISTED = 30
MOST_TARGETS_SHOWN = 3
MOST_TARGETS_COUNTED = 4096  # of one owner; a client that calls more places is known well enough by then
MOST_SOCKETS = 200000  # inodes kept in memory, about 100 bytes each
MOST_NAMESPACES = 1000  # a node runs some hundred pods
SOCKET_FILES = ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6")

# Cgroup paths: "kubepods-burstable-pod<uid with _>.slice/cri-containerd-<id>.scope" (systemd driver),
# "/kubepods/burstable/pod<uid>/<id>" (cgroupfs driver), "/k8s.io/<id>" (containerd without a pod's cgroup). The UID of
# a static pod is a hash of 32 digits.
_POD_UID = re.compile(r"\bpod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})\b")
_CONTAINER_ID = re.compile(r"(?:[/:-])([0-9a-f]{64})(?:\.scope)?(?=/|$)", re.MULTILINE)
# Where cgroups do not tell: the kubelet mounts files of the pod's folder into each container, /etc/hosts for one.
_POD_FOLDER = re.compile(
    r"/pods/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})/(?:etc-hosts|containers/|volumes/)"
)


class Process(NamedTuple):
    """A process of the node and the network namespace it is in."""

    pid: int
    name: str
    netns: int


class Owner(NamedTuple):
    """What sockets are grouped by: processes of one name in one container."""

    name: str
    pod_uid: Optional[str]
    container_id: Optional[str]


class Holding:
    """The sockets of one owner, counted."""

    __slots__ = ("pid", "sockets", "states", "targets")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.sockets = 0
        self.states: Dict[str, int] = {}
        self.targets: Dict[sockets.Target, int] = {}

    def count(self, row: sockets.Row) -> None:
        """Add one socket."""
        self.sockets += 1
        self.states[row.state] = self.states.get(row.state, 0) + 1
        target = (row.protocol, row.remote, row.remote_port)
        if target in self.targets or len(self.targets) < MOST_TARGETS_COUNTED:
            self.targets[target] = self.targets.get(target, 0) + 1


# ---- the section ----------------------------------------------------------------------------------------------------


def read(deadline: float, root: str = "/") -> Dict[str, Any]:
    """The report's section. ``deadline`` is a time of ``time.monotonic()``."""
    own = machine.own_netns(root)
    found, is_whole = _processes(root, deadline)
    here = [process for process in found if process.netns == own]
    if len(found) <= MOST_IN_OUR_CONTAINER or not here:
        raise Unreadable(NOT_PERMITTED)
    # A table of its own is rarer than a socket, and quicker to read.
    namespaces = _namespaces(root, [process for process in found if process.netns != own], deadline)
    holdings, others = _holdings(root, here, deadline)
    listed = sorted(holdings.items(), key=lambda each: (-each[1].sockets, each[0].name))
    rest = listed[MOST_LISTED:]
    return {
        "sockets": [_shown(owner, holding) for owner, holding in listed[:MOST_LISTED]],
        "sockets_other": others + sum(holding.sockets for _, holding in rest),
        "namespaces": namespaces,
        "whole": is_whole and time.monotonic() < deadline,
    }


def _shown(owner: Owner, holding: Holding) -> Dict[str, Any]:
    top = sorted(holding.targets.items(), key=lambda each: (-each[1], each[0]))[:MOST_TARGETS_SHOWN]
    return {
        "process": owner.name,
        "pid": holding.pid,
        "pod_uid": owner.pod_uid,
        "container_id": owner.container_id,
        "sockets": holding.sockets,
        "states": holding.states,
        "targets": [[protocol, sockets.address(printed), port, count] for (protocol, printed, port), count in top],
    }


# ---- processes ------------------------------------------------------------------------------------------------------


def _processes(root: str, deadline: float) -> Tuple[List[Process], bool]:
    """The processes whose network namespace may be seen, and whether all were asked before the deadline."""
    found: List[Process] = []
    for pid in sorted(int(name) for name in procfs.names(root, "/proc") if name.isdecimal()):
        if time.monotonic() >= deadline:
            return found, False
        try:
            netns = os.stat(procfs.place(root, "/proc/%d/ns/net" % pid)).st_ino
            found.append(Process(pid, procfs.text(root, "/proc/%d/comm" % pid, 64).strip(), netns))
        except (OSError, Unreadable):
            continue  # it has ended, or this process may not look at it
    return found, True


def _owner(root: str, process: Process) -> Owner:
    """The container and pod of a process, as far as its cgroup and its mounts tell."""
    try:
        pod_uid, container_id = owner_of(procfs.text(root, "/proc/%d/cgroup" % process.pid))
    except Unreadable:
        return Owner(process.name, None, None)
    if container_id is not None and pod_uid is None:
        try:
            pod_uid = pod_of_mounts(procfs.text(root, "/proc/%d/mountinfo" % process.pid, 262144))
        except Unreadable:
            pass  # then the container's id has to do
    return Owner(process.name, pod_uid, container_id)


def owner_of(cgroup: str) -> Tuple[Optional[str], Optional[str]]:
    """(pod UID, container id) out of /proc/PID/cgroup, of any runtime, cgroup driver and version."""
    pod, containers = _POD_UID.search(cgroup), _CONTAINER_ID.findall(cgroup)
    return pod.group(1).replace("_", "-") if pod else None, containers[-1] if containers else None


def pod_of_mounts(mountinfo: str) -> Optional[str]:
    """The pod UID out of /proc/PID/mountinfo."""
    found = _POD_FOLDER.search(mountinfo)
    return found.group(1) if found else None


# ---- sockets of the node's own namespace ----------------------------------------------------------------------------


def _holdings(root: str, here: List[Process], deadline: float) -> Tuple[Dict[Owner, Holding], int]:
    """The connected sockets of this network namespace by owner, and how many have none that can be seen."""
    by_inode = _inodes(root, here, deadline)
    owners: Dict[int, Owner] = {}
    holdings: Dict[Owner, Holding] = {}
    others = 0
    for row in _connected(root, deadline):
        process = by_inode.get(row.inode)
        if process is None:
            others += 1
            continue
        if process.pid not in owners:
            owners[process.pid] = _owner(root, process)
        holdings.setdefault(owners[process.pid], Holding(process.pid)).count(row)
    return holdings, others


def _connected(root: str, deadline: float) -> Iterator[sockets.Row]:
    for path in SOCKET_FILES:
        try:
            for row in sockets.rows(root, path, deadline):
                if row.remote_port or not sockets.is_unset(row.remote):
                    yield row
        except Unreadable:
            continue  # a machine without IPv6 has two files less


def _inodes(root: str, here: List[Process], deadline: float) -> Dict[int, Process]:
    """Which process holds a socket: the first one, where several share it."""
    by_inode: Dict[int, Process] = {}
    for process in here:
        if time.monotonic() >= deadline or len(by_inode) >= MOST_SOCKETS:
            break
        for inode in _socket_inodes(procfs.place(root, "/proc/%d/fd" % process.pid)):
            by_inode.setdefault(inode, process)
    return by_inode


def _socket_inodes(folder: str) -> Iterator[int]:
    try:
        names = os.listdir(folder)
    except OSError:
        return  # it has ended, or this process may not look at it
    for name in names[:MOST_SOCKETS]:
        try:
            link = os.readlink(os.path.join(folder, name))
        except OSError:
            continue
        inode = procfs.whole_number(link[8:-1]) if link.startswith("socket:[") else None
        if inode is not None:
            yield inode


# ---- tables of other namespaces -------------------------------------------------------------------------------------


def _namespaces(root: str, elsewhere: List[Process], deadline: float) -> List[Dict[str, Any]]:
    """The conntrack tables of other network namespaces that have entries, the fullest first."""
    members: Dict[int, List[Process]] = {}
    for process in elsewhere:
        if process.netns in members or len(members) < MOST_NAMESPACES:
            members.setdefault(process.netns, []).append(process)
    fills: List[Tuple[int, Optional[int], int]] = []
    for netns, processes in members.items():
        if time.monotonic() >= deadline:
            break
        try:
            entries, drop = _fill(root, processes[0].pid, netns)
        except Unreadable:
            continue  # its last process has ended
        if entries:
            fills.append((entries, drop, netns))
    fills.sort(key=lambda fill: (-fill[0], fill[2]))
    return [_namespace(root, fill, members[fill[2]]) for fill in fills[:MOST_LISTED]]


def _namespace(root: str, fill: Tuple[int, Optional[int], int], processes: List[Process]) -> Dict[str, Any]:
    """A pod's first process is the sandbox's "pause", which says nothing and may not tell the pod: others go first."""
    ordered = sorted(processes, key=lambda process: process.name == "pause")[:5]
    owners = [_owner(root, process) for process in ordered]
    owner = ([each for each in owners if each.pod_uid] or owners)[0]
    entries, drop, netns = fill
    return {
        "netns": netns,
        "entries": entries,
        "pod_uid": owner.pod_uid,
        "process": owner.name,
        "drop": drop,
    }


def _fill(root: str, pid: int, netns: int) -> Tuple[int, Optional[int]]:
    """(entries, drops) of a process's network namespace.

    /proc/PID/net shows that namespace without entering it. Kernels without CONFIG_NF_CONNTRACK_PROCFS have no such
    file: there a thread enters the namespace and asks through netlink.
    """
    try:
        first, total = netstat.statistics_of(procfs.text(root, "/proc/%d/net/stat/nf_conntrack" % pid, 1048576))
        return first["entries"], total.get("drop")
    except (Unreadable, KeyError):
        return fill_within(procfs.place(root, "/proc/%d/ns/net" % pid), netns)


def fill_within(namespace: str, netns: int) -> Tuple[int, Optional[int]]:
    """(entries, drops) of a network namespace, given by a file of it, by entering it.

    In a thread of its own: setns(2) moves only the thread that calls it, and this one ends there, so that the rest of
    the probe cannot find itself elsewhere.
    """
    import threading  # noqa: PLC0415  # costs start time, and is needed here only

    answers: List[Tuple[int, Optional[int]]] = []
    reasons: List[str] = []

    def ask() -> None:
        try:
            _enter(namespace, netns)
            entries, _ = kernel.conntrack_fill()
            answers.append((entries, sum(kernel.conntrack_counters().get("drop", []))))
        except (OSError, Unreadable) as error:
            reasons.append(procfs.why(error) if isinstance(error, OSError) else str(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(2 * netlink.TIMEOUT_SECONDS + 1)
    if not answers:
        raise Unreadable(reasons[0] if reasons else "no answer")
    return answers[0]


def _enter(namespace: str, netns: int) -> None:
    """Move this thread into a network namespace; ``netns`` is the inode it must have, for a pid may be used again."""
    import ctypes  # noqa: PLC0415  # costs start time, and is needed here only

    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_ino != netns:
            raise Unreadable("its last process has ended")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, 0x40000000) != 0:  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
