from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from bot.errors import StoreError
from bot.store import Store, schema
from bot.store.tables import metadata
from tests.bot.store.words import admitted

ROOT = Path(__file__).parents[3]


def test_the_steps_lead_to_the_tables_that_the_program_means(store: Store) -> None:
    with store._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        indexes = {
            (table, index["name"], tuple(index["column_names"]), bool(index["unique"]))
            for table in metadata.tables
            for index in inspect(connection).get_indexes(table)
            if "duplicates_constraint" not in index
        }
    meant = {
        (table.name, index.name, tuple(column.name for column in index.columns), bool(index.unique))
        for table in metadata.tables.values()
        for index in table.indexes
    }
    assert indexes == meant


def test_the_indexes_hold_the_same_rows_as_the_program_means(shared_address: str) -> None:
    """What an index leaves out is not compared above."""
    store = Store.open(shared_address)
    with store._database.read() as connection:
        migrated = {
            index["name"]: str(value)
            for table in metadata.tables
            for index in inspect(connection).get_indexes(table)
            for key, value in index.get("dialect_options", {}).items()
            if key.endswith("_where")
        }
    store.close()
    meant = {
        index.name: str(rows).replace(f"{table.name}.", "")
        for table in metadata.tables.values()
        for index in table.indexes
        if (rows := index.dialect_kwargs.get("sqlite_where")) is not None
    }
    assert migrated == meant


def test_a_database_is_opened_again_as_it_was(shared_address: str) -> None:
    first = Store.open(shared_address)
    incident = admitted(first)
    first.close()
    again = Store.open(shared_address)
    assert again.incidents(5) == (incident,)
    again.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(shared_address: str) -> None:
    store = Store.open(shared_address)
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    for opens in (Store.open, Store.open_to_read):
        with pytest.raises(StoreError, match=r"newer version of conntrack-bot \(9999\).*store\.url"):
            opens(shared_address)


def test_two_bots_that_start_at_once_make_one_database(shared_address: str) -> None:
    start = "import sys; from bot.store import Store; Store.open(sys.argv[1]).close()"
    running = [subprocess.Popen([sys.executable, "-c", start, shared_address], cwd=ROOT) for _ in range(3)]
    assert [one.wait(60) for one in running] == [0, 0, 0]


def test_the_steps_are_one_line_without_forks() -> None:
    steps = ScriptDirectory.from_config(schema._config())
    assert len(steps.get_heads()) == len(steps.get_bases()) == 1


def test_every_step_is_a_module_of_the_package() -> None:
    """So that the installed package has them: setuptools takes modules of packages, and nothing else by itself."""
    folders = {file.parent for file in schema.MIGRATIONS.rglob("*") if file.suffix == ".py"}
    assert all((folder / "__init__.py").is_file() for folder in folders)
    others = [file for file in schema.MIGRATIONS.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")]
    assert others == []
