"""Turn items that were read into payloads with a fingerprint, or into the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import attrs

from contraflow.contract import describe
from contraflow.engine.moments import moment_of
from contraflow.engine.prepared import NO_KEY, Prepared, left_out, refused, removal
from contraflow.errors import ContraflowError, HookContractError
from contraflow.fingerprint import canonical_form, fingerprint_of
from contraflow.ledger import encode_key
from contraflow.options import Removal
from contraflow_hookspecs import ConnectorError, Item, ItemError, Operation, Rejected, Skip, StepContext

_UPSERT, _DELETE = Operation.UPSERT, Operation.DELETE  # looked up for each item they would take long
_FORGOTTEN = Skip(reason="it was forgotten, by contraflow forget", code="forgotten")
_MOST_CONSECUTIVE_FAILURES = 20
_THE_REST = tuple(Prepared._field_defaults[name] for name in Prepared._fields[10:])
"""Of an item that was read in its place, and waits for nothing."""


class _Raised(NamedTuple):
    """What was raised for an item, until its turn has come."""

    error: Exception

    @property
    def ends_run(self) -> bool:
        """Whether it is no matter of the item."""
        return isinstance(self.error, ContraflowError | ConnectorError) and not isinstance(self.error, ItemError)


class StageFailedError(ContraflowError):
    """A stage fails, and the trouble is not with the items."""


@attrs.define(kw_only=True)
class Processing:
    """Processes the items of one step execution.

    Args:
        process: The ``process_item`` caller of the step.
        processor: Name of the processor plugin, for messages.
        context: What the stages may know.
        can_delete: Whether the remote can delete.
        modified_column: The attribute that tells when an entity was changed last, where that must be known.
        removal: What it means that the reader yields a deletion.
        filtered: Called with each item that ``process_item`` skips, and its ``Skip``.
        explain: Turns an exception of the processor into words, where it knows better than the exception itself.
        forgotten: Tells of a key's canonical text whether its item is not to be sent any more; ``None`` if none is.
    """

    process: Callable[..., Any]
    processor: str
    context: StepContext
    can_delete: bool = True
    modified_column: str | None = None
    removal: Removal = Removal.DELETE
    filtered: Callable[..., None] | None = None
    explain: Callable[[BaseException, Any], str | None] = lambda error, entity: None
    forgotten: Callable[[str], bool] | None = None
    _failures: int = attrs.field(default=0, init=False)

    def prepare(self, items: Sequence[Item], prepared: list[Prepared]) -> None:
        """Prepare items: each step of it for all of them, which takes less time than all steps for each.

        Args:
            items: As they were read.
            prepared: What becomes of each is appended here, also if a later one raises.

        Raises:
            StageFailedError: The processor fails, and not for a single item.
            ContraflowError: The processor breaks its contract.
            ConnectorError: The processor raised it.
        """
        texts, answers = self._answers(items)
        forms: list[Any] = []
        moments: list[datetime | None] = []
        column = self.modified_column
        for item, answer in zip(items, answers, strict=False):
            form: Any = None
            moment = None
            if type(answer) is dict or isinstance(answer, Mapping):  # the quick question first
                try:
                    form = canonical_form(answer)
                    moment = None if column is None else moment_of(item, column)
                except Exception as error:  # noqa: BLE001 - one record with a flaw must not stop the others
                    form = _Raised(error)
            forms.append(form)
            moments.append(moment)
        fingerprints = [fingerprint_of(form[0]) if type(form) is tuple else "" for form in forms]
        together = zip(items, texts, answers, forms, fingerprints, moments, strict=False)
        for item, key_text, answer, form, fingerprint, moment in together:
            if type(form) is tuple:
                data, is_plain = form
                known = (item.key, key_text, _UPSERT, answer, fingerprint, None, data.decode(), None, moment, is_plain)
                prepared.append(tuple.__new__(Prepared, known + _THE_REST))  # as Prepared(…), in half of the time
                self._failures = 0
            else:
                prepared.append(self._without_payload(item, key_text, answer if form is None else form))

    def _answers(self, items: Sequence[Item]) -> tuple[list[str], list[Any]]:
        """The keys' texts, and what the processor says to each item, or what is certain without it.

        Nothing more is asked behind an error that ends the run.
        """
        process, context, forgotten = self.process, self.context, self.forgotten
        texts: list[str] = []
        answers: list[Any] = []
        for item in items:
            key_text = ""
            answer: Any
            try:
                key_text = encode_key(item.key)
            except ValueError as error:
                answer = refused(NO_KEY, f"the key cannot be kept: {error}", "key")
            else:
                if item.operation is _DELETE:
                    answer = self._removed(item, key_text)
                elif forgotten is not None and forgotten(key_text):
                    answer = _FORGOTTEN
                else:
                    try:
                        answer = process(item=item, context=context)
                    except Exception as error:  # noqa: BLE001 - what it means is looked at in its turn
                        answer = _Raised(error)
            texts.append(key_text)
            answers.append(answer)
            if type(answer) is _Raised and answer.ends_run:
                break
        return texts, answers

    def _removed(self, item: Item, key_text: str) -> Prepared:
        if self.removal is Removal.DELETE and not self.can_delete:
            return refused(item.key, "the connector declares that its remote cannot delete", "delete")
        return removal(item.key, key_text, self.removal)

    def _without_payload(self, item: Item, key_text: str, answer: Any) -> Prepared:
        if type(answer) is Prepared:
            return answer
        if type(answer) is Skip:
            if answer is not _FORGOTTEN:
                self._failures = 0
            if self.filtered is not None:
                self.filtered(item=item, skip=answer, context=self.context)
            return left_out(item.key, key_text)
        if type(answer) is not _Raised:
            raise HookContractError(self.processor, "process_item", describe(answer), "a mapping or Skip")
        error = answer.error
        if isinstance(error, ItemError):
            return left_out(item.key, key_text, Rejected(key=item.key, code=error.code, reason=error.reason))
        if answer.ends_run:
            raise error
        return self._tripped(item, key_text, error)

    def _tripped(self, item: Item, key_text: str, error: Exception) -> Prepared:
        key = item.key
        explanation = self.explain(error, item.entity)
        if explanation is not None:  # a mistake in the job, not in the item
            raise StageFailedError(f"processor '{self.processor}': {explanation}") from error
        self._failures += 1
        reason = f"{type(error).__name__}: {error}"
        if self._failures >= _MOST_CONSECUTIVE_FAILURES:
            raise StageFailedError(
                f"processor '{self.processor}' failed for {self._failures} items in a row, last: {reason}"
            ) from error
        self.context.logger.debug("process_item failed for %s", key, exc_info=error)
        return left_out(key, key_text, Rejected(key=key, code="process_error", reason=reason))
