"""Rich text: sections, lists, quotes and code, and what stands in them. From docs.slack.dev, "Rich text block"."""

from __future__ import annotations

from deploy.local.slack.validator.checks import Check, array, flag, kinds, number, one_of, record, string
from deploy.local.slack.validator.objects import ID

_STYLE = {
    "style": record(
        {},
        dict.fromkeys(
            ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink"), flag
        ),
    )
}
_WORDS = string(13_000)
_ELEMENTS_AT_MOST = 1000  # not documented; the sum of the texts is what Slack limits

_TEXT = record({"text": _WORDS}, _STYLE)
_LINK = record({"url": string(3000)}, {**_STYLE, "text": _WORDS, "unsafe": flag})
_ELEMENT = kinds(
    {
        "text": _TEXT,
        "link": _LINK,
        "emoji": record({"name": string(255)}, {**_STYLE, "skin_tone": number(1, 6), "unicode": string(100)}),
        "user": record({"user_id": ID}, _STYLE),
        "usergroup": record({"usergroup_id": ID}, _STYLE),
        "channel": record({"channel_id": ID}, _STYLE),
        "team": record({"team_id": ID}, _STYLE),
        "broadcast": record({"range": one_of("here", "channel", "everyone")}, _STYLE),
        "color": record({"value": string(7)}, _STYLE),
        "date": record(
            {"timestamp": number(0, 10**11), "format": string(255)},
            {**_STYLE, "url": string(3000), "fallback": string(255)},
        ),
    }
)
_BORDER = {"border": number(0, 1)}
_SECTION = record({"elements": array(_ELEMENT, 0, _ELEMENTS_AT_MOST)})

PARTS: dict[str, Check] = {
    "rich_text_section": _SECTION,
    "rich_text_list": record(
        {
            "elements": array(kinds({"rich_text_section": _SECTION}), 1, _ELEMENTS_AT_MOST),
            "style": one_of("bullet", "ordered"),
        },
        {"indent": number(0, 8), "offset": number(0, 10**6), **_BORDER},
    ),
    "rich_text_preformatted": record(
        {"elements": array(kinds({"text": _TEXT, "link": _LINK}), 1, _ELEMENTS_AT_MOST)},
        {**_BORDER, "language": string(40)},
    ),
    "rich_text_quote": record({"elements": array(_ELEMENT, 1, _ELEMENTS_AT_MOST)}, _BORDER),
}
RICH_TEXT = record({"elements": array(kinds(PARTS), 1, _ELEMENTS_AT_MOST)}, {"block_id": ID})
