"""Parents first: a child is sent with its parent's remote id, whatever the order in which things are declared or read."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from contraflow.check import check
from contraflow.errors import ConfigError
from contraflow_hookspecs import BatchStatus, Deferred, Operation, Rejected, Written

OUTCOMES = ("written", "unchanged", "filtered", "coalesced", "rejected", "deferred", "in_doubt", "gone")


def counts(execution: Any) -> dict[str, int]:
    return {name: number for name, number in execution.counts.items() if number and name not in ("created", "updated")}


def item_step(entity: str, reader: str = "entity.all", **parameters: Any) -> dict[str, Any]:
    return {
        "services": {"reader": reader, "processor": "remote", "writer": "remote"},
        "parameters": {"entity": entity, "retry_wait": 0.001, "attempts": 1, **parameters},
    }


LINE = {"order": {"step": "orders", "key": ["order_region", "order_no"]}}
ORDER = {"customer": {"step": "customers", "key": ["customer_id"]}}


@pytest.fixture
def trade(shop):
    """Customers, their orders, and the lines of these, of which the keys are composite; declared children first."""
    shop.sql(
        """
        DROP TABLE customer; DROP TABLE line;
        CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE orders (region TEXT, no INTEGER, customer_id NUMERIC, PRIMARY KEY (region, no));
        CREATE TABLE line (order_region TEXT, order_no INTEGER, line INTEGER, PRIMARY KEY (order_region, order_no, line));
        INSERT INTO customer VALUES (1, 'Ana'), (2, 'Bo');
        INSERT INTO orders VALUES ('eu', 1, 1), ('eu', 2, 2), ('us', 1, 2);
        INSERT INTO line VALUES ('eu', 1, 1), ('eu', 1, 2), ('us', 1, 1);
        """
    )
    shop.config["entities"] = {name: {"table": name} for name in ("customer", "orders", "line")}
    shop.steps = {
        "lines": item_step("line", references=LINE),
        "orders": item_step("orders", references=ORDER),
        "customers": item_step("customer"),
    }
    shop.remote.process = lambda item, context: {**item.data, **item.parents}
    shop.remote.answer = lambda changes, context: answered(shop, changes, context.step)
    return shop


def answered(shop: Any, changes: Any, step: str) -> list[Any]:
    written = []
    for change in changes:
        remote_id = f"{step}-{'-'.join(map(str, change.key))}"
        if change.operation is Operation.DELETE:
            shop.remote.records.pop(remote_id, None)
        else:
            shop.remote.records[remote_id] = dict(change.payload)
        written.append(Written(key=change.key, remote_id=remote_id))
    return written


def test_steps_run_parents_first_and_every_child_arrives_with_its_parents_remote_id(trade) -> None:
    execution = trade.sync()
    assert [step.step for step in execution.steps] == ["customers", "orders", "lines"]
    assert counts(execution) == {"read": 8, "written": 8}
    assert trade.remote.records == {
        "customers-1": {"id": 1, "name": "Ana"},
        "customers-2": {"id": 2, "name": "Bo"},
        "orders-eu-1": {"region": "eu", "no": 1, "customer_id": 1, "customer": "customers-1"},
        "orders-eu-2": {"region": "eu", "no": 2, "customer_id": 2, "customer": "customers-2"},
        "orders-us-1": {"region": "us", "no": 1, "customer_id": 2, "customer": "customers-2"},
        "lines-eu-1-1": {"order_region": "eu", "order_no": 1, "line": 1, "order": "orders-eu-1"},
        "lines-eu-1-2": {"order_region": "eu", "order_no": 1, "line": 2, "order": "orders-eu-1"},
        "lines-us-1-1": {"order_region": "us", "order_no": 1, "line": 1, "order": "orders-us-1"},
    }
    assert counts(trade.sync()) == {"read": 8, "unchanged": 8}


def test_a_child_waits_for_a_parent_that_is_refused_and_says_for_which(trade) -> None:
    def moody(changes, context):
        if context.step != "orders":
            return answered(trade, changes, context.step)
        refused = {("us", 1): Rejected(key=("us", 1), code="bad", reason="no")}
        return [refused.get(change.key) or answered(trade, [change], "orders")[0] for change in changes]

    plain, trade.remote.answer = trade.remote.answer, moody
    execution = trade.sync()
    assert execution.status is BatchStatus.COMPLETED
    assert counts(execution) == {"read": 8, "written": 6, "rejected": 1, "deferred": 1}
    (told,) = (error for error in execution.errors if "deferred" in error)
    assert told == "us/1/1: deferred: its parent order, us/1 of step 'orders', is not at the remote: rejected"
    assert counts(trade.sync(steps=["lines"])) == {"read": 3, "unchanged": 2, "deferred": 1}
    assert [change.attempt for change in trade.remote.sent if change.key == ("us", 1, 1)] == []
    trade.remote.answer = plain
    with trade.project() as project:
        list(project.retry_dead_letters(project.dead_letters()))
    assert counts(trade.sync()) == {"read": 8, "written": 1, "unchanged": 7}
    assert trade.remote.records["lines-us-1-1"]["order"] == "orders-us-1"
    assert "changed" not in str(trade.sync().errors)


def test_a_run_of_the_child_alone_waits_for_what_was_never_sent(trade) -> None:
    execution = trade.sync(steps=["lines"])
    assert counts(execution) == {"read": 3, "deferred": 3}
    assert "eu/1/1: deferred: its parent order, eu/1 of step 'orders', was not sent yet" in execution.errors
    assert trade.remote.calls == []
    assert counts(trade.sync(steps=["lines"], ids=[["eu", 1, 1]])) == {"read": 1, "deferred": 1}
    assert counts(trade.sync()) == {"read": 8, "written": 8}


def test_a_parent_whose_writer_tells_no_id_is_named(trade) -> None:
    trade.remote.answer = lambda changes, _: [Written(key=change.key) for change in changes]
    execution = trade.sync()
    assert counts(execution) == {"read": 8, "written": 2, "deferred": 6}
    assert any(
        "its parent customer, 1 of step 'customers', has no remote id: its writer tells none" in error
        for error in execution.errors
    )


def test_a_null_has_no_parent_and_an_optional_one_is_not_waited_for(trade) -> None:
    trade.sql(
        "UPDATE orders SET customer_id = NULL WHERE region = 'us'; UPDATE orders SET customer_id = 9 WHERE no = 2"
    )
    trade.steps["orders"]["parameters"]["references"] = {"customer": {**ORDER["customer"], "required": False}}
    assert counts(trade.sync()) == {"read": 8, "written": 8}
    assert "customer" not in trade.remote.records["orders-us-1"]
    assert "customer" not in trade.remote.records["orders-eu-2"]
    trade.sql("INSERT INTO customer VALUES (9, 'Late')")
    assert counts(trade.sync()) == {"read": 9, "written": 2, "unchanged": 7}
    assert trade.remote.records["orders-eu-2"]["customer"] == "customers-9"


def test_a_parent_that_is_made_anew_makes_its_children_due(trade) -> None:
    trade.sync()
    plain = trade.remote.answer
    trade.remote.answer = lambda changes, context: [
        Written(key=each.key, remote_id=f"new-{each.remote_id}") for each in plain(changes, context)
    ]
    trade.sql("UPDATE orders SET customer_id = 1 WHERE region = 'us'")
    assert counts(trade.sync(steps=["orders"])) == {"read": 3, "written": 1, "unchanged": 2}
    trade.remote.answer = plain
    assert counts(trade.sync()) == {"read": 8, "written": 1, "unchanged": 7}
    assert trade.remote.records["lines-us-1-1"]["order"] == "new-orders-us-1"


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_tree_in_one_table_goes_out_from_its_roots(trade, concurrency: int) -> None:
    trade.sql(
        """
        CREATE TABLE node (id INTEGER PRIMARY KEY, parent INTEGER);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
        INSERT INTO node SELECT i, CASE WHEN i = 40 THEN NULL WHEN i = 39 THEN 39 ELSE i + 1 + i % 2 END FROM n;
        INSERT INTO node VALUES (50, 51), (51, 50), (52, 99), (53, 52);
        """
    )
    trade.config["entities"]["node"] = {"table": "node"}
    references = {"up": {"key": ["parent"]}}
    trade.steps = {"nodes": item_step("node", references=references, batch_size=7, concurrency=concurrency)}
    execution = trade.sync()
    assert counts(execution) == {"read": 44, "written": 40, "deferred": 4}
    assert len(trade.remote.sent) == 40
    for change in trade.remote.sent:
        up = change.payload["parent"]
        assert change.payload.get("up") == (None if up in (None, change.key[0]) else f"nodes-{up}")
    assert len([error for error in execution.errors if "deferred: its parent up" in error]) == 4
    trade.sql("UPDATE node SET parent = NULL WHERE id = 51; UPDATE node SET parent = 40 WHERE id = 52")
    assert counts(trade.sync()) == {"read": 44, "written": 4, "unchanged": 40}


def test_a_tree_in_a_postgresql_table_with_uuid_keys(trade, postgresql) -> None:
    engine = sa.create_engine(postgresql)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE node (id uuid PRIMARY KEY, parent text, depth integer)")
        connection.exec_driver_sql(
            "WITH RECURSIVE n AS (SELECT gen_random_uuid() AS id, NULL::text AS parent, 0 AS depth "
            "UNION ALL SELECT gen_random_uuid(), n.id::text, depth + 1 FROM n, generate_series(1, 2) WHERE depth < 4) "
            "INSERT INTO node SELECT * FROM n"
        )
    engine.dispose()
    trade.config |= {"source": (url := postgresql.render_as_string(hide_password=False)), "ledger": url}
    trade.config["entities"] = {"node": {"table": "node"}}
    trade.steps = {"nodes": item_step("node", references={"up": {"key": "parent"}}, batch_size=4)}
    assert counts(trade.sync()) == {"read": 31, "written": 31}
    depths = [change.payload["depth"] for change in trade.remote.sent]
    assert sorted(depths) == sorted([0, *[1] * 2, *[2] * 4, *[3] * 8, *[4] * 16])
    assert all(("up" in change.payload) is (change.payload["depth"] > 0) for change in trade.remote.sent)
    assert counts(trade.sync()) == {"read": 31, "unchanged": 31}


def test_what_waits_at_the_end_of_a_step_is_tried_once_more_at_the_end_of_the_run(trade) -> None:
    """Another process sends the parents meanwhile."""
    several_jobs(trade)
    trade.jobs["line_export"]["steps"]["customers_again"] = item_step("customer")
    plain = trade.remote.answer
    told = []

    def busy(changes, context):
        if context.step == "customers_again" and not told:
            told.append(context.step)
            with trade.project() as project:
                project.sync("acme", job="customer_export")
                project.sync("acme", job="order_export")
        return plain(changes, context)

    trade.remote.answer = busy
    execution = trade.sync(job="line_export")
    assert [(step.step, counts(step)) for step in execution.steps] == [
        ("lines", {"read": 3, "written": 3}),
        ("customers_again", {"read": 2, "written": 2}),
    ]
    assert execution.errors == ()
    with trade.project() as project:
        recorded = next(each for each in project.ledger().executions() if each.job == "line_export")
    assert counts(recorded.steps[0]) == {"read": 3, "written": 3}
    assert trade.remote.records["lines-us-1-1"]["order"] == "orders-us-1"


def test_a_filtered_child_of_a_tree_comes_to_an_end(trade) -> None:
    from contraflow_hookspecs import Skip

    trade.sql(
        "CREATE TABLE node (id INTEGER PRIMARY KEY, parent INTEGER); INSERT INTO node VALUES (1, 2), (2, 3), (3, NULL)"
    )
    trade.config["entities"]["node"] = {"table": "node"}
    trade.steps = {"nodes": item_step("node", references={"up": {"key": ["parent"]}})}
    trade.remote.process = lambda item, _: Skip(reason="no") if item.key == (2,) else {**item.data, **item.parents}
    execution = trade.sync()
    assert counts(execution) == {"read": 3, "written": 1, "filtered": 1, "deferred": 1}


def test_mapped_classes_and_queries_have_parents_too(trade) -> None:
    trade.directory.joinpath("trade_models.py").write_text(
        "from sqlalchemy import Integer, Text\n"
        "from sqlalchemy.orm import DeclarativeBase, mapped_column\n"
        "class Base(DeclarativeBase): pass\n"
        "class Order(Base):\n"
        "    __tablename__ = 'orders'\n"
        "    area = mapped_column('region', Text, primary_key=True)\n"
        "    no = mapped_column(Integer, primary_key=True)\n"
        "    buyer = mapped_column('customer_id', Integer)\n"
    )
    trade.config["entities"]["orders"] = "trade_models:Order"
    trade.steps["lines"] = item_step(
        "line", "query", sql="SELECT * FROM line", key=["order_region", "order_no", "line"], references=LINE
    )
    assert counts(trade.sync()) == {"read": 8, "written": 8}
    assert trade.remote.records["orders-us-1"]["customer"] == "customers-2"
    assert trade.remote.records["lines-us-1-1"]["order"] == "orders-us-1"


def test_a_query_without_the_column_is_told_so(trade) -> None:
    trade.steps["lines"] = item_step("line", "query", sql="SELECT rowid FROM line", key=["rowid"], references=LINE)
    execution = trade.sync()
    assert execution.status is BatchStatus.FAILED
    assert "reference 'order': the items have no column 'order_region'" in execution.errors


def test_children_that_are_read_by_their_changes_follow_a_parent_that_was_put_off(trade) -> None:
    trade.sql("ALTER TABLE orders ADD COLUMN version INTEGER; UPDATE orders SET version = no")
    trade.steps["orders"] = item_step("orders", "entity.changed", cursor="version", overlap=0, references=ORDER)
    del trade.steps["lines"]
    plain = trade.remote.answer

    def moody(changes, context):
        if context.step == "customers":
            return [Deferred(key=each.key, reason="locked") for each in changes]
        return plain(changes, context)

    trade.remote.answer = moody
    assert counts(trade.sync()) == {"read": 5, "deferred": 5}
    trade.sql("INSERT INTO customer VALUES (3, 'Cy'); INSERT INTO orders VALUES ('eu', 10000, 3, 10000)")
    trade.remote.answer = plain
    assert counts(trade.sync()) == {"read": 7, "written": 7}


@pytest.mark.parametrize(("uses_parent", "backend"), [(True, "sqlite"), (True, "postgresql"), (False, "sqlite")])
def test_children_that_are_read_by_their_changes_follow_an_optional_parent_that_came_late(
    trade, uses_parent: bool, backend: str, request: pytest.FixtureRequest
) -> None:
    if backend == "postgresql":
        trade.config["ledger"] = request.getfixturevalue("postgresql_url")
    trade.sql(
        "ALTER TABLE orders ADD COLUMN version INTEGER; UPDATE orders SET version = 1, customer_id = 9 WHERE no = 2"
    )
    references = {"customer": {**ORDER["customer"], "required": False}}
    trade.steps["orders"] = item_step("orders", "entity.changed", cursor="version", overlap=0, references=references)
    del trade.steps["lines"]
    if not uses_parent:
        trade.remote.process = lambda item, context: item.data
    assert counts(trade.sync()) == {"read": 5, "written": 5}
    trade.sql("UPDATE orders SET version = 2 WHERE no = 1")
    assert counts(trade.sync()) == {"read": 5, "written": 2, "unchanged": 3}
    trade.sql("INSERT INTO customer VALUES (9, 'Late')")
    execution = trade.sync()
    late = {"written": 2, "unchanged": 4} if uses_parent else {"written": 1, "unchanged": 5}
    assert counts(execution) == {"read": 6, **late}
    assert execution.steps[1].notes == ()
    assert ("customer" in trade.remote.records["orders-eu-2"]) is uses_parent
    assert counts(trade.sync()) == {"read": 5, "unchanged": 5}


def test_children_that_are_read_by_their_changes_follow_a_parent_that_got_another_id(trade) -> None:
    trade.sql("ALTER TABLE orders ADD COLUMN version INTEGER; UPDATE orders SET version = 1")
    trade.steps["orders"] = item_step("orders", "entity.changed", cursor="version", overlap=0, references=ORDER)
    del trade.steps["lines"]
    trade.sync()
    trade.sql("UPDATE orders SET version = 2 WHERE region = 'us'")
    assert counts(trade.sync())["read"] == 5
    plain = trade.remote.answer
    trade.remote.answer = lambda changes, context: [
        Written(key=each.key, remote_id=f"new-{each.remote_id}") for each in plain(changes, context)
    ]
    trade.sql("UPDATE customer SET name = 'Anna' WHERE id = 1")
    execution = trade.sync()
    assert counts(execution) == {"read": 5, "written": 2, "unchanged": 3}
    assert "everything was read: records of step 'customers' have got other remote ids" in execution.notes
    assert trade.remote.records["orders-eu-1"]["customer"] == "new-customers-1"
    trade.remote.answer = plain
    assert counts(trade.sync()) == {"read": 3, "unchanged": 3}


def test_a_plan_knows_parents_and_says_what_would_wait(trade) -> None:
    with trade.project() as project, project.plan("acme") as plan:
        assert [(step.step, step.counts["create"], step.counts.get("deferred", 0)) for step in plan.steps] == [
            ("customers", 2, 0),
            ("orders", 0, 3),
            ("lines", 0, 3),
        ]
    trade.sync()
    trade.sql(
        "UPDATE orders SET customer_id = 1 WHERE region = 'us'; INSERT INTO line VALUES ('us', 1, 9), ('us', 8, 1)"
    )
    with trade.project() as project, project.plan("acme") as plan:
        orders, lines = plan.steps[1:]
        assert (orders.counts["update"], lines.counts["create"], lines.counts["deferred"]) == (1, 1, 1)
    assert counts(trade.sync())["written"] == 2


def several_jobs(trade) -> None:
    from contraflow_hookspecs import ExportJob, hookimpl

    class Several(type(trade.remote)):
        @hookimpl
        def provide_export_job(self):
            names = ("line_export", "order_export", "customer_export")
            return tuple(ExportJob(name=name, capabilities=self.capabilities) for name in names)

    remote = Several()
    remote.process, trade.remote = trade.remote.process, remote
    remote.answer = lambda changes, context: answered(trade, changes, context.step)
    steps = {"line_export": "lines", "order_export": "orders", "customer_export": "customers"}
    trade.jobs = {job: {"steps": {step: trade.steps[step]}} for job, step in steps.items()}
    trade.steps["lines"]["parameters"]["references"] = {
        "order": {"job": "order_export", "key": ["order_region", "order_no"]}
    }
    trade.steps["orders"]["parameters"]["references"] = {
        "customer": {"job": "customer_export", "step": "customers", "key": "customer_id"}
    }


def test_three_jobs_run_in_the_wrong_order_end_in_the_right_one(trade) -> None:
    several_jobs(trade)
    assert counts(trade.sync(job="line_export")) == {"read": 3, "deferred": 3}
    assert counts(trade.sync(job="order_export")) == {"read": 3, "deferred": 3}
    with trade.project() as project:
        executions = project.sync_all("acme")
    assert [each.job for each in executions] == ["customer_export", "order_export", "line_export"]
    assert [counts(each) for each in executions] == [{"read": 2, "written": 2}, *[{"read": 3, "written": 3}] * 2]
    assert {name: record["order"] for name, record in trade.remote.records.items() if "lines" in name} == {
        "lines-eu-1-1": "orders-eu-1",
        "lines-eu-1-2": "orders-eu-1",
        "lines-us-1-1": "orders-us-1",
    }


def test_all_jobs_end_with_the_first_that_does_not_complete(trade) -> None:
    several_jobs(trade)

    def broken(changes, context):
        raise ConnectionError("gone")

    trade.remote.answer = broken
    with trade.project() as project:
        executions = project.sync_all("acme")
    assert [(each.job, each.status) for each in executions] == [("customer_export", BatchStatus.FAILED)]


@pytest.mark.parametrize(
    ("references", "sentences"),
    [
        ("customers", ["`references` is no mapping of names to parents"]),
        ({"customer": "customers"}, ["reference 'customer' names no parent"]),
        (
            {"customer": {"step": "customer", "key": ["customer_id"]}},
            ["names a step that is not there", "'customers'?"],
        ),
        ({"customer": {"key": ["customer_id"]}}, ["names no step", "one of lines, orders, customers"]),
        (
            {"customer": {"job": "shop_exprt", "key": ["x"]}},
            ["names a job that the integration does not", "'shop_export'?"],
        ),
        ({"customer": {"step": "customers"}}, ["reference 'customer' needs a `key`"]),
        ({"customer": {"step": "customers", "key": []}}, ["reference 'customer' needs a `key`"]),
        ({"customer": {"step": "customers", "keys": ["customer_id"]}}, ["has an unknown key 'keys'", "'key'?"]),
        (
            {"customer": {"step": "customers", "key": ["customer_id"], "required": "perhaps"}},
            ["`required`", "true or false"],
        ),
        (
            {"customer": {"step": "customers", "key": ["custmer_id"]}},
            ["'orders' has no column 'custmer_id'", "'customer_id'?"],
        ),
        (
            {"customer": {"step": "customers", "key": ["no", "region"]}},
            ["does not make the key of its parent", "each of id"],
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_anything_runs(trade, references: Any, sentences: list[str]) -> None:
    trade.steps["orders"]["parameters"]["references"] = references
    with trade.project() as project:
        told = "\n".join(str(problem) for finding in check(project) if finding.fatal for problem in finding.problems)
    for sentence in sentences:
        assert sentence in told
    assert "jobs.yml" in told
    with pytest.raises(ConfigError):
        trade.sync()
    assert trade.remote.calls == []


def test_a_circle_of_steps_is_refused_with_its_path_and_an_optional_one_is_not(trade) -> None:
    trade.sql("ALTER TABLE customer ADD COLUMN favourite INTEGER")
    circle = {"line": {"step": "lines", "key": ["id", "id", "favourite"]}}
    trade.steps["customers"]["parameters"]["references"] = circle
    with pytest.raises(ConfigError) as caught:
        trade.sync()
    assert "its steps refer to each other in a circle" in str(caught.value)
    path = str(caught.value).partition("found: ")[2].split("\n")[0].split(" → ")
    assert path[0] == path[-1]
    around = ["lines", "orders", "customers"] * 2
    assert path[:-1] == around[around.index(path[0]) :][:3]
    circle["line"]["required"] = False
    assert [step.step for step in trade.sync().steps] == ["customers", "orders", "lines"]


def test_a_circle_of_jobs_is_refused_with_its_path(trade) -> None:
    several_jobs(trade)
    trade.steps["customers"]["parameters"]["references"] = {"line": {"job": "line_export", "key": ["id", "id", "id"]}}
    for job in ("line_export", "order_export", "customer_export"):
        with pytest.raises(ConfigError, match="jobs refer to each other in a circle") as caught:
            trade.sync(job=job)
        (path,) = re.findall("found: (.*)", str(caught.value))
        assert set(path.split(" → ")) == set(trade.jobs)
        assert path.count("→") == 3
    with trade.project() as project, pytest.raises(ConfigError, match="in a circle"):
        project.sync_all("acme")


def test_references_belong_into_the_job_file(trade) -> None:
    with pytest.raises(ConfigError, match="a run cannot bring references of its own"):
        trade.sync(parameters={"lines": {"references": {}}})
