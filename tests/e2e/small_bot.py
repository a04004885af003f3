"""A small Bolt app with one of everything that the page must be able to show and to press.

It stands for any app, so that the page is tested for what Slack's clients do, and not for what one bot happens to send.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from deploy.local.slack.running import LocalSlack

Json = dict[str, Any]
HOSTILE = "<img src=x onerror=document.title='owned'> &lt;!channel&gt;"


def plain(words: str) -> Json:
    return {"type": "plain_text", "text": words}


def section(words: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": words}}


def picture() -> bytes:
    """A PNG of one red pixel."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    size = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + chunk(b"IDAT", zlib.compress(b"\0\xd2\x3b\x4e"))
        + chunk(b"IEND", b"")
    )


def card(words: str) -> list[Json]:
    confirm = {
        "title": plain("Look again?"),
        "text": plain("It takes seconds."),
        "confirm": plain("Look"),
        "deny": plain("No"),
    }
    again = {
        "type": "button",
        "action_id": "look_again",
        "text": plain("Look again"),
        "value": "INC-1",
        "confirm": confirm,
    }
    return [section(words), section(HOSTILE), {"type": "actions", "elements": [again]}]


MODAL: Json = {
    "type": "modal",
    "callback_id": "ask",
    "title": plain("Which node?"),
    "submit": plain("Diagnose"),
    "blocks": [
        {
            "type": "input",
            "block_id": "node",
            "label": plain("Node"),
            "element": {"type": "plain_text_input", "action_id": "name"},
        }
    ],
}


def _command(ack: Callable[..., None], command: Json, client: WebClient) -> None:
    ack()
    channel, node = command["channel_id"], command["text"]
    if node == "secret":
        client.chat_postEphemeral(channel=channel, user=command["user_id"], text="between us")
        return
    ts = str(client.chat_postMessage(channel=channel, text=f"Looking at {node}")["ts"])
    client.chat_postMessage(channel=channel, thread_ts=ts, text="*1 Ping* tells nothing")
    client.files_upload_v2(channel=channel, thread_ts=ts, filename="table.png", content=picture(), alt_txt="a chart")
    client.files_upload_v2(channel=channel, thread_ts=ts, filename="raw.txt", content="conntrack -C\n8000\n")
    client.chat_update(channel=channel, ts=ts, text="full", blocks=card(f"*{node}* is full"))


def _again(ack: Callable[..., None], body: Json, client: WebClient) -> None:
    ack()
    blocks = card(f"looked again, asked by <@{body['user']['id']}>")
    client.chat_update(channel=body["channel"]["id"], ts=body["message"]["ts"], text="again", blocks=blocks)


def _shortcut(ack: Callable[..., None], shortcut: Json, client: WebClient) -> None:
    ack()
    client.views_open(trigger_id=shortcut["trigger_id"], view=MODAL | {"private_metadata": shortcut["channel"]["id"]})


def _submitted(ack: Callable[..., None], view: Json, client: WebClient) -> None:
    node = view["state"]["values"]["node"]["name"]["value"]
    if not node.startswith("node-"):
        ack(response_action="errors", errors={"node": f"I don't know a node {node}."})
        return
    ack()
    client.chat_postMessage(channel=view["private_metadata"], text=f"Diagnosing {node}")


def _home(event: Json, client: WebClient) -> None:
    words = f"Incidents of <@{event['user']}>"
    client.views_publish(user_id=event["user"], view={"type": "home", "blocks": card(words)})


def _mentioned(event: Json, say: Callable[..., None]) -> None:
    say(text="You called?", thread_ts=event.get("thread_ts") or event["ts"])


@contextlib.contextmanager
def small_bot(slack: LocalSlack) -> Iterator[None]:
    """Connected for as long as the block lasts."""
    app = App(client=WebClient(token=slack.bot_token, base_url=slack.api_url), name="small")
    app.command("/conntrack")(_command)
    app.action("look_again")(_again)
    app.shortcut("diagnose_message")(_shortcut)
    app.view("ask")(_submitted)
    app.event("app_home_opened")(_home)
    app.event("app_mention")(_mentioned)
    app.event("message")(lambda: None)
    handler = SocketModeHandler(app, slack.app_token, ping_interval=2)
    handler.connect()  # type: ignore[no-untyped-call]  # bolt leaves it unannotated
    try:
        yield
    finally:
        handler.close()  # type: ignore[no-untyped-call]  # the same
        app.listener_runner.listener_executor.shutdown(wait=True)
