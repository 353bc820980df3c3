"""One request for many changes, in two forms: a list of requests, or a list of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import httpx

from contraflow_hookspecs import SystemicError, Unknown, WriteResult
from contraflow_http.answer import MISSING, Answer, as_text, find
from contraflow_http.errors import AmbiguousError, Outcome, meaning_of, status_error
from contraflow_http.outcome import Halt, Judge, Settled
from contraflow_http.sending import Sending
from contraflow_http.settings import Batch
from contraflow_http.wire import Wire

_NO_SUCH_BATCH = frozenset({404, 405, 410, 501})
_Verdict = tuple[Answer, Outcome | None]
"""An outcome as if it were the answer to a request of its own, and what it means if its status does not say."""


@attrs.frozen(kw_only=True)
class Batcher:
    """Sends parcels of one endpoint through its batch."""

    batch: Batch
    judge: Judge
    wire: Wire

    def send(self, parcel: Sequence[Sending]) -> Settled:
        """Send the parcel as one request, and read each change's fate from the answer.

        Raises:
            PermanentError: The remote refused the batch as a whole.
            SystemicError: It refuses us, or has no such batch.
            TransientError: It carried nothing out, and may later.
            AmbiguousError: Nobody can say what it carried out.
        """
        path = self.batch.path
        answer = self.wire.exchange(self.batch.method, path, body=self._body(parcel))
        outcome = meaning_of(answer)
        if outcome is not Outcome.WRITTEN:
            message = self.judge.describe(answer, self.batch.method, path)
            if answer.status in _NO_SUCH_BATCH:
                raise SystemicError(message)
            raise status_error(answer, outcome, message)
        if not self.batch.per_item:
            return self._judge([(sending, (Answer(status=answer.status), None)) for sending in parcel])
        return self._judge(self._pair(parcel, answer, f"{self.batch.method} {path} answered {answer.status}"))

    def _body(self, parcel: Sequence[Sending]) -> Any:
        if self.batch.form == "records":
            listed: list[Any] = [sending.body for sending in parcel]
        else:
            listed = [_as_request(sending) for sending in parcel]
        return listed if self.batch.list_name is None else {**self.batch.extra, self.batch.list_name: listed}

    def _pair(self, parcel: Sequence[Sending], answer: Answer, told: str) -> list[tuple[Sending, _Verdict | None]]:
        outcomes = answer.find(self.batch.results_place)
        if not isinstance(outcomes, list):
            raise AmbiguousError(f"{told} without a list of outcomes at '{self.batch.results_place}'")
        if self.batch.match is not None:
            return self._pair_by_key(parcel, outcomes, self.batch.match)
        if len(outcomes) != len(parcel):
            raise AmbiguousError(f"{told} with {len(outcomes)} outcomes for {len(parcel)} changes")
        return [(sending, self._verdict(outcome)) for sending, outcome in zip(parcel, outcomes, strict=True)]

    def _pair_by_key(
        self, parcel: Sequence[Sending], outcomes: list[Any], place: str
    ) -> list[tuple[Sending, _Verdict | None]]:
        keys = [as_text(find(outcome, place)) for outcome in outcomes]
        times = Counter(keys)
        by_key = {key: outcome for key, outcome in zip(keys, outcomes, strict=True) if key and times[key] == 1}
        return [
            (sending, self._verdict(by_key[key]) if (key := self._key(sending)) in by_key else None)
            for sending in parcel
        ]

    def _key(self, sending: Sending) -> str | None:
        wrap = self.judge.endpoint.wrap
        record = sending.body if wrap is None else sending.body[wrap]
        return as_text(record.get(self.batch.key_field))

    def _verdict(self, entry: Any) -> _Verdict | None:
        """What one entry of the list of outcomes says; ``None`` if we do not understand it."""
        answer = self._as_answer(entry)
        place = self.batch.status_place
        if place is None:
            return answer, self._without_status(entry)
        text = as_text(find(entry, place))
        if text in self.batch.outcomes:
            return answer, self.batch.outcomes[text]
        if text is None or not text.isdecimal() or not 100 <= int(text) <= 599:
            return None
        return attrs.evolve(answer, status=int(text)), None

    def _as_answer(self, entry: Any) -> Answer:
        if self.batch.form == "records":
            return Answer(body=entry)
        headers = find(entry, self.batch.headers)
        named = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, Mapping) else {}
        return Answer(headers=httpx.Headers(named), body=find(entry, self.batch.body))

    def _without_status(self, entry: Any) -> Outcome:
        if self.batch.ok is not None:
            flag = find(entry, self.batch.ok)
            return {True: Outcome.WRITTEN, False: Outcome.REJECTED}[flag] if isinstance(flag, bool) else Outcome.UNKNOWN
        place = self.judge.endpoint.error
        failed = place is not None and find(entry, place) not in (MISSING, None, "", [], {})
        return Outcome.REJECTED if failed else Outcome.WRITTEN

    def _judge(self, pairs: Sequence[tuple[Sending, _Verdict | None]]) -> Settled:
        results: list[WriteResult] = []
        halt: Halt | None = None
        for sending, verdict in pairs:
            if verdict is None:
                results.append(
                    Unknown(key=sending.change.key, reason="the answer to the batch does not tell its outcome")
                )
                continue
            settled = self.judge.settle(sending, *verdict)
            results += settled.results
            halt = settled.halt or halt
        return Settled(results=results, halt=halt)


def _as_request(sending: Sending) -> dict[str, Any]:
    request: dict[str, Any] = {"method": sending.method, "path": sending.path}
    if sending.headers:
        request["headers"] = dict(sending.headers)
    if sending.body is not None:
        request["body"] = sending.body
    return request
