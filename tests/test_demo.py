"""The demo: its data, its remote, its comparison, and the whole of it as ``make demo`` runs it, with the real Kinto."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import exc, text

from contraflow.project import Project

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "music_shop"


@contextmanager
def modules_of(folder: Path) -> Iterator[None]:
    """Let the modules of a folder be imported, and leave no trace: other tests have a ``shop`` of their own."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
                del sys.modules[name]


with modules_of(EXAMPLE):
    import changes
    import kinto_records
    import kinto_server
    import story
    from comparison import EXPECTED, compare, expected_records
    from shop import connect, count_rows, create_shop

ROWS = {
    "album": 347,
    "artist": 275,
    "customer": 59,
    "employee": 8,
    "genre": 25,
    "invoice": 412,
    "invoice_line": 2240,
    "media_type": 5,
    "playlist": 18,
    "playlist_track": 8715,
    "track": 3503,
}

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("KINTO_", "SHOP_"))}


@pytest.fixture(scope="module")
def pristine_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    create_shop(path)
    return path


@pytest.fixture
def shop(pristine_shop: Path, tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    path.write_bytes(pristine_shop.read_bytes())
    return path


@pytest.fixture(scope="session")
def kinto_venv() -> Path:
    """Where ``make test`` and ``make demo`` install Kinto."""
    environment = ROOT / ".demo" / "kinto-venv"
    if not kinto_server.is_installed(environment):
        reason = f"Kinto is not installed in {environment}; `make test` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return environment


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def run_demo(folder: Path, environment: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLE / "demo.py", "--folder", folder, "--kinto-venv", environment, *options],
        env=ENVIRONMENT | variables,
        cwd=ROOT,
        text=True,
        encoding="utf-8",
        capture_output=True,
        timeout=300,
    )


# The data


def test_the_shop_holds_every_row_of_the_data_set(pristine_shop: Path) -> None:
    assert count_rows(pristine_shop) == ROWS


def test_no_row_of_the_shop_refers_to_a_row_that_is_not_there(pristine_shop: Path) -> None:
    with closing(sqlite3.connect(pristine_shop)) as connection:
        tables_with_parents = {
            table for table in ROWS if connection.execute(f"PRAGMA foreign_key_list({table})").fetchall()
        }
        assert tables_with_parents == {
            *("album", "customer", "employee", "invoice", "invoice_line", "playlist_track", "track")
        }
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_the_shop_refuses_a_row_without_its_parent(shop: Path) -> None:
    engine = connect(shop)
    try:
        with engine.begin() as connection, pytest.raises(exc.IntegrityError, match="FOREIGN KEY"):
            connection.execute(text("INSERT INTO playlist_track (playlist_id, track_id) VALUES (18, 999999)"))
    finally:
        engine.dispose()


def test_names_keep_their_accents(pristine_shop: Path) -> None:
    customers = expected_records(pristine_shop, "customers")
    names = {f"{record['first_name']} {record['last_name']}" for record in customers.values()}
    assert {
        "Luís Gonçalves",
        "František Wichterlová",
        "Bjørn Hansen",
        "Terhi Hämäläinen",
        "Ladislav Kovács",
        "Stanisław Wójcik",
        "Enrique Muñoz",
    } <= names


def test_money_and_dates_arrive_as_they_are_in_the_data_set(pristine_shop: Path) -> None:
    with closing(sqlite3.connect(pristine_shop)) as connection:
        first = connection.execute("SELECT invoice_date, total FROM invoice WHERE id = 1").fetchone()
        assert first == ("2007-01-01 00:00:00.000000", 1.98)


def test_every_table_is_either_exported_or_left_out_for_a_reason_that_holds(pristine_shop: Path) -> None:
    exported = set(story.COLLECTIONS.values())
    assert exported.isdisjoint(story.LEFT_OUT)
    assert exported | story.LEFT_OUT.keys() <= ROWS.keys()
    assert set(EXPECTED) == set(story.COLLECTIONS)


# The comparison


@pytest.mark.parametrize("collection", list(EXPECTED))
def test_records_as_the_database_has_them_compare_equal(pristine_shop: Path, collection: str) -> None:
    expected = expected_records(pristine_shop, collection)
    comparison = compare(collection, expected, dict(expected))
    assert comparison.equal
    assert comparison.explain() == []
    assert comparison.expected == comparison.found == ROWS[story.COLLECTIONS[collection]]


def test_a_planted_difference_is_found_and_named(pristine_shop: Path) -> None:
    expected = expected_records(pristine_shop, "customers")
    found = {record_id: dict(record) for record_id, record in expected.items()}
    found["49"]["last_name"] = "Wojcik"
    comparison = compare("customers", expected, found)
    assert not comparison.equal
    assert comparison.different == ("record 49, field last_name: expected 'Wójcik', found 'Wojcik'",)
    assert comparison.explain() == [f"customers: 1 different: {comparison.different[0]}"]


def test_a_number_sent_as_text_is_a_difference() -> None:
    comparison = compare("tracks", {"1": {"milliseconds": 1}}, {"1": {"milliseconds": "1"}})
    assert comparison.different == ("record 1, field milliseconds: expected 1, found '1'",)


def test_a_field_that_is_absent_is_not_one_that_is_null() -> None:
    comparison = compare("customers", {"1": {"fax": None}}, {"1": {}})
    assert comparison.different == ("record 1, field fax: expected None, found nothing",)


def test_a_field_that_only_the_remote_has_is_a_difference() -> None:
    assert not compare("customers", {"1": {}}, {"1": {"fax": None}}).equal


def test_missing_and_unexpected_records_are_told_apart() -> None:
    comparison = compare("tracks", {"1": {}, "2": {}}, {"2": {}, "3": {}})
    assert comparison.missing == ("1",)
    assert comparison.unexpected == ("3",)
    assert comparison.explain() == ["tracks: 1 missing: 1", "tracks: 1 not expected: 3"]


def test_only_a_few_of_many_differences_are_told() -> None:
    comparison = compare("tracks", {str(number): {} for number in range(100, 200)}, {})
    assert comparison.explain() == ["tracks: 100 missing: 100; 101; 102 ..."]


@pytest.mark.parametrize("change", changes.DAY, ids=lambda change: change.record_id)
def test_each_change_of_the_day_is_one_that_the_comparison_sees(shop: Path, change: changes.RowChange) -> None:
    before = expected_records(shop, change.step)
    changes.carry_out(shop, change)
    after = expected_records(shop, change.step)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed == {change.record_id}


# The remote


def test_kinto_gives_back_all_pages_of_a_collection(kinto_venv: Path, tmp_path: Path) -> None:
    """1,050 records are more than the page of 1,000 that Kinto is configured to send."""
    with kinto_server.running(kinto_venv, tmp_path) as kinto, kinto_records.KintoBucket(kinto, "b") as bucket:
        bucket.create(["things"])
        path = "/v1/buckets/b/collections/things/records"
        for start in range(0, 1050, 50):
            numbers = range(start, start + 50)
            requests = [{"method": "PUT", "path": f"{path}/{n}-x", "body": {"data": {"n": n}}} for n in numbers]
            answer = httpx.post(f"{kinto.url}/batch", json={"requests": requests}, auth=(kinto.user, kinto.password))
            assert {one["status"] for one in answer.json()["responses"]} == {201}
        assert bucket.records("things") == {f"{n}-x": {"n": n} for n in range(1050)}
        assert bucket.record("things", "7-x") == {"n": 7}
        assert bucket.record("things", "no-such") is None
        assert httpx.get(f"{kinto.url}/buckets/b").status_code == 401, "the bucket is open to everybody"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{kinto.url}/")


# By hand in the remote


def edit_by_hand(kinto: kinto_server.Kinto, number: int, **fields: object) -> None:
    """What somebody does in Kinto's own user interface."""
    path = f"{kinto.url}/buckets/{story.BUCKET}/collections/customers/records/{number}"
    httpx.patch(path, json={"data": fields}, auth=(kinto.user, kinto.password)).raise_for_status()


def test_a_hand_edit_is_found_by_drift_and_settled_as_the_policy_says(
    kinto_venv: Path, shop: Path, tmp_path: Path
) -> None:
    """Never overwritten unseen: the policy of the demo's job is merge, the telephone number's is remote."""
    folder = tmp_path / "project"
    shutil.copytree(EXAMPLE, folder)
    with (
        kinto_server.running(kinto_venv, tmp_path) as kinto,
        kinto_records.KintoBucket(kinto, story.BUCKET) as bucket,
        modules_of(folder),
    ):
        bucket.create(story.COLLECTIONS)
        stage = story.Stage(shop=shop, ledger=tmp_path / "ledger.db", kinto=kinto)
        with Project.load(folder, environ=stage.environment) as project:
            step = {"steps": ("customers",)}
            assert project.sync("kinto", everything=True, **step).counts["written"] == 59
            assert not project.drift("kinto", step="customers", sample=None).found

            edit_by_hand(kinto, 49, phone="999")
            edit_by_hand(kinto, 50, email="theirs@crm.example")
            edit_by_hand(kinto, 51, city="Uppsala")
            edit_by_hand(kinto, 52, email="also@crm.example")
            records = f"{kinto.url}/buckets/{story.BUCKET}/collections/customers/records"
            httpx.delete(f"{records}/53", auth=(kinto.user, kinto.password)).raise_for_status()
            httpx.put(f"{records}/stranger", json={"data": {}}, auth=(kinto.user, kinto.password)).raise_for_status()
            found = project.drift("kinto", step="customers", sample=None)
            assert [(each.kind, each.remote_id, [field.name for field in each.fields]) for each in found.items] == [
                ("edited", "49", ["phone"]),
                ("edited", "50", ["email"]),
                ("edited", "51", ["city"]),
                ("edited", "52", ["email"]),
                ("missing", "53", []),
                ("extra", "stranger", []),
            ]

            with closing(sqlite3.connect(shop)) as connection, connection:
                connection.execute("UPDATE customer SET phone = '111', first_name = 'Stan' WHERE id = 49")
                connection.execute("UPDATE customer SET email = 'ours@shop.example' WHERE id IN (50, 52)")
            run = project.sync("kinto", ids=[49, 50, 51, 52], **step)
            assert {name: number for name, number in run.counts.items() if number} == {
                "read": 4,
                "written": 1,
                "updated": 1,
                "unchanged": 1,
                "conflict": 2,
                "foreign": 3,
            }
            assert customer(bucket, 49, "first_name", "phone") == ["Stan", "999"]
            assert customer(bucket, 50, "email") == ["theirs@crm.example"]
            assert customer(bucket, 51, "city") == ["Uppsala"]

            theirs, ours = project.conflicts()
            assert (theirs.key, theirs.waiting, ours.key) == ((50,), ("email",), (52,))
            project.settle_conflict(theirs.id, {"": "remote"})
            project.settle_conflict(ours.id, {"email": "local"})
            assert customer(bucket, 50, "email") == ["theirs@crm.example"]
            assert customer(bucket, 52, "email") == ["ours@shop.example"]
            assert project.conflicts() == []

            project.drift("kinto", step="customers", sample=None, repair=True)
            assert customer(bucket, 51, "city") == ["Uppsala"]
            left = project.drift("kinto", step="customers", sample=None)
            assert [(each.kind, each.remote_id) for each in left.items] == [("extra", "stranger")]
            assert bucket.record("customers", "53") is None
            assert project.sync("kinto", ids=[49, 50, 51, 52], **step).counts["unchanged"] == 4


def customer(bucket: kinto_records.KintoBucket, number: int, *fields: str) -> list[object]:
    record = bucket.record("customers", str(number))
    assert record is not None
    return [record[field] for field in fields]


def test_the_password_of_kinto_is_shown_nowhere(kinto_venv: Path, tmp_path: Path) -> None:
    with kinto_server.running(kinto_venv, tmp_path) as kinto:
        assert kinto.password not in repr(kinto)
    for file in tmp_path.iterdir():
        assert kinto.password not in file.read_text(encoding="utf-8")


def test_kinto_that_cannot_start_shows_the_end_of_its_log(
    kinto_venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = kinto_server._INI.replace("kinto.core.storage.memory", "kinto.core.storage.papyrus")
    monkeypatch.setattr(kinto_server, "_INI", broken)
    with pytest.raises(kinto_server.KintoError) as caught, kinto_server.running(kinto_venv, tmp_path):
        pass
    lines = str(caught.value).splitlines()
    assert lines[0] == "Kinto ended at once, with exit code 1."
    assert lines[1] == f"The end of its log, {tmp_path / 'kinto.log'}:"
    assert "No module named 'kinto.core.storage.papyrus'" in lines[-1]


def test_settings_of_another_kinto_in_the_environment_do_not_reach_ours(
    kinto_venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINTO_STORAGE_BACKEND", "kinto.core.storage.papyrus")
    with kinto_server.running(kinto_venv, tmp_path) as kinto:
        assert kinto.url.startswith("http://127.0.0.1:")


# The whole


def test_the_demo_exports_reads_back_and_compares_equal(kinto_venv: Path, tmp_path: Path) -> None:
    """In the folder of a run that was ended half-way, whose ledger remembers customers that a new Kinto has never seen."""
    code, _ = interrupt_demo(tmp_path, kinto_venv, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    done = run_demo(tmp_path, kinto_venv)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_summary_accounts_for_everything(done.stdout)
    assert "would update customers/49: email\n" in done.stdout
    assert "1 written, 1 unchanged" in done.stdout
    assert "'stanisław.wójcik@wp.pl' → 'stanisław@wójcik.example'" in done.stdout
    assert "unit_price: '0.99' → '1.29'" in done.stdout
    assert "playlist_entries/18-2254: new: playlist_id 18, track_id 2254" in done.stdout
    assert_fits_a_screen_and_a_half(done)
    assert_kinto_is_gone(done.stdout)
    assert_password_is_kept(tmp_path / "run", done)


def test_a_plan_for_kinto_is_applied_as_it_was_seen_and_what_is_stale_is_left_out(
    kinto_venv: Path, shop: Path, tmp_path: Path
) -> None:
    """The shop goes on while somebody looks at the plan: what changes meanwhile is not what was approved of."""
    plan = tmp_path / "plan.json"
    with kinto_server.running(kinto_venv, tmp_path) as kinto, kinto_records.KintoBucket(kinto, "music_shop") as bucket:
        bucket.create(story.COLLECTIONS)
        stage = story.Stage(shop=shop, ledger=tmp_path / "ledger.db", kinto=kinto)
        type_in(stage, "sync", "kinto", "--all", "--step", "customers")
        first = bucket.records("customers")
        edit(shop, "UPDATE customer SET phone = '+1 555', company = NULL WHERE id IN (1, 5, 9)")
        edit(shop, "INSERT INTO customer (id, first_name, last_name, email) VALUES (60, 'Ada', 'L', 'a@l.example')")
        customers = ("kinto", "--all", "--step", "customers")
        seen = json.loads(type_in(stage, "plan", *customers, "--out", str(plan), "--json"))
        assert bucket.records("customers") == first, "a plan writes nothing"
        items = {item["key"][0]: (item["operation"], item["changed"]) for item in seen["steps"][0]["items"]}
        assert items == {
            1: ("update", ["company", "phone"]),
            5: ("update", ["company", "phone"]),
            9: ("update", ["phone"]),
            60: ("create", None),
        }
        approved = expected_records(shop, "customers")
        edit(shop, "UPDATE customer SET phone = '+1 666' WHERE id IN (5, 7)")
        edit(shop, "INSERT INTO customer (id, first_name, last_name, email) VALUES (61, 'Bob', 'M', 'b@m.example')")
        done = json.loads(type_in(stage, "apply", str(plan), "--json", code=11))
        assert done["counts"] == {"read": 4, "written": 3, "created": 1, "updated": 2, "stale": 1}
        assert done["steps"][0]["errors"] == ["5: stale: its content has changed since"]
        assert bucket.records("customers") == {**approved, "5": first["5"]}
        left = json.loads(type_in(stage, "plan", *customers, "--json"))
        assert [item["key"] for item in left["steps"][0]["items"]] == [[5], [61], [7]]
        refused = subprocess.run(**command(stage, "apply", str(plan)))
        assert (refused.returncode, "was applied before" in refused.stderr) == (2, True)
        assert kinto.password not in plan.read_text(encoding="utf-8")


def command(stage: story.Stage, *arguments: str) -> dict[str, Any]:
    return {
        "args": [sys.executable, "-m", "contraflow", *arguments],
        "cwd": EXAMPLE,
        "env": ENVIRONMENT | stage.environment,
        "capture_output": True,
        "encoding": "utf-8",
        "timeout": 120,
    }


def type_in(stage: story.Stage, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(**command(stage, *arguments))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def edit(shop: Path, statement: str) -> None:
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute(statement)


def test_ctrl_c_stops_kinto_as_well(kinto_venv: Path, tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background of a shell inherit "ignore"
    code, said = interrupt_demo(tmp_path, kinto_venv, signal.SIGINT)
    assert code == 130
    assert said.endswith("\nStopped, and Kinto with it.\n")


def interrupt_demo(folder: Path, environment: Path, number: signal.Signals) -> tuple[int, str]:
    """Send a signal while tracks are exported; the exit code, and what was said. Kinto must be gone."""
    command = [sys.executable, EXAMPLE / "demo.py", "--folder", folder, "--kinto-venv", environment]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    said = ""
    with subprocess.Popen(command, env=ENVIRONMENT, **pipes) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            said += line
            if line.startswith("tracks: started"):
                demo.send_signal(number)
    assert "tracks: COMPLETED" not in said
    assert_kinto_is_gone(said)
    return demo.returncode, said


def assert_fits_a_screen_and_a_half(done: subprocess.CompletedProcess[str]) -> None:
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    ours = [line for line in lines if "/" not in line]  # lines with paths are as long as the paths
    assert max(map(len, ours)) <= 100
    # A slow machine adds a line of progress every ten seconds.
    assert len([line for line in lines if not re.fullmatch(r"\w+: [\d,]+ read, .*", line)]) <= 70


def assert_password_is_kept(run: Path, done: subprocess.CompletedProcess[str]) -> None:
    """In one file, for its owner only, and nowhere else."""
    variables = run / "environment.sh"
    password = re.search(r"^export KINTO_PASSWORD=(\S{32})$", variables.read_text(encoding="utf-8"), re.MULTILINE)
    assert password is not None
    assert variables.stat().st_mode & 0o077 == 0
    assert password[1] not in done.stdout + done.stderr
    for file in run.iterdir():
        assert file == variables or password[1].encode() not in file.read_bytes(), f"the password is in {file}"


def assert_summary_accounts_for_everything(output: str) -> None:
    after = ROWS | {"playlist_track": 8716}
    exported = {table: collection for collection, table in story.COLLECTIONS.items()}
    summary = output[output.index("The whole of it") :]
    for table, count in after.items():
        fate = rf"{count:,} records in {exported[table]}: equal" if table in exported else "not part of this job"
        assert re.search(rf"^  {table} +{count:,}   {fate}", summary, re.MULTILINE), f"{table} is not accounted for"
    assert "15,608   12,278 in Kinto, 3,330 not part of this job" in summary
    assert "NOT EQUAL" not in output


def assert_kinto_is_gone(output: str) -> None:
    port = re.search(r"http://127\.0\.0\.1:(\d+)/v1", output)
    assert port is not None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port[1]))) != 0, "Kinto still listens"


def test_a_port_that_is_taken_is_one_line(kinto_venv: Path, tmp_path: Path, taken_port: int) -> None:
    done = run_demo(tmp_path, kinto_venv, "--port", str(taken_port))
    assert done.returncode == 2
    assert re.fullmatch(rf"make demo: port {taken_port} of 127\.0\.0\.1 cannot be used \(.*\); .*\n", done.stderr)


def test_a_pip_that_cannot_install_kinto_is_one_line(tmp_path: Path) -> None:
    done = run_demo(tmp_path, tmp_path / "kinto-venv", PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert done.returncode == 2
    assert re.fullmatch(r"make demo: pip cannot install kinto==26\.5\.0: ERROR: No matching .*\n", done.stderr)
    assert not kinto_server.is_installed(tmp_path / "kinto-venv")
