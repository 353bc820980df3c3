"""The writer stage: changes into requests, requests into parcels, answers into results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from contraflow_hookspecs import Change, ItemError, Rejected, WriteResult
from contraflow_http.batch import Batcher
from contraflow_http.delivery import Parcel, deliver
from contraflow_http.outcome import Judge, Settled
from contraflow_http.sending import Kind, Sending, prepare, prepare_deed
from contraflow_http.settings import Deed, Endpoint, Settings
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
        return self._send(changes, lambda change: prepare(change, self.endpoint, self.settings))

    def archive(self, changes: Sequence[Change], deed: Deed) -> list[WriteResult]:
        """Put the changes' records away.

        Raises:
            ConnectorError: As for :meth:`write`.
        """
        # Again without a version: the first sending may have made a new one, for which this one would be refused.
        known = [attrs.evolve(change, remote_version=None) if change.attempt > 1 else change for change in changes]
        return self._carry_out(known, Kind.ARCHIVE, deed)

    def forget(self, changes: Sequence[Change], deed: Deed) -> list[WriteResult]:
        """Remove the changes' records, or make them anonymous, whatever others changed in them.

        Raises:
            ConnectorError: As for :meth:`write`.
        """
        return self._carry_out([attrs.evolve(change, remote_version=None) for change in changes], Kind.FORGET, deed)

    def _carry_out(self, changes: Sequence[Change], kind: Kind, deed: Deed) -> list[WriteResult]:
        return self._send(changes, lambda change: prepare_deed(change, kind, deed, self.endpoint, self.settings))

    def _send(self, changes: Sequence[Change], request: Callable[[Change], Sending]) -> list[WriteResult]:
        sendings: list[Sending] = []
        rejected: list[WriteResult] = []
        for change in changes:
            try:
                sendings.append(request(change))
            except ItemError as error:
                rejected.append(Rejected(key=change.key, code=error.code, reason=error.reason))
        return deliver(self._parcels(sendings), rejected)

    def _parcels(self, sendings: Sequence[Sending]) -> list[Parcel]:
        batch = self.settings.batch_of(self.endpoint)
        if batch is None:
            return [Parcel(sendings=[sending], send=self._send_one) for sending in sendings]
        alone = [sending for sending in sendings if batch.form == "records" and sending.kind.removes]
        together = [sending for sending in sendings if batch.form == "requests" or not sending.kind.removes]
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
