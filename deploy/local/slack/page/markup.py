"""HTML that cannot be forged: whatever is not `Html` already is escaped where it enters a tag.

The one place that knows angle brackets. It must not know Slack.
"""

from html import escape


class Html(str):
    """Text that is HTML already. Made by `tag` and `join`, and by nothing that saw a message's text."""

    __slots__ = ()


def text(value: object) -> Html:
    """Escaped, unless it is HTML already."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def join(parts: list[Html] | tuple[Html, ...], between: str = "") -> Html:
    """Parts side by side."""
    return Html(text(between).join(text(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """`<name …>children</name>`; an attribute that is None or False is left out, `data_ts` becomes `data-ts`."""
    opened = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{opened}>")
    inside = "".join(text(child) for child in children if child is not None)
    return Html(f"<{opened}>{inside}</{name}>")


_VOID = frozenset({"br", "hr", "img", "input"})


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
