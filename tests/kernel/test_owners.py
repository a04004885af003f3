from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.tracked import PROJECT, SERVER, needs_root, tracked

pytestmark = [pytest.mark.kernel, needs_root]

READ = """
import json, time
from diagnostics.probe import owners
print(json.dumps(owners.read(time.monotonic() + 10)))
"""
HOLD = """
import socket, time
held = [socket.create_connection(("127.0.0.1", 8080)) for _ in range(7)]
print("ready", flush=True)
time.sleep(60)
"""
WITHIN = """
import json, os, sys
from diagnostics.probe import owners
def here():
    return os.stat("/proc/thread-self/ns/net").st_ino
before, path = here(), sys.argv[1]
print(json.dumps([owners.fill_within(path, os.stat(path).st_ino), here() == before]))
"""


def ask(code: str, *arguments: str) -> Any:
    program = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def test_sockets_lead_to_the_process_that_holds_them() -> None:
    with tracked() as made, made.running(SERVER), made.running(HOLD) as holder:
        found = made.ask(READ)
    held = [each for each in found["sockets"] if each["targets"][0][:3] == ["tcp", "127.0.0.1", 8080]]
    assert [(each["pid"], each["sockets"], each["pod_uid"]) for each in held] == [(holder.pid, 7, None)]
    assert found["whole"] is True


def test_a_namespace_with_entries_is_found_from_outside_by_a_process_in_it() -> None:
    with tracked() as made, tracked() as empty, made.running(SERVER), empty.running(SERVER):
        made.fill(1234)
        found = {each["netns"]: each["entries"] for each in ask(READ)["namespaces"]}
        inode, inode_of_empty = made.inode, empty.inode
    assert found[inode] == 1234
    assert inode_of_empty not in found


def test_a_namespace_can_be_entered_and_left_where_proc_does_not_show_it() -> None:
    with tracked() as made:
        made.fill(77)
        (entries, drop), is_back = ask(WITHIN, str(Path("/run/netns") / made.name))
    assert (entries, drop) == (77, 0)
    assert is_back
