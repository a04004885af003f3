"""The API over HTTP on loopback: a request is understood, judged and answered; faults come in between.

Standard library only. It must not know what any answer means.
"""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from deploy.local.kubernetes import access, answers, discovery, watching
from deploy.local.kubernetes.asked import Asked, understood
from deploy.local.kubernetes.faults import Fault, struck
from deploy.local.kubernetes.refusals import Refusal, bad, status
from deploy.local.kubernetes.resources import Resource
from deploy.local.kubernetes.state import Cluster, Json, Query

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@contextmanager
def serving(cluster: Cluster, port: int = 0) -> Iterator[str]:
    """Serve the cluster on loopback; the address of the API."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.cluster = cluster
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        with cluster.lock:
            cluster.is_closing = True
            cluster.moved.notify_all()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a fault may still be asleep
    request_queue_size = 256  # fifty looks begin at once
    cluster: Cluster


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two writes, and the second would wait 40 ms for an acknowledgement
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, verb: str) -> None:
        cluster, parts = self.server.cluster, urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with cluster.lock:
            cluster.requests.append((verb, parts.path, query))
        fault = struck(cluster, verb, parts.path)
        if fault is not None and self._struck(fault):
            return
        try:
            code, body, headers = *self._answered(verb, parts.path, query, raw), {}
        except Refusal as refusal:
            code, body, headers = refusal.code, refusal.body, refusal.headers
        except Exception as error:  # noqa: BLE001 - the outermost edge: a bug here must not look like a lost connection
            traceback.print_exc()
            code, body, headers = 501, status(501, "NotImplemented", f"a bug of this local Kubernetes: {error!r}"), {}
        _complain(cluster, code, verb, self.path)
        if fault is not None and fault.drop_after:
            self.close_connection = True
        elif body is not None:
            self._send(code, body, headers)

    def _struck(self, fault: Fault) -> bool:
        """Whether the fault leaves nothing to answer."""
        time.sleep(fault.delay_seconds)
        if fault.status:
            self._send(fault.status, fault.body, fault.headers)
        elif fault.drop:
            self.close_connection = True
        return bool(fault.status or fault.drop)

    def _answered(self, verb: str, path: str, query: Query, raw: bytes) -> tuple[int, Json | str | None]:
        """The answer as (status, body), serialisable; no body where a watch has told everything itself."""
        cluster, body = self.server.cluster, _parsed(raw)
        account = access.who(cluster, {key.lower(): value for key, value in self.headers.items()})
        if verb == "POST" and path == REVIEWS:
            with cluster.lock:
                return 201, access.reviewed(cluster, account, body)
        if verb == "GET" and (told := discovery.told(cluster, path)) is not None:
            return 200, told
        asked = understood(verb, path, query, body, (self.headers.get("Content-Type") or "").partition(";")[0])
        with cluster.lock:
            cluster.settle()
            access.check(cluster, account, asked.wish, asked.resource)
            if asked.verb != "watch":
                code, answer = answers.answer(cluster, asked)
                # Written while the lock is held: the state goes on living.
                text = answer if isinstance(answer, str) else _text(answer, asked)
                cluster.settle()
                return code, text
        self._watch(asked)
        return 200, None

    def _watch(self, asked: Asked) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(ConnectionError):
            watching.watch(self.server.cluster, asked, self._chunk)
            self._chunk("")

    def _chunk(self, line: str) -> None:
        raw = line.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))

    def _send(self, code: int, body: Json | str, headers: Mapping[str, str]) -> None:
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        kind = "application/json" if raw[:1] in b"{[" else "text/plain; charset=utf-8"
        with suppress(ConnectionError):  # whoever asked may have gone
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(raw)))
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(raw)


def _parsed(raw: bytes) -> Any:
    if not raw:
        return {}
    try:
        return json.loads(raw)
    except ValueError as error:
        raise bad(f"couldn't get version/kind; json parse error: {error}") from error


def _text(answer: Json, asked: Asked) -> str:
    return json.dumps(_in_version(answer, asked.resource, asked.version))


def _in_version(answer: Json, resource: Resource, version: str) -> Json:
    """The object in the version that was asked for: the same fields under another name, as far as is modelled."""
    if answer.get("apiVersion") == resource.api_version and resource.group:
        return answer | {"apiVersion": f"{resource.group}/{version}"}
    return answer


def _complain(cluster: Cluster, code: int, verb: str, path: str) -> None:
    """What is not modelled is written down, so that a test can assert that nothing was."""
    if code in (405, 501) or (code == 404 and not path.startswith(("/api/v1/", "/apis/"))):
        with cluster.lock:
            cluster.not_modelled.append(f"{verb} {path}")
