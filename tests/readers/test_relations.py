"""Mapped classes: relations that are loaded with their entity, and those that are not."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import exc, orm

import contraflow.readers.all as read_all
from contraflow.errors import ConfigError, Location
from contraflow.readers import by_id
from contraflow.readers.loading import explain_lazy_load
from contraflow.source import EntitySpec

HERE = Location(file="jobs.yml", line=3)


def specs():
    return [
        EntitySpec(name=name.lower(), mapped=f"reader_test_shop:{name}")
        for name in ("Customer", "Order", "Line", "Animal", "Dog", "Cow")
    ]


def fill(database, shop, customers=30):
    shop.Base.metadata.create_all(database.engine)
    with orm.Session(database.engine) as session, session.begin():
        for number in range(customers):
            orders = [
                shop.Order(id=number * 10 + n, lines=[shop.Line(position=p, product=f"p{p}") for p in (0, 1)])
                for n in range(3)
            ]
            session.add(shop.Customer(number=number, name=f"customer {number}", biography="long", orders=orders))
    return database.source(*specs())


@pytest.mark.parametrize(
    "load", [["orders", "orders.lines"], ["orders.lines"], ["joined:orders", "joined:orders.lines"]]
)
@pytest.mark.parametrize("ids", [None, list(range(30))])
def test_loaded_relations_are_usable_at_a_constant_number_of_statements(database, shop, context, statements, load, ids):
    source = fill(database, shop)
    wanted = context(source, ids=ids, entity="customer", load=load, batch_size=10)
    with statements(source) as seen:
        for number, item in enumerate(by_id.read_items(wanted)):
            assert item.key == (number,) == (item.entity.number,)
            assert [order.id for order in item.entity.orders] == [number * 10, number * 10 + 1, number * 10 + 2]
            assert [[line.product for line in order.lines] for order in item.entity.orders] == [["p0", "p1"]] * 3
    assert len(seen) == (3 if "joined:orders" in load else 9)


def test_to_one_relations(sqlite, shop, context):
    source = fill(sqlite, shop, 3)
    items = list(read_all.read_items(context(source, entity="order", load="customer")))
    assert {item.entity.customer.name for item in items} == {"customer 0", "customer 1", "customer 2"}


def test_composite_keys_of_mapped_classes(database, shop, context):
    source = fill(database, shop, 2)
    wanted = source.key_shape({"entity": "line"}).parse(["order_id=11,position=1", {"position": 0, "order_id": 0}])
    items = list(by_id.read_items(context(source, ids=wanted, entity="line")))
    assert [(item.key, item.entity.product) for item in items] == [((11, 1), "p1"), ((0, 0), "p0")]
    everything = [item.key for item in read_all.read_items(context(source, entity="line", batch_size=5))]
    assert everything == [(customer * 10 + order, line) for customer in (0, 1) for order in range(3) for line in (0, 1)]
    assert read_all.count_items(context(source, entity="line")) == 12


def test_inheritance(database, shop, context, keys):
    shop.Base.metadata.create_all(database.engine)
    with orm.Session(database.engine) as session, session.begin():
        session.add_all([shop.Dog(id=3), shop.Cow(id=1, litres=9), shop.Animal(id=0), shop.Dog(id=2)])
    source = database.source(*specs())
    for entity, expected in (("animal", [0, 1, 2, 3]), ("dog", [2, 3]), ("cow", [1])):
        wanted = context(source, entity=entity, batch_size=1)
        assert keys(read_all.read_items(wanted)) == expected
        assert read_all.count_items(wanted) == len(expected)
    assert keys(by_id.read_items(context(source, ids=[1, 2], entity="dog"))) == [2]


@pytest.mark.parametrize(
    ("load", "access", "advice"),
    [
        ([], lambda customer: customer.orders, "relation 'orders' of Customer is not loaded: add `load: [orders]`"),
        (
            ["orders"],
            lambda c: c.orders[0].lines,
            "relation 'lines' of Order is not loaded: add `load: [orders.lines]`",
        ),
        ([], lambda customer: customer.biography, "column 'biography' of Customer is deferred"),
    ],
)
def test_a_relation_that_is_not_loaded_is_named_with_what_to_add(sqlite, shop, context, load, access, advice):
    source = fill(sqlite, shop, 1)
    [item] = read_all.read_items(context(source, entity="customer", load=load))
    with pytest.raises(orm.exc.DetachedInstanceError) as raised:
        access(item.entity)
    assert advice in explain_lazy_load(raised.value, item.entity)


def test_the_advice_helps(sqlite, shop, context):
    source = fill(sqlite, shop, 1)
    [item] = read_all.read_items(context(source, entity="customer", load=["biography", "orders.lines"]))
    assert item.entity.biography == "long"
    assert item.entity.orders[0].lines[0].product == "p0"


def test_other_errors_are_not_explained():
    assert explain_lazy_load(ValueError("is not bound to a Session; lazy load operation of attribute 'x'")) is None
    assert explain_lazy_load(exc.InvalidRequestError("something else")) is None


def test_raise_on_load_of_the_mapping_itself_is_explained():
    error = exc.InvalidRequestError("'Customer.orders' is not available due to lazy='raise'")
    assert explain_lazy_load(error) == (
        "relation 'orders' of Customer is not loaded: add `load: [orders]` to the step's parameters"
    )


def test_wrong_paths_are_found_by_the_check_all_at_once(sqlite, shop, context):
    source = fill(sqlite, shop, 0)
    load = ["order", "orders.line", "eager:orders", "history", "biography.x", "orders"]
    problems = by_id.check({"entity": "customer", "load": load}, source, HERE)
    assert [problem.hint for problem in problems[:2]] == ["did you mean 'orders'?", "did you mean 'lines'?"]
    assert "unknown way 'eager'" in problems[2].message
    assert "'history' of Customer cannot be loaded" in problems[3].message
    assert "goes on behind a column" in problems[4].message
    assert len(problems) == 5
    assert {problem.location for problem in problems} == {HERE}
    with pytest.raises(ConfigError, match="no relation 'order'"):
        by_id.read_items(context(source, entity="customer", load=load))


def test_tables_have_no_relations(sqlite):
    sqlite.create(sa.Table("thing", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True)))
    [problem] = read_all.check({"entity": "thing", "load": ["orders"]}, sqlite.table_source("thing"), HERE)
    assert problem.message == "entity 'thing' is a table and has no relations to load"
    [shape] = read_all.check({"entity": "thing", "load": {"a": 1}}, sqlite.table_source("thing"), HERE)
    assert shape.message == "`load` is no list of relations"
