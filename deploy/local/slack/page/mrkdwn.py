"""Slack's mrkdwn and Markdown as HTML: what a reader of a message would see, and nothing that a message could forge.

Pure. Wherever Slack would ping people, a loud mark is shown: a pod's name that pings a channel must be seen to do so.
It must not know blocks.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deploy.local.slack.page.emoji import EMOJI
from deploy.local.slack.page.markup import Html, join, tag, text


@dataclass(frozen=True, slots=True)
class Names:
    """What the ids in a text are called; an id that is not here is shown as it is."""

    people: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)  # a file's id -> where this server has its bytes


_FENCE = re.compile(r"```(.*?)```", re.DOTALL)
_QUOTED = re.compile(r"(?:&gt;|>) ?")
_TOKEN = re.compile(r"<([^<>\n]+)>")
_EMOJI = re.compile(r":([a-z0-9_+\-]+):")
# A style starts after a space or punctuation and ends before anything but a word: `a_b_c` stays what it is.
_EDGE_BEFORE, _EDGE_AFTER = r"(?<![\w`])", r"(?!\w)"
_STYLED = re.compile(
    _EDGE_BEFORE + r"(?:`(?P<code>[^`\n]+)`"
    r"|\*(?P<strong>(?=\S)[^*\n]*[^*\s])\*"
    r"|_(?P<em>(?=\S)[^_\n]*[^_\s])_"
    r"|~(?P<s>(?=\S)[^~\n]*[^~\s])~)" + _EDGE_AFTER
)


def mrkdwn(source: str, names: Names) -> Html:
    """Text as Slack shows it; `source` is as it was posted, with `&lt;` for a bracket that is only text."""
    parts: list[Html] = []
    for number, piece in enumerate(_FENCE.split(source.strip("\n"))):
        if number % 2:
            parts.append(tag("pre", _tokens(piece.strip("\n"), names, _plain)))
        else:
            parts.append(_lines(piece.strip("\n") if number else piece, names))
    return join(parts)


def plain(source: str) -> Html:
    """A `plain_text` object: emoji codes and nothing else."""
    return _emoji(source)


def _lines(piece: str, names: Names) -> Html:
    """Lines, with quotes as one block each; an empty line keeps its height."""
    out: list[Html] = []
    quoted: list[str] = []
    for line in [*piece.split("\n"), None]:
        if line is not None and _QUOTED.match(line):
            quoted.append(_QUOTED.sub("", line, count=1))
            continue
        if quoted:
            out.append(tag("blockquote", _lines("\n".join(quoted), names)))
            quoted = []
        if line is not None:
            out.append(_line(line, names))
    return join(out)


def _line(line: str, names: Names) -> Html:
    kind = "line bullet" if line.startswith(("• ", "◦ ", "▪ ")) else "line"
    return tag("span", _tokens(line, names, _styled), class_=kind)


def _tokens(line: str, names: Names, between: Callable[[str], Html]) -> Html:
    """The `<…>` tokens, which may stand inside of styles: they are put aside while the rest is styled."""
    aside: list[Html] = []

    def put_aside(found: re.Match[str]) -> str:
        shown = _token(found[1], names)
        if shown is None:
            return found[0]
        aside.append(shown)
        return f"\ue000{len(aside) - 1}\ue001"

    styled = between(_TOKEN.sub(put_aside, re.sub("[\ue000\ue001]", "", line)))
    return Html(re.sub("\ue000(\\d+)\ue001", lambda found: aside[int(found[1])], styled))


def _token(inner: str, names: Names) -> Html | None:
    target, _, label = inner.partition("|")
    kind, rest = target[:1], target[1:]
    if kind == "@":
        return mention(rest, names)
    if kind == "#":
        return tag("span", "#", names.channels.get(rest, _unescape(label or rest)), class_="mention")
    if kind == "!":
        return _special(rest, label, names)
    if re.match(r"(?:https?://|mailto:|tel:)", target):
        return link(_unescape(target), _unescape(label or target))
    return None


def _special(rest: str, label: str, names: Names) -> Html:
    if rest in {"here", "channel", "everyone"}:
        return ping(rest)
    if rest.startswith("subteam^"):
        return group(rest.removeprefix("subteam^"), names)
    if rest.startswith("date^"):
        return moment(rest.split("^")[1], _unescape(label))
    return text(_unescape(label or f"<!{rest}>"))


def mention(user: str, names: Names) -> Html:
    """A person's name."""
    return tag("span", "@", names.people.get(user, user), class_="mention", data_user=user)


def group(group_id: str, names: Names) -> Html:
    """A user group's name."""
    return tag("span", "@", names.groups.get(group_id, group_id), class_="mention")


def ping(audience: str) -> Html:
    """What notifies a whole channel: loud, so that nobody overlooks that it would have."""
    return tag("strong", f"@{audience}", class_="ping", title="This notifies everybody")


def moment(seconds: object, fallback: str) -> Html:
    """A time, which the page's script writes as the reader's clock shows it."""
    return tag("time", fallback or str(seconds), data_ts=str(seconds), data_long=True)


def link(target: str, label: object) -> Html:
    """Opened in a new tab and told nothing; any other scheme than the web's is shown as text."""
    if not re.match(r"(?:https?://|mailto:|tel:|/)", target):
        return text(label)
    return tag("a", label, href=target, target="_blank", rel="noreferrer noopener")


def _unescape(source: str) -> str:
    """Slack knows three entities, and shows any other as it was typed."""
    return source.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _plain(source: str) -> Html:
    return text(_unescape(source))


def _styled(source: str) -> Html:
    out: list[Html] = []
    position = 0
    for found in _STYLED.finditer(source):
        name = str(found.lastgroup)
        inner = found[name]
        out += [
            _emoji(_unescape(source[position : found.start()])),
            tag(name, _plain(inner) if name == "code" else _styled(inner)),
        ]
        position = found.end()
    return join([*out, _emoji(_unescape(source[position:]))])


def emoji(code: str) -> Html:
    """The character of a short code, or the code as typed."""
    shown = EMOJI.get(code)
    return tag("span", shown, class_="emoji", title=f":{code}:") if shown else text(f":{code}:")


def _emoji(source: str) -> Html:
    parts = _EMOJI.split(source)
    return join([emoji(part) if number % 2 else text(part) for number, part in enumerate(parts)])


# ---- the `markdown` block: the everyday part of Markdown ------------------------------------------------------------

_MARKDOWN = re.compile(
    r"`(?P<code>[^`\n]+)`|\*\*(?P<strong>[^*\n]+)\*\*|[*_](?P<em>[^*_\n]+)[*_]|~~(?P<s>[^~\n]+)~~"
    r"|\[(?P<label>[^\]\n]*)\]\((?P<target>[^)\s]+)\)"
)


def markdown(source: str) -> Html:
    """Text of a `markdown` block."""
    pieces = [
        tag("pre", piece.split("\n", 1)[-1].rstrip("\n")) if number % 2 else join(_paragraphs(piece))
        for number, piece in enumerate(_FENCE.split(source))
    ]
    return join(pieces)


def _paragraphs(piece: str) -> list[Html]:
    out: list[Html] = []
    for line in piece.strip("\n").split("\n"):
        heading = re.match(r"(#{1,6}) +(.*)", line)
        item = re.match(r"\s*(?:[-*+]|\d+[.)]) +(.*)", line)
        if heading:
            out.append(tag("h4", _inline(heading[2])))
        elif item:
            out.append(tag("span", "• ", _inline(item[1]), class_="line bullet"))
        elif line.startswith(">"):
            out.append(tag("blockquote", _inline(line.lstrip("> "))))
        else:
            out.append(tag("span", _inline(line), class_="line"))
    return out


def _inline(line: str) -> Html:
    out: list[Html] = []
    position = 0
    for found in _MARKDOWN.finditer(line):
        out += [_emoji(line[position : found.start()]), _markdown_span(found)]
        position = found.end()
    return join([*out, _emoji(line[position:])])


def _markdown_span(found: re.Match[str]) -> Html:
    if found["target"] is not None:
        return link(found["target"], found["label"])
    name = str(found.lastgroup)
    return tag(name, found[name] if name == "code" else _inline(found[name]))
