from __future__ import annotations

import pytest

from tests.kernel.tracked import ENTRIES, limit, needs_limit, needs_root, tracked

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


def test_the_entries_of_this_namespace_are_counted_and_not_the_machines() -> None:
    with tracked() as made:
        made.fill(300)
        found, inode = made.ask(COUNTERS), made.inode
    assert found["usage"]["entries"] == found["counters"]["entries"] == 300
    assert found["node"]["netns"] == inode
    assert found["node"]["init_netns"] is False


@needs_limit
def test_netlink_and_proc_count_the_same_drops_on_a_full_table() -> None:
    with tracked() as made, limit():
        made.fill()
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
    with tracked() as full, tracked() as other, limit():
        full.fill()
        full.ask(KNOCKS)
        own, others = full.ask(LOG), other.ask(LOG)
        after, inode = full.ask(COUNTERS), full.inode
    # The log is rate-limited for the whole machine, so a line may be missing: then the counter is the only proof.
    assert after["counters"]["drop"] >= 40
    assert others["table_full"] == 0
    if own["table_full"]:
        assert own["lines"][-1]["netns"] == inode
        assert own["last_at"] <= after["counters"]["at"] + 1
        assert others["other_netns"] >= own["table_full"]
