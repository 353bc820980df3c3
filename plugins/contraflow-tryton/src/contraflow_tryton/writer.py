"""The writer stage: a chunk is looked up in one request, and written in one for creates, one for updates, one for deletes.

Each of them is a transaction of Tryton's. If it refuses one, the request is halved until the bad party stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from contraflow_hookspecs import (
    Action,
    Change,
    Conflict,
    Deferred,
    ItemError,
    Operation,
    PermanentError,
    Rejected,
    SystemicError,
    TransientError,
    Unknown,
    WriteResult,
    Written,
)
from contraflow_tryton.parties import Party, countries_of, payload_held, values_to_create, values_to_write
from contraflow_tryton.payload import code_of
from contraflow_tryton.rpc import LostError, RefusedError
from contraflow_tryton.settings import PartySettings
from contraflow_tryton.tryton import Tryton

_CODES = {"UserError": "refused", "UserWarning": "warning", "": "server_error"}


@attrs.frozen(kw_only=True)
class Task:
    """One change, ready to be sent."""

    change: Change
    values: dict[str, Any] = attrs.field(factory=dict)
    party: Party | None = None
    """The party that is there already."""


_Send = Callable[[Sequence[Task]], list[int]]


@attrs.frozen(kw_only=True)
class Writer:
    """Writes parties of one kind."""

    tryton: Tryton
    kind: PartySettings

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """Bring the chunk to Tryton, and answer one result for each change.

        Raises:
            TransientError: Tryton is not there, and nothing was written.
            SystemicError: It refuses us, and nothing was written.
        """
        results, creates, updates, deletes = self._sorted(changes)
        steps = [
            (deletes, self._delete, Action.DELETED),
            (updates, self._update, Action.UPDATED),
            (creates, self._create, Action.CREATED),
        ]
        for number, (tasks, send, action) in enumerate(steps):
            try:
                results += self._together(tasks, send, action)
            except (TransientError, SystemicError) as error:
                left = [task for each, _, _ in steps[number:] for task in each]
                if len(left) == len(changes):
                    raise
                # What is done stays done. The others meet the same trouble first when they are sent again.
                return results + [Deferred(key=task.change.key, reason=str(error)) for task in left]
        return results

    def archive(self, changes: Sequence[Change]) -> list[WriteResult]:
        """Deactivate the parties of these changes; raises as ``write``."""
        found = self.tryton.find(changes, self.kind)
        results: list[WriteResult] = []
        tasks = []
        for change in changes:
            party = found.of(change, self.kind)
            if party is None or not party.active:
                results.append(Written(key=change.key, action=Action.DELETED))
            else:
                tasks.append(Task(change=change, values={"active": False}, party=party))
        return results + self._together(tasks, self._update, Action.DELETED)

    def _sorted(self, changes: Sequence[Change]) -> tuple[list[WriteResult], list[Task], list[Task], list[Task]]:
        found = self.tryton.find(changes, self.kind)
        countries = self.tryton.countries(countries_of(change.payload for change in changes))
        results: list[WriteResult] = []
        creates, updates, deletes = [], [], []
        taken: set[int] = set()
        for change in changes:
            party = found.of(change, self.kind)
            if party is not None and party.id in taken:
                results.append(
                    _rejected(change, "duplicate", f"party {party.id} is another item's of this chunk already")
                )
                continue
            if party is not None:
                taken.add(party.id)
            if change.operation is Operation.DELETE:
                if party is None:
                    results.append(Written(key=change.key, action=Action.DELETED))
                else:
                    deletes.append(Task(change=change, party=party))
                continue
            try:
                if party is None:
                    values = values_to_create(code_of(change.key, self.kind), change.payload, self.kind, countries)
                    creates.append(Task(change=change, values=values))
                else:
                    values = values_to_write(party, change.payload, self.kind, countries)
                    if not values:
                        results.append(_written(change, Action.UNCHANGED, party.id, party.version))
                    elif self._is_stale(change, party):
                        results.append(self._conflict(change, party))
                    else:
                        updates.append(Task(change=change, values=values, party=party))
            except ItemError as error:
                results.append(_rejected(change, error.code, error.reason))
        return results, creates, updates, deletes

    def _is_stale(self, change: Change, party: Party) -> bool:
        """Whether somebody saved the party since we wrote it, which only matters where the settings say so."""
        known = change.remote_version
        return self.tryton.settings.guard and known is not None and known != party.version

    def _conflict(self, change: Change, party: Party) -> Conflict:
        return Conflict(key=change.key, remote=payload_held(party, self.kind, self.tryton.country_codes([party])))

    def _together(self, tasks: Sequence[Task], send: _Send, action: Action) -> list[WriteResult]:
        if not tasks:
            return []
        try:
            ids = send(tasks)
            versions = self._versions(ids) if action is not Action.DELETED else {}
            return [
                _written(task.change, action, number, versions.get(number))
                for task, number in zip(tasks, ids, strict=True)
            ]
        except LostError as error:
            return [Unknown(key=task.change.key, reason=str(error)) for task in tasks]
        except (RefusedError, PermanentError) as refusal:
            if len(tasks) == 1:
                return [self._refused(tasks[0], refusal)]
        half = len(tasks) // 2
        results = self._together(tasks[:half], send, action)
        try:
            return results + self._together(tasks[half:], send, action)
        except (TransientError, SystemicError) as error:
            return results + [Deferred(key=task.change.key, reason=str(error)) for task in tasks[half:]]

    def _refused(self, task: Task, refusal: RefusedError | PermanentError) -> WriteResult:
        if isinstance(refusal, PermanentError):
            return _rejected(task.change, refusal.code, refusal.reason)
        if refusal.kind == "ConcurrencyException":
            return Deferred(key=task.change.key, reason="somebody saved the party while we wrote it")
        return _rejected(task.change, _CODES[refusal.kind], refusal.reason)

    def _create(self, tasks: Sequence[Task]) -> list[int]:
        ids: list[int] = self.tryton.session.call("party.party.create", [task.values for task in tasks])
        return ids

    def _update(self, tasks: Sequence[Task]) -> list[int]:
        pairs: list[Any] = []
        for task in tasks:
            pairs += [[_id(task)], task.values]
        self.tryton.session.call("party.party.write", *pairs, _timestamp=_timestamps(tasks))
        return [_id(task) for task in tasks]

    def _delete(self, tasks: Sequence[Task]) -> list[int]:
        ids = [_id(task) for task in tasks]
        self.tryton.session.call("party.party.delete", ids, _timestamp=_timestamps(tasks))
        return ids

    def _versions(self, ids: Sequence[int]) -> dict[int, str]:
        """The parties' versions after we wrote them: needed only where a conflict is to be seen later."""
        if not self.tryton.settings.guard:
            return {}
        try:
            records = self.tryton.session.call("party.party.read", list(ids), ["_timestamp"])
        except (LostError, RefusedError, TransientError, SystemicError, PermanentError):
            return {}  # they are written all the same; unguarded until the next time
        return {record["id"]: str(record["_timestamp"]) for record in records}


def _id(task: Task) -> int:
    assert task.party is not None  # noqa: S101
    return task.party.id


def _timestamps(tasks: Sequence[Task]) -> dict[str, str]:
    """What Tryton compares, so that it refuses to write over what was saved after we read it."""
    return {f"party.party,{task.party.id}": task.party.version for task in tasks if task.party is not None}


def _written(change: Change, action: Action, number: int, version: str | None) -> Written:
    if action is Action.DELETED:
        return Written(key=change.key, action=action)
    return Written(key=change.key, action=action, remote_id=str(number), remote_version=version)


def _rejected(change: Change, code: str, reason: str) -> Rejected:
    return Rejected(key=change.key, code=code, reason=reason)
