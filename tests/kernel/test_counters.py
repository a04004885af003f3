from __future__ import annotations

import pytest

from tests.kernel.namespaces import Namespace, limit, namespace, needs_limit, needs_root

pytestmark = [pytest.mark.kernel, needs_root, pytest.mark.timeout(400)]

BOTH_WAYS = """
import json
from diagnostics.probe import kernel, procfs
netlink = kernel.conntrack_counters()
proc = kernel.columns_of(procfs.text("/", "/proc/net/stat/nf_conntrack", 1048576))
print(json.dumps([netlink, proc]))
"""
COUNTERS = """
import json
from diagnostics.probe import kernel
print(json.dumps({"counters": kernel.counters(), "usage": kernel.usage(), "node": kernel.node()}))
"""
KNOCKS = """
import socket
for number in range(40):
    knocking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        knocking.sendto(b"x", ("127.0.0.1", 9))
    except PermissionError:
        pass
print("null")
"""
LOG = """
import json
from diagnostics.probe import kernel
print(json.dumps(kernel.kernel_log()))
"""
ENTRIES = 2000


def fill(made: Namespace, count: int = ENTRIES) -> None:
    made.write(
        {"count": count, "source": "10.244.1.11", "to": "10.96.0.12", "state": "ESTABLISHED", "timeout_low": 600}
    )


def test_the_entries_of_this_namespace_are_counted_and_not_the_machines() -> None:
    with namespace() as made:
        fill(made, 300)
        found = made.ask(COUNTERS)
    assert found["usage"]["entries"] == found["counters"]["entries"] == 300
    assert found["node"]["netns"] == made.inode
    assert found["node"]["init_netns"] is False


@needs_limit
def test_netlink_and_proc_count_the_same_drops_on_a_full_table() -> None:
    with namespace() as made, limit(ENTRIES):
        fill(made)
        before = made.ask(COUNTERS)
        made.ask(KNOCKS)
        after = made.ask(COUNTERS)
        netlink, proc = made.ask(BOTH_WAYS)
    assert before["usage"]["entries"] == before["usage"]["limit"] == ENTRIES
    assert after["counters"]["drop"] - before["counters"]["drop"] == 40
    assert after["counters"]["at"] >= before["counters"]["at"]
    assert sum(after["counters"]["per_cpu"]["drop"]) == after["counters"]["drop"]
    assert {name: sum(values) for name, values in netlink.items()} == {
        name: sum(values) for name, values in proc.items() if name in netlink
    }


@needs_limit
def test_a_full_table_of_another_namespace_is_not_taken_for_the_nodes_own() -> None:
    with namespace() as full, namespace() as other, limit(ENTRIES):
        fill(full)
        full.ask(KNOCKS)
        own, others = full.ask(LOG), other.ask(LOG)
        after = full.ask(COUNTERS)
    # The log is rate-limited for the whole machine, so a line may be missing: then the counter is the only proof.
    assert after["counters"]["drop"] >= 40
    assert others["table_full"] == 0
    if own["table_full"]:
        assert own["lines"][-1]["netns"] == full.inode
        assert own["last_at"] <= after["counters"]["at"] + 1
        assert others["other_netns"] >= own["table_full"]
