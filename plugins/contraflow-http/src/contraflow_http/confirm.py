"""Looks up what became of a change in doubt, by the endpoint's ``read``."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from contraflow_hookspecs import Action, Change, Deferred, ItemError, Unknown, WriteResult, Written
from contraflow_http.errors import AmbiguousError
from contraflow_http.outcome import Judge, holds
from contraflow_http.reading_settings import Read
from contraflow_http.sending import Kind, prepare
from contraflow_http.settings import Endpoint, Settings
from contraflow_http.template import parse_path
from contraflow_http.wire import Wire


@attrs.frozen(kw_only=True)
class Confirmer:
    """Asks one endpoint's remote what it holds. Read-only."""

    settings: Settings
    endpoint: Endpoint
    read: Read
    wire: Wire

    def confirm(self, change: Change) -> WriteResult:
        """``Written`` if the remote holds the change, ``Deferred`` if sending it again is right, otherwise ``Unknown``.

        Raises:
            ConnectorError: The remote could not be asked.
        """
        try:
            path = parse_path(self.read.path).path(change)
            sending = prepare(change, self.endpoint, self.settings)
        except ItemError as error:
            return Unknown(key=change.key, reason=str(error))
        try:
            answer = self.wire.exchange("GET", path)
        except AmbiguousError as error:
            return Unknown(key=change.key, reason=str(error))
        deleting = sending.kind is Kind.DELETE
        if answer.status in {404, 410}:
            if deleting:
                return Written(key=change.key, action=Action.DELETED)
            return Deferred(key=change.key, reason="the remote has no such record")
        record = answer.find(self.read.record)
        if answer.status != 200 or not isinstance(record, Mapping):
            return Unknown(key=change.key, reason=f"GET {self.read.path} answered {answer.status}, and no record")
        if deleting:
            return Deferred(key=change.key, reason="the remote still has the record")
        if holds(record, sending, self.endpoint):
            return Judge(endpoint=self.endpoint, wire=self.wire).written(sending, answer)
        if sending.kind is Kind.CREATE:
            return Unknown(key=change.key, reason="the remote has a record of this key, with other values")
        return Deferred(key=change.key, reason="the remote's record has other values")
