"""What the page's script asks the server: the page itself, a channel with a thread, a person's views, files.

Everything here only reads the workspace. What a person does goes to the control interface, as a script's would.
"""

from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.local.slack.page.message import avatar, is_picture, names, row
from deploy.local.slack.page.mrkdwn import Names
from deploy.local.slack.page.render import rendered
from deploy.local.slack.state import Channel, Message, Person, View, Workspace

_HERE = Path(__file__).parent
_FILES = {
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
    "page.js": "text/javascript",
    "rows.js": "text/javascript",
    "composer.js": "text/javascript",
    "press.js": "text/javascript",
    "xray.js": "text/javascript",
}
_HEADERS = {
    # Nothing but this server's own files: a message must not be able to run, load or send anything.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_ROWS_AT_MOST = 200  # of the newest; arbitrary: more than anybody scrolls back


def routes(workspace: Workspace) -> list[web.RouteDef]:
    """What the local Slack's server mounts."""
    return [
        web.get("/", _page),
        web.get("/_page/channel", partial(_channel, workspace)),
        web.get("/_page/sidebar", partial(_sidebar, workspace)),
        web.get("/_page/views", partial(_views, workspace)),
        web.get("/_page/files/{id}", partial(_file, workspace)),
        web.get("/_page/{name}", _asset),
    ]


async def _page(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(_HERE / "page.html", headers=_HEADERS)


async def _asset(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    if name not in _FILES:
        raise web.HTTPNotFound
    return web.FileResponse(_HERE / name, headers=_HEADERS | {"Content-Type": f"{_FILES[name]}; charset=utf-8"})


async def _file(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    file = workspace.files.get(request.match_info["id"])
    if file is None or file.content is None:
        raise web.HTTPNotFound(text="There is no such file.")
    kind = file.mimetype if is_picture(file) else "text/plain; charset=utf-8"
    return web.Response(body=file.content, headers=_HEADERS | {"Content-Type": kind})


async def _sidebar(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    """The people one can act as, and the channels that this person is in."""
    me = _me(workspace, request)
    people = [_person(one) for one in workspace.people.values() if one.kind != "bot"]
    places = [_place(workspace, one, me) for one in workspace.channels.values() if me.id in one.members]
    return _json({"me": _person(me), "people": people, "channels": places, "team": workspace.team_name})


async def _channel(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    me = _me(workspace, request)
    channel = workspace.channel(request.query.get("channel", ""))
    if channel is None or me.id not in channel.members:
        raise web.HTTPNotFound(text=f"{me.name} is in no such channel.")
    known = names(workspace)
    seen = [one for one in workspace.messages.get(channel.id, {}).values() if one.reader in {"", me.id}]
    thread = request.query.get("thread", "")
    return _json(
        {
            "channel": _place(workspace, channel, me),
            "rows": _roots(workspace, seen, known),
            "thread": _thread(workspace, seen, thread, known) if thread else None,
        }
    )


async def _views(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    me = _me(workspace, request)
    known = names(workspace)
    modal, home = workspace.modal(me.id), workspace.home(me.id)
    return _json({"modal": _view(modal, known) if modal else None, "home": _view(home, known) if home else None})


def _json(answer: Any) -> web.Response:
    return web.json_response(answer, headers=_HEADERS)


def _me(workspace: Workspace, request: web.Request) -> Person:
    person = workspace.person(request.query.get("user", ""))
    if person is None:
        raise web.HTTPNotFound(text=f"Nobody here is called {request.query.get('user', '')!r}.")
    return person


def _person(person: Person) -> dict[str, Any]:
    return {"id": person.id, "name": person.name, "real_name": person.real_name, "kind": person.kind,
            "title": person.title, "avatar": avatar(person.name)}  # fmt: skip


def _place(workspace: Workspace, channel: Channel, me: Person) -> dict[str, Any]:
    """`news` names what counts as unread: whatever others said in the channel itself."""
    news = [
        one.ts
        for one in workspace.messages.get(channel.id, {}).values()
        if one.user != me.id and one.reader in {"", me.id} and (not one.is_reply or one.subtype == "thread_broadcast")
    ]
    return {
        "id": channel.id,
        "key": channel.id if channel.im_with else channel.name,
        "name": "conntrack" if channel.im_with else channel.name,
        "topic": "Direct message with the app" if channel.im_with else channel.topic,
        "is_private": channel.is_private,
        "is_shared": channel.is_ext_shared,
        "is_direct": bool(channel.im_with),
        "has_bot": workspace.bot_user in channel.members,
        "members": len(channel.members),
        "news": news[-100:],
    }


def _roots(workspace: Workspace, seen: list[Message], known: Names) -> list[dict[str, str]]:
    below: dict[str, list[Message]] = {}
    for one in seen:
        if one.is_reply and not one.reader:
            below.setdefault(one.thread_ts, []).append(one)
    roots = [one for one in seen if not one.is_reply or one.subtype == "thread_broadcast"][-_ROWS_AT_MOST:]
    return [{"ts": one.ts, "by": one.user, "html": row(workspace, one, known, below.get(one.ts, []))} for one in roots]


def _thread(workspace: Workspace, seen: list[Message], ts: str, known: Names) -> dict[str, Any]:
    shown = [one for one in seen if one.ts == ts or (one.is_reply and one.thread_ts == ts)]
    return {
        "ts": ts,
        "rows": [{"ts": one.ts, "by": one.user, "html": row(workspace, one, known, None)} for one in shown],
    }


def _view(view: View, known: Names) -> dict[str, Any]:
    def words(key: str) -> str:
        return str((view.body.get(key) or {}).get("text", ""))

    return {
        "id": view.id,
        "hash": view.hash,
        "title": words("title"),
        "submit": words("submit"),
        "close": words("close"),
        "errors": view.errors,
        "html": rendered(view.body.get("blocks") or [], known),
    }
