"""One message as a row of the page: who, when, what, and what hangs on it: attachments, files, reactions, replies.

Pure: a message and what it needs from the workspace in, HTML out.
"""

import re
from collections.abc import Sequence
from typing import Any

from deploy.local.slack.page.markup import Html, join, tag, text
from deploy.local.slack.page.mrkdwn import Names, emoji, mrkdwn
from deploy.local.slack.page.render import message_body, rendered
from deploy.local.slack.state import File, Message, Person, Workspace

_KINDS = {"guest": "guest", "external": "external", "deactivated": "deactivated"}


def names(workspace: Workspace) -> Names:
    """What this workspace's ids are called, and where its pictures are."""
    return Names(
        people={one.id: one.name for one in workspace.people.values()},
        channels={one.id: one.name for one in workspace.channels.values()},
        groups={one.id: one.handle for one in workspace.groups.values()},
        images={one.id: address(one) for one in workspace.files.values() if is_picture(one)},
    )


def address(file: File) -> str:
    """Where the page's server has a file's bytes."""
    return f"/_page/files/{file.id}"


def is_picture(file: File) -> bool:
    """One that a browser may be shown: never SVG, which can carry a script."""
    return file.mimetype in {"image/png", "image/jpeg", "image/gif"}


def row(workspace: Workspace, message: Message, known: Names, replies: Sequence[Message] | None) -> Html:
    """`replies` is None inside of a thread, where no answers hang below a message."""
    author = workspace.people.get(message.user)
    return tag(
        "article",
        avatar(message.username or (author.name if author else message.user), is_app=_is_app(message, author)),
        tag(
            "div",
            tag("div", "Only visible to you", class_="whispered") if message.reader else None,
            tag("div", "Also sent to the channel", class_="also") if message.subtype == "thread_broadcast" else None,
            _head(message, author),
            _body(message, known),
            join([_attachment(one, known) for one in message.attachments]),
            join([_file(workspace.files[one]) for one in message.files if one in workspace.files]),
            _reactions(message, known),
            _replies(workspace, message, replies) if replies else None,
            class_="content",
        ),
        class_="message whisper" if message.reader else "message",
        data_ts=message.ts,
        data_thread=message.thread_ts or None,
        tabindex="-1",
    )


def avatar(name: str, *, is_app: bool = False) -> Html:
    """A letter in a colour: nobody's picture has to be fetched."""
    hue = sum(place * ord(letter) for place, letter in enumerate(name, 1)) % 8
    letters = "◎" if is_app and name.startswith("conntrack") else name[:1].upper()
    return tag("span", letters, class_=f"avatar hue-{hue}" + (" app" if is_app else ""), aria_hidden="true")


def _body(message: Message, known: Names) -> Html | None:
    if not message.text.strip() and not message.blocks:
        return None
    return tag("div", message_body(message.text, message.blocks, known), class_="body")


def _is_app(message: Message, author: Person | None) -> bool:
    return bool(message.bot_id) or (author is not None and author.kind == "bot")


def _head(message: Message, author: Person | None) -> Html:
    badge = "app" if _is_app(message, author) else _KINDS.get(author.kind if author else "")
    return tag(
        "header",
        tag("strong", message.username or (author.name if author else message.user), class_="author"),
        tag("span", badge, class_="badge") if badge else None,
        tag("time", data_ts=message.ts),
        tag("small", "edited", class_="edited") if message.edited else None,
    )


def _attachment(one: dict[str, Any], known: Names) -> Html:
    """A legacy attachment, as Alertmanager sends them."""
    colour = {"good": "#2e9e6b", "warning": "#d99a1c", "danger": "#d23b4e"}.get(str(one.get("color")), one.get("color"))
    if not re.fullmatch(r"#?[0-9a-fA-F]{6}", str(colour)):
        colour = "#8a94a0"
    bar = tag("svg", tag("rect", width="4", height="100%", fill=f"#{str(colour).lstrip('#')}"), class_="bar",
              aria_hidden="true")  # fmt: skip
    parts = [
        tag("strong", mrkdwn(str(one[key]), known), class_=key) if key == "title" else mrkdwn(str(one[key]), known)
        for key in ("pretext", "author_name", "title", "text", "footer")
        if one.get(key)
    ]
    fields = [
        tag("div", tag("strong", field.get("title", "")), mrkdwn(str(field.get("value", "")), known))
        for field in one.get("fields", [])
    ]
    if not parts and not fields and not one.get("blocks"):
        parts = [mrkdwn(str(one.get("fallback", "")), known)]
    grid = tag("div", *fields, class_="fields") if fields else None
    inside = tag("div", *[tag("div", part) for part in parts], grid, rendered(one.get("blocks") or [], known))
    return tag("div", bar, inside, class_="attachment")


def _file(file: File) -> Html:
    if not file.is_shared:
        return tag("div", f"⏳ {file.title or file.name} is being processed", class_="file")
    if is_picture(file):
        words = file.alt_text or file.title or file.name
        shown = tag("img", src=address(file), alt=words, class_="picture", tabindex="0", data_zoom=True)
        return tag("figure", tag("figcaption", file.title or file.name), shown, class_="file")
    title = join([tag("strong", file.title or file.name), tag("small", f"{file.name} · {size(file.size)}")])
    raw = tag("a", "open alone", href=address(file), target="_blank", rel="noopener")
    return tag("details", tag("summary", title), tag("pre", data_src=address(file), tabindex="0"), raw, class_="file")


def size(count: int) -> str:
    """Bytes as people say them."""
    return f"{count} bytes" if count < 1000 else f"{count / 1000:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def _reactions(message: Message, known: Names) -> Html | None:
    chips = [
        tag("span", emoji(code), text(f" {len(users)}"), title=", ".join(known.people.get(one, one) for one in users))
        for code, users in message.reactions.items()
        if users
    ]
    return tag("div", *chips, class_="reactions") if chips else None


def _replies(workspace: Workspace, message: Message, replies: Sequence[Message]) -> Html:
    who = [workspace.people[one] for one in dict.fromkeys(one.user for one in replies) if one in workspace.people]
    faces = [avatar(one.name, is_app=one.kind == "bot") for one in who[:3]]
    count = "1 reply" if len(replies) == 1 else f"{len(replies)} replies"
    last = tag("small", "last ", tag("time", data_ts=replies[-1].ts))
    return tag("button", *faces, tag("span", count), last, type="button", class_="replies", data_open_thread=message.ts)
