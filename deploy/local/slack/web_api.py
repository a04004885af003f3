"""The door of the Web API: token, scopes, rate limits, faults, and a line in the journal for every call."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from deploy.local.slack.api import chat, conversations, files, marks, people, session, streams, views
from deploy.local.slack.api.chat import RateLimitedError
from deploy.local.slack.api.method import Method
from deploy.local.slack.faults import Fault
from deploy.local.slack.service import Service
from deploy.local.slack.state import Json
from deploy.local.slack.wire import Arguments, SlackError, arguments, token_of

METHODS: dict[str, Method] = {
    **session.METHODS,
    **chat.METHODS,
    **streams.METHODS,
    **conversations.METHODS,
    **people.METHODS,
    **files.METHODS,
    **marks.METHODS,
    **views.METHODS,
}


class HangUpError(Exception):
    """A fault wants the connection to break without an answer."""


class WebApi:
    """POST and GET /api/{method}."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One call. Errors are answers too, with status 200, as Slack does it."""
        name, started = request.match_info["method"], time.monotonic()
        entry = self._service.journal.add(
            "call", method=name, arguments={}, at=self._service.workspace.now(), seconds=None, status=None,
            response=None, error=None, injected=False,
        )  # fmt: skip
        status, headers = 200, dict[str, str]()
        body: Json = {}
        try:
            args = await arguments(request)
            entry["arguments"] = args.recorded()
            fault = self._service.faults.take(name)
            entry["injected"] = fault is not None
            body = await self._result(name, args, token_of(request, args), fault)
            status = fault.status or 200 if fault is not None else 200
        except RateLimitedError as error:
            status, headers, body = 429, {"Retry-After": str(error.seconds)}, error.body()
        except SlackError as error:
            body = error.body()
        except HangUpError:
            status = 0
        self._service.journal.changed(
            entry, status=status, response=body, error=body.get("error"), seconds=time.monotonic() - started
        )
        if status == 0 and request.transport is not None:
            request.transport.abort()
        if status >= 500:
            return web.Response(status=status, text="upstream connect error")
        headers |= {"X-OAuth-Scopes": ",".join(sorted(self._service.workspace.scopes()))}
        return web.json_response(body, status=status or 500, headers=headers)

    async def _result(self, name: str, args: Arguments, token: str, fault: Fault | None) -> Json:
        if fault is not None and fault.seconds:
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.fails and not fault.is_after:
            return _failed(fault, {})
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        self._allow(name, method, token)
        args.require(*method.needs)
        body = {"ok": True, **method.run(self._service, args)}
        return _failed(fault, body) if fault is not None and fault.fails else body

    def _allow(self, name: str, method: Method, value: str) -> None:
        if not method.token:
            return
        if not value:
            raise SlackError("not_authed")
        token = self._service.workspace.tokens.get(value)
        if token is None:
            raise SlackError("invalid_auth")
        if token.kind != method.token:
            raise SlackError("not_allowed_token_type")
        if method.scopes and not token.scopes.intersection(method.scopes):
            raise SlackError("missing_scope", needed=method.scopes[0], provided=",".join(sorted(token.scopes)))
        wait_seconds = self._service.rates.method(name, method.per_minute)
        if wait_seconds:
            raise RateLimitedError(wait_seconds)


def _failed(fault: Fault, body: Json) -> Json:
    if fault.retry_after is not None:
        raise RateLimitedError(fault.retry_after)
    if fault.status == 0:
        raise HangUpError
    return SlackError(fault.error).body() if fault.error else body
