"""What Slack delivers, as the bot's own words. The only file that indexes a payload of Slack's.

Pure: a payload goes in, a value comes out, or None where it is not what was expected; nothing that a payload can hold
raises. It must not call Slack, know the store, nor decide who may ask.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.model import Origin, Person, Request

DIAGNOSE_MESSAGE = "diagnose_message"
LOOK_AGAIN = "look_again"
NODE_FIELD = "node"
TEXT_AT_MOST = 20_000  # arbitrary, because it only bounds the work: a node stands near the beginning
NAMED_AT_MOST = 512  # a namespace, a pod's name and a slash have 317 characters at most

# A node's name is a DNS subdomain (RFC 1123); an alert may add a port, which is the exporter's.
_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
_LABELS = r"node|nodename|node_name|node-name|kubernetes_node|exported_node|instance|host|hostname"
_LABELLED = re.compile(rf"(?<![\w.-])(?:{_LABELS})[\"'*_`\s]{{0,4}}[:=]+[\"'*_`\s]{{0,4}}({_NAME})", re.IGNORECASE)
# "node node-7", "on node `ip-10-0-0-7`": a digit tells a name from the next word of a sentence.
_SPOKEN = re.compile(rf"(?<![\w.-])node\s+[`\"'*]?((?=[-a-z.]*[0-9]){_NAME})", re.IGNORECASE)
_ADDRESS = re.compile(r"[0-9.]+|[0-9a-f:]*:[0-9a-f:]+", re.IGNORECASE)
_MENTION = re.compile(r"^\s*<@[A-Z0-9]+(?:\|[^>]*)?>[\s,:]*")
_INCIDENT = re.compile(r"INC-([0-9]{1,9})", re.ASCII)  # a database's whole numbers end at 2,147,483,647
_TS = re.compile(r"[0-9]{1,16}\.[0-9]{1,9}", re.ASCII)
_DASHES = str.maketrans({"\u2010": "-", "\u2011": "-", "\u2013": "--", "\u2014": "--"})  # what phones make of "--"


class Wish(enum.Enum):
    """What somebody who typed wants."""

    DIAGNOSE = enum.auto()
    HELP = enum.auto()
    STATUS = enum.auto()
    UNCLEAR = enum.auto()


@dataclass(frozen=True, slots=True)
class Typed:
    """The words after the command. ``says`` tells what is UNCLEAR, for who typed it."""

    wish: Wish
    named: str = ""
    exact: bool = False
    deep: bool = False
    says: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody typed something somewhere: ``request`` is meant where the wish is DIAGNOSE."""

    typed: Typed
    request: Request


@dataclass(frozen=True, slots=True)
class Pointed:
    """Somebody chose "Diagnose this alert" on a message. ``request`` names "" where the message names no node."""

    request: Request
    trigger: str


@dataclass(frozen=True, slots=True)
class Clicked:
    """Somebody clicked "Look again": ``request`` names "" until the incident is known."""

    incident: int
    request: Request


@dataclass(frozen=True, slots=True)
class Sender:
    """Which organisation a payload comes from, "" where it does not say."""

    team: str
    enterprise: str


def sender(body: Mapping[str, Any]) -> Sender:
    """Whose payload this is: the team is outside for commands and events, a part of its own for clicks."""
    return Sender(
        team=_text(body, "team_id") or _text(body, "team", "id"),
        enterprise=_text(body, "enterprise_id") or _text(body, "enterprise", "id"),
    )


def kind(body: Mapping[str, Any]) -> str:
    """What sort of delivery it is, for the log."""
    names = (_text(body, "event", "type"), _text(body, "type"), "command" if is_command(body) else "")
    return next((name[:64] for name in names if name not in {"", "event_callback"}), "unknown")


def is_command(body: Mapping[str, Any]) -> bool:
    """Whether its acknowledgement may hold words for who typed it."""
    return bool(_text(body, "command"))


def event_channel(body: Mapping[str, Any]) -> str:
    """The channel of an event."""
    return _text(body, "event", "channel")


# ---- what was typed -------------------------------------------------------------------------------------------------


def typed(text: str) -> Typed:
    """What the words after a command, or after a mention, ask for."""
    words = text.translate(_DASHES).split()
    options = {word.lower() for word in words if word.startswith("--")}
    names = [word for word in words if not word.startswith("--")]
    unknown = sorted(options - {"--exact", "--deep"})
    if unknown:
        return Typed(Wish.UNCLEAR, says=f"I don't know {_quoted(unknown[0])}: there are `--exact` and `--deep`.")
    if not names:
        return Typed(Wish.HELP)
    if len(names) > 1:
        named = f"I look at one node at a time, and you named {len(names)}: ask for {_quoted(names[0])} alone."
        return Typed(Wish.UNCLEAR, says=named)
    if names[0].lower() in {"help", "status"}:
        return Typed(Wish[names[0].upper()])
    return Typed(
        Wish.DIAGNOSE, names[0].strip("`\"'")[:NAMED_AT_MOST], exact="--exact" in options, deep="--deep" in options
    )


def command(body: Mapping[str, Any], at: float) -> Asked | None:
    """What a slash command asks. Slack never delivers one twice, and each has a trigger of its own."""
    words = typed(_text(body, "text"))
    person = Person(_text(body, "user_id"), _text(body, "team_id"))
    key = _text(body, "trigger_id") or f"{person.id}/{at:.3f}"
    return _asked(words, f"command/{key}", Origin.COMMAND, person, _text(body, "channel_id"), at, body)


def mention(body: Mapping[str, Any], at: float, us: str, word: str) -> Asked | None:
    """What a mention of ``us`` asks, in its thread where it stands in one; ``word``, the command's, may be said too."""
    event = _part(body, "event")
    text = _text(event, "text")[:TEXT_AT_MOST]
    _, _, behind = text.partition(f"<@{us}>")
    words = (behind.lstrip(" ,:") or _MENTION.sub("", text)).split()
    if words and words[0].lower().lstrip("/") == word:
        del words[0]
    asks = typed(" ".join(words))
    team = _text(event, "user_team") or _text(event, "team") or _text(body, "team_id")
    person = Person(_text(event, "user"), team)
    key = _text(body, "event_id") or _text(event, "ts")
    asked = _asked(asks, f"event/{key}", Origin.MENTION, person, _text(event, "channel"), at, {})
    if asked is None or not key or _text(event, "bot_id"):
        return None
    return replace(asked, request=replace(asked.request, thread=_ts(event, "thread_ts")))


def _asked(
    words: Typed, key: str, origin: Origin, person: Person, channel: str, at: float, body: Mapping[str, Any]
) -> Asked | None:
    if not person.id or not channel:
        return None
    request = Request(
        key=key[:255],
        origin=origin,
        named=words.named,
        person=person,
        channel=channel,
        at=at,
        answer_url=_text(body, "response_url"),
        exact=words.exact,
        deep=words.deep,
    )
    return Asked(words, request)


def opened_home(body: Mapping[str, Any]) -> str:
    """The id of who opened the Home tab, "" where another tab was opened."""
    event = _part(body, "event")
    return _text(event, "user") if _text(event, "tab") in {"home", ""} else ""


# ---- what was clicked -----------------------------------------------------------------------------------------------


def clicked(body: Mapping[str, Any], at: float) -> Request | None:
    """Who clicked somewhere in a channel, for an answer that leads to no look."""
    return _clicked_request(body, at, "click", Origin.COMMAND)


def pointed(body: Mapping[str, Any], at: float) -> Pointed | None:
    """The message that somebody pointed at, and the node that it names."""
    request = _clicked_request(body, at, "shortcut", Origin.SHORTCUT)
    message = _part(body, "message")
    ts = _ts(message, "thread_ts") or _ts(message, "ts") or _ts(body, "message_ts")
    if request is None or not ts:
        return None
    return Pointed(replace(request, named=named_in(message), thread=ts), _text(body, "trigger_id"))


def question(request: Request) -> dict[str, Any]:
    """The modal that asks for the node where the message names none; ``submitted`` reads what comes back."""
    return {
        "type": "modal",
        "callback_id": DIAGNOSE_MESSAGE,
        "private_metadata": json.dumps({"channel": request.channel, "thread": request.thread}),
        "title": {"type": "plain_text", "text": "Diagnose this alert"},
        "submit": {"type": "plain_text", "text": "Look"},
        "close": {"type": "plain_text", "text": "Not now"},
        "blocks": [
            {
                "type": "input",
                "block_id": NODE_FIELD,
                "label": {"type": "plain_text", "text": "Which node?"},
                "hint": {"type": "plain_text", "text": "A node, CLUSTER/NODE, or a pod: its node is meant then."},
                "element": {
                    "type": "plain_text_input",
                    "action_id": NODE_FIELD,
                    "max_length": NAMED_AT_MOST,
                    "focus_on_load": True,
                    "placeholder": {"type": "plain_text", "text": "node-7"},
                },
            }
        ],
    }


def submitted(body: Mapping[str, Any], at: float) -> Asked | None:
    """What the modal's answer asks, under the message it was opened from. A view is submitted once."""
    view = _part(body, "view")
    where = _json(_text(view, "private_metadata"))
    words = typed(_text(view, "state", "values", NODE_FIELD, NODE_FIELD, "value"))
    person = _clicker(body)
    key = f"view/{_text(view, 'id')}"
    asked = _asked(words, key, Origin.SHORTCUT, person, _text(where, "channel"), at, {})
    thread = _ts(where, "thread")
    if asked is None or not thread:
        return None
    return replace(asked, request=replace(asked.request, thread=thread))


def again(body: Mapping[str, Any], at: float) -> Clicked | None:
    """The incident that somebody wants to be looked at again; the value of a button is only ever an incident's name."""
    request = _clicked_request(body, at, "click", Origin.COMMAND)
    actions = body.get("actions")
    first = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], Mapping) else {}
    match = _INCIDENT.fullmatch(_text(first, "value"))
    return Clicked(int(match[1]), request) if request and match else None


def _clicked_request(body: Mapping[str, Any], at: float, kind: str, origin: Origin) -> Request | None:
    person, channel, trigger = _clicker(body), _text(body, "channel", "id"), _text(body, "trigger_id")
    if not person.id or not channel or not trigger:
        return None
    return Request(
        key=f"{kind}/{trigger}"[:255],
        origin=origin,
        named="",
        person=person,
        channel=channel,
        at=at,
        answer_url=_text(body, "response_url"),
    )


def _clicker(body: Mapping[str, Any]) -> Person:
    return Person(_text(body, "user", "id"), _text(body, "user", "team_id") or _text(body, "team", "id"))


# ---- which node a message names -------------------------------------------------------------------------------------


def named_in(message: Mapping[str, Any]) -> str:
    """The node that an alert names, "" where it names none: a field called so first, then its text."""
    for label, value in _fields(message):
        if re.fullmatch(_LABELS, label.strip(" *_`:"), re.IGNORECASE):
            found = re.match(rf"[\s`\"'*_]*({_NAME})", value, re.IGNORECASE)
            if found and not _ADDRESS.fullmatch(found[1]):
                return found[1]
    text = "\n".join(_texts(message))
    spoken = (match[1] for pattern in (_LABELLED, _SPOKEN) for match in pattern.finditer(text))
    return next((name for name in spoken if not _ADDRESS.fullmatch(name)), "")


def _fields(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for attachment in _parts(message, "attachments"):
        for one in _parts(attachment, "fields"):
            yield _text(one, "title"), _text(one, "value")


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    """Everything readable of a message, up to what an alert can sensibly hold."""
    yield _text(message, "text")[:TEXT_AT_MOST]
    for attachment in _parts(message, "attachments"):
        yield from (_text(attachment, name)[:TEXT_AT_MOST] for name in ("title", "pretext", "text", "fallback"))
        yield from (f"{title}: {value}"[:2_000] for title, value in _fields({"attachments": [attachment]}))
        yield from _blocks_texts(attachment)
    yield from _blocks_texts(message)


def _blocks_texts(message: Mapping[str, Any]) -> Iterator[str]:
    for block in _parts(message, "blocks"):
        yield _text(block, "text", "text")[:TEXT_AT_MOST]
        yield from (_text(one, "text")[:TEXT_AT_MOST] for one in _parts(block, "fields"))


# ---- looking into what somebody else wrote --------------------------------------------------------------------------


def _text(mapping: Mapping[str, Any], *keys: str) -> str:
    """The text at a path, "" where there is none."""
    found: Any = mapping
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else ""


def _ts(mapping: Mapping[str, Any], key: str) -> str:
    """A message's timestamp, "" where it is none."""
    text = _text(mapping, key)
    return text if _TS.fullmatch(text) else ""


def _part(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = mapping.get(key)
    return found if isinstance(found, Mapping) else {}


def _parts(mapping: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """The first hundred: Slack has no more attachments, and no more blocks."""
    found = mapping.get(key)
    yield from (one for one in (found[:100] if isinstance(found, list) else ()) if isinstance(one, Mapping))


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _quoted(word: str) -> str:
    """A word of theirs, as text that neither pings nor formats."""
    inside = "".join(one for one in word[:80] if one.isprintable() and one != "`")
    return "`" + inside.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") + "`"
