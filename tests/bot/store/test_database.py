from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from bot.errors import StoreError
from bot.store import Store, usual_address
from bot.store.database import Database
from tests.bot.store.words import admitted, asks


def test_the_usual_database_is_in_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert usual_address() == f"sqlite:///{tmp_path}/.local/state/conntrack-bot/conntrack-bot.db"
    monkeypatch.setenv("XDG_STATE_HOME", "relative is to be ignored")
    assert usual_address() == f"sqlite:///{tmp_path}/.local/state/conntrack-bot/conntrack-bot.db"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert usual_address() == f"sqlite:///{tmp_path}/state/conntrack-bot/conntrack-bot.db"


def test_only_its_owner_may_read_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = Store.open(usual_address())
    admitted(store)
    folder = tmp_path / "conntrack-bot"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    store.close()
    assert modes["conntrack-bot"] == 0o700
    assert modes.keys() >= {"conntrack-bot.db", "conntrack-bot.db-wal"}
    assert {mode for name, mode in modes.items() if name != "conntrack-bot"} == {0o600}


def test_reading_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"There is no database at .* yet: `conntrack-bot serve` makes it"):
        Store.open_to_read(f"sqlite:///{tmp_path}/new/bot.db")
    assert list(tmp_path.iterdir()) == []


def test_reading_an_older_database_leaves_it_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "bot.db"
    sqlite3.connect(file).close()
    with pytest.raises(StoreError, match="earlier version"):
        Store.open_to_read(f"sqlite:///{file}")
    assert file.stat().st_size == 0 or b"incidents" not in file.read_bytes()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        pytest.param("rubbish", "`store.url` is no database's address", id="no address"),
        pytest.param("sqlite://user@host/x.db", "`store.url` is no database's address", id="a file elsewhere"),
        pytest.param("pigeon://loft", "`store.url` is no database's address", id="an unknown database"),
        pytest.param("sqlite:////proc/nothing/bot.db", "cannot be made", id="a folder that cannot be made"),
    ],
)
def test_an_address_that_leads_nowhere_is_a_sentence_and_leaves_no_file(
    address: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=says):
        Store.open(address)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bot.db").write_bytes(b"not a database, and longer than a header of one " * 50)
    with pytest.raises(StoreError, match=r"The database sqlite:///.*bot\.db failed: file is not a database\."):
        Store.open(f"sqlite:///{tmp_path}/bot.db")


def test_a_password_is_in_no_error() -> None:
    with pytest.raises(StoreError) as failure:
        Database("sqlite://user:secret@/x.db")
    assert "secret" not in str(failure.value)


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    def write() -> None:
        with store._database.write() as connection:
            connection.exec_driver_sql("INSERT INTO audit_head VALUES (2, 1, 'x')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    with store._database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM audit_head").scalar_one() == 1


def test_one_state_of_affairs_is_read_while_another_process_writes(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/bot.db"
    ours, theirs = Store.open(address), Store.open(address)
    with ours._database.read() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM requests").scalar_one()
        theirs.receive(asks("r1"))
        assert connection.exec_driver_sql("SELECT count(*) FROM requests").scalar_one() == before
    assert ours.next_request("w", 5, now=0)
    ours.close()
    theirs.close()


def test_many_threads_share_a_database_in_memory() -> None:
    store = Store.open("sqlite://")
    found: list[int] = []

    def work(thread: int) -> None:
        for number in range(10):
            admitted(store, f"r{thread}-{number}", f"node-{thread}-{number}")
            found.append(len(store.incidents(1)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(store.incidents(100))) == (80, 80)
    store.close()
