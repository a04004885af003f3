"""The store's tests run in memory and on a file; on PostgreSQL too (``-m database``), where one is given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from bot.store import Store
from bot.store.tables import metadata

POSTGRES = os.environ.get("STORE_TEST_POSTGRES", "")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A new database's file: making one for each test would take most of the tests' time."""
    file = tmp_path_factory.mktemp("made") / "bot.db"
    Store.open(f"sqlite:///{file}").close()
    return file.read_bytes()


IN_POSTGRES = pytest.param(
    "postgres",
    marks=[
        pytest.mark.database,
        pytest.mark.skipif(not POSTGRES, reason="needs an empty PostgreSQL database, named by STORE_TEST_POSTGRES"),
    ],
)


@pytest.fixture(params=["memory", "file", IN_POSTGRES])
def address(request: pytest.FixtureRequest, tmp_path: Path, made: bytes) -> str:
    if request.param == "memory":
        return "sqlite://"
    if request.param == "file":
        (tmp_path / "bot.db").write_bytes(made)
        return f"sqlite:///{tmp_path / 'bot.db'}"
    return emptied(POSTGRES)


@pytest.fixture(params=["file", IN_POSTGRES])
def shared_address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One that several processes can open."""
    return emptied(POSTGRES) if request.param == "postgres" else f"sqlite:///{tmp_path / 'bot.db'}"


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    opened = Store.open(address)
    yield opened
    opened.close()


def emptied(address: str) -> str:
    engine = sqlalchemy.create_engine(address)
    with engine.begin() as connection:
        metadata.drop_all(connection)
        connection.execute(sqlalchemy.text("DROP TABLE IF EXISTS alembic_version"))
    engine.dispose()
    return address
