"""Bringing a database up to date, and refusing one that this version does not know.

The steps are the modules in ``migrations/versions``. It must not know what the tables are for.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from bot.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_263_814  # arbitrary: the number of PostgreSQL's lock that two starting bots meet at


def bring_up_to_date(connection: Connection, name: str) -> None:
    """Take the steps that are missing, in the connection's transaction: all of them or none."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = _config()
    if is_up_to_date(connection, name, config):
        return
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_up_to_date(connection: Connection, name: str, config: Config | None = None) -> bool:
    """Whether no step is missing. Raises StoreError for a database that a newer version has made."""
    steps = ScriptDirectory.from_config(config or _config())
    known = {step.revision for step in steps.walk_revisions()}
    current = set(MigrationContext.configure(connection).get_current_heads())
    if current - known:
        raise StoreError(
            f"The database {name} was made by a newer version of conntrack-bot ({', '.join(sorted(current - known))}). "
            "Run that version, or give this one a database of its own: `store.url`."
        )
    return current == set(steps.get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
