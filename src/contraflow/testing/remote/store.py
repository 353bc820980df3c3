"""What the fault remote holds, and how each class of remote applies a request to it.

=== ==========================================================================================================
a   ``POST /a/records``, ``PUT /a/records/ID``: carried out once for each ``Idempotency-Key``; a repetition gets the first
    answer again, the same key with another body gets 422
b   ``PUT /b/records/KEY``: an upsert by our key
c   ``POST /c/records``, ``PATCH /c/records/ID``, ``GET /c/by-key/KEY``: no deduplication, but readable
d   ``POST /d/records``: no deduplication, nothing to read: each request is one more entry
=== ==========================================================================================================

``GET /CLASS/records/ID`` and ``GET /CLASS/records`` read one and all, but in d. ``DELETE`` takes records away in a, b and c.
The natural key of a record is its field ``id``. Each answer tells the record's version as ``ETag``; a request with
``If-Match`` and another version gets 412.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import attrs

from contraflow.testing.remote.effect_log import EffectLog

Payload = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Call:
    """One item's request, alone or out of a batch."""

    kind: str
    """The class: a, b, c or d."""
    method: str
    target: str
    """What follows ``/records/``: the record's id, or our key."""
    key: str | None
    """The idempotency key."""
    payload: Payload
    match: str | None = None
    """The version that the record must have (``If-Match``)."""


@attrs.frozen(kw_only=True)
class Reply:
    """One item's answer."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.define
class Record:
    """One record that is held."""

    remote_id: str
    record: str
    payload: dict[str, Any]
    version: int = 1


class Store:
    """The records. Every effect goes to the log before anybody learns of it."""

    def __init__(self, log: EffectLog) -> None:
        self._log = log
        self._records: dict[tuple[str, str], Record] = {}
        self._by_key: dict[tuple[str, str], list[str]] = {}
        self._answers: dict[str, tuple[Call, Reply]] = {}
        self._lock = threading.RLock()
        self._created = 0

    def apply(self, call: Call, request: int) -> Reply:
        """Carry one item's request out."""
        with self._lock:
            if call.kind != "a":
                return self._write(call, request)
            if call.key is None:
                return Reply(status=400, body={"error": "Idempotency-Key is missing"})
            if call.key not in self._answers:
                self._answers[call.key] = (call, self._write(call, request))
                return self._answers[call.key][1]
            first, reply = self._answers[call.key]
            same = (first.method, first.target, first.payload) == (call.method, call.target, call.payload)
            self._log.write("effect", what="deduplicated" if same else "key_reused", **self._told(call, request))
            return reply if same else Reply(status=422, body={"error": "this key came with another request before"})

    def _write(self, call: Call, request: int) -> Reply:
        held = self._records.get((call.kind, call.target))
        if call.match is not None and held is not None and call.match != f'"{held.version}"':
            return Reply(status=412, body={"error": "the record has another version"})
        match (call.kind, call.method):
            case (_, "DELETE") if call.kind != "d":
                return self._delete(call, request)
            case ("b", "PUT"):
                return self._put(call, call.target, call.target, request)
            case ("a" | "c" | "d", "POST") if not call.target:
                self._created += 1
                return self._put(call, f"{call.kind}{self._created}", str(call.payload.get("id")), request)
            case ("a" | "c", "PUT" | "PATCH"):
                known = self._records.get((call.kind, call.target))
                if known is not None:
                    return self._put(call, call.target, known.record, request)
                return Reply(status=404, body={"error": "no such record"})
        return Reply(status=405, body={"error": f"{call.method} is not for class {call.kind}"})

    def _put(self, call: Call, remote_id: str, record: str, request: int) -> Reply:
        known = self._records.get((call.kind, remote_id))
        if known is None:
            known = self._records[call.kind, remote_id] = Record(remote_id, record, dict(call.payload))
            self._by_key.setdefault((call.kind, record), []).append(remote_id)
            status = 201
        else:
            known.payload = {**known.payload, **call.payload} if call.method == "PATCH" else dict(call.payload)
            known.version += 1
            status = 200
        told = self._told(call, request) | {"record": record, "remote_id": remote_id}
        self._log.write("effect", what="applied", **told, payload=known.payload)
        return _shown(known, status)

    def _delete(self, call: Call, request: int) -> Reply:
        known = self._records.pop((call.kind, call.target), None)
        if known is None:
            return Reply(status=404, body={"error": "no such record"})
        self._by_key[call.kind, known.record].remove(call.target)
        told = self._told(call, request) | {"record": known.record, "remote_id": call.target}
        self._log.write("effect", what="deleted", **told, payload=None)
        return Reply(status=200, body={"id": call.target})

    def is_referred_to(self, remote_id: str) -> bool:
        """Whether a record has this id among its values."""
        with self._lock:
            return any(remote_id in record.payload.values() for record in self._records.values())

    def read(self, kind: str, by: str, name: str, request: int) -> Reply:
        """Look a record up, ``by`` its id (``records``) or our key (``by-key``); all of them by no id."""
        with self._lock:
            if by == "records" and not name and kind != "d":
                held = [record for (of, _), record in self._records.items() if of == kind]
                self._log.write("read", request=request, kind=kind, record="", payload=None)
                return Reply(status=200, body={"records": [_shown(record, 200).body for record in held]})
            ids = self._by_key.get((kind, name), []) if by == "by-key" else [name]
            found = self._records.get((kind, ids[-1])) if ids else None
            if kind == "d" or by not in ("records", "by-key"):
                return Reply(status=405, body={"error": "nothing can be read here"})
            shown = None if found is None else found.payload
            record = name if found is None else found.record
            self._log.write("read", request=request, kind=kind, record=record, payload=shown)
            return Reply(status=404, body={"error": "no such record"}) if found is None else _shown(found, 200)

    def state(self) -> dict[str, Any]:
        """Everything that is held, for people and tests."""
        with self._lock:
            return {f"{kind}/{name}": attrs.asdict(record) for (kind, name), record in self._records.items()}

    @staticmethod
    def _told(call: Call, request: int) -> dict[str, Any]:
        record = call.target if call.kind == "b" else str(call.payload.get("id"))
        return {"request": request, "kind": call.kind, "record": record, "key": call.key, "sent": call.payload}


def _shown(record: Record, status: int) -> Reply:
    body = {**record.payload, "remote_id": record.remote_id, "key": record.record}
    return Reply(status=status, body=body, headers={"ETag": f'"{record.version}"'})
