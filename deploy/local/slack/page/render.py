"""Block Kit as HTML: every block that Slack has and a bot may send, and a loud box for what it does not know.

Pure: blocks in, HTML out. It must not know the workspace; what ids are called comes as `Names`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deploy.local.slack.page.elements import Json, element, picture, text_object
from deploy.local.slack.page.markup import Html, join, tag
from deploy.local.slack.page.mrkdwn import Names, markdown, mrkdwn, plain
from deploy.local.slack.page.rich_text import rich_text


def rendered(blocks: Sequence[Json], names: Names) -> Html:
    """One `div` a block. A block that breaks the renderer is shown as unknown: a page that is blank says nothing."""
    return join([_block(one, f"b{number}", names) for number, one in enumerate(blocks)])


def message_body(text: str, blocks: Sequence[Json], names: Names) -> Html:
    """Blocks where there are any: Slack shows the text only in notifications then."""
    return rendered(blocks, names) if blocks else tag("div", mrkdwn(text, names), class_="block section")


def _block(one: Any, fallback_id: str, names: Names) -> Html:
    kind = str(one.get("type")) if isinstance(one, Mapping) else "not an object"
    draw = _BLOCKS.get(kind)
    if draw is None:
        return _unknown(kind)
    try:
        inside = draw(dict(one) | {"block_id": one.get("block_id") or fallback_id}, names)
    except (AttributeError, LookupError, TypeError, ValueError) as broken:
        return _unknown(f"{kind} ({broken!r})")
    return tag("div", inside, class_=f"block {kind.replace('_', '-')}", data_block_id=one.get("block_id"))


def _unknown(kind: str) -> Html:
    return tag("div", f"Block that this page cannot draw: {kind}", class_="block unknown", role="alert")


def _header(one: Json, names: Names) -> Html:
    return tag("h3", text_object(one["text"], names))


def _section(one: Json, names: Names) -> Html:
    words = tag("div", text_object(one.get("text"), names), class_="words") if one.get("text") else None
    fields = [tag("div", text_object(field, names)) for field in one.get("fields", [])]
    accessory = one.get("accessory")
    return join(
        [
            tag("div", words, tag("div", *fields, class_="fields") if fields else None, class_="main"),
            tag("div", element(accessory, one["block_id"], names), class_="accessory") if accessory else Html(),
        ]
    )


def _context(one: Json, names: Names) -> Html:
    shown = [
        picture(part, names) if part.get("type") == "image" else tag("span", text_object(part, names))
        for part in one["elements"]
    ]
    return join(shown)


def _actions(one: Json, names: Names) -> Html:
    return join([element(part, one["block_id"], names) for part in one["elements"]])


def _image(one: Json, names: Names) -> Html:
    title = tag("figcaption", text_object(one["title"], names)) if one.get("title") else None
    return tag("figure", title, picture(one, names))


def _input(one: Json, names: Names) -> Html:
    label = tag("span", text_object(one["label"], names), class_="label")
    optional = tag("span", "(optional)", class_="optional") if one.get("optional") else None
    hint = tag("small", text_object(one["hint"], names)) if one.get("hint") else None
    wrap = "div" if one["element"].get("type") in {"radio_buttons", "checkboxes"} else "label"
    drawn = element(one["element"], one["block_id"], names, is_input=not one.get("dispatch_action"))
    field = tag(wrap, tag("span", label, optional), drawn)
    return join([field, hint or Html(), tag("p", class_="problem", role="alert", data_error_for=one["block_id"])])


def _table(one: Json, names: Names) -> Html:
    """The first row is the head, as Slack draws it."""
    settings = [setting or {} for setting in one.get("column_settings", [])]

    def cells(row: Sequence[Json], name: str) -> list[Html]:
        return [
            tag(name, _cell(cell, names), class_=settings[at].get("align") if at < len(settings) else None)
            for at, cell in enumerate(row)
        ]

    head, *rows = one["rows"]
    body = tag("tbody", *[tag("tr", *cells(row, "td")) for row in rows])
    caption = tag("caption", str(one["caption"])) if one.get("caption") else None
    return tag(
        "div", tag("table", caption, tag("thead", tag("tr", *cells(head, "th"))), body), class_="scroll", tabindex="0"
    )


def _cell(cell: Json, names: Names) -> Html:
    return (
        rich_text(cell, names)
        if cell.get("type") == "rich_text"
        else plain(str(cell.get("text", cell.get("value", ""))))
    )


_TASK_MARKS = {"pending": "◌", "in_progress": "◔", "complete": "✓", "error": "✗"}


def _task(one: Json, names: Names) -> Html:
    status = str(one.get("status", "pending"))
    mark = tag("span", _TASK_MARKS.get(status, "?"), class_="mark", title=status.replace("_", " "))
    details = [
        tag("div", rich_text(one[key], names), class_="task-text") for key in ("details", "output") if one.get(key)
    ]
    return tag("div", mark, tag("div", tag("span", _words(one.get("title"))), *details), class_=f"task {status}")


def _plan(one: Json, names: Names) -> Html:
    tasks = [_task(task, names) for task in one.get("tasks", [])]
    return join([tag("strong", _words(one.get("title"))), *tasks])


def _words(title: object) -> Html:
    return plain(str(title.get("text", "")) if isinstance(title, Mapping) else str(title or ""))


def _container(one: Json, names: Names) -> Html:
    children = rendered(one.get("child_blocks") or one.get("blocks") or [], names)
    title = join([tag("strong", _words(one.get("title"))), tag("small", _words(one.get("subtitle")))])
    if not one.get("is_collapsible"):
        return tag("div", tag("div", title), children)
    return tag("details", tag("summary", title), children, open=not one.get("default_collapsed"))


def _alert(one: Json, names: Names) -> Html:
    return tag("div", text_object(one["text"], names), class_=f"level-{one.get('level', 'default')}")


def _card(one: Json, names: Names) -> Html:
    parts = [
        tag("div", text_object(one[key], names), class_=key) for key in ("title", "subtitle", "body") if one.get(key)
    ]
    return join([*parts, _actions({"block_id": one["block_id"], "elements": one.get("actions", [])}, names)])


def _carousel(one: Json, names: Names) -> Html:
    return rendered(one["elements"], names)


def _chart(one: Json, _names: Names) -> Html:
    """As a table with meters: exact, and readable aloud."""
    chart = one["chart"]
    series = chart.get("series") or [{"name": "", "data": chart.get("segments", [])}]
    top = max([abs(float(point["value"])) for line in series for point in line["data"]], default=1) or 1
    rows = [
        tag("tr", tag("th", f"{line.get('name', '')} {point['label']}".strip()),
            tag("td", tag("meter", value=point["value"], max=top)), tag("td", point["value"]))
        for line in series for point in line["data"]
    ]  # fmt: skip
    return tag("figure", tag("figcaption", one.get("title", "")), tag("table", *rows))


_BLOCKS: dict[str, Callable[[Json, Names], Html]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "context_actions": _actions,
    "divider": lambda _one, _names: tag("hr"),
    "actions": _actions,
    "image": _image,
    "input": _input,
    "rich_text": rich_text,
    "markdown": lambda one, _names: markdown(one["text"]),
    "table": _table,
    "data_table": _table,
    "plan": _plan,
    "task_card": _task,
    "container": _container,
    "alert": _alert,
    "card": _card,
    "carousel": _carousel,
    "data_visualization": _chart,
}
