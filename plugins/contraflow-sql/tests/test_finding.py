"""Rows that are there already are found by a natural key and keep their own; others are put away, or forgotten."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

import contraflow_sql
from contraflow_hookspecs import Action, Change, Gone, Operation, PermanentError, Rejected, SystemicError, Written

CONTACT = {"table": "contacts", "key": {"contact_no": 1}}
FINDING = {"customer": {**CONTACT, "find": ["email"]}}
AWAY = {"customer": {**CONTACT, "archive": {"active": False}, "forget": {"name": None, "email": None, "notes": "gone"}}}


def gone(*numbers):
    return [Change(key=(number,), operation=Operation.DELETE) for number in numbers]


def test_a_row_is_found_and_keeps_its_key(warehouse, contacts, upsert):
    warehouse.insert(contacts, {"contact_no": 90, "email": "ana@x", "name": "A."}, {"contact_no": 91, "email": "bo@x"})
    with warehouse.step(FINDING) as context:
        changes = [upsert(1, email="ana@x", name="Ana"), upsert(2, email="eve@x"), upsert(3, email=None)]
        (found,) = contraflow_sql.find_items(items=changes, context=context)
        assert (found.key, found.remote_id) == ((1,), "90")
        linked = Change(key=(1,), payload=changes[0].payload, remote_id=found.remote_id)
        (written,) = contraflow_sql.write_items(items=[linked], context=context)
        (fetched,) = contraflow_sql.fetch_items(items=[linked], context=context)
    assert written == Written(key=(1,), action=Action.UPDATED, remote_id="90")
    assert warehouse.rows(contacts, "contact_no", "name") == [(90, "Ana"), (91, None)]
    assert (fetched.remote_id, fetched.payload["name"]) == ("90", "Ana")
    assert "contact_no" not in fetched.payload


def test_a_linked_row_is_removed_by_its_own_key(warehouse, contacts):
    warehouse.insert(contacts, {"contact_no": 1, "email": "other@x"}, {"contact_no": 90, "email": "ana@x"})
    warehouse.write(FINDING, [Change(key=(1,), operation=Operation.DELETE, remote_id="90")])
    assert warehouse.rows(contacts, "contact_no") == [(1,)]


def test_all_that_match_are_told(warehouse, contacts, upsert):
    tables = {"customer": {**CONTACT, "find": ["name", "balance"]}}
    rows = [{"contact_no": number, "name": "Ana", "balance": 7 if number < 3 else 8} for number in (1, 2, 3)]
    warehouse.insert(contacts, *rows)
    with warehouse.step(tables) as context:
        changes = [upsert(9, name="Ana", balance=7), upsert(8, name="Ana"), upsert(7, name="Ana", balance="much")]
        found = contraflow_sql.find_items(items=changes, context=context)
    assert sorted((each.key, each.remote_id) for each in found) == [((9,), "1"), ((9,), "2")]


def test_rows_are_put_away(warehouse, contacts, upsert):
    warehouse.write({"customer": CONTACT}, [upsert(1, name="Ana", active=True), upsert(2, name="Bo", active=True)])
    with warehouse.step(AWAY) as context:
        for _ in range(2):
            results = contraflow_sql.archive_items(items=gone(1, 3), context=context)
            by_key = {each.key: each for each in results}
            assert isinstance(by_key[1,], Written)
            assert by_key[3,] == Gone(key=(3,))
    rows = warehouse.rows(contacts, "contact_no", "name", "active")
    assert [(no, name, bool(active)) for no, name, active in rows] == [(1, "Ana", False), (2, "Bo", True)]


def test_rows_are_made_anonymous(warehouse, contacts, upsert):
    warehouse.write({"customer": CONTACT}, [upsert(1, name="Ana", email="a@x"), upsert(2, name="Bo", email="b@x")])
    with warehouse.step(AWAY) as context:
        for _ in range(2):
            results = contraflow_sql.forget_items(items=gone(1, 3), context=context)
            assert [type(each) for each in results] == [Written, Written]
    rows = warehouse.rows(contacts, "contact_no", "name", "email", "notes")
    assert rows == [(1, None, None, "gone"), (2, "Bo", "b@x", None)]


def test_rows_are_deleted_where_nothing_else_is_said(warehouse, contacts, upsert):
    warehouse.write({"customer": CONTACT}, [upsert(1, name="Ana"), upsert(2, name="Bo")])
    with warehouse.step({"customer": CONTACT}) as context:
        results = contraflow_sql.forget_items(items=gone(1), context=context)
    assert [type(each) for each in results] == [Written]
    assert warehouse.rows(contacts, "contact_no") == [(2,)]


def test_a_row_that_cannot_be_told_is_rejected(warehouse, contacts):
    tables = {"customer": {**AWAY["customer"], "key": {"contact_no": "number"}}}
    with warehouse.step(tables) as context:
        for hook in (contraflow_sql.archive_items, contraflow_sql.forget_items):
            (result,) = hook(items=gone(1), context=context)
            assert isinstance(result, Rejected)
            assert result.code == "key"


def test_what_is_not_configured_is_refused(warehouse, contacts, upsert):
    for parameters, missing in (
        ({"adopt": True}, "find"),
        ({"relink": True}, "find"),
        ({"deletions": "archive"}, "archive"),
    ):
        with warehouse.step({"customer": CONTACT}, parameters=parameters) as context:
            (sentence,) = contraflow_sql.check_step(context=context)
        assert sentence.endswith(f"the table's settings have no '{missing}'")
    with warehouse.step({"customer": {**AWAY["customer"], "find": ["email"]}}, parameters=parameters) as context:
        assert contraflow_sql.check_step(context=context) == []
    with warehouse.step({"customer": CONTACT}) as context:
        for hook in (contraflow_sql.find_items, contraflow_sql.archive_items):
            with pytest.raises(PermanentError) as caught:
                hook(items=[upsert(1)], context=context)
            assert caught.value.code == "not_supported"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"find": ["emial"]}, "tables.customer.find: no column 'emial' in table 'contacts'; did you mean 'email'?"),
        ({"find": ["email"], "columns": {"name": "name"}}, "find: column 'email' is neither in key: nor in columns:"),
        ({"archive": {"contact_no": 1}}, "archive: column 'contact_no' of table 'contacts' is in the key"),
        ({"forget": {"born": "yesterday"}}, "tables.customer.forget.born: text where the column keeps a date"),
        ({"forget": {"tag": None}}, "forget: no column 'tag'"),
    ],
)
def test_settings_that_do_not_fit_the_table(warehouse, contacts, more, said):
    with pytest.raises(SystemicError) as caught, warehouse.step({"customer": {**CONTACT, **more}}):
        pass
    assert said in str(caught.value)


def test_null_needs_a_column_that_takes_it(warehouse):
    number = sa.Column("no", sa.Integer, primary_key=True, autoincrement=False)
    warehouse.create("people", number, sa.Column("name", sa.String(9), nullable=False))
    with pytest.raises(SystemicError, match="'name' of table 'people' must not be null"):
        warehouse.step({"person": {"table": "people", "forget": {"name": None}}}).__enter__()
