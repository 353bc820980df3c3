"""From entities of every shape to target columns, and from steps to tables."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import contraflow_sql
from contraflow_hookspecs import Item, StepContext, SystemicError

KEYED = {"table": "contacts", "key": {"contact_no": 1}}


class Base(orm.DeclarativeBase):
    pass


class Country(Base):
    __tablename__ = "country"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    label: orm.Mapped[str]


class Customer(Base):
    __tablename__ = "customer"
    contact_no: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    email: orm.Mapped[str | None]
    country_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("country.id"))
    country: orm.Mapped[Country | None] = orm.relationship()

    @property
    def shouted(self) -> str:
        return str(self.email).upper()


@pytest.fixture
def payload(sqlite):
    """Build the payload of an entity for a ``tables:`` entry."""
    sqlite.execute(
        "CREATE TABLE contacts (contact_no INTEGER PRIMARY KEY, email TEXT, name TEXT, metadata TEXT, "
        "length INTEGER GENERATED ALWAYS AS (1))"
    )

    def build(entity: Any, table: dict[str, Any], key: tuple[Any, ...] = (7,)) -> Any:
        with sqlite.step({"customer": table}) as context:
            return contraflow_sql.process_item(item=Item(key=key, entity=entity), context=context)

    return build


def row(**values: Any) -> Any:
    """A row as SQLAlchemy delivers it."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        found = connection.execute(sa.select(*(sa.literal(value).label(name) for name, value in values.items()))).one()
    engine.dispose()
    return found


@pytest.mark.parametrize("kind", ["mapping", "row", "instance"])
def test_by_default_all_columns_that_both_have(payload, kind):
    """Not the generated one, and nothing of the class that is no attribute of the entity (``metadata``)."""
    values = {"contact_no": 7, "email": "a@x"}
    entity = {
        "mapping": {**values, "length": 3, "other": 1},
        "row": row(**values, length=3, other=1),
        "instance": Customer(**values),
    }[kind]
    assert payload(entity, {"table": "contacts"}) == values


@pytest.mark.parametrize("kind", ["mapping", "instance"])
def test_dotted_attributes_pass_through_relations_and_none(payload, kind):
    table = {**KEYED, "columns": {"name": "country.label"}}
    country = {
        "mapping": {"country": {"label": "Österreich"}},
        "instance": Customer(country=Country(label="Österreich")),
    }
    nowhere = {"mapping": {"country": None}, "instance": Customer()}
    assert payload(country[kind], table) == {"contact_no": 7, "name": "Österreich"}
    assert payload(nowhere[kind], table) == {"contact_no": 7, "name": None}


def test_properties_are_attributes_and_names_may_contain_dots(payload):
    assert payload(Customer(email="a@x"), {**KEYED, "columns": {"name": "shouted"}})["name"] == "A@X"
    assert payload({"a.b": "1"}, {**KEYED, "columns": {"name": "a.b"}})["name"] == "1"


def test_key_by_position_and_by_attribute(payload):
    assert payload({"No": 3}, {"table": "contacts", "key": {"contact_no": 2}}, key=(1, 2)) == {"contact_no": 2}
    assert payload({"No": 3}, {"table": "contacts", "key": {"contact_no": "No"}}, key=(1, 2)) == {"contact_no": 3}


@pytest.mark.parametrize("entity", [{"Email": 1}, row(Email=1), Customer()])
@pytest.mark.parametrize("path", ["emial", "__class__", "_sa_instance_state"])
def test_an_unknown_attribute_stops_the_step(payload, entity, path):
    with pytest.raises(SystemicError, match=f"tables.customer: the entity has no attribute '{path}'") as raised:
        payload(entity, {**KEYED, "columns": {"name": path}})
    if path == "emial":
        assert "did you mean 'mail'?" in str(raised.value).replace("email", "mail").replace("Email", "mail")


def test_a_position_behind_the_key_stops_the_step(payload):
    with pytest.raises(SystemicError, match=r"key.contact_no: position 2, but the item's key has 1 columns"):
        payload({}, {"table": "contacts", "key": {"contact_no": 2}})


@pytest.fixture
def context(sqlite):
    """A context of a step over the tables ``customer`` and ``order``."""
    sqlite.execute("CREATE TABLE contacts (id INTEGER PRIMARY KEY)", "CREATE TABLE deals (id INTEGER PRIMARY KEY)")

    def make(step: str, **parameters: Any) -> StepContext:
        with sqlite.step({"customer": {"table": "contacts"}, "order": {"table": "deals"}}) as opened:
            return StepContext(
                integration="crm",
                job="sql",
                step=step,
                execution_id=1,
                parameters=parameters,
                settings=opened.settings,
                resource=opened.resource,
            )

    return make


@pytest.mark.parametrize(
    ("step", "parameters", "table"),
    [
        ("load", {"target": "order", "entity": "customer"}, "deals"),
        ("order", {"entity": "customer"}, "contacts"),
        ("order", {"entity": "invoice"}, "deals"),
        ("order", {}, "deals"),
    ],
)
def test_which_table(context, step, parameters, table):
    chosen = context(step, **parameters)
    assert chosen.resource.target(chosen).table.name == table
    assert contraflow_sql.check_step(context=chosen) == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": "custmer"}, "parameter target: no 'custmer' under tables:; did you mean 'customer'?"),
        (
            {"entity": "invoice"},
            "step 'load': which table? Neither its entity nor its name is under tables:; "
            "give the parameter target, one of customer, order",
        ),
    ],
)
def test_no_table(context, parameters, message):
    lost = context("load", **parameters)
    assert contraflow_sql.check_step(context=lost) == [message]
    with pytest.raises(SystemicError) as raised:
        contraflow_sql.process_item(item=Item(key=(1,), entity={}), context=lost)
    assert str(raised.value) == message


def test_an_integration_of_another_connector():
    foreign = StepContext(integration="acme", job="j", step="s", execution_id=1)
    message = "step 's': the sql connector serves integrations whose own connector is sql; 'acme' has another"
    assert contraflow_sql.check_step(context=foreign) == [message]
    with pytest.raises(SystemicError, match="'acme' has another"):
        contraflow_sql.process_item(item=Item(key=(1,), entity={}), context=foreign)
