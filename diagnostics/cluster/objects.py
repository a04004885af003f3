"""Reading Kubernetes objects that may be odd: what is null, missing or of another kind reads as empty.

The server keeps whatever a controller or a person once stored, so nothing about a field's kind is certain. This module
knows no resource, only JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

NOTHING: Mapping[str, Any] = {}


def mapping(thing: Any, *keys: str) -> Mapping[str, Any]:
    """The object below these keys, or an empty one."""
    for key in keys:
        thing = thing.get(key) if isinstance(thing, Mapping) else None
    return thing if isinstance(thing, Mapping) else NOTHING


def objects(thing: Any, *keys: str) -> list[Mapping[str, Any]]:
    """The objects in the list below these keys; what is no object in it is left out."""
    found = mapping(thing, *keys[:-1]).get(keys[-1])
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def text(value: Any) -> str:
    """A string, or the empty one."""
    return value if isinstance(value, str) else ""


def texts(thing: Any, *keys: str) -> list[str]:
    """The strings in the list below these keys."""
    found = mapping(thing, *keys[:-1]).get(keys[-1])
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def seconds(value: Any) -> float | None:
    """The API's time ("2026-01-02T03:04:05Z", with or without a fraction) as Unix seconds."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def label(thing: Any, key: str) -> str:
    """One label's value."""
    return text(mapping(thing, "metadata", "labels").get(key))


def name_of(thing: Any) -> str:
    """An object's name."""
    return text(mapping(thing, "metadata").get("name"))


def namespace_of(thing: Any) -> str:
    """An object's namespace."""
    return text(mapping(thing, "metadata").get("namespace"))


def uid_of(thing: Any) -> str:
    """An object's identity: a recreated pod has the old name, and another uid."""
    return text(mapping(thing, "metadata").get("uid"))
