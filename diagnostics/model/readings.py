"""A fact that was read, or the reason why it was not: nothing else in this room may be unsure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Known(Generic[T_co]):
    """A fact that was read."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be read, and why, in words a person understands."""

    why: str


Reading = Known[T_co] | Unknown
