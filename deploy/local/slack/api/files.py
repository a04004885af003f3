"""files.*: an upload takes three calls, and is shared some time after the last of them was answered.

Only then does Slack know what sort of file it is, and in which message it is shown.
"""

from __future__ import annotations

import asyncio
import mimetypes

from aiohttp import web

from deploy.local.slack import posting, shapes
from deploy.local.slack.api.content import checked_blocks
from deploy.local.slack.api.method import Method, channel_joined
from deploy.local.slack.rates import TIER_4
from deploy.local.slack.service import Service
from deploy.local.slack.state import Channel, File, Json
from deploy.local.slack.wire import Arguments, SlackError


def _upload_url(service: Service, args: Arguments) -> Json:
    size = args.number("length", 0, at_most=1_000_000_000)
    name = service.workspace.new_id("F")
    file_name = args.text("filename")
    file = File(name, file_name, file_name, size, service.workspace.bot_user, alt_text=args.text("alt_txt"))
    service.workspace.files[name] = file
    return {"upload_url": f"{service.url}/upload/{name}", "file_id": name}


async def upload(service: Service, request: web.Request) -> web.StreamResponse:
    """POST /upload/{file}: the content, raw or as a form, without a token: the address is the secret."""
    file = service.workspace.files.get(request.match_info["file"])
    if file is None or file.content is not None:
        return web.Response(status=404, text="no such upload")
    content = await request.read()
    if request.content_type == "multipart/form-data":
        part = next(iter((await request.post()).values()), None)
        content = part.file.read() if isinstance(part, web.FileField) else b""
    if len(content) != file.size:
        return web.Response(status=400, text=f"expected {file.size} bytes, got {len(content)}")
    file.content = content
    return web.Response(text=f"OK - {len(content)}")


async def download(service: Service, request: web.Request) -> web.StreamResponse:
    """GET /files/{file}/{name}: for the page, which has no token."""
    file = service.workspace.files.get(request.match_info["file"])
    if file is None or file.content is None:
        return web.Response(status=404, text="no such file")
    kind = file.mimetype if file.mimetype.startswith(("image/png", "image/jpeg", "image/gif", "text/plain")) else ""
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    return web.Response(body=file.content, content_type=kind or "application/octet-stream", headers=headers)


def _complete(service: Service, args: Arguments) -> Json:
    asked = args.json("files")
    if not isinstance(asked, list) or not asked or not all(isinstance(one, dict) for one in asked):
        raise SlackError("invalid_arguments")
    files = [_uploaded(service, one) for one in asked]
    names = [one for one in (args.text("channel_id") or args.text("channels")).split(",") if one]
    places = [channel_joined(service, name) for name in names]
    blocks = checked_blocks(service, args.json("blocks")) or []
    thread_ts = args.text("thread_ts")
    if thread_ts and any(service.workspace.message(place.id, thread_ts) is None for place in places):
        raise SlackError("thread_not_found")
    service.delivery.spawn(_share(service, files, places, args.text("initial_comment"), blocks, thread_ts))
    return {"files": [shapes.file(service.workspace, one) for one in files]}


def _uploaded(service: Service, asked: Json) -> File:
    file = service.workspace.files.get(str(asked.get("id")))
    if file is None or file.content is None:
        raise SlackError("file_not_found")
    if file.is_shared:
        raise SlackError("file_already_completed")
    file.title = str(asked.get("title") or file.name)
    return file


async def _share(
    service: Service, files: list[File], places: list[Channel], comment: str, blocks: list[Json], thread_ts: str
) -> None:
    await asyncio.sleep(service.file_shared_after_seconds)
    for file in files:
        file.mimetype = mimetypes.guess_type(file.name)[0] or "text/plain"
        file.is_shared = True
    for place in places:
        message = posting.by_app(
            service, place, comment, files=[one.id for one in files], blocks=blocks, thread_ts=thread_ts,
            subtype="file_share",
        )  # fmt: skip
        for file in files:
            file.shares.append((place.id, message.ts))
        posting.publish(service, message)
    service.workspace.tell({"kind": "file", "files": [one.id for one in files]})


def _info(service: Service, args: Arguments) -> Json:
    file = service.workspace.files.get(args.text("file"))
    if file is None:
        raise SlackError("file_not_found")
    return {"file": shapes.file(service.workspace, file), "comments": [], "response_metadata": {"next_cursor": ""}}


METHODS = {
    "files.getUploadURLExternal": Method(_upload_url, ("files:write",), ("filename", "length"), TIER_4),
    "files.completeUploadExternal": Method(_complete, ("files:write",), ("files",), TIER_4),
    "files.info": Method(_info, ("files:read",), ("file",), TIER_4),
}
