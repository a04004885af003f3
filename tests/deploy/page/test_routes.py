"""What the page's script gets: what a person may see, and nothing that a browser would run."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from deploy.local.slack.page.routes import _FILES
from deploy.local.slack.running import LocalSlack, running
from deploy.local.slack.state import File, Message

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def slack() -> Iterator[LocalSlack]:
    with running(limits_rates=False) as local:
        yield local


@pytest.fixture
def bot(slack: LocalSlack) -> WebClient:
    return WebClient(token=slack.bot_token, base_url=slack.api_url)


def fetched(slack: LocalSlack, path: str) -> tuple[bytes, Any]:
    with urllib.request.urlopen(f"{slack.url}{path}", timeout=5) as answer:  # noqa: S310 - loopback
        return answer.read(), answer.headers


def asked(slack: LocalSlack, path: str) -> Any:
    return json.loads(fetched(slack, path)[0])


def rows(slack: LocalSlack, user: str, thread: str = "", channel: str = "incidents") -> str:
    seen = asked(slack, f"/_page/channel?user={user}&channel={channel}&thread={thread}")
    shown = seen["thread"]["rows"] if thread else seen["rows"]
    return "".join(row["html"] for row in shown)


def test_the_page_may_load_and_run_nothing_but_its_own_files(slack: LocalSlack) -> None:
    page, headers = fetched(slack, "/")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert b"style=" not in page
    for name in _FILES:
        assert b"https://" not in fetched(slack, f"/_page/{name}")[0]


def test_no_other_file_of_the_machine_is_served(slack: LocalSlack) -> None:
    for name in ("routes.py", "..%2Fseed.py", "page.html"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            fetched(slack, f"/_page/{name}")


def test_a_whisper_is_only_in_its_readers_page(slack: LocalSlack, bot: WebClient) -> None:
    bot.chat_postEphemeral(channel="C0INCIDENTS", user="U0ALICE", text="for alice only")
    assert "for alice only" in rows(slack, "alice")
    assert "Only visible to you" in rows(slack, "alice")
    assert "for alice only" not in rows(slack, "bob")


def test_who_is_in_no_such_channel_sees_nothing_of_it(slack: LocalSlack) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        rows(slack, "gus", channel="sre-private")
    places = [one["name"] for one in asked(slack, "/_page/sidebar?user=eve")["channels"]]
    assert places == ["partners"]


def test_a_thread_hangs_below_its_root_and_a_broadcast_shows_in_both(slack: LocalSlack, bot: WebClient) -> None:
    root = bot.chat_postMessage(channel="C0INCIDENTS", text="root")["ts"]
    bot.chat_postMessage(channel="C0INCIDENTS", text="quiet reply", thread_ts=root)
    bot.chat_postMessage(channel="C0INCIDENTS", text="loud reply", thread_ts=root, reply_broadcast=True)
    assert "quiet reply" not in rows(slack, "bob")
    assert "loud reply" in rows(slack, "bob")
    assert "2 replies" in rows(slack, "bob")
    thread = rows(slack, "bob", root)
    assert thread.index("root") < thread.index("quiet reply") < thread.index("loud reply")


def test_an_edited_message_says_so(slack: LocalSlack, bot: WebClient) -> None:
    ts = bot.chat_postMessage(channel="C0PRIVATE", text="first")["ts"]
    assert "edited" not in rows(slack, "bob", channel="sre-private")
    bot.chat_update(channel="C0PRIVATE", ts=ts, text="second")
    assert "second" in rows(slack, "bob", channel="sre-private")
    assert "edited" in rows(slack, "bob", channel="sre-private")


def test_only_pictures_are_served_as_such(slack: LocalSlack) -> None:
    workspace = slack.service.workspace
    for number, (mimetype, content) in enumerate(
        [("image/png", PNG), ("image/svg+xml", b"<svg onload=x>"), ("text/html", b"<b>")]
    ):
        workspace.files[f"F{number}"] = File(
            f"F{number}", "a", "<a>", 8, "U0BOB", content, mimetype, "", is_shared=True
        )
    workspace.add(Message("C0GENERAL", workspace.new_ts(), "U0BOB", "files", files=["F0", "F1", "F2"]))
    assert [fetched(slack, f"/_page/files/F{number}")[1].get_content_type() for number in range(3)] == [
        "image/png", "text/plain", "text/plain"]  # fmt: skip
    html = rows(slack, "bob", channel="general")
    assert html.count("<img") == 1
    assert "<a>" not in html


def test_an_upload_that_slack_still_works_on_is_shown_as_such(slack: LocalSlack) -> None:
    workspace = slack.service.workspace
    workspace.files["F9"] = File("F9", "chart.png", "Chart", 8, "U0BOB", PNG)
    workspace.add(Message("C0PARTNERS", workspace.new_ts(), "U0BOB", "", files=["F9"]))
    assert "Chart is being processed" in rows(slack, "eve", channel="partners")


def test_an_alert_is_drawn_with_its_attachments(slack: LocalSlack) -> None:
    attachment = {
        "color": "danger",
        "title": "NodeFull",
        "text": "*node-7*",
        "fields": [{"title": "node", "value": "node-7"}],
    }
    workspace = slack.service.workspace
    workspace.add(Message("C0PRIVATE", workspace.new_ts(), "U0ALERTMANAGER", "", attachments=[attachment]))
    html = rows(slack, "alice", channel="sre-private")
    assert '<rect width="4" height="100%" fill="#d23b4e">' in html
    assert "<strong>node-7</strong>" in html


def test_a_hostile_attachments_colour_stays_out(slack: LocalSlack) -> None:
    workspace = slack.service.workspace
    workspace.add(
        Message("C0PRIVATE", workspace.new_ts(), "U0BOB", "", attachments=[{"color": '"><script>', "fallback": "x"}])
    )
    assert "<script" not in rows(slack, "alice", channel="sre-private")
