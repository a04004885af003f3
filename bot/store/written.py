"""How values become text in a column, and text becomes values again. JSON in ASCII, so that any name survives.

A value that a later version wrote differently is read as far as it can be; what cannot be is None. It must not know
SQL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bot.model import Request
from bot.report import Picture, Report

T = TypeVar("T")

REQUEST = TypeAdapter(Request)
REPORT = TypeAdapter(Report)
PICTURE = TypeAdapter(Picture)


def text_of(adapter: TypeAdapter[T], value: T | None) -> str:
    """The text of a value; "" for None."""
    return "" if value is None else canonical(adapter.dump_python(value, mode="json"))


def value_of(adapter: TypeAdapter[T], text: str) -> T | None:
    """The value of a text; None for "" and for what this version cannot read."""
    if not text:
        return None
    try:
        return adapter.validate_python(json.loads(text))
    except (ValidationError, ValueError):
        return None


def canonical(value: object) -> str:
    """One text for one value: sorted keys, no spaces, ASCII. What is no JSON by itself is written as its text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_plain)


def mapping(text: str) -> dict[str, Any]:
    """The mapping in a text. A text that holds none was not written here: it is kept under the name ""."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"": text}


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
