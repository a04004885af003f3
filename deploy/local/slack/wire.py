"""How the Web API speaks: arguments in all the ways clients send them, errors by Slack's own codes.

It must not know what a method does.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from deploy.local.slack.state import Json

_JSON_ARGUMENTS = ("attachments", "blocks", "chunks", "files", "metadata", "message", "view")


class SlackError(Exception):
    """A refusal, by the code that Slack gives; ``more`` stands beside it in the answer."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.more = more

    def body(self) -> Json:
        """The answer that the caller gets."""
        return {"ok": False, "error": self.code, **self.more}


def invalid(code: str, problems: list[str]) -> SlackError:
    """A refusal that says what is wrong, in both places where Slack says it."""
    return SlackError(code, errors=problems, response_metadata={"messages": [f"[ERROR] {one}" for one in problems]})


class Arguments:
    """What a method was called with. Slack takes a form, a query or JSON; a form's structures are JSON in strings."""

    def __init__(self, given: Json) -> None:
        self.given = {name: value for name, value in given.items() if value is not None}

    def require(self, *names: str) -> None:
        """Slack's answer where an argument is missing."""
        missing = [f"missing required field: {name}" for name in names if self.given.get(name) in (None, "")]
        if missing:
            raise invalid("invalid_arguments", missing)

    def text(self, name: str, otherwise: str = "") -> str:
        """A string; numbers come as they were written."""
        value = self.given.get(name, otherwise)
        return value if isinstance(value, str) else str(value)

    def number(self, name: str, otherwise: int, *, at_most: int = 1_000_000_000) -> int:
        """A whole number between 1 and ``at_most``."""
        try:
            value = int(self.given.get(name, otherwise))
        except (TypeError, ValueError) as error:
            raise invalid("invalid_arguments", [f"{name} must be an integer"]) from error
        if not 1 <= value <= at_most:
            raise invalid("invalid_arguments", [f"{name} must be between 1 and {at_most}"])
        return value

    def flag(self, name: str, *, otherwise: bool = False) -> bool:
        """Clients write true, True, 1 and "1"."""
        return str(self.given.get(name, otherwise)).lower() in ("1", "true")

    def json(self, name: str) -> Any:
        """A structure, or None where there is none."""
        value = self.given.get(name)
        if not isinstance(value, str):
            return value
        if value == "":
            return None
        try:
            return json.loads(value)
        except ValueError as error:
            codes = {"blocks": "invalid_blocks_format", "metadata": "invalid_metadata_format"}
            raise SlackError(codes.get(name, "invalid_json")) from error

    def recorded(self) -> Json:
        """For people to read: structures as such, no token."""
        shown = {name: value for name, value in self.given.items() if name != "token"}
        for name in _JSON_ARGUMENTS:
            if isinstance(shown.get(name), str):
                try:
                    shown[name] = json.loads(shown[name])
                except ValueError:
                    continue
        return shown


async def arguments(request: web.Request) -> Arguments:
    """From the query and the body, whatever its form. A call without arguments says it is JSON, and has no body."""
    given: Json = dict(request.query)
    content = await request.read()
    if "json" in request.content_type:
        try:
            said = json.loads(content) if content else {}
        except ValueError as error:
            raise SlackError("invalid_json") from error
        if not isinstance(said, dict):
            raise SlackError("json_not_object")
        given |= said
    elif content:
        given |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    return Arguments(given)


def token_of(request: web.Request, args: Arguments) -> str:
    """From the header, else from the arguments."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else args.text("token")
