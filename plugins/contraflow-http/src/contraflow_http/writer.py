"""The writer stage: changes into requests, requests into parcels, answers into results."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from contraflow_hookspecs import Change, ItemError, Rejected, WriteResult
from contraflow_http.batch import Batcher
from contraflow_http.delivery import Parcel, deliver
from contraflow_http.outcome import Judge, Settled
from contraflow_http.sending import Kind, Sending, prepare
from contraflow_http.settings import Endpoint, Settings
from contraflow_http.wire import Wire


@attrs.frozen(kw_only=True)
class Writer:
    """Writes to one endpoint."""

    settings: Settings
    endpoint: Endpoint
    wire: Wire

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """Send the changes, and answer one result for each.

        Raises:
            ConnectorError: Nothing was sent, or the remote refused all of it.
        """
        sendings: list[Sending] = []
        rejected: list[WriteResult] = []
        for change in changes:
            try:
                sendings.append(prepare(change, self.endpoint, self.settings))
            except ItemError as error:
                rejected.append(Rejected(key=change.key, code=error.code, reason=error.reason))
        return deliver(self._parcels(sendings), rejected)

    def _parcels(self, sendings: Sequence[Sending]) -> list[Parcel]:
        batch = self.settings.batch_of(self.endpoint)
        if batch is None:
            return [Parcel(sendings=[sending], send=self._send_one) for sending in sendings]
        alone = [sending for sending in sendings if batch.form == "records" and sending.kind is Kind.DELETE]
        together = [sending for sending in sendings if batch.form == "requests" or sending.kind is not Kind.DELETE]
        send = Batcher(batch=batch, judge=self._judge, wire=self.wire).send
        slices = [together[start : start + batch.size] for start in range(0, len(together), batch.size)]
        return [
            *(Parcel(sendings=part, send=send) for part in slices),
            *(Parcel(sendings=[sending], send=self._send_one) for sending in alone),
        ]

    def _send_one(self, sendings: Sequence[Sending]) -> Settled:
        (sending,) = sendings
        answer = self.wire.exchange(sending.method, sending.path, body=sending.body, headers=sending.headers)
        return self._judge.settle(sending, answer)

    @property
    def _judge(self) -> Judge:
        return Judge(endpoint=self.endpoint, wire=self.wire)
