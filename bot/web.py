"""HTTP: whether the bot lives and is ready, and what Slack delivers where it cannot be asked over a socket.

A delivery is let in when Slack has signed it just now, and only once: whoever records one cannot play it again. The
listeners are those of the socket mode. It must not know what a delivery holds.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from slack_bolt import App
from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
from slack_sdk.signature import SignatureVerifier
from starlette.concurrency import run_in_threadpool

from bot.config import place
from bot.errors import StoreError
from bot.store import Store
from diagnostics.errors import ConfigurationError

log = logging.getLogger(__name__)

BODY_BYTES = 1 << 20  # Slack's largest delivery, a view with all its fields, is far below
REPLAY_SECONDS = 600.0  # a signature is good for five minutes, either way
DIGITS = 12  # of a timestamp in seconds: until the year 33658
STOP_SECONDS = 5
FAILED = 500


class Delivered(Protocol):
    """What of Slack's side is needed here; ``bot.slack.app.Slack`` is one."""

    @property
    def is_healthy(self) -> bool:
        """Whether deliveries arrive."""

    @property
    def bolt(self) -> App:
        """The listeners."""


def application(slack: Delivered, store: Store, signing_secret: str = "") -> FastAPI:
    """The routes. Without a signing secret nothing is taken from Slack here: it delivers over its sockets."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> Response:
        """Slack delivers and the store can be read: whoever asks will be answered."""
        ready = {"slack": slack.is_healthy, "store": _is_readable(store)}
        return JSONResponse(ready, status_code=200 if all(ready.values()) else 503)

    if signing_secret:
        door = Door(signing_secret)

        @app.post("/slack/events")
        async def delivered(request: Request) -> Response:
            """One delivery; Bolt's listeners block, so they run in a thread of their own."""
            body = await _body(request)
            door.check(request.headers, body)
            answer = await run_in_threadpool(slack.bolt.dispatch, to_bolt_request(request, body))
            if answer.status >= FAILED:
                door.forget(request.headers)
            return to_starlette_response(answer)

    return app


class Door:
    """Who may come in: what Slack has signed just now, and has not been here before."""

    def __init__(self, signing_secret: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._verifier = SignatureVerifier(signing_secret)
        self._monotonic = monotonic
        self._seen: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def check(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises HTTPException 401. It never says what was wrong, which only helps who guesses."""
        timestamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
        is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= DIGITS
        is_signed = signature.isascii() and is_number and _is_text(body)  # the verifier raises for what is none
        if not (is_signed and self._verifier.is_valid(body, timestamp, signature)):
            log.warning("A delivery over HTTP was refused: it is not signed by Slack, or too old.")
            raise HTTPException(401)
        if self._was_here(signature):
            log.warning("A delivery over HTTP was refused: the same one was delivered before.")
            raise HTTPException(401)

    def forget(self, headers: Mapping[str, str]) -> None:
        """It came to nothing: Slack delivers it again, at once, and may sign it in the same second."""
        with self._lock:
            self._seen.pop(_digest(headers.get("x-slack-signature", "")), None)

    def _was_here(self, signature: str) -> bool:
        """Only what was signed is remembered, so that nobody else can fill the memory."""
        now, digest = self._monotonic(), _digest(signature)
        with self._lock:
            self._seen = {one: at for one, at in self._seen.items() if now - at < REPLAY_SECONDS}
            was_here = digest in self._seen
            self._seen.setdefault(digest, now)
            return was_here


class Web:
    """The server, in a thread of its own. ``bind`` is HOST:PORT; port 0 takes any free one."""

    def __init__(self, bind: str, app: FastAPI) -> None:
        self._socket = _bound(bind)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=STOP_SECONDS
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="web", daemon=True
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what is being asked, then end."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 1)
        self._socket.close()


def _digest(signature: str) -> bytes:
    return hashlib.sha256(signature.encode()).digest()


def _bound(bind: str) -> socket.socket:
    try:
        host, port = place(bind) if not bind.endswith(":0") else (bind.removesuffix(":0"), 0)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, ValueError) as error:
        why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"serve.bind is {bind!r}, where nothing can listen: {why}.") from error


async def _body(request: Request) -> bytes:
    """The whole body, refused as soon as it is too large: what it claims to be is not believed."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            raise HTTPException(413)
    return bytes(body)


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_readable(store: Store) -> bool:
    try:
        store.waiting()
    except StoreError:
        return False
    return True
