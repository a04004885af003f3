"""Foreign text in Slack's mrkdwn: a pod called ``<!channel>``, ``*x*`` or ``:fire:`` stays the text that it is.

mrkdwn has entities for & < > and no escape for anything else, so a mark that would format is exchanged for one that
looks like it. Hence in what comes out of here every backtick is ours, and so is every ``*`` outside of code, which
``limits`` relies on when it cuts. It must not know what the text is about, nor how long it may be.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from bot.report import visible_lines

ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Slack formats an underscore only beside something that is no part of a word: nf_conntrack_max can stay as it is.
UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
NO_CALL = "＠"  # noqa: RUF001 - the same
TICK = "ˋ"  # noqa: RUF001 - the same
LOOKS_LIKE = str.maketrans({"*": "∗", "~": "∼", "`": TICK})  # noqa: RUF001 - that they look alike is the point
EMOJI = re.compile(r":(?=[^\s:]{1,100}:)")  # The colon that opens :fire:
CALL = re.compile(r"@(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
# A quote is a line that begins with a mark of its own, and so is a list in some clients; &gt; still quotes there.
QUOTE = re.compile(r"^(\s*)>", re.MULTILINE)
# Words of machines: what a sentence puts between backticks, a path or namespace/name, a name_with_underscores, an
# address with or without a port.
MACHINE = re.compile(
    r"`[^`\n]+`|(?<![^\s(\[“\"])(?:"
    r"/?[\w.-]*\w/[\w./:-]*\w"
    r"|/[\w.-]+(?:/[\w.-]+)*\w"
    r"|[a-z][\w.]*_[\w.]*\w"
    r"|\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?"
    r"|\[?[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*(?:\]:\d+)?"
    r")(?=[\s,;:.)\]”\"]|$)"
)
PERSON = re.compile(r"[UW][A-Z0-9]{2,30}")


def plain(text: str) -> str:
    """Foreign text as mrkdwn that says just that. Line breaks stay; other control characters are made visible."""
    shown = QUOTE.sub(r"\1›", visible_lines(text)).translate(LOOKS_LIKE)  # noqa: RUF001 - the same
    shown = UNDERSCORE.sub("ˍ", shown)
    shown = EMOJI.sub("∶", shown)  # noqa: RUF001 - the same
    return CALL.sub(NO_CALL, shown).translate(ENTITIES)


def line(text: str) -> str:
    """The same on one line, for what bold or a list item ends with."""
    return plain(" ".join(text.split()))


def code(text: str) -> str:
    """Foreign text as a code span, where only a backtick or a line break could end it."""
    shown = " ".join(visible_lines(text).replace("`", TICK).split())
    return f"`{CALL.sub(NO_CALL, shown).translate(ENTITIES)}`" if shown else ""


def prose(text: str) -> str:
    """Foreign text with the words of machines in code spans: names and addresses can be read, and copied."""
    return "".join(code(piece) if is_machine else plain(piece) for piece, is_machine in pieces(text))


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Foreign text in pieces, and whether each is a word of machines."""
    shown, at = visible_lines(text), 0
    for word in MACHINE.finditer(shown):
        if word.start() > at:
            yield shown[at : word.start()], False
        yield word[0].strip("`"), True
        at = word.end()
    if at < len(shown):
        yield shown[at:], False


def literal(text: str) -> str:
    """Foreign text for where there is no markup: plain_text, preformatted. What reverses or hides is made visible."""
    return visible_lines(text)


def bold(mrkdwn: str) -> str:
    """What was escaped already, in bold."""
    said = mrkdwn.strip().replace("\n", " ")
    return f"*{said}*" if said else ""


def person(identity: str) -> str:
    """A person as a mention by id; what is no id cannot mention anybody."""
    return f"<@{identity}>" if PERSON.fullmatch(identity) else plain(identity) or "somebody"


def link(address: str, says: str) -> str:
    """A link that shows a text; the text alone where the address is none (ASCII, and nothing that ends a link)."""
    is_address = re.fullmatch(r"https?://[!-;=?-{}~]{1,2000}", address) is not None
    return f"<{address.replace('&', '&amp;')}|{line(says).replace('|', '¦')}>" if is_address else line(says)


def moment(seconds: float, shows: str = "{time}") -> str:
    """A time that each reader's client spells in their own zone; UTC where it cannot."""
    try:
        utc = dt.datetime.fromtimestamp(int(seconds), tz=dt.UTC)
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"
    return f"<!date^{int(seconds)}^{shows}|{utc:%Y-%m-%d %H:%M} UTC>"
