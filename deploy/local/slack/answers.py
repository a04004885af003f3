"""response_url: the app answers a command or a click without a token, five times within half an hour.

It must not know what was asked.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from deploy.local.slack import posting, shapes
from deploy.local.slack.api.content import Content, content
from deploy.local.slack.service import Service
from deploy.local.slack.state import Answer, Json, Message
from deploy.local.slack.wire import Arguments, SlackError

USES_AT_MOST = 5
SECONDS_AT_MOST = 30 * 60.0


class Answers:
    """POST /respond/{name}, and what an acknowledgement says by itself."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Slack answers "ok" in plain text, or a code with 404 or 400."""
        entry = self._service.journal.add(
            "call", method="response_url", arguments={}, at=self._service.workspace.now(), seconds=0.0, status=200,
            response=None, error=None, injected=False,
        )  # fmt: skip
        status, text = 200, "ok"
        try:
            said = await request.json()
            entry["arguments"] = said
            self.answer(self._valid(request.match_info["name"]), said)
        except SlackError as error:
            status = 404 if error.code in ("used_url", "expired_url", "no_service") else 400
            text = error.code
        except ValueError:
            status, text = 400, "invalid_payload"
        refusal = None if status == 200 else text
        self._service.journal.changed(entry, status=status, response={"ok": status == 200}, error=refusal)
        return web.Response(status=status, text=text)

    def _valid(self, name: str) -> Answer:
        answer = self._service.workspace.answers.get(name)
        if answer is None:
            raise SlackError("no_service")
        if self._service.workspace.now() - answer.made_at > SECONDS_AT_MOST:
            raise SlackError("expired_url")
        if answer.uses >= USES_AT_MOST:
            raise SlackError("used_url")
        answer.uses += 1
        return answer

    def answer(self, answer: Answer, said: Json) -> None:
        """Say something, to one person or to all; or replace or delete what was clicked."""
        workspace = self._service.workspace
        clicked = workspace.message(answer.channel, answer.ts) if answer.ts else None
        if said.get("delete_original") is True and clicked is not None:
            posting.removed(self._service, clicked)
            return
        new = content(self._service, Arguments(said))
        if said.get("replace_original") is True and clicked is not None:
            self._replace(clicked, new)
            return
        is_for_all = said.get("response_type") == "in_channel"
        reader = "" if is_for_all else answer.user
        thread_ts = said.get("thread_ts") or (clicked.thread_ts if clicked is not None else "")
        message = self._message(answer, new, reader=reader, thread_ts=thread_ts)
        posting.publish(self._service, message)

    def _replace(self, clicked: Message, new: Content) -> None:
        if clicked.bot_id != self._service.workspace.bot:
            raise SlackError("cant_update_message")
        was = shapes.message(self._service.workspace, clicked)
        clicked.text, clicked.blocks, clicked.attachments = new.text, new.blocks or [], new.attachments or []
        clicked.edited = {"user": clicked.user, "ts": self._service.workspace.new_ts()}
        posting.edited(self._service, clicked, was)

    def _message(self, answer: Answer, new: Content, **more: Any) -> Message:
        channel = self._service.workspace.channels[answer.channel]
        return posting.by_app(
            self._service, channel, new.text, blocks=new.blocks or [], attachments=new.attachments or [],
            metadata=new.metadata, flags=new.flags, **more,
        )  # fmt: skip
