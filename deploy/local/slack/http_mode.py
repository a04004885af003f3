"""HTTP mode: the same deliveries as signed requests to one URL, as Slack makes them.

It must not know what is delivered.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from urllib.parse import urlencode

import aiohttp

from deploy.local.slack.delivery import Delivery, Envelope
from deploy.local.slack.state import Json, Workspace


class RequestUrl:
    """Where the app listens. One of the two ways to deliver."""

    def __init__(self, url: str, secret: str, workspace: Workspace, delivery: Delivery) -> None:
        self.url = url
        self._secret = secret
        self._workspace = workspace
        self._delivery = delivery

    async def send(self, envelope: Envelope) -> bool:
        """One request. Its answer is the acknowledgement, where it is a good one and in time."""
        content, kind = _body(envelope)
        headers = self.signed(content) | {"Content-Type": kind}
        if envelope.attempt:
            reason = {"timeout": "http_timeout"}.get(envelope.reason, envelope.reason)
            headers |= {"X-Slack-Retry-Num": str(envelope.attempt), "X-Slack-Retry-Reason": reason}
        self._delivery.spawn(self._post(envelope, content, headers))
        return True

    def signed(self, content: bytes) -> dict[str, str]:
        """docs.slack.dev, "Verifying requests from Slack": HMAC-SHA256 over version, time and the raw body."""
        timestamp = str(int(self._workspace.now()))
        signature = hmac.new(self._secret.encode(), f"v0:{timestamp}:".encode() + content, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={signature}"}

    async def _post(self, envelope: Envelope, content: bytes, headers: dict[str, str]) -> None:
        timeout = aiohttp.ClientTimeout(total=60)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.url, data=content, headers=headers) as response,
            ):
                text = await response.text()
                if response.status != 200:
                    self._delivery.refused(envelope.id)
                    return
        except (aiohttp.ClientError, TimeoutError):
            self._delivery.refused(envelope.id)
            return
        self._delivery.acked(envelope.id, _said(text))

    async def verify(self) -> bool:
        """What Slack does when a URL is entered: the app must send the challenge back."""
        challenge = secrets.token_urlsafe(16)
        said: Json = {"token": "local-verification-token", "challenge": challenge, "type": "url_verification"}
        content = json.dumps(said).encode()
        headers = self.signed(content) | {"Content-Type": "application/json"}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
                session.post(self.url, data=content, headers=headers) as response,
            ):
                return challenge in await response.text()
        except (TimeoutError, aiohttp.ClientError):
            return False


def _body(envelope: Envelope) -> tuple[bytes, str]:
    """Commands are forms, clicks a form with one JSON field, events JSON."""
    if envelope.kind == "events_api":
        return json.dumps(envelope.payload).encode(), "application/json"
    form = envelope.payload if envelope.kind == "slash_commands" else {"payload": json.dumps(envelope.payload)}
    return urlencode(form).encode(), "application/x-www-form-urlencoded"


def _said(text: str) -> Json:
    """An empty answer acknowledges; so does plain text, which is then said to the person."""
    if not text.strip():
        return {}
    try:
        said = json.loads(text)
    except ValueError:
        return {"text": text}
    return said if isinstance(said, dict) else {}
