"""Every block that Slack has, and where it may stand. Limits from docs.slack.dev, "Blocks", and facts measured."""

from __future__ import annotations

from typing import Any

from deploy.local.slack.validator.checks import (
    Check,
    Look,
    array,
    flag,
    kinds,
    later,
    number,
    one_of,
    only_on,
    record,
    string,
    url,
)
from deploy.local.slack.validator.elements import BUTTONS, FEEDBACK, IMAGE, MENUS, OVERFLOW, PICKERS, TEXTS, TYPED
from deploy.local.slack.validator.objects import ICON, ID, PICTURE, one_picture, plain, text
from deploy.local.slack.validator.rich_text import RICH_TEXT

_ID = {"block_id": ID}
_MESSAGE = ("message",)


def _section(look: Look, value: Any, pointer: str) -> None:
    if "text" not in value and "fields" not in value:
        look.say("must provide text or fields", pointer)


def _labels(look: Look, value: Any, pointer: str) -> None:
    """A series has one point for each category, in their order."""
    categories = value["axis_config"]["categories"]
    for place, series in enumerate(value["series"]):
        if [point["label"] for point in series["data"]] != categories:
            look.say("labels must match the categories", f"{pointer}/series/{place}")


_POINT = record({"label": string(20), "value": number(-(10**15), 10**15, whole=False)})
_AXES = record(
    {"categories": array(string(20), 1, 20)}, {"x_label": string(50), "y_label": string(50)}
)  # fmt: skip
_SERIES = record(
    {"series": array(record({"name": string(20), "data": array(_POINT, 1, 20)}), 1, 6), "axis_config": _AXES},
    None,
    _labels,
)
_CHART = kinds({"pie": record({"segments": array(_POINT, 1, 6)}), "bar": _SERIES, "line": _SERIES, "area": _SERIES})
_CELL = kinds({"raw_text": record({"text": string(10_000)}), "rich_text": RICH_TEXT})
_DATA_CELL = kinds(
    {
        "raw_text": record({"text": string(10_000)}),
        "rich_text": RICH_TEXT,
        "raw_number": record({"value": number(-(10**15), 10**15, whole=False)}, {"text": string(255)}),
    }
)
_COLUMN = record({}, {"align": one_of("left", "center", "right"), "is_wrapped": flag})


def _rectangle(look: Look, value: Any, pointer: str) -> None:
    if len({len(row) for row in value["rows"]}) > 1:
        look.say("all rows must have the same number of cells", f"{pointer}/rows")


def _columns(look: Look, value: Any, pointer: str) -> None:
    """A null stands for a column without settings."""
    if value is not None:
        _COLUMN(look, value, pointer)


_TASK = record(
    {"task_id": string(255), "title": string(255), "status": one_of("pending", "in_progress", "complete", "error")},
    {
        **_ID, "details": kinds({"rich_text": RICH_TEXT}), "output": kinds({"rich_text": RICH_TEXT}),
        "sources": array(kinds({"url": record({"url": url, "text": string(255)})}), 1, 20),
    },
)  # fmt: skip
_CARD = record(
    {},
    {
        **_ID, "hero_image": ICON, "icon": ICON, "title": text(150), "subtitle": text(150), "body": text(200),
        "actions": array(kinds({**BUTTONS, **OVERFLOW}), 1, 5),
    },
)  # fmt: skip


def _container(look: Look, value: Any, pointer: str) -> None:
    if "title" not in value and "rich_text_title" not in value:
        look.say("must provide title or rich_text_title", pointer)
    if value.get("has_header_divider") and value.get("is_collapsible"):
        look.say("has_header_divider cannot be set when is_collapsible is true", pointer)


INNER: dict[str, Check] = {
    "section": record(
        {},
        {
            **_ID, "text": text(3000), "fields": array(text(2000), 1, 10), "expand": flag,
            "accessory": kinds({**BUTTONS, **MENUS, **PICKERS, **OVERFLOW, **IMAGE}),
        },
        _section,
    ),
    "header": record({"text": plain(150)}, _ID),
    "divider": record({}, _ID),
    "context": record({"elements": array(kinds({**TEXTS, **IMAGE}), 1, 10)}, _ID),
    "actions": record({"elements": array(kinds({**BUTTONS, **MENUS, **PICKERS, **OVERFLOW}), 1, 25)}, _ID),
    "image": record({"alt_text": string(2000)}, {**_ID, **PICTURE, "title": plain(2000)}, one_picture),
    "rich_text": RICH_TEXT,
    "video": record(
        {"alt_text": string(2000), "title": plain(199), "thumbnail_url": url, "video_url": url},
        {
            **_ID, "author_name": string(49), "description": plain(200), "provider_icon_url": url,
            "provider_name": string(255), "title_url": url,
        },
    ),
    "table": only_on(
        _MESSAGE,
        record({"rows": array(array(_CELL, 1, 20), 1, 100)}, {**_ID, "column_settings": array(_columns, 0, 20)}),
    ),
    "context_actions": only_on(_MESSAGE, record({"elements": array(kinds(FEEDBACK), 1, 5)}, _ID)),
    "data_visualization": only_on(_MESSAGE, record({"title": string(50), "chart": _CHART}, _ID)),
    "data_table": only_on(
        _MESSAGE,
        record(
            {"caption": string(255), "rows": array(array(_DATA_CELL, 1, 20), 2, 101)},
            {**_ID, "page_size": number(1, 100), "row_header_column_index": number(0, 19)},
            _rectangle,
        ),
    ),
    "task_card": only_on(_MESSAGE, _TASK),
}  # fmt: skip
BLOCKS: dict[str, Check] = {
    **INNER,
    "markdown": only_on(_MESSAGE, record({"text": string(12_000)}, _ID)),
    "file": only_on(_MESSAGE, record({"external_id": string(255), "source": one_of("remote")}, _ID)),
    "input": record(
        {"label": plain(2000), "element": kinds({**MENUS, **PICKERS, **TYPED})},
        {**_ID, "hint": plain(2000), "optional": flag, "dispatch_action": flag},
    ),
    "plan": only_on(
        _MESSAGE, record({"title": string(255)}, {**_ID, "tasks": array(kinds({"task_card": _TASK}), 1, 50)})
    ),
    "alert": only_on(
        ("modal",),
        record({"text": text(200)}, {**_ID, "level": one_of("default", "info", "warning", "error", "success")}),
    ),
    "card": only_on(_MESSAGE, _CARD),
    "carousel": only_on(_MESSAGE, record({"elements": array(kinds({"card": _CARD}), 1, 10)}, _ID)),
    "container": only_on(
        _MESSAGE,
        record(
            {"child_blocks": array(later(lambda: kinds(INNER)), 1, 10)},
            {
                **_ID, "title": plain(150), "rich_text_title": kinds({"rich_text": RICH_TEXT}), "subtitle": text(150),
                "width": one_of("narrow", "standard", "wide", "full"), "icon": ICON, "is_collapsible": flag,
                "default_collapsed": flag, "has_header_divider": flag,
            },
            _container,
        ),
    ),
}  # fmt: skip

BLOCK = kinds(BLOCKS)
