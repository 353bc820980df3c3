from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from contraflow.errors import LedgerError
from contraflow.ledger import open_ledger
from contraflow.ledger import sqlite as sqlite_module


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[None]:
    """Nothing in the folder was made, changed or taken away by the test."""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    yield
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_new_ledger_is_made_once_and_keeps_its_id(url: str) -> None:
    with open_ledger(url) as ledger:
        identity = ledger.id
    assert len(identity) >= 32
    with open_ledger(url, create=False) as again:
        assert again.id == identity


def test_two_ledgers_have_different_ids(tmp_path: Path) -> None:
    with open_ledger(f"sqlite:///{tmp_path}/a.db") as one, open_ledger(f"sqlite:///{tmp_path}/b.db") as other:
        assert one.id != other.id


def test_a_new_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        open_ledger(f"sqlite:///{tmp_path}/ledger.db").close()
    finally:
        os.umask(previous)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_file_with_tables_of_others_can_hold_a_ledger_too(url: str) -> None:
    execute(url, "CREATE TABLE invoice (id INTEGER)")
    open_ledger(url).close()


def test_several_processes_may_make_the_same_ledger_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        identities = list(pool.map(lambda _: open_and_close(url), range(4)))
    assert len(set(identities)) == 1


def open_and_close(url: str) -> str:
    with open_ledger(url) as ledger:
        return ledger.id


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    open_ledger(f"sqlite:///{tmp_path}/ledger.db").close()


def test_settings_on_which_safety_rests_are_in_force(sqlite_url: str) -> None:
    with open_ledger(sqlite_url) as ledger, ledger._database.write() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in (
                "foreign_keys",
                "synchronous",
                "secure_delete",
                "trusted_schema",
                "journal_mode",
                "busy_timeout",
            )
        }
    assert found == {
        "foreign_keys": 1,
        "synchronous": 2,
        "secure_delete": 1,
        "trusted_schema": 0,
        "journal_mode": "truncate",
        "busy_timeout": 30_000,
    }


def test_wal_that_somebody_chose_is_left(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE invoice (id INTEGER)")
    open_ledger(f"sqlite:///{tmp_path}/ledger.db").close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_synchronous_commit_is_switched_on_where_it_is_off(postgresql_url: str) -> None:
    url = make_url(postgresql_url)
    off = url.update_query_dict({"options": f"{url.query['options']} -csynchronous_commit=off"})
    with (
        open_ledger(off.render_as_string(hide_password=False)) as ledger,
        ledger._database.write() as connection,
    ):
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_nothing_there_and_nothing_to_be_made(url: str, tmp_path: Path, refused: None) -> None:
    with pytest.raises(LedgerError, match="there is no ledger"):
        open_ledger(url, create=False)


def test_an_empty_file_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    with pytest.raises(LedgerError, match="there is no ledger"):
        open_ledger(f"sqlite:///{path}", create=False)
    assert path.read_bytes() == b""


def test_a_ledger_of_a_newer_version_is_refused(url: str) -> None:
    open_ledger(url).close()
    execute(url, "UPDATE cf_alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerError, match=r"newer contraflow \(revision 9999\); .* up to 0003: upgrade contraflow"):
        open_ledger(url)


def test_tables_of_somebody_else_are_refused(url: str) -> None:
    execute(url, "CREATE TABLE cf_item_state (id INTEGER)", "INSERT INTO cf_item_state VALUES (1)")
    with pytest.raises(LedgerError, match=r"not contraflow's \(cf_item_state\)"):
        open_ledger(url)
    execute(url, "DELETE FROM cf_item_state", "DROP TABLE cf_item_state")


def test_a_ledger_without_version_or_identity_is_refused(url: str) -> None:
    open_ledger(url).close()
    execute(url, "DELETE FROM cf_ledger")
    with pytest.raises(LedgerError, match="lost its identity"):
        open_ledger(url)
    execute(url, "DELETE FROM cf_alembic_version")
    with pytest.raises(LedgerError, match="does not tell its version"):
        open_ledger(url)


def test_a_migration_that_fails_leaves_nothing(url: str, tmp_path: Path) -> None:
    """The clock is read after the tables were made, before the commit."""

    def broken() -> object:
        raise OSError("no time")

    with pytest.raises(OSError, match="no time"):
        open_ledger(url, clock=broken)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LedgerError, match="there is no ledger"):
        open_ledger(url, create=False)
    open_ledger(url).close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "short.db").write_text("x")
    (tmp_path / "long.db").write_bytes(b"PK\3\4" * 3000)
    (tmp_path / "damaged.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    request.getfixturevalue("refused")
    for name in ("short", "long", "damaged"):
        with pytest.raises(LedgerError, match=f"{name}.db is not an SQLite database"):
            open_ledger(f"sqlite:///{tmp_path}/{name}.db")


def test_a_damaged_ledger_is_refused_and_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(f"sqlite:///{path}").close()
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'cf_dead_letter'").fetchone()[0]
    overwritten = whole[: (root - 1) * 4096] + b"\xff" * 4096 + whole[root * 4096 :]
    for damaged in (overwritten, whole[:-4096]):
        path.write_bytes(damaged)
        with pytest.raises(LedgerError, match=r"ledger\.db is damaged; restore it from a backup \("):
            open_ledger(f"sqlite:///{path}")
        assert path.read_bytes() == damaged
    path.write_bytes(overwritten)
    monkeypatch.setattr(sqlite_module, "LARGEST_CHECKED", 4096)  # a large file is not read through
    open_ledger(f"sqlite:///{path}").close()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is not a file"):
        open_ledger(f"sqlite:///{tmp_path}")


def test_a_missing_directory_is_named(tmp_path: Path, refused: None) -> None:
    with pytest.raises(LedgerError, match=f"there is no directory {tmp_path}/nowhere"):
        open_ledger(f"sqlite:///{tmp_path}/nowhere/ledger.db")


def test_a_ledger_that_is_read_only_is_refused_though_it_is_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(f"sqlite:///{path}").close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="is not writable"):
        open_ledger(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert path.read_bytes() == before


@contextmanager
def as_nobody() -> Iterator[None]:
    """Permissions bind root too once it acts as another user."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("mode", "message"), [(0o444, "is not writable"), (0o000, "cannot be opened: Permission denied")]
)
def test_a_file_that_the_user_may_not_write_is_refused(mode: int, message: str) -> None:
    with TemporaryDirectory() as folder:  # not tmp_path, which nobody else may enter
        path = Path(folder, "ledger.db")
        open_ledger(f"sqlite:///{path}").close()
        path.chmod(mode)
        Path(folder).chmod(0o755)
        before = sorted(Path(folder).iterdir())
        with as_nobody(), pytest.raises(LedgerError, match=message):
            open_ledger(f"sqlite:///{path}")
        assert sorted(Path(folder).iterdir()) == before


def test_a_directory_that_the_user_may_not_write_is_refused() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with as_nobody(), pytest.raises(LedgerError, match="cannot be opened: Permission denied"):
            open_ledger(f"sqlite:///{folder}/ledger.db")
        assert list(Path(folder).iterdir()) == []


def test_a_server_that_only_reads_is_refused(postgresql_url: str) -> None:
    open_ledger(postgresql_url).close()
    url = make_url(postgresql_url)
    url = url.update_query_dict({"options": f"{url.query['options']} -cdefault_transaction_read_only=on"})
    with pytest.raises(LedgerError, match="is not writable"):
        open_ledger(url.render_as_string(hide_password=False))


def test_a_server_that_cannot_be_reached_is_named_without_the_password() -> None:
    with pytest.raises(LedgerError, match=r"postgresql://ana:\*\*\*@127.0.0.1:1/shop cannot be reached") as caught:
        open_ledger("postgresql://ana:s3cr3t@127.0.0.1:1/shop?application_name=s3cr3t")
    assert "s3cr3t" not in str(caught.value)


def test_a_database_that_does_not_exist_is_named(postgresql_engine: Engine) -> None:
    url = postgresql_engine.url.set(database="contraflow_nowhere").render_as_string(hide_password=False)
    with pytest.raises(LedgerError, match=r"contraflow_nowhere.* does not exist"):
        open_ledger(url)


def test_a_database_that_cannot_hold_all_text_is_refused(postgresql_engine: Engine) -> None:
    with postgresql_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = f"contraflow_{os.urandom(6).hex()}"
        connection.exec_driver_sql(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
        try:
            with pytest.raises(LedgerError, match="encoding UTF8; this one has LATIN1"):
                open_ledger(postgresql_engine.url.set(database=name).render_as_string(hide_password=False))
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://ana:s3cr3t@host/shop", "cannot be kept in 'mysql'; expected sqlite:///FILE or postgresql://"),
        ("postgres://ana:s3cr3t@host/shop", "did you mean 'postgresql'"),
        ("sqllite:///ledger.db", "did you mean 'sqlite'"),
        ("postgresql+psycopg2://ana:s3cr3t@host/shop", "does not use the driver 'psycopg2'; write postgresql://"),
        ("sqlite+aiosqlite:///ledger.db", "does not use the driver 'aiosqlite'"),
        ("ledger-s3cr3t.db", "cannot be understood; expected sqlite:///FILE"),
        ("postgresql://ana:s3cr3t@host:port/shop", "cannot be understood"),
        ("postgresql://ana:s3:cr3t@host:s3cr3t/x", "cannot be understood"),
        ("", "cannot be understood"),
        ("sqlite://", "in memory would forget everything"),
        ("sqlite:///:memory:", "in memory would forget everything"),
        ("sqlite:///file:x?mode=memory&uri=true", "in memory would forget everything"),
    ],
)
def test_urls_that_name_no_ledger(url: str, message: str) -> None:
    with pytest.raises(LedgerError) as caught:
        open_ledger(url)
    assert message in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_driver_that_is_missing_is_named() -> None:
    """In a process whose psycopg cannot be imported."""
    child = """
import sys
sys.modules["psycopg"] = None
from contraflow.errors import LedgerError
from contraflow.ledger import open_ledger
from contraflow.ledger import sqlite as sqlite_module
try:
    open_ledger("postgresql://ana:s3cr3t@127.0.0.1/shop")
except LedgerError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", child], check=True, capture_output=True, text=True, timeout=60)
    assert "pip install 'contraflow[postgresql]'" in ended.stdout
    assert "s3cr3t" not in ended.stdout + ended.stderr


def test_the_url_for_people_has_no_password_and_no_options(sqlite_url: str, postgresql_url: str) -> None:
    with open_ledger(sqlite_url) as ledger:
        assert ledger.display_url == sqlite_url
    url = make_url(postgresql_url)
    with open_ledger(url.set(password=url.password or "s3cr3t").render_as_string(hide_password=False)) as ledger:
        assert ledger.display_url.startswith("postgresql://")
        assert ":***@" in ledger.display_url
        assert "search_path" not in ledger.display_url
