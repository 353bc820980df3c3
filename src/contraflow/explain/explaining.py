"""Explain one record, from the ledger and a look at its entity as it is now."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs

from contraflow.assembly import RunnableJob, RunnableStep
from contraflow.engine.children import Children
from contraflow.engine.looking import Seen, look
from contraflow.engine.memory import previous_of
from contraflow.engine.standing import pause_of
from contraflow.errors import ContraflowError
from contraflow.explain.place import Explanation, Place
from contraflow.explain.subject import steps_of
from contraflow.explain.verdict import verdict_on
from contraflow.ledger import Ledger, encode_key
from contraflow.ledger.explaining import ItemRecord
from contraflow.options import options_of
from contraflow.readers.loading import explain_lazy_load
from contraflow_hookspecs import ConnectorError, IdFilter, Key

if TYPE_CHECKING:
    from contraflow.workspace import Workspace

logging.getLogger("contraflow.explain").setLevel(logging.ERROR)  # what a reader warns of is what is explained

_STATUSES: Mapping[str, str] = {
    "written": "the remote has it as it was last sent",
    "deleted": "it was removed at the remote, or left to it",
    "archived": "it was archived at the remote",
    "rejected": "it was refused",
    "deferred": "it was put off",
    "in_doubt": "it was sent, and nobody can say whether it arrived",
    "gone": "somebody else removed it at the remote",
    "conflict": "somebody else changed it at the remote, and it waits for a decision",
}


def explain(project: Workspace, subject: str, id: Any, *, show_values: bool = False) -> Explanation:  # noqa: A002
    """Explain one record, from the ledger and a look at its entity as it is now. Nothing is written.

    Args:
        project: The project.
        subject: An entity of the project; or an integration, ``INTEGRATION/JOB`` or ``INTEGRATION/JOB/STEP``.
        id: As for ``sync``.
        show_values: Whether to tell what the remote last confirmed, where the step remembers it.

    Raises:
        ConfigError: There is no such entity or integration, or the id has another shape than the key.
        LedgerError: The ledger cannot be opened.
    """
    places = []
    for job, step in steps_of(project, subject):
        with job.open_resource() as resource:
            (key,) = project.item_keys(job.integration, job.name, step.key, [id])
            places.append(_Explainer(project, job, step, resource, show_values=show_values).place(key))
    return Explanation(subject=subject, id=str(id), places=tuple(places))


@attrs.frozen
class _Explainer:
    """Explains a record in one step."""

    project: Workspace
    job: RunnableJob
    step: RunnableStep
    resource: Any
    show_values: bool = attrs.field(kw_only=True)

    def place(self, key: Key) -> Place:
        ledger = self.project.existing_ledger()
        names: dict[str, Any] = {"integration": self.job.integration, "job": self.job.name, "step": self.step.key}
        stream = None if ledger is None else ledger.stream(**names)
        stream_id = None if stream is None else stream.id
        text = encode_key(key)
        record = None if ledger is None or stream_id is None else ledger.item_record(stream_id, text)
        sent = None if ledger is None or stream_id is None else ledger.in_flight_since(stream_id, text)
        seen: Seen | None = None
        try:
            seen = self._look(key, ledger, stream_id)
            trouble = ""
        except (ContraflowError, ConnectorError) as error:
            trouble = self.project.redact(str(error))
        verdict = verdict_on(record, sent, seen, trouble, looks_first=self.step.parameters.get("conflicts") is not None)
        known: dict[str, Any] = {} if record is None else self._known(record)
        if sent is not None and (record is None or record.state.status != "in_doubt"):
            known |= {"status": "in_flight", "words": f"it was sent in execution {sent}, and no outcome is on record"}
        known.setdefault("status", None)
        known.setdefault("words", "it was never seen here")
        held = record is not None and record.state.status == "in_doubt" and sent is None
        return Place(**names, key=key, held=held, **known, **attrs.asdict(verdict, recurse=False))

    def _known(self, record: ItemRecord) -> dict[str, Any]:
        state = record.state
        pause = pause_of(state, datetime.now(UTC))
        return {
            "status": state.status,
            "words": _STATUSES[state.status],
            "execution": record.execution_id,
            "since": record.since,
            "confirmed": state.fingerprint[:16] if state.fingerprint else None,
            "values": previous_of(state) if self.show_values else None,
            "sent": None if state.changed is None else tuple(json.loads(state.changed)),
            "kept": tuple(sorted(json.loads(state.kept))) if state.kept else (),
            "changes": state.generation,
            "remote_id": state.remote_id,
            "remote_version": state.remote_version,
            "dead_letter": record.dead_letter,
            "conflict": record.conflict.id if record.conflict else None,
            "retry_at": None if pause is None else datetime.fromtimestamp(pause, UTC),
        }

    def _look(self, key: Key, ledger: Ledger | None, stream_id: int | None) -> Seen:
        job, step = self.job, self.step
        options = options_of(step.parameters, job.capabilities, step.parameter_location)
        # What `missing` says holds in runs by id, and the next one may be none.
        by_id = {} if step.wants_ids else {"missing": "warn"}
        context = attrs.evolve(
            job.context(step, self.project.source, "explain"),
            parameters={**step.parameters, "batch_size": 1, **by_id},
            resource=self.resource,
            filter=IdFilter(ids=(key,)),
        )
        seen = look(
            job, step, options, context, ledger, stream_id, explain=explain_lazy_load, now=lambda: datetime.now(UTC)
        )
        children = None if ledger is None else Children.of(step, context, ledger)
        if seen.outcome == "delete" and children is not None:
            text = encode_key(key)
            return attrs.evolve(seen, reason=children.reasons([text]).get(text, ""))
        return seen
