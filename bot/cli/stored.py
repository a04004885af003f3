"""What the commands that read the store share: where it is, and how times and places look in a terminal.

It must not make a database: reading what is not there is a mistake to be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.exits import fail
from bot.errors import BotError
from diagnostics.errors import DiagnosticsError

if TYPE_CHECKING:
    from bot.store import Store

Config = Annotated[Path | None, typer.Option(metavar="FILE", help="The configuration.")]


@contextmanager
def opened(config: Path | None) -> Iterator[Store]:
    """The store that the configuration names, to be read. What goes wrong meanwhile ends the program."""
    from bot.config import load  # noqa: PLC0415 - pydantic costs a tenth of a second
    from bot.store import Store, usual_address  # noqa: PLC0415 - SQLAlchemy costs a quarter of one

    try:
        store = Store.open_to_read(load(config).store.url or usual_address())
        try:
            yield store
        finally:
            store.close()
    except (BotError, DiagnosticsError) as error:
        fail(error)


def moment(at: float) -> str:
    """A time as people in this place read it."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
