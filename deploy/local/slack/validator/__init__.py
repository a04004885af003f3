"""An opinion of its own on every block: what Slack would refuse, and why, with JSON pointers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

Surface = Literal["message", "modal", "home"]


def problems(blocks: Any, surface: Surface = "message", *, images: Collection[str] | None = None) -> list[str]:
    """What Slack would refuse; [] where it takes them."""
    return []
