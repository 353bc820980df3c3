"""Bad rows, locks, lost connections, refusals: what each of them does to the chunk and says about it."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import traceback
import uuid
from decimal import Decimal

import attrs
import pytest
import sqlalchemy as sa

import contraflow_sql
from contraflow_hookspecs import (
    Action,
    Change,
    PermanentError,
    Rejected,
    SystemicError,
    TransientError,
    Unknown,
    Written,
)

CONTACTS = {"customer": {"table": "contacts", "key": {"contact_no": 1}}}
CREATED = Action.CREATED
MARKER = "s3cr3t-M4rker"


def test_bad_items_stand_alone_among_good_ones(warehouse, contacts, upsert):
    warehouse.insert(contacts, {"contact_no": 90, "email": "taken@x"})
    chunk = [
        upsert(1, name="first"),
        upsert(2, email="taken@x"),
        upsert(3, name="n" * 41),
        upsert(4, balance=Decimal("1.999")),
        upsert(5, born="yesterday"),
        upsert(6, nam="typo"),
        upsert(7, name="\ud800"),
        upsert(8, balance=Decimal("123456789012")),
        upsert(9, name="last"),
    ]
    results = warehouse.write(CONTACTS, chunk)
    assert [number for (number,) in warehouse.rows(contacts, "contact_no")] == [1, 9, 90]
    assert {key[0] for key, result in results.items() if isinstance(result, Written)} == {1, 9}
    refusals = {key[0]: (result.code, result.reason) for key, result in results.items() if isinstance(result, Rejected)}
    assert refusals.pop(2)[0] == "integrity"
    assert refusals == {
        3: ("data", "name: text of 41 characters; the column keeps 40"),
        4: ("data", "balance: a number with more than the 2 decimals that the column keeps"),
        5: ("data", "born: text where the column keeps a date"),
        6: ("data", "nam: no such column in table 'contacts'; did you mean 'name'?"),
        7: ("data", "name: text with half of a surrogate pair, which no encoding can keep"),
        8: ("data", "balance: a number too large for the column's 10 digits, 2 of them decimals"),
    }


def test_what_only_the_database_can_refuse(warehouse, upsert):
    """Foreign keys, checks and NOT NULL, each with the constraint's name and without the value."""
    warehouse.execute(
        "CREATE TABLE country (code CHAR(2) PRIMARY KEY)",
        "INSERT INTO country VALUES ('at')",
        "CREATE TABLE people (contact_no INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, country CHAR(2), age INTEGER, "
        "CONSTRAINT grown CHECK (age >= 18), FOREIGN KEY (country) REFERENCES country (code))",
    )
    chunk = [
        upsert(1, name="good", country="at", age=18),
        upsert(2, name="stray", country="zz", age=18),
        upsert(3, name="young", country="at", age=17),
        upsert(4, name=None, country="at", age=18),
        upsert(5, name="good too", country=None, age=None),
    ]
    results = warehouse.write({"customer": {"table": "people"}}, chunk)
    assert [type(results[change.key]) for change in chunk] == [Written, Rejected, Rejected, Rejected, Written]
    refusals = [results[(number,)] for number in (2, 3, 4)]
    assert {refusal.code for refusal in refusals} == {"integrity"}
    assert "grown" in refusals[1].reason
    assert "name" in refusals[2].reason
    assert not any("zz" in refusal.reason or "stray" in refusal.reason for refusal in refusals)


@pytest.mark.parametrize("warehouse", ["postgresql", "mysql"], indirect=True)
def test_the_value_is_not_in_the_reason(warehouse, upsert):
    """A unique column and a type that the connector does not know, so that the database judges the text."""
    kind = "inet" if warehouse.backend == "postgresql" else "geometry"
    warehouse.execute(
        "CREATE TABLE hosts (contact_no INTEGER PRIMARY KEY, tag VARCHAR(50) UNIQUE, "
        f"address {kind}, low SMALLINT, UNIQUE (tag, low))"
    )
    with contextlib.ExitStack() as stack:
        if warehouse.backend == "mysql":
            stack.enter_context(pytest.warns(sa.exc.SAWarning, match="Did not recognize"))
        chunk = [
            upsert(1, tag=MARKER),
            upsert(2, tag=MARKER),
            upsert(3, address=MARKER),
            upsert(4, tag=MARKER + "'; --" * 5, low=70_000),
        ]
        results = warehouse.write({"customer": {"table": "hosts"}}, chunk)
    assert [type(result) for result in results.values()] == [Written, Rejected, Rejected, Rejected]
    assert [results[(number,)].code for number in (2, 4)] == ["integrity", "data"]
    assert not any(MARKER in str(result) for result in results.values())


def test_a_held_lock_is_a_transient_error(warehouse, contacts, upsert):
    warehouse.insert(contacts, {"contact_no": 1, "name": "old"})
    with warehouse.step(CONTACTS) as context, warehouse.engine.connect() as other:
        other.execute(sa.update(contacts).values(name="other"))
        with pytest.raises(TransientError, match=r"(?i)\block"):
            contraflow_sql.write_items(items=[upsert(1, name="Ana"), upsert(2)], context=context)
        other.rollback()
        retried = contraflow_sql.write_items(items=[upsert(1, name="Ana"), upsert(2)], context=context)
    assert [type(result) for result in retried] == [Written, Written]
    assert warehouse.rows(contacts, "contact_no", "name") == [(1, "Ana"), (2, None)]


def terminate_on(postgresql, deferred: bool) -> None:
    """Let the server cut the connection that writes a contact named "cut": at once, or at its commit."""
    postgresql.execute(
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON contacts "
        f"{'DEFERRABLE INITIALLY DEFERRED' if deferred else ''} FOR EACH ROW "
        "WHEN (NEW.name = 'cut') EXECUTE FUNCTION cut()",
    )


def test_a_connection_cut_while_writing_leaves_nothing_written(postgresql, postgresql_contacts, upsert):
    terminate_on(postgresql, deferred=False)
    with postgresql.step(CONTACTS) as context:
        with pytest.raises(TransientError, match="terminating connection"):
            contraflow_sql.write_items(items=[upsert(1), upsert(2, name="cut"), upsert(3)], context=context)
        assert postgresql.rows(postgresql_contacts) == []
        results = contraflow_sql.write_items(items=[upsert(1), upsert(3)], context=context)
    assert [result.action for result in results] == [CREATED, CREATED]


def test_a_connection_cut_at_commit_leaves_all_in_doubt(postgresql, postgresql_contacts, upsert):
    terminate_on(postgresql, deferred=True)
    results = postgresql.write(CONTACTS, [upsert(1), upsert(2, name="cut")])
    assert [type(result) for result in results.values()] == [Unknown, Unknown]
    assert "commit" in results[(1,)].reason


def test_a_connection_cut_between_two_chunks_is_not_noticed(postgresql, postgresql_contacts, upsert):
    with postgresql.step(CONTACTS) as context:
        contraflow_sql.write_items(items=[upsert(1)], context=context)
        with context.resource.engine.connect() as pooled:
            number = pooled.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        postgresql.execute(f"SELECT pg_terminate_backend({number})")
        contraflow_sql.write_items(items=[upsert(2)], context=context)
    assert postgresql.rows(postgresql_contacts, "contact_no") == [(1,), (2,)]


def search_path(postgresql) -> str:
    return str(sa.make_url(postgresql.url).query["options"]).removeprefix("-csearch_path=")


@pytest.mark.parametrize("backend", ["postgresql", "sqlite"])
def test_a_deferred_constraint_refuses_the_chunk_whole_and_the_item_alone(backend, request, upsert):
    warehouse = request.getfixturevalue(backend)
    warehouse.execute(
        "CREATE TABLE country (code CHAR(2) PRIMARY KEY)",
        "CREATE TABLE people (contact_no INTEGER PRIMARY KEY, "
        "country CHAR(2) REFERENCES country (code) DEFERRABLE INITIALLY DEFERRED)",
    )
    people = {"customer": {"table": "people"}}
    with pytest.raises(PermanentError) as raised:
        warehouse.write(people, [upsert(1, country="zz"), upsert(2, country=None)])
    assert raised.value.code == "integrity"
    assert warehouse.write(people, [upsert(1, country="zz")])[(1,)].code == "integrity"
    assert isinstance(warehouse.write(people, [upsert(2, country=None)])[(2,)], Written)


def test_a_row_that_a_trigger_holds_back_is_not_reported_as_written(postgresql, postgresql_contacts, upsert):
    postgresql.execute(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER hold BEFORE INSERT ON contacts FOR EACH ROW WHEN (NEW.name = 'held') EXECUTE FUNCTION hold()",
    )
    results = postgresql.write(CONTACTS, [upsert(1), upsert(2, name="held"), upsert(3)])
    assert [type(results[(number,)]) for number in (1, 2, 3)] == [Written, Rejected, Written]
    assert "trigger" in results[(2,)].reason


def test_a_missing_privilege_and_a_dropped_table_are_systemic(postgresql, postgresql_contacts, upsert):
    role = f"contraflow_sql_{uuid.uuid4().hex[:12]}"
    schema = search_path(postgresql)
    postgresql.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD '{MARKER}'",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT ON contacts TO {role}",
    )
    try:
        url = sa.make_url(postgresql.url).set(username=role, password=MARKER)
        limited = attrs.evolve(postgresql, url=url.render_as_string(hide_password=False))
        with limited.step({"customer": {**CONTACTS["customer"], "mode": "create"}}) as context:
            with pytest.raises(SystemicError, match="permission denied") as raised:
                contraflow_sql.write_items(items=[upsert(1), upsert(2)], context=context)
            postgresql.execute("DROP TABLE contacts")
            with pytest.raises(SystemicError, match="does not exist"):
                contraflow_sql.write_items(items=[upsert(1), upsert(2)], context=context)
        assert MARKER not in shown(raised.value)
    finally:
        postgresql.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_mysql_statement_that_signals_refuses_its_row(mysql, upsert):
    mysql.execute(
        "CREATE TABLE people (contact_no INTEGER PRIMARY KEY, name VARCHAR(40))",
        "CREATE TRIGGER picky BEFORE INSERT ON people FOR EACH ROW "
        "IF NEW.name = 'bad' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF",
    )
    results = mysql.write({"customer": {"table": "people"}}, [upsert(1, name="bad"), upsert(2, name="good")])
    assert results[(1,)] == Rejected(key=(1,), code="refused", reason="not this one")
    assert isinstance(results[(2,)], Written)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_refused_connection_is_transient_and_silent_about_the_password(scheme, postgresql):
    """Nobody listens on the port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = f"{scheme}://ana:{MARKER}@127.0.0.1:{port}/crm?application_name={MARKER}"
        with (
            pytest.raises(TransientError, match=rf"cannot connect to {scheme}\S*://ana@127.0.0.1:{port}/crm") as raised,
            attrs.evolve(postgresql, url=url.split("?")[0]).step(CONTACTS),
        ):
            pass
    assert MARKER not in shown(raised.value)


@pytest.mark.parametrize("warehouse", ["postgresql", "mysql"], indirect=True)
@pytest.mark.parametrize("wrong", [{"username": "nobody_at_all"}, {"database": "no_such_database_at_all"}])
def test_a_refused_log_in_and_a_missing_database_are_systemic(warehouse, wrong):
    url = sa.make_url(warehouse.url).set(password=MARKER, **wrong)
    if "database" in wrong:
        url = url._replace(password=None)
    wrong_house = attrs.evolve(warehouse, url=url.render_as_string(hide_password=False))
    with pytest.raises(SystemicError, match="cannot connect to") as raised, wrong_house.step(CONTACTS):
        pass
    assert MARKER not in shown(raised.value)


def shown(error: BaseException) -> str:
    """All that a printed traceback would show."""
    return "".join(traceback.format_exception(error))


def test_values_that_only_the_driver_or_an_index_refuses(postgresql, upsert):
    postgresql.execute(
        "CREATE TABLE odd (contact_no INTEGER PRIMARY KEY, tags TEXT[], name TEXT)",
        "CREATE INDEX names ON odd (name)",
    )
    long = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(200))
    chunk = [
        upsert(1, tags=["a", "ü"]),
        upsert(2, tags=[{"a": 1}]),
        upsert(3, name="nul\0"),
        upsert(4, name=long),
        upsert(5, tags=[]),
    ]
    results = postgresql.write({"customer": {"table": "odd"}}, chunk)
    assert [getattr(results[change.key], "code", "written") for change in chunk] == [
        "written",
        "data",
        "data",
        "data",
        "written",
    ]


def test_reasons_are_short_and_on_one_line(postgresql, postgresql_contacts, upsert):
    postgresql.execute(
        "CREATE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION USING MESSAGE = E'long\\n' || repeat('x', 1000), DETAIL = NEW.notes; END $$",
        "CREATE TRIGGER talk BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION talk()",
    )
    (result,) = postgresql.write(CONTACTS, [upsert(1, notes=MARKER)]).values()
    assert result.code == "refused"
    assert re.fullmatch(r"long x{294}…", result.reason)


def test_changes_of_several_shapes_and_operations_in_one_chunk(warehouse, contacts, upsert, delete):
    warehouse.insert(contacts, *({"contact_no": number, "name": "old"} for number in (1, 2, 3)))
    chunk = [upsert(1, name="new"), delete(2), upsert(3, notes="n"), upsert(4, name="x" * 99), upsert(5)]
    results = warehouse.write(CONTACTS, chunk)
    actions = [getattr(results[change.key], "action", None) for change in chunk]
    assert actions == [Action.UPDATED, Action.DELETED, Action.UPDATED, None, CREATED]
    assert [type(results[change.key]) for change in chunk].count(Rejected) == 1
    assert warehouse.rows(contacts, "contact_no", "name") == [(1, "new"), (3, "old"), (5, None)]


def test_a_change_without_a_key_value_is_refused(warehouse, contacts):
    change = Change(key=(1,), payload={"contact_no": None})
    result = warehouse.write(CONTACTS, [change])[(1,)]
    assert result == Rejected(key=(1,), code="key", reason="contact_no: no value; a row is told by it")
