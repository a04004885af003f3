"""The language in which Block Kit is written down here: small checks, put together to large ones.

A check looks at a value at a place and says what Slack would say of it, in Slack's words and with a JSON pointer. It
must not know what a block is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Look:
    """One reading of some blocks: on which surface, with which pictures at hand, and what was found wrong."""

    surface: str
    images: Collection[str] | None = None
    found: list[str] = field(default_factory=list)

    def say(self, words: str, pointer: str) -> None:
        """Something is wrong there."""
        self.found.append(f"{words} [json-pointer:{pointer}]")


Check = Callable[[Look, Any, str], None]


def string(at_most: int, at_least: int = 1) -> Check:
    """A text of some length, counted in code points."""

    def check(look: Look, value: Any, pointer: str) -> None:
        if not isinstance(value, str):
            look.say("must be a string", pointer)
        elif len(value) < at_least:
            look.say(f"must be more than {at_least - 1} characters", pointer)
        elif len(value) > at_most:
            look.say(f"must be less than {at_most + 1} characters", pointer)

    return check


def number(low: float, high: float, *, whole: bool = True) -> Check:
    """A number within limits."""

    def check(look: Look, value: Any, pointer: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            look.say("must be an integer" if whole else "must be a number", pointer)
        elif not low <= value <= high:
            look.say(f"must be between {low} and {high}", pointer)

    return check


def flag(look: Look, value: Any, pointer: str) -> None:
    """True or false, and nothing that only looks like it."""
    if not isinstance(value, bool):
        look.say("must be a boolean", pointer)


def one_of(*values: str) -> Check:
    """One word of a few."""

    def check(look: Look, value: Any, pointer: str) -> None:
        if value not in values:
            look.say(f"must be a valid enum value: {', '.join(values)}", pointer)

    return check


def url(look: Look, value: Any, pointer: str) -> None:
    """An address that a browser could open."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")) or len(value) > 3000:
        look.say("must be a valid URL of at most 3000 characters", pointer)


def array(check: Check, at_least: int, at_most: int) -> Check:
    """Some of a kind."""

    def check_all(look: Look, value: Any, pointer: str) -> None:
        if not isinstance(value, list):
            look.say("must be an array", pointer)
            return
        if len(value) < at_least:
            look.say(f"no fewer than {at_least} items required", pointer)
        if len(value) > at_most:
            look.say(f"no more than {at_most} items allowed", pointer)
        for number_of, one in enumerate(value):
            check(look, one, f"{pointer}/{number_of}")

    return check_all


def record(
    required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, also: Check | None = None
) -> Check:
    """An object with these keys and no others. ``also`` looks at the whole, where its parts are well-formed."""
    known = {**required, **(optional or {})}

    def check(look: Look, value: Any, pointer: str) -> None:
        if not isinstance(value, dict):
            look.say("must be an object", pointer)
            return
        before = len(look.found)
        for key in sorted(required.keys() - value.keys()):
            look.say(f"missing required field: {key}", pointer)
        for key, part in value.items():
            known.get(key, _unknown)(look, part, f"{pointer}/{key}")
        if also is not None and len(look.found) == before:
            also(look, value, pointer)

    return check


def _unknown(look: Look, _value: Any, pointer: str) -> None:
    where, _, key = pointer.rpartition("/")
    if key != "type":
        look.say(f"invalid additional property: {key}", where)


def kinds(table: Mapping[str, Check]) -> Check:
    """An object whose ``type`` says what else it must be."""

    def check(look: Look, value: Any, pointer: str) -> None:
        if not isinstance(value, dict):
            look.say("must be an object", pointer)
        elif not isinstance(value.get("type"), str) or value["type"] not in table:
            look.say(f"unsupported type: {value.get('type')}", f"{pointer}/type")
        else:
            table[value["type"]](look, value, pointer)

    return check


def later(name: Callable[[], Check]) -> Check:
    """A check that is written down further below."""

    def check(look: Look, value: Any, pointer: str) -> None:
        name()(look, value, pointer)

    return check


def only_on(surfaces: tuple[str, ...], check: Check) -> Check:
    """Something that some surfaces do not take."""

    def check_there(look: Look, value: Any, pointer: str) -> None:
        if look.surface not in surfaces:
            look.say(f"unsupported type: {value.get('type')} (not in a {look.surface})", f"{pointer}/type")
        else:
            check(look, value, pointer)

    return check_there
