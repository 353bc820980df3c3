"""The writer stage: each change is looked up, compared, and written with as little as it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import attrs

from contraflow_hookspecs import (
    Action,
    Change,
    Deferred,
    ItemError,
    Operation,
    Rejected,
    SystemicError,
    TransientError,
    Unknown,
    WriteResult,
    Written,
)
from contraflow_ldap.directory import Entry, LostError
from contraflow_ldap.entries import Kind, Modifications
from contraflow_ldap.faults import CONSTRAINT_VIOLATION, NO_SUCH_OBJECT, Answer, Reach
from contraflow_ldap.names import is_named_by


def _now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(kw_only=True)
class Writer:
    """Writes entries of one kind."""

    kind: Kind
    deadline: datetime | None = None
    now: Callable[[], datetime] = _now

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """Write one entry after the other, and answer one result for each.

        Raises:
            TransientError: The directory went away before the first.
            SystemicError: It refuses us, before the first.
        """
        results: list[WriteResult] = []
        for number, change in enumerate(changes):
            try:
                self._check_deadline()
                results.append(self._one(change))
            except (TransientError, SystemicError) as error:
                if not results:
                    raise
                # What is done stays done. The others meet the same trouble first when they are sent again.
                return results + [Deferred(key=left.key, reason=str(error)) for left in changes[number:]]
        return results

    def _check_deadline(self) -> None:
        if self.deadline is not None and self.now() >= self.deadline:
            raise TransientError("the deadline of the call has passed")

    def _one(self, change: Change) -> WriteResult:
        try:
            if change.operation is Operation.DELETE:
                return self._delete(change)
            entry = self.kind.find(change)
            return self._create(change) if entry is None else self._update(change, entry)
        except ItemError as error:
            return Rejected(key=change.key, code=error.code, reason=error.reason)
        except LostError as error:
            return Unknown(key=change.key, reason=str(error))

    def _create(self, change: Change) -> WriteResult:
        dn, attributes = self.kind.dn_of(change.payload), self.kind.new_attributes(change.payload)
        answer, uuid = self.kind.directory.add(dn, attributes)
        if answer.number == NO_SUCH_OBJECT:
            raise SystemicError(f"{self.kind.directory.label} has no entry {self.kind.settings.base}")
        if not answer.ok:
            return self._refusal(
                change, answer, dn, {name: [("", list(values))] for name, values in attributes.items()}
            )
        if uuid is None:  # a directory without the post-read control; the entry is there all the same
            made = self.kind.find_alike(change)
            uuid = made[0].uuid if len(made) == 1 else None
        return Written(key=change.key, action=Action.CREATED, remote_id=uuid)

    def _update(self, change: Change, entry: Entry) -> WriteResult:
        difference = self.kind.difference(entry, change.payload)
        if not difference:
            return Written(key=change.key, action=Action.UNCHANGED, remote_id=entry.uuid)
        if difference.rdn is not None:
            # Where the entry was named by another attribute, that one's values are not ours to take away.
            keep_old = not is_named_by(entry.dn, self.kind.settings.rdn)
            answer = self.kind.directory.rename(entry.dn, difference.rdn, keep_old=keep_old)
            if not answer.ok:
                return self._refusal(change, answer, difference.rdn, {})
            renamed = self.kind.find(change)
            if renamed is None:
                return Deferred(key=change.key, reason="the entry vanished while it was renamed")
            entry, difference = renamed, self.kind.difference(renamed, change.payload)
        if difference.modifications:
            answer = self.kind.directory.modify(entry.dn, difference.modifications)
            if not answer.ok:
                return self._refusal(change, answer, entry.dn, difference.modifications)
        return Written(key=change.key, action=Action.UPDATED, remote_id=entry.uuid)

    def _delete(self, change: Change) -> WriteResult:
        entry = self.kind.find(change)
        if entry is not None:
            answer = self.kind.directory.delete(entry.dn)
            if not answer.ok and answer.number != NO_SUCH_OBJECT:
                return self._refusal(change, answer, entry.dn, {})
        return Written(key=change.key, action=Action.DELETED)

    def _refusal(self, change: Change, answer: Answer, dn: str, sent: Modifications) -> WriteResult:
        if answer.reach is Reach.SYSTEM:
            self.kind.directory.require(answer, f"writing {dn}")
        if answer.reach is Reach.LATER:
            return Deferred(key=change.key, reason=answer.reason)
        if answer.number == NO_SUCH_OBJECT:
            return Deferred(key=change.key, reason="the entry vanished while it was written")
        reason = answer.reason
        if answer.number == CONSTRAINT_VIOLATION and "unique" in answer.message:
            reason += self._who_has_it(dn, sent)
        elif answer.code in ("exists", "name", "has_children"):
            reason += f" ({dn})"
        return Rejected(key=change.key, code=answer.code, reason=reason)

    def _who_has_it(self, dn: str, sent: Modifications) -> str:
        """OpenLDAP's overlay for unique attributes does not say which; a search does."""
        for name, changes in sent.items():
            values = [value for _, values in changes for value in values]
            if name != "objectClass" and (holder := self.kind.holder(name, values, but=dn)):
                return f"; {name} is that of {holder}"
        return ""
