from __future__ import annotations

import subprocess

import pytest

from tests.kernel.tracked import SERVER, limit, needs_limit, needs_root, tracked

pytestmark = [pytest.mark.kernel, needs_root, pytest.mark.timeout(400)]

REACH = """
import json
from diagnostics.probe import reach
print(json.dumps([reach.ping("127.0.0.1", "loopback"), reach.connect("127.0.0.1", 8080, "a server")]))
"""


def test_on_a_table_with_room_pings_and_connections_work() -> None:
    with tracked() as made, made.running(SERVER):
        ping, connects = made.ask(REACH)
    assert (ping["answered"], ping["failed"]) == (3, {})
    assert (connects["connected"], connects["failed"], connects["retransmitted"]) == (20, {}, 0)


@needs_limit
def test_on_a_table_full_of_established_entries_pings_are_refused_and_connections_time_out() -> None:
    with tracked() as made, made.running(SERVER), limit():
        made.fill()
        ping, connects = made.ask(REACH)
    assert (ping["answered"], ping["failed"]) == (0, {"EPERM": 3})
    assert (connects["connected"], connects["failed"]) == (0, {"timeout": 20})


@needs_limit
def test_room_that_comes_back_within_a_second_shows_as_retransmitted_connections() -> None:
    """The limit is raised after the first SYNs were dropped: the same sockets then succeed on their second SYN."""
    code = """
import json
from diagnostics.probe import reach
print(json.dumps(reach.connect("127.0.0.1", 8080, "a server", attempts=10)))
"""
    with tracked() as made, made.running(SERVER), limit():
        made.fill()
        release = made.argv("sh", "-c", "sleep 0.9; conntrack -D -s 10.244.1.11 -p tcp >/dev/null 2>&1")
        with subprocess.Popen(release):
            connects = made.ask(code)
    assert connects["retransmitted"] > 0
    assert connects["connected"] == 10
    assert min(connects["seconds"]) >= 0.4
