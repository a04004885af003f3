"""The controls over HTTP, as scripts and the page use them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import aiohttp
import pytest
from slack_bolt import App
from slack_sdk import WebClient

from deploy.local.slack.running import LocalSlack

# slack_sdk leaves a socket to the garbage collector where a connection breaks while it opens.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

Json = dict[str, Any]


def post(url: str, said: Any, headers: dict[str, str] | None = None) -> Json:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    request = urllib.request.Request(url, body, headers or {})  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - the same
        answer: Json = json.load(response)
    return answer


def get(url: str) -> Json:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own server
        answer: Json = json.load(response)
    return answer


def test_a_script_says_something_and_reads_it(slack: LocalSlack) -> None:
    ts = post(f"{slack.url}/_ctl/say", {"user": "U0ALICE", "channel": "C0INCIDENTS", "text": "a <b>"})["ts"]
    (message,) = get(f"{slack.url}/_ctl/messages?channel=incidents")["messages"]
    assert (message["ts"], message["text"], message["user_name"]) == (ts, "a &lt;b&gt;", "alice")


def test_the_state_names_people_channels_and_what_the_app_has(slack: LocalSlack) -> None:
    state = get(f"{slack.url}/_ctl/state?user=eve")
    assert [one["name"] for one in state["channels"]] == ["partners"]
    assert {one["name"]: one["kind"] for one in state["people"]} == {
        "alice": "member", "dan": "member", "bob": "member", "carol": "member", "gus": "guest", "eve": "external",
        "conntrack": "bot",
    }  # fmt: skip
    assert [one["name"] for one in state["commands"]] == ["/conntrack"]


@pytest.mark.parametrize(
    ("path", "said", "words"),
    [
        ("command", {"user": "alice"}, "'command' is missing"),
        ("command", {"user": "zoe", "command": "/conntrack", "channel": "incidents"}, "nobody called zoe"),
        ("command", {"user": "gus", "command": "/conntrack", "channel": "sre-private"}, "no channel sre-private"),
        ("click", {"user": "bob", "channel": "incidents", "ts": "1.0", "action_id": "x"}, "no message 1.0"),
        ("submit", {"user": "bob", "view_id": "V0"}, "does not see a view V0"),
        ("sockets", {"how": "politely"}, "does not end by politely"),
        ("fault", {"metod": "auth.test"}, "That is no fault"),
        ("say", b"{", "not the JSON"),
        ("say", [], "not the JSON"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(slack: LocalSlack, path: str, said: Any, words: str) -> None:
    with pytest.raises(HTTPError) as error:
        post(f"{slack.url}/_ctl/{path}", said)
    assert error.value.code == 400
    assert words in json.load(error.value)["error"]
    error.value.close()


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example:4040"}, {"Host": "127.0.0.1:x"}],
    ids=["another site", "a sandboxed page", "a rebound name", "a broken name"],
)
def test_another_site_cannot_act_here(slack: LocalSlack, headers: dict[str, str]) -> None:
    with pytest.raises(HTTPError) as error:
        post(f"{slack.url}/_ctl/say", {"user": "alice", "channel": "incidents", "text": "x"}, headers)
    assert error.value.code == 403
    error.value.close()
    assert slack.messages("incidents") == []


def test_changes_stream_as_they_come(slack: LocalSlack) -> None:
    async def first_change() -> Json:
        async with aiohttp.ClientSession() as session, session.get(f"{slack.url}/_ctl/stream") as stream:
            await stream.content.readuntil(b"\n\n")
            say = {"user": "alice", "channel": "incidents", "text": "x"}
            async with session.post(f"{slack.url}/_ctl/say", json=say) as answer:
                ts = (await answer.json())["ts"]
            change: Json = json.loads((await stream.content.readuntil(b"\n\n")).removeprefix(b"data: "))
        assert change["ts"] == ts
        return change

    assert asyncio.run(first_change())["channel"] == "C0INCIDENTS"


def test_what_is_new_since_the_last_look_can_be_asked_for(slack: LocalSlack, client: WebClient) -> None:
    client.auth_test()
    first = get(f"{slack.url}/_ctl/calls")
    assert [one["method"] for one in first["calls"]] == ["auth.test"]
    client.team_info()
    later = get(f"{slack.url}/_ctl/calls?after={first['last']}")
    assert [one["method"] for one in later["calls"]] == ["team.info"]
    assert "xoxb" not in json.dumps(first)


def test_two_hundred_commands_at_once_are_all_delivered(slack: LocalSlack, app: App) -> None:
    app.command("/conntrack")(lambda ack: ack())
    with ThreadPoolExecutor(200) as pool:
        asked = [pool.submit(slack.as_("alice").command, f"/conntrack node-{number}") for number in range(200)]
        assert [one.result()["outcome"] for one in asked] == ["acked"] * 200


def test_it_runs_alone_keeps_a_journal_and_stops_when_told(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    command = [sys.executable, "-m", "deploy.local.slack", "--port", "0", "--journal", str(journal)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env=os.environ | {}) as running:
        assert running.stdout is not None
        found = re.search(r"http://[\d.:]+", running.stdout.readline())
        assert found is not None
        WebClient(token="xoxb-local-bot", base_url=f"{found[0]}/api/").auth_test()
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == 0
    assert [json.loads(line)["method"] for line in journal.read_text().splitlines()][-1] == "auth.test"
