"""The values of the contract."""

from __future__ import annotations

import attrs
import pytest

from contraflow_hookspecs import (
    Action,
    BatchStatus,
    Capabilities,
    Change,
    ExportJob,
    Item,
    ItemError,
    JobExecution,
    StepContext,
    StepExecution,
    Written,
)


class Row:
    def __init__(self, **values: object) -> None:
        self._mapping = values


class Instance:
    def __init__(self) -> None:
        self._sa_instance_state = object()
        self.name = "Ana"


def test_an_item_shows_rows_mappings_and_instances_alike() -> None:
    for entity in ({"name": "Ana"}, Row(name="Ana"), Instance()):
        assert dict(Item(key=(1,), entity=entity).data) == {"name": "Ana"}


def test_a_deleted_item_has_no_data() -> None:
    assert dict(Item(key=(1,)).data) == {}


@pytest.mark.parametrize("entity", [0, "", False])
def test_falsy_entities_are_entities(entity: object) -> None:
    assert Item(key=(1,), entity=entity).entity == entity


def test_values_are_frozen_and_by_keyword() -> None:
    change = Change(key=(1,), payload={"a": 1})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        change.attempt = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        Written((1,))  # type: ignore[misc]
    assert Written(key=(1,), action=Action.CREATED) == Written(key=(1,), action=Action.CREATED)


def test_a_job_needs_a_name_and_a_batch_at_least_one_item() -> None:
    with pytest.raises(ValueError, match="name"):
        ExportJob(name="")
    with pytest.raises(ValueError, match="max_batch"):
        Capabilities(max_batch=0)


def test_two_contexts_do_not_share_what_can_change() -> None:
    first = StepContext(integration="a", job="j", step="s", execution_id=1)
    assert first.logger.name == "contraflow"
    with pytest.raises(TypeError):
        first.parameters["x"] = 1  # type: ignore[index]


def test_an_execution_adds_up_its_steps_and_lists_all_errors() -> None:
    steps = [
        StepExecution(
            integration="a", job="j", step=name, status=BatchStatus.COMPLETED, counts={"read": 2}, errors=(name,)
        )
        for name in ("one", "two")
    ]
    execution = JobExecution(
        id=1, integration="a", job="j", status=BatchStatus.COMPLETED, steps=steps, failures=("first",)
    )
    assert execution.counts == {"read": 4}
    assert execution.errors == ("first", "one", "two")


def test_an_item_error_takes_any_sequence_as_key() -> None:
    assert ItemError("bad", key=[1, 2]).key == (1, 2)
    assert ItemError("bad").key is None
