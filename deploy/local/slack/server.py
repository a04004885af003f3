"""The routes: Web API, sockets, controls, and the page where it is there."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from deploy.local.slack import control
from deploy.local.slack.answers import Answers
from deploy.local.slack.api import files
from deploy.local.slack.control import Controls
from deploy.local.slack.service import Service
from deploy.local.slack.web_api import WebApi

OWN_HOSTS = ("127.0.0.1", "localhost", "::1")
BODY_AT_MOST = 100 * 1024 * 1024  # an upload


@web.middleware
async def _from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No page of another site may press buttons here: a browser says where a request comes from, and for which host."""
    said = (f"http://{request.headers.get('Host', 'localhost')}", request.headers.get("Origin", "http://localhost"))
    try:
        is_from_here = all(URL(one).host in OWN_HOSTS for one in said)
    except ValueError:
        is_from_here = False
    if not is_from_here:
        return web.Response(status=403, text=f"Only {', '.join(OWN_HOSTS)} may ask here.")
    return await handler(request)


def application(service: Service) -> web.Application:
    """Everything under one port."""
    app = web.Application(client_max_size=BODY_AT_MOST, middlewares=[_from_here])
    api = WebApi(service)
    app.add_routes(
        [
            web.post("/api/{method}", api.answer),
            web.get("/api/{method}", api.answer),
            web.post("/respond/{name}", Answers(service).take),
            web.post("/upload/{file}", functools.partial(files.upload, service)),
            web.get("/files/{file}/{name}", functools.partial(files.download, service)),
            web.get("/link/", service.sockets.serve),
            *control.routes(Controls(service)),
            *_page(service),
        ]
    )

    async def stop(_app: web.Application) -> None:
        service.workspace.tell({"kind": "end"})  # a stream notices that its reader has gone when it writes
        await service.sockets.end("close")
        await service.delivery.stop()

    app.on_shutdown.append(stop)
    return app


def _page(service: Service) -> list[web.RouteDef]:
    """The page is a part of its own: tests run without it."""
    if not (Path(__file__).parent / "page" / "routes.py").exists():
        return []
    routes = importlib.import_module("deploy.local.slack.page.routes").routes
    return list(routes(service.workspace))
